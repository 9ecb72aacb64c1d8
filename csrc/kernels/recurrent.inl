// A time step of recurrent cells with the activation tanh and the recurrent activation sigmoid,
// between the products. z holds x W + h U + b, a column of units for each gate, in Keras's order.
// The forward pass leaves the gates in z, the backward pass the gradient of z. The gradient dh
// arrives from the next time step, dy (or null) from the output; dh leaves with what passes to the
// state before without a product, to which the product dz U^T is added.
//
// Elementary functions that follow from others are in a loop of their own: in one loop, a processor
// waits for the latency of all of them, because it does not see enough of the next vector.

template <class T>
NNF_INLINE Vec<T> sigmoid_slope(Vec<T> y) {
  return y * (broadcast<T>(T(1)) - y);
}

template <class T>
NNF_INLINE Vec<T> tanh_slope(Vec<T> y) {
  return fnma(y, y, broadcast<T>(T(1)));
}

template <class T>
NNF_INLINE Vec<T> add_optional(Vec<T> a, const T* b, int count) {
  return b ? a + load_n(b, count) : a;
}

// Gates i f g o = sigmoid, sigmoid, tanh, sigmoid of z; c = f c_before + i g; h = o tanh(c); y = h.
// c may be c_before. Hochreiter, Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735; Gers et al.
// 2000, doi 10.1162/089976600300015015.
template <class T>
void lstm_step_forward(const LstmStep<T>& p) {
  const index_t n = p.units;
  for (index_t r = 0; r < p.rows; ++r) {
    T* z = p.z + r * 4 * n;
    const T* c_before = p.c_before + r * n;
    T *c = p.c + r * n, *h = p.h + r * n, *y = p.y ? p.y + r * p.y_row : nullptr;
    for_each_vector<T>(n, [=](index_t u, int count) NNF_INLINE_LAMBDA {
      const Vec<T> i = sigmoid(load_n(z + u, count)), f = sigmoid(load_n(z + n + u, count));
      const Vec<T> g = tanh(load_n(z + 2 * n + u, count));
      const Vec<T> o = sigmoid(load_n(z + 3 * n + u, count));
      store_n(z + u, i, count);
      store_n(z + n + u, f, count);
      store_n(z + 2 * n + u, g, count);
      store_n(z + 3 * n + u, o, count);
      store_n(c + u, fma(f, load_n(c_before + u, count), i * g), count);
    });
    for_each_vector<T>(n, [=](index_t u, int count) NNF_INLINE_LAMBDA {
      const Vec<T> out = load_n(z + 3 * n + u, count) * tanh(load_n(c + u, count));
      store_n(h + u, out, count);
      if (y) store_n(y + u, out, count);
    });
  }
}

// dc arrives from the next time step and leaves for the one before; dh leaves as 0.
template <class T>
void lstm_step_backward(const LstmStepGradient<T>& p) {
  const index_t n = p.units;
  for (index_t r = 0; r < p.rows; ++r) {
    T* z = p.z + r * 4 * n;
    const T *c_before = p.c_before + r * n, *c = p.c + r * n;
    T *dh = p.dh + r * n, *dc = p.dc + r * n;
    const T* dy = p.dy ? p.dy + r * p.dy_row : nullptr;
    for_each_vector<T>(n, [=](index_t u, int count) NNF_INLINE_LAMBDA {
      const Vec<T> i = load_n(z + u, count), f = load_n(z + n + u, count);
      const Vec<T> g = load_n(z + 2 * n + u, count), o = load_n(z + 3 * n + u, count);
      const Vec<T> out = tanh(load_n(c + u, count));
      const Vec<T> d = add_optional(load_n(dh + u, count), dy ? dy + u : nullptr, count);
      const Vec<T> state = fma(d * o, tanh_slope(out), load_n(dc + u, count));
      store_n(z + u, (state * g) * sigmoid_slope(i), count);
      store_n(z + n + u, (state * load_n(c_before + u, count)) * sigmoid_slope(f), count);
      store_n(z + 2 * n + u, (state * i) * tanh_slope(g), count);
      store_n(z + 3 * n + u, (d * out) * sigmoid_slope(o), count);
      store_n(dc + u, state * f, count);
      store_n(dh + u, zero<T>(), count);
    });
  }
}

