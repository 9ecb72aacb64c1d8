// Muon: matrices move along their momentum with all its singular values made equal, about 1; other
// parameters by Adam.
#include <algorithm>
#include <cmath>
#include <map>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/gemm/gemm.h"
#include "ops/reduce.h"
#include "ops/update.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

struct Matrix {
  index_t rows, columns;
};

// Whether `name` is that of the parameter, of its layer, or its own within the layer.
bool is_called(const std::string& parameter, const std::string& name) {
  const size_t dot = parameter.rfind('.');
  if (parameter == name || dot == std::string::npos) return parameter == name;
  return parameter.compare(0, dot, name) == 0 ||
         parameter.compare(dot + 1, std::string::npos, name) == 0;
}

// y (n) = factor x, or y += factor x.
template <class T>
void scale(T* y, const T* x, index_t n, double factor, bool add) {
  constexpr double cost = 0.2;
  parallel_ranges(n, 64, cost * static_cast<double>(n), [&](index_t begin, index_t end) {
    if (add) {
      kernels<T>().add_scaled(y + begin, y + begin, x + begin, end - begin, factor);
    } else {
      kernels<T>().scale_shift(y + begin, x + begin, end - begin, factor, 0);
    }
  });
}

template <class T>
class Muon final : public UpdateRule<T> {
 public:
  explicit Muon(const NodeSpec& spec)
      : momentum_(fraction(spec, "momentum", 0.95)),
        rms_rate_(spec.number_or("rms_rate", 0.2)),
        adam_ratio_(spec.number_or("adam_lr_ratio", 1)),
        beta_1_(fraction(spec, "adam_beta_1", 0.9)),
        beta_2_(fraction(spec, "adam_beta_2", 0.999)),
        epsilon_(positive_epsilon(spec)),
        iterations_(spec.integer_or("ns_steps", 5)),
        nesterov_(spec.integer_or("nesterov", 1) != 0) {
    if (spec.has("exclude")) exclude_ = spec.strings("exclude");
    require(iterations_ >= 1 && iterations_ <= 100, spec.op,
            ": expected an ns_steps from 1 to 100, got ", iterations_);
    require(rms_rate_ > 0 && std::isfinite(rms_rate_), spec.op,
            ": expected a finite rms_rate above 0, got ", rms_rate_);
    require(adam_ratio_ > 0 && std::isfinite(adam_ratio_), spec.op,
            ": expected a finite adam_lr_ratio above 0, got ", adam_ratio_);
  }

  std::vector<StateVector> state() const override {
    return {{"m", Holds::gradients}, {"v", Holds::squares}};
  }

  bool by_parameter() const override { return true; }

  void prepare(const std::vector<const Parameter<T>*>& parameters) override {
    size_t most = 0, sides = 0;
    for (const std::string& name : exclude_) {
      require(std::any_of(parameters.begin(), parameters.end(),
                          [&](const auto* each) { return is_called(each->name, name); }),
              "Muon: expected names of layers or parameters in exclude, got '", name, "'");
    }
    for (const Parameter<T>* parameter : parameters) {
      if (!is_matrix(*parameter)) continue;
      const index_t columns = parameter->shape.back(), rows = parameter->size / columns;
      matrices_[parameter] = {rows, columns};
      const size_t side = static_cast<size_t>(std::min(rows, columns));
      most = std::max(most, static_cast<size_t>(parameter->size));
      sides = std::max(sides, side * side);
    }
    direction_ = AlignedBuffer<T>(most);
    next_ = AlignedBuffer<T>(most);
    gram_ = AlignedBuffer<T>(sides);
    polynomial_ = AlignedBuffer<T>(sides);
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    const auto found = matrices_.find(of.parameter);
    if (found == matrices_.end()) {
      adam_update<T>(of.values, of.state[0], of.state[1], nullptr, of.gradients, of.size,
                     learning_rate * adam_ratio_, beta_1_, beta_2_, epsilon_, of.step);
      return;
    }
    const Matrix shape = found->second;
    T *const m = of.state[0], *x = direction_.data(), *y = next_.data();
    scale(m, m, of.size, momentum_, false);
    scale(m, of.gradients, of.size, 1 - momentum_, true);
    scale(x, m, of.size, nesterov_ ? momentum_ : 1, false);
    if (nesterov_) scale(x, of.gradients, of.size, 1 - momentum_, true);
    constexpr double kLeastNorm = 1e-7;
    scale(x, x, of.size, 1 / (norm_of(x, of.size) + kLeastNorm), false);
    for (int64_t i = 0; i < iterations_; ++i) {
      iterate(y, x, shape);
      std::swap(x, y);
    }
    const double side = static_cast<double>(std::max(shape.rows, shape.columns));
    scale(of.values, x, of.size, -learning_rate * rms_rate_ * std::sqrt(side), true);
  }

