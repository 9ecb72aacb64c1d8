"""Scaled dot-product attention (Vaswani et al. 2017) and rotary positions (Su et al. 2021) with all weights at once."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def seen_keys(queries: int, keys: int, mask: NDArray[np.floating] | None, causal: bool) -> NDArray[np.bool_]:
    """Return which query sees which key: (N or 1, 1, T, S)."""
    seen = np.ones((1, 1, queries, keys), bool)
    if causal:
        seen &= np.arange(keys) <= np.arange(queries)[:, None] + keys - queries
    if mask is not None:
        seen = seen & (mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]).astype(bool)
    return seen


def repeated(x: NDArray[np.floating], heads: int) -> Array:
    """Return keys or values (N, S, G, d) as (N, H, S, d): each for the heads that share it."""
    return np.repeat(x.astype(np.float64).transpose(0, 2, 1, 3), heads // x.shape[2], axis=1)


def attention_weights(
    q: NDArray[np.floating], k: NDArray[np.floating], seen: NDArray[np.bool_], scale: float
) -> tuple[Array, Array]:
    """Return the softmax of the scaled scores over the keys that are seen (N, H, T, S), and the scores."""
    scores = scale * q.astype(np.float64).transpose(0, 2, 1, 3) @ repeated(k, q.shape[2]).transpose(0, 1, 3, 2)
    hidden = np.where(seen, scores, -np.inf)
    largest = hidden.max(axis=-1, keepdims=True)
    powers = np.where(seen, np.exp(hidden - np.where(np.isfinite(largest), largest, 0)), 0)
    total = powers.sum(axis=-1, keepdims=True)
    return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0), scores


def attention(
    q: NDArray[np.floating],
    k: NDArray[np.floating],
    v: NDArray[np.floating],
    mask: NDArray[np.floating] | None = None,
    causal: bool = False,
    scale: float = 1.0,
    kept: NDArray[np.floating] | None = None,
) -> Array:
    """Return y (N, T, H, d_value); `kept` (N, H, T, S) are the factors of the weights under dropout."""
    seen = seen_keys(q.shape[1], k.shape[1], mask, causal)
    weights, _ = attention_weights(q, k, seen, scale)
    y: Array = (weights if kept is None else weights * kept) @ repeated(v, q.shape[2])
    return y.transpose(0, 2, 1, 3)


def _summed(x: Array, groups: int) -> Array:
    """Return the gradient (N, S, G, d) from that of each head (N, H, S, d)."""
    n, heads, length, d = x.shape
    return x.reshape(n, groups, heads // groups, length, d).sum(axis=2).transpose(0, 2, 1, 3)


def attention_gradients(
    dy: NDArray[np.floating],
    q: NDArray[np.floating],
    k: NDArray[np.floating],
    v: NDArray[np.floating],
    mask: NDArray[np.floating] | None = None,
    causal: bool = False,
    scale: float = 1.0,
    kept: NDArray[np.floating] | None = None,
) -> tuple[Array, Array, Array]:
    """Return dq, dk, dv."""
    heads, groups = q.shape[2], k.shape[2]
    weights, _ = attention_weights(q, k, seen_keys(q.shape[1], k.shape[1], mask, causal), scale)
    factor = np.ones_like(weights) if kept is None else kept
    dy = dy.astype(np.float64).transpose(0, 2, 1, 3)
    dv = (weights * factor).transpose(0, 1, 3, 2) @ dy
    dw = dy @ repeated(v, heads).transpose(0, 1, 3, 2) * factor
    ds = scale * weights * (dw - (dw * weights).sum(axis=-1, keepdims=True))
    dq = ds @ repeated(k, heads)
    dk = ds.transpose(0, 1, 3, 2) @ q.astype(np.float64).transpose(0, 2, 1, 3)
    return dq.transpose(0, 2, 1, 3), _summed(dk, groups), _summed(dv, groups)


def rotary(
    x: NDArray[np.floating],
    offsets: NDArray[np.floating] | None = None,
    base: float = 10000.0,
    interleaved: bool = False,
    inverse: bool = False,
) -> Array:
    """Return x (N, T, H, d) with its pairs turned, as products of complex numbers."""
    x = x.astype(np.float64)
    n, steps, _, d = x.shape
    start = np.zeros(n) if offsets is None else offsets.astype(np.float64)
    position = start[:, None, None, None] + np.arange(steps)[:, None, None]
    angle = position * base ** (-2 * np.arange(d // 2) / d)
    turn = np.exp((-1j if inverse else 1j) * angle)
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., : d // 2], x[..., d // 2 :])
    turned = (a + 1j * b) * turn
    y = np.empty_like(x)
    if interleaved:
        y[..., ::2], y[..., 1::2] = turned.real, turned.imag
    else:
        y[..., : d // 2], y[..., d // 2 :] = turned.real, turned.imag
    return y
