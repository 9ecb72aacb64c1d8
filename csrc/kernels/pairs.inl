// Two images in the two halves of vectors, for convolutions with so few output channels that they
// would leave more than half of a vector empty.

// out (n, lanes): a[i] in the first half of the lanes, b[i] in the second.
template <class T>
void spread_pairs(T* out, const T* a, const T* b, index_t n) {
  constexpr int lanes = Vec<T>::lanes;
  const Mask<T> first = first_lanes<T>(lanes / 2);
  for (index_t i = 0; i < n; ++i)
    store(out + i * lanes, select(first, broadcast<T>(a[i]), broadcast<T>(b[i])));
}

// out (rows, lanes): rows a (rows, n) in the first half of the lanes, b in the second, zeros after
// each; n <= lanes / 2. `out` has room for half a vector after its end.
template <class T>
void join_pairs(T* out, const T* a, const T* b, index_t rows, index_t n) {
  constexpr int lanes = Vec<T>::lanes;
  const int count = static_cast<int>(n);
  for (index_t i = 0; i < rows; ++i) {
    store(out + i * lanes, load_partial(a + i * n, count));
    store(out + i * lanes + lanes / 2, load_partial(b + i * n, count));
  }
}

// The inverse: a, b (rows, n) from x (rows, lanes).
template <class T>
void part_pairs(T* a, T* b, const T* x, index_t rows, index_t n) {
  constexpr int lanes = Vec<T>::lanes;
  const int count = static_cast<int>(n);
  for (index_t i = 0; i < rows; ++i)
    store_partial(a + i * n, load_partial(x + i * lanes, count), count);
  for (index_t i = 0; i < rows; ++i)
    store_partial(b + i * n, load_partial(x + i * lanes + lanes / 2, count), count);
}
