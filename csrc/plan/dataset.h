// Rows of data as passed by the caller, and batches of them.
#pragma once

#include "base/check.h"
#include "base/one_or_more.h"
#include "base/types.h"

namespace nnfast::plan {

// Rows of one input: numbers of the network's type, or bytes; those of Trait::integers bytes or integers.
template <class T>
struct Rows {
  const T* values = nullptr;
  const uint8_t* bytes = nullptr;
  const int32_t* int32s = nullptr;
  const int64_t* int64s = nullptr;
};

// In the order of the graph's inputs.
template <class T>
using RowsOfInputs = OneOrMore<Rows<T>>;

enum class LabelType { uint8, int32, int64 };

// Targets of one output: values (of the network's type or integers), or one label per position.
template <class T>
struct Targets {
  const T* values = nullptr;
  const void* integers = nullptr;
  LabelType integer_type = LabelType::int64;
  bool are_labels = false;     // else as many numbers per row as the output
  const T* weights = nullptr;  // one per row, or null for 1
};

template <class T>
struct Dataset {
  RowsOfInputs<T> x;
  OneOrMore<Targets<T>> y;  // in the order of the plan's losses; of an expression all its arrays
  index_t size = 0;
};

// Non-finite x, y or weights, or labels out of range, found before anything has run.
struct DataError : ValueError {
  using ValueError::ValueError;
};

// Rows order[first] ... of a dataset, or rows first ... if order is null.
struct Batch {
  const int64_t* order;
  index_t first, rows;
  index_t number;  // index of the batch in its epoch
  bool augmented = false;
  index_t skipped = 0;  // rows of the epoch before order[0]

  index_t row(index_t i) const {
    return order ? static_cast<index_t>(order[first + i]) : first + i;
  }
  Batch part(index_t begin, index_t count) const {
    return {order, first + begin, count, number, augmented, skipped};
  }
};

// Its name in errors.
std::string name_of_batch(const Batch& batch);

}  // namespace nnfast::plan
