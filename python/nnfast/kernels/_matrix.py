"""Matrix products."""

from __future__ import annotations

import numpy as np

from nnfast import _core
from nnfast.core.options import flag
from nnfast.core.typing import Array
from nnfast.kernels._arguments import activation_of


def matmul(
    a: Array,
    b: Array,
    out: Array | None = None,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Array | None = None,
    activation: str = "identity",
    alpha: float | None = None,
    accumulate: bool = False,
) -> Array:
    """Matrix product with bias and activation: out = activation(op(a) @ op(b) + bias).

    Parameters
    ----------
    a : ndarray of shape (M, K), or (K, M) with transpose_a
        Left matrix. Rows may be any distance apart (``big[:, :k]``) and a transposed view (``x.T``) is used as it is.
    b : ndarray of shape (K, N), or (N, K) with transpose_b
        Right matrix, with the same freedom.
    out : ndarray of shape (M, N), optional
        Where the result goes: C-contiguous, apart from `a`, `b` and `bias` in memory.
    transpose_a, transpose_b : bool, default False
        Whether op(x) is the transpose of x.
    bias : ndarray of shape (N,), optional
        Added to every row.
    activation : str, default "identity"
        Applied to every element; any name of `activation_forward` but softmax and log_softmax.
    alpha : float, optional
        Parameter of the activation, as in `activation_forward`.
    accumulate : bool, default False
        Whether the product is added to what `out` holds; needs `out`, and goes without bias and activation.

    Returns
    -------
    ndarray of shape (M, N)
        `out`, or a new array.

    Raises
    ------
    ValueError
        If shapes do not fit, neither axis of a matrix is contiguous, `out` is not contiguous, read-only or overlaps
        another array, the activation is unknown (the text gives the nearest valid one) or one over rows, alpha is not
        finite, or `accumulate` comes without `out` or with a bias or an activation.
    TypeError
        If an argument is no array, a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    2 M N K operations. Element (i, j) is one chain of fused multiply-adds over k in ascending order that starts from
    bias[j] (or 0, or out[i, j] with `accumulate`), so its bits do not depend on blocking, threads or the other rows.
    Its error is at most K eps sum_k |a_ik b_kj|.

    References
    ----------
    Goto & van de Geijn (2008), Anatomy of high-performance matrix multiplication, DOI 10.1145/1356052.1356053.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> a = np.array([[1.0, -2.0], [3.0, 4.0]], np.float32)
    >>> kernels.matmul(a, a)
    array([[ -5., -10.],
           [ 15.,  10.]], dtype=float32)
    >>> kernels.matmul(a, a, bias=np.array([1.0, 1.0], np.float32), activation="relu")
    array([[ 0.,  0.],
           [16., 11.]], dtype=float32)
    """
    if not type(transpose_a) is type(transpose_b) is type(accumulate) is bool:
        transpose_a, transpose_b = (
            flag("matmul", "transpose_a", transpose_a),
            flag("matmul", "transpose_b", transpose_b),
        )
        accumulate = flag("matmul", "accumulate", accumulate)
    return _core.matmul(a, b, out, transpose_a, transpose_b, bias, *activation_of(activation, alpha), accumulate)


def matvec(a: Array, x: Array, transpose: bool = False) -> Array:
    """Matrix-vector product: y = a @ x, or a.T @ x.

    Parameters
    ----------
    a : ndarray of shape (M, K), or (K, M) with transpose
        Matrix, laid out as for `matmul`.
    x : ndarray of shape (K,)
        Vector; its elements may be any distance apart.
    transpose : bool, default False
        Whether the transpose of `a` is meant.

    Returns
    -------
    ndarray of shape (M,)

    Raises
    ------
    ValueError
        If shapes do not fit, or neither axis of `a` is contiguous.
    TypeError
        If `x` is no array, a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    2 M K operations; the bits are those of `matmul` with a matrix of one column.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.matvec(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0]))
    array([-1., -1.])
    """
    if not isinstance(x, np.ndarray):
        raise TypeError(f"matvec: expected x to be an array, got {type(x).__name__}; use numpy.asarray(x)")
    if x.ndim != 1:
        raise ValueError(f"matvec: expected x of shape (K,), got {x.shape}; use x.reshape(-1), or matmul")
    return _core.matmul(
        a, x.reshape(-1, 1), None, flag("matvec", "transpose", transpose), False, None, "identity", 0.0, False
    ).reshape(-1)
