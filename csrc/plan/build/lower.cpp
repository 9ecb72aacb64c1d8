// The first step of building: nodes become ops.
#include <algorithm>
#include <set>

#include "ops/activation.h"
#include "plan/build/draft.h"
#include "plan/build/expressions.h"
#include "plan/build/fuse.h"
#include "plan/nodes/activation.h"
#include "plan/train/loss.h"
#include "plan/train/metrics.h"

namespace nnfast::plan {
namespace {

// Smaller stream numbers are those of initial parameters, in Python.
constexpr uint32_t kFirstOpStream = 1u << 30;

template <class T>
class Lowering {
 public:
  explicit Lowering(Draft<T>& draft)
      : draft_(draft),
        program_(draft.program),
        layout_(draft.layout),
        options_(draft.options),
        tensors_of_(layout_.nodes().size(), {}),
        readers_(layout_.nodes().size(), 0) {}

  void run() {
    prepare_parameters();
    find_needed_nodes();
    const size_t outputs = layout_.outputs().size();
    program_.inputs.resize(layout_.inputs().size());
    program_.outputs.resize(outputs);
    draft_.inputs.assign(layout_.inputs().size(), TensorId::none);
    draft_.outputs.assign(outputs, TensorId::none);
    draft_.predictions.assign(outputs, TensorId::none);
    draft_.masks.assign(outputs, TensorId::none);
    for (const NodeId node : layout_.nodes().ids()) {
      if (needed_[node]) add_node(node);
    }
    for (size_t i = 0; i < outputs; ++i) {
      TensorId& prediction = draft_.predictions[i];
      draft_.outputs[i] = tensor_of(layout_.outputs()[i]);
      if (prediction != TensorId::none) continue;  // the loss does the output's activation
      const HeadOptions* head = options_.head_of(i);
      prediction = draft_.outputs[i];
      program_.outputs[i].is_logits = head && wants_logits(head->loss);
    }
    for (const HeadOptions& head : options_.heads) {
      if (!head.mask.empty()) draft_.masks[head.output] = tensor_of({mask_of(head), 0});
    }
    for (const std::string& name : options_.penalties)
      draft_.penalties.push_back(tensor_of({penalty_named(name), 0}));
  }

 private:
  // ---- parameters ---------------------------------------------------------------------------------
  void prepare_parameters() {
    const bool learns = options_.differentiates();
    if (learns) program_.gradients = AlignedBuffer<T>(static_cast<size_t>(layout_.flat_size()));
    std::set<std::string> wanted;
    if (options_.trainable) wanted.insert(options_.trainable->begin(), options_.trainable->end());
    for (const GraphParameter& of : layout_.parameters()) {
      auto parameter = std::make_unique<Parameter<T>>();
      parameter->name = of.name;
      parameter->shape = of.shape;
      parameter->size = of.size;
      parameter->value = draft_.graph.flat.data() + of.offset;
      const bool changes = !options_.trainable || wanted.erase(parameter->name) != 0;
      parameter->moves = learns && changes && !of.trains;
      if (learns && changes && of.trains)
        parameter->gradient = program_.gradients.data() + of.offset;
      program_.parameters.push_back(std::move(parameter));
    }
    require(wanted.empty(), "trainable: expected names of parameters, got '",
            wanted.empty() ? "" : *wanted.begin(), "'");
  }

  std::vector<Parameter<T>*> parameters_of(NodeId node) const {
    std::vector<Parameter<T>*> parameters;
    for (const ParameterId id : layout_.nodes()[node].parameters)
      parameters.push_back(program_.parameters[static_cast<size_t>(id)].get());
    return parameters;
  }

  // ---- what there is to do ------------------------------------------------------------------------
  void find_needed_nodes() {
    const ById<NodeId, GraphNode>& nodes = layout_.nodes();
    needed_.assign(nodes.size(), false);
    for (const NodeId input : layout_.inputs()) needed_[input] = true;
    for (const NodeOutput& output : layout_.outputs()) needed_[output.node] = true;
    for (const HeadOptions& head : options_.heads) {
      if (!head.mask.empty()) needed_[mask_of(head)] = true;
    }
    for (const std::string& name : options_.penalties) needed_[penalty_named(name)] = true;
    for (int i = static_cast<int>(nodes.size()) - 1; i >= 0; --i) {
      const NodeId node = static_cast<NodeId>(i);
      if (!needed_[node]) continue;
      for (const NodeOutput& input : nodes[node].inputs) {
        needed_[input.node] = true;
        ++readers_[input.node];
      }
    }
    fusions_.emplace(layout_, options_, needed_);
    ById<NodeId, bool> taken(nodes.size(), false);
    for (const NodeId id : nodes.ids()) taken[id] = needed_[id] && fusions_->runs_before(id);
    expressions_.emplace(layout_, options_, needed_, taken);
  }

