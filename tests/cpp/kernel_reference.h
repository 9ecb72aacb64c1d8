// What the kernels must compute, one number at a time, in long double.
#pragma once

#include <cmath>

#include "kernels/params.h"

namespace nnfast_test {

using Exact = long double;

inline Exact sigmoid(Exact x) { return 1 / (1 + std::exp(-x)); }
inline Exact softplus(Exact x) { return std::fmax(x, 0.0L) + std::log1p(std::exp(-std::fabs(x))); }

inline Exact math_function(nnfast::MathFunction function, Exact x) {
  using nnfast::MathFunction;
  switch (function) {
    case MathFunction::exp:
      return std::exp(x);
    case MathFunction::expm1:
      return std::expm1(x);
    case MathFunction::log:
      return std::log(x);
    case MathFunction::log1p:
      return std::log1p(x);
    case MathFunction::tanh:
      return std::tanh(x);
    case MathFunction::sigmoid:
      return sigmoid(x);
    case MathFunction::erf:
      return std::erf(x);
    case MathFunction::softplus:
      return softplus(x);
  }
  return 0;
}

struct ValueAndSlope {
  Exact value, slope;
};

constexpr Exact kSeluScale = 1.0507009873554804934193349852946L;
constexpr Exact kSeluAlpha = 1.6732632423543772848170429916717L;
constexpr Exact kPi = 3.14159265358979323846264338327950288L;

inline ValueAndSlope gelu(Exact x) {
  const Exact normal = (1 + std::erf(x / std::sqrt(2.0L))) / 2;
  return {x * normal, normal + x * std::exp(-x * x / 2) / std::sqrt(2 * kPi)};
}

inline ValueAndSlope gelu_tanh(Exact x) {
  const Exact factor = std::sqrt(2 / kPi), cubic = 0.044715L;
  const Exact t = std::tanh(factor * (x + cubic * x * x * x));
  return {x / 2 * (1 + t), (1 + t) / 2 + x / 2 * (1 - t * t) * factor * (1 + 3 * cubic * x * x)};
}

// f(x) and f'(x), away from kinks.
inline ValueAndSlope activation(nnfast::Activation kind, Exact x, Exact alpha) {
  using nnfast::Activation;
  const Exact s = sigmoid(x), t = std::tanh(x), below = std::expm1(x);
  switch (kind) {
    case Activation::heaviside:
      return {x >= alpha ? 1.0L : 0.0L, 0};
    case Activation::sigmoid:
      return {s, s * (1 - s)};
    case Activation::tanh:
      return {t, 1 - t * t};
    case Activation::relu:
      return {std::fmax(x, 0.0L), x > 0 ? 1.0L : 0.0L};
    case Activation::leaky_relu:
      return {x > 0 ? x : alpha * x, x > 0 ? 1 : alpha};
    case Activation::elu:
      return {x > 0 ? x : alpha * below, x > 0 ? 1 : alpha * std::exp(x)};
    case Activation::selu:
      return {kSeluScale * (x > 0 ? x : kSeluAlpha * below),
              kSeluScale * (x > 0 ? 1 : kSeluAlpha * std::exp(x))};
    case Activation::gelu:
      return gelu(x);
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::silu:
      return {x * s, s * (1 + x * (1 - s))};
    case Activation::softplus:
      return {softplus(x), s};
    case Activation::softsign:
      return {x / (1 + std::fabs(x)), 1 / ((1 + std::fabs(x)) * (1 + std::fabs(x)))};
    case Activation::hard_sigmoid:
      return {std::fmin(1.0L, std::fmax(0.0L, x / 6 + 0.5L)), std::fabs(x) < 3 ? 1 / 6.0L : 0};
    default:
      return {x, 1};
  }
}

// One element's share of a row's loss, before the mean, and its derivative by the prediction.
inline ValueAndSlope loss_term(nnfast::Loss kind, Exact p, Exact t, Exact delta) {
  using nnfast::Loss;
  const Exact e = p - t, size = std::fabs(e), sign = e > 0 ? 1 : -1;
  switch (kind) {
    case Loss::mse:
      return {e * e, 2 * e};
    case Loss::half_squared_error:
      return {e * e / 2, e};
    case Loss::mae:
    case Loss::sum_absolute_error:
      return {size, sign};
    case Loss::huber:
      return size > delta ? ValueAndSlope{delta * (size - delta / 2), sign * delta}
                          : ValueAndSlope{e * e / 2, e};
    case Loss::binary_cross_entropy:
      return {-(t * std::log(p) + (1 - t) * std::log1p(-p)), (1 - t) / (1 - p) - t / p};
    case Loss::binary_cross_entropy_logits:
      return {softplus(p) - t * p, sigmoid(p) - t};
    case Loss::cross_entropy:
      return {-t * std::log(p), -t / p};
  }
  return {0, 0};
}

inline bool loss_is_mean(nnfast::Loss kind) {
  using nnfast::Loss;
  return kind != Loss::half_squared_error && kind != Loss::sum_absolute_error &&
         kind != Loss::cross_entropy;
}

}  // namespace nnfast_test
