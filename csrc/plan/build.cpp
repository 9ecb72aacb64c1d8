// From graph to program: ops, then the backward schedule, then memory.
#include <algorithm>
#include <set>

#include "base/cpu.h"
#include "ops/activation.h"
#include "plan/fuse.h"
#include "plan/memory.h"
#include "plan/ops.h"
#include "plan/program.h"
#include "plan/train/loss.h"
#include "plan/train/metrics.h"

namespace nnfast::plan {

namespace {

// A tensor during building: who makes it, whose memory it is.
struct Value {
  int producer = -1;    // op
  int root = -1;        // the tensor that owns the memory
  bool learns = false;  // something upstream has parameters that learn
};

struct Edge {
  int op;
  size_t input;
};

template <class T>
class Builder {
 public:
  Builder(Graph<T>& graph, const PlanOptions& options, const Callbacks<T>& callbacks)
      : graph_(graph), layout_(graph.layout), options_(options), callbacks_(callbacks) {}

  Program<T> build() {
    prepare_parameters();
    find_needed_nodes();
    for (size_t i = 0; i < layout_.nodes().size(); ++i) {
      if (needed_[i]) add_node(static_cast<int>(i));
    }
    program_.output = tensor(tensor_of_node_[static_cast<size_t>(layout_.output())]);
    schedule_values();
    if (options_.loss) schedule_backward();
    place();
    return std::move(program_);
  }

 private:
  Tensor<T>* tensor(int index) { return program_.tensors[static_cast<size_t>(index)].get(); }
  int index_of(const Tensor<T>* wanted) {
    for (size_t i = 0; i < values_.size(); ++i) {
      if (program_.tensors[i].get() == wanted) return static_cast<int>(i);
    }
    return -1;
  }

  void prepare_parameters() {
    const bool learns = options_.loss.has_value();
    if (learns) program_.gradients = AlignedBuffer<T>(static_cast<size_t>(layout_.flat_size()));
    std::set<std::string> wanted;
    if (options_.trainable) wanted.insert(options_.trainable->begin(), options_.trainable->end());
    for (const GraphNode& node : layout_.nodes()) {
      first_parameter_.push_back(program_.parameters.size());
      for (size_t i = 0; i < node.parameters.size(); ++i) {
        auto parameter = std::make_unique<Parameter<T>>();
        parameter->name = node.spec.name + "." + node.parameters[i].name;
        parameter->shape = node.parameters[i].shape;
        parameter->size = element_count(parameter->shape, parameter->name);
        parameter->value = graph_.flat.data() + node.offsets[i];
        const bool changes = !options_.trainable || wanted.erase(parameter->name) != 0;
        parameter->moves = learns && changes && !node.parameters[i].trains;
        if (learns && changes && node.parameters[i].trains) {
          parameter->gradient = program_.gradients.data() + node.offsets[i];
        }
        program_.parameters.push_back(std::move(parameter));
      }
    }
    require(wanted.empty(), "trainable: expected names of parameters, got '",
            wanted.empty() ? "" : *wanted.begin(), "'");
  }

  void find_needed_nodes() {
    needed_.assign(layout_.nodes().size(), false);
    needed_[0] = true;
    needed_[static_cast<size_t>(layout_.output())] = true;
    for (size_t i = layout_.nodes().size(); i-- > 0;) {
      if (!needed_[i]) continue;
      for (const int input : layout_.nodes()[i].inputs) needed_[static_cast<size_t>(input)] = true;
    }
    tensor_of_node_.assign(layout_.nodes().size(), -1);
    readers_.assign(layout_.nodes().size(), 0);
    for (size_t i = 0; i < layout_.nodes().size(); ++i) {
      if (!needed_[i]) continue;
      for (const int input : layout_.nodes()[i].inputs) ++readers_[static_cast<size_t>(input)];
    }
    fusions_.emplace(layout_, options_, needed_);
    takes_logits_ = options_.loss &&
                    loss_takes_logits_of(*options_.loss,
                                         layout_.nodes()[static_cast<size_t>(layout_.output())]);
  }

