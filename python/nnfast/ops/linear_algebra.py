"""Products of matrices and of their stacks.

They take symbolic tensors and arrays, of real numbers or integers. The batch of a tensor counts as an axis: a tensor
with rows of shape (5, 3) is a stack of matrices (5, 3), and one with rows of shape (3,) is a matrix (N, 3).

Parameters
----------
x1, x2 : Tensor or array_like
    Factors.
"""

from __future__ import annotations

from typing import Any

from nnfast.core.tensor import Tensor
from nnfast.ops.core import apply, same_domain

__all__ = ["matmul"]


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


Tensor.operators.update({"matmul": matmul})
