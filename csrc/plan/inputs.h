// A program's inputs: rows of data brought into the input tensors, or read where they are.
#pragma once

#include <optional>

#include "ops/image/augment.h"
#include "plan/dataset.h"
#include "plan/program.h"

namespace nnfast::plan {

template <class T>
class Inputs {
 public:
  Inputs(const GraphLayout& layout, const std::vector<ProgramInput<T>>& inputs,
         const PlanOptions& options);

  // Rows that are wanted in their order and unchanged are read from the caller's array.
  void read(const RowsOfInputs<T>& x, const Batch& batch);
  // Those of the first input as randomly changed images; there is no other.
  void read_augmented(const RowsOfInputs<T>& x, const Batch& batch, uint64_t seed, uint32_t step);
  bool augments() const { return augmentation_.has_value(); }

  // A DataError that names the first row of x (n rows) that is not finite.
  void require_finite(const RowsOfInputs<T>& x, index_t n) const;
  // Likewise for what was read of x, with an error of that type.
  template <class Error>
  void require_finite_batch(const RowsOfInputs<T>& x, const Batch& batch) const;

 private:
  void read_one(const ProgramInput<T>& input, const Rows<T>& x, const Batch& batch);
  std::string non_finite_text(size_t input, index_t row) const;

  const GraphLayout& layout_;
  const std::vector<ProgramInput<T>>& inputs_;
  bool keeps_;  // every tensor has its own memory
  std::optional<AugmentParams> augmentation_;
};

// The first of `rows` with a number that is not finite; there is one.
template <class T>
index_t non_finite_row(const T* values, index_t rows, index_t width);

}  // namespace nnfast::plan
