// Data augmentation of images, on all threads.
#pragma once

#include <string>
#include <vector>

#include "kernels/params.h"

namespace nnfast {

// Throws a ValueError that names `where` for any other name.
Fill parse_fill(const std::string& name, const std::string& where);

// Checks sizes and ranges; errors name `where`.
void require_augmentation(const AugmentParams& p, const std::string& where);

// y (count, H, W, C): image i is row rows[i] of `values` or, if that is null, of `bytes`,
// transformed as described in augment.inl; if rows is null, rows 0, 1, ...
template <class T>
void augment_images(T* y, const T* values, const uint8_t* bytes, const int64_t* rows, index_t count,
                    const AugmentParams& p);

}  // namespace nnfast
