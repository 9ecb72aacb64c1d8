#include <algorithm>
#include <cstring>

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/conv/choose.h"
#include "ops/conv/conv.h"
#include "ops/conv/correlate.h"
#include "ops/conv/depthwise.h"
#include "ops/conv/pairs.h"
#include "ops/conv/winograd_gradient.h"
#include "ops/reduce.h"

namespace nnfast {
namespace {

// Maximum number of elements of all partial sums, and maximum number of slabs of the batch.
constexpr index_t kPartialElements = 1 << 20, kMaxSlabs = 8;
constexpr double kOperationsPerUnit = 80;

index_t slabs_of(index_t n, const ConvShape& s) {
  const index_t fitting = kPartialElements / (s.kernel_size() + s.out_channels);
  return std::clamp<index_t>(fitting, 1, std::min(n, kMaxSlabs));
}

// Images or rows of images multiplied at a time.
struct Block {
  index_t image, images, row, rows;
};

// The sums over one slab of images, for some rows of the kernel gradient as a matrix (taps and
// channels, O).
template <class T>
class Slab {
 public:
  Slab(T* d_kernel, T* d_bias, const T* x, const T* dy, const ConvShape& s)
      : d_kernel_(d_kernel), d_bias_(d_bias), x_(x), dy_(dy), s_(s), table_(kernels<T>()) {}

  // Images [begin, end), rows [first, last) of the matrix of one group. Overwrites, or adds to the
  // sums of earlier images.
  void run(index_t begin, index_t end, index_t first, index_t last, bool add = false) const {
    const Window& w = s_.window;
    const index_t rows = rows_of_chain(w);
    const index_t together = images_of_chain(w);
    InterruptWatch watch;
    for (index_t image = begin; image < end; image += together) {
      for (index_t row = 0; row < w.h.out; row += rows) {
        const Block block = {image, std::min(together, end - image), row,
                             std::min(rows, w.h.out - row)};
        run_block(block, first, last, !add && image == begin && row == 0);
        watch.did(2.0 * static_cast<double>(block.images * block.rows * w.w.out) *
                  static_cast<double>((last - first) * s_.out_channels) / kOperationsPerUnit);
      }
    }
  }

 private:
  void run_block(const Block& block, index_t first, index_t last, bool is_first) const {
    const Window& w = s_.window;
    const index_t c = s_.in_channels, out = s_.out_channels;
    const index_t piece = columns_of_chain(w);
    const T* dy = dy_ + (block.image * w.h.out + block.row) * w.w.out * out;
    GemmPanel<T> panel{};
    const T* x = source(block, panel);
    panel.a_row = 1;
    panel.a_k = w.w.stride * c;
    panel.inner = block.rows;
    panel.outer = block.images;
    panel.b_k = out;
    panel.c_row = out;
    for (index_t column = 0; column < w.w.out; column += piece) {
      panel.k = std::min(piece, w.w.out - column);
      panel.start = is_first && column == 0 ? GemmStart::zero : GemmStart::added;
      const T* from = dy + column * out;
      run_chain(panel, x + column * panel.a_k, from, first, last);
      if (!d_bias_ || first != 0) continue;
      if (panel.start == GemmStart::zero)
        std::memset(d_bias_, 0, sizeof(T) * static_cast<size_t>(out));
      table_.accumulate_columns(d_bias_, from, out, block.images * block.rows * panel.k, out);
    }
  }

  void run_chain(GemmPanel<T>& panel, const T* x, const T* dy, index_t first, index_t last) const {
    const Window& w = s_.window;
    const index_t c = s_.in_channels, out = s_.out_channels;
    const index_t line = panel.a_inner / w.h.stride;
    const index_t group_in = c / s_.groups, group_out = out / s_.groups;
    // Adjacent taps of a row read adjacent memory: one tall product.
    const bool merged = w.w.dilation == 1 && s_.groups == 1;
    const index_t run = merged ? w.w.kernel * c : group_in;
    for (index_t m = first; m < last;) {
      const index_t tap = m / group_in;
      panel.m = std::min(run - m % run, last - m);
      const T* a = x + tap / w.w.kernel * w.h.dilation * line +
                   tap % w.w.kernel * w.w.dilation * c + m % group_in;
      for (index_t g = 0; g < s_.groups; ++g) {
        panel.a = a + g * group_in;
        multiply(panel, dy + g * group_out, d_kernel_ + m * out + g * group_out, group_out);
      }
      m += panel.m;
    }
  }

  void multiply(GemmPanel<T>& panel, const T* b, T* c, index_t columns) const {
    for (index_t column = 0; column < columns; column += table_.gemm_columns) {
      panel.b = b + column;
      panel.c = c + column;
      panel.n = std::min<index_t>(table_.gemm_columns, columns - column);
      table_.gemm_panel(panel);
    }
  }

  // Start of the block's windows; padded images are copied. Sets the strides of images and rows.
  const T* source(const Block& block, GemmPanel<T>& panel) const {
    const Window& w = s_.window;
    const index_t c = s_.in_channels;
    const T* x = x_ + block.image * s_.in_size();
    if (!w.is_padded()) {
      panel.a_outer = s_.in_size();
      panel.a_inner = w.h.stride * w.w.in * c;
      return x + block.row * panel.a_inner;
    }
    const index_t rows = (block.rows - 1) * w.h.stride + w.h.span();
    const index_t columns = (w.w.out - 1) * w.w.stride + w.w.span();
    panel.a_outer = rows * columns * c;
    panel.a_inner = w.h.stride * columns * c;
    T* band = scratch_of<T>(block.images * panel.a_outer);
    for (index_t i = 0; i < block.images; ++i) {
      copy_band(band + i * panel.a_outer,
                Band<T>{x + i * s_.in_size(), w.h.in, w.w.in, c, c,
                        block.row * w.h.stride - w.h.before, rows, -w.w.before, columns});
    }
    return band;
  }

