// Pooling of whole batches on all threads. Contracts: kernels/pool.inl.
#pragma once

#include "ops/window.h"

namespace nnfast {

// A window entirely inside the padding has neither maximum nor mean: throws a ValueError that names
// `where` if the padding of an axis is as large as the window, or if the window is dilated.
void require_pooling(const std::string& where, const Window& window);

// Winners are indices stored as floats, which are exact up to 2^24: throws a ValueError that names
// `where` if a window has more elements.
void require_numbered(const std::string& where, const Window& window);

// The window that covers the whole image.
Window whole_image(index_t h, index_t w);

// y (N, OH, OW, C) from x (N, H, W, C), and dx from dy. relu: y = max(0, maximum). winners, of y's
// size, are passed from forward to backward; null if not needed.
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
