// Element-wise activation functions: for each, the function and dy times its derivative, in terms
// of the input x and the output y. derivative_reads_input() in ops/activation.h says which
// derivatives read x. All propagate NaN, and take their limits at infinities.

// x, but the largest finite number instead of infinity, where it is multiplied by a factor of 0.
template <class T>
NNF_INLINE Vec<T> finite_part(Vec<T> x) {
  return clamp(x, -MathConstants<T>::largest, MathConstants<T>::largest);
}

struct Identity {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    return x;
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T>, T) {
    return dy;
  }
};

// y = 1 if x >= alpha, else 0. Its derivative is 0.
struct Heaviside {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T alpha) {
    const Vec<T> step = select(less_equal(broadcast<T>(alpha), x), broadcast<T>(T(1)), zero<T>());
    return select(is_nan(x), x, step);
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T>, Vec<T>, Vec<T>, T) {
    return zero<T>();
  }
};

struct Sigmoid {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    return sigmoid(x);
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T> y, T) {
    return dy * (y * (broadcast<T>(T(1)) - y));
  }
};

struct Tanh {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    return tanh(x);
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T> y, T) {
    return dy * fnma(y, y, broadcast<T>(T(1)));
  }
};

struct Relu {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    return max(zero<T>(), x);
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T> y, T) {
    return select(less(zero<T>(), y), dy, zero<T>());
  }
};

struct LeakyRelu {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T alpha) {
    return select(less(zero<T>(), x), x, x * broadcast<T>(alpha));
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T> y, T alpha) {
    return select(less(zero<T>(), y), dy, dy * broadcast<T>(alpha));
  }
};

// Clevert, Unterthiner, Hochreiter 2016, arXiv:1511.07289.
struct Elu {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T alpha) {
    return select(less(zero<T>(), x), x, broadcast<T>(alpha) * expm1(x));
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T> y, T alpha) {
    return select(less(zero<T>(), y), dy, dy * (y + broadcast<T>(alpha)));
  }
};

// Klambauer et al. 2017, arXiv:1706.02515: the constants of its section 2.
struct Selu {
  static constexpr double scale = 1.0507009873554804934193349852946;
  static constexpr double alpha = 1.6732632423543772848170429916717;
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    const Vec<T> below = broadcast<T>(T(scale * alpha)) * expm1(x);
    return select(less(zero<T>(), x), broadcast<T>(T(scale)) * x, below);
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T> y, T) {
    const Vec<T> slope =
        select(less(zero<T>(), y), broadcast<T>(T(scale)), y + broadcast<T>(T(scale * alpha)));
    return dy * slope;
  }
};

// Hendrycks, Gimpel 2016, arXiv:1606.08415: x Phi(x), Phi the normal distribution function.
struct Gelu {
  static constexpr double density_at_0 = 0.39894228040143267794;  // 1 / sqrt(2 pi)
  template <class T>
  static NNF_INLINE Vec<T> bell(Vec<T> x) {
    return exp_nonpositive(x * (x * broadcast<T>(T(-0.5))));
  }
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    const Vec<T> above = max(broadcast<T>(-MathConstants<T>::largest), x);
    return above * normal(min(broadcast<T>(MathConstants<T>::largest), above), bell(x));
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T> x, Vec<T>, T) {
    const Vec<T> b = bell(x), finite = finite_part(x);
    return dy * fma(finite, broadcast<T>(T(density_at_0)) * b, normal(finite, b));
  }
};

// The same paper's approximation: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
struct GeluTanh {
  static constexpr double factor = 0.79788456080286535588;  // sqrt(2 / pi)
  static constexpr double cubic = 0.044715;
  template <class T>
  static NNF_INLINE Vec<T> inner_tanh(Vec<T> x) {
    const Vec<T> x2 = x * x;
    return tanh(x * fma(broadcast<T>(T(factor * cubic)), x2, broadcast<T>(T(factor))));
  }
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    const Vec<T> half = max(broadcast<T>(-MathConstants<T>::largest), x) * broadcast<T>(T(0.5));
    return fma(half, inner_tanh(x), half);
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T> far, Vec<T>, T) {
    // Beyond 20 the derivative is exactly 0 or 1 after rounding, while the square of x may
    // overflow.
    const Vec<T> bound = broadcast<T>(T(20));
    const Vec<T> x = max(-bound, min(bound, far));
    const Vec<T> t = inner_tanh(x), one = broadcast<T>(T(1)), half = broadcast<T>(T(0.5));
    const Vec<T> inner_slope =
        fma(broadcast<T>(T(3 * factor * cubic)), x * x, broadcast<T>(T(factor)));
    const Vec<T> slope = half * ((one + t) + x * fnma(t, t, one) * inner_slope);
    return dy * slope;
  }
};

