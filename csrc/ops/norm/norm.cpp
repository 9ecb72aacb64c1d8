#include "ops/norm/norm.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

constexpr index_t kStrip = 64;      // channels summed together
constexpr index_t kTile = 4096;     // elements of a tile: it is read twice, the second time from L1
constexpr index_t kMinRows = 64;    // minimum rows of a tile, so that there is little to merge
constexpr index_t kMaxItems = 64;   // maximum pieces of work, to have few partial sums
constexpr index_t kMaxBlocks = 16;  // likewise for images and rows
constexpr double kSumCost = 0.2, kApplyCost = 0.2;  // per element, in nanoseconds

// Several rows with few channels are treated as one wide row, which fills vectors: 16 rows of 6
// channels are one of 96. Sums over wide rows are folded at the end.
struct Fold {
  index_t rows, width;
};

Fold fold_of(index_t n) {
  index_t rows = 1;
  if (n < kStrip) {
    while (rows * n % 16 != 0 || rows * n < kStrip) rows *= 2;
  }
  return {rows, rows * n};
}

// Partition of a matrix (rows, n): into tiles of rows, blocks of tiles, and strips of channels.
struct Cut {
  Cut(index_t rows_, index_t n_) : rows(rows_), n(n_), fold(fold_of(n_)) {
    tile_rows = std::max(kMinRows, kTile / n / fold.rows * fold.rows);
    tiles = (rows + tile_rows - 1) / tile_rows;
    strips = (n + kStrip - 1) / kStrip;
    blocks = std::max<index_t>(1, std::min(tiles, kMaxItems / strips));
  }
  double cost(double element) const { return element * static_cast<double>(rows * n); }

  index_t rows, n;
  Fold fold;
  index_t tile_rows, tiles, strips, blocks;
};

// A block of rows and a strip of channels: one piece of work.
struct Piece {
  index_t block, channel, channels, begin, end;
};

template <class Body>
void for_each_piece(const Cut& cut, bool share, double cost, const Body& body) {
  const auto run = [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t block = i / cut.strips, channel = i % cut.strips * kStrip;
      body(Piece{block, channel, std::min(kStrip, cut.n - channel),
                 cut.tiles * block / cut.blocks * cut.tile_rows,
                 std::min(cut.rows, cut.tiles * (block + 1) / cut.blocks * cut.tile_rows)});
    }
  };
  const index_t pieces = cut.blocks * cut.strips;
  if (share) {
    parallel_ranges(pieces, 1, cost, run);
  } else {
    run(0, pieces);
  }
}

// body(offset of the first element, stride between rows, rows, width) for the rows of a tile, as
// wide rows if they are folded, and for the remaining ones that do not fill a wide row.
template <class Body>
void for_wide_rows(const Cut& cut, const Piece& piece, index_t begin, index_t end,
                   const Body& body) {
  const index_t at = begin * cut.n + piece.channel;
  if (cut.fold.rows == 1) return body(at, cut.n, end - begin, piece.channels);
  const index_t whole = (end - begin) / cut.fold.rows, rest = (end - begin) % cut.fold.rows;
  if (whole > 0) body(at, cut.fold.width, whole, cut.fold.width);
  if (rest > 0) body(at + whole * cut.fold.width, cut.fold.width, index_t(1), rest * cut.n);
}

constexpr index_t kWidest = 16 * kStrip;  // maximum width of a folded row

// The sums of a tile's columns, and those of the corresponding channels.
template <class T>
struct TileSums {
  T wide[kWidest];

  void clear(index_t width) { std::fill(wide, wide + width, T(0)); }
  double of_channel(index_t channel, index_t channels, index_t width) const {
    double sum = 0;
    for (index_t j = channel; j < width; j += channels) sum += static_cast<double>(wide[j]);
    return sum;
  }
};

// Merges the (mean, square) of `more_count` other rows into that of `count` rows.
void merge_moments(double* mean, double* square, index_t count, const double* more_mean,
                   const double* more_square, index_t more_count, index_t n) {
  const double share = static_cast<double>(more_count) / static_cast<double>(count + more_count);
  const double weight = share * static_cast<double>(count);
  for (index_t c = 0; c < n; ++c) {
    const double delta = more_mean[c] - mean[c];
    mean[c] += delta * share;
    square[c] += more_square[c] + delta * delta * weight;
  }
}

