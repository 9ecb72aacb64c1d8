// A layer that the user wrote. Its functions come in when the plan is made.
#include <cstring>

#include "plan/ops.h"

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

  void forward(const Run& run) override { callback.forward(call(run)); }
  void backward(const Run& run) override {
    for (Parameter<T>* parameter : this->parameters) {
      if (!parameter->gradient) continue;
      std::memset(static_cast<void*>(parameter->gradient), 0,
                  sizeof(T) * static_cast<size_t>(parameter->size));
    }
    callback.backward(call(run));
  }

  Callback<T> callback;

 private:
  CallbackCall<T> call(const Run& run) const {
    return {&run, this->inputs, this->output, this->parameters, this->d_output, this->d_inputs};
  }
};

}  // namespace

template <class T>
void set_callback(Op<T>& op, Callback<T> callback) {
  dynamic_cast<CallbackOp<T>&>(op).callback = std::move(callback);
}
template void set_callback<float>(Op<float>&, Callback<float>);
template void set_callback<double>(Op<double>&, Callback<double>);

const OpKind kCallback = op_kind<CallbackOp>("callback", "shape parameters shape_*", infer);

}  // namespace nnfast::plan