  T* d_kernel_;
  T* d_bias_;
  const T* x_;
  const T* dy_;
  const ConvShape& s_;
  const Kernels<T>& table_;
};

// Units of the gradient that threads may share: blocks of channels if all taps of a channel are
// computed together, else rows of the matrix.
index_t units_of(ConvAlgorithm algorithm, const ConvShape& s) {
  const auto blocks = [&](index_t block) { return (s.in_channels + block - 1) / block; };
  if (algorithm == ConvAlgorithm::depthwise) return blocks(kDepthwiseBlock);
  return algorithm == ConvAlgorithm::winograd ? blocks(kWinogradBlock) : s.kernel_rows();
}

// Two slabs in the halves of vectors, as long as both have complete chains; the rest is done
// afterwards.
template <class T>
void run_slab_pair(T* to, index_t each, bool with_bias, const T* x, const T* dy,
                   const index_t* bounds, const ConvShape& s) {
  const index_t size = s.kernel_size();
  const index_t both = std::min(bounds[1] - bounds[0], bounds[2] - bounds[1]);
  const index_t images = both - both % images_of_chain(s.window);
  const auto part = [&](index_t slab) {
    T* d_kernel = to + slab * each;
    return PairGradient<T>{d_kernel, with_bias ? d_kernel + size : nullptr,
                           x + bounds[slab] * s.in_size(), dy + bounds[slab] * s.out_size()};
  };
  if (images > 0) conv_kernel_gradient_pair(part(0), part(1), images, s);
  for (index_t slab = 0; slab < 2; ++slab) {
    Slab<T>(part(slab).kernel, part(slab).bias, x, dy, s)
        .run(bounds[slab] + images, bounds[slab + 1], 0, s.kernel_rows(), images > 0);
  }
}

}  // namespace

template <class T>
bool ConvKernelGradient<T>::operator()(T* d_kernel, T* d_bias, const T* x, const T* dy, index_t n,
                                       const ConvShape& s) {
  const ConvAlgorithm algorithm = choose_kernel_gradient<T>(s);
  const index_t size = s.kernel_size();
  const index_t slabs = slabs_of(std::max<index_t>(n, 1), s), each = size + s.out_channels;
  if (slabs > 1 && partial_.size() < static_cast<size_t>(slabs * each)) {
    partial_ = AlignedBuffer<T>(static_cast<size_t>(slabs * each));
  }
  if (n == 0) {
    std::memset(d_kernel, 0, sizeof(T) * static_cast<size_t>(size));
    if (d_bias) std::memset(d_bias, 0, sizeof(T) * static_cast<size_t>(s.out_channels));
    return true;
  }
  const double cost =
      static_cast<double>(n) * s.operations() * (sizeof(T) / 4.0) / kOperationsPerUnit;
  // If there are fewer slabs than threads, each is divided into units of the gradient, which
  // changes no sum.
  const index_t units = units_of(algorithm, s);
  const index_t chunks = chunks_for(cost);
  const index_t parts = std::min((chunks + slabs - 1) / slabs, units);
  const bool paired = slabs % 2 == 0 && n >= slabs && algorithm == ConvAlgorithm::pairs;
  const auto run_pairs = [&](index_t begin, index_t end) {
    for (index_t pair = begin; pair < end; ++pair) {
      const index_t slab = 2 * pair;
      const index_t bounds[] = {n * slab / slabs, n * (slab + 1) / slabs, n * (slab + 2) / slabs};
      run_slab_pair(partial_.data() + slab * each, each, d_bias != nullptr, x, dy, bounds, s);
    }
  };
  if (paired) parallel_ranges(slabs / 2, 1, cost, run_pairs);
  parallel_ranges(paired ? 0 : slabs * parts, 1, cost, [&](index_t begin, index_t end) {
    for (index_t item = begin; item < end; ++item) {
      const index_t slab = item / parts, part = item % parts;
      T* to = slabs > 1 ? partial_.data() + slab * each : d_kernel;
      T* bias = d_bias && slabs > 1 ? to + size : d_bias;
      const index_t images = n * slab / slabs, images_end = n * (slab + 1) / slabs;
      const index_t first = units * part / parts, last = units * (part + 1) / parts;
      if (algorithm == ConvAlgorithm::depthwise) {
        depthwise_kernel_gradient(to, bias, x, dy, s, images, images_end, first * kDepthwiseBlock,
                                  std::min(last * kDepthwiseBlock, s.in_channels));
      } else if (algorithm == ConvAlgorithm::winograd) {
        winograd_kernel_gradient(to, bias, x, dy, s, images, images_end, first * kWinogradBlock,
                                 std::min(last * kWinogradBlock, s.in_channels));
      } else {
        Slab<T>(to, bias, x, dy, s).run(images, images_end, first, last);
      }
    }
  });
  if (slabs > 1) {
    const auto combine = [&](T* out, index_t offset, index_t count) {
      const T* from = partial_.data() + offset;
      kernels<T>().add(out, from, from + each, count);
      for (index_t i = 2; i < slabs; ++i) kernels<T>().add(out, out, from + i * each, count);
    };
    parallel_ranges(
        size, 64, 0.1 * static_cast<double>(slabs * size),
        [&](index_t begin, index_t end) { combine(d_kernel + begin, begin, end - begin); });
    if (d_bias) combine(d_bias, size, s.out_channels);
  }
  return all_moderate(d_kernel, size);
}

template class ConvKernelGradient<float>;
template class ConvKernelGradient<double>;

}  // namespace nnfast
