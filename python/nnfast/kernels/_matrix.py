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
    """Matrix product with bias and activation function: out = activation(op(a) @ op(b) + bias).

    Parameters
    ----------
    a : ndarray of shape (M, K), or (K, M) with transpose_a
        Left matrix. One axis must be contiguous; the other may have any stride, so slices (``big[:, :k]``) and
        transposed views (``x.T``) are not copied.
    b : ndarray of shape (K, N), or (N, K) with transpose_b
        Right matrix, in the same layouts.
    out : ndarray of shape (M, N), optional
        C-contiguous array for the result, not overlapping the others.
    transpose_a, transpose_b : bool, default False
        Whether op(x) is the transpose of x.
    bias : ndarray of shape (N,), optional
        Added to every row.
    activation : str, default "identity"
        A name from `nnfast.activations`, except softmax and log_softmax.
    accumulate : bool, default False
        Whether to add the product to `out`; excludes bias and activation.

    Returns
    -------
    ndarray of shape (M, N)

    Notes
    -----
    2 M N K operations. Element (i, j) is one chain of fused multiply-adds over k in ascending order, starting from
    bias[j] (or 0, or out[i, j] with `accumulate`), so its bits do not depend on blocking, threads or other rows. Its
    error is at most K eps sum_k |a_ik b_kj|.

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
        Matrix, in the layouts of `matmul`.
    x : ndarray of shape (K,)
        Vector, with any stride.
    transpose : bool, default False
        Whether to use the transpose of `a`.

    Returns
    -------
    ndarray of shape (M,)

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