// For the columns of one tile: the mean, and the sum of squared deviations from it.
template <class T>
void tile_moments(double* mean, double* square, const T* x, const Cut& cut, const Piece& piece,
                  index_t begin, index_t end) {
  TileSums<T> sums, squares, shift;
  const index_t n = piece.channels, width = cut.fold.rows * n;
  const double rows = static_cast<double>(end - begin);
  const Kernels<T>& table = kernels<T>();
  sums.clear(width);
  for_wide_rows(cut, piece, begin, end, [&](index_t at, index_t row, index_t count, index_t w) {
    table.column_moments(sums.wide, nullptr, x + at, nullptr, row, count, w);
  });
  for (index_t c = 0; c < n; ++c) {
    const T rough = static_cast<T>(sums.of_channel(c, n, width) / rows);
    for (index_t j = c; j < width; j += n) shift.wide[j] = rough;
  }
  sums.clear(width);
  squares.clear(width);
  for_wide_rows(cut, piece, begin, end, [&](index_t at, index_t row, index_t count, index_t w) {
    table.column_moments(sums.wide, squares.wide, x + at, shift.wide, row, count, w);
  });
  for (index_t c = 0; c < n; ++c) {
    const double rest = sums.of_channel(c, n, width) / rows;
    const double around = squares.of_channel(c, n, width) - rest * rest * rows;
    mean[c] = static_cast<double>(shift.wide[c]) + rest;
    square[c] = around < 0 ? 0 : around;
  }
}

// partial: 2 * blocks * n elements.
template <class T>
void statistics(double* mean, double* variance, const T* x, const Cut& cut, double* partial,
                bool share) {
  double* squares = partial + cut.blocks * cut.n;
  for_each_piece(cut, share, cut.cost(kSumCost), [&](const Piece& piece) {
    double* own = partial + piece.block * cut.n + piece.channel;
    double* own_square = squares + piece.block * cut.n + piece.channel;
    double tile[kStrip], tile_square[kStrip];
    std::fill(own, own + piece.channels, 0.0);
    std::fill(own_square, own_square + piece.channels, 0.0);
    for (index_t row = piece.begin; row < piece.end; row += cut.tile_rows) {
      const index_t end = std::min(piece.end, row + cut.tile_rows);
      tile_moments(tile, tile_square, x, cut, piece, row, end);
      merge_moments(own, own_square, row - piece.begin, tile, tile_square, end - row,
                    piece.channels);
    }
  });
  std::fill(mean, mean + cut.n, 0.0);
  std::fill(variance, variance + cut.n, 0.0);
  index_t rows = 0;
  for (index_t block = 0; block < cut.blocks; ++block) {
    const index_t end = std::min(cut.rows, cut.tiles * (block + 1) / cut.blocks * cut.tile_rows);
    merge_moments(mean, variance, rows, partial + block * cut.n, squares + block * cut.n,
                  end - rows, cut.n);
    rows = end;
  }
  for (index_t c = 0; c < cut.n; ++c) variance[c] /= static_cast<double>(cut.rows);
}

// ---- memory of one normalization ------------------------------------------------------------------

// Parameters of the columns, those in T repeated to the width of a folded row.
template <class T>
struct Workspace {
  double *partial, *mean, *variance, *sum, *product;
  T *center, *scale, *shift, *x_factor, *offset;
};

size_t partial_size(index_t n) { return 2 * static_cast<size_t>(std::max(kStrip * kMaxItems, n)); }

template <class T>
size_t workspace_bytes(index_t n) {
  const size_t doubles = align_up(sizeof(double) * (partial_size(n) + 4 * static_cast<size_t>(n)));
  return doubles + 5 * align_up(sizeof(T) * static_cast<size_t>(fold_of(n).width));
}

