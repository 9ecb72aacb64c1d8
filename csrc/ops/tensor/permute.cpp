#include "ops/tensor/permute.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

// Places along an axis that a piece of work takes: the lines of x that it reads stay in the cache.
constexpr index_t kPiece = 64;

}  // namespace

template <class T>
Permutation<T>::Permutation(const std::vector<int64_t>& shape, const std::vector<size_t>& order) {
  std::vector<index_t> x_steps(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    x_steps[i] = size_;
    size_ *= static_cast<index_t>(shape[i]);
  }
  // From the last, neighbours that stay neighbours as one axis; axes of size 1 are nowhere.
  std::vector<Axis> axes;
  index_t y_step = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const Axis axis{static_cast<index_t>(shape[order[i]]), y_step, x_steps[order[i]]};
    y_step *= axis.size;
    if (axis.size == 1) continue;
    if (!axes.empty() && axis.x_step == axes.back().x_step * axes.back().size) {
      axes.back().size *= axis.size;
    } else {
      axes.push_back(axis);
    }
  }
  if (axes.empty()) axes.push_back({1, 1, 1});
  last_ = axes[0];
  for (size_t i = 1; i < axes.size(); ++i) {
    const bool is_inner = keeps_last() ? i == 1 : axes[i].x_step == 1;
    if (is_inner) {
      inner_ = axes[i];
    } else {
      outer_.push_back(axes[i]);
    }
  }
  parts_ = ((keeps_last() ? inner_.size : last_.size) + kPiece - 1) / kPiece;
  pieces_ = parts_;
  for (const Axis& axis : outer_) pieces_ *= axis.size;
}

template <class T>
void Permutation<T>::operator()(T* y, const T* x, index_t rows) const {
  const double cost = (keeps_last() ? 0.15 : 0.4) * static_cast<double>(rows * size_);
  parallel_ranges(rows * pieces_, 1, cost, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t row = i / pieces_ * size_;
      run(y + row, x + row, i % pieces_);
    }
  });
}

template <class T>
void Permutation<T>::run(T* y, const T* x, index_t piece) const {
  const index_t begin = piece % parts_ * kPiece;
  piece /= parts_;
  for (const Axis& axis : outer_) {
    y += piece % axis.size * axis.y_step;
    x += piece % axis.size * axis.x_step;
    piece /= axis.size;
  }
  if (!keeps_last()) {
    kernels<T>().transpose(y + begin, inner_.y_step, x + begin * last_.x_step, last_.x_step,
                           std::min(kPiece, last_.size - begin), inner_.size);
    return;
  }
  for (index_t i = begin; i < std::min(begin + kPiece, inner_.size); ++i)
    std::memcpy(y + i * inner_.y_step, x + i * inner_.x_step,
                sizeof(T) * static_cast<size_t>(last_.size));
}

template class Permutation<float>;
template class Permutation<double>;

}  // namespace nnfast
