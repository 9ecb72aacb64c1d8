// Pooling of whole batches on all threads. Contracts: kernels/pool.inl.
#pragma once

#include "ops/window.h"

namespace nnfast {

// A window that lies in the padding has no largest element and no mean: throws a ValueError that names
// `place` where the padding of an axis is as large as the window, and where the window is dilated.
void require_pooling(const std::string& place, const Window& window);

// The one window that sees all of an image.
Window whole_image(index_t h, index_t w);

// y (N, OH, OW, C) from x (N, H, W, C), and dx from dy, x and y. relu: y = max(0, the largest).
template <class T>
void max_pool_forward(T* y, const T* x, index_t images, index_t channels, const Window& window,
                      bool relu = false);
template <class T>
void max_pool_backward(T* dx, const T* dy, const T* x, const T* y, index_t images, index_t channels,
                       const Window& window, bool relu = false);
template <class T>
void avg_pool_forward(T* y, const T* x, index_t images, index_t channels, const Window& window);
template <class T>
void avg_pool_backward(T* dx, const T* dy, index_t images, index_t channels, const Window& window);

}  // namespace nnfast
