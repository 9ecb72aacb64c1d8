"""Attention and rotary positions.

Heads are an axis here: queries (N, T, H, d), keys (N, S, G, d) and values (N, S, G, d_value). G divides H; query head h
reads the keys and values of head h // (H / G).
"""

from __future__ import annotations

import math
from typing import Any

from nnfast import _core
from nnfast.core.options import flag, real
from nnfast.core.typing import Array
from nnfast.kernels._arguments import counter_of, seed_of


def _options(
    where: str, q: Any, causal: Any, scale: Any, rate: Any, seed: Any, step: Any, stream: Any
) -> tuple[bool, float, float, int, int, int]:
    if scale is None:
        shape = getattr(q, "shape", ()) or (1,)  # what has none is refused by the core
        scale = 1 / math.sqrt(max(1, shape[-1]))
    return (
        flag(where, "causal", causal),
        real(where, "scale", scale),
        real(where, "rate", rate, minimum=0.0, upper_bound=1.0),
        seed_of(where, seed),
        counter_of(where, "step", step),
        counter_of(where, "stream", stream),
    )


def attention_forward(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    rate: float = 0.0,
    seed: int = 0,
    step: int = 0,
    stream: int = 0,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """Scaled dot-product attention: y = softmax(scale q k^T) v, for each head.

    Parameters
    ----------
    q : ndarray of shape (N, T, H, d)
        Queries.
    k : ndarray of shape (N, S, G, d)
        Keys.
    v : ndarray of shape (N, S, G, d_value)
        Values.
    mask : ndarray of shape (N, S) or (N, T, S), optional
        0 where a key is not seen, by any query or by that one.
    causal : bool, default False
        Whether query t sees only the keys s <= t + S - T.
    scale : float, optional
        By default 1 / sqrt(d).
    rate : float, default 0.0
        Dropout of the weights, 0 <= rate < 1: weight (n, h, t, s) is the element of that index of an array of this
        shape in `dropout_forward`.

    Returns
    -------
    y : ndarray of shape (N, T, H, d_value)
        0 for a query that sees no key. Keys and values that a query does not see have no effect on its row, not even if
        they are NaN.
    log_sums : ndarray of shape (N, H, T)
        log sum_s exp(scale q k_s) over the keys that are seen, for the backward pass; infinite where there are none.

    Notes
    -----
    Blocks of 64 queries meet blocks of 256 keys, with a running maximum and sum, so the weights of a head are never all
    in memory. Within a block, chains of fused multiply-adds run over the keys; the sums of blocks are added in order.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762; Ainslie et al. (2023), GQA, arXiv:2305.13245;
    Dao et al. (2022), FlashAttention, arXiv:2205.14135.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> q, k = np.ones((1, 2, 1, 4)), np.zeros((1, 2, 1, 4))
    >>> v = np.array([[2.0], [4.0]]).reshape(1, 2, 1, 1)
    >>> y, log_sums = kernels.attention_forward(q, k, v, causal=True)
    >>> y.ravel(), np.exp(log_sums).ravel()
    (array([2., 3.]), array([1., 2.]))
    """
    options = _options("attention_forward", q, causal, scale, rate, seed, step, stream)
    return _core.attention_forward(q, k, v, mask, *options, out)


def attention_backward(
    dy: Array,
    y: Array,
    log_sums: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    rate: float = 0.0,
    seed: int = 0,
    step: int = 0,
    stream: int = 0,
) -> tuple[Array, Array, Array]:
    """Gradients of attention.

    With the weights w, computed again: dv = w^T dy, dw = dy v^T, ds = scale w (dw - sum(dy y)), dq = ds k and
    dk = ds^T q; those of keys and values are summed over the heads that share them.

    Parameters
    ----------
    dy : ndarray of y's shape
    y, log_sums
        Results of `attention_forward`.
    q, k, v, mask, causal, scale, rate
        As in the forward pass.

    Returns
    -------
    dq, dk, dv : ndarray
        Of the shapes of q, k and v.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> q, k = np.ones((1, 2, 1, 4)), np.zeros((1, 2, 1, 4))
    >>> v = np.array([[2.0], [4.0]]).reshape(1, 2, 1, 1)
    >>> y, log_sums = kernels.attention_forward(q, k, v, causal=True)
    >>> dq, dk, dv = kernels.attention_backward(np.ones_like(y), y, log_sums, q, k, v, causal=True)
    >>> dv.ravel()
    array([1.5, 0.5])
    """
    options = _options("attention_backward", q, causal, scale, rate, seed, step, stream)
    return _core.attention_backward(dy, y, log_sums, q, k, v, mask, *options)


def rotary_forward(
    x: Array,
    offsets: Array | None = None,
    base: float = 10000.0,
    interleaved: bool = False,
    out: Array | None = None,
) -> Array:
    """Rotary positions: turn pair i of each head at position t by the angle t base^(-2 i / d).

    The pair (a, b) becomes (a cos - b sin, b cos + a sin). So products of queries and keys depend on their positions
    only by the distance.

    Parameters
    ----------
    x : ndarray of shape (N, T, H, d)
        Queries or keys; d is even.
    offsets : ndarray of shape (N,), optional
        Position of the first step of each row; 0 if not given.
    base : float, default 10000.0
        Larger than 0.
    interleaved : bool, default False
        Pair i is (x[2 i], x[2 i + 1]), as in the paper, or else (x[i], x[i + d / 2]).
    out : ndarray of x's shape, optional
        May be `x`.

    Notes
    -----
    Angles, sines and cosines are computed in float64 and rounded once, so that distant positions keep their digits.

    References
    ----------
    Su et al. (2021), RoFormer: enhanced transformer with rotary position embedding, arXiv:2104.09864.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.array([[1.0, 0.0], [1.0, 0.0]]).reshape(1, 2, 1, 2)
    >>> kernels.rotary_forward(x).round(4).ravel()
    array([1.    , 0.    , 0.5403, 0.8415])
    """
    where = "rotary_forward"
    return _core.rotary(x, offsets, real(where, "base", base), flag(where, "interleaved", interleaved), False, out)


def rotary_backward(
    dy: Array,
    offsets: Array | None = None,
    base: float = 10000.0,
    interleaved: bool = False,
    out: Array | None = None,
) -> Array:
    """Gradient of rotary positions: dy, turned back.

    Parameters
    ----------
    offsets, base, interleaved
        As in the forward pass.
    out : ndarray of dy's shape, optional
        May be `dy`.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.arange(8.0).reshape(1, 2, 1, 4)
    >>> kernels.rotary_backward(kernels.rotary_forward(x)).round(4).ravel()
    array([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    where = "rotary_backward"
    return _core.rotary(dy, offsets, real(where, "base", base), flag(where, "interleaved", interleaved), True, out)
