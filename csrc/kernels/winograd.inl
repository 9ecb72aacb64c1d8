// Winograd's F(2 x 2, 3 x 3) (Lavin, Gray 2015, arXiv:1509.09308): tiles of 4 x 4 inputs, with a
// stride of 2, give 2 x 2 outputs with 16 multiplications instead of 36. Element (i, j) of a tile
// has index 4 i + j.

// out: for each of the 16 elements, `plane` apart, a matrix (tiles, channels): B^T d B for the
// tiles of one row, the first of which starts at column `first`. Adjacent tiles share half of their
// columns.
template <class T>
void winograd_input(const WinogradInput<T>& p) {
  for_each_vector<T>(p.channels, [&](index_t c, auto count) {
    const auto column = [&](index_t x, Vec<T>(&to)[4]) NNF_INLINE_LAMBDA {
      const bool inside = x >= 0 && x < p.width;
      const auto pixel = [&](int row) NNF_INLINE_LAMBDA {
        return inside && p.rows[row] ? load_n(p.rows[row] + x * p.pixel + c, count) : zero<T>();
      };
      const Vec<T> a = pixel(0), b = pixel(1), e = pixel(2), f = pixel(3);
      to[0] = a - e;
      to[1] = b + e;
      to[2] = e - b;
      to[3] = b - f;
    };
    Vec<T> d[4][4];
    column(p.first, d[0]);
    column(p.first + 1, d[1]);
    T* out = p.out + c;
    for (index_t tile = 0; tile < p.tiles; ++tile) {
      const index_t x = p.first + 2 * tile;
      column(x + 2, d[2]);
      column(x + 3, d[3]);
      const auto row = [&](int i) NNF_INLINE_LAMBDA {
        T* to = out + 4 * i * p.plane;
        store_n(to, d[0][i] - d[2][i], count);
        store_n(to + p.plane, d[1][i] + d[2][i], count);
        store_n(to + 2 * p.plane, d[2][i] - d[1][i], count);
        store_n(to + 3 * p.plane, d[1][i] - d[3][i], count);
        d[0][i] = d[2][i];
        d[1][i] = d[3][i];
      };
      row(0), row(1), row(2), row(3);
      out += p.channels;
    }
  });
}

// y: A^T m A for a row of tiles, plus bias, scaled and max(0, .) if requested.
template <class T>
void winograd_output(const WinogradOutput<T>& p) {
  for_each_vector<T>(p.columns, [&](index_t c, auto count) {
    const Vec<T> bias = p.bias ? load_n(p.bias + c, count) : zero<T>();
    const bool scaled = p.scaled.scale != nullptr;
    const Vec<T> center = scaled ? load_n(p.scaled.center + c, count) : zero<T>();
    const Vec<T> scale = scaled ? load_n(p.scaled.scale + c, count) : zero<T>();
    const Vec<T> shift = scaled ? load_n(p.scaled.shift + c, count) : zero<T>();
    const auto put = [&](T* y, Vec<T> sum) {
      sum = sum + bias;
      if (scaled) sum = fma(sum - center, scale, shift);
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

// out: 16 times n numbers, `plane` apart: G g G^T, element by element, of n elements of a
// kernel whose nine planes are `tap_size` apart; `turned`: of the kernel rotated by 180 degrees.
template <class T>
void winograd_kernel(T* out, index_t plane, const T* kernel, index_t tap_size, index_t n,
                     bool turned) {
  const Vec<T> half = broadcast<T>(T(0.5));
  const auto axis = [=](Vec<T> a, Vec<T> b, Vec<T> c, Vec<T>(&to)[4]) {
    const Vec<T> even = half * (a + c), odd = half * b;
    to[0] = a;
    to[1] = even + odd;
    to[2] = even - odd;
    to[3] = c;
  };
  for_each_vector<T>(n, [=](index_t k, auto count) {
    Vec<T> column[3][4];
    for (int j = 0; j < 3; ++j) {
      Vec<T> g[3];
      for (int i = 0; i < 3; ++i) {
        const int tap = turned ? 8 - (3 * i + j) : 3 * i + j;
        g[i] = load_n(kernel + tap * tap_size + k, count);
      }
      axis(g[0], g[1], g[2], column[j]);
    }
    for (int i = 0; i < 4; ++i) {
      Vec<T> row[4];
      axis(column[0][i], column[1][i], column[2][i], row);
      for (int j = 0; j < 4; ++j) store_n(out + (4 * i + j) * plane + k, row[j], count);
    }
  });
}

// The gradient of the output transform along one axis: A dy.
template <class T>
NNF_INLINE void winograd_gradient_axis(Vec<T> a, Vec<T> b, Vec<T> (&out)[4]) {
  out[0] = a;
  out[1] = a + b;
  out[2] = a - b;
  out[3] = -b;
}

// out: for each of the 16 elements, `plane` apart, a matrix (tiles, channels): A dy A^T for the
// tiles of one row. Beyond the outputs, dy is 0.
template <class T>
void winograd_gradient(const WinogradGradient<T>& p) {
  for_each_vector<T>(p.channels, [&](index_t c, auto count) {
    const auto at = [&](int i, index_t column) {
      const bool there = p.rows[i] && column < p.outputs;
      return there ? load_n(p.rows[i] + column * p.channels + c, count) : zero<T>();
    };
    for (index_t tile = 0; tile < p.tiles; ++tile) {
      Vec<T> left[4], right[4];
      winograd_gradient_axis<T>(at(0, 2 * tile), at(1, 2 * tile), left);
      winograd_gradient_axis<T>(at(0, 2 * tile + 1), at(1, 2 * tile + 1), right);
      T* out = p.out + tile * p.channels + c;
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        Vec<T> d[4];
        winograd_gradient_axis<T>(left[i], right[i], d);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) store_n(out + (4 * i + j) * p.plane, d[j], count);
      }
    }
  });
}

// out: nine taps of n numbers, `tap` apart: G^T m G, element by element, of 16 sums of products, `plane`
// apart.
template <class T>
void winograd_kernel_gradient(T* out, index_t tap, const T* products, index_t plane, index_t n) {
  const Vec<T> half = broadcast<T>(T(0.5));
  const auto axis = [=](Vec<T> a, Vec<T> b, Vec<T> c, Vec<T> d, Vec<T>(&to)[3]) {
    const Vec<T> even = half * (b + c);
    to[0] = a + even;
    to[1] = half * (b - c);
    to[2] = even + d;
  };
  for_each_vector<T>(n, [=](index_t k, auto count) {
    Vec<T> column[4][3];
    for (int j = 0; j < 4; ++j) {
      Vec<T> m[4];
      for (int i = 0; i < 4; ++i) m[i] = load_n(products + (4 * i + j) * plane + k, count);
      axis(m[0], m[1], m[2], m[3], column[j]);
    }
    for (int i = 0; i < 3; ++i) {
      Vec<T> row[3];
      axis(column[0][i], column[1][i], column[2][i], column[3][i], row);
      for (int j = 0; j < 3; ++j) store_n(out + (3 * i + j) * tap + k, row[j], count);
    }
  });
}
