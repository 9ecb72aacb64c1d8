// PReLU (He et al. 2015, arXiv:1502.01852): y = x where x > 0, else alpha * x, with an alpha for each column.
#pragma once

// y (rows, n) from x (rows, n) and alpha (n); rows of x and y stand `row` elements apart. y may be x.
template <class T>
void prelu_forward(T* y, const T* x, const T* alpha, index_t row, index_t rows, index_t n) {
  for (index_t r = 0; r < rows; ++r) {
    const index_t at = r * row;
    for_each_vector<T>(n, [=](index_t j, int count) {
      const Vec<T> v = load_n(x + at + j, count);
      store_n(y + at + j, select(less(zero<T>(), v), v, load_n(alpha + j, count) * v), count);
    });
  }
}

// dx (rows, n) = dy where x > 0, else alpha * dy; d_alpha (n) = the sum down the rows of x * dy where x <= 0, one
// chain. Either may be null; dx may be dy.
template <class T>
void prelu_backward(T* dx, T* d_alpha, const T* dy, const T* x, const T* alpha, index_t row,
                    index_t rows, index_t n) {
  for_each_strip<T>(n, [=](index_t j, auto vectors, int count) {
    constexpr int V = decltype(vectors)::value, lanes = Vec<T>::lanes;
    Vec<T> slope[V], sum[V];
    for (int v = 0; v < V; ++v) {
      slope[v] = load_n(alpha + j + v * lanes, count);
      sum[v] = zero<T>();
    }
    for (index_t r = 0; r < rows; ++r) {
      for (int v = 0; v < V; ++v) {
        const index_t at = r * row + j + v * lanes;
        const Vec<T> input = load_n(x + at, count), gradient = load_n(dy + at, count);
        const Mask<T> above = less(zero<T>(), input);
        sum[v] = fma(select(above, zero<T>(), input), gradient, sum[v]);
        if (dx) store_n(dx + at, select(above, gradient, slope[v] * gradient), count);
      }
    }
    if (!d_alpha) return;
    for (int v = 0; v < V; ++v) store_n(d_alpha + j + v * lanes, sum[v], count);
  });
}
