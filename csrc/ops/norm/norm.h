// Normalization of whole tensors, on all threads: batch (Ioffe, Szegedy 2015, arXiv:1502.03167),
// group (Wu, He 2018, arXiv:1803.08494), layer (Ba, Kiros, Hinton 2016, arXiv:1607.06450) and root
// mean square normalization (Zhang, Sennrich 2019, arXiv:1910.07467). Sums over rows are computed in tiles of a few thousand elements, around the
// mean of the tile, and merged in float64 (Chan, Golub, LeVeque 1983, DOI
// 10.1080/00031305.1983.10483115). Tiles and their order depend on the shape alone.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// Batch or group normalization of x (rows, n), n channels.
template <class T>
struct Normalization {
  index_t rows = 0, n = 0;
  const T* gamma = nullptr;  // (n), or null for 1
  const T* beta = nullptr;   // (n), or null for 0
  double epsilon = 0;
  bool relu = false;  // max(0, .) of the result
};

// Requested gradients; null: not requested.
template <class T>
struct NormalizationGradients {
  T* dx = nullptr;
  T* d_gamma = nullptr;
  T* d_beta = nullptr;
};

// Mean and variance (sum of squares / rows) of each column of x (rows, n), rows >= 1.
template <class T>
void batch_statistics(double* mean, double* variance, const T* x, index_t rows, index_t n);

// center = mean in T, scale = gamma / sqrt(variance + epsilon), shift = beta - (mean - center)
// scale (n), as in batch_norm_forward. NaN in channels whose variance is not finite.
template <class T>
void batch_norm_scale(T* center, T* scale, T* shift, const double* mean, const double* variance,
                      const Normalization<T>& p);

// y (rows, n) = (x - mean) / sqrt(variance + epsilon) gamma + beta, as fma(x - center, scale,
// shift): exactly beta where x is the mean. NaN in channels whose variance is not finite. y may be
// x.
template <class T>
void batch_norm_forward(T* y, const T* x, const double* mean, const double* variance,
                        const Normalization<T>& p);

// The gradients. If `constant`, mean and variance are constants; otherwise they are those of x, and
// their derivatives are included.
template <class T>
void batch_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         const double* mean, const double* variance, bool constant,
                         const Normalization<T>& p);

// Each image (p.rows, n) separately, with statistics over all rows and the n / groups channels of a
// group. y (images, p.rows, n).
template <class T>
void group_norm_forward(T* y, const T* x, index_t images, index_t groups,
                        const Normalization<T>& p);
template <class T>
void group_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         index_t images, index_t groups, const Normalization<T>& p);

// Each row of x (rows, n) separately; p.relu is ignored.
template <class T>
void layer_norm_forward(T* y, const T* x, const Normalization<T>& p);
template <class T>
void layer_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         const Normalization<T>& p);

// Likewise without a mean: y = x / sqrt(mean of the row's x^2 + epsilon) gamma; p.beta is ignored.
template <class T>
void rms_norm_forward(T* y, const T* x, const Normalization<T>& p);
template <class T>
void rms_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                       const Normalization<T>& p);

// y (images, rows, n): each channel of each image is set to 0 with the dropout's probability, or
// else scaled (Tompson et al. 2015, arXiv:1411.4280). y may be x.
template <class T>
void dropout_channels(T* y, const T* x, index_t images, index_t rows, index_t n,
                      const DropoutParams& p);

}  // namespace nnfast
