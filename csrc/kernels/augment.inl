// Data augmentation of images (H, W, C), drawn for each image of a batch: one affine map for flips,
// crop, shift, rotation, shear and zoom, sampled bilinearly; then contrast and brightness; then
// cutout (DeVries, Taylor 2017, arXiv:1708.04552); then a rescaling.
//
// Image i of a batch owns the 16 random words of the blocks 4 i .. 4 i + 3; u = word / 2^32 and
// w = 2 u - 1 stand for the word named:
//   0, 1    flip left-right, upside-down where u >= 1/2
//   2, 3    shift down, right by w shift pixels
//   4, 5    and by floor(u (2 crop_padding + 1)) - crop_padding whole pixels
//   6, 7    rotation by w rotation, shear by w shear turns
//   8       zoom by 1 + w zoom
//   9, 10   brightness: add w brightness; contrast: times 1 + w contrast about the image's mean
//   11, 12  row and column of cutout's center: floor(u H), floor(u W)
#include "kernels/elementwise.inl"
#include "kernels/random.inl"

constexpr int kSamples = 64;  // maximum number of elements of an output row computed together
constexpr int kGroup = 16;    // in groups of this size, which gather16 reads

// The transformation of one image.
struct AffineMap {
  // Source of the output pixel (row i, column j):
  // x = xx j + xy i + x0 (columns), y = yx j + yy i + y0 (rows).
  double xx, xy, x0, yx, yy, y0;
};
struct DrawnAugmentation {
  AffineMap map;
  double gain,
      bias;  // of contrast and brightness; the mean is still to come: bias + mean (1 - gain)
  index_t cutout_row, cutout_column;
};

NNF_INLINE void sincos_of_turns(double turns, double& sine, double& cosine) {
  Vec<double> s, c;
  sincos_2pi(broadcast<double>(turns), s, c);
  sine = first_lane(s);
  cosine = first_lane(c);
}

// The offset of a pixel from the image's center goes through flip, zoom, shear, rotation and shift,
// in this order; the map is the inverse, computed in double by products and sums that round once
// each.
NNF_OUTLINE DrawnAugmentation draw_augmentation(const uint32_t* words, const AugmentParams& p) {
  double u[16], w[16];
  for (int k = 0; k < 16; ++k) {
    u[k] = static_cast<double>(words[k]) * 2.3283064365386963e-10;  // 2^-32
    w[k] = 2 * u[k] - 1;
  }
  const auto crop = [&](int k) {
    return static_cast<double>(
        static_cast<index_t>(u[k] * static_cast<double>(2 * p.crop_padding + 1)) - p.crop_padding);
  };
  const double flip_x = p.horizontal_flip && u[0] >= 0.5 ? -1 : 1;
  const double flip_y = p.vertical_flip && u[1] >= 0.5 ? -1 : 1;
  const double down = w[2] * p.shift + crop(4), right = w[3] * p.shift + crop(5);
  double sine = 0, cosine = 1, slope = 0;
  if (p.rotation != 0) sincos_of_turns(w[6] * p.rotation, sine, cosine);
  if (p.shear != 0) {
    double s, c;
    sincos_of_turns(w[7] * p.shear, s, c);
    slope = s / c;
  }
  const double shrink = 1 / (1 + w[8] * p.zoom);
  const double center_x = 0.5 * static_cast<double>(p.width - 1);
  const double center_y = 0.5 * static_cast<double>(p.height - 1);
  DrawnAugmentation drawn;
  AffineMap& map = drawn.map;
  map.xx = flip_x * shrink * (cosine + slope * sine);
  map.xy = flip_x * shrink * (sine - slope * cosine);
  map.yx = flip_y * shrink * -sine;
  map.yy = flip_y * shrink * cosine;
  map.x0 = center_x - map.xx * (center_x + right) - map.xy * (center_y + down);
  map.y0 = center_y - map.yx * (center_x + right) - map.yy * (center_y + down);
  drawn.gain = 1 + w[10] * p.contrast;
  drawn.bias = w[9] * p.brightness;
  drawn.cutout_row = static_cast<index_t>(u[11] * static_cast<double>(p.height));
  drawn.cutout_column = static_cast<index_t>(u[12] * static_cast<double>(p.width));
  return drawn;
}

