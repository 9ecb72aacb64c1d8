#include "plan/train/weight_average.h"

#include <cstring>

#include "ops/weights.h"

namespace nnfast::plan {

template <class T>
WeightAverage<T>::WeightAverage(const NodeSpec& spec, T* values, index_t flat_size)
    : values_(values),
      average_(static_cast<size_t>(flat_size)),
      momentum_(fraction(spec, "momentum", 0.99)),
      overwrite_frequency_(static_cast<uint64_t>(spec.integer_or("overwrite_frequency", 0))) {
  require_known(spec, "momentum overwrite_frequency");
}

template <class T>
void WeightAverage<T>::follow(const Optimizer<T>& optimizer, uint64_t update) {
  const bool overwrites = overwrite_frequency_ != 0 && update % overwrite_frequency_ == 0;
  for (const TrainedRange& range : optimizer.ranges()) {
    T *const value = values_ + range.begin, *const average = average_.data() + range.begin;
    const size_t bytes = static_cast<size_t>(range.size) * sizeof(T);
    if (range.steps == 1) {
      std::memcpy(average, value, bytes);
    } else {
      moving_average(average, value, range.size, momentum_);
    }
    if (overwrites) std::memcpy(value, average, bytes);
  }
}

template class WeightAverage<float>;
template class WeightAverage<double>;

}  // namespace nnfast::plan
