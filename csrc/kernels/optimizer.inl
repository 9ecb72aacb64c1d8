// Optimizers: one pass over the flat parameter vector.

// v = momentum v - rate g; p += v, or p += momentum v - rate g with Nesterov's look-ahead
// (Sutskever et al. 2013, ICML). velocity is null without momentum.
template <class T>
void sgd(T* parameters, T* velocity, const T* gradients, index_t n, const SgdParams& p) {
  const Vec<T> rate = broadcast<T>(static_cast<T>(p.learning_rate));
  const Vec<T> momentum = broadcast<T>(static_cast<T>(p.momentum));
  const bool nesterov = p.nesterov;
  if (!velocity) {
    for_each_vector<T>(n, [=](index_t i, int count) {
      const Vec<T> g = load_n(gradients + i, count);
      store_n(parameters + i, fnma(rate, g, load_n(parameters + i, count)), count);
    });
    return;
  }
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> step = rate * load_n(gradients + i, count);
    const Vec<T> v = momentum * load_n(velocity + i, count) - step;
    store_n(velocity + i, v, count);
    const Vec<T> move = nesterov ? momentum * v - step : v;
    store_n(parameters + i, load_n(parameters + i, count) + move, count);
  });
}

// a / b for b >= kMinDivisor, to 2 ULP. The divider is the bottleneck of Adam, because it also
// computes the square root; three Newton steps avoid it and give the same bits on every instruction
// set. The remaining error of the estimate is 0.0505^8 = 4e-11. Only overflow exceeds the range of
// the estimate: the last step then goes below 0, and the result is 0.
constexpr double kMinDivisor = 1e-30;
NNF_INLINE Vf divide(Vf a, Vf b) {
  const Vf one = broadcast<float>(1.0f), inside = min(broadcast<float>(1e30f), b);
  Vf r = reciprocal_estimate(inside);
  r = fma(r, fnma(inside, r, one), r);
  r = fma(r, fnma(inside, r, one), r);
  r = fma(r, fnma(b, r, one), r);
  return a * max(zero<float>(), r);
}
NNF_INLINE Vd divide(Vd a, Vd b) { return a / b; }

// Constants at least as large as the smallest divisor of divide().
template <class T>
NNF_INLINE Vec<T> safe_epsilon(double epsilon) {
  const double minimum = sizeof(T) == 4 ? kMinDivisor : 0;
  return broadcast<T>(static_cast<T>(epsilon > minimum ? epsilon : minimum));
}

// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= step(m, g) / (sqrt(size(i, count, v) second)
// + epsilon).
template <class T, class Params, class Step, class Size>
NNF_INLINE void update_by_moments(T* parameters, T* m, T* v, const T* gradients, index_t n,
                                  const Params& p, const Step& step, const Size& size) {
  const Vec<T> b1 = broadcast<T>(static_cast<T>(p.beta_1)),
               b2 = broadcast<T>(static_cast<T>(p.beta_2));
  const Vec<T> r1 = broadcast<T>(static_cast<T>(1 - p.beta_1));
  const Vec<T> r2 = broadcast<T>(static_cast<T>(1 - p.beta_2));
  const Vec<T> second = broadcast<T>(static_cast<T>(p.second));
  const Vec<T> epsilon = safe_epsilon<T>(p.epsilon);
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> g = load_n(gradients + i, count);
    const Vec<T> m_new = fma(b1, load_n(m + i, count), r1 * g);
    const Vec<T> v_new = fma(b2, load_n(v + i, count), r2 * (g * g));
    store_n(m + i, m_new, count);
    store_n(v + i, v_new, count);
    const Vec<T> move = divide(step(m_new, g), sqrt(size(i, count, v_new) * second) + epsilon);
    store_n(parameters + i, load_n(parameters + i, count) - move, count);
  });
}

// Adam: p -= rate m / (sqrt(v second) + epsilon) (Kingma, Ba 2015, arXiv:1412.6980, algorithm 1).
// largest, unless null, is the maximum of all v, used instead of v (Reddi, Kale, Kumar 2018,
// arXiv:1904.09237).
template <class T>
void adam(T* parameters, T* m, T* v, T* largest, const T* gradients, index_t n,
          const AdamParams& p) {
  const Vec<T> rate = broadcast<T>(static_cast<T>(p.rate));
  const auto step = [=](Vec<T> m_new, Vec<T>) { return rate * m_new; };
  if (!largest) {
    update_by_moments(parameters, m, v, gradients, n, p, step,
                      [](index_t, int, Vec<T> v_new) { return v_new; });
    return;
  }
  update_by_moments(parameters, m, v, gradients, n, p, step,
                    [=](index_t i, int count, Vec<T> v_new) {
                      const Vec<T> size = max(load_n(largest + i, count), v_new);
                      store_n(largest + i, size, count);
                      return size;
                    });
}

// Nadam: p -= (momentum m + gradient g) / (sqrt(v second) + epsilon) (Dozat 2016, ICLR workshop).
template <class T>
void nadam(T* parameters, T* m, T* v, const T* gradients, index_t n, const NadamParams& p) {
  const Vec<T> momentum = broadcast<T>(static_cast<T>(p.momentum));
  const Vec<T> gradient = broadcast<T>(static_cast<T>(p.gradient));
  update_by_moments(
      parameters, m, v, gradients, n, p,
      [=](Vec<T> m_new, Vec<T> g) { return fma(momentum, m_new, gradient * g); },
      [](index_t, int, Vec<T> v_new) { return v_new; });
}

