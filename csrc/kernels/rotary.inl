// Rotary positions (Su et al. 2021, arXiv:2104.09864): each pair of a head's numbers is a point of
// the plane, turned by the position times the pair's frequency.
#pragma once

// One head, with the first numbers of all pairs in its first half.
template <class T>
NNF_INLINE void rotate_halves(T* y, const T* x, const T* cosine, const T* sine, index_t half,
                              bool inverse) {
  for_each_vector<T>(half, [=](index_t i, int count) {
    const Vec<T> a = load_n(x + i, count), b = load_n(x + half + i, count);
    const Vec<T> c = load_n(cosine + i, count), given = load_n(sine + i, count);
    const Vec<T> s = inverse ? -given : given;
    store_n(y + i, fnma(b, s, a * c), count);
    store_n(y + half + i, fma(a, s, b * c), count);
  });
}

// One head, with the numbers of a pair side by side.
template <class T>
NNF_INLINE void rotate_neighbors(T* y, const T* x, const T* cosine, const T* sine, index_t half,
                                 bool inverse) {
  const T sign = inverse ? T(-1) : T(1);
  for (index_t i = 0; i < half; ++i) {
    const T a = x[2 * i], b = x[2 * i + 1], c = cosine[i], s = sign * sine[i];
    y[2 * i] = a * c - b * s;
    y[2 * i + 1] = b * c + a * s;
  }
}

// y (positions, heads, d): pairs (a, b) of x become (a cos - b sin, b cos + a sin), or with -sin if
// inverse. y may be x.
template <class T>
void rotate(T* y, const T* x, const Rotation<T>& p) {
  const index_t half = p.d / 2;
  for (index_t t = 0; t < p.positions; ++t) {
    const T *cosine = p.cosine + t * half, *sine = p.sine + t * half;
    for (index_t h = 0; h < p.heads; ++h) {
      const index_t at = (t * p.heads + h) * p.d;
      if (p.interleaved) {
        rotate_neighbors(y + at, x + at, cosine, sine, half, p.inverse);
      } else {
        rotate_halves(y + at, x + at, cosine, sine, half, p.inverse);
      }
    }
  }
}
