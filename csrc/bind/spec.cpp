#include "bind/spec.h"

#include <pybind11/stl.h>

namespace nnfast::bind {
namespace {

int64_t integer_of(const py::handle& value, const std::string& place) {
  if (!py::isinstance<py::int_>(value)) return value.cast<int64_t>();
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  require(overflow == 0, place, ": expected an integer of 64 bits, got ",
          py::repr(value).cast<std::string>());
  return number;
}

plan::Attribute attribute_of(const py::handle& value, const std::string& place) {
  if (py::isinstance<py::bool_>(value)) return static_cast<int64_t>(value.cast<bool>());
  if (py::isinstance<py::int_>(value)) return integer_of(value, place);
  if (py::isinstance<py::float_>(value)) return value.cast<double>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (py::isinstance<py::sequence>(value)) {
    const py::sequence items = py::reinterpret_borrow<py::sequence>(value);
    if (py::len(items) > 0 && py::isinstance<py::str>(items[0]))
      return value.cast<std::vector<std::string>>();
    std::vector<int64_t> numbers;
    for (const py::handle item : items) numbers.push_back(integer_of(item, place));
    return numbers;
  }
  throw py::type_error(text(place, ": expected a number, a string or a list of them, got ",
                            py::repr(value).cast<std::string>()));
}

}  // namespace

plan::NodeSpec node_of(const py::handle& object) {
  const py::dict dict = py::dict(py::reinterpret_borrow<py::object>(object));
  plan::NodeSpec node;
  if (dict.contains("name")) node.name = dict["name"].cast<std::string>();
  node.op = dict.contains("op") ? dict["op"].cast<std::string>() : node.name;
  if (dict.contains("inputs")) node.inputs = dict["inputs"].cast<std::vector<std::string>>();
  for (const auto& [key, value] : dict) {
    const std::string name = key.cast<std::string>();
    if (name == "op" || name == "name" || name == "inputs" || value.is_none()) continue;
    node.attributes[name] = attribute_of(value, node.name + "." + name);
  }
  return node;
}

}  // namespace nnfast::bind