  int new_tensor(const std::string& name, const Shape& shape, int producer) {
    auto made = std::make_unique<Tensor<T>>();
    made->name = name;
    made->shape = shape;
    made->size = element_count(shape, name);
    program_.tensors.push_back(std::move(made));
    const int index = static_cast<int>(program_.tensors.size()) - 1;
    values_.push_back({producer, index, false});
    return index;
  }

  std::vector<Parameter<T>*> parameters_of(int node) const {
    const size_t i = static_cast<size_t>(node), first = first_parameter_[i];
    std::vector<Parameter<T>*> parameters;
    for (size_t j = 0; j < layout_.nodes()[i].parameters.size(); ++j)
      parameters.push_back(program_.parameters[first + j].get());
    return parameters;
  }

  int add_op(const NodeSpec& spec, const GraphNode& node, int node_index,
             const std::vector<int>& inputs, const std::string& output_name, bool with_parameters) {
    std::unique_ptr<Op<T>> op = make_op<T>(spec);
    op->stream = kFirstOpStream + static_cast<uint32_t>(node_index);
    for (const int input : inputs) op->inputs.push_back(tensor(input));
    op->d_inputs.assign(inputs.size(), nullptr);
    if (with_parameters) op->parameters = parameters_of(node_index);
    const int normalization = fusions_->normalization_after(node_index);
    if (normalization >= 0) {
      const std::vector<Parameter<T>*> more = parameters_of(normalization);
      op->scaled = moving_scale(layout_.nodes()[static_cast<size_t>(normalization)].spec, more);
      op->parameters.insert(op->parameters.end(), more.begin(), more.end());
    }
    bool learns = false;
    for (const Parameter<T>* parameter : op->parameters) learns = learns || parameter->gradient;
    if (spec.op == kCallback.name) {
      const auto found = callbacks_.find(spec.name);
      require(found != callbacks_.end(), spec.name, ": expected its functions, got none");
      set_callback(*op, found->second);
    }
    const int op_index = static_cast<int>(program_.ops.size());
    const int output = new_tensor(output_name, node.shape, op_index);
    Value& value = values_.back();
    if (op->is_view() && !inputs.empty()) value.root = values_[static_cast<size_t>(inputs[0])].root;
    value.learns = learns;
    for (const int input : inputs)
      value.learns = value.learns || values_[static_cast<size_t>(input)].learns;
    op->output = tensor(output);
    op_inputs_.push_back(inputs);
    op_output_.push_back(output);
    skip_backward_.push_back(false);
    program_.cost += op->flops_per_row();
    program_.ops.push_back(std::move(op));
    return output;
  }

  void add_node(int index) {
    const GraphNode& node = layout_.nodes()[static_cast<size_t>(index)];
    const bool is_output = index == layout_.output();
    std::vector<int> inputs;
    for (const int input : node.inputs)
      inputs.push_back(tensor_of_node_[static_cast<size_t>(input)]);
    int& output = tensor_of_node_[static_cast<size_t>(index)];
    if (can_rescale_while_gathering(node, is_output)) {
      program_.input_scale = node.spec.number("scale");
      program_.input_offset = node.spec.number_or("offset", 0);
      output = inputs[0];
      return;
    }
    const bool is_noise = node.spec.op == kDropout.name || node.spec.op == kSpatialDropout.name ||
                          node.spec.op == kGaussianNoise.name;
    if (is_noise && !options_.loss && !options_.keep) {
      output = inputs[0];
      return;
    }
    if (fusions_->runs_before(index)) {
      output = inputs[0];
      if (is_output) set_prediction(output);
      return;
    }
    const bool ends_in_activation =
        has_activation(node.spec) && node.spec.op != kActivation.name && splits(node, is_output);
    if (ends_in_activation) {
      NodeSpec linear = fusions_->spec_of(index);
      linear.attributes.erase("activation");
      inputs = {add_op(linear, node, index, inputs, node.spec.name + ".preactivation", true)};
    }
    const bool leave_to_loss = is_output && takes_logits_;
    if (leave_to_loss) program_.prediction = tensor(inputs[0]);
    if (leave_to_loss && !options_.keep && !metrics_need_probabilities()) {
      output = inputs[0];
      program_.output_is_logits = true;
      return;
    }
    NodeSpec spec = fusions_->spec_of(index);
    if (ends_in_activation) spec.op = kActivation.name;
    output = add_op(spec, node, index, inputs, node.spec.name, !ends_in_activation);
    skip_backward_.back() = leave_to_loss;
    if (is_output && !leave_to_loss) set_prediction(output);
  }

