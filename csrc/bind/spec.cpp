#include "bind/spec.h"

#include <pybind11/stl.h>

namespace nnfast::bind {
namespace {

int64_t integer_of(const py::handle& value, const std::string& where) {
  if (!py::isinstance<py::int_>(value)) {
    throw py::type_error(
        text(where, ": expected integers, got ", py::repr(value).cast<std::string>()));
  }
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  require(overflow == 0, where, ": expected an integer of 64 bits, got ",
          py::repr(value).cast<std::string>());
  return number;
}

std::string string_of(const py::handle& value, const std::string& where) {
  if (!py::isinstance<py::str>(value)) {
    throw py::type_error(
        text(where, ": expected a string, got ", py::repr(value).cast<std::string>()));
  }
  return value.cast<std::string>();
}

std::vector<std::string> strings_of(const py::handle& value, const std::string& where) {
  std::vector<std::string> strings;
  for (const py::handle item : value) strings.push_back(string_of(item, where));
  return strings;
}

plan::Attribute attribute_of(const py::handle& value, const std::string& where) {
  if (py::isinstance<py::bool_>(value)) return static_cast<int64_t>(value.cast<bool>());
  if (py::isinstance<py::int_>(value)) return integer_of(value, where);
  if (py::isinstance<py::float_>(value)) return value.cast<double>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (py::isinstance<py::sequence>(value)) {
    const py::sequence items = py::reinterpret_borrow<py::sequence>(value);
    if (py::len(items) > 0 && py::isinstance<py::str>(items[0])) return strings_of(value, where);
    std::vector<int64_t> numbers;
    for (const py::handle item : items) numbers.push_back(integer_of(item, where));
    return numbers;
  }
  throw py::type_error(text(where, ": expected a number, a string or a list of them, got ",
                            py::repr(value).cast<std::string>()));
}

}  // namespace

plan::NodeSpec node_of(const py::handle& object) {
  const py::dict dict = py::dict(py::reinterpret_borrow<py::object>(object));
  plan::NodeSpec node;
  if (dict.contains("name")) node.name = string_of(dict["name"], "name");
  node.op = dict.contains("op") ? string_of(dict["op"], "op") : node.name;
  if (dict.contains("inputs")) node.inputs = strings_of(dict["inputs"], "inputs");
  if (dict.contains("shared"))
    node.shared = dict["shared"].cast<std::map<std::string, std::string>>();
  if (dict.contains("owner")) node.owner = string_of(dict["owner"], "owner");
  for (const auto& [key, value] : dict) {
    const std::string name = string_of(key, "attribute");
    const bool is_field =
        name == "op" || name == "name" || name == "inputs" || name == "shared" || name == "owner";
    if (is_field || value.is_none()) continue;
    node.attributes[name] = attribute_of(value, node.name + "." + name);
  }
  return node;
}

}  // namespace nnfast::bind
