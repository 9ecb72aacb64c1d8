// Inputs and outputs of a program in the caller's memory.
#pragma once

#include <vector>

#include "base/one_or_more.h"
#include "plan/program.h"

namespace nnfast::plan {

template <class T>
void point_at(const std::vector<Tensor<T>*>& views, T* memory) {
  for (Tensor<T>* view : views) view->value = memory;
}

// Points the outputs to the caller's arrays, and back to the arena, even if a callback throws.
template <class T>
class LentOutputs {
 public:
  explicit LentOutputs(const std::vector<ProgramOutput<T>>& outputs)
      : outputs_(outputs), own_(outputs.size()) {
    for (size_t i = 0; i < outputs.size(); ++i) own_[i] = outputs[i].views[0]->value;
  }
  ~LentOutputs() {
    for (size_t i = 0; i < outputs_.size(); ++i) point_at(outputs_[i].views, own_[i]);
  }
  LentOutputs(const LentOutputs&) = delete;
  LentOutputs& operator=(const LentOutputs&) = delete;

 private:
  const std::vector<ProgramOutput<T>>& outputs_;
  OneOrMore<T*> own_;
};

}  // namespace nnfast::plan
