// Winograd's F(2 x 2, 3 x 3) (Lavin, Gray 2015, arXiv:1509.09308): tiles of 4 x 4 inputs, two apart, give
// 2 x 2 outputs for 16 multiplications instead of 36. Element (i, j) of a tile is its number 4 i + j.

// One axis of the transform of inputs: B^T d.
template <class T>
NNF_INLINE void winograd_input_axis(const Vec<T> (&d)[4], Vec<T> (&out)[4]) {
  out[0] = d[0] - d[2];
  out[1] = d[1] + d[2];
  out[2] = d[2] - d[1];
  out[3] = d[1] - d[3];
}

// A column of a row of tiles, transformed; zeros outside of the image.
template <class T>
NNF_INLINE void winograd_column(const WinogradInput<T>& p, index_t column, index_t c, int count,
                                Vec<T> (&out)[4]) {
  Vec<T> d[4];
  const bool inside = column >= 0 && column < p.width;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const bool there = inside && p.rows[i];
    d[i] = there ? load_n(p.rows[i] + column * p.pixel + c, count) : zero<T>();
  }
  winograd_input_axis<T>(d, out);
}

// out: for each of the 16 elements, `plane` apart, a matrix (tiles, channels): B^T d B for the tiles of
// one row, the first of which begins at column `first`.
template <class T>
void winograd_input(const WinogradInput<T>& p) {
  for_each_vector<T>(p.channels, [&](index_t c, int count) {
    Vec<T> column[4][4];  // two columns are kept from tile to tile
    winograd_column(p, p.first, c, count, column[0]);
    winograd_column(p, p.first + 1, c, count, column[1]);
    for (index_t tile = 0; tile < p.tiles; ++tile) {
      winograd_column(p, p.first + 2 * tile + 2, c, count, column[2]);
      winograd_column(p, p.first + 2 * tile + 3, c, count, column[3]);
      T* out = p.out + tile * p.channels + c;
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Vec<T> row[4] = {column[0][i], column[1][i], column[2][i], column[3][i]};
        Vec<T> d[4];
        winograd_input_axis<T>(row, d);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) store_n(out + (4 * i + j) * p.plane, d[j], count);
        column[0][i] = row[2];
        column[1][i] = row[3];
      }
    }
  });
}

// y: A^T m A for a row of tiles, plus bias, scaled and max(0, .) if asked.
template <class T>
void winograd_output(const WinogradOutput<T>& p) {
  for_each_vector<T>(p.columns, [&](index_t c, int count) {
    const Vec<T> bias = p.bias ? load_n(p.bias + c, count) : zero<T>();
    const bool scaled = p.scaled.scale != nullptr;
    const Vec<T> scale = scaled ? load_n(p.scaled.scale + c, count) : zero<T>();
    const Vec<T> shift = scaled ? load_n(p.scaled.shift + c, count) : zero<T>();
    const auto put = [&](T* y, Vec<T> sum) {
      sum = sum + bias;
      if (scaled) sum = fma(sum, scale, shift);
      store_n(y, p.relu ? max(zero<T>(), sum) : sum, count);
    };
    for (index_t tile = 0; tile < p.tiles; ++tile) {
      const T* m = p.products + tile * p.width + c;
      Vec<T> row[2][4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const Vec<T> a = load_n(m + j * p.plane, count), b = load_n(m + (4 + j) * p.plane, count);
        const Vec<T> e = load_n(m + (8 + j) * p.plane, count),
                     f = load_n(m + (12 + j) * p.plane, count);
        row[0][j] = (a + b) + e;
        row[1][j] = (b - e) - f;
      }
      T* y = p.y + 2 * tile * p.pixel + c;
      const bool second = 2 * tile + 1 < p.outputs;
      for (int i = 0; i < p.rows; ++i, y += p.line) {
        put(y, (row[i][0] + row[i][1]) + row[i][2]);
        if (second) put(y + p.pixel, (row[i][1] - row[i][2]) - row[i][3]);
      }
    }
  });
}

// out (16, n) = G g G^T, element by element, for a kernel of nine planes (n) each; `turned`: of the
// kernel turned by half a turn.
template <class T>
void winograd_kernel(T* out, const T* kernel, index_t n, bool turned) {
  const Vec<T> half = broadcast<T>(T(0.5));
  const auto axis = [=](Vec<T> a, Vec<T> b, Vec<T> c, Vec<T>(&to)[4]) {
    const Vec<T> even = half * (a + c), odd = half * b;
    to[0] = a;
    to[1] = even + odd;
    to[2] = even - odd;
    to[3] = c;
  };
  for_each_vector<T>(n, [=](index_t k, int count) {
    Vec<T> column[3][4];
    for (int j = 0; j < 3; ++j) {
      Vec<T> g[3];
      for (int i = 0; i < 3; ++i) {
        const int tap = turned ? 8 - (3 * i + j) : 3 * i + j;
        g[i] = load_n(kernel + tap * n + k, count);
      }
      axis(g[0], g[1], g[2], column[j]);
    }
    for (int i = 0; i < 4; ++i) {
      Vec<T> row[4];
      axis(column[0][i], column[1][i], column[2][i], row);
      for (int j = 0; j < 4; ++j) store_n(out + (4 * i + j) * n + k, row[j], count);
    }
  });
}
