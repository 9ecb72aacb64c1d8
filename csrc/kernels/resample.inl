// Resizing of images by a linear map along each axis: upsampling and, with the transposed maps, its
// gradient.

// to (n) = the weighted sum of `count` consecutive rows (n): w_0 x_0, then a chain of fused
// multiply-adds.
template <class T>
NNF_INLINE void sum_of_rows(T* to, const T* rows, const T* weights, index_t count, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int width) {
    Vec<T> sum = broadcast(weights[0]) * load_n(rows + i, width);
    for (index_t k = 1; k < count; ++k)
      sum = fma(broadcast(weights[k]), load_n(rows + k * n + i, width), sum);
    store_n(to + i, sum, width);
  });
}

// y (OW, C) = the map along the columns of row (W, C). A vector that ends inside the output row is
// written whole: the excess in the next pixel is overwritten later.
template <class T>
NNF_INLINE void resample_columns(T* y, const T* row, const ResampleAxis<T>& w, index_t channels) {
  constexpr int lanes = Vec<T>::lanes;
  const index_t n = w.out * channels;
  for (index_t o = 0; o < w.out; ++o) {
    const T* weights = w.weights + o * w.taps;
    const T* from = row + w.first[o] * channels;
    for (index_t c = 0; c < channels; c += lanes) {
      const index_t at = o * channels + c;
      Vec<T> sum = broadcast(weights[0]) * load(from + c);
      for (index_t k = 1; k < w.count[o]; ++k)
        sum = fma(broadcast(weights[k]), load(from + k * channels + c), sum);
      if (at + lanes <= n) {
        store(y + at, sum);
      } else {
        store_partial(y + at, sum, static_cast<int>(c + lanes <= channels ? lanes : channels - c));
      }
    }
  }
}

// Rows `first` to `end` of all N * OH of y (N, OH, OW, C), from x (N, H, W, C): along the rows
// first. `row` is scratch memory for W * C elements plus one vector, which is read but ignored. y
// must not overlap x.
template <class T>
void resample(T* y, T* row, const T* x, index_t first, index_t end, const Resample<T>& p) {
  const index_t n = p.w.in * p.channels;
  for (index_t r = first; r < end; ++r) {
    const index_t o = r % p.h.out, top = r / p.h.out * p.h.in + p.h.first[o];
    sum_of_rows(row, x + top * n, p.h.weights + o * p.h.taps, p.h.count[o], n);
    resample_columns(y + r * p.w.out * p.channels, row, p.w, p.channels);
  }
}