  NodeId penalty_named(const std::string& name) const {
    const NodeId node = layout_.node_named(name);
    require(node != NodeId::none, "penalties: expected names of nodes, got '", name, "'");
    return node;
  }

  NodeId mask_of(const HeadOptions& head) const {
    const NodeId node = layout_.node_named(head.mask);
    const Shape& output = layout_.output_shape(head.output);
    const Shape positions(output.begin(), output.end() - 1);
    require(layout_.nodes()[node].shape == positions, head.mask, ": expected a mask of shape ",
            batch_shape_text(positions), ", got ", batch_shape_text(layout_.nodes()[node].shape));
    return node;
  }

  // The place among the graph's inputs, or of the node's first output among its outputs; their number where it is
  // none of them.
  template <class Item>
  static size_t index_in(const std::vector<Item>& items, const Item& item) {
    return static_cast<size_t>(std::find(items.begin(), items.end(), item) - items.begin());
  }
  size_t input_index(NodeId node) const { return index_in(layout_.inputs(), node); }
  size_t output_index(NodeId node) const { return index_in(layout_.outputs(), {node, 0}); }
  bool is_output(NodeId node) const { return output_index(node) < layout_.outputs().size(); }
  const HeadOptions* head_of(NodeId node) const {
    return is_output(node) ? options_.head_of(output_index(node)) : nullptr;
  }

  // ---- tensors and ops ----------------------------------------------------------------------------
  TensorId tensor_of(const NodeOutput& output) const {
    return tensors_of_[output.node][output.index];
  }

  TensorId new_tensor(const std::string& name, const Shape& shape, bool batched, OpId producer) {
    auto made = std::make_unique<Tensor<T>>();
    made->name = name;
    made->shape = shape;
    made->size = element_count(shape, name);
    made->batched = batched;
    program_.tensors.push_back(std::move(made));
    const TensorId id = draft_.values.add({producer, TensorId::none, false});
    draft_.values[id].root = id;
    return id;
  }

  // name: of its first output, as output_name() gives the others
  std::vector<TensorId> add_op(const NodeSpec& spec, NodeId node,
                               const std::vector<TensorId>& inputs, const std::string& name,
                               bool with_parameters) {
    return add_op(make_op<T>(spec), spec, node, inputs, name, with_parameters);
  }

  std::vector<TensorId> add_op(std::unique_ptr<Op<T>> op, const NodeSpec& spec, NodeId node,
                               const std::vector<TensorId>& inputs, const std::string& name,
                               bool with_parameters) {
    op->stream = kFirstOpStream + static_cast<uint32_t>(node);
    for (const TensorId input : inputs) op->inputs.push_back(&draft_.tensor(input));
    op->d_inputs.assign(inputs.size(), nullptr);
    if (with_parameters) op->parameters = parameters_of(node);
    const NodeId normalization = fusions_->normalization_after(node);
    if (normalization != NodeId::none) {
      const std::vector<Parameter<T>*> more = parameters_of(normalization);
      op->scaled = make_op<T>(layout_.nodes()[normalization].spec)->column_scale(more);
      op->parameters.insert(op->parameters.end(), more.begin(), more.end());
    }
    if (Callback<T>* functions = op->callback()) {
      const auto found = draft_.callbacks.find(spec.name);
      require(found != draft_.callbacks.end(), spec.name, ": expected its functions, got none");
      *functions = found->second;
    }
    const OpId id = static_cast<OpId>(program_.ops.size());
    bool learns = false;
    for (const Parameter<T>* parameter : op->parameters) learns = learns || parameter->gradient;
    for (size_t i = 0; i < inputs.size(); ++i)
      learns = learns || (draft_.values[inputs[i]].learns && op->has_gradient(i));
    if (!op->is_differentiable()) learns = false;
    std::vector<TensorId> outputs;
    const GraphNode& of = layout_.nodes()[node];
    for (size_t i = 0; i < of.output_count(); ++i) {
      outputs.push_back(new_tensor(output_name(name, i), of.shape_of(i), of.batched, id));
      Value& value = draft_.values[outputs.back()];
      if (op->is_view() && !inputs.empty()) value.root = draft_.values[inputs[0]].root;
      value.learns = learns;
      op->outputs.push_back(&draft_.tensor(outputs.back()));
    }
    op->output = op->outputs[0];
    op->d_outputs.assign(outputs.size(), nullptr);
    draft_.links.add({inputs, outputs});
    program_.cost += op->flops_per_row();
    program_.ops.push_back(std::move(op));
    return outputs;
  }