  void set_prediction(int output) {
    program_.prediction = tensor(output);
    program_.output_is_logits = options_.loss && wants_logits(*options_.loss);
  }

  // A rescaling that is the only reader of the input happens while the batch is gathered.
  bool can_rescale_while_gathering(const GraphNode& node, bool is_output) const {
    return !(is_output && options_.loss) && node.spec.op == kRescaling.name &&
           node.inputs[0] == 0 && readers_[0] == 1 && options_.fuse && !options_.keep;
  }

  // Whether the activation of a dense layer or a convolution becomes an op of its own.
  bool splits(const GraphNode& node, bool is_output) const {
    const Activation kind = activation_of(node.spec).kind;
    if (kind == Activation::identity) return false;
    return !options_.fuse || works_on_rows(kind) ||
           (options_.loss && derivative_reads_input(kind)) || (is_output && takes_logits_);
  }

  bool metrics_need_probabilities() const {
    return std::any_of(
        options_.metrics.begin(), options_.metrics.end(),
        [this](const NodeSpec& metric) { return needs_probabilities(metric, *options_.loss); });
  }

  // ---- memory: value buffers are alive from their producer to their last reader -----------------
  // For `capacity` rows of a tensor. What does not fit alone is refused here, so that sums do not overflow.
  int new_buffer(const Tensor<T>& of, int first) {
    const size_t row = static_cast<size_t>(of.size) * sizeof(T);  // below 2^52
    const auto rows = static_cast<size_t>(options_.capacity);
    require(rows <= machine_memory() / row, of.name, ": expected an output of at most the ",
            machine_memory() >> 30, " GiB of this machine's memory, got ", rows, " rows of ",
            batch_shape_text(of.shape), "; use a smaller batch_size");
    Buffer buffer;
    buffer.bytes = row * rows;
    buffer.first = options_.keep ? 0 : first;
    buffer.last = options_.keep ? kForever : first;
    buffers_.push_back(buffer);
    return static_cast<int>(buffers_.size()) - 1;
  }
  void extend(int buffer, int time) {
    Buffer& b = buffers_[static_cast<size_t>(buffer)];
    b.last = std::max(b.last, time);
  }
  int value_buffer(int t) const {
    return value_buffer_[static_cast<size_t>(values_[static_cast<size_t>(t)].root)];
  }

  void schedule_values() {
    value_buffer_.assign(values_.size(), -1);
    for (size_t t = 0; t < values_.size(); ++t) {
      if (values_[t].root != static_cast<int>(t)) continue;
      value_buffer_[t] = new_buffer(*program_.tensors[t], values_[t].producer);
    }
    for (size_t i = 0; i < program_.ops.size(); ++i) {
      for (const int input : op_inputs_[i]) extend(value_buffer(input), static_cast<int>(i));
    }
    const int end = static_cast<int>(program_.ops.size());
    for (size_t t = 0; t < values_.size(); ++t) {
      const Tensor<T>* made = program_.tensors[t].get();
      if (made == program_.output || made == program_.prediction)
        extend(value_buffer(static_cast<int>(t)), end);
    }
  }

