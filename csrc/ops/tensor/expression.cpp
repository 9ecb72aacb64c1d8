#include "ops/tensor/expression.h"

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"
#include "ops/tensor/broadcast_reader.h"

namespace nnfast {
namespace {

constexpr index_t kBlock = 512;

bool reads_operands(const Instruction& of) {
  switch (of.kind) {
    case Instruction::Kind::unary:
      return gradient_reads(of.unary).x;
    case Instruction::Kind::binary: {
      const BinaryReads reads = gradient_reads(of.binary);
      return reads.a || reads.b;
    }
    case Instruction::Kind::where:
      return true;
    default:
      return derivative_reads_input(of.activation.kind);
  }
}

bool reads_result(const Instruction& of) {
  switch (of.kind) {
    case Instruction::Kind::unary:
      return gradient_reads(of.unary).y;
    case Instruction::Kind::binary:
      return gradient_reads(of.binary).y;
    case Instruction::Kind::where:
      return false;
    default:
      return !derivative_reads_input(of.activation.kind);
  }
}

bool has_gradient(const Instruction& of, size_t operand) {
  switch (of.kind) {
    case Instruction::Kind::unary:
      return is_differentiable(of.unary);
    case Instruction::Kind::binary:
      return is_differentiable(of.binary);
    case Instruction::Kind::where:
      return operand > 0;
    default:
      return of.activation.kind != Activation::heaviside;
  }
}

}  // namespace

template <class T>
Expression<T>::Expression(std::vector<Instruction> instructions, std::vector<double> constants,
                          size_t inputs)
    : instructions_(std::move(instructions)), constants_(std::move(constants)), inputs_(inputs) {
  find_gradients();
  find_needed();
}

template <class T>
void Expression<T>::find_gradients() {
  differentiable_.assign(static_cast<size_t>(last_value()) + 1, false);
  differentiable_.back() = true;
  for (size_t i = instructions_.size(); i-- > 0;) {
    if (!differentiable_[static_cast<size_t>(first_result()) + i]) continue;
    const Instruction& of = instructions_[i];
    for (size_t j = 0; j < of.operands.size(); ++j) {
      if (nnfast::has_gradient(of, j)) differentiable_[static_cast<size_t>(of.operands[j])] = true;
    }
  }
}

template <class T>
void Expression<T>::find_needed() {
  needed_.assign(differentiable_.size(), false);
  for (size_t i = instructions_.size(); i-- > 0;) {
    const size_t result = static_cast<size_t>(first_result()) + i;
    const Instruction& of = instructions_[i];
    bool passes = false;  // a gradient through this instruction
    for (size_t j = 0; j < of.operands.size(); ++j)
      passes = passes || (differentiable_[result] && nnfast::has_gradient(of, j));
    if (passes && reads_result(of)) needed_[result] = true;
    // The last result is not computed again.
    const bool computed = needed_[result] && i + 1 < instructions_.size();
    if (!computed && !(passes && reads_operands(of))) continue;
    for (const int operand : of.operands) needed_[static_cast<size_t>(operand)] = true;
  }
}

template <class T>
bool Expression<T>::reads_inputs() const {
  for (size_t i = 0; i < inputs_; ++i) {
    if (needed_[i]) return true;
  }
  return false;
}

template <class T>
bool Expression<T>::reads_output() const {
  return needed_.back();
}

// Nanoseconds for an element.
template <class T>
double Expression<T>::cost() const {
  double cost = 0.1;
  for (const Instruction& of : instructions_) {
    if (of.kind == Instruction::Kind::unary) {
      cost += cost_of(of.unary);
    } else if (of.kind == Instruction::Kind::binary) {
      cost += cost_of(of.binary);
    } else {
      cost += 0.3;
    }
  }
  return cost;
}

// The memory of a thread that computes blocks: one for each value that is not a whole input.
template <class T>
class Expression<T>::Block {
 public:
  Block(const Expression& of, const Dims& dims, const Operand* inputs, bool with_gradients)
      : of_(of), inputs_(inputs), values_(static_cast<size_t>(of.last_value()) + 1) {
    const index_t slots = static_cast<index_t>(with_gradients ? 2 * values_ + 1 : values_);
    memory_ = scratch_of<T>(slots * kBlock);
    for (size_t i = 0; i < of.inputs_; ++i) layouts_[i] = BroadcastReader(inputs[i].dims, dims);
    for (size_t i = 0; i < of.constants_.size(); ++i) {
      value_[of.inputs_ + i] = slot(of.inputs_ + i);
      std::fill_n(value_[of.inputs_ + i], kBlock, static_cast<T>(of.constants_[i]));
    }
  }

