// Predictions by several threads with one network.
#include <pybind11/stl.h>

#include "bind/bind.h"
#include "bind/callbacks.h"
#include "bind/rows.h"
#include "plan/pool.h"

namespace nnfast::bind {
namespace {

class PyPredictor {
 public:
  virtual ~PyPredictor() = default;
  virtual py::object predict_if_fits(const py::object& x) = 0;
  virtual py::object predict(const py::object& x) = 0;
};

template <class T>
class PyPredictorOf final : public PyPredictor {
 public:
  PyPredictorOf(const PyGraphOf<T>& graph, const py::dict& functions, uint64_t seed)
      : layout_(graph.layout()),
        pool_(graph.graph, user_functions<T>(functions, graph.layout(), 1), seed) {}

  // None if x is not in the form that the core takes directly.
  py::object predict_if_fits(const py::object& x) override {
    index_t n = 0;
    plan::RowsOfInputs<T> rows;
    NumbersOfInputs<T> numbers;
    if (!fitting_rows(layout_, x, &n, &rows, &numbers)) return py::none();
    try {
      return run(rows, n);
    } catch (const plan::DataError&) {
      return py::none();
    }
  }

  py::object predict(const py::object& x) override {
    index_t n = 0;
    const plan::RowsOfInputs<T> rows = checked_rows<T>(layout_, x, &n);
    return run(rows, n);
  }

 private:
  py::object run(const plan::RowsOfInputs<T>& rows, index_t n) {
    // Plans are created and destroyed with the GIL held, because they hold user functions. A layer
    // whose output does not fit in memory is reported here, before the array for it is created.
    const typename plan::PlanPool<T>::Lease plan(pool_, n);
    return predict_rows(*plan, rows, n);
  }

  const plan::GraphLayout& layout_;
  plan::PlanPool<T> pool_;
};

std::unique_ptr<PyPredictor> make_predictor(const PyGraph& graph, const py::dict& functions,
                                            uint64_t seed) {
  return with_graph(graph, [&](const auto& of) -> std::unique_ptr<PyPredictor> {
    using T = std::remove_pointer_t<decltype(of.graph->flat.data())>;
    return std::make_unique<PyPredictorOf<T>>(of, functions, seed);
  });
}

}  // namespace

void add_predictor(py::module_& module) {
  py::class_<PyPredictor>(module, "Predictor")
      .def(py::init(&make_predictor), py::arg("graph"), py::arg("functions"), py::arg("seed"))
      .def("predict_if_fits", &PyPredictor::predict_if_fits, py::arg("x"))
      .def("predict", &PyPredictor::predict, py::arg("x"));
}

}  // namespace nnfast::bind
