// Parameters of dropout.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// For a rate of 0 <= rate < 1.
inline DropoutParams dropout_of(double rate, const RandomStream& stream) {
  return {stream, static_cast<uint32_t>(rate * 4294967296.0), 1 / (1 - rate)};
}

}  // namespace nnfast