struct Silu {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    return max(broadcast<T>(-MathConstants<T>::largest), x) * sigmoid(x);
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T> x, Vec<T>, T) {
    const Vec<T> s = sigmoid(x), one = broadcast<T>(T(1));
    return dy * (s * fma(finite_part(x), one - s, one));
  }
};

// log(1 + e^x); its derivative is sigmoid(x) = 1 - e^-y.
struct Softplus {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    return softplus(x);
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T> y, T) {
    return dy * -expm1(-y);
  }
};

// x / (1 + |x|)
struct Softsign {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    const Vec<T> finite = finite_part(x);
    return finite / (broadcast<T>(T(1)) + abs(finite));
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T> x, Vec<T>, T) {
    const Vec<T> d = broadcast<T>(T(1)) + abs(x);
    return dy / (d * d);
  }
};

// x/6 + 1/2, clipped to [0, 1]
struct HardSigmoid {
  template <class T>
  static NNF_INLINE Vec<T> forward(Vec<T> x, T) {
    const Vec<T> line = fma(x, broadcast<T>(T(1.0 / 6)), broadcast<T>(T(0.5)));
    return min(broadcast<T>(T(1)), max(zero<T>(), line));
  }
  template <class T>
  static NNF_INLINE Vec<T> backward(Vec<T> dy, Vec<T>, Vec<T> y, T) {
    const Vec<T> inside =
        select(less(y, broadcast<T>(T(1))), dy * broadcast<T>(T(1.0 / 6)), zero<T>());
    return select(less(zero<T>(), y), inside, zero<T>());
  }
};

template <class T, class F>
void apply_forward(T* y, const T* x, index_t n, T alpha) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(y + i, F::template forward<T>(load_n(x + i, count), alpha), count);
  });
}

template <class T, class F>
void apply_backward(T* dx, const T* dy, const T* x, const T* y, index_t n, T alpha) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(dx + i,
            F::template backward<T>(load_n(dy + i, count), load_n(x + i, count),
                                    load_n(y + i, count), alpha),
            count);
  });
}

#define NNF_ACTIVATIONS(CASE) \
  CASE(identity, Identity)    \
  CASE(heaviside, Heaviside)  \
  CASE(sigmoid, Sigmoid)      \
  CASE(tanh, Tanh)            \
  CASE(relu, Relu)            \
  CASE(leaky_relu, LeakyRelu) \
  CASE(elu, Elu)              \
  CASE(selu, Selu)            \
  CASE(gelu, Gelu)            \
  CASE(gelu_tanh, GeluTanh)   \
  CASE(silu, Silu)            \
  CASE(softplus, Softplus)    \
  CASE(softsign, Softsign)    \
  CASE(hard_sigmoid, HardSigmoid)

// y (n) = f(x (n)). y may be x.
template <class T>
void activation_forward(T* y, const T* x, index_t n, const ActivationParams& p) {
  const T alpha = static_cast<T>(p.alpha);
  switch (p.kind) {
#define NNF_FORWARD(kind, Function) \
  case Activation::kind:            \
    return apply_forward<T, Function>(y, x, n, alpha);
    NNF_ACTIVATIONS(NNF_FORWARD)
#undef NNF_FORWARD
    default:
      return;
  }
}

// dx (n) = dy f'(x), with y = f(x). dx may be dy. If the derivative reads only y, x may be any
// readable array of n elements (pass y).
template <class T>
void activation_backward(T* dx, const T* dy, const T* x, const T* y, index_t n,
                         const ActivationParams& p) {
  const T alpha = static_cast<T>(p.alpha);
  switch (p.kind) {
#define NNF_BACKWARD(kind, Function) \
  case Activation::kind:             \
    return apply_backward<T, Function>(dx, dy, x, y, n, alpha);
    NNF_ACTIVATIONS(NNF_BACKWARD)
#undef NNF_BACKWARD
    default:
      return;
  }
}
#undef NNF_ACTIVATIONS
