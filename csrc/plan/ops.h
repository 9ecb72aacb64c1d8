// The op kinds, each in an op_*.cpp of its own. The registry lists them.
#pragma once

#include "plan/op.h"

namespace nnfast::plan {

extern const OpKind kInput, kRescaling, kDense, kActivation, kFlatten, kReshape, kDropout,
    kSpatialDropout, kGaussianNoise, kAdd, kMultiply, kConcatenate, kCallback, kConv,
    kConvTranspose, kMaxPool, kAvgPool, kGlobalMaxPool, kGlobalAvgPool, kUpsampling, kZeroPadding,
    kCropping, kBatchNormalization, kLayerNormalization, kGroupNormalization;

// The activation of a node from its attributes "activation" and "alpha"; identity where there is none.
ActivationParams activation_of(const NodeSpec& node);

// Whether nodes of that op carry an activation of their own, as the attribute "activation".
bool has_activation(const NodeSpec& node);

// A callback op gets its functions after it is made.
template <class T>
void set_callback(Op<T>& op, Callback<T> callback);

// What the batch normalisation `node` does by its moving averages, from its parameters as they are at
// each call.
template <class T>
std::function<ColumnScale<T>()> moving_scale(const NodeSpec& node,
                                             const std::vector<Parameter<T>*>& parameters);

// Shapes as most ops want them.
void require_inputs(const NodeSpec& node, const std::vector<Shape>& inputs, size_t count);
void require_same_shapes(const NodeSpec& node, const std::vector<Shape>& inputs);

template <template <class> class OpType>
constexpr OpKind op_kind(const char* name, const char* attributes,
                         Inference (*infer)(const NodeSpec&, const std::vector<Shape>&)) {
  return {name, attributes, infer,
          [](const NodeSpec& node) -> std::unique_ptr<Op<float>> {
            return std::make_unique<OpType<float>>(node);
          },
          [](const NodeSpec& node) -> std::unique_ptr<Op<double>> {
            return std::make_unique<OpType<double>>(node);
          }};
}

}  // namespace nnfast::plan
