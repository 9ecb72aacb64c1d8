// Lifetimes of memory, in steps of the schedule: op i runs forward in step i, the loss comes after
// the last op, and then the backward passes one by one. A value's buffer lives from its producer to
// its last reader.
#include <algorithm>
#include <set>

#include "plan/build/draft.h"

namespace nnfast::plan {
namespace {

template <class T>
void schedule_values(Draft<T>& draft) {
  draft.value_buffer.assign(draft.values.size(), BufferId::none);
  for (const TensorId id : draft.values.ids()) {
    const Value& value = draft.values[id];
    const bool is_parameter =
        value.producer != OpId::none && draft.op(value.producer).is_parameter();
    if (value.root == id && !is_parameter)
      draft.value_buffer[id] = draft.new_buffer(draft.tensor(id), number_of(value.producer));
  }
  draft.scratch.assign(draft.links.size(), BufferId::none);
  for (const OpId op : draft.links.ids()) {
    const index_t size = draft.op(op).scratch_size(draft.options.capacity);
    draft.scratch[op] = draft.new_scratch(draft.op(op), size, number_of(op));
    for (const TensorId input : draft.links[op].inputs)
      draft.extend(draft.buffer_of(input), number_of(op));
  }
  const int end = static_cast<int>(draft.links.size());
  for (const TensorId penalty : draft.penalties) draft.extend(draft.buffer_of(penalty), end);
  for (size_t i = 0; i < draft.outputs.size(); ++i) {
    draft.extend(draft.buffer_of(draft.outputs[i]), end);
    draft.extend(draft.buffer_of(draft.predictions[i]), end);
    if (draft.masks[i] != TensorId::none) draft.extend(draft.buffer_of(draft.masks[i]), end);
  }
}

template <class T>
class BackwardSchedule {
 public:
  explicit BackwardSchedule(Draft<T>& draft)
      : draft_(draft), readers_(draft.values.size(), 0), reached_(draft.values.size(), false) {
    draft_.gradient_buffer.assign(draft_.values.size(), BufferId::none);
    draft_.d_predictions.assign(draft_.outputs.size(), BufferId::none);
  }

  void run() {
    const int loss_time = static_cast<int>(draft_.links.size());
    for (size_t i = 0; i < draft_.predictions.size(); ++i) {
      const TensorId prediction = draft_.predictions[i];
      if (!draft_.starts_backward(i) || !draft_.values[prediction].learns) continue;
      reached_[prediction] = true;
      ++readers_[prediction];  // the loss
    }
    for (const TensorId penalty : draft_.penalties) {
      if (!draft_.values[penalty].learns) continue;
      reached_[penalty] = true;
      ++readers_[penalty];
    }
    const std::vector<OpId> path = find_path();
    for (size_t i = 0; i < draft_.predictions.size(); ++i) {
      const TensorId prediction = draft_.predictions[i];
      if (!draft_.starts_backward(i) || !draft_.values[prediction].learns) continue;
      const BufferId gradient = draft_.new_buffer(draft_.tensor(prediction), loss_time);
      draft_.gradient_buffer[prediction] = draft_.d_predictions[i] = gradient;
    }
    for (const TensorId penalty : draft_.penalties) {
      if (draft_.values[penalty].learns)
        draft_.gradient_buffer[penalty] = draft_.new_buffer(draft_.tensor(penalty), loss_time);
    }
    int time = loss_time;
    for (const OpId op : path) schedule_op(op, ++time);
    if (draft_.options.by_hand) keep_inputs(time);
    for (const auto& parameter : draft_.program.parameters) {
      if (parameter->gradient && written_.count(parameter.get()) == 0)
        draft_.program.unreached.push_back(parameter.get());
    }
  }

 private:
  // The ops whose backward pass is needed, in reverse order; counts the readers of each tensor
  // among them.
  std::vector<OpId> find_path() {
    std::vector<OpId> path;
    for (int i = static_cast<int>(draft_.links.size()) - 1; i >= 0; --i) {
      const OpId op = static_cast<OpId>(i);
      const OpLinks& links = draft_.links[op];
      const bool is_reached = std::any_of(links.outputs.begin(), links.outputs.end(),
                                          [this](TensorId output) { return reached_[output]; });
      if (!is_reached || !draft_.values[links.outputs[0]].learns) continue;
      path.push_back(op);
      for (size_t j = 0; j < links.inputs.size(); ++j) {
        if (!wants_gradient(op, j)) continue;
        reached_[links.inputs[j]] = true;
        ++readers_[links.inputs[j]];
      }
    }
    return path;
  }

