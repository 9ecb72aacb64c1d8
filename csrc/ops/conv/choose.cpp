#include "ops/conv/choose.h"

#include <algorithm>

#include "kernels/select.h"

namespace nnfast {
namespace {

bool is_pointwise(const ConvShape& s) {
  const auto is_plain = [](const WindowAxis& a) { return a.kernel == 1 && a.stride == 1; };
  return s.groups == 1 && !s.window.is_padded() && is_plain(s.window.h) && is_plain(s.window.w);
}

bool is_depthwise(const ConvShape& s) {
  return s.groups > 1 && s.groups == s.in_channels && s.groups == s.out_channels;
}

// With few channels, the transforms cost more than they save; the transform of a large kernel, 4 MB
// (float32) or more, would be read again for each dozen tiles.
bool channels_suit_winograd(const ConvShape& s) {
  constexpr index_t kFewestChannels = 16, kLargestKernel = 256 * 256;
  return s.groups == 1 && std::min(s.in_channels, s.out_channels) >= kFewestChannels &&
         s.in_channels * s.out_channels <= kLargestKernel;
}

// Adjacent outputs read three adjacent inputs each.
bool suits_winograd(const ConvShape& s) {
  const auto is_plain = [](const WindowAxis& a) {
    return a.kernel == 3 && a.stride == 1 && a.dilation == 1;
  };
  return is_plain(s.window.h) && is_plain(s.window.w) && channels_suit_winograd(s);
}

// Adjacent inputs are read by three adjacent outputs each, or, if a stride skips them, by none.
bool input_gradient_suits_winograd(const ConvShape& s) {
  const auto is_plain = [](const WindowAxis& a) { return a.kernel == 3 && a.stride == a.dilation; };
  return is_plain(s.window.h) && is_plain(s.window.w) && channels_suit_winograd(s);
}

// Whether folding needs less work than a correlation of dy with the kernel.
bool folding_pays(const ConvShape& s) {
  const WindowAxis &h = s.window.h, &w = s.window.w;
  if (s.groups != 1 || h.dilation != 1 || w.dilation != 1) return false;
  // Multiplications in whole vectors of 16; the sums add a tenth.
  constexpr index_t lanes = 16;
  const auto padded = [](index_t n) {
    return static_cast<double>((n + lanes - 1) / lanes * lanes);
  };
  const double taps = static_cast<double>(h.kernel * w.kernel);
  const double direct = static_cast<double>(h.in * w.in) * taps /
                        static_cast<double>(h.stride * w.stride) * padded(s.in_channels);
  const double folded = static_cast<double>(h.out * w.out) * padded(s.kernel_rows());
  return direct > 1.1 * folded;
}

// Whether the filters fill at most half of a vector.
template <class T>
bool pairs_fit(const ConvShape& s) {
  // The expanded images fit in the L2 cache.
  constexpr index_t kSpreadBytes = 256 * 1024;
  const index_t lanes = kernels<T>().lanes;
  const Window& w = s.window;
  return 2 * s.out_channels <= lanes && s.groups == 1 && !w.is_padded() && w.h.dilation == 1 &&
         w.w.dilation == 1 && w.h.kernel * w.w.kernel > 1 &&
         s.in_size() * lanes * static_cast<index_t>(sizeof(T)) <= kSpreadBytes;
}

}  // namespace

template <class T>
ConvAlgorithm choose_forward(const ConvShape& s) {
  if (is_pointwise(s)) return ConvAlgorithm::matmul;
  if (is_depthwise(s)) return ConvAlgorithm::depthwise;
  if (suits_winograd(s)) return ConvAlgorithm::winograd;
  return pairs_fit<T>(s) ? ConvAlgorithm::pairs : ConvAlgorithm::direct;
}

ConvAlgorithm choose_input_gradient(const ConvShape& s, bool with_bias) {
  if (is_pointwise(s)) return ConvAlgorithm::matmul;
  if (is_depthwise(s)) return ConvAlgorithm::depthwise;
  if (input_gradient_suits_winograd(s)) return ConvAlgorithm::winograd;
  return !with_bias && folding_pays(s) ? ConvAlgorithm::fold : ConvAlgorithm::direct;
}

template <class T>
ConvAlgorithm choose_kernel_gradient(const ConvShape& s) {
  if (is_depthwise(s)) return ConvAlgorithm::depthwise;
  if (suits_winograd(s)) return ConvAlgorithm::winograd;
  return pairs_fit<T>(s) ? ConvAlgorithm::pairs : ConvAlgorithm::direct;
}

const char* algorithm_name(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::matmul:
      return "matmul";
    case ConvAlgorithm::direct:
      return "direct";
    case ConvAlgorithm::pairs:
      return "pairs";
    case ConvAlgorithm::depthwise:
      return "depthwise";
    case ConvAlgorithm::winograd:
      return "winograd";
    case ConvAlgorithm::fold:
      return "fold";
  }
  return "";
}

template ConvAlgorithm choose_forward<float>(const ConvShape&);
template ConvAlgorithm choose_forward<double>(const ConvShape&);
template ConvAlgorithm choose_kernel_gradient<float>(const ConvShape&);
template ConvAlgorithm choose_kernel_gradient<double>(const ConvShape&);

}  // namespace nnfast