// Source pixel for position i of n, or -1 for the constant.
NNF_INLINE index_t pixel_for(index_t i, index_t n, Fill fill) {
  if (i >= 0 && i < n) return i;
  if (fill == Fill::constant) return -1;
  if (fill == Fill::nearest) return i < 0 ? 0 : n - 1;
  const index_t period = 2 * n;
  const index_t at = i % period < 0 ? i % period + period : i % period;
  return at < n ? at : period - 1 - at;
}

NNF_INLINE void rescale_row(float* y, const float* x, index_t n, double scale, double offset) {
  scale_shift(y, x, n, scale, offset);
}
NNF_INLINE void rescale_row(double* y, const double* x, index_t n, double scale, double offset) {
  scale_shift(y, x, n, scale, offset);
}
template <class T>
NNF_INLINE void rescale_row(T* y, const uint8_t* x, index_t n, double scale, double offset) {
  gather_byte_rows<T>(y, x, nullptr, 1, n, scale, offset);
}

template <class T>
NNF_INLINE void copy_elements(T* NNF_RESTRICT to, const T* NNF_RESTRICT from, index_t n) {
  for_each_vector<T>(
      n, [=](index_t i, int count) { store_n(to + i, load_n(from + i, count), count); });
}
NNF_INLINE void copy_elements(uint8_t* NNF_RESTRICT to, const uint8_t* NNF_RESTRICT from,
                              index_t n) {
  if (n < kGroup) {
    for (index_t i = 0; i < n; ++i) to[i] = from[i];
    return;
  }
  for (index_t i = 0; i + kGroup <= n; i += kGroup) {
    for (index_t k = i; k < i + kGroup; ++k) to[k] = from[k];
  }
  for (index_t k = n - kGroup; k < n; ++k) to[k] = from[k];
}

NNF_INLINE bool is_whole(double x) { return x == static_cast<double>(static_cast<int64_t>(x)); }

// Whether the map moves whole pixels to whole pixels without exchanging rows and columns.
NNF_INLINE bool moves_whole_pixels(const AffineMap& map) {
  return map.xy == 0 && map.yx == 0 && (map.xx == 1 || map.xx == -1) &&
         (map.yy == 1 || map.yy == -1) && is_whole(map.x0) && is_whole(map.y0);
}

// y (H, W, C) = x shifted by whole pixels, times gain plus bias; row (W, C) is scratch memory.
template <class T, class S>
NNF_OUTLINE void copy_image(T* y, const S* x, S* row, const AffineMap& map, double gain,
                            double bias, const AugmentParams& p) {
  const index_t width = p.width, channels = p.channels, n = width * channels;
  const index_t x0 = static_cast<index_t>(map.x0), y0 = static_cast<index_t>(map.y0);
  const bool mirrored = map.xx < 0;
  // Columns begin .. end come from inside the image.
  index_t begin = mirrored ? x0 - width + 1 : -x0, end = mirrored ? x0 + 1 : width - x0;
  begin = begin < 0 ? 0 : begin;
  end = end > width ? width : end;
  if (end <= begin) begin = end = 0;
  const S filling = static_cast<S>(p.fill_value);
  for (index_t i = 0; i < p.height; ++i) {
    const index_t from = pixel_for(map.yy < 0 ? y0 - i : y0 + i, p.height, p.fill);
    const S* source = x + (from < 0 ? 0 : from) * n;
    if (from >= 0 && !mirrored && begin == 0 && end == width) {
      rescale_row(y + i * n, source, n, gain, bias);
      continue;
    }
    if (from < 0) {
      for (index_t e = 0; e < n; ++e) row[e] = filling;
    } else {
      const auto outside = [&](index_t j) {
        const index_t column = pixel_for(mirrored ? x0 - j : x0 + j, width, p.fill);
        for (index_t c = 0; c < channels; ++c)
          row[j * channels + c] = column < 0 ? filling : source[column * channels + c];
      };
      for (index_t j = 0; j < begin; ++j) outside(j);
      for (index_t j = end; j < width; ++j) outside(j);
      if (!mirrored && begin < end) {
        copy_elements(row + begin * channels, source + (x0 + begin) * channels,
                      (end - begin) * channels);
      } else if (channels == 1) {
        for (index_t j = begin; j < end; ++j) row[j] = source[x0 - j];
      } else {
        for (index_t j = begin; j < end; ++j) {
          for (index_t c = 0; c < channels; ++c)
            row[j * channels + c] = source[(x0 - j) * channels + c];
        }
      }
    }
    rescale_row(y + i * n, row, n, gain, bias);
  }
}

