// Pooling of whole batches on all threads. Contracts: kernels/pool.inl.
#pragma once

#include "ops/window.h"

namespace nnfast {

// A window that lies in the padding has no largest element and no mean: throws a ValueError that names
// `where` where the padding of an axis is as large as the window, and where the window is dilated.
void require_pooling(const std::string& where, const Window& window);

// Winners are numbers of elements, and float counts to 2^24: throws a ValueError that names `where` where a
// window has more.
void require_numbered(const std::string& where, const Window& window);

// The one window that sees all of an image.
Window whole_image(index_t h, index_t w);

// y (N, OH, OW, C) from x (N, H, W, C), and dx from dy. relu: y = max(0, the largest). winners, as large
// as y, go from forward to backward; null where there is none.
template <class T>
void max_pool_forward(T* y, T* winners, const T* x, index_t images, index_t channels,
                      const Window& window, bool relu = false);
template <class T>
void max_pool_backward(T* dx, const T* dy, const T* winners, index_t images, index_t channels,
                       const Window& window);
template <class T>
void avg_pool_forward(T* y, const T* x, index_t images, index_t channels, const Window& window);
template <class T>
void avg_pool_backward(T* dx, const T* dy, index_t images, index_t channels, const Window& window);

}  // namespace nnfast
