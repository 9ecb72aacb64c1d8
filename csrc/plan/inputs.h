// The inputs of a program: rows of data gathered into the input tensors, or read in place.
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

  // Rows needed in order and unchanged are read from the caller's array.
  void read(const RowsOfInputs<T>& x, const Batch& batch);
  // Rows of the first and only input, as augmented images.
  void read_augmented(const RowsOfInputs<T>& x, const Batch& batch, uint64_t seed, uint32_t step);
  bool augments() const { return augmentation_.has_value(); }

  // A DataError that names the first row of x (n rows) that is not finite.
  void require_finite(const RowsOfInputs<T>& x, index_t n) const;
  // Likewise for the rows read from x, with an error of the given type.
  template <class Error>
  void require_finite_batch(const RowsOfInputs<T>& x, const Batch& batch) const;

 private:
  void read_one(size_t i, const Rows<T>& x, const Batch& batch);
  template <class Integer>
  void read_integers(size_t i, const Integer* x, const Batch& batch);
  template <class Integer>
  [[noreturn]] void refuse_integers(size_t i, const Integer* x, const Batch& batch) const;
  std::string non_finite_text(size_t input, index_t row) const;

  const GraphLayout& layout_;
  const std::vector<ProgramInput<T>>& inputs_;
  bool keeps_;  // every tensor has its own memory
  std::optional<AugmentParams> augmentation_;
};

// The first of `rows` that contains a non-finite number; there is one.
template <class T>
index_t non_finite_row(const T* values, index_t rows, index_t width);

}  // namespace nnfast::plan
