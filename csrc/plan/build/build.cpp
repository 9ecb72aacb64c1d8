// From graph to program.
#include <algorithm>

#include "base/cpu.h"
#include "plan/build/draft.h"

namespace nnfast::plan {
namespace {

constexpr int kForever = 1 << 30;

}  // namespace

// Single buffers that do not fit are refused here, so that sums do not overflow.
template <class T>
BufferId Draft<T>::new_buffer(const Tensor<T>& of, int first) {
  const size_t row = static_cast<size_t>(of.size) * sizeof(T);  // below 2^52
  const auto rows = static_cast<size_t>(of.batched ? options.capacity : 1);
  require(rows <= machine_memory() / row, of.name, ": expected an output of at most the ",
          machine_memory() >> 30, " GiB of this machine's memory, got ", rows, " rows of ",
          batch_shape_text(of.shape), "; use a smaller batch_size");
  return new_buffer(row * rows, first);
}

template <class T>
BufferId Draft<T>::new_buffer(size_t bytes, int first) {
  Buffer buffer;
  buffer.bytes = bytes;
  buffer.first = options.keep ? 0 : first;
  buffer.last = options.keep ? kForever : first;
  return buffers.add(buffer);
}

template <class T>
BufferId Draft<T>::new_scratch(const Op<T>& op, index_t elements, int time) {
  if (elements == 0) return BufferId::none;
  require(static_cast<size_t>(elements) <= machine_memory() / sizeof(T), op.name,
          ": expected intermediate values of at most the ", machine_memory() >> 30,
          " GiB of this machine's memory, got ", elements, " numbers; use a smaller batch_size");
  return new_buffer(static_cast<size_t>(elements) * sizeof(T), time);
}

template <class T>
void Draft<T>::extend(BufferId buffer, int time) {
  if (buffer == BufferId::none) return;
  buffers[buffer].last = std::max(buffers[buffer].last, time);
}

template <class T>
Program<T> build_program(Graph<T>& graph, const PlanOptions& options,
                         const Callbacks<T>& callbacks) {
  Draft<T> draft(graph, options, callbacks);
  lower(draft);
  schedule(draft);
  place(draft);
  return std::move(draft.program);
}

template struct Draft<float>;
template struct Draft<double>;
template Program<float> build_program(Graph<float>&, const PlanOptions&, const Callbacks<float>&);
template Program<double> build_program(Graph<double>&, const PlanOptions&,
                                       const Callbacks<double>&);

}  // namespace nnfast::plan