template <class T>
Workspace<T> workspace_at(void* memory, index_t n) {
  Workspace<T> w;
  w.partial = static_cast<double*>(memory);
  w.mean = w.partial + partial_size(n);
  w.variance = w.mean + n;
  w.sum = w.variance + n;
  w.product = w.sum + n;
  char* at = static_cast<char*>(memory) +
             align_up(sizeof(double) * (partial_size(n) + 4 * static_cast<size_t>(n)));
  for (T** array : {&w.center, &w.scale, &w.shift, &w.x_factor, &w.offset}) {
    *array = reinterpret_cast<T*>(at);
    at += align_up(sizeof(T) * static_cast<size_t>(fold_of(n).width));
  }
  return w;
}

template <class T>
Workspace<T> workspace(index_t n) {
  return workspace_at<T>(thread_scratch(workspace_bytes<T>(n)), n);
}

// The first n elements repeated to the width of a folded row.
template <class T>
void repeat(T* numbers, const Cut& cut) {
  for (index_t j = cut.n; j < cut.fold.width; ++j) numbers[j] = numbers[j - cut.n];
}

// NaN if the variance is not finite, so that the outputs show it.
double inverse_deviation(double variance, double epsilon) {
  return std::isfinite(variance) ? 1 / std::sqrt(variance + epsilon)
                                 : std::numeric_limits<double>::quiet_NaN();
}

template <class T>
double gamma_of(const Normalization<T>& p, index_t c) {
  return p.gamma ? static_cast<double>(p.gamma[c]) : 1;
}

template <class T>
void find_scale(const Workspace<T>& w, const double* mean, const double* variance, const Cut& cut,
                const Normalization<T>& p) {
  batch_norm_scale(w.center, w.scale, w.shift, mean, variance, p);
  repeat(w.center, cut);
  repeat(w.scale, cut);
  repeat(w.shift, cut);
}

// body(first element, wide rows, width) for pieces of whole rows.
template <class Body>
void for_each_stretch(const Cut& cut, bool share, double cost, const Body& body) {
  const auto run = [&](index_t begin, index_t end) {
    for_wide_rows(cut, {0, 0, cut.n, begin, end}, begin, end,
                  [&](index_t at, index_t, index_t rows, index_t width) { body(at, rows, width); });
  };
  if (share) {
    parallel_ranges(cut.rows, cut.fold.rows, cost, run);
  } else {
    run(0, cut.rows);
  }
}

template <class T>
void normalize(T* y, const T* x, const Workspace<T>& w, const Cut& cut, bool relu, bool share) {
  for_each_stretch(cut, share, cut.cost(kApplyCost), [&](index_t at, index_t rows, index_t width) {
    kernels<T>().normalize_columns(y + at, x + at, {w.center, w.scale, w.shift}, rows, width, relu);
  });
}

// ---- gradients --------------------------------------------------------------------------------------

// The inputs of a gradient, for every channel.
template <class T>
struct Source {
  const T *dy, *x;
  const double *mean, *variance;
};

template <class T>
NormGradient<T> gradient_at(const Source<T>& in, const Workspace<T>& w, bool relu, index_t at,
                            index_t channel, index_t row, index_t rows, index_t n) {
  NormGradient<T> g{};
  g.dy = in.dy + at;
  g.x = in.x + at;
  g.mean = w.center + channel;
  g.scale = w.scale + channel;
  g.shift = w.shift + channel;
  g.x_factor = w.x_factor + channel;
  g.offset = w.offset + channel;
  g.row = row;
  g.rows = rows;
  g.n = n;
  g.relu = relu;
  return g;
}

