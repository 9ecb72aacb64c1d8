// Rows for a network's inputs, and arrays for its outputs.
#pragma once

#include <string>
#include <vector>

#include "bind/arrays.h"
#include "bind/graph.h"
#include "bind/numbers.h"
#include "plan/plan.h"

namespace nnfast::bind {

inline bool has_rows_of(const plan::Shape& shape, const py::array& x) {
  return x.ndim() == static_cast<py::ssize_t>(shape.size()) + 1 && x.shape(0) > 0 &&
         std::equal(shape.begin(), shape.end(), x.shape() + 1);
}

// Rows of one input as the core takes them, or an error.
template <class T>
plan::Rows<T> checked_rows_of(const plan::GraphNode& input, const py::handle& object, index_t* n) {
  const py::array x = contiguous_array(object, input.spec.name.c_str());
  if (!has_rows_of(input.shape, x)) {
    throw ValueError(text(input.spec.name, ": expected input ", plan::batch_shape_text(input.shape),
                          " with N of 1 or more, got ", shape_text(x)));
  }
  *n = x.shape(0);
  plan::Rows<T> rows;
  if (has_type_of<T>(x)) {
    rows.values = data_of<T>(x);
  } else if (has_type(x, 'u', 1)) {
    rows.bytes = data_of<uint8_t>(x);
  } else {
    throw py::type_error(text(input.spec.name, ": expected ", type_name<T>(), " or uint8, got ",
                              dtype_text(x), "; use .astype(\"", type_name<T>(), "\")"));
  }
  return rows;
}

// The object itself for a single input, else its items, one for each.
template <class Use>
void for_inputs(const plan::GraphLayout& layout, const py::object& object, const Use& use) {
  const size_t count = layout.inputs().size();
  if (count == 1) {
    use(size_t(0), object);
    return;
  }
  const bool fits = (PyList_Check(object.ptr()) || PyTuple_Check(object.ptr())) &&
                    static_cast<size_t>(py::len(object)) == count;
  require(fits, "x: expected a list of ", count, " arrays, one for each input, got ",
          std::string(py::str(py::type::of(object).attr("__name__"))));
  for (size_t i = 0; i < count; ++i) use(i, py::object(object[py::int_(i)]));
}

template <class T>
plan::RowsOfInputs<T> checked_rows(const plan::GraphLayout& layout, const py::object& object,
                                   index_t* n) {
  plan::RowsOfInputs<T> rows;
  rows.resize(layout.inputs().size());
  for_inputs(layout, object, [&](size_t i, const py::object& x) {
    index_t found = 0;
    rows[i] = checked_rows_of<T>(layout.input(i), x, &found);
    require(i == 0 || found == *n, layout.input(i).spec.name, ": expected ", *n,
            " rows, as the first input has, got ", found);
    *n = found;
  });
  return rows;
}

// Numbers of all inputs that were cast; those of a single one take no memory of their own.
template <class T>
class NumbersOfInputs {
 public:
  void resize(size_t inputs) { more_.resize(inputs - 1); }
  Numbers<T>& operator[](size_t i) { return i == 0 ? first_ : more_[i - 1]; }

 private:
  Numbers<T> first_;
  std::vector<Numbers<T>> more_;
};

// Likewise, but false instead of an error, and with common other types cast.
template <class T>
bool fitting_rows_of(const plan::GraphNode& input, const py::handle& object, index_t* n,
                     plan::Rows<T>* rows, Numbers<T>* numbers) {
  if (!is_plain_array(object)) return false;
  const py::array x = py::reinterpret_borrow<py::array>(object);
  if (!has_rows_of(input.shape, x)) return false;
  *n = x.shape(0);
  if (element_type(x).is('u', 1)) {
    rows->bytes = data_of<uint8_t>(x);
    return true;
  }
  if (!numbers_of(x, numbers)) return false;
  rows->values = numbers->data;
  return true;
}

template <class T>
bool fitting_rows(const plan::GraphLayout& layout, const py::object& object, index_t* n,
                  plan::RowsOfInputs<T>* rows, NumbersOfInputs<T>* numbers) {
  const size_t count = layout.inputs().size();
  if (count == 1) return fitting_rows_of(layout.input(0), object, n, &(*rows)[0], &(*numbers)[0]);
  if (!PyList_CheckExact(object.ptr()) || static_cast<size_t>(py::len(object)) != count)
    return false;
  rows->resize(count);
  numbers->resize(count);
  for (size_t i = 0; i < count; ++i) {
    const py::handle x = PyList_GET_ITEM(object.ptr(), static_cast<py::ssize_t>(i));
    index_t found = 0;
    if (!fitting_rows_of(layout.input(i), x, &found, &(*rows)[i], &(*numbers)[i])) return false;
    if (i > 0 && found != *n) return false;
    *n = found;
  }
  return true;
}

// New arrays for predictions, and where they are.
template <class T>
class Predictions {
 public:
  Predictions(const plan::GraphLayout& layout, index_t n) {
    const size_t count = layout.outputs().size();
    first_ = new_array<T>(with_rows(n, layout.output(0).shape), "predict");
    pointer_ = first_.mutable_data();
    if (count == 1) return;
    all_.append(first_);
    pointers_.push_back(pointer_);
    for (size_t i = 1; i < count; ++i) {
      py::array_t<T> y = new_array<T>(with_rows(n, layout.output(i).shape), "predict");
      pointers_.push_back(y.mutable_data());
      all_.append(std::move(y));
    }
  }
  T* const* pointers() const { return pointers_.empty() ? &pointer_ : pointers_.data(); }
  // The array of a single output, or a list.
  py::object take() {
    return pointers_.empty() ? py::object(std::move(first_)) : py::object(std::move(all_));
  }

 private:
  py::array_t<T> first_;
  T* pointer_;
  py::list all_;
  std::vector<T*> pointers_;
};

}  // namespace nnfast::bind
