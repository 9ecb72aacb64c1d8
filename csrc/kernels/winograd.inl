// Winograd's F(2 x 2, 3 x 3) (Lavin, Gray 2015, arXiv:1509.09308): tiles of 4 x 4 inputs, two apart, give
// 2 x 2 outputs for 16 multiplications instead of 36. Element (i, j) of a tile is its number 4 i + j.

// out: for each of the 16 elements, `plane` apart, a matrix (tiles, channels): B^T d B for the tiles of
// one row, the first of which begins at column `first`. Each row of the transformed tiles comes from two
// rows of pixels, which are read in the order of memory: hopping from pixel to pixel waited for it.
template <class T>
void winograd_input(const WinogradInput<T>& p) {
  const int left[] = {0, 1, 2, 1}, right[] = {2, 2, 1, 3};
  for (int i = 0; i < 4; ++i) {
    const T *a = p.rows[left[i]], *b = p.rows[right[i]];
    const auto put = [&](index_t tile, auto column) {
      T* out = p.out + 4 * i * p.plane + tile * p.channels;
      for_each_vector<T>(p.channels, [=, &p](index_t c, auto count) {
        const Vec<T> d[4] = {column(0, c, count), column(1, c, count), column(2, c, count),
                             column(3, c, count)};
        store_n(out + c, d[0] - d[2], count);
        store_n(out + c + p.plane, d[1] + d[2], count);
        store_n(out + c + 2 * p.plane, d[2] - d[1], count);
        store_n(out + c + 3 * p.plane, d[1] - d[3], count);
      });
    };
    for (index_t tile = 0; tile < p.tiles; ++tile) {
      const index_t x = p.first + 2 * tile, pixel = p.pixel;
      if (a && b && x >= 0 && x + 4 <= p.width) {
        const T *from = a + x * pixel, *other = b + x * pixel;
        if (i == 1) {
          put(tile, [=](int k, index_t c, auto count) {
            return load_n(from + k * pixel + c, count) + load_n(other + k * pixel + c, count);
          });
        } else {
          put(tile, [=](int k, index_t c, auto count) {
            return load_n(from + k * pixel + c, count) - load_n(other + k * pixel + c, count);
          });
        }
        continue;
      }
      put(tile, [=, &p](int k, index_t c, auto count) {
        const bool inside = x + k >= 0 && x + k < p.width;
        const auto at = [&](const T* row) {
          return inside && row ? load_n(row + (x + k) * pixel + c, count) : zero<T>();
        };
        return i == 1 ? at(a) + at(b) : at(a) - at(b);
      });
    }
  }
}

// y: A^T m A for a row of tiles, plus bias, scaled and max(0, .) if asked.
template <class T>
void winograd_output(const WinogradOutput<T>& p) {
  for_each_vector<T>(p.columns, [&](index_t c, auto count) {
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

// out: 16 times n numbers, `plane` apart: G g G^T, element by element, of a kernel of nine planes (n)
// each; `turned`: of the kernel turned by half a turn.
template <class T>
void winograd_kernel(T* out, index_t plane, const T* kernel, index_t n, bool turned) {
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
        g[i] = load_n(kernel + tap * n + k, count);
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

// The gradient of the output's transform, along one axis: A dy.
template <class T>
NNF_INLINE void winograd_gradient_axis(Vec<T> a, Vec<T> b, Vec<T> (&out)[4]) {
  out[0] = a;
  out[1] = a + b;
  out[2] = a - b;
  out[3] = -b;
}

// out: for each of the 16 elements, `plane` apart, a matrix (tiles, channels): A dy A^T for the tiles of
// one row. Beyond the outputs dy is 0.
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
