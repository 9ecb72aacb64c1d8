#include "plan/inputs.h"

#include <atomic>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/reduce.h"
#include "plan/augmentation.h"
#include "plan/lent.h"

namespace nnfast::plan {

template <class T>
index_t non_finite_row(const T* values, index_t rows, index_t width) {
  index_t row = 0;
  while (row + 1 < rows && all_finite(values + row * width, width)) ++row;
  return row;
}

std::string name_of_batch(const Batch& batch) {
  if (!batch.order) return text("a batch of ", batch.rows, " rows");
  const index_t first = batch.skipped + batch.first;
  return text("batch ", batch.number, " (rows ", first, " to ", first + batch.rows - 1,
              " of the epoch's order)");
}

template <class T>
Inputs<T>::Inputs(const GraphLayout& layout, const std::vector<ProgramInput<T>>& inputs,
                  const PlanOptions& options)
    : layout_(layout), inputs_(inputs), keeps_(options.keep || options.by_hand) {
  if (!options.augmentation) return;
  require(!layout.input(0).is(Trait::integers), "augmentation: expected an input of images, got ",
          layout.input(0).spec.name,
          " of integers; make it with layers.Input(shape), without dtype");
  augmentation_ = parse_augmentation(*options.augmentation, inputs[0].tensor->shape);
  augmentation_->scale = inputs[0].scale;
  augmentation_->offset = inputs[0].offset;
}

template <class T>
void Inputs<T>::read(const RowsOfInputs<T>& x, const Batch& batch) {
  for (size_t i = 0; i < inputs_.size(); ++i) read_one(i, x[i], batch);
}

template <class T>
void Inputs<T>::read_one(size_t i, const Rows<T>& x, const Batch& batch) {
  const ProgramInput<T>& input = inputs_[i];
  const index_t n = input.tensor->size;
  const bool unchanged = x.values && input.scale == 1 && input.offset == 0;
  if (unchanged && !batch.order && !keeps_) {
    point_at(input.views, const_cast<T*>(x.values + batch.first * n));
    return;
  }
  point_at(input.views, input.memory);
  if (x.int32s) return read_integers(i, x.int32s, batch);
  if (x.int64s) return read_integers(i, x.int64s, batch);
  const double cost = 0.15 * static_cast<double>(batch.rows * n);
  parallel_ranges(batch.rows, 1, cost, [&](index_t begin, index_t end) {
    T* to = input.memory + begin * n;
    const int64_t* wanted = batch.order ? batch.order + batch.first + begin : nullptr;
    const index_t skip = batch.order ? 0 : (batch.first + begin) * n;
    if (x.bytes) {
      kernels<T>().gather_byte_rows(to, x.bytes + skip, wanted, end - begin, n, input.scale,
                                    input.offset);
    } else {
      kernels<T>().gather_rows(to, x.values + skip, wanted, end - begin, n, input.scale,
                               input.offset);
    }
  });
}

// Up to here T holds every integer exactly.
template <class T>
constexpr int64_t kLargestInteger = int64_t(1) << (sizeof(T) == 4 ? 24 : 53);

// x (n) as numbers; whether T holds them exactly.
template <class T, class Integer>
bool to_numbers(T* to, const Integer* x, index_t n) {
  bool exact = true;
  for (index_t i = 0; i < n; ++i) {
    exact &= x[i] >= 0 && static_cast<int64_t>(x[i]) <= kLargestInteger<T>;
    to[i] = static_cast<T>(x[i]);
  }
  return exact;
}

template <class T>
template <class Integer>
void Inputs<T>::read_integers(size_t i, const Integer* x, const Batch& batch) {
  const ProgramInput<T>& input = inputs_[i];
  const index_t n = input.tensor->size;
  const bool unchanged = input.scale == 1 && input.offset == 0;
  std::atomic<bool> exact{true};
  const double cost = static_cast<double>(batch.rows * n);
  parallel_ranges(batch.rows, 1, cost, [&](index_t begin, index_t end) {
    for (index_t r = begin; r < end; ++r) {
      T* to = input.memory + r * n;
      if (!to_numbers(to, x + batch.row(r) * n, n)) exact.store(false, std::memory_order_relaxed);
      if (!unchanged) kernels<T>().scale_shift(to, to, n, input.scale, input.offset);
    }
  });
  if (!exact.load(std::memory_order_relaxed)) refuse_integers(i, x, batch);
}

// A DataError that names the first that T does not hold, or that is negative.
template <class T>
template <class Integer>
void Inputs<T>::refuse_integers(size_t i, const Integer* x, const Batch& batch) const {
  const index_t n = inputs_[i].tensor->size;
  T number;
  index_t at = 0;
  const auto place = [&] { return x + batch.row(at / n) * n + at % n; };
  while (at + 1 < batch.rows * n && to_numbers(&number, place(), 1)) ++at;
  throw DataError(text(layout_.input(i).spec.name, ": expected integers from 0 to ",
                       kLargestInteger<T>, " in x, got ", *place(), " in row ", batch.row(at / n),
                       *place() < 0 ? "; count from 0, for example with x - x.min()"
                                    : "; number tokens with numpy.unique(x, return_inverse=True)"));
}

template <class T>
void Inputs<T>::read_augmented(const RowsOfInputs<T>& x, const Batch& batch, uint64_t seed,
                               uint32_t step) {
  const ProgramInput<T>& input = inputs_[0];
  point_at(input.views, input.memory);
  AugmentParams params = *augmentation_;
  params.random = {seed, step, kAugmentationStream};
  augment_images(input.memory, x[0].values, x[0].bytes, batch.order + batch.first, batch.rows,
                 params);
}

template <class T>
void Inputs<T>::require_finite(const RowsOfInputs<T>& x, index_t n) const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const index_t size = inputs_[i].tensor->size;
    if (x[i].values && !all_finite(x[i].values, n * size))
      throw DataError(non_finite_text(i, non_finite_row(x[i].values, n, size)));
  }
}

template <class T>
template <class Error>
void Inputs<T>::require_finite_batch(const RowsOfInputs<T>& x, const Batch& batch) const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Tensor<T>& input = *inputs_[i].tensor;
    if (x[i].values && !all_finite(input.value, batch.rows * input.size)) {
      throw Error(
          non_finite_text(i, batch.row(non_finite_row(input.value, batch.rows, input.size))));
    }
  }
}

template <class T>
std::string Inputs<T>::non_finite_text(size_t input, index_t row) const {
  return text(layout_.input(input).spec.name,
              ": expected finite numbers in x, got NaN or infinity (or too large for ",
              sizeof(T) == 4 ? "float32" : "float64", ") in row ", row,
              "; remove or replace such rows");
}

template class Inputs<float>;
template class Inputs<double>;
template void Inputs<float>::require_finite_batch<DataError>(const RowsOfInputs<float>&,
                                                             const Batch&) const;
template void Inputs<float>::require_finite_batch<ValueError>(const RowsOfInputs<float>&,
                                                              const Batch&) const;
template void Inputs<double>::require_finite_batch<DataError>(const RowsOfInputs<double>&,
                                                              const Batch&) const;
template void Inputs<double>::require_finite_batch<ValueError>(const RowsOfInputs<double>&,
                                                               const Batch&) const;
template index_t non_finite_row(const float*, index_t, index_t);
template index_t non_finite_row(const double*, index_t, index_t);

}  // namespace nnfast::plan