// w.sum = sum over rows of g, w.product = that of g (x - mean), where g is dy masked by the
// activation.
template <class T>
void gradient_sums(const Source<T>& in, const Workspace<T>& w, const Cut& cut, bool relu,
                   bool share) {
  double* products = w.partial + cut.blocks * cut.n;
  for_each_piece(cut, share, cut.cost(2 * kSumCost), [&](const Piece& piece) {
    double* own = w.partial + piece.block * cut.n + piece.channel;
    double* own_product = products + piece.block * cut.n + piece.channel;
    const index_t n = piece.channels, width = cut.fold.rows * n;
    TileSums<T> sums, product_sums;
    std::fill(own, own + n, 0.0);
    std::fill(own_product, own_product + n, 0.0);
    for (index_t row = piece.begin; row < piece.end; row += cut.tile_rows) {
      const index_t end = std::min(piece.end, row + cut.tile_rows);
      sums.clear(width);
      product_sums.clear(width);
      for_wide_rows(cut, piece, row, end, [&](index_t at, index_t step, index_t rows, index_t k) {
        kernels<T>().column_gradient_sums(
            sums.wide, product_sums.wide,
            gradient_at(in, w, relu, at, piece.channel, step, rows, k));
      });
      for (index_t c = 0; c < n; ++c) {
        own[c] += sums.of_channel(c, n, width);
        own_product[c] += product_sums.of_channel(c, n, width);
      }
    }
  });
  std::fill(w.sum, w.sum + cut.n, 0.0);
  std::fill(w.product, w.product + cut.n, 0.0);
  for (index_t first = 0; first < cut.blocks * cut.n; first += cut.n) {
    for (index_t c = 0; c < cut.n; ++c) {
      w.sum[c] += w.partial[first + c];
      w.product[c] += products[first + c];
    }
  }
  // Rounding error of the mean in T.
  for (index_t c = 0; c < cut.n; ++c) {
    w.product[c] -= (in.mean[c] - static_cast<double>(w.center[c])) * w.sum[c];
  }
}

// With u = (x - mean) inverse and means over a group of `together` channels and all rows: dx =
// inverse (gamma g - mean(gamma g) - u mean(gamma g u)).
template <class T>
void find_factors(const Source<T>& in, const Workspace<T>& w, const Cut& cut, index_t together,
                  bool constant, const Normalization<T>& p) {
  const double share = constant ? 0 : 1 / static_cast<double>(cut.rows * together);
  for (index_t first = 0; first < cut.n; first += together) {
    const double inverse = inverse_deviation(in.variance[first], p.epsilon);
    double mean_g = 0, mean_gu = 0;
    for (index_t c = first; c < first + together && !constant; ++c) {
      mean_g += gamma_of(p, c) * w.sum[c] * share;
      mean_gu += gamma_of(p, c) * w.product[c] * inverse * share;
    }
    const double factor = -inverse * inverse * mean_gu;
    for (index_t c = first; c < first + together; ++c) {
      const double rounding = in.mean[c] - static_cast<double>(w.center[c]);
      w.x_factor[c] = static_cast<T>(factor);
      w.offset[c] = static_cast<T>(-inverse * mean_g - rounding * factor);
    }
  }
  repeat(w.x_factor, cut);
  repeat(w.offset, cut);
}

template <class T>
void input_gradient(T* dx, const Source<T>& in, const Workspace<T>& w, const Cut& cut, bool relu,
                    bool share) {
  for_each_stretch(
      cut, share, cut.cost(2 * kApplyCost), [&](index_t at, index_t rows, index_t width) {
        NormGradient<T> g = gradient_at(in, w, relu, at, index_t(0), width, rows, width);
        g.dx = dx + at;
        kernels<T>().normalize_columns_backward(g);
      });
}

template <class T>
void store_rounded(T* to, const double* from, index_t n) {
  for (index_t c = 0; to && c < n; ++c) to[c] = static_cast<T>(from[c]);
}

}  // namespace

// shift compensates for the rounding of the mean.
template <class T>
void batch_norm_scale(T* center, T* scale, T* shift, const double* mean, const double* variance,
                      const Normalization<T>& p) {
  for (index_t c = 0; c < p.n; ++c) {
    center[c] = static_cast<T>(mean[c]);
    scale[c] = static_cast<T>(gamma_of(p, c) * inverse_deviation(variance[c], p.epsilon));
    const double beta = p.beta ? static_cast<double>(p.beta[c]) : 0;
    const double rounding = mean[c] - static_cast<double>(center[c]);
    shift[c] = static_cast<T>(beta - rounding * static_cast<double>(scale[c]));
  }
}

template <class T>
void batch_statistics(double* mean, double* variance, const T* x, index_t rows, index_t n) {
  statistics(mean, variance, x, Cut(rows, n), workspace<T>(n).partial, true);
}

