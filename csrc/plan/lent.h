// A program's inputs and outputs on memory of the caller's.
#pragma once

#include <vector>

#include "plan/program.h"

namespace nnfast::plan {

template <class T>
void point_at(const std::vector<Tensor<T>*>& views, T* memory) {
  for (Tensor<T>* view : views) view->value = memory;
}

// Points the outputs at the caller's arrays; back at the arena also when a callback throws.
template <class T>
class LentOutputs {
 public:
  explicit LentOutputs(const std::vector<ProgramOutput<T>>& outputs)
      : outputs_(outputs), first_(outputs[0].views[0]->value) {
    for (size_t i = 1; i < outputs.size(); ++i) more_.push_back(outputs[i].views[0]->value);
  }
  ~LentOutputs() {
    point_at(outputs_[0].views, first_);
    for (size_t i = 1; i < outputs_.size(); ++i) point_at(outputs_[i].views, more_[i - 1]);
  }
  LentOutputs(const LentOutputs&) = delete;
  LentOutputs& operator=(const LentOutputs&) = delete;

 private:
  const std::vector<ProgramOutput<T>>& outputs_;
  T* first_;
  std::vector<T*> more_;
};

}  // namespace nnfast::plan
