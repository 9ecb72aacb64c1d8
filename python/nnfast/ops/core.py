"""How a function of `nnfast.ops` becomes a node of a graph, or runs at once on arrays."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnfast import _core
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array
from nnfast.layers.operation import Operation, constant

__all__ = [
    "apply",
    "apply_several",
    "constant_of",
    "domain_of",
    "elementwise",
    "is_symbolic",
    "real_function",
    "require_real",
    "same_domain",
]

_DOMAINS = {"b": "boolean", "i": "integer", "u": "integer", "f": "real"}


def is_symbolic(*values: Any) -> bool:
    """Whether any of the values is a symbolic tensor."""
    return any(isinstance(value, Tensor) for value in values)


def domain_of(value: Any) -> str:
    """What the numbers of a tensor, an array or a number are: "real", "integer" or "boolean"."""
    if isinstance(value, Tensor):
        return value.domain
    kind = np.asarray(value).dtype.kind
    if kind not in _DOMAINS:
        raise TypeError(f"expected a tensor or an array of numbers, got {type(value).__name__} of kind {kind!r}")
    return _DOMAINS[kind]


def require_real(function: str, *values: Any) -> None:
    """Raise a TypeError if all values are integers or booleans."""
    if all(domain_of(value) != "real" for value in values):
        raise TypeError(f'{function}: expected real numbers, got integers; convert them with nf.ops.cast(x, "float32")')


def apply(kind: str, inputs: Sequence[Any], domain: str = "real", seed: int = 0, **attributes: Any) -> Any:
    """The result of an operation of the core: of tensors a tensor, of arrays an array.

    Parameters
    ----------
    kind : str
        The operation.
    inputs : sequence of Tensor, array_like or number
    domain : {"real", "integer", "boolean"}
        What the numbers of the result are.
    seed : int
        Of random numbers that are drawn at once.
    **attributes
        Options of the operation for the core.
    """
    return apply_several(kind, inputs, (domain,), seed, **attributes)[0]


def apply_several(
    kind: str, inputs: Sequence[Any], domains: Sequence[str], seed: int = 0, **attributes: Any
) -> list[Any]:
    """Likewise for an operation with several results."""
    if is_symbolic(*inputs):
        tensors = [value if isinstance(value, Tensor) else constant(value) for value in inputs]
        results: list[Any] = Operation(kind, attributes)._outputs(tensors)
        for tensor, domain in zip(results, domains, strict=True):
            tensor.domain = domain
        return results
    return _evaluate(kind, inputs, domains, seed, attributes)


def _evaluate(
    kind: str, inputs: Sequence[Any], domains: Sequence[str], seed: int, attributes: dict[str, Any]
) -> list[Any]:
    arrays = [np.asarray(value) for value in inputs]
    singles = [array.dtype.itemsize <= 4 for array in arrays if array.dtype.kind == "f" and array.ndim]
    scalars = [
        array.dtype.itemsize <= 4
        for value, array in zip(inputs, arrays, strict=True)
        if array.dtype.kind == "f" and not array.ndim and type(value) is not float
    ]
    deciding = singles or scalars  # single numbers follow arrays, and Python's follow NumPy's
    dtype = "float32" if deciding and all(deciding) else "float64"
    node = {"name": attributes.get("function", kind), **attributes, "op": kind}
    results = _core.evaluate(node, [np.asarray(array, dtype, "C") for array in arrays], dtype, seed)
    return [_of_domain(result, domain, arrays) for result, domain in zip(results, domains, strict=True)]


def _of_domain(result: Array, domain: str, arrays: Sequence[Array]) -> Any:
    if domain == "boolean":
        result = result != 0
    elif domain == "integer":
        kinds = [array.dtype for array in arrays if array.dtype.kind in "iu"]
        result = result.astype(np.result_type(*kinds) if kinds else np.int64)
    return result[()]


def constant_of(value: Any) -> float | None:
    """The value of a single number, which becomes part of the operation; None for others."""
    if isinstance(value, numbers.Real | np.bool_) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return float(value)
    return None


def elementwise(function: str, operands: list[Any], domain: str, **attributes: Any) -> Any:
    """The result of an element-wise function of operands that broadcast."""
    if is_symbolic(*operands):
        values = [None if isinstance(operand, Tensor) else constant_of(operand) for operand in operands]
        place = next((i for i, value in enumerate(values) if value is not None), None)
        if place is not None:
            attributes |= {"constant": values[place], "constant_at": place}
            operands = operands[:place] + operands[place + 1 :]
    return apply("elementwise", operands, domain, function=function, **attributes)


def same_domain(*operands: Any) -> str:
    """Integer if all operands are integers or booleans, else real."""
    return "real" if any(domain_of(value) == "real" for value in operands) else "integer"


def real_function(function: str, x: Any, **attributes: Any) -> Any:
    """The result of a function of one operand that gives real numbers."""
    return elementwise(function, [x], "real", **attributes)
