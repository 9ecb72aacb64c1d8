#include "bind/graph.h"

#include <pybind11/stl.h>

#include <optional>
#include <set>

#include "bind/bind.h"
#include "bind/gil.h"
#include "bind/spec.h"

namespace nnfast::bind {

using plan::NodeSpec;
using plan::Shape;
using plan::Use;

template <class T>
py::array PyGraphOf<T>::flat(const py::handle& self) const {
  return view_of(graph->flat.data(), {layout().flat_size()}, self);
}

template <class T>
py::dict PyGraphOf<T>::parameters(const py::handle& self) const {
  py::dict out;
  for (const plan::GraphParameter& p : layout().parameters()) {
    out[py::str(p.name)] = view_of(graph->flat.data() + p.offset,
                                   std::vector<py::ssize_t>(p.shape.begin(), p.shape.end()), self);
  }
  return out;
}

template <class T>
std::unique_ptr<PyGraph> PyGraphOf<T>::with_same_parameters(
    std::vector<NodeSpec> nodes, const std::vector<std::string>& outputs) const {
  return std::make_unique<PyGraphOf>(
      std::make_shared<plan::Graph<T>>(std::move(nodes), outputs, *graph));
}

namespace {

// unbatched: which of the inputs have no batch axis.
py::dict infer(const py::dict& node, const std::vector<Shape>& input_shapes,
               const std::set<size_t>& unbatched) {
  const NodeSpec spec = node_of(node);
  std::vector<plan::TensorShape> inputs;
  for (size_t i = 0; i < input_shapes.size(); ++i)
    inputs.push_back({input_shapes[i], unbatched.count(i) == 0});
  const plan::Inference result = plan::infer_node(spec, inputs);
  py::list parameters, statistics;
  for (const plan::ParameterSpec& p : result.parameters) {
    plan::element_count(p.shape, spec.name + "." + p.name);
    parameters.append(py::make_tuple(p.name, shape_tuple(p.shape)));
    if (!p.trains) statistics.append(p.name);
  }
  py::list shapes;
  shapes.append(shape_tuple(result.shape));
  for (const Shape& shape : result.further_shapes) shapes.append(shape_tuple(shape));
  py::dict out;
  out["shapes"] = shapes;
  out["batched"] = result.batched;
  out["parameters"] = parameters;
  out["statistics"] = statistics;
  return out;
}

std::vector<NodeSpec> nodes_of(const py::sequence& nodes) {
  std::vector<NodeSpec> specs;
  for (const auto& node : nodes) specs.push_back(node_of(node));
  return specs;
}

std::unique_ptr<PyGraph> make_graph(const py::sequence& nodes,
                                    const std::vector<std::string>& outputs,
                                    const std::string& dtype) {
  return with_type(dtype, "network", [&](auto t) -> std::unique_ptr<PyGraph> {
    using T = decltype(t);
    return std::make_unique<PyGraphOf<T>>(
        std::make_shared<plan::Graph<T>>(nodes_of(nodes), outputs));
  });
}

// A `with` block that reads or writes the parameters. Entering and leaving are single C calls, so
// that Ctrl-C cannot leave a block half entered.
class UseBlock {
 public:
  enum class Kind { reading, writing, calls };
  UseBlock(PyGraph& graph, const std::string& what, Kind kind)
      : use_(graph.use()), what_(kept(what)), kind_(kind) {}

  void enter() {
    const ReleaseGil release;
    if (kind_ == Kind::reading) {
      reading_.emplace(use_, what_);
    } else {
      writing_.emplace(use_, what_, kind_ == Kind::calls ? Use::Span::calls : Use::Span::step);
    }
  }
  void exit() {
    reading_.reset();
    writing_.reset();
  }

 private:
  // Names outlive the blocks; there are few.
  static const char* kept(const std::string& what) {
    static auto& names = *new std::set<std::string>;
    return names.insert(what).first->c_str();
  }

  Use& use_;
  const char* what_;
  Kind kind_;
  std::optional<Use::Reading> reading_;
  std::optional<Use::Writing> writing_;
};

template <UseBlock::Kind kind>
std::unique_ptr<UseBlock> use_block(PyGraph& graph, const std::string& what) {
  return std::make_unique<UseBlock>(graph, what, kind);
}

}  // namespace

void add_graph(py::module_& module) {
  module.def("infer", &infer, py::arg("node"), py::arg("input_shapes"),
             py::arg("unbatched") = std::set<size_t>());

  py::class_<UseBlock>(module, "UseBlock")
      .def("__enter__", &UseBlock::enter)
      .def("__exit__", [](UseBlock& block, const py::args&) { block.exit(); });

  py::class_<PyGraph>(module, "Graph")
      .def(py::init(&make_graph), py::arg("nodes"), py::arg("outputs"), py::arg("dtype"))
      .def_property_readonly("dtype", &PyGraph::dtype)
      .def_property_readonly("num_parameters",
                             [](const PyGraph& g) { return g.layout().parameter_count(); })
      .def("flat", [](const py::object& self) { return self.cast<const PyGraph&>().flat(self); })
      .def("parameters",
           [](const py::object& self) { return self.cast<const PyGraph&>().parameters(self); })
      .def("statistics",
           [](const PyGraph& g) {
             py::list names;
             for (const plan::GraphParameter& p : g.layout().parameters()) {
               if (!p.trains) names.append(p.name);
             }
             return names;
           })
      .def(
          "with_same_parameters",
          [](const PyGraph& g, const py::sequence& nodes, const std::vector<std::string>& outputs) {
            return g.with_same_parameters(nodes_of(nodes), outputs);
          },
          py::arg("nodes"), py::arg("outputs"))
      .def("reading", &use_block<UseBlock::Kind::reading>, py::arg("what"), py::keep_alive<0, 1>())
      .def("writing", &use_block<UseBlock::Kind::writing>, py::arg("what"), py::keep_alive<0, 1>())
      .def("training", &use_block<UseBlock::Kind::calls>, py::arg("what"), py::keep_alive<0, 1>())
      .def("shapes", [](const PyGraph& g) {
        py::dict out;
        for (const plan::GraphNode& node : g.layout().nodes())
          for (size_t i = 0; i < node.output_count(); ++i)
            out[py::str(plan::output_name(node.spec.name, i))] = shape_tuple(node.shape_of(i));
        return out;
      });
}

template class PyGraphOf<float>;
template class PyGraphOf<double>;

}  // namespace nnfast::bind