template <class T>
void batch_norm_forward(T* y, const T* x, const double* mean, const double* variance,
                        const Normalization<T>& p) {
  const Cut cut(p.rows, p.n);
  const Workspace<T> w = workspace<T>(p.n);
  find_scale(w, mean, variance, cut, p);
  normalize(y, x, w, cut, p.relu, true);
}

template <class T>
void batch_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         const double* mean, const double* variance, bool constant,
                         const Normalization<T>& p) {
  const Cut cut(p.rows, p.n);
  const Workspace<T> w = workspace<T>(p.n);
  const Source<T> in{dy, x, mean, variance};
  find_scale(w, in.mean, in.variance, cut, p);
  if (out.d_gamma || out.d_beta || (out.dx && !constant)) gradient_sums(in, w, cut, p.relu, true);
  if (out.dx) {
    find_factors(in, w, cut, 1, constant, p);
    input_gradient(out.dx, in, w, cut, p.relu, true);
  }
  for (index_t c = 0; out.d_gamma && c < p.n; ++c) {
    out.d_gamma[c] = static_cast<T>(w.product[c] * inverse_deviation(variance[c], p.epsilon));
  }
  store_rounded(out.d_beta, w.sum, p.n);
}

// ---- groups -----------------------------------------------------------------------------------------

namespace {

// Few images are divided by rows, many by images; the bits do not depend on it.
bool share_inside(index_t images) { return images < get_num_threads(); }

template <class Body>
void for_each_block(index_t blocks, bool share, double cost, const Body& body) {
  const auto run = [&](index_t begin, index_t end) {
    for (index_t block = begin; block < end; ++block) body(block);
  };
  if (share) {
    parallel_ranges(blocks, 1, cost, run);
  } else {
    run(0, blocks);
  }
}

// Statistics of an image in w.mean and w.variance, equal for all channels of a group.
template <class T>
void group_statistics(const T* x, const Workspace<T>& w, const Cut& cut, index_t groups,
                      bool share) {
  statistics(w.mean, w.variance, x, cut, w.partial, share);
  const index_t together = cut.n / groups;
  for (index_t first = 0; first < cut.n; first += together) {
    double mean = 0, square = 0;
    for (index_t i = 0; i < together; ++i) {
      const double more = w.variance[first + i];  // all channels have the same weight
      merge_moments(&mean, &square, i, w.mean + first + i, &more, 1, 1);
    }
    std::fill(w.mean + first, w.mean + first + together, mean);
    std::fill(w.variance + first, w.variance + first + together,
              square / static_cast<double>(together));
  }
}

}  // namespace

template <class T>
void group_norm_forward(T* y, const T* x, index_t images, index_t groups,
                        const Normalization<T>& p) {
  const Cut cut(p.rows, p.n);
  const bool inside = share_inside(images);
  const index_t blocks = std::min(images, kMaxBlocks), size = p.rows * p.n;
  const size_t bytes = workspace_bytes<T>(p.n);
  char* memory = static_cast<char*>(thread_scratch(static_cast<size_t>(blocks) * bytes));
  const double cost = cut.cost(kSumCost + kApplyCost) * static_cast<double>(images);
  for_each_block(blocks, !inside, cost, [&](index_t block) {
    const Workspace<T> w = workspace_at<T>(memory + static_cast<size_t>(block) * bytes, p.n);
    for (index_t i = images * block / blocks; i < images * (block + 1) / blocks; ++i) {
      group_statistics(x + i * size, w, cut, groups, inside);
      find_scale(w, w.mean, w.variance, cut, p);
      normalize(y + i * size, x + i * size, w, cut, p.relu, inside);
    }
  });
}

