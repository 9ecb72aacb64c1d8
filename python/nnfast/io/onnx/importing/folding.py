"""Operations on numbers that are known at import, computed with NumPy: mostly what becomes of shapes.

Repeated numbers (of Expand and ConstantOfShape) take no memory, so that they may have the size of a batch that is not
known; operations that would need memory for them are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from nnfast.core.typing import Array
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.nodes import Const, Node, Value, slim, whole_numbers
from nnfast.io.onnx.tensors import DTYPES

__all__ = ["dtype_of", "foldable", "folded", "slices_of"]

_MAX_ELEMENTS = 1 << 26
"""Of an array that an operation computes."""

Fold = Callable[[Node], Any]
_folds: Final[dict[str, Fold]] = {}


def foldable(domain: str, op: str) -> bool:
    """Whether an operation on constants can be computed."""
    return domain == "" and op in _folds


def folded(node: Node) -> list[Value | None]:
    """The outputs of a node whose inputs are all known."""
    node.folds = True
    with np.errstate(all="ignore"):
        result = _folds[node.op](node)
    results = result if isinstance(result, list) else [result]
    return [value if isinstance(value, Const) else Const(np.asarray(value)) for value in results]


def dtype_of(number: int) -> Any:
    """NumPy's dtype for the number of a type of ONNX."""
    name = DTYPES.get(number)  # type: ignore[call-overload]
    if name is None:
        raise Unsupported(f"expected a type of numbers that NumPy has, got type {number}")
    return np.dtype(name)


def _folds_as(*names: str) -> Callable[[Fold], Fold]:
    def register(function: Fold) -> Fold:
        _folds.update(dict.fromkeys(names, function))
        return function

    return register


def _bounded(shape: Sequence[int]) -> None:
    if any(size < 0 for size in shape) or math.prod(shape) > _MAX_ELEMENTS:
        raise Unsupported(f"expected constants of at most {_MAX_ELEMENTS} numbers, got the shape {tuple(shape)}")


def _elementwise(name: str, function: Callable[..., Any]) -> None:
    def fold(node: Node) -> Const:
        arrays = [node.constant(i, "operand") for i in range(len(node.inputs))]
        small = [slim(array) for array in arrays]
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        if len(arrays) > 1 or small[0].shape != arrays[0].shape:
            _bounded(np.broadcast_shapes(*(array.shape for array in small)))
        result = np.asarray(function(*small))
        if result.dtype.kind == "f" and all(array.dtype.kind == "f" for array in arrays):
            result = result.astype(arrays[0].dtype, copy=False)
        return Const(np.broadcast_to(result, shape))

    _folds[name] = fold


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.divide(a, b)
    if not np.all(b):
        raise Unsupported("expected no division of integers by 0")
    quotient = np.abs(a) // np.abs(b)
    return np.where((a < 0) != (b < 0), -quotient, quotient).astype(a.dtype)


def _power(a: Array, b: Array) -> Array:
    return np.power(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Pow": _power,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Log": np.log,
    "Sin": np.sin,
    "Cos": np.cos,
    "Tan": np.tan,
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Tanh": np.tanh,
    "Reciprocal": np.reciprocal,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Sign": np.sign,
    "Not": np.logical_not,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Where": np.where,
    "IsNaN": np.isnan,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Relu": lambda x: np.maximum(x, 0),
}
for _name, _function in _FUNCTIONS.items():
    _elementwise(_name, _function)


@_folds_as("Max", "Min", "Sum", "Mean")
def _several(node: Node) -> Array:
    arrays = [node.constant(i, "operand") for i in range(len(node.inputs))]
    _bounded(np.broadcast_shapes(*(array.shape for array in arrays)))
    step = {"Max": np.maximum, "Min": np.minimum}.get(node.op, np.add)
    total = arrays[0]
    for array in arrays[1:]:
        total = step(total, array)
    return total / len(arrays) if node.op == "Mean" else total


@_folds_as("Mod")
def _mod(node: Node) -> Any:
    a, b = node.constant(0, "operand"), node.constant(1, "operand")
    _bounded(np.broadcast_shapes(a.shape, b.shape))
    return np.fmod(a, b) if node.integer("fmod", 0) else np.mod(a, b)


