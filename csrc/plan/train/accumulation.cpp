#include "plan/train/accumulation.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast::plan {

template <class T>
Accumulation<T>::Accumulation(index_t batches,
                              const std::vector<std::unique_ptr<Parameter<T>>>& parameters,
                              const AlignedBuffer<T>& gradients)
    : batches_(static_cast<uint64_t>(batches)),
      gradients_(gradients.data()),
      sum_(gradients.size()) {
  for (const auto& parameter : parameters) {
    if (parameter->gradient)
      ranges_.emplace_back(parameter->gradient - gradients_, parameter->size);
  }
}

template <class T>
void Accumulation<T>::add(bool completes) {
  constexpr double cost = 0.2;
  const double share = 1 / static_cast<double>(batches_);
  for (const auto& [first, size] : ranges_) {
    T* const g = gradients_ + first;
    const T* const sum = sum_.data() + first;
    const double work = cost * static_cast<double>(size);
    parallel_ranges(size, 64, work, [=](index_t begin, index_t end) {
      kernels<T>().add(g + begin, g + begin, sum + begin, end - begin);
      if (completes) kernels<T>().scale_shift(g + begin, g + begin, end - begin, share, 0);
    });
  }
}

template <class T>
void Accumulation<T>::keep(bool completes) {
  if (completes) {
    std::fill_n(sum_.data(), sum_.size(), T(0));
    return;
  }
  for (const auto& [first, size] : ranges_)
    std::memcpy(sum_.data() + first, gradients_ + first, static_cast<size_t>(size) * sizeof(T));
}

template class Accumulation<float>;
template class Accumulation<double>;

}  // namespace nnfast::plan