// m = b1 m + (1 - b1) g; u = max(b2 u, |g|); p -= rate m / (u + epsilon) (Kingma, Ba 2015,
// arXiv:1412.6980, algorithm 2).
template <class T>
void adamax(T* parameters, T* m, T* u, const T* gradients, index_t n, const AdamaxParams& p) {
  const Vec<T> b1 = broadcast<T>(static_cast<T>(p.beta_1)),
               b2 = broadcast<T>(static_cast<T>(p.beta_2));
  const Vec<T> r1 = broadcast<T>(static_cast<T>(1 - p.beta_1));
  const Vec<T> rate = broadcast<T>(static_cast<T>(p.rate));
  const Vec<T> epsilon = safe_epsilon<T>(p.epsilon);
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> g = load_n(gradients + i, count);
    const Vec<T> m_new = fma(b1, load_n(m + i, count), r1 * g);
    const Vec<T> u_new = max(b2 * load_n(u + i, count), abs(g));
    store_n(m + i, m_new, count);
    store_n(u + i, u_new, count);
    const Vec<T> move = divide(rate * m_new, u_new + epsilon);
    store_n(parameters + i, load_n(parameters + i, count) - move, count);
  });
}

// p -= rate sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g (Chen et al. 2023, arXiv:2302.06675).
template <class T>
void lion(T* parameters, T* m, const T* gradients, index_t n, const LionParams& p) {
  const Vec<T> b1 = broadcast<T>(static_cast<T>(p.beta_1)),
               b2 = broadcast<T>(static_cast<T>(p.beta_2));
  const Vec<T> r1 = broadcast<T>(static_cast<T>(1 - p.beta_1));
  const Vec<T> r2 = broadcast<T>(static_cast<T>(1 - p.beta_2));
  const Vec<T> rate = broadcast<T>(static_cast<T>(p.learning_rate));
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> g = load_n(gradients + i, count), m_old = load_n(m + i, count);
    const Vec<T> direction = fma(b1, m_old, r1 * g);
    const Vec<T> move = select(equal(direction, zero<T>()), zero<T>(), copysign(rate, direction));
    store_n(m + i, fma(b2, m_old, r2 * g), count);
    store_n(parameters + i, load_n(parameters + i, count) - move, count);
  });
}

// v += g^2; p -= rate g / sqrt(v + epsilon) (Duchi, Hazan, Singer 2011, JMLR 12, 2121-2159).
template <class T>
void adagrad(T* parameters, T* v, const T* gradients, index_t n, const AdagradParams& p) {
  const Vec<T> rate = broadcast<T>(static_cast<T>(p.learning_rate));
  const Vec<T> epsilon = broadcast<T>(static_cast<T>(p.epsilon));
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> g = load_n(gradients + i, count);
    const Vec<T> v_new = fma(g, g, load_n(v + i, count));
    store_n(v + i, v_new, count);
    const Vec<T> move = divide(rate * g, sqrt(v_new + epsilon));
    store_n(parameters + i, load_n(parameters + i, count) - move, count);
  });
}

// v = rho v + (1 - rho) g^2; d = g sqrt(u + epsilon) / sqrt(v + epsilon);
// u = rho u + (1 - rho) d^2; p -= rate d (Zeiler 2012, arXiv:1212.5701).
template <class T>
void adadelta(T* parameters, T* v, T* u, const T* gradients, index_t n, const AdadeltaParams& p) {
  const Vec<T> rho = broadcast<T>(static_cast<T>(p.rho));
  const Vec<T> rest = broadcast<T>(static_cast<T>(1 - p.rho));
  const Vec<T> rate = broadcast<T>(static_cast<T>(p.learning_rate));
  const Vec<T> epsilon = broadcast<T>(static_cast<T>(p.epsilon));
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> g = load_n(gradients + i, count), u_old = load_n(u + i, count);
    const Vec<T> v_new = fma(rho, load_n(v + i, count), rest * (g * g));
    const Vec<T> d = divide(sqrt(u_old + epsilon) * g, sqrt(v_new + epsilon));
    store_n(v + i, v_new, count);
    store_n(u + i, fma(rho, u_old, rest * (d * d)), count);
    store_n(parameters + i, fnma(rate, d, load_n(parameters + i, count)), count);
  });
}

// v = rho v + (1 - rho) g^2; p -= rate g / sqrt(v + epsilon) (Tieleman, Hinton 2012, Coursera,
// lecture 6.5). m, unless null: m = rho m + (1 - rho) g, with v - m^2 instead of v under the root
// (Graves 2013, arXiv:1308.0850), which rounding may make negative. velocity, unless null,
// accumulates the updates of p, as in sgd().
template <class T>
void rmsprop(T* parameters, T* v, T* m, T* velocity, const T* gradients, index_t n,
             const RmspropParams& p) {
  const Vec<T> rho = broadcast<T>(static_cast<T>(p.rho));
  const Vec<T> rest = broadcast<T>(static_cast<T>(1 - p.rho));
  const Vec<T> rate = broadcast<T>(static_cast<T>(-p.learning_rate));
  const Vec<T> momentum = broadcast<T>(static_cast<T>(p.momentum));
  const Vec<T> epsilon = broadcast<T>(static_cast<T>(p.epsilon));
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> g = load_n(gradients + i, count);
    Vec<T> square = fma(rho, load_n(v + i, count), rest * (g * g));
    store_n(v + i, square, count);
    if (m) {
      const Vec<T> mean = fma(rho, load_n(m + i, count), rest * g);
      store_n(m + i, mean, count);
      square = max(zero<T>(), fnma(mean, mean, square));
    }
    Vec<T> move = divide(rate * g, sqrt(square + epsilon));
    if (velocity) {
      move = fma(momentum, load_n(velocity + i, count), move);
      store_n(velocity + i, move, count);
    }
    store_n(parameters + i, load_n(parameters + i, count) + move, count);
  });
}