template <class T>
void group_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         index_t images, index_t groups, const Normalization<T>& p) {
  const Cut cut(p.rows, p.n);
  const bool inside = share_inside(images);
  const index_t blocks = std::min(images, kMaxBlocks), size = p.rows * p.n;
  const size_t own = workspace_bytes<T>(p.n), n = static_cast<size_t>(p.n);
  const size_t bytes = own + align_up(2 * n * sizeof(double));  // d_gamma, d_beta
  char* memory = static_cast<char*>(thread_scratch(static_cast<size_t>(blocks) * bytes));
  const auto totals_of = [&](index_t block) {
    return reinterpret_cast<double*>(memory + static_cast<size_t>(block) * bytes + own);
  };
  const double cost = cut.cost(3 * kSumCost + 2 * kApplyCost) * static_cast<double>(images);
  for_each_block(blocks, !inside, cost, [&](index_t block) {
    const Workspace<T> w = workspace_at<T>(memory + static_cast<size_t>(block) * bytes, p.n);
    double* totals = totals_of(block);
    std::fill(totals, totals + 2 * n, 0.0);
    for (index_t i = images * block / blocks; i < images * (block + 1) / blocks; ++i) {
      const Source<T> in{dy + i * size, x + i * size, w.mean, w.variance};
      group_statistics(in.x, w, cut, groups, inside);
      find_scale(w, in.mean, in.variance, cut, p);
      gradient_sums(in, w, cut, p.relu, inside);
      for (index_t c = 0; c < p.n; ++c) {
        totals[c] += w.product[c] * inverse_deviation(w.variance[c], p.epsilon);
        totals[p.n + c] += w.sum[c];
      }
      if (!out.dx) continue;
      find_factors(in, w, cut, p.n / groups, false, p);
      input_gradient(out.dx + i * size, in, w, cut, p.relu, inside);
    }
  });
  double* totals = totals_of(0);
  for (index_t block = 1; block < blocks; ++block) {
    for (size_t c = 0; c < 2 * n; ++c) totals[c] += totals_of(block)[c];
  }
  store_rounded(out.d_gamma, totals, p.n);
  store_rounded(out.d_beta, totals + p.n, p.n);
}

// ---- dropout ----------------------------------------------------------------------------------------

template <class T>
void dropout_channels(T* y, const T* x, index_t images, index_t rows, index_t n,
                      const DropoutParams& p) {
  const Cut cut(rows, n);
  const index_t blocks = std::min(images, kMaxBlocks), width = cut.fold.width;
  const size_t bytes = align_up(2 * static_cast<size_t>(width) * sizeof(T));
  char* memory = static_cast<char*>(thread_scratch(static_cast<size_t>(blocks) * bytes));
  const double cost = cut.cost(kApplyCost) * static_cast<double>(images);
  for_each_block(blocks, true, cost, [&](index_t block) {
    T* factors = reinterpret_cast<T*>(memory + static_cast<size_t>(block) * bytes);
    T* zeros = factors + width;
    std::fill(zeros, zeros + width, T(0));
    for (index_t i = images * block / blocks; i < images * (block + 1) / blocks; ++i) {
      std::fill(factors, factors + n, T(1));
      kernels<T>().dropout(factors, factors, i * n, n, p);
      repeat(factors, cut);
      for_each_stretch(cut, false, 0, [&](index_t at, index_t count, index_t w) {
        const index_t from = i * rows * n + at;
        kernels<T>().normalize_columns(y + from, x + from, {zeros, factors, zeros}, count, w,
                                       false);
      });
    }
  });
}

#define NNF_INSTANTIATE(T)                                                                      \
  template void batch_statistics<T>(double*, double*, const T*, index_t, index_t);              \
  template void batch_norm_scale<T>(T*, T*, T*, const double*, const double*,                   \
                                    const Normalization<T>&);                                   \
  template void batch_norm_forward<T>(T*, const T*, const double*, const double*,               \
                                      const Normalization<T>&);                                 \
  template void batch_norm_backward<T>(const NormalizationGradients<T>&, const T*, const T*,    \
                                       const double*, const double*, bool,                      \
                                       const Normalization<T>&);                                \
  template void group_norm_forward<T>(T*, const T*, index_t, index_t, const Normalization<T>&); \
  template void group_norm_backward<T>(const NormalizationGradients<T>&, const T*, const T*,    \
                                       index_t, index_t, const Normalization<T>&);              \
  template void dropout_channels<T>(T*, const T*, index_t, index_t, index_t, const DropoutParams&);
NNF_INSTANTIATE(float)
NNF_INSTANTIATE(double)
#undef NNF_INSTANTIATE

}  // namespace nnfast
