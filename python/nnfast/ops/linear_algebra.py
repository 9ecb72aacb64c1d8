"""Products of matrices and of their stacks.

They take symbolic tensors and arrays, of real numbers or integers. The batch of a tensor counts as an axis: a tensor
with rows of shape (5, 3) is a stack of matrices (5, 3), and one with rows of shape (3,) is a matrix (N, 3).

Parameters
----------
x1, x2 : Tensor or array_like
    Factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnfast.core.tensor import Tensor
from nnfast.ops.axes import axes_of, shape_text, sizes_of
from nnfast.ops.contraction import Labeled, contract_all
from nnfast.ops.core import apply, same_domain
from nnfast.ops.elementwise import multiply

__all__ = ["dot", "einsum", "matmul", "tensordot"]


def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product, ``x1 @ x2``, as in NumPy.

    Parameters
    ----------
    x1 : Tensor or array_like
        (..., M, K), or (K,) for a row.
    x2 : Tensor or array_like
        (..., K, N), or (K,) for a column. The axes before the last two broadcast.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.matmul([[1.0, 2.0]], [[3.0], [4.0]])
    array([[11.]])
    >>> (nf.layers.Input((5, 3)) @ nf.layers.Input((3, 2))).shape
    (5, 2)
    """
    return apply("matmul", [x1, x2], same_domain(x1, x2))