  // The caller reads their gradients afterwards, and may want another backward pass of the same inputs.
  void keep_inputs(int end) {
    for (const TensorId input : draft_.inputs) {
      draft_.extend(draft_.buffer_of(input), end);
      if (draft_.gradient_buffer[input] != BufferId::none)
        draft_.extend(draft_.gradient_buffer[input], end);
    }
  }

  bool wants_gradient(OpId op, size_t input) const {
    return draft_.values[draft_.links[op].inputs[input]].learns &&
           draft_.op(op).has_gradient(input);
  }

  // With `keep`, gradients have separate buffers, except those of views.
  bool keeps_apart(const Op<T>& op) const { return draft_.options.keep && !op.is_view(); }

  void schedule_op(OpId id, int time) {
    const OpLinks& links = draft_.links[id];
    Op<T>& op = draft_.op(id);
    PendingStep<T> step;
    step.op = id;
    for (const TensorId output : links.outputs) {
      step.d_outputs.push_back(draft_.gradient_buffer[output]);
      if (reached_[output]) draft_.extend(step.d_outputs.back(), time);
      if (op.backward_reads_output()) draft_.extend(draft_.buffer_of(output), time);
    }
    step.kept = draft_.new_scratch(op, op.kept_size(draft_.options.capacity), number_of(id));
    if (step.kept != BufferId::none) draft_.extend(step.kept, time);
    step.scratch = draft_.new_scratch(op, op.backward_scratch_size(draft_.options.capacity), time);
    for (size_t j = 0; j < links.inputs.size(); ++j) {
      const TensorId input = links.inputs[j];
      if (op.backward_reads_inputs()) draft_.extend(draft_.buffer_of(input), time);
      step.d_inputs.push_back(BufferId::none);
      if (wants_gradient(id, j)) schedule_gradient(op, input, time, &step);
    }
    add_uses(op, time, &step);
    if (!op.is_view() || !step.transfers.empty()) draft_.steps.push_back(std::move(step));
  }

  // The gradient of the last input of the step so far.
  void schedule_gradient(const Op<T>& op, TensorId input, int time, PendingStep<T>* step) {
    BufferId& gradient = draft_.gradient_buffer[input];
    const Tensor<T>& tensor = draft_.tensor(input);
    const bool first_writer = gradient == BufferId::none;
    if (op.passes_gradient() && readers_[input] == 1 && !step->lends && !keeps_apart(op)) {
      gradient = step->d_outputs[0];  // the same memory: nothing to do
      step->lends = true;
    } else if (op.is_view() || (op.passes_gradient() && !first_writer)) {
      if (first_writer) gradient = draft_.new_buffer(tensor, time);
      step->transfers.push_back(
          {gradient, step->d_outputs[0], tensor.size, !first_writer, tensor.batched});
    } else if (first_writer) {
      gradient = draft_.new_buffer(tensor, time);
      step->d_inputs.back() = gradient;
    } else {
      const BufferId extra = draft_.new_buffer(tensor, time);
      step->d_inputs.back() = extra;
      step->transfers.push_back({gradient, extra, tensor.size, true, tensor.batched});
    }
    draft_.extend(gradient, time);
  }

  // The first use of a parameter in the backward pass overwrites its gradient, later ones add to
  // it.
  void add_uses(Op<T>& op, int time, PendingStep<T>* step) {
    for (size_t slot = 0; slot < op.parameters.size(); ++slot) {
      Parameter<T>* parameter = op.parameters[slot];
      if (!parameter->gradient || written_.insert(parameter).second) continue;
      const size_t bytes = static_cast<size_t>(parameter->size) * sizeof(T);
      step->uses.push_back({slot, parameter, draft_.new_buffer(bytes, time)});
    }
  }

  Draft<T>& draft_;
  ById<TensorId, int> readers_;
  ById<TensorId, bool> reached_;
  std::set<const Parameter<T>*> written_;
};

}  // namespace

template <class T>
void schedule(Draft<T>& draft) {
  schedule_values(draft);
  if (draft.options.differentiates()) BackwardSchedule<T>(draft).run();
}
template void schedule(Draft<float>&);
template void schedule(Draft<double>&);

}  // namespace nnfast::plan