  // ---- the backward schedule --------------------------------------------------------------------
  void schedule_backward() {
    gradient_buffer_.assign(values_.size(), -1);
    const int loss_time = static_cast<int>(program_.ops.size());
    const int prediction = index_of(program_.prediction);
    if (!values_[static_cast<size_t>(prediction)].learns) return;
    const std::vector<int> path = backward_path(prediction);
    gradient_buffer_[static_cast<size_t>(prediction)] = new_buffer(*program_.prediction, loss_time);
    d_prediction_ = gradient_buffer_[static_cast<size_t>(prediction)];
    int time = loss_time;
    for (const int op : path) schedule_backward_of(op, ++time);
  }

  // The ops whose backward pass is wanted, last first; counts the readers of each tensor among them.
  std::vector<int> backward_path(int prediction) {
    std::vector<bool> reached(values_.size(), false);
    gradient_readers_.assign(values_.size(), 0);
    reached[static_cast<size_t>(prediction)] = true;
    std::vector<int> path;
    for (int op = static_cast<int>(program_.ops.size()) - 1; op >= 0; --op) {
      const size_t output = static_cast<size_t>(op_output_[static_cast<size_t>(op)]);
      if (!reached[output] || !values_[output].learns || skip_backward_[static_cast<size_t>(op)])
        continue;
      path.push_back(op);
      for (const int input : op_inputs_[static_cast<size_t>(op)]) {
        if (!values_[static_cast<size_t>(input)].learns) continue;
        reached[static_cast<size_t>(input)] = true;
        ++gradient_readers_[static_cast<size_t>(input)];
      }
    }
    return path;
  }

  // Kept gradients have memory of their own, but for views.
  bool keeps_apart(const Op<T>& op) const { return options_.keep && !op.is_view(); }

  void schedule_backward_of(int index, int time) {
    const size_t i = static_cast<size_t>(index);
    Op<T>* op = program_.ops[i].get();
    const int d_output = gradient_buffer_[static_cast<size_t>(op_output_[i])];
    extend(d_output, time);
    PendingStep step;
    step.op = index;
    step.d_output = d_output;
    if (op->backward_reads_output()) extend(value_buffer(op_output_[i]), time);
    if (op->keeps_for_backward()) {
      step.kept = new_buffer(*tensor(op_output_[i]), index);
      extend(step.kept, time);
    }
    for (size_t j = 0; j < op_inputs_[i].size(); ++j) {
      const int input = op_inputs_[i][j];
      const size_t t = static_cast<size_t>(input);
      if (op->backward_reads_inputs()) extend(value_buffer(input), time);
      step.d_inputs.push_back(-1);
      if (!values_[t].learns) continue;
      const bool first_writer = gradient_buffer_[t] < 0;
      if (op->passes_gradient() && gradient_readers_[t] == 1 && !step.lends && !keeps_apart(*op)) {
        gradient_buffer_[t] = d_output;  // the same memory: nothing to do
        step.lends = true;
      } else if (op->is_view() || (op->passes_gradient() && !first_writer)) {
        if (first_writer) gradient_buffer_[t] = new_buffer(*program_.tensors[t], time);
        step.transfers.push_back(
            {gradient_buffer_[t], d_output, program_.tensors[t]->size, !first_writer});
      } else if (first_writer) {
        gradient_buffer_[t] = new_buffer(*program_.tensors[t], time);
        step.d_inputs.back() = gradient_buffer_[t];
      } else {
        const int extra = new_buffer(*program_.tensors[t], time);
        step.d_inputs.back() = extra;
        step.transfers.push_back({gradient_buffer_[t], extra, program_.tensors[t]->size, true});
      }
      extend(gradient_buffer_[t], time);
    }
    if (!op->is_view() || !step.transfers.empty()) pending_.push_back(std::move(step));
  }

  // ---- placing ----------------------------------------------------------------------------------
  T* address(int buffer) const {
    return buffer < 0
               ? nullptr
               : program_.arena.data() + buffers_[static_cast<size_t>(buffer)].offset / sizeof(T);
  }

