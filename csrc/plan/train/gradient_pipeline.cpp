#include "plan/train/gradient_pipeline.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/reduce.h"

namespace nnfast::plan {
namespace {

double limit_of(const NodeSpec& spec, const char* key) {
  const double value = spec.number_or(key, 0);
  require(std::isfinite(value) && value >= 0, "optimizer: expected a finite ", key,
          " of 0 or more, got ", value);
  return value;
}

// f(begin, end) for parts of a parameter's gradient.
template <class T, class F>
void for_parts(const Parameter<T>& parameter, const F& f) {
  constexpr double cost = 0.15;
  parallel_ranges(parameter.size, 64, cost * static_cast<double>(parameter.size), f);
}

template <class T>
void scale_gradient(const Parameter<T>& parameter, double factor) {
  T* g = parameter.gradient;
  for_parts(parameter, [g, factor](index_t begin, index_t end) {
    kernels<T>().scale_shift(g + begin, g + begin, end - begin, factor, 0);
  });
}

// Norm of all these gradients together.
template <class T>
double norm_of(Parameter<T>* const* parameters, size_t count, Magnitude magnitude) {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const Parameter<T>& parameter = *parameters[i];
    if (magnitude == Magnitude::moderate) {
      sum += sum_of_squares(parameter.gradient, parameter.size);
    } else {
      sum = add_tiny_squares(sum, parameter.gradient, parameter.size);
    }
  }
  return magnitude == Magnitude::moderate ? std::sqrt(sum) : std::sqrt(sum) / kTiny;
}

template <class T>
void clip_norm(Parameter<T>* const* parameters, size_t count, double limit, Magnitude magnitude) {
  const double norm = norm_of(parameters, count, magnitude);
  if (norm <= limit) return;
  for (size_t i = 0; i < count; ++i) scale_gradient(*parameters[i], limit / norm);
}

}  // namespace

template <class T>
GradientPipeline<T>::GradientPipeline(const PlanOptions& options, const Program<T>& program,
                                      GradientCallback<T> callback)
    : callback_(std::move(callback)) {
  for (const auto& parameter : program.parameters) {
    if (parameter->gradient) learning_.push_back(parameter.get());
  }
  if (!options.gradients) return;
  const NodeSpec& spec = *options.gradients;
  decay_ = limit_of(spec, "l2");
  value_limit_ = limit_of(spec, "clipvalue");
  norm_limit_ = limit_of(spec, "clipnorm");
  global_norm_limit_ = limit_of(spec, "global_clipnorm");
  require_known(spec, "l2 decaying clipvalue clipnorm global_clipnorm");
  if (decay_ == 0) return;
  const std::vector<std::string>& names = spec.strings("decaying");
  for (Parameter<T>* parameter : learning_) {
    if (std::find(names.begin(), names.end(), parameter->name) != names.end())
      decaying_.push_back(parameter);
  }
}

template <class T>
Magnitude GradientPipeline<T>::measure() const {
  return magnitude_of_gradients(learning_);
}

template <class T>
Magnitude GradientPipeline<T>::run(Magnitude magnitude) {
  if (callback_) callback_(learning_);
  for (const Parameter<T>* parameter : decaying_) {
    T* g = parameter->gradient;
    const T* value = parameter->value;
    for_parts(*parameter, [=](index_t begin, index_t end) {
      kernels<T>().add_scaled(g + begin, g + begin, value + begin, end - begin, decay_);
    });
  }
  if (callback_ || !decaying_.empty()) magnitude = measure();
  if (magnitude != Magnitude::not_finite) clip(magnitude);
  return magnitude;
}

template <class T>
void GradientPipeline<T>::clip(Magnitude magnitude) {
  const size_t count = learning_.size();
  for (size_t i = 0; value_limit_ != 0 && i < count; ++i) {
    T* g = learning_[i]->gradient;
    for_parts(*learning_[i], [g, this](index_t begin, index_t end) {
      kernels<T>().clip(g + begin, g + begin, end - begin, -value_limit_, value_limit_);
    });
  }
  for (size_t i = 0; norm_limit_ != 0 && i < count; ++i)
    clip_norm(&learning_[i], 1, norm_limit_, magnitude);
  if (global_norm_limit_ != 0) clip_norm(learning_.data(), count, global_norm_limit_, magnitude);
}

template class GradientPipeline<float>;
template class GradientPipeline<double>;

}  // namespace nnfast::plan
