// Graphs for Python, in the form that plans expect.
#pragma once

#include <memory>
#include <vector>

#include "bind/arrays.h"
#include "plan/graph/graph.h"

namespace nnfast::bind {

inline py::tuple shape_tuple(const plan::Shape& shape) {
  py::tuple out(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) out[i] = shape[i];
  return out;
}

inline std::vector<py::ssize_t> with_rows(index_t rows, const plan::Shape& shape) {
  std::vector<py::ssize_t> out = {rows};
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

class PyGraph {
 public:
  virtual ~PyGraph() = default;
  virtual const plan::GraphLayout& layout() const = 0;
  virtual const char* dtype() const = 0;
  virtual plan::Use& use() const = 0;
  virtual py::array flat(const py::handle& self) const = 0;
  virtual py::dict parameters(const py::handle& self) const = 0;
  // Another graph on the memory of this one's parameters.
  virtual std::unique_ptr<PyGraph> with_same_parameters(
      std::vector<plan::NodeSpec> nodes, const std::vector<std::string>& outputs) const = 0;
};

template <class T>
class PyGraphOf final : public PyGraph {
 public:
  explicit PyGraphOf(std::shared_ptr<plan::Graph<T>> of) : graph(std::move(of)) {}
  const plan::GraphLayout& layout() const override { return graph->layout; }
  const char* dtype() const override { return type_name<T>(); }
  plan::Use& use() const override { return graph->use; }
  py::array flat(const py::handle& self) const override;
  py::dict parameters(const py::handle& self) const override;
  std::unique_ptr<PyGraph> with_same_parameters(
      std::vector<plan::NodeSpec> nodes, const std::vector<std::string>& outputs) const override;

  std::shared_ptr<plan::Graph<T>> graph;
};

// Calls body with the graph of the right type.
template <class Body>
auto with_graph(const PyGraph& graph, const Body& body) {
  if (const auto* single = dynamic_cast<const PyGraphOf<float>*>(&graph)) return body(*single);
  return body(dynamic_cast<const PyGraphOf<double>&>(graph));
}

}  // namespace nnfast::bind
