"""Operations of ai.onnx.ml that stand around the networks of scikit-learn."""

from __future__ import annotations

import numpy as np

from nnfast import ops
from nnfast.io.onnx.importing.elementwise import broadcast
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Const, Node, imports

__all__: list[str] = []

_ML = "ai.onnx.ml"


@imports("ZipMap", domain=_ML)
def _zip_map(node: Node) -> View:
    """The probabilities, in the order of the classes, without their names."""
    return node.view(0)


@imports("ArrayFeatureExtractor", domain=_ML)
def _extract(node: Node) -> View:
    """Elements along the last axis."""
    x, places = node.value(0), node.value(1)
    if isinstance(places, Const):
        view = node.view(0)
        flat = view.flat(view.rank - 1)
        return flat.like(ops.take(flat.tensor, places.array.reshape(-1).astype(np.int64), flat.axes[-1][0]))
    if not isinstance(x, Const) or x.array.dtype.kind not in "fiub":
        raise Unsupported("expected a table of numbers, got strings; leave the labels out with outputs=")
    table = x.array.reshape(-1, 1)
    tensor = places.tensor if places.tensor.shape else ops.reshape(places.tensor, (None, 1))
    looked_up = ops.take(table, ops.cast(tensor, "int64"), 0)
    looked_up = ops.reshape(looked_up, (None, *tensor.shape))
    if x.array.dtype.kind != "f":
        looked_up = ops.cast(looked_up, "int64")
    kept = tuple(axis for group in places.axes for axis in group)
    return View(looked_up, [(), kept], places.batch)


@imports("Scaler", domain=_ML)
def _scaler(node: Node) -> View:
    offset, scale = (
        np.array(node.numbers(name) or [default], np.float32) for name, default in (("offset", 0.0), ("scale", 1.0))
    )
    return broadcast(
        node, [node.view(0), Const(offset), Const(scale)], lambda x, a, b: ops.multiply(ops.subtract(x, a), b)
    )