// Gates z r g, h = g + z (h_before - g), y = h. With `recurrent`, the product of h_before with the
// candidate's columns of U and its bias: z, r = sigmoid, g = tanh(z_g + r recurrent). Without,
// gru_reset_forward has computed z and r, and z_g contains that product: g = tanh(z_g). Cho et al.
// 2014, arXiv:1406.1078 (versions 1 and 3).
template <class T>
void gru_step_forward(const GruStep<T>& p) {
  const index_t n = p.units;
  for (index_t r = 0; r < p.rows; ++r) {
    T *z = p.z + r * 3 * n, *h = p.h + r * n, *y = p.y ? p.y + r * p.y_row : nullptr;
    const T *h_before = p.h_before + r * n,
            *recurrent = p.recurrent ? p.recurrent + r * n : nullptr;
    if (recurrent) {
      for_each_vector<T>(n, [=](index_t u, int count) NNF_INLINE_LAMBDA {
        const Vec<T> update = sigmoid(load_n(z + u, count));
        const Vec<T> reset = sigmoid(load_n(z + n + u, count)), x = load_n(z + 2 * n + u, count);
        store_n(z + u, update, count);
        store_n(z + n + u, reset, count);
        store_n(z + 2 * n + u, fma(reset, load_n(recurrent + u, count), x), count);
      });
    }
    for_each_vector<T>(n, [=](index_t u, int count) NNF_INLINE_LAMBDA {
      const Vec<T> update = load_n(z + u, count), candidate = tanh(load_n(z + 2 * n + u, count));
      const Vec<T> out = fma(update, load_n(h_before + u, count) - candidate, candidate);
      store_n(z + 2 * n + u, candidate, count);
      store_n(h + u, out, count);
      if (y) store_n(y + u, out, count);
    });
  }
}

// With `recurrent`, which is replaced by its gradient; without, r stays in z for
// gru_reset_backward.
template <class T, bool RESETS_AFTER>
NNF_INLINE void gru_backward_row(T* z, T* recurrent, const T* h_before, T* dh, const T* dy,
                                 index_t n) {
  for_each_vector<T>(n, [=](index_t u, int count) NNF_INLINE_LAMBDA {
    const Vec<T> update = load_n(z + u, count), candidate = load_n(z + 2 * n + u, count);
    const Vec<T> d = add_optional(load_n(dh + u, count), dy ? dy + u : nullptr, count);
    const Vec<T> share = d * (broadcast<T>(T(1)) - update);
    const Vec<T> d_candidate = share * tanh_slope(candidate);
    const Vec<T> difference = load_n(h_before + u, count) - candidate;
    store_n(z + u, (d * difference) * sigmoid_slope(update), count);
    store_n(z + 2 * n + u, d_candidate, count);
    if (RESETS_AFTER) {
      const Vec<T> reset = load_n(z + n + u, count), product = load_n(recurrent + u, count);
      store_n(z + n + u, (d_candidate * product) * sigmoid_slope(reset), count);
      store_n(recurrent + u, d_candidate * reset, count);
    }
    store_n(dh + u, d * update, count);
  });
}

template <class T>
void gru_step_backward(const GruStepGradient<T>& p) {
  const index_t n = p.units;
  for (index_t r = 0; r < p.rows; ++r) {
    T *z = p.z + r * 3 * n, *dh = p.dh + r * n;
    const T *h_before = p.h_before + r * n, *dy = p.dy ? p.dy + r * p.dy_row : nullptr;
    if (p.recurrent) {
      gru_backward_row<T, true>(z, p.recurrent + r * n, h_before, dh, dy, n);
    } else {
      gru_backward_row<T, false>(z, nullptr, h_before, dh, dy, n);
    }
  }
}

// The gates z and r of z (rows, 3 n) become sigmoids; reset (rows, n) = r h, which the candidate's
// product reads.
template <class T>
void gru_reset_forward(T* reset, T* z, const T* h, index_t rows, index_t n) {
  for (index_t r = 0; r < rows; ++r, z += 3 * n, h += n, reset += n) {
    for_each_vector<T>(n, [=](index_t u, int count) NNF_INLINE_LAMBDA {
      const Vec<T> gate = sigmoid(load_n(z + n + u, count));
      store_n(z + u, sigmoid(load_n(z + u, count)), count);
      store_n(z + n + u, gate, count);
      store_n(reset + u, gate * load_n(h + u, count), count);
    });
  }
}

// d (rows, n), the gradient of r h, becomes that of h; the gate r in z becomes the gradient of z.
template <class T>
void gru_reset_backward(T* d, T* z, const T* h, index_t rows, index_t n) {
  for (index_t r = 0; r < rows; ++r, z += 3 * n, h += n, d += n) {
    for_each_vector<T>(n, [=](index_t u, int count) NNF_INLINE_LAMBDA {
      const Vec<T> gate = load_n(z + n + u, count), slope = load_n(d + u, count);
      store_n(z + n + u, (slope * load_n(h + u, count)) * sigmoid_slope(gate), count);
      store_n(d + u, slope * gate, count);
    });
  }
}
