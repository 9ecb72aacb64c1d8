// Resizing of images and sequences: upsampling, zero padding, cropping.
#include <optional>

#include "ops/image/pad.h"
#include "ops/image/resample.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

// (H, W, C) unchanged, and (T, C) as (1, T, C).
struct ImageSize {
  index_t h, w, channels;
};

ImageSize image_of(const Shape& shape) {
  const auto extent = [&](size_t axis) { return static_cast<index_t>(shape[axis]); };
  if (shape.size() == 2) return {1, extent(0), extent(1)};
  return {extent(0), extent(1), extent(2)};
}

void require_axes(const NodeSpec& node, const Shape& input, size_t axes) {
  require(axes == 1 || axes == 2, node.name, ": expected numbers for 1 or 2 axes, got ", axes);
  require(input.size() == axes + 1, node.name, ": expected an input of ",
          axes == 2 ? "(N, H, W, C)" : "(N, T, C)", ", got ", batch_shape_text(input),
          "; use layers.Reshape to bring it to that");
}

// ---- up-sampling ------------------------------------------------------------------------------------

// Attributes: "size", one factor per axis; "interpolation".
Inference infer_upsampling(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const std::vector<int64_t>& size = node.integers("size");
  require_axes(node, inputs[0], size.size());
  parse_interpolation(node.string("interpolation"), node.name);
  Shape shape = inputs[0];
  for (size_t axis = 0; axis < size.size(); ++axis) {
    require_upsampling(node.name, shape[axis], size[axis]);
    shape[axis] *= size[axis];
  }
  return {shape, {}};
}

template <class T>
class UpsamplingOp final : public Op<T> {
 public:
  explicit UpsamplingOp(const NodeSpec& node)
      : Op<T>(node),
        size_(node.integers("size")),
        interpolation_(parse_interpolation(node.string("interpolation"), node.name)) {}

  void forward(const Run& run) override {
    upsampling().forward(this->output->value, this->inputs[0]->value, run.rows);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) upsampling().backward(this->d_inputs[0], this->d_output, run.rows);
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  // Made in the first run: the input is not known before.
  const Upsampling<T>& upsampling() {
    if (!upsampling_) {
      const ImageSize in = image_of(this->inputs[0]->shape);
      const index_t factor_h = size_.size() == 2 ? static_cast<index_t>(size_[0]) : 1;
      upsampling_.emplace(in.h, in.w, factor_h, static_cast<index_t>(size_.back()), in.channels,
                          interpolation_);
    }
    return *upsampling_;
  }

  std::vector<int64_t> size_;
  Interpolation interpolation_;
  std::optional<Upsampling<T>> upsampling_;
};

// ---- zeros around, margins off ------------------------------------------------------------------------

// Amounts before and after each axis.
Margins margins_of(const std::vector<int64_t>& amounts) {
  const auto amount = [&](size_t i) { return static_cast<index_t>(amounts[i]); };
  if (amounts.size() == 2) return {0, 0, amount(0), amount(1)};
  return {amount(0), amount(1), amount(2), amount(3)};
}

const std::vector<int64_t>& checked_amounts(const NodeSpec& node, const Shape& input,
                                            const char* key) {
  const std::vector<int64_t>& amounts = node.integers(key);
  require(amounts.size() % 2 == 0, node.name, ": expected ", key,
          " of two numbers for each axis, got ", amounts.size());
  require_axes(node, input, amounts.size() / 2);
  for (const int64_t amount : amounts) {
    require(amount >= 0 && amount < int64_t(1) << 30, node.name, ": expected ", key,
            " of 0 or more and less than 2^30, got ", amount);
  }
  return amounts;
}

Inference infer_padding(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const std::vector<int64_t>& amounts = checked_amounts(node, inputs[0], "padding");
  Shape shape = inputs[0];
  for (size_t i = 0; i < amounts.size(); ++i) shape[i / 2] += amounts[i];
  element_count(shape, node.name);
  return {shape, {}};
}

Inference infer_cropping(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const std::vector<int64_t>& amounts = checked_amounts(node, inputs[0], "cropping");
  Shape shape = inputs[0];
  for (size_t i = 0; i < amounts.size(); ++i) {
    shape[i / 2] -= amounts[i];
    require(shape[i / 2] > 0, node.name,
            ": expected cropping that leaves something of each axis of ",
            batch_shape_text(inputs[0]), ", got ", amounts[i / 2 * 2], " and ",
            amounts[i / 2 * 2 + 1], " of ", inputs[0][i / 2]);
  }
  return {shape, {}};
}

template <class T>
class MarginOp : public Op<T> {
 public:
  MarginOp(const NodeSpec& node, const char* key)
      : Op<T>(node), margins_(margins_of(node.integers(key))) {}
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 protected:
  void pad(const Run& run, T* large, const T* small, const Shape& shape) const {
    const ImageSize s = image_of(shape);
    pad_images(large, small, run.rows, s.h, s.w, s.channels, margins_);
  }
  void crop(const Run& run, T* small, const T* large, const Shape& shape) const {
    const ImageSize s = image_of(shape);
    crop_images(small, large, run.rows, s.h, s.w, s.channels, margins_);
  }

 private:
  Margins margins_;
};

template <class T>
class PaddingOp final : public MarginOp<T> {
 public:
  explicit PaddingOp(const NodeSpec& node) : MarginOp<T>(node, "padding") {}
  void forward(const Run& run) override {
    this->pad(run, this->output->value, this->inputs[0]->value, this->inputs[0]->shape);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0])
      this->crop(run, this->d_inputs[0], this->d_output, this->inputs[0]->shape);
  }
};

template <class T>
class CroppingOp final : public MarginOp<T> {
 public:
  explicit CroppingOp(const NodeSpec& node) : MarginOp<T>(node, "cropping") {}
  void forward(const Run& run) override {
    this->crop(run, this->output->value, this->inputs[0]->value, this->output->shape);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) this->pad(run, this->d_inputs[0], this->d_output, this->output->shape);
  }
};

const Registered<OpKind> upsampling(op_kind<UpsamplingOp>("upsampling", "size interpolation",
                                                          infer_upsampling));
const Registered<OpKind> zero_padding(op_kind<PaddingOp>("zero_padding", "padding", infer_padding));
const Registered<OpKind> cropping(op_kind<CroppingOp>("cropping", "cropping", infer_cropping));

}  // namespace

}  // namespace nnfast::plan