def dot(x1: Any, x2: Any) -> Any:
    """The product over the last axis of x1 and the last but one of x2 (of a vector the only one), as in NumPy.

    Of matrices and vectors it is the matrix product, of a single number the product with it.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    ndim1, ndim2 = len(sizes_of(x1)), len(sizes_of(x2))
    if ndim1 == 0 or ndim2 == 0:
        return multiply(x1, x2)
    if ndim2 <= 2:
        return matmul(x1, x2)
    return _contracted("dot", x1, x2, [ndim1 - 1], [ndim2 - 2])


def tensordot(x1: Any, x2: Any, axes: int | Sequence[Any] = 2) -> Any:
    """The sum of products over some axes of both; the others of x1 come first in the result, then those of x2.

    Parameters
    ----------
    axes : int or pair of int or of lists of int, default 2
        A number: the last ones of x1 with the first ones of x2. A pair: axes of x1, and those of x2 that belong to
        them.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.tensordot([[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]], axes=2))
    5.0
    """
    sizes = len(sizes_of(x1)), len(sizes_of(x2))
    if isinstance(axes, int):
        if not 0 <= axes <= min(sizes):
            raise ValueError(f"tensordot: expected axes from 0 to {min(sizes)}, got {axes}")
        return _contracted("tensordot", x1, x2, list(range(sizes[0] - axes, sizes[0])), list(range(axes)))
    first, second = ([side] if isinstance(side, int) else list(side) for side in axes)
    if len(first) != len(second):
        raise ValueError(f"tensordot: expected as many axes of x1 as of x2, got {tuple(first)} and {tuple(second)}")
    return _contracted("tensordot", x1, x2, axes_of("tensordot", first, x1), axes_of("tensordot", second, x2))


def _contracted(function: str, x1: Any, x2: Any, axes1: list[int], axes2: list[int]) -> Any:
    first, second = sizes_of(x1), sizes_of(x2)
    for i, k in zip(axes1, axes2, strict=True):
        if first[i] != second[k]:
            raise ValueError(
                f"{function}: expected axes of the same size, got axis {i} of {shape_text(x1)} and axis {k} of "
                f"{shape_text(x2)}"
            )
    labels1 = list(range(len(first)))
    labels2 = [axes1[axes2.index(k)] if k in axes2 else len(first) + k for k in range(len(second))]
    result = [label for label in [*labels1, *labels2] if label not in axes1]
    return _with_batch_first(function, [Labeled(x1, tuple(labels1)), Labeled(x2, tuple(labels2))], result)


def _with_batch_first(function: str, factors: list[Labeled], result: Sequence[Any]) -> Any:
    batches = {factor.batch for factor in factors} - {None}
    if any(label in batches for label in result[1:]):
        shapes = " and ".join(shape_text(factor.tensor) for factor in factors)
        raise ValueError(
            f"{function}: expected the batch axis of {shapes} to be the first of the result, and only there"
        )
    return contract_all(factors, result)


def einsum(subscripts: str, *operands: Any) -> Any:
    """The sum of products that a formula of labels states, as in NumPy.

    Each operand has a letter for each axis; labels that are not in the result are summed over. ``...`` stands for any
    number of axes, which broadcast. It is computed by matrix products, two operands at a time from the left.

    Parameters
    ----------
    subscripts : str
        For example ``"bqhd,bkhd->bhqk"``. Without ``->``, the result has the labels that occur once, in the order of
        the alphabet. A label occurs once in an operand.
    *operands : Tensor or array_like

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    array([3., 7.])
    >>> heads = nf.layers.Input((5, 4, 8))
    >>> nf.ops.einsum("bqhd,bkhd->bhqk", heads, heads).shape
    (4, 5, 5)
    """
    if not isinstance(subscripts, str):
        raise TypeError(f'einsum: expected a formula such as "ij,jk->ik", got {type(subscripts).__name__}')
    terms, result = _parsed(subscripts, [len(sizes_of(x)) for x in operands])
    factors = [Labeled(x, tuple(labels)) for x, labels in zip(operands, terms, strict=True)]
    found: dict[Any, Labeled] = {}
    for factor in factors:
        for label in factor.labels:
            other = found.setdefault(label, factor)
            both = {*factor.sizes([label]), *other.sizes([label])}
            if len(both - {1}) > 1:
                raise ValueError(
                    f"einsum: expected the same size wherever {_label_text(label)} stands in {subscripts!r}, got "
                    f"shapes {shape_text(other.tensor)} and {shape_text(factor.tensor)}"
                )
            if other.sizes([label]) == [1]:
                found[label] = factor
    return _with_batch_first("einsum", factors, result)


def _label_text(label: Any) -> str:
    return repr(label) if isinstance(label, str) else "..."


def _parsed(subscripts: str, ndims: list[int]) -> tuple[list[list[Any]], list[Any]]:
    """The labels of each operand and of the result: letters, and for the axes of an ellipsis numbers from the last."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum: expected {len(terms)} operands for {subscripts!r}, got {len(ndims)}")
    labels = [_labels(subscripts, term, ndim) for term, ndim in zip(terms, ndims, strict=True)]
    extra = max((sum(isinstance(label, int) for label in own) for own in labels), default=0)
    ellipsis = list(range(extra, 0, -1))
    if arrow:
        rank = len(right.replace("...", "")) + (extra if "..." in right else 0)
        result = _labels(subscripts, right, rank)
        if ellipsis and "..." not in right:
            raise ValueError(f"einsum: expected ... in the result of {subscripts!r} too; sum the result over its axes")
    else:
        letters = sorted(letter for letter in set(left) if letter.isalpha() and left.count(letter) == 1)
        result = [*ellipsis, *letters]
    missing = [label for label in result if all(label not in own for own in labels)]
    if missing:
        raise ValueError(f"einsum: expected {missing[0]!r} of the result of {subscripts!r} in an operand too")
    return labels, result


def _labels(subscripts: str, term: str, ndim: int) -> list[Any]:
    before, dots, after = term.partition("...")
    letters = before + after
    if not all(letter.isalpha() and letter.isascii() for letter in letters):
        raise ValueError(f'einsum: expected letters, commas, "..." and "->", got {subscripts!r}')
    if len(set(letters)) < len(letters):
        raise ValueError(
            f"einsum: expected different labels in each term, got {term!r} in {subscripts!r}; a diagonal is the sum of "
            "the product with numpy.eye"
        )
    extra = ndim - len(letters)
    if extra < 0 or (extra > 0 and not dots):
        raise ValueError(
            f"einsum: expected an operand of {len(letters)} axes for {term!r} in {subscripts!r}, got {ndim}"
        )
    return [*before, *range(extra, 0, -1), *after]


Tensor.operators.update({"matmul": matmul})