  void place() {
    const size_t bytes = place_buffers(buffers_);
    require(bytes <= machine_memory(), "network: expected outputs of at most the ",
            machine_memory() >> 30, " GiB of this machine's memory, got ", bytes >> 30,
            " GiB; use a smaller batch_size");
    program_.arena = AlignedBuffer<T>(bytes / sizeof(T));
    for (size_t t = 0; t < values_.size(); ++t) {
      program_.tensors[t]->value = address(value_buffer(static_cast<int>(t)));
      if (options_.loss && gradient_buffer_.size() > t && gradient_buffer_[t] >= 0) {
        program_.gradients_of[program_.tensors[t]->name] = address(gradient_buffer_[t]);
      }
    }
    program_.input = tensor(0);
    program_.input_memory = program_.input->value;
    const int output_root = values_[static_cast<size_t>(index_of(program_.output))].root;
    for (size_t t = 0; t < values_.size(); ++t) {
      if (values_[t].root == 0) program_.input_views.push_back(program_.tensors[t].get());
      if (values_[t].root == output_root)
        program_.output_views.push_back(program_.tensors[t].get());
    }
    program_.output_is_input = output_root == 0;
    program_.d_prediction = address(d_prediction_);
    for (size_t i = 0; i < program_.ops.size(); ++i) {
      const Buffer& buffer = buffers_[static_cast<size_t>(value_buffer(op_output_[i]))];
      program_.placements.push_back({buffer.offset, buffer.bytes});
    }
    for (const PendingStep& step : pending_) {
      Op<T>* op = program_.ops[static_cast<size_t>(step.op)].get();
      op->d_output = address(step.d_output);
      op->kept = address(step.kept);
      for (size_t j = 0; j < step.d_inputs.size(); ++j) op->d_inputs[j] = address(step.d_inputs[j]);
      BackwardStep<T> made{op->is_view() ? nullptr : op, {}};
      for (const PendingTransfer& t : step.transfers) {
        made.transfers.push_back({address(t.into), address(t.from), t.size, t.add});
      }
      program_.backward.push_back(std::move(made));
    }
  }

  struct PendingTransfer {
    int into, from;
    index_t size;
    bool add;
  };
  struct PendingStep {
    int op, d_output, kept = -1;
    std::vector<int> d_inputs;
    std::vector<PendingTransfer> transfers;
    bool lends = false;  // d_output, to one input
  };

  static constexpr int kForever = 1 << 30;
  // Streams below are those of initial parameters, in Python.
  static constexpr uint32_t kFirstOpStream = 1u << 30;

  Graph<T>& graph_;
  const GraphLayout& layout_;
  const PlanOptions& options_;
  const Callbacks<T>& callbacks_;
  Program<T> program_;
  std::optional<Fusions> fusions_;
  bool takes_logits_ = false;
  std::vector<size_t> first_parameter_;  // by node
  std::vector<bool> needed_;
  std::vector<int> readers_, tensor_of_node_;
  std::vector<Value> values_;                // by tensor
  std::vector<std::vector<int>> op_inputs_;  // tensors
  std::vector<int> op_output_;
  std::vector<bool> skip_backward_;
  std::vector<Buffer> buffers_;
  std::vector<int> value_buffer_, gradient_buffer_, gradient_readers_;
  int d_prediction_ = -1;
  std::vector<PendingStep> pending_;
};

}  // namespace

template <class T>
Program<T> build_program(Graph<T>& graph, const PlanOptions& options,
                         const Callbacks<T>& callbacks) {
  return Builder<T>(graph, options, callbacks).build();
}
template Program<float> build_program(Graph<float>&, const PlanOptions&, const Callbacks<float>&);
template Program<double> build_program(Graph<double>&, const PlanOptions&,
                                       const Callbacks<double>&);

}  // namespace nnfast::plan