@_folds_as("Clip")
def _clip(node: Node) -> Any:
    x = node.constant(0, "x")
    low, high = (node.optional_constant(i, "bound") for i in (1, 2))
    return np.clip(x, low, high) if low is not None or high is not None else x


# ---- constants and shapes --------------------------------------------------------


@_folds_as("Constant")
def _constant(node: Node) -> Any:
    array = node.tensor("value")
    if array is not None:
        if array.dtype.kind not in "fiub":
            raise Unsupported("expected numbers, got strings or complex numbers")
        return array
    for name, read, dtype in (
        ("value_float", lambda: node.number("value_float", 0.0), np.float32),
        ("value_int", lambda: node.integer("value_int", 0), np.int64),
        ("value_floats", lambda: node.numbers("value_floats"), np.float32),
        ("value_ints", lambda: node.integers("value_ints"), np.int64),
    ):
        if node.has(name):
            return np.array(read(), dtype)
    raise Unsupported("expected a value of numbers, got a string, a sparse tensor or nothing")


@_folds_as("ConstantOfShape")
def _constant_of_shape(node: Node) -> Array:
    value = node.tensor("value")
    single = np.zeros(1, np.float32) if value is None else value
    if single.size != 1 or single.dtype.kind not in "fiub":
        raise Unsupported(f"expected one number as value, got an array of shape {single.shape}")
    return _spread(single.reshape(()), whole_numbers(node.constant(0, "the shape"), "the shape"))


def _spread(array: Array, shape: Sequence[int]) -> Array:
    if any(size < 0 for size in shape) or math.prod(shape) >= 1 << 60:
        raise Unsupported(f"expected sizes of 0 or more, and a sensible number of elements, got {tuple(shape)}")
    return np.broadcast_to(array, shape)


@_folds_as("Expand")
def _expand(node: Node) -> Array:
    x = node.constant(0, "x")
    shape = np.broadcast_shapes(x.shape, tuple(whole_numbers(node.constant(1, "the shape"), "the shape")))
    return _spread(x, shape)


@_folds_as("Shape")
def _shape(node: Node) -> Array:
    x = node.constant(0, "x")
    return np.array(x.shape[node.integer("start", 0) : node.integer("end", x.ndim)], np.int64)


@_folds_as("Size")
def _size(node: Node) -> Array:
    return np.array(math.prod(node.constant(0, "x").shape), np.int64)


@_folds_as("Range")
def _range(node: Node) -> Array:
    start, limit, delta = (node.constant(i, "a bound") for i in range(3))
    if any(value.size != 1 for value in (start, limit, delta)) or not delta.reshape(()).item():
        raise Unsupported("expected start, limit and a delta that is not 0")
    count = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    _bounded([count])
    made: Array = (start.item() + np.arange(count) * delta.item()).astype(start.dtype)
    return made


@_folds_as("EyeLike")
def _eye(node: Node) -> Array:
    x = node.constant(0, "x")
    _bounded(x.shape)
    dtype = dtype_of(node.integer("dtype", 0)) if node.has("dtype") else x.dtype
    if x.ndim != 2:
        raise Unsupported(f"expected a matrix, got the shape {x.shape}")
    return np.eye(x.shape[0], x.shape[1], node.integer("k", 0), dtype)


# ---- the same numbers in another shape -------------------------------------------


@_folds_as("Identity", "Dropout")
def _identity(node: Node) -> Any:
    return node.const(0, "x")


@_folds_as("Cast", "CastLike")
def _cast(node: Node) -> Const:
    x = node.const(0, "x")
    dtype = dtype_of(node.integer("to", 0)) if node.op == "Cast" else node.constant(1, "the type").dtype
    if x.array.dtype.kind not in "fiub" or np.dtype(dtype).kind not in "fiub":
        raise Unsupported("expected numbers, got strings or complex numbers")
    return Const(np.broadcast_to(slim(x.array).astype(dtype), x.array.shape), x.source)


@_folds_as("Transpose")
def _transpose(node: Node) -> Const:
    x, order = node.const(0, "x"), node.integers("perm")
    if order is not None and sorted(order) != list(range(x.array.ndim)):
        raise Unsupported(f"expected an order of {x.array.ndim} axes, got {order}")
    return Const(np.transpose(x.array, order), x.source)


