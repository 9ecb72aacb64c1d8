// The gradient of a batch that is computed in parts: logical shards, each in micro-batches.
//
// The micro-batches of a shard are added in order, and the shards in a binary tree that depends
// only on their number. So the bits do not depend on where or when a shard is computed.
#pragma once

#include <algorithm>

#include "plan/train/objective.h"

namespace nnfast::plan {

// A step looks at each shard, also at those that are empty.
constexpr index_t kMaxShards = index_t(1) << 16;

struct BatchPart {
  index_t begin, rows;  // in the batch
  uint64_t number;      // determines dropout and other random numbers
  bool ends_shard;
};

// The largest part of a batch.
inline index_t rows_of_part(index_t rows, index_t shards, index_t micro_batch) {
  const index_t shard = (rows + shards - 1) / shards;
  return micro_batch > 0 ? std::min(micro_batch, shard) : shard;
}

// The parts of a batch, in the order of computation. micro_batch: maximum rows of a part, or 0 for
// whole shards. f(part).
template <class F>
void for_parts_of_batch(index_t rows, index_t shards, index_t micro_batch, const F& f) {
  const index_t size = rows_of_part(rows, shards, micro_batch);
  const index_t parts_of_shard = (rows_of_part(rows, shards, 0) + size - 1) / size;
  for (index_t shard = 0; shard < shards; ++shard) {
    const index_t begin = rows * shard / shards, end = rows * (shard + 1) / shards;
    index_t number = shard * parts_of_shard;
    for (index_t first = begin; first < end; first += size) {
      const index_t count = std::min(size, end - first);
      f(BatchPart{first, count, static_cast<uint64_t>(number++), first + count == end});
    }
  }
}

template <class T>
class GradientSum {
 public:
  // statistics: values that ops compute from a batch besides gradients (Op::statistics), averaged
  // over all rows.
  GradientSum(const Objective<T>& objective, AlignedBuffer<T>& gradients,
              std::vector<Statistic> statistics, index_t shards);

  void start(index_t rows_of_batch);
  // Adds the gradients and statistics of the last backward pass, and the totals of its rows.
  void add(const BatchPart& part, const double* totals);
  // Stores the sums in gradients, statistics and totals.
  void finish(double* totals);

 private:
  struct Node {
    AlignedBuffer<T> gradients;
    std::vector<double> statistics, totals;
    int level = 0;
    bool is_new = true;
  };
  void add_to(Node& node, const BatchPart& part, const double* totals);
  void merge_last_two();

  const Objective<T>& objective_;
  AlignedBuffer<T>& gradients_;
  std::vector<Statistic> statistics_;
  std::vector<Node> nodes_;  // the stack of subtrees, and the current shard
  size_t depth_ = 0;
  double rows_of_batch_ = 1;
};

}  // namespace nnfast::plan
