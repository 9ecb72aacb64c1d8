#include "plan/graph/spec.h"

#include <algorithm>
#include <sstream>
#include <utility>

namespace nnfast::plan {
namespace {

template <class V>
const V& attribute(const NodeSpec& node, const std::string& key, const char* type) {
  const auto found = node.attributes.find(key);
  require(found != node.attributes.end(), node.name, ": expected an attribute '", key,
          "', got none");
  const V* value = std::get_if<V>(&found->second);
  require(value != nullptr, node.name, ": expected ", type, " as '", key, "', got another type");
  return *value;
}

}  // namespace

int64_t NodeSpec::integer(const std::string& key) const {
  return attribute<int64_t>(*this, key, "an integer");
}
double NodeSpec::number(const std::string& key) const {
  const auto found = attributes.find(key);
  if (found != attributes.end() && std::holds_alternative<int64_t>(found->second)) {
    return static_cast<double>(std::get<int64_t>(found->second));
  }
  return attribute<double>(*this, key, "a number");
}
double NodeSpec::number_or(const std::string& key, double otherwise) const {
  return has(key) ? number(key) : otherwise;
}
int64_t NodeSpec::integer_or(const std::string& key, int64_t otherwise) const {
  return has(key) ? integer(key) : otherwise;
}
const std::string& NodeSpec::string(const std::string& key) const {
  return attribute<std::string>(*this, key, "a string");
}
const std::string& NodeSpec::string_or(const std::string& key, const std::string& otherwise) const {
  return has(key) ? string(key) : otherwise;
}
const std::vector<int64_t>& NodeSpec::integers(const std::string& key) const {
  return attribute<std::vector<int64_t>>(*this, key, "a list of integers");
}
const std::vector<std::string>& NodeSpec::strings(const std::string& key) const {
  return attribute<std::vector<std::string>>(*this, key, "a list of strings");
}

namespace {

// The edit distance: the smallest number of letters to insert, delete or replace to turn `a` into
// `b`.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

bool matches(const std::string& key, const std::string& known) {
  if (known.back() != '*') return key == known;
  return key.compare(0, known.size() - 1, known, 0, known.size() - 1) == 0;
}

}  // namespace

void require_known(const NodeSpec& node, const char* known) {
  std::vector<std::string> names;
  std::istringstream words(known);
  for (std::string word; words >> word;) names.push_back(word);
  for (const auto& [key, value] : node.attributes) {
    if (std::any_of(names.begin(), names.end(),
                    [&key = key](const std::string& name) { return matches(key, name); }))
      continue;
    const auto nearest = std::min_element(names.begin(), names.end(),
                                          [&key = key](const std::string& a, const std::string& b) {
                                            return edit_distance(key, a) < edit_distance(key, b);
                                          });
    const std::string remedy =
        nearest == names.end() ? "; leave it out" : "; did you mean '" + *nearest + "'?";
    throw ValueError(text(node.name, ": expected attributes of ", node.op, " among (", known,
                          "), got '", key, "'", remedy));
  }
}

index_t element_count(const Shape& shape, const std::string& where) {
  size_t count = 1;
  for (const int64_t extent : shape) {
    require(extent > 0, where, ": expected sizes of 1 or more, got ", batch_shape_text(shape));
    count = checked_product(count, static_cast<size_t>(extent), where.c_str());
  }
  // Leaves a margin for the element size and for a batch.
  require(count <= (size_t(1) << 48), where, ": expected a size that fits in memory, got ",
          batch_shape_text(shape));
  return static_cast<index_t>(count);
}

std::string output_name(const std::string& node, size_t output) {
  return output == 0 ? node : node + "#" + std::to_string(output);
}

std::string batch_shape_text(const Shape& shape) {
  std::string out = "(N";
  for (const int64_t extent : shape) out += ", " + std::to_string(extent);
  return out + (shape.empty() ? ",)" : ")");
}

std::string shape_text(const TensorShape& tensor) {
  if (tensor.batched) return batch_shape_text(tensor.shape);
  std::string out = "(";
  for (size_t i = 0; i < tensor.shape.size(); ++i)
    out += (i ? ", " : "") + std::to_string(tensor.shape[i]);
  return out + (tensor.shape.size() == 1 ? ",)" : ")");
}

}  // namespace nnfast::plan
