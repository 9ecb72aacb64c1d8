// A user-defined layer. Its functions are set when the plan is made.
#include <cstring>

#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

// Attributes: "shape", of the first output; "output_1", ..., of the further ones; "parameters", their names; and the
// shape of each, "shape_<name>".
constexpr const char* kOutput = "output_";

std::string output_key(size_t i) { return kOutput + std::to_string(i); }

bool is_key_of(const std::string& key, size_t count) {
  for (size_t i = 1; i <= count; ++i) {
    if (key == output_key(i)) return true;
  }
  return false;
}

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require(!inputs.empty(), node.name, ": expected one input or more, got none");
  Inference result{node.integers("shape"), {}};
  require(!result.shape.empty(), node.name,
          ": expected an output shape of one axis or more besides the batch, got (); use (1,)");
  for (size_t i = 1; node.has(output_key(i)); ++i)
    result.further_shapes.push_back(node.integers(output_key(i)));
  for (const auto& [key, value] : node.attributes) {
    const bool is_output = key.compare(0, std::strlen(kOutput), kOutput) == 0;
    require(!is_output || is_key_of(key, result.further_shapes.size()), node.name,
            ": expected shapes of further outputs as output_1, output_2, ..., got ", key);
  }
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
    return {&run, this->inputs, this->outputs, this->parameters, this->d_outputs, this->d_inputs};
  }

  Callback<T> functions_;
};

const Registered<OpKind> registered(op_kind<CallbackOp>("callback",
                                                        "shape output_* parameters shape_*",
                                                        infer));

}  // namespace

}  // namespace nnfast::plan