// padded (H + 3, W + 3, C): memory for an image with one more pixel before and two after it on each
// axis. Only the constant fill reads the pixels around the image, so one call serves many images.
template <class S>
NNF_INLINE void fill_surroundings(S* padded, const AugmentParams& p) {
  const index_t n = (p.height + 3) * (p.width + 3) * p.channels;
  for (index_t e = 0; e < n + p.channels; ++e) padded[e] = static_cast<S>(p.fill_value);
}

template <class S>
NNF_INLINE void copy_into_surroundings(S* padded, const S* x, const AugmentParams& p) {
  const index_t n = p.width * p.channels, stride = n + 3 * p.channels;
  for (index_t i = 0; i < p.height; ++i)
    copy_elements(padded + (i + 1) * stride + p.channels, x + i * n, n);
}

// Maps a coordinate into 0 .. n - 1, or with the constant fill into -1 .. n.
template <class T>
NNF_INLINE Vec<T> bounded(Vec<T> x, index_t n, Fill fill) {
  const T size = static_cast<T>(n);
  if (fill == Fill::constant) return clamp(x, T(-1), size);
  if (fill == Fill::reflect) {
    // Reflection about -1/2 and n - 1/2: as a function of u = x + 1/2, it has period 2 n and is
    // even.
    const Vec<T> half = broadcast<T>(T(0.5)), u = x + half;
    const Vec<T> turns = round_nearest(u * broadcast<T>(T(0.5) / size));
    x = abs(fnma(turns, broadcast<T>(2 * size), u)) - half;
  }
  return clamp(x, T(0), size - 1);
}

template <class T>
NNF_INLINE Vec<T> floor_of(Vec<T> x) {
  const Vec<T> nearest = round_nearest(x);
  return select(less(x, nearest), nearest - broadcast<T>(T(1)), nearest);
}

// The four neighbors of each sample, by their indices in the padded image.
template <class T>
struct Neighbors {
  T at00[kSamples], at01[kSamples], at10[kSamples], at11[kSamples];
};

template <class T>
NNF_INLINE void read_neighbors(Neighbors<T>& out, const int32_t* at, int count,
                               const AugmentScratch<T, T>& scratch, const AugmentParams& p) {
  const T* upper = scratch.padded;
  const T* lower = upper + (p.width + 3) * p.channels;
  const index_t next = p.channels;
  for (int g = 0; g < count; g += kGroup) {
    gather16(out.at00 + g, upper, at + g);
    gather16(out.at01 + g, upper + next, at + g);
    gather16(out.at10 + g, lower, at + g);
    gather16(out.at11 + g, lower + next, at + g);
  }
}

// Four bytes fit in one word: one read for all neighbors.
template <class T>
NNF_INLINE void read_neighbors(Neighbors<T>& out, const int32_t* at, int count,
                               const AugmentScratch<T, uint8_t>& scratch, const AugmentParams&) {
  int32_t square[kSamples];
  for (int g = 0; g < count; g += kGroup) {
    gather16(square + g, scratch.square, at + g);
    for (int k = g; k < g + kGroup; ++k) {
      out.at00[k] = static_cast<T>(square[k] & 255);
      out.at01[k] = static_cast<T>(square[k] >> 8 & 255);
      out.at10[k] = static_cast<T>(square[k] >> 16 & 255);
      out.at11[k] = static_cast<T>(square[k] >> 24 & 255);
    }
  }
}

