#include "ops/image/augment.h"

#include <cmath>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

// Up to this size, float32 coordinates are accurate to 1/256 of a pixel.
constexpr index_t kLongestSide = 32768;
constexpr index_t kMaxElements = 1 << 30;
// Elements that the kernel reads past the end of a row's tables: a group of samples.
constexpr size_t kReadAhead = 64;

// Lays out the parts of the scratch memory one after the other; without memory it only adds up
// sizes.
class Layout {
 public:
  explicit Layout(char* memory) : memory_(memory) {}
  template <class E>
  void place(E*& part, size_t elements) {
    part = memory_ ? reinterpret_cast<E*>(memory_ + bytes_) : nullptr;
    bytes_ += align_up(elements * sizeof(E));
  }
  size_t bytes() const { return bytes_; }

 private:
  char* memory_;
  size_t bytes_ = 0;
};

template <class T, class S>
size_t lay_out(AugmentScratch<T, S>& scratch, void* memory, const AugmentParams& p) {
  const size_t height = static_cast<size_t>(p.height), width = static_cast<size_t>(p.width);
  const size_t channels = static_cast<size_t>(p.channels), n = width * channels;
  const size_t padded_row = (width + 3) * channels;
  Layout layout(static_cast<char*>(memory));
  layout.place(scratch.column, n + kReadAhead);
  layout.place(scratch.channel, n + kReadAhead);
  layout.place(scratch.row, n);
  // Beyond the last row: the neighbor of its last pixel, which is read but not used.
  layout.place(scratch.padded, (height + 3) * padded_row + channels);
  scratch.square = nullptr;
  if (sizeof(S) == 1) layout.place(scratch.square, (height + 2) * padded_row);
  return layout.bytes();
}

template <class T, class S, class Kernel>
void run(T* y, const S* x, const int64_t* rows, index_t count, const AugmentParams& p,
         Kernel kernel) {
  // Cost of shift, rotation and zoom per element of a byte image, in nanoseconds.
  constexpr double cost = 1;
  const index_t size = p.height * p.width * p.channels;
  parallel_ranges(count, 1, cost * static_cast<double>(count * size),
                  [&](index_t begin, index_t end) {
                    AugmentScratch<T, S> scratch;
                    const size_t bytes = lay_out(scratch, nullptr, p);
                    lay_out(scratch, thread_scratch(bytes), p);
                    kernel(y + begin * size, rows ? x : x + begin * size,
                           rows ? rows + begin : nullptr, begin, end - begin, scratch, p);
                  });
}

}  // namespace

Fill parse_fill(const std::string& name, const std::string& where) {
  if (name == "constant") return Fill::constant;
  if (name == "nearest") return Fill::nearest;
  if (name == "reflect") return Fill::reflect;
  throw ValueError(
      text(where, ": expected fill as constant, nearest or reflect, got '", name, "'"));
}

void require_augmentation(const AugmentParams& p, const std::string& where) {
  const auto within = [&](const char* name, double value, double end) {
    require(value >= 0 && value < end, where, ": expected 0 <= ", name, " < ", end, ", got ",
            value);
  };
  const double side = static_cast<double>(kLongestSide);
  within("height", static_cast<double>(p.height), side + 1);
  within("width", static_cast<double>(p.width), side + 1);
  within("channels", static_cast<double>(p.channels), side + 1);
  require(p.height > 0 && p.width > 0 && p.channels > 0, where,
          ": expected images with pixels, got (", p.height, ", ", p.width, ", ", p.channels, ")");
  require((p.height + 3) * (p.width + 3) * p.channels <= kMaxElements, where,
          ": expected images of at most ", kMaxElements, " elements, got (", p.height, ", ",
          p.width, ", ", p.channels, ")");
  within("shift", p.shift, side);
  within("crop_padding", static_cast<double>(p.crop_padding), side);
  within("cutout", static_cast<double>(p.cutout), side);
  within("rotation (turns)", p.rotation, 0.5000001);
  within("shear (turns)", p.shear, 0.25);
  within("zoom", p.zoom, 1);
  within("contrast", p.contrast, 1.0000001);
  require(p.brightness >= 0 && std::isfinite(p.brightness), where,
          ": expected a finite brightness >= 0, got ", p.brightness);
  require(std::isfinite(p.fill_value), where, ": expected a finite fill_value, got ", p.fill_value);
}

template <class T>
void augment_images(T* y, const T* values, const uint8_t* bytes, const int64_t* rows, index_t count,
                    const AugmentParams& p) {
  if (values) {
    run(y, values, rows, count, p, kernels<T>().augment);
    return;
  }
  require(p.fill_value >= 0 && p.fill_value <= 255 && p.fill_value == std::floor(p.fill_value),
          "augmentation: expected a whole fill_value from 0 to 255 for uint8 images, got ",
          p.fill_value);
  run(y, bytes, rows, count, p, kernels<T>().augment_bytes);
}

template void augment_images<float>(float*, const float*, const uint8_t*, const int64_t*, index_t,
                                    const AugmentParams&);
template void augment_images<double>(double*, const double*, const uint8_t*, const int64_t*,
                                     index_t, const AugmentParams&);

}  // namespace nnfast