  // The inputs of elements begin, ..., begin + n - 1; of those that are needed for gradients.
  void read(index_t begin, index_t n, bool for_gradients) {
    for (size_t i = 0; i < of_.inputs_; ++i) {
      if (for_gradients && !of_.needed_[i]) continue;
      if (layouts_[i].is_whole()) {
        value_[i] = const_cast<T*>(inputs_[i].values) + begin;
      } else {
        value_[i] = slot(i);
        layouts_[i].read(slot(i), inputs_[i].values, begin, n);
      }
    }
  }

  // All results, the last one at y; or those but the last that are needed for gradients.
  void compute(T* y, index_t n, bool for_gradients) {
    const size_t first = static_cast<size_t>(of_.first_result());
    for (size_t i = 0; i < of_.instructions_.size(); ++i) {
      const size_t result = first + i;
      const bool is_last = result + 1 == values_;
      value_[result] = is_last ? y : slot(result);
      if (!for_gradients || (of_.needed_[result] && !is_last)) run(of_.instructions_[i], result, n);
    }
  }

  // Gradients of wanted values from that of the last, which is at dy.
  void pull_back(T* const* d_inputs, const T* dy, index_t begin, index_t n) {
    for (size_t i = 0; i < values_; ++i) {
      const bool is_input = i < of_.inputs_;
      gradient_[i] = is_input ? (d_inputs[i] ? d_inputs[i] + begin : nullptr)
                              : memory_ + static_cast<index_t>(values_ + i) * kBlock;
      written_[i] = false;
    }
    find_wanted(d_inputs);
    const size_t first = static_cast<size_t>(of_.first_result());
    for (size_t i = of_.instructions_.size(); i-- > 0;) {
      if (!wanted_[first + i]) continue;
      const T* d = first + i + 1 == values_ ? dy : gradient_[first + i];
      run_backward(of_.instructions_[i], first + i, d, n);
    }
    for (size_t i = 0; i < of_.inputs_; ++i) {
      if (wanted_[i] && !written_[i]) std::fill_n(gradient_[i], n, T(0));
    }
  }

 private:
  T* slot(size_t value) const { return memory_ + static_cast<index_t>(value) * kBlock; }
  T* operand(const Instruction& of, size_t i) const {
    return value_[static_cast<size_t>(of.operands[i])];
  }

  void run(const Instruction& of, size_t result, index_t n) const {
    const Kernels<T>& k = kernels<T>();
    T* y = value_[result];
    switch (of.kind) {
      case Instruction::Kind::unary:
        return k.unary(y, operand(of, 0), n, of.unary);
      case Instruction::Kind::binary:
        return k.binary(y, operand(of, 0), operand(of, 1), n, of.binary);
      case Instruction::Kind::where:
        return k.where(y, operand(of, 0), operand(of, 1), operand(of, 2), n);
      case Instruction::Kind::activation:
        return k.activation_forward(y, operand(of, 0), n, of.activation);
    }
  }