  // Elements of a matrix whose singular values are below 2 are below 2.
  double gain(double learning_rate) const override {
    constexpr double kLongestSide = 0x1p40;
    return learning_rate *
           (2 * rms_rate_ * std::sqrt(kLongestSide) + adam_ratio_ / (1 - beta_1_) / epsilon_);
  }

 private:
  // Kernels of dense layers and convolutions, the latter as (KH KW C, O), and other tables of
  // numbers, except those of embeddings, which are no linear maps.
  bool is_matrix(const Parameter<T>& parameter) const {
    const std::string& name = parameter.name;
    const Shape& shape = parameter.shape;
    const bool is_map = shape.size() == 2 || (shape.size() > 2 && is_called(name, "kernel"));
    if (!is_map || is_called(name, "embeddings")) return false;
    if (shape.back() < 2 || parameter.size / shape.back() < 2) return false;
    return std::none_of(exclude_.begin(), exclude_.end(),
                        [&](const std::string& each) { return is_called(name, each); });
  }

  // y = a x + (b s + c s^2) x for s = x x^T, or with s = x^T x on the right if that is smaller.
  // Takes all singular values from (0, 1] to about 1 (Jordan et al. 2024, the coefficients of which
  // make the slope at 0 as large as possible).
  void iterate(T* y, const T* x, const Matrix& shape) const {
    constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
    const auto [rows, columns] = shape;
    const bool is_wide = rows <= columns;
    const index_t side = std::min(rows, columns);
    T *const s = gram_.data(), *const p = polynomial_.data();
    Gemm<T> gram{side, side, is_wide ? columns : rows, x, columns, 1, x, 1, columns, s, side};
    if (!is_wide) {
      std::swap(gram.a_row, gram.a_k);
      std::swap(gram.b_k, gram.b_n);
    }
    gram.tiled = true;
    gemm(gram);
    gemm(Gemm<T>{side, side, side, s, side, 1, s, side, 1, p, side});
    scale(p, p, side * side, c, false);
    scale(p, s, side * side, b, true);
    scale(y, x, rows * columns, a, false);
    Gemm<T> product =
        is_wide ? Gemm<T>{rows, columns, rows, p, rows, 1, x, columns, 1, y, columns}
                : Gemm<T>{rows, columns, columns, x, columns, 1, p, columns, 1, y, columns};
    product.accumulate = true;
    gemm(product);
  }

  double momentum_, rms_rate_, adam_ratio_, beta_1_, beta_2_, epsilon_;
  int64_t iterations_;
  bool nesterov_;
  std::vector<std::string> exclude_;
  std::map<const Parameter<T>*, Matrix> matrices_;
  AlignedBuffer<T> direction_, next_, gram_, polynomial_;
};

const Registered<OptimizerKind> registered(optimizer_kind<Muon>(
    "muon",
    "momentum nesterov ns_steps rms_rate adam_lr_ratio adam_beta_1 adam_beta_2 epsilon exclude"));

}  // namespace
}  // namespace nnfast::plan
