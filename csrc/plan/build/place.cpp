// The last step of building: one arena for all buffers, and all pointers into it.
#include <algorithm>

#include "base/cpu.h"
#include "plan/build/draft.h"

namespace nnfast::plan {
namespace {

template <class T>
class Placing {
 public:
  explicit Placing(Draft<T>& draft) : draft_(draft), program_(draft.program) {}

  void run() {
    const size_t bytes = place_buffers(draft_.buffers);
    require(bytes <= machine_memory(), "network: expected outputs of at most the ",
            machine_memory() >> 30, " GiB of this machine's memory, got ", bytes >> 30,
            " GiB; use a smaller batch_size");
    program_.arena = AlignedBuffer<T>(bytes / sizeof(T));
    for (const TensorId id : draft_.values.ids()) {
      const OpId producer = draft_.values[draft_.values[id].root].producer;
      draft_.tensor(id).value = producer != OpId::none && draft_.op(producer).is_parameter()
                                    ? draft_.op(producer).parameters[0]->value
                                    : address(draft_.buffer_of(id));
      if (draft_.options.differentiates() && draft_.gradient_buffer[id] != BufferId::none)
        program_.gradients_of[draft_.tensor(id).name] = address(draft_.gradient_buffer[id]);
    }
    for (const OpId op : draft_.links.ids()) {
      draft_.op(op).scratch = address(draft_.scratch[op]);
      std::vector<Placement>& places = program_.placements.emplace_back();
      for (const TensorId output : draft_.links[op].outputs) {
        const BufferId id = draft_.buffer_of(output);
        const Buffer buffer = id == BufferId::none ? Buffer{} : draft_.buffers[id];
        places.push_back({buffer.offset, buffer.bytes});
      }
    }
    for (size_t i = 0; i < program_.inputs.size(); ++i) point_input(i);
    for (size_t i = 0; i < program_.outputs.size(); ++i) point_output(i);
    for (const TensorId penalty : draft_.penalties) {
      const bool learns = draft_.options.differentiates() && draft_.values[penalty].learns;
      program_.penalties.push_back(
          {&draft_.tensor(penalty), learns ? address(draft_.gradient_buffer[penalty]) : nullptr});
    }
    for (const PendingStep<T>& step : draft_.steps) point_step(step);
  }

 private:
  T* address(BufferId buffer) const {
    return buffer == BufferId::none
               ? nullptr
               : program_.arena.data() + draft_.buffers[buffer].offset / sizeof(T);
  }

  TensorId root_of(TensorId id) const { return draft_.values[id].root; }

  std::vector<Tensor<T>*> tensors_on(TensorId root) const {
    std::vector<Tensor<T>*> found;
    for (const TensorId id : draft_.values.ids()) {
      if (root_of(id) == root) found.push_back(&draft_.tensor(id));
    }
    return found;
  }

  void point_input(size_t i) {
    ProgramInput<T>& input = program_.inputs[i];
    input.tensor = &draft_.tensor(draft_.inputs[i]);
    input.memory = input.tensor->value;
    input.views = tensors_on(draft_.inputs[i]);
    if (draft_.options.by_hand) input.gradient = address(draft_.gradient_buffer[draft_.inputs[i]]);
  }

  void point_output(size_t i) {
    ProgramOutput<T>& output = program_.outputs[i];
    const TensorId root = root_of(draft_.outputs[i]);
    output.tensor = &draft_.tensor(draft_.outputs[i]);
    output.prediction = &draft_.tensor(draft_.predictions[i]);
    output.views = tensors_on(root);
    if (draft_.masks[i] != TensorId::none) output.mask = &draft_.tensor(draft_.masks[i]);
    output.has_own_memory =
        std::find(draft_.inputs.begin(), draft_.inputs.end(), root) == draft_.inputs.end();
    for (size_t j = 0; j < i; ++j) {
      if (root_of(draft_.outputs[j]) == root) output.has_own_memory = false;
    }
    if (draft_.options.differentiates()) output.d_prediction = address(draft_.d_predictions[i]);
  }

  void point_step(const PendingStep<T>& step) {
    Op<T>& op = draft_.op(step.op);
    for (size_t i = 0; i < step.d_outputs.size(); ++i) op.d_outputs[i] = address(step.d_outputs[i]);
    op.d_output = op.d_outputs[0];
    op.kept = address(step.kept);
    op.backward_scratch = address(step.scratch);
    for (size_t j = 0; j < step.d_inputs.size(); ++j) op.d_inputs[j] = address(step.d_inputs[j]);
    BackwardStep<T> made{op.is_view() ? nullptr : &op, {}};
    for (const PendingTransfer& t : step.transfers)
      made.transfers.push_back({address(t.into), address(t.from), t.size, t.add, t.by_row});
    for (const PendingUse<T>& use : step.uses) {
      auto own = std::make_unique<Parameter<T>>(*use.parameter);
      own->gradient = address(use.gradient);
      op.parameters[use.slot] = own.get();
      made.transfers.push_back({use.parameter->gradient, own->gradient, own->size, true, false});
      std::vector<Parameter<T>*>& summed = program_.summed;
      if (std::find(summed.begin(), summed.end(), use.parameter) == summed.end())
        summed.push_back(use.parameter);
      program_.further_uses.push_back(std::move(own));
    }
    program_.backward.push_back(std::move(made));
  }

  Draft<T>& draft_;
  Program<T>& program_;
};

}  // namespace

template <class T>
void place(Draft<T>& draft) {
  Placing<T>(draft).run();
}
template void place(Draft<float>&);
template void place(Draft<double>&);

}  // namespace nnfast::plan
