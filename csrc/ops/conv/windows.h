// A correlation as a matrix product (gemm/gemm.h) whose rows, the windows, are copied block by block.
// correlate() reads them in place, a row of the image at a time: with many columns and short rows, it
// reads the kernel too often. 3x3 512-512@7x7 took 8.2 ms, and so 3.5 (AVX2, Zen 3).
#pragma once

#include "ops/conv/correlate.h"

namespace nnfast {

// Whether correlate_windows() takes less time than correlate(). It computes the same bits.
template <class T>
bool copying_windows_pays(const Correlation<T>& p);

template <class T>
void correlate_windows(const Correlation<T>& p);

}  // namespace nnfast
