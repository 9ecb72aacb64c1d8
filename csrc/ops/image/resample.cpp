#include "ops/image/resample.h"

#include <utility>

#include "base/check.h"
#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

struct Weight {
  index_t from, to;
  double value;
};

// The non-zero weights of an axis, by output and then by input.
std::vector<Weight> upsampling_weights(index_t in, index_t factor, Interpolation interpolation) {
  std::vector<Weight> weights;
  for (index_t o = 0; o < in * factor; ++o) {
    if (interpolation == Interpolation::nearest) {
      weights.push_back({o / factor, o, 1});
      continue;
    }
    // In units of half an output pixel, in which positions are integers.
    const index_t position = 2 * o + 1 - factor, unit = 2 * factor;
    const index_t left = position < 0 ? -1 : position / unit;
    const double right = static_cast<double>(position - left * unit) / static_cast<double>(unit);
    if (left < 0 || left + 1 == in || right == 0) {
      weights.push_back({left < 0 ? 0 : left, o, 1});
    } else {
      weights.push_back({left, o, 1 - right});
      weights.push_back({left + 1, o, right});
    }
  }
  return weights;
}

// Weights by output; the inputs of an output are adjacent.
template <class T>
ResampleTable<T> make_table(const std::vector<Weight>& weights, index_t in, index_t out) {
  ResampleTable<T> table;
  table.in = in;
  table.out = out;
  table.first.assign(static_cast<size_t>(out), in);
  table.count.assign(static_cast<size_t>(out), 0);
  for (const Weight& weight : weights) {
    index_t& first = table.first[static_cast<size_t>(weight.to)];
    index_t& count = table.count[static_cast<size_t>(weight.to)];
    if (weight.from < first) first = weight.from;
    ++count;
    if (count > table.taps) table.taps = count;
  }
  table.weights.assign(static_cast<size_t>(out * table.taps), T(0));
  for (const Weight& weight : weights) {
    const index_t k = weight.from - table.first[static_cast<size_t>(weight.to)];
    table.weights[static_cast<size_t>(weight.to * table.taps + k)] = static_cast<T>(weight.value);
  }
  return table;
}

template <class T>
ResampleAxis<T> axis_of(const ResampleTable<T>& table) {
  return {table.weights.data(), table.first.data(), table.count.data(),
          table.taps,           table.in,           table.out};
}

std::vector<Weight> transposed(std::vector<Weight> weights) {
  for (Weight& weight : weights) std::swap(weight.from, weight.to);
  return weights;
}

}  // namespace

Interpolation parse_interpolation(const std::string& name, const std::string& where) {
  if (name == "nearest") return Interpolation::nearest;
  require(name == "bilinear", where,
          ": expected an interpolation of \"nearest\" or \"bilinear\", got '", name, "'");
  return Interpolation::bilinear;
}

void require_upsampling(const std::string& where, int64_t in, int64_t factor) {
  constexpr int64_t limit = int64_t(1) << 30;
  require(factor >= 1, where, ": expected a size of 1 or more, got ", factor);
  require(factor < limit && in < limit && in * factor < limit, where,
          ": expected an output of less than 2^30 along each axis, got ", in, " times ", factor);
}

template <class T>
Upsampling<T>::Upsampling(index_t h, index_t w, index_t factor_h, index_t factor_w,
                          index_t channels, Interpolation interpolation)
    : channels_(channels) {
  const auto along_h = upsampling_weights(h, factor_h, interpolation);
  const auto along_w = upsampling_weights(w, factor_w, interpolation);
  h_ = make_table<T>(along_h, h, h * factor_h);
  w_ = make_table<T>(along_w, w, w * factor_w);
  dh_ = make_table<T>(transposed(along_h), h * factor_h, h);
  dw_ = make_table<T>(transposed(along_w), w * factor_w, w);
}

template <class T>
void Upsampling<T>::run(T* y, const T* x, index_t images, const ResampleTable<T>& h,
                        const ResampleTable<T>& w) const {
  if (channels_ == 0) return;
  const Resample<T> p = {axis_of(h), axis_of(w), channels_};
  // The kernel reads one vector beyond the row.
  const size_t scratch = static_cast<size_t>(w.in * channels_) * sizeof(T) + 64;
  const double elements = static_cast<double>(images) * static_cast<double>(h.in + h.out) *
                          static_cast<double>(w.in + w.out) * static_cast<double>(channels_);
  parallel_ranges(images * h.out, 1, 0.1 * elements, [&](index_t begin, index_t end) {
    T* row = static_cast<T*>(thread_scratch(scratch));
    kernels<T>().resample(y, row, x, begin, end, p);
  });
}

template class Upsampling<float>;
template class Upsampling<double>;

}  // namespace nnfast
