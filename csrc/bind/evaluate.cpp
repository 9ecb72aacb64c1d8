// Tensor operations on arrays: the forward pass of one node, without a graph.
#include <pybind11/stl.h>

#include "base/aligned.h"
#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "bind/spec.h"
#include "plan/kind.h"

namespace nnfast::bind {
namespace {

using plan::Tensor;

template <class T>
class Evaluation {
 public:
  Evaluation(const plan::NodeSpec& node, const py::list& arrays, uint64_t seed)
      : op_(plan::make_op<T>(node)) {
    run_.rows = 1;
    run_.seed = seed;
    std::vector<plan::TensorShape> shapes;
    for (const py::handle array : arrays) {
      inputs_.push_back(contiguous_array_of<T>(array, "array"));
      const py::array& input = inputs_.back();
      shapes.push_back({plan::Shape(input.shape(), input.shape() + input.ndim()), false});
    }
    const plan::Inference inferred = plan::infer_node(node, shapes);
    require(inferred.parameters.empty(), node.name, ": expected an operation without parameters");
    for (size_t i = 0; i < inputs_.size(); ++i)
      add_tensor(shapes[i].shape, const_cast<T*>(data_of<T>(inputs_[i])), &op_->inputs);
    add_output(inferred.shape);
    for (const plan::Shape& shape : inferred.further_shapes) add_output(shape);
    op_->output = op_->outputs[0];
  }

  py::list run() {
    {
      const ReleaseGil release;
      AlignedBuffer<T> scratch(static_cast<size_t>(op_->scratch_size(1)));
      op_->scratch = scratch.data();
      if (op_->is_view()) {
        std::copy_n(op_->inputs[0]->value, op_->output->size, op_->output->value);
      } else {
        op_->forward(run_);
      }
    }
    py::list out;
    for (const py::array& array : outputs_) out.append(array);
    return out;
  }

 private:
  void add_tensor(const plan::Shape& shape, T* value, std::vector<Tensor<T>*>* list) {
    auto tensor = std::make_unique<Tensor<T>>();
    tensor->name = op_->name;
    tensor->shape = shape;
    tensor->size = plan::element_count(shape, op_->name);
    tensor->value = value;
    tensor->batched = false;
    list->push_back(tensor.get());
    tensors_.push_back(std::move(tensor));
  }

  void add_output(const plan::Shape& shape) {
    outputs_.push_back(
        new_array<T>(std::vector<py::ssize_t>(shape.begin(), shape.end()), op_->name.c_str()));
    add_tensor(shape, mutable_data_of<T>(outputs_.back()), &op_->outputs);
  }

  std::unique_ptr<plan::Op<T>> op_;
  std::vector<py::array> inputs_, outputs_;
  std::vector<std::unique_ptr<Tensor<T>>> tensors_;
  plan::Run run_;
};

py::list evaluate(const py::dict& node, const py::list& arrays, const std::string& dtype,
                  uint64_t seed) {
  const plan::NodeSpec spec = node_of(node);
  const plan::OpKind& kind = plan::find_op_kind(spec);
  require(kind.infer_tensors != nullptr, spec.name, ": expected a tensor operation, got '", spec.op,
          "'");
  return with_type(dtype, "evaluate",
                   [&](auto t) { return Evaluation<decltype(t)>(spec, arrays, seed).run(); });
}

}  // namespace

void add_evaluate(py::module_& module) {
  module.def("evaluate", &evaluate, py::arg("node"), py::arg("arrays"), py::arg("dtype"),
             py::arg("seed") = 0);
  module.def("tensor_ops", [] {
    std::vector<std::string> names;
    for (const std::string& name : plan::op_names()) {
      if (Registered<plan::OpKind>::find(name)->infer_tensors) names.push_back(name);
    }
    return names;
  });
}

}  // namespace nnfast::bind
