// What a sequence that arrives in parts needs: the numbers of its time steps, and caches that keep the former ones.
// An offset (1) is the number of steps that came before, a whole number; rows may differ in it.
#include <algorithm>

#include "base/thread_pool.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

// Row `row` of a tensor of offsets.
template <class T>
index_t offset_of(const Op<T>& op, const Tensor<T>& offsets, index_t row, index_t most) {
  const double offset = static_cast<double>(offsets.value[row]);
  const bool fits = offset >= 0 && offset <= static_cast<double>(most);  // NaN does not
  const index_t whole = fits ? static_cast<index_t>(offset) : 0;
  require(fits && static_cast<double>(whole) == offset, op.name, ": expected an offset from 0 to ",
          most, ", got ", offset);
  return whole;
}

void require_offset(const NodeSpec& node, const Shape& offset) {
  require(offset == Shape{1}, node.name, ": expected offsets of (N, 1), got ",
          batch_shape_text(offset));
}

constexpr index_t kMostSteps = index_t{1} << 24;  // which float32 counts exactly

// y (T) = offset + 0, 1, ..., T - 1 for x (T, ...), of which only the length counts.
Inference infer_positions(const NodeSpec& node, const std::vector<Shape>& inputs) {
  const bool has_offset = node.integer_or("has_offset", 0) != 0;
  require_inputs(node, inputs, has_offset ? 2 : 1);
  require(!inputs[0].empty() && inputs[0][0] <= kMostSteps, node.name,
          ": expected an input of (N, T, ...) with at most ", kMostSteps, " steps, got ",
          batch_shape_text(inputs[0]));
  if (has_offset) require_offset(node, inputs[1]);
  return {{inputs[0][0]}, {}};
}

template <class T>
class PositionsOp final : public Op<T> {
 public:
  explicit PositionsOp(const NodeSpec& node)
      : Op<T>(node), has_offset_(node.integer_or("has_offset", 0) != 0) {}

  void forward(const Run& run) override {
    const index_t steps = this->output->size;
    T* y = this->output->value;
    for (index_t row = 0; row < run.rows; ++row) {
      const index_t first =
          has_offset_ ? offset_of(*this, *this->inputs[1], row, kMostSteps - steps) : 0;
      for (index_t t = 0; t < steps; ++t) *y++ = static_cast<T>(first + t);
    }
  }
  void backward(const Run&) override {}
  bool is_differentiable() const override { return false; }

 private:
  bool has_offset_;
};

// y (L, ...) = cache (L, ...) with x (T, ...) at the steps from the offset on.
Inference infer_append(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 3);
  const Shape &cache = inputs[0], &x = inputs[1];
  require(!cache.empty() && cache.size() == x.size() && x[0] <= cache[0] &&
              std::equal(cache.begin() + 1, cache.end(), x.begin() + 1),
          node.name, ": expected steps that fit into a cache of ", batch_shape_text(cache),
          ", got ", batch_shape_text(x));
  require_offset(node, inputs[2]);
  return {cache, {}};
}

template <class T>
class AppendOp final : public Op<T> {
 public:
  using Op<T>::Op;

  void forward(const Run& run) override {
    const Tensor<T>&cache = *this->inputs[0], &x = *this->inputs[1];
    const index_t width = x.size / static_cast<index_t>(x.shape[0]);
    const double cost = 0.2 * static_cast<double>(run.rows * cache.size);
    parallel_ranges(run.rows, 1, cost, [&](index_t begin, index_t end) {
      for (index_t row = begin; row < end; ++row) {
        const T* from = cache.value + row * cache.size;
        T* to = this->output->value + row * cache.size;
        const index_t first =
            width * offset_of(*this, *this->inputs[2], row, (cache.size - x.size) / width);
        std::copy(from, from + first, to);
        std::copy_n(x.value + row * x.size, x.size, to + first);
        std::copy(from + first + x.size, from + cache.size, to + first + x.size);
      }
    });
  }
  void backward(const Run&) override {}
  bool is_differentiable() const override { return false; }
};

// y (T, L) = 1 where step offset + t of a sequence may see step s of a cache, s <= offset + t; else 0.
Inference infer_visible(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  require_offset(node, inputs[0]);
  const Shape shape = {node.integer("steps"), node.integer("capacity")};
  element_count(shape, node.name);
  return {shape, {}};
}

template <class T>
class VisibleOp final : public Op<T> {
 public:
  using Op<T>::Op;

  void forward(const Run& run) override {
    const index_t steps = static_cast<index_t>(this->output->shape[0]),
                  capacity = static_cast<index_t>(this->output->shape[1]);
    T* y = this->output->value;
    for (index_t row = 0; row < run.rows; ++row) {
      index_t seen = offset_of(*this, *this->inputs[0], row, capacity - steps);
      for (index_t t = 0; t < steps; ++t, y += capacity) {
        std::fill_n(y, ++seen, T(1));
        std::fill(y + seen, y + capacity, T(0));
      }
    }
  }
  void backward(const Run&) override {}
  bool is_differentiable() const override { return false; }
};

const Registered<OpKind> positions(op_kind<PositionsOp>("positions", "has_offset",
                                                        infer_positions));
const Registered<OpKind> append(op_kind<AppendOp>("append", "", infer_append));
const Registered<OpKind> visible(op_kind<VisibleOp>("visible", "steps capacity", infer_visible));

}  // namespace
}  // namespace nnfast::plan
