// A layer that the user wrote. Its functions come in when the plan is made.
#include <cstring>

#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require(!inputs.empty(), node.name, ": expected one input or more, got none");
  Inference result{node.integers("shape"), {}};
  require(!result.shape.empty(), node.name,
          ": expected an output shape of one axis or more besides the batch, got (); use (1,)");
  if (node.has("parameters")) {
    for (const std::string& parameter : node.strings("parameters")) {
      result.parameters.push_back({parameter, node.integers("shape_" + parameter)});
    }
  }
  return result;
}

template <class T>
class CallbackOp final : public Op<T> {
 public:
  using Op<T>::Op;

  void forward(const Run& run) override { functions_.forward(call(run)); }
  void backward(const Run& run) override {
    for (Parameter<T>* parameter : this->parameters) {
      if (!parameter->gradient) continue;
      std::memset(static_cast<void*>(parameter->gradient), 0,
                  sizeof(T) * static_cast<size_t>(parameter->size));
    }
    functions_.backward(call(run));
  }
  Callback<T>* callback() override { return &functions_; }

 private:
  CallbackCall<T> call(const Run& run) const {
    return {&run, this->inputs, this->output, this->parameters, this->d_output, this->d_inputs};
  }

  Callback<T> functions_;
};

const Registered<OpKind> registered(op_kind<CallbackOp>("callback", "shape parameters shape_*",
                                                        infer));

}  // namespace

}  // namespace nnfast::plan
