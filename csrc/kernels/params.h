// Parameters of the kernels: plain structs and enums, the only types shared by the instruction-set
// units and the rest. Their names are in ops/activation.cpp and ops/loss.cpp.
#pragma once

#include "base/types.h"

namespace nnfast {

enum class Activation : int {
  identity,
  heaviside,
  sigmoid,
  tanh,
  relu,
  leaky_relu,
  elu,
  selu,
  gelu,
  gelu_tanh,
  silu,
  softplus,
  softsign,
  hard_sigmoid,
  softmax,      // over a row, not element-wise
  log_softmax,  // likewise
};

enum class Loss : int {
  mse,
  half_squared_error,
  mae,
  sum_absolute_error,
  huber,
  binary_cross_entropy,  // of probabilities
  binary_cross_entropy_logits,
  cross_entropy,  // of probabilities; see also the kernel softmax_cross_entropy
};

// A mean is a sum to the kernels.
enum class Reduction : int { sum, mean, max, min, prod };

enum class MathFunction : int { exp, expm1, log, log1p, tanh, sigmoid, erf, softplus };

// Element-wise functions of one and of two numbers; see unary.inl, binary.inl and
// ops/tensor/elementwise.h, where their names are.
enum class Unary : int {
  negative,
  abs,
  sign,
  square,
  sqrt,
  rsqrt,
  reciprocal,
  exp,
  expm1,
  log,
  log1p,
  sin,
  cos,
  tanh,
  erf,
  floor,
  ceil,
  round,
  logical_not,
  is_finite,
  is_nan,
};

enum class Binary : int {
  add,
  subtract,
  multiply,
  divide,
  power,
  maximum,
  minimum,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  logical_and,
  logical_or,
  logical_xor,
  floor_divide,
  mod,
};

// Initial value of the chains of a matrix product. `added`: 0, and the sum is added to the output,
// so that a long sum consists of the sums of its parts.
enum class GemmStart : int { zero, bias, output, added };

// y (rows, n) = fma(x - center, scale, shift) by columns; null: y = x. The difference is exact if x
// is close to the center, so y is exactly `shift` for a constant x, however large.
template <class T>
struct ColumnScale {
  const T *center, *scale, *shift;  // (n)
};

// C (M, n) = start + A (M, K) * B (K, n) for one panel of n <= gemm_columns columns. A is read in
// place through its strides; the columns of B are contiguous. A row of A may consist of runs, like
// the taps of a convolution: K = outer * inner * k, and run (i, j) starts at i * a_outer + j *
// a_inner.
template <class T>
struct GemmPanel {
  const T* a;
  index_t a_row, a_k;
  index_t outer, inner, a_outer, a_inner;
  const T* b;
  index_t b_k;
  T* c;
  index_t c_row;
  const T* bias;  // (n), for GemmStart::bias
  index_t m, n, k;
  GemmStart start;
  ColumnScale<T> scaled;  // applied to the result
  bool relu;              // then max(0, .)
  bool check;             // report infinities and NaN in C
  bool streams;           // C is written by non-temporal stores; its rows are aligned to 64 bytes
  T* packed;  // (K, n) for a copy of B, or null; n = gemm_columns, m >= the rows of a tile
};

// y (n) = start + x (K) * B (K, n): a matrix product with one row.
template <class T>
struct Gemv {
  const T* x;
  index_t x_k;
  const T* b;
  index_t b_k;
  T* y;
  const T* bias;
  index_t n, k;
  GemmStart start;
};

// Copies a block (K, n) to rows of `width` elements, with zeros after n. One stride of the source
// is 1.
template <class T>
struct PackPanel {
  T* out;
  index_t width;
  const T* b;
  index_t b_k, b_n;
  index_t k, n;
};

// A row y (width, channels) of an image covered by `rows` rows of windows: see fold.inl.
template <class T>
struct FoldRow {
  T* y;
  T* const* x;  // the first row is overwritten
  index_t rows, x_row, width, channels;
  index_t outputs, taps, stride, before;
};

// A row of Winograd tiles, with its four rows of pixels (null: zeros): see winograd.inl.
template <class T>
struct WinogradInput {
  T* out;
  const T* rows[4];
  index_t first, width, pixel, channels;  // the first tile's column; of the image; of a pixel
  index_t plane, tiles;
};
template <class T>
struct WinogradOutput {
  T* y;
  index_t line, pixel, outputs, columns;  // `outputs` pixels in a row
  int rows;                               // 1 or 2
  const T* products;                      // 16 matrices (tiles, width), `plane` apart
  index_t plane, width, tiles;
  const T* bias;  // or null
  ColumnScale<T> scaled;
  bool relu;
};

// A row of tiles of the output gradient, with its two rows of pixels (null: zeros).
template <class T>
struct WinogradGradient {
  T* out;
  const T* rows[2];
  index_t outputs, channels;  // `outputs` pixels in a row
  index_t plane, tiles;
};

// Taps along a row of an image: tap t of output o is input first + o * step + t * spacing, if that
// is in [0, width).
struct TapAxis {
  index_t taps, first, spacing, step, width, outputs;
};

// A row y (outputs, channels) of a depthwise convolution: see depthwise.inl. The tap rows inside
// the image: rows of x (width, channels), x_row apart, and of the kernel.
template <class T>
struct DepthwiseRow {
  TapAxis axis;
  T* y;
  index_t y_pixel;
  const T* x;
  index_t x_row;
  const T* kernel;
  index_t kernel_row, kernel_tap;
  const T* bias;          // (channels), or null
  ColumnScale<T> scaled;  // applied to the result
  index_t rows, channels;
  bool relu;  // then max(0, .)
};

// The sums over a row dy (outputs, channels): see depthwise.inl. `pixel` is the stride between
// pixels, and between taps of d_kernel.
template <class T>
struct DepthwiseGradient {
  TapAxis axis;
  T* d_kernel;
  index_t kernel_row;
  const T* dy;
  const T* x;
  index_t x_row, pixel;
  index_t rows, channels;
};

struct ActivationParams {
  Activation kind;
  double alpha;  // threshold of heaviside, slope of leaky_relu, scale of elu
};

struct LossParams {
  Loss kind;
  double delta;  // of huber
};

// Softmax with cross-entropy over rows of K logits.
template <class T>
struct SoftmaxCrossEntropy {
  T* value;               // (rows) or null: -sum_k t_k log p_k
  T* d_logits;            // (rows, K) or null: (p sum_k t_k - t) * scale of the row
  const T* logits;        // (rows, K)
  const int32_t* labels;  // (rows), or null
  const T* targets;       // (rows, K), where labels is null
  const T* row_scale;     // (rows) factors of the gradient besides `scale`, or null
  double scale;
  double label_smoothing;
  index_t rows, classes;
};

struct SgdParams {
  double learning_rate, momentum;
  bool nesterov;
};

// rate = learning rate / (1 - beta_1^t); second = 1 / (1 - beta_2^t).
struct AdamParams {
  double rate, second, beta_1, beta_2, epsilon;
};

// momentum and gradient: factors of the new m and of g in the step.
struct NadamParams {
  double momentum, gradient, second, beta_1, beta_2, epsilon;
};

struct AdamaxParams {
  double rate, beta_1, beta_2, epsilon;
};

struct LionParams {
  double learning_rate, beta_1, beta_2;
};

struct AdagradParams {
  double learning_rate, epsilon;
};

struct AdadeltaParams {
  double learning_rate, rho, epsilon;
};

struct RmspropParams {
  double learning_rate, rho, momentum, epsilon;
};

// An axis of a pooling window: output o covers `size` inputs from o * stride - before on.
struct PoolAxis {
  index_t in, out, size, stride, before;
};

struct PoolParams {
  PoolAxis h, w;
  index_t channels;
  bool relu;  // of a maximum: max(0, .) of the result, and its gradient
};

// A linear map along an axis: output o is the sum over k < count[o] of weights[o * taps + k] times
// input first[o] + k, 1 <= count[o] <= taps.
template <class T>
struct ResampleAxis {
  const T* weights;
  const index_t *first, *count;
  index_t taps, in, out;
};

template <class T>
struct Resample {
  ResampleAxis<T> h, w;
  index_t channels;
};

// Position in the sequence of random numbers: see random.inl.
struct RandomStream {
  uint64_t seed;
  uint32_t step, stream;
};

struct DropoutParams {
  RandomStream random;
  uint32_t threshold;  // an element is kept if its 32 random bits are at least this
  double scale;        // factor of the kept elements
};

// Gradient of a batch through y = fma(x - mean, scale, shift), the normalization of columns. g is
// dy, or 0 where relu is set and y is not above 0.
template <class T>
struct NormGradient {
  T* dx;                          // (rows, n) = (x - mean) x_factor + (g scale + offset)
  const T *dy, *x;                // (rows, n)
  const T *mean, *scale, *shift;  // (n)
  const T *x_factor, *offset;     // (n)
  index_t row;                    // elements from one row to the next
  index_t rows, n;
  bool relu;
};

// y (rows, n) = (x - mean of the row) / sqrt(variance of the row + epsilon) * gamma + beta.
template <class T>
struct LayerNorm {
  T* y;
  const T* x;
  const T *gamma, *beta;  // (n), or null for 1 and 0
  index_t rows, n;
  double epsilon;
};

template <class T>
struct LayerNormGradient {
  T* dx;                // (rows, n), or null
  T *d_gamma, *d_beta;  // (n): added to
  const T *dy, *x;      // (rows, n)
  const T* gamma;       // (n), or null for 1
  index_t rows, n;
  double epsilon;
};

// ---- attention ----------------------------------------------------------------------------------

// Scores of a block of queries and keys of one head, `row` elements from one query to the next; rows
// have room for whole vectors. Query r sees the first min(keys, seen + r) of the keys (none if that
// is negative), except those whose mask is 0.
template <class T>
struct AttentionBlock {
  index_t queries, keys, row;
  index_t seen;
  const T* mask;     // (keys), or (queries, keys) with a stride of mask_row; or null
  index_t mask_row;  // 0: the same mask for all queries
  double scale;      // of the scores
};

template <class T>
struct AttentionWeights {
  AttentionBlock<T> block;
  T* weights;        // scores, replaced
  T *largest, *sum;  // (queries), over the keys so far: -inf and 0 before the first
  T* y;              // (queries, d) rescaled to the new largest score; or null
  index_t y_row, d;
};

template <class T>
struct AttentionSums {
  T* y;  // (queries, d)
  index_t y_row;
  T* log_sum;              // (queries), or null
  const T *largest, *sum;  // (queries)
  index_t queries, d;
};

template <class T>
struct AttentionGradients {
  AttentionBlock<T> block;
  T* weights;        // scores, replaced
  T* d_weights;      // replaced by the gradient of the unscaled scores
  const T* log_sum;  // (queries)
  const T *y, *dy;   // (queries, d)
  index_t y_row, d;
};

// Rotary positions of x (positions, heads, d): see rotary.inl.
template <class T>
struct Rotation {
  const T *cosine, *sine;  // (positions, d / 2)
  index_t positions, heads, d;
  bool interleaved;  // pairs (2 i, 2 i + 1), else (i, i + d / 2)
  bool inverse;
};

// ---- recurrent cells ----------------------------------------------------------------------------

// A time step of recurrent cells on the rows of a batch: see recurrent.inl. Arrays are (rows, units),
// z has a column of units for each gate; y and dy, which may be null, have rows further apart.
template <class T>
struct LstmStep {
  T* z;  // (rows, 4 units)
  const T* c_before;
  T *c, *h, *y;
  index_t y_row, rows, units;
};
template <class T>
struct LstmStepGradient {
  T* z;
  const T *c_before, *c;
  T *dh, *dc;
  const T* dy;
  index_t dy_row, rows, units;
};
template <class T>
struct GruStep {
  T* z;                // (rows, 3 units)
  const T* recurrent;  // null if the reset gate comes before the product
  const T* h_before;
  T *h, *y;
  index_t y_row, rows, units;
};
template <class T>
struct GruStepGradient {
  T *z, *recurrent;
  const T* h_before;
  T* dh;
  const T* dy;
  index_t dy_row, rows, units;
};

// What stands outside of an image: a constant, the nearest pixel, or the image mirrored at its edges.
enum class Fill : int { constant, nearest, reflect };

// Random changes of images (H, W, C): see augment.inl.
struct AugmentParams {
  RandomStream random;
  index_t height, width, channels;
  bool horizontal_flip, vertical_flip;
  double shift;            // pixels
  index_t crop_padding;    // pixels
  double rotation, shear;  // turns
  double zoom;
  double brightness, contrast;
  index_t cutout;  // pixels
  Fill fill;
  double fill_value;
  double scale, offset;  // of the rescaling afterwards
};

// Working memory of the augmentation, for sources of type S. Sizes: ops/image/augment.cpp.
template <class T, class S>
struct AugmentScratch {
  T* column;         // (W, C): each element's column
  int32_t* channel;  // (W, C): and channel
  S* row;            // (W, C)
  S* padded;         // (H + 3, W + 3, C)
  int32_t* square;   // (H + 2, W + 3, C), where S is a byte: four neighbors, a byte each
};

}  // namespace nnfast
