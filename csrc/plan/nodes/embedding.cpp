// Embedding: y (N, T..., D) = those rows of a table (V, D) whose numbers the input (N, T...) holds.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/thread_pool.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

constexpr index_t kBlock = 64;  // ids that are looked up together

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const int64_t vocabulary = node.integer("input_dim"), width = node.integer("output_dim");
  require(vocabulary > 0 && width > 0, node.name,
          ": expected input_dim and output_dim of 1 or more, got ", vocabulary, " and ", width);
  Shape shape = inputs[0];
  shape.push_back(width);
  return {shape, {{"embeddings", {vocabulary, width}}}};
}

// x (n) as row numbers of a table; whether all are. Those that are not become 0.
template <class T>
bool to_rows(int64_t* rows, const T* x, index_t n, index_t vocabulary) {
  // In double: float32 may round the bound to a number above it.
  const double bound = static_cast<double>(vocabulary);
  bool fit = true;
  for (index_t i = 0; i < n; ++i) {
    const double id = static_cast<double>(x[i]);
    const bool is_within = id >= 0 && id < bound;  // NaN is not
    rows[i] = is_within ? static_cast<int64_t>(id) : 0;
    fit &= is_within && static_cast<double>(rows[i]) == id;
  }
  return fit;
}

template <class T>
class EmbeddingOp final : public Op<T> {
 public:
  using Op<T>::Op;

  void forward(const Run& run) override {
    const index_t count = ids(run), d = width();
    const T* x = this->inputs[0]->value;
    std::atomic<bool> fit{true};
    parallel_ranges(count, kBlock, cost(count), [&](index_t begin, index_t end) {
      int64_t rows[kBlock];
      for (index_t i = begin; i < end; i += kBlock) {
        const index_t n = std::min(kBlock, end - i);
        if (!to_rows(rows, x + i, n, vocabulary())) fit.store(false, std::memory_order_relaxed);
        kernels<T>().gather_rows(this->output->value + i * d, table().value, rows, n, d, 1, 0);
      }
    });
    if (!fit.load(std::memory_order_relaxed)) refuse(x, count);
  }

  void backward(const Run& run) override {
    const index_t count = ids(run), d = width();
    if (this->d_inputs[0]) std::fill_n(this->d_inputs[0], count, T(0));
    T* gradient = table().gradient;
    if (!gradient) return;
    const index_t size = vocabulary() * d;
    parallel_ranges(size, 64, 0.1 * static_cast<double>(size), [&](index_t begin, index_t end) {
      std::fill(gradient + begin, gradient + end, T(0));
    });
    // Threads share the columns: whoever adds, a sum has the order of the ids.
    parallel_ranges(d, 16, cost(count), [&](index_t begin, index_t end) {
      int64_t rows[kBlock];
      for (index_t i = 0; i < count; i += kBlock) {
        const index_t n = std::min(kBlock, count - i);
        to_rows(rows, this->inputs[0]->value + i, n, vocabulary());
        for (index_t j = 0; j < n; ++j) {
          T* to = gradient + rows[j] * d + begin;
          kernels<T>().add(to, to, this->d_output + (i + j) * d + begin, end - begin);
        }
      }
    });
  }

  bool backward_reads_inputs() const override { return table().gradient != nullptr; }
  bool backward_reads_output() const override { return false; }

 private:
  Parameter<T>& table() const { return *this->parameters[0]; }
  index_t vocabulary() const { return static_cast<index_t>(table().shape[0]); }
  index_t width() const { return static_cast<index_t>(table().shape[1]); }
  index_t ids(const Run& run) const { return run.rows * this->inputs[0]->size; }
  double cost(index_t count) const {
    return static_cast<double>(count) * (5 + 0.15 * static_cast<double>(width()));
  }

  // Names the first of x (n) that is no row of the table.
  [[noreturn]] void refuse(const T* x, index_t n) const {
    int64_t row;
    while (n-- > 1 && to_rows(&row, x, 1, vocabulary())) ++x;
    const std::string expected = text(this->name, ": expected ids from 0 to ", vocabulary() - 1);
    const double id = static_cast<double>(*x);
    // Only numbers that came in as such, or were computed, are no integers.
    if (!(id >= 0 && id < 0x1p62) || static_cast<double>(static_cast<int64_t>(id)) != id)
      throw ValueError(text(expected, ", got ", id,
                            "; read tokens, counted from 0, with "
                            "layers.Input(shape, dtype=\"int32\")"));
    const int64_t whole = static_cast<int64_t>(id);
    throw ValueError(text(expected, ", got ", whole, "; make the layer with input_dim=", whole + 1,
                          " or more, or give unknown tokens an id of the table"));
  }
};

const Registered<OpKind> registered(op_kind<EmbeddingOp>("embedding", "input_dim output_dim",
                                                         infer));

}  // namespace

}  // namespace nnfast::plan
