#include "plan/train/gradient_sum.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast::plan {
namespace {

template <class T>
void add_vector(T* into, const T* from, size_t size) {
  const auto n = static_cast<index_t>(size);
  parallel_ranges(n, 64, 0.15 * static_cast<double>(n), [=](index_t begin, index_t end) {
    kernels<T>().add(into + begin, into + begin, from + begin, end - begin);
  });
}

}  // namespace

template <class T>
GradientSum<T>::GradientSum(const Objective<T>& objective, AlignedBuffer<T>& gradients,
                            std::vector<Statistic> statistics, index_t shards)
    : objective_(objective), gradients_(gradients), statistics_(std::move(statistics)) {
  size_t numbers = 0;
  for (const Statistic& statistic : statistics_) numbers += statistic.size;
  // One subtree per bit of the number of shards, and the current shard.
  size_t depth = 2;
  while (shards >> (depth - 1) != 0) ++depth;
  for (size_t i = 0; i < depth; ++i) {
    nodes_.push_back({AlignedBuffer<T>(gradients.size()), std::vector<double>(numbers),
                      std::vector<double>(objective.totals_size())});
  }
}

template <class T>
void GradientSum<T>::start(index_t rows_of_batch) {
  rows_of_batch_ = static_cast<double>(rows_of_batch);
  depth_ = 0;
  nodes_[0].is_new = true;
}

template <class T>
void GradientSum<T>::add(const BatchPart& part, const double* totals) {
  add_to(nodes_[depth_], part, totals);
  if (!part.ends_shard) return;
  nodes_[depth_++].level = 0;
  while (depth_ >= 2 && nodes_[depth_ - 2].level == nodes_[depth_ - 1].level) merge_last_two();
  nodes_[depth_].is_new = true;
}

template <class T>
void GradientSum<T>::add_to(Node& node, const BatchPart& part, const double* totals) {
  if (node.is_new) {
    std::memcpy(node.gradients.data(), gradients_.data(), gradients_.size() * sizeof(T));
    std::fill(node.statistics.begin(), node.statistics.end(), 0.0);
    std::fill(node.totals.begin(), node.totals.end(), 0.0);
    node.is_new = false;
  } else {
    add_vector(node.gradients.data(), gradients_.data(), gradients_.size());
  }
  objective_.merge(node.totals.data(), totals);
  const double share = static_cast<double>(part.rows) / rows_of_batch_;
  double* to = node.statistics.data();
  for (const Statistic& statistic : statistics_) {
    for (size_t i = 0; i < statistic.size; ++i) *to++ += share * statistic.values[i];
  }
}

template <class T>
void GradientSum<T>::merge_last_two() {
  Node& into = nodes_[depth_ - 2];
  const Node& from = nodes_[depth_ - 1];
  add_vector(into.gradients.data(), from.gradients.data(), gradients_.size());
  objective_.merge(into.totals.data(), from.totals.data());
  for (size_t i = 0; i < into.statistics.size(); ++i) into.statistics[i] += from.statistics[i];
  ++into.level;
  --depth_;
}

template <class T>
void GradientSum<T>::finish(double* totals) {
  while (depth_ > 1) merge_last_two();
  const Node& sum = nodes_[0];
  std::memcpy(gradients_.data(), sum.gradients.data(), gradients_.size() * sizeof(T));
  const double* from = sum.statistics.data();
  for (const Statistic& statistic : statistics_) {
    std::copy(from, from + statistic.size, statistic.values);
    from += statistic.size;
  }
  std::copy(sum.totals.begin(), sum.totals.end(), totals);
}

template class GradientSum<float>;
template class GradientSum<double>;

}  // namespace nnfast::plan