  // Values from which a gradient reaches an input that wants one.
  void find_wanted(T* const* d_inputs) {
    for (size_t i = 0; i < values_; ++i)
      wanted_[i] = i < of_.inputs_ && d_inputs[i] && of_.differentiable_[i];
    const size_t first = static_cast<size_t>(of_.first_result());
    for (size_t i = 0; i < of_.instructions_.size(); ++i) {
      const Instruction& of = of_.instructions_[i];
      for (size_t j = 0; j < of.operands.size(); ++j) {
        if (wanted_[static_cast<size_t>(of.operands[j])] && nnfast::has_gradient(of, j))
          wanted_[first + i] = of_.differentiable_[first + i];
      }
    }
  }

  // Where the gradient of an operand goes: the first one to its place, further ones to a slot from which they are added.
  T* target(const Instruction& of, size_t i) {
    const size_t value = static_cast<size_t>(of.operands[i]);
    if (!wanted_[value] || !nnfast::has_gradient(of, i)) return nullptr;
    return written_[value] ? memory_ + static_cast<index_t>(2 * values_) * kBlock
                           : gradient_[value];
  }
  void finish(const Instruction& of, size_t i, const T* target, index_t n) {
    const size_t value = static_cast<size_t>(of.operands[i]);
    if (!target) return;
    if (written_[value]) kernels<T>().add(gradient_[value], gradient_[value], target, n);
    written_[value] = true;
  }

  void run_backward(const Instruction& of, size_t result, const T* dy, index_t n) {
    const Kernels<T>& k = kernels<T>();
    const T* y = value_[result];
    if (of.kind == Instruction::Kind::unary) {
      T* dx = target(of, 0);
      if (dx) k.unary_backward(dx, dy, operand(of, 0), y, n, of.unary);
      return finish(of, 0, dx, n);
    }
    if (of.kind == Instruction::Kind::activation) {
      T* dx = target(of, 0);
      if (dx) k.activation_backward(dx, dy, operand(of, 0), y, n, of.activation);
      return finish(of, 0, dx, n);
    }
    // One after the other: both may be the same value, or need the slot.
    const size_t first = of.kind == Instruction::Kind::where ? 1 : 0;
    for (size_t i = first; i < first + 2; ++i) {
      T* dx = target(of, i);
      if (!dx) continue;
      T* da = i == first ? dx : nullptr;
      T* db = i == first ? nullptr : dx;
      if (of.kind == Instruction::Kind::where) {
        k.where_backward(da, db, dy, operand(of, 0), n);
      } else {
        k.binary_backward(da, db, dy, operand(of, 0), operand(of, 1), y, n, of.binary);
      }
      finish(of, i, dx, n);
    }
  }

  const Expression& of_;
  const Operand* inputs_;
  const size_t values_;
  T* memory_;
  T *value_[kMaxValues] = {}, *gradient_[kMaxValues];
  bool wanted_[kMaxValues], written_[kMaxValues];
  BroadcastReader layouts_[kMaxInputs];
};

template <class T>
void Expression<T>::forward(T* y, const Dims& dims, const Operand* inputs) const {
  const index_t size = dims.elements();
  parallel_ranges(size, 64, cost() * static_cast<double>(size), [&](index_t begin, index_t end) {
    Block block(*this, dims, inputs, false);
    for (index_t at = begin; at < end; at += kBlock) {
      const index_t n = std::min(kBlock, end - at);
      block.read(at, n, false);
      block.compute(y + at, n, false);
    }
  });
}

template <class T>
void Expression<T>::backward(T* const* d_inputs, const T* dy, const T* y, const Dims& dims,
                             const Operand* inputs) const {
  const index_t size = dims.elements();
  const double work = 2 * cost() * static_cast<double>(size);
  parallel_ranges(size, 64, work, [&](index_t begin, index_t end) {
    Block block(*this, dims, inputs, true);
    for (index_t at = begin; at < end; at += kBlock) {
      const index_t n = std::min(kBlock, end - at);
      block.read(at, n, true);
      block.compute(const_cast<T*>(y) + at, n, true);
      block.pull_back(d_inputs, dy + at, at, n);
    }
  });
}

template class Expression<float>;
template class Expression<double>;

}  // namespace nnfast