template <class T>
NNF_INLINE void prepare_neighbors(const AugmentScratch<T, T>&, const AugmentParams&) {}
template <class T>
NNF_INLINE void prepare_neighbors(const AugmentScratch<T, uint8_t>& scratch,
                                  const AugmentParams& p) {
  const index_t stride = (p.width + 3) * p.channels, next = p.channels;
  const index_t n = (p.height + 2) * stride;
  const uint8_t* NNF_RESTRICT upper = scratch.padded;
  const uint8_t* NNF_RESTRICT lower = upper + stride;
  int32_t* NNF_RESTRICT square = scratch.square;
  for (index_t e = 0; e < n; ++e) {
    square[e] = static_cast<int32_t>(upper[e] | static_cast<uint32_t>(upper[e + next]) << 8 |
                                     static_cast<uint32_t>(lower[e]) << 16 |
                                     static_cast<uint32_t>(lower[e + next]) << 24);
  }
}

// y (n <= kSamples) = a piece of an output row, starting at the given column and channel.
template <class T, class S>
NNF_INLINE void sample(T* y, index_t n, const T* column, const int32_t* channel, T xx, T x0, T yx,
                       T y0, double gain, double bias, const AugmentScratch<T, S>& scratch,
                       const AugmentParams& p) {
  constexpr int lanes = Vec<T>::lanes;
  const int count = (static_cast<int>(n) + kGroup - 1) / kGroup * kGroup;
  T floor_x[kSamples], floor_y[kSamples], part_x[kSamples], part_y[kSamples];
  for (int k = 0; k < count; k += lanes) {
    const Vec<T> j = load(column + k);
    const Vec<T> x = bounded(fma(broadcast<T>(xx), j, broadcast<T>(x0)), p.width, p.fill);
    const Vec<T> y_ = bounded(fma(broadcast<T>(yx), j, broadcast<T>(y0)), p.height, p.fill);
    const Vec<T> fx = floor_of(x), fy = floor_of(y_);
    store(floor_x + k, fx);
    store(floor_y + k, fy);
    store(part_x + k, x - fx);
    store(part_y + k, y_ - fy);
  }
  int32_t at[kSamples];
  const int32_t channels = static_cast<int32_t>(p.channels);
  const int32_t stride = static_cast<int32_t>((p.width + 3) * p.channels);
  for (int g = 0; g < count; g += kGroup) {
    for (int k = g; k < g + kGroup; ++k) {
      at[k] = (static_cast<int32_t>(floor_y[k]) + 1) * stride +
              (static_cast<int32_t>(floor_x[k]) + 1) * channels + channel[k];
    }
  }
  Neighbors<T> near;
  read_neighbors(near, at, count, scratch, p);
  const Vec<T> g = broadcast<T>(static_cast<T>(gain)), b = broadcast<T>(static_cast<T>(bias));
  for (int k = 0; k < n; k += lanes) {
    const Vec<T> wx = load(part_x + k), left = load(near.at00 + k), low_left = load(near.at10 + k);
    const Vec<T> upper = fma(wx, load(near.at01 + k) - left, left);
    const Vec<T> lower = fma(wx, load(near.at11 + k) - low_left, low_left);
    const Vec<T> value = fma(fma(load(part_y + k), lower - upper, upper), g, b);
    store_n(y + k, value, n - k < lanes ? static_cast<int>(n - k) : lanes);
  }
}

// y (H, W, C) = x sampled by the map, times gain plus bias.
template <class T, class S>
void resample_image(T* y, const S* x, const AffineMap& map, double gain, double bias,
                    const AugmentScratch<T, S>& scratch, const AugmentParams& p) {
  copy_into_surroundings(scratch.padded, x, p);
  prepare_neighbors<T>(scratch, p);
  const index_t n = p.width * p.channels;
  for (index_t i = 0; i < p.height; ++i) {
    const T x0 = static_cast<T>(map.xy * static_cast<double>(i) + map.x0);
    const T y0 = static_cast<T>(map.yy * static_cast<double>(i) + map.y0);
    for (index_t e = 0; e < n; e += kSamples) {
      sample<T, S>(y + i * n + e, n - e < kSamples ? n - e : kSamples, scratch.column + e,
                   scratch.channel + e, static_cast<T>(map.xx), x0, static_cast<T>(map.yx), y0,
                   gain, bias, scratch, p);
    }
  }
}

