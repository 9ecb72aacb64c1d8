// As many independent chains of fma as the matrix product uses, of `iterations` each: the peak
// performance of the machine. Returns a number that depends on all of them, so that none is
// optimized away.
template <class T>
double fma_peak(int64_t iterations) {
  constexpr int chains = kGemmVectors * gemm_rows(kGemmVectors);
  Vec<T> sum[chains];
#pragma GCC unroll 24
  for (int i = 0; i < chains; ++i) sum[i] = broadcast<T>(T(i));
  // Volatile, so that the compiler cannot compute the sums in advance.
  volatile T one = T(1);
  const Vec<T> term = broadcast<T>(one), factor = broadcast<T>(one / 2);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) sum[i] = fma(sum[i], factor, term);
  }
  Vec<T> all = sum[0];
  for (int i = 1; i < chains; ++i) all = all + sum[i];
  return static_cast<double>(first_lane(all));
}
