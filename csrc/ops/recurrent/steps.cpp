#include "ops/recurrent/steps.h"

namespace nnfast {
namespace {

constexpr double kOperationsPerUnit = 60;

// Calls body(position, step in x of the position) for steps [begin, end) of all rows.
template <class Body>
void for_positions(index_t rows, const RecurrentOptions& o, index_t begin, index_t end,
                   const Body& body) {
  const index_t count = (end - begin) * rows;
  const double cost = static_cast<double>(count) * (4 + 0.1 * static_cast<double>(o.inputs));
  parallel_ranges(count, 1, cost, [&](index_t first, index_t last) {
    for (index_t i = first; i < last; ++i)
      body(i, i % rows * o.steps + place_in_x(begin + i / rows, o));
  });
}

}  // namespace

template <class T>
void input_steps(T* steps, const T* x, const T* mask, index_t rows, const RecurrentOptions& o,
                 index_t begin, index_t end) {
  const index_t d = o.inputs;
  for_positions(rows, o, begin, end, [=](index_t to, index_t from) {
    if (mask && mask[from] == T(0)) {
      std::fill_n(steps + to * d, d, T(0));
    } else {
      std::copy_n(x + from * d, d, steps + to * d);
    }
  });
}

template <class T>
void output_steps(T* dx, const T* steps, index_t rows, const RecurrentOptions& o) {
  const index_t d = o.inputs;
  for_positions(rows, o, 0, o.steps,
                [=](index_t from, index_t to) { std::copy_n(steps + from * d, d, dx + to * d); });
}

double cost_of_steps(index_t rows, index_t steps, const RecurrentOptions& o) {
  const double width = static_cast<double>(o.cell.gates() * o.units);
  const double products = 2 * static_cast<double>(o.units) * width / kOperationsPerUnit;
  return static_cast<double>(rows * steps) * (products + width);
}

template void input_steps(float*, const float*, const float*, index_t, const RecurrentOptions&,
                          index_t, index_t);
template void input_steps(double*, const double*, const double*, index_t, const RecurrentOptions&,
                          index_t, index_t);
template void output_steps(float*, const float*, index_t, const RecurrentOptions&);
template void output_steps(double*, const double*, index_t, const RecurrentOptions&);

}  // namespace nnfast
