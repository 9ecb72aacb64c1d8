// Targets and sample weights of a head, as passed by Python.
#pragma once

#include <algorithm>

#include "bind/numbers.h"
#include "plan/dataset.h"
#include "plan/program.h"

namespace nnfast::bind {

// Converted data.
template <class T>
struct CastTargets {
  Numbers<T> values, weights;
};

template <class T>
class TargetReader {
 public:
  // Of an array of numbers.
  explicit TargetReader(const plan::Shape& shape) : shape_(shape), takes_any_numbers_(true) {}
  TargetReader(const plan::HeadOptions& head, const plan::Shape& shape) : shape_(shape) {
    const std::string& loss = head.loss.op;
    takes_labels_ = loss == "cross_entropy" || loss == "callback";
    // The targets of a user-defined loss are described in Python.
    takes_any_numbers_ = !takes_labels_ && loss != "binary_cross_entropy";
  }

  // Throws errors for everything that the core does not take; the arrays must outlive the result.
  plan::Targets<T> targets(const py::object& y_object, const py::object& weight, index_t n) const {
    const py::array y = contiguous_array(y_object, "y");
    plan::Targets<T> targets;
    const bool integer = is_core_integer(y);
    if (!integer && !has_type_of<T>(y)) {
      throw py::type_error(text("y: expected ", type_name<T>(), ", int64, int32 or uint8, got ",
                                dtype_text(y), "; use .astype"));
    }
    require(y.ndim() > 0 && y.shape(0) == n, "y: expected ", n, " rows, as x has, got shape ",
            shape_text(y));
    const TargetShape shape = target_shape(y, integer);
    if (shape == TargetShape::neither) {
      plan::Shape labels(shape_.begin(), shape_.end() - 1);
      throw ValueError(
          text("y: expected shape ", plan::batch_shape_text(shape_),
               takes_labels_ ? " or integer labels of shape " + plan::batch_shape_text(labels) : "",
               " with N = ", n, ", got ", shape_text(y), " of ", dtype_text(y)));
    }
    if (integer) {
      set_integers(y, shape, &targets);
    } else {
      targets.values = data_of<T>(y);
    }
    if (weight.is_none()) return targets;
    const py::array weights = contiguous_array_of<T>(weight, "sample_weight");
    require(weights.ndim() == 1 && weights.shape(0) == n, "sample_weight: expected shape (", n,
            ",), as x has rows, got ", shape_text(weights));
    targets.weights = data_of<T>(weights);
    return targets;
  }

  // Likewise, but returns false instead of throwing, and converts other common types. Converted
  // data are checked as a whole, as in Python: if the loss takes probabilities, from 0 to 1.
  bool fitting(const py::object& y, const py::object& weight, index_t n, plan::Targets<T>* targets,
               CastTargets<T>* cast) const {
    return fitting_values(y, n, targets, &cast->values) &&
           fitting_weights(weight, n, targets, &cast->weights);
  }

 private:
  enum class TargetShape { labels, whole, neither };

  TargetShape target_shape(const py::array& y, bool integer) const {
    const size_t extra = static_cast<size_t>(y.ndim()) - 1;
    const size_t rank = shape_.size();
    const auto begins_with = [&](size_t axes) {
      return extra >= axes &&
             std::equal(shape_.begin(), shape_.begin() + static_cast<std::ptrdiff_t>(axes),
                        y.shape() + 1);
    };
    const bool label_shape = begins_with(rank - 1) &&
                             (extra == rank - 1 || (extra == rank && y.shape(y.ndim() - 1) == 1));
    if (takes_labels_ && shape_.back() > 1 && integer && label_shape) return TargetShape::labels;
    const bool whole =
        (extra == rank && begins_with(rank)) || (shape_ == plan::Shape{1} && extra == 0);
    return whole ? TargetShape::whole : TargetShape::neither;
  }

  static bool is_core_integer(const py::array& y) {
    const ElementType type = element_type(y);
    return type.is('u', 1) || type.is('i', 4) || type.is('i', 8);
  }

  static void set_integers(const py::array& y, TargetShape shape, plan::Targets<T>* targets) {
    targets->are_labels = shape == TargetShape::labels;
    targets->integers = y.data();
    const ElementType type = element_type(y);
    targets->integer_type = type.size == 1   ? plan::LabelType::uint8
                            : type.size == 4 ? plan::LabelType::int32
                                             : plan::LabelType::int64;
  }

  bool fitting_values(const py::object& object, index_t n, plan::Targets<T>* targets,
                      Numbers<T>* cast) const {
    if (!is_plain_array(object)) return false;
    const py::array y = py::reinterpret_borrow<py::array>(object);
    if (y.ndim() == 0 || y.shape(0) != n) return false;
    const bool integer = is_core_integer(y);
    const TargetShape shape = target_shape(y, integer);
    if (shape == TargetShape::neither) return false;
    if (integer) {
      set_integers(y, shape, targets);
      return true;
    }
    if (element_type(y).kind != 'f' || !numbers_of(y, cast)) return false;
    targets->values = cast->data;
    if (!cast->cast || takes_any_numbers_) return true;
    return std::all_of(cast->data, cast->data + y.size(), [](T p) { return p >= 0 && p <= 1; });
  }

  static bool fitting_weights(const py::object& object, index_t n, plan::Targets<T>* targets,
                              Numbers<T>* cast) {
    if (object.is_none()) return true;
    if (!is_plain_array(object)) return false;
    const py::array weights = py::reinterpret_borrow<py::array>(object);
    if (weights.ndim() != 1 || weights.shape(0) != n || !numbers_of(weights, cast)) return false;
    targets->weights = cast->data;
    return std::all_of(cast->data, cast->data + n, [](T weight) { return weight >= 0; });
  }

  plan::Shape shape_;
  bool takes_labels_ = false, takes_any_numbers_ = false;
};

}  // namespace nnfast::bind