NNF_INLINE double image_mean(const uint8_t* x, index_t n) {
  uint64_t sum = 0;
  for (index_t i = 0; i < n; ++i) sum += x[i];
  return static_cast<double>(sum) / static_cast<double>(n);
}
template <class T>
NNF_INLINE double image_mean(const T* x, index_t n) {
  const T sum = lane_sum<T>(n, [=](index_t i, int count) { return load_n(x + i, count); });
  return static_cast<double>(sum) / static_cast<double>(n);
}

// Overwrites the part of the square around its center that lies inside the image.
template <class T>
NNF_INLINE void cut_out(T* y, const DrawnAugmentation& drawn, const AugmentParams& p) {
  const T value = static_cast<T>(p.fill_value * p.scale + p.offset);
  const index_t top = drawn.cutout_row - p.cutout / 2, left = drawn.cutout_column - p.cutout / 2;
  const index_t bottom = top + p.cutout, right = left + p.cutout;
  const index_t begin = (left < 0 ? 0 : left) * p.channels;
  const index_t end = (right > p.width ? p.width : right) * p.channels;
  for (index_t i = top < 0 ? 0 : top; i < bottom && i < p.height; ++i) {
    T* row = y + i * p.width * p.channels;
    for (index_t e = begin; e < end; ++e) row[e] = value;
  }
}

template <class T, class S>
void augment_image(T* y, const S* x, const DrawnAugmentation& drawn,
                   const AugmentScratch<T, S>& scratch, const AugmentParams& p) {
  double bias = drawn.bias;
  if (p.contrast != 0) bias += image_mean(x, p.height * p.width * p.channels) * (1 - drawn.gain);
  const double gain = drawn.gain * p.scale;
  bias = bias * p.scale + p.offset;
  if (moves_whole_pixels(drawn.map)) {
    copy_image(y, x, scratch.row, drawn.map, gain, bias, p);
  } else {
    resample_image<T, S>(y, x, drawn.map, gain, bias, scratch, p);
  }
  if (p.cutout > 0) cut_out(y, drawn, p);
}

template <class T, class S>
NNF_INLINE void augment_images(T* y, const S* x, const int64_t* rows, index_t first, index_t count,
                               const AugmentScratch<T, S>& scratch, const AugmentParams& p) {
  constexpr int together = kPhiloxBlocks / 4;
  const index_t size = p.height * p.width * p.channels, n = p.width * p.channels;
  for (index_t e = 0; e < n + kSamples; ++e) {
    scratch.column[e] = static_cast<T>(e / p.channels);
    scratch.channel[e] = static_cast<int32_t>(e % p.channels);
  }
  fill_surroundings(scratch.padded, p);
  PhiloxWords words;
  for (index_t i = 0; i < count; ++i) {
    const int position = static_cast<int>(i % together);
    if (position == 0) philox(words, p.random, static_cast<uint64_t>(4 * (first + i)));
    const uint32_t* own = words.word + 16 * position;
    const index_t row = rows ? static_cast<index_t>(rows[i]) : i;
    augment_image(y + i * size, x + row * size, draw_augmentation(own, p), scratch, p);
  }
}

// y (count, H, W, C): image i is row rows[i] of x (any, H, W, C), transformed with the random words
// of image first + i of the batch; if rows is null, rows 0, 1, ... y must not overlap x.
template <class T>
void augment(T* y, const T* x, const int64_t* rows, index_t first, index_t count,
             const AugmentScratch<T, T>& scratch, const AugmentParams& p) {
  augment_images<T, T>(y, x, rows, first, count, scratch, p);
}

// The same for bytes.
template <class T>
void augment_bytes(T* y, const uint8_t* x, const int64_t* rows, index_t first, index_t count,
                   const AugmentScratch<T, uint8_t>& scratch, const AugmentParams& p) {
  augment_images<T, uint8_t>(y, x, rows, first, count, scratch, p);
}
