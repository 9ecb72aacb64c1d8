// Sums of overlapping windows: the second half of the input gradient of a convolution.

// A row y (width, channels) = the sum of the windows that cover each pixel. Row r of windows, x[r]
// (outputs, x_row), contains for each window the `taps` pixels from o * stride - before on,
// contiguously. A sum runs over the taps in ascending order, each of them being the sum over the
// rows, which is computed first and overwrites the first row: long runs of taps fill vectors that
// few channels would not.
template <class T>
void fold_row(const FoldRow<T>& p) {
  if (p.rows == 0) return fill_zero(p.y, p.width * p.channels);
  T* sums = p.x[0];
  for (index_t o = 0; p.rows > 1 && o < p.outputs; ++o) {
    for_each_vector<T>(p.taps * p.channels, [&](index_t i, auto lanes) {
      const index_t at = o * p.x_row + i;
      Vec<T> sum = load_n(sums + at, lanes);
      for (index_t r = 1; r < p.rows; ++r) sum = sum + load_n(p.x[r] + at, lanes);
      store_n(sums + at, sum, lanes);
    });
  }
  // The last window that covers pixel i, and the tap at which it does. Counted, not divided: two
  // divisions per pixel took more time than the sums.
  index_t last = p.before / p.stride, first = p.before % p.stride;
  const index_t next = p.stride * p.channels - p.x_row;
  for (index_t i = 0; i < p.width; ++i) {
    const index_t beyond = last < p.outputs ? 0 : last - p.outputs + 1;
    const index_t window = last - beyond, tap = first + beyond * p.stride;
    index_t count = p.stride == 1 ? p.taps - tap : (p.taps - tap + p.stride - 1) / p.stride;
    if (count > window + 1) count = window + 1;
    const index_t start = window * p.x_row + tap * p.channels;
    for_each_vector<T>(p.channels, [&](index_t c, int lanes) {
      Vec<T> sum = zero<T>();
      for (index_t t = 0; t < count; ++t) sum = sum + load_n(sums + start + c + t * next, lanes);
      store_n(p.y + i * p.channels + c, sum, lanes);
    });
    if (++first == p.stride) {
      first = 0;
      ++last;
    }
  }
}
