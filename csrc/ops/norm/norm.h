// Normalisation of whole tensors, on all threads: batch (Ioffe, Szegedy 2015, arXiv:1502.03167), group
// (Wu, He 2018, arXiv:1803.08494) and layer normalisation (Ba, Kiros, Hinton 2016, arXiv:1607.06450).
// Sums over rows are made in tiles of a few thousand numbers, around the tile's own mean, and the
// tiles' sums are merged in float64 (Chan, Golub, LeVeque 1983, DOI 10.1080/00031305.1983.10483115).
// Tiles and their order follow from the shape alone.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// What batch and group normalisation do to x (rows, n), n channels.
template <class T>
struct Normalization {
  index_t rows = 0, n = 0;
  const T* gamma = nullptr;  // (n), or null for 1
  const T* beta = nullptr;   // (n), or null for 0
  double epsilon = 0;
  bool relu = false;  // max(0, .) on the way out
};

// Gradients that are wanted; null: not wanted.
template <class T>
struct NormalizationGradients {
  T* dx = nullptr;
  T* d_gamma = nullptr;
  T* d_beta = nullptr;
};

// Mean and variance (sum of squares / rows) of each column of x (rows, n), rows >= 1.
template <class T>
void batch_statistics(double* mean, double* variance, const T* x, index_t rows, index_t n);

// center = mean in T, scale = gamma / sqrt(variance + epsilon), shift = beta - (mean - center) scale (n): those of
// batch_norm_forward. NaN in channels whose variance is not finite.
template <class T>
void batch_norm_scale(T* center, T* scale, T* shift, const double* mean, const double* variance,
                      const Normalization<T>& p);

// y (rows, n) = (x - mean) / sqrt(variance + epsilon) gamma + beta, as fma(x - center, scale, shift): beta
// exactly where x is the mean. NaN in channels whose variance is not finite. y may be x.
template <class T>
void batch_norm_forward(T* y, const T* x, const double* mean, const double* variance,
                        const Normalization<T>& p);

// Its gradients. Where `constant`, mean and variance are given numbers; otherwise they are those of
// x, and their derivatives count.
template <class T>
void batch_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         const double* mean, const double* variance, bool constant,
                         const Normalization<T>& p);

// Each image (p.rows, n) by itself, with statistics over all rows and the n / groups channels of a
// group. y (images, p.rows, n).
template <class T>
void group_norm_forward(T* y, const T* x, index_t images, index_t groups,
                        const Normalization<T>& p);
template <class T>
void group_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         index_t images, index_t groups, const Normalization<T>& p);

// Each row of x (rows, n) by itself; p.relu is not looked at.
template <class T>
void layer_norm_forward(T* y, const T* x, const Normalization<T>& p);
template <class T>
void layer_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         const Normalization<T>& p);

// y (images, rows, n): each channel of each image is 0 with the dropout's probability, else scaled
// (Tompson et al. 2015, arXiv:1411.4280). y may be x.
template <class T>
void dropout_channels(T* y, const T* x, index_t images, index_t rows, index_t n,
                      const DropoutParams& p);

}  // namespace nnfast