def resolved(node: Node, old: Sequence[int], new: Sequence[int]) -> list[int]:
    """The shape of a Reshape: 0 copies the old size, -1 is what remains."""
    keeps = not node.integer("allowzero", 0)
    sizes = [old[i] if size == 0 and keeps and i < len(old) else size for i, size in enumerate(new)]
    if sizes.count(-1) > 1 or any(size < -1 for size in sizes):
        raise Unsupported(f"expected sizes of 0 or more and at most one -1, got {list(new)}")
    if -1 in sizes:
        rest = math.prod(size for size in sizes if size != -1)
        total = math.prod(old)
        if not rest or total % rest:
            raise Unsupported(f"expected a shape with as many elements as {tuple(old)}, got {list(new)}")
        sizes[sizes.index(-1)] = total // rest
    if math.prod(sizes) != math.prod(old):
        raise Unsupported(f"expected a shape with as many elements as {tuple(old)}, got {list(new)}")
    return sizes


@_folds_as("Reshape")
def _reshape(node: Node) -> Const:
    x = node.const(0, "x")
    new = node.given_integers("shape", 1) or []
    return Const(_reshaped(x.array, resolved(node, x.array.shape, new)), x.source)


def _reshaped(array: Array, shape: Sequence[int]) -> Array:
    if array.size and slim(array).size == 1:
        return _spread(slim(array).reshape(()), shape)
    if slim(array).size != array.size:
        _bounded(array.shape)
    return array.reshape(shape)


@_folds_as("Flatten")
def _flatten(node: Node) -> Const:
    x = node.const(0, "x")
    axis = node.integer("axis", 1) % (x.array.ndim + 1) if node.integer("axis", 1) < 0 else node.integer("axis", 1)
    return Const(_reshaped(x.array, [math.prod(x.array.shape[:axis]), math.prod(x.array.shape[axis:])]), x.source)


@_folds_as("Squeeze")
def _squeeze(node: Node) -> Const:
    x, axes = node.const(0, "x"), node.given_integers("axes", 1)
    return Const(np.squeeze(x.array, None if axes is None else tuple(axes)), x.source)


@_folds_as("Unsqueeze")
def _unsqueeze(node: Node) -> Const:
    x, axes = node.const(0, "x"), node.given_integers("axes", 1)
    return Const(np.expand_dims(x.array, tuple(axes or ())), x.source)


# ---- parts -----------------------------------------------------------------------


@_folds_as("Concat")
def _concat(node: Node) -> Array:
    arrays = [node.constant(i, "x") for i in range(len(node.inputs))]
    axis, shape = node.integer("axis", 0), list(arrays[0].shape)
    # What all of them repeat, such as zeros for each row of a batch that is not known, need not be in memory.
    keys = [
        slice(0, 1) if i != axis % len(shape) and _all_repeat(arrays, i) else slice(None) for i in range(len(shape))
    ]
    small = [array[tuple(keys)] for array in arrays]
    _bounded([sum(math.prod(array.shape) for array in small)])
    made = np.concatenate(small, axis)
    full = [whole if key.stop else size for whole, key, size in zip(shape, keys, made.shape, strict=True)]
    return np.broadcast_to(made, full)


def _all_repeat(arrays: Sequence[Array], axis: int) -> bool:
    """Whether arrays have the same size along an axis, and the same numbers for each place without taking memory."""
    shapes = {array.shape[axis] for array in arrays if array.ndim > axis}
    return len(shapes) == 1 and all(array.ndim > axis and not array.strides[axis] for array in arrays)


def slices_of(node: Node, shape: Sequence[int]) -> list[tuple[int, slice]]:
    """The axes of a Slice, and what it takes of each."""
    starts, ends = node.given_integers("starts", 1), node.given_integers("ends", 2)
    if starts is None or ends is None:
        raise Unsupported("expected starts and ends")
    axes = node.given_integers("axes", 3) or list(range(len(starts)))
    steps = node.given_integers("steps", 4) or [1] * len(starts)
    found = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if not -len(shape) <= axis < len(shape) or step == 0:
            raise Unsupported(
                f"expected axes of {tuple(shape)} and steps other than 0, got axis {axis} and step {step}"
            )
        stop: int | None = end
        size = shape[axis]
        if step < 0 and end < -size:
            stop = None
        found.append((axis % len(shape), slice(start, stop, step)))
    return found


