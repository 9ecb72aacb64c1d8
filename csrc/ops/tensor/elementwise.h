// Element-wise functions of one and of two numbers: their names, and what their gradients read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/params.h"

namespace nnfast {

const char* name_of(Unary f);
const char* name_of(Binary f);
const std::vector<std::string>& unary_names();
const std::vector<std::string>& binary_names();
std::optional<Unary> find_unary(const std::string& name);
std::optional<Binary> find_binary(const std::string& name);

// False for comparisons, logic and steps: their gradients are 0.
bool is_differentiable(Unary f);
bool is_differentiable(Binary f);

// What unary_backward and binary_backward read besides dy; the other pointers may be null.
struct UnaryReads {
  bool x, y;
};
struct BinaryReads {
  bool a, b, y;
};
UnaryReads gradient_reads(Unary f);
BinaryReads gradient_reads(Binary f);

// Rough cost of an element, in nanoseconds on one thread.
double cost_of(Unary f);
double cost_of(Binary f);

}  // namespace nnfast