  void add_node(NodeId id) {
    if (expressions_->is_inner(id)) return;  // part of the op of a later node
    if (const ExpressionGroup* group = expressions_->rooted_at(id)) {
      tensors_of_[id] = add_expression(*group);
      return;
    }
    const GraphNode& node = layout_.nodes()[id];
    std::vector<TensorId> inputs;
    for (const NodeOutput& input : node.inputs) inputs.push_back(tensor_of(input));
    const bool vanishes = node.is(Trait::noise) && !options_.differentiates() && !options_.keep;
    if (node.is(Trait::input)) {
      tensors_of_[id] = add_op(node.spec, id, {}, node.spec.name, false);
      draft_.inputs[input_index(id)] = tensors_of_[id][0];
      // Gradients by hand include those of inputs, apart from integers.
      draft_.values[tensors_of_[id][0]].learns = options_.by_hand && !node.is(Trait::integers);
    } else if (rescales_while_gathering(id)) {
      ProgramInput<T>& input = program_.inputs[input_index(node.inputs[0].node)];
      input.scale = node.spec.number("scale");
      input.offset = node.spec.number_or("offset", 0);
      tensors_of_[id] = inputs;
    } else if (vanishes || fusions_->runs_before(id)) {
      tensors_of_[id] = inputs;
    } else {
      tensors_of_[id] = add_op_of(id, inputs);
    }
  }

  std::vector<TensorId> add_expression(const ExpressionGroup& group) {
    std::vector<TensorId> inputs;
    for (const NodeOutput& input : group.inputs) inputs.push_back(tensor_of(input));
    const NodeId root = group.members.back();
    NodeSpec spec = layout_.nodes()[root].spec;
    spec.op = "expression";
    return add_op(make_expression<T>(spec, group.spec), spec, root, inputs, spec.name, false);
  }

  // A node with an op: a separate one for its activation if requested, and none for an activation
  // that the loss applies.
  std::vector<TensorId> add_op_of(NodeId id, std::vector<TensorId> inputs) {
    const GraphNode& node = layout_.nodes()[id];
    const bool apart = node.is(Trait::ends_in_activation) && splits(id);
    if (apart) {
      NodeSpec linear = fusions_->spec_of(id);
      linear.attributes.erase("activation");
      inputs = add_op(linear, id, inputs, node.spec.name + ".preactivation", true);
    }
    const bool left_to_loss = loss_takes_activation_of(id);
    if (left_to_loss) draft_.predictions[output_index(id)] = inputs[0];
    if (left_to_loss && !options_.keep && readers_[id] == 0 &&
        !metrics_need_probabilities(*head_of(id))) {
      program_.outputs[output_index(id)].is_logits = true;
      return inputs;
    }
    NodeSpec spec = fusions_->spec_of(id);
    if (apart) spec = activation_alone(spec);
    return add_op(spec, id, inputs, node.spec.name, !apart);
  }

  bool loss_takes_activation_of(NodeId node) const {
    const HeadOptions* head = head_of(node);
    return head && loss_takes_logits_of(head->loss, layout_.nodes()[node]);
  }

  // A rescaling that is the only reader of an input is applied while the batch is gathered.
  bool rescales_while_gathering(NodeId id) const {
    const GraphNode& node = layout_.nodes()[id];
    return !head_of(id) && !options_.by_hand && node.is(Trait::rescales) && options_.fuse &&
           !options_.keep && layout_.nodes()[node.inputs[0].node].is(Trait::input) &&
           readers_[node.inputs[0].node] == 1 && !is_output(node.inputs[0].node);
  }

  // Whether the activation of a dense layer or a convolution becomes a separate op.
  bool splits(NodeId node) const {
    const Activation kind = activation_of(layout_.nodes()[node].spec).kind;
    if (kind == Activation::identity) return false;
    return !options_.fuse || works_on_rows(kind) ||
           (options_.differentiates() && derivative_reads_input(kind)) ||
           loss_takes_activation_of(node);
  }

  static bool metrics_need_probabilities(const HeadOptions& head) {
    const auto needs = [&head](const NodeSpec& metric) {
      return needs_probabilities(metric, head.loss);
    };
    return std::any_of(head.metrics.begin(), head.metrics.end(), needs) ||
           std::any_of(head.weighted_metrics.begin(), head.weighted_metrics.end(), needs);
  }

  Draft<T>& draft_;
  Program<T>& program_;
  const GraphLayout& layout_;
  const PlanOptions& options_;
  std::optional<Fusions> fusions_;
  std::optional<ExpressionGroups> expressions_;
  ById<NodeId, bool> needed_;
  ById<NodeId, std::vector<TensorId>> tensors_of_;  // of a node, in the order of its outputs
  ById<NodeId, int> readers_;
};

}  // namespace

template <class T>
void lower(Draft<T>& draft) {
  Lowering<T>(draft).run();
}
template void lower(Draft<float>&);
template void lower(Draft<double>&);

}  // namespace nnfast::plan
