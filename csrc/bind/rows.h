// Rows of a network's inputs, and predictions for them.
#pragma once

#include <string>
#include <vector>

#include "bind/arrays.h"
#include "bind/gil.h"
#include "bind/graph.h"
#include "bind/numbers.h"
#include "plan/plan.h"

namespace nnfast::bind {

inline bool has_rows_of(const plan::Shape& shape, const py::array& x) {
  return x.ndim() == static_cast<py::ssize_t>(shape.size()) + 1 && x.shape(0) > 0 &&
         std::equal(shape.begin(), shape.end(), x.shape() + 1);
}

// Bytes and integers as they are, for an input of integers; false if they are neither.
template <class T>
bool integers_of(const py::array& x, plan::Rows<T>* rows) {
  const ElementType type = element_type(x);
  if (type.is('u', 1)) {
    rows->bytes = data_of<uint8_t>(x);
  } else if (type.is('i', 4)) {
    rows->int32s = data_of<int32_t>(x);
  } else if (type.is('i', 8)) {
    rows->int64s = data_of<int64_t>(x);
  } else {
    return false;
  }
  return true;
}

// Rows of one input in the form that the core takes, or an error.
template <class T>
plan::Rows<T> checked_rows_of(const plan::GraphNode& input, const py::handle& object, index_t* n) {
  const py::array x = contiguous_array(object, input.spec.name.c_str());
  if (!has_rows_of(input.shape, x)) {
    throw ValueError(text(input.spec.name, ": expected input ", plan::batch_shape_text(input.shape),
                          " with N of 1 or more, got ", shape_text(x)));
  }
  *n = x.shape(0);
  plan::Rows<T> rows;
  if (input.is(plan::Trait::integers)) {
    if (integers_of(x, &rows)) return rows;
    throw py::type_error(text(input.spec.name, ": expected int32, int64 or uint8, got ",
                              dtype_text(x), "; use .astype(\"int32\")"));
  }
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

// The object itself for a single input, else its items, one per input.
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
  plan::RowsOfInputs<T> rows(layout.inputs().size());
  for_inputs(layout, object, [&](size_t i, const py::object& x) {
    index_t found = 0;
    rows[i] = checked_rows_of<T>(layout.input(i), x, &found);
    require(i == 0 || found == *n, layout.input(i).spec.name, ": expected ", *n,
            " rows, as the first input has, got ", found);
    *n = found;
  });
  return rows;
}

// Converted data of each input.
template <class T>
using NumbersOfInputs = OneOrMore<Numbers<T>>;

// Likewise, but returns false instead of throwing, and converts other common types.
template <class T>
bool fitting_rows_of(const plan::GraphNode& input, const py::handle& object, index_t* n,
                     plan::Rows<T>* rows, Numbers<T>* numbers) {
  if (!is_plain_array(object)) return false;
  const py::array x = py::reinterpret_borrow<py::array>(object);
  if (!has_rows_of(input.shape, x)) return false;
  *n = x.shape(0);
  if (input.is(plan::Trait::integers)) return integers_of(x, rows);
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
  *rows = plan::RowsOfInputs<T>(count);
  *numbers = NumbersOfInputs<T>(count);
  for (size_t i = 0; i < count; ++i) {
    const py::handle x = PyList_GET_ITEM(object.ptr(), static_cast<py::ssize_t>(i));
    index_t found = 0;
    if (!fitting_rows_of(layout.input(i), x, &found, &(*rows)[i], &(*numbers)[i])) return false;
    if (i > 0 && found != *n) return false;
    *n = found;
  }
  return true;
}

// Predictions for n rows, in new arrays: the array of a single output, or a list.
template <class T>
py::object predict_rows(plan::Plan<T>& plan, const plan::RowsOfInputs<T>& rows, index_t n) {
  const plan::GraphLayout& layout = plan.layout();
  const size_t count = layout.outputs().size();
  OneOrMore<py::object> arrays(count);
  OneOrMore<T*> memory(count);
  for (size_t i = 0; i < count; ++i) {
    py::array_t<T> y = new_array<T>(with_rows(n, layout.output_shape(i)), "predict");
    memory[i] = y.mutable_data();
    arrays[i] = std::move(y);
  }
  {
    const ReleaseGil release;
    plan.predict(rows, n, memory);
  }
  if (count == 1) return std::move(arrays[0]);
  py::list all;
  for (size_t i = 0; i < count; ++i) all.append(std::move(arrays[i]));
  return std::move(all);
}

}  // namespace nnfast::bind