@_folds_as("Slice")
def _slice(node: Node) -> Any:
    x = node.constant(0, "x")
    keys = [slice(None)] * x.ndim
    for axis, key in slices_of(node, x.shape):
        keys[axis] = key
    return x[tuple(keys)]


@_folds_as("Gather")
def _gather(node: Node) -> Any:
    x, places = node.constant(0, "x"), node.constant(1, "indices")
    axis = node.integer("axis", 0)
    if places.ndim == 0 and places.dtype.kind in "iu":
        keys = [slice(None)] * x.ndim
        keys[axis] = places.item()
        return x[tuple(keys)]
    _bounded([places.size, *np.delete(np.array(x.shape, object), axis).tolist()])
    return np.take(x, places, axis)


@_folds_as("Split")
def _split(node: Node) -> Any:
    x, axis = node.constant(0, "x"), node.integer("axis", 0)
    places = split_places(node, x.shape[axis])
    return [Const(part) for part in np.split(x, places, axis)]


def split_places(node: Node, size: int) -> list[int]:
    """Where a Split cuts an axis of some size."""
    parts = node.given_integers("split", 1)
    if parts is None:
        count = node.integer("num_outputs", len(node.outputs))
        if count < 1:
            raise Unsupported(f"expected one part or more, got {count}")
        each = -(-size // count)
        parts = [each] * (size // each) + ([size % each] if size % each else []) if each else []
    if sum(parts) != size or any(part < 1 for part in parts) or len(parts) != len(node.outputs):
        raise Unsupported(f"expected {len(node.outputs)} parts of 1 or more that make {size}, got {parts}")
    return [int(place) for place in np.cumsum(parts)[:-1]]


@_folds_as("Tile")
def _tile(node: Node) -> Any:
    x, repeats = node.constant(0, "x"), whole_numbers(node.constant(1, "repeats"), "repeats")
    _bounded([size * max(count, 0) for size, count in zip(x.shape, repeats, strict=True)])
    return np.tile(x, repeats)


@_folds_as("Trilu")
def _trilu(node: Node) -> Any:
    x, k = node.constant(0, "x"), node.optional_constant(1, "k")
    _bounded(x.shape)
    return (np.triu if node.integer("upper", 1) else np.tril)(x, 0 if k is None else int(k.item()))


@_folds_as("CumSum")
def _cumulative(node: Node) -> Any:
    x, axis = node.constant(0, "x"), int(node.constant(1, "axis").item())
    _bounded(x.shape)
    if node.integer("reverse", 0) or node.integer("exclusive", 0):
        raise Unsupported("expected a sum of constants that is neither reverse nor exclusive")
    return np.cumsum(x, axis, dtype=x.dtype)


@_folds_as("ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceMean")
def _reduce(node: Node) -> Any:
    x, axes = node.constant(0, "x"), node.given_integers("axes", 1)
    _bounded(x.shape)
    if not axes and node.integer("noop_with_empty_axes", 0):
        return x
    functions: dict[str, Any] = {"Sum": np.sum, "Prod": np.prod, "Max": np.max, "Min": np.min, "Mean": np.mean}
    function = functions[node.op[6:]]
    return np.asarray(function(x, tuple(axes) if axes else None, keepdims=bool(node.integer("keepdims", 1)))).astype(
        x.dtype
    )


@_folds_as("NonZero")
def _nonzero(node: Node) -> Any:
    x = node.constant(0, "x")
    _bounded(x.shape)
    return np.array(np.nonzero(x), np.int64)


@_folds_as("MatMul")
def _matmul(node: Node) -> Any:
    a, b = node.constant(0, "a"), node.constant(1, "b")
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise Unsupported(f"expected matrices that fit, got {a.shape} and {b.shape}")
    rows, columns = _slim_but(a, -1), _slim_but(b, -2)
    lead = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    _bounded([*lead, rows.shape[-2], columns.shape[-1]])
    _bounded([*lead, rows.shape[-2], columns.shape[-1], -(-rows.shape[-1] // 64)])
    full = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return np.broadcast_to(rows @ columns, full)


def _slim_but(array: Array, axis: int) -> Array:
    """`slim`, with one axis as it is."""
    small = slim(array)
    shape = [*small.shape]
    shape[axis] = array.shape[axis]
    _bounded(shape)
    return np.broadcast_to(small, shape)
