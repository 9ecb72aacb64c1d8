"""What the kernel tests are made of: awkward sizes, guarded and misaligned arrays, derived tolerances."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnfast import _core

Array = NDArray[Any]

DTYPES = ("float32", "float64")
FMA_ISAS = ("avx2", "avx512", "neon")

_VECTOR_BYTES = {"sse2": 16, "neon": 16, "avx2": 32, "avx512": 64}
_GUARD_BYTES = 128
_GUARD = 0xA5


def eps(dtype: Any) -> float:
    """Return the distance from 1 to the next number."""
    return float(np.finfo(dtype).eps)


def tiny(dtype: Any) -> float:
    """Return the smallest normal number: results below it may be flushed or lose digits."""
    return float(np.finfo(dtype).tiny)


def vector_width(dtype: Any) -> int:
    """Return the elements of one vector register on the instruction set in use."""
    return _VECTOR_BYTES[_core.isa_name()] // np.dtype(dtype).itemsize


def awkward_sizes(dtype: Any) -> list[int]:
    """Return 0, 1, around one and four vectors, odd, and large enough for several blocks."""
    w = vector_width(dtype)
    return sorted({0, 1, w - 1, w, w + 1, 3 * w + 1, 4 * w - 1, 4 * w, 4 * w + 3, 1037})


@dataclass
class Check:
    """One result beside the truth. A tolerance is absolute: one number or one per element."""

    label: str
    got: Array
    expected: Array
    tolerance: Array | float = 0.0

    def verify(self) -> None:
        assert_close(self.got, self.expected, self.tolerance, self.label)


def assert_close(got: Any, expected: Any, tolerance: Any = 0.0, label: str = "") -> None:
    """Fail unless |got - expected| <= tolerance everywhere; infinities must be equal, NaN only where expected."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{label}: shape {got.shape}, expected {expected.shape}"
    actual, truth = got.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        good = (np.abs(actual - truth) <= tolerance) | (actual == truth) | (np.isnan(actual) & np.isnan(truth))
    if good.all():
        return
    worst = tuple(np.argwhere(~good)[0])
    allowed = np.broadcast_to(tolerance, truth.shape)[worst]
    raise AssertionError(
        f"{label}: {np.count_nonzero(~good)} of {good.size} elements are off; the first at {worst}: "
        f"got {actual[worst]!r}, expected {truth[worst]!r}, tolerance {allowed:.3g}"
    )


class Workbench:
    """Makes the arrays of one kernel call, each between guard bytes and `shift` elements off 64-byte alignment.

    After the call, `check` finds what was written out of bounds, and inputs that changed.
    """

    def __init__(self, dtype: str, size: int, shift: int = 0, seed: int = 0) -> None:
        self.dtype = np.dtype(dtype)
        self.size = size
        self.shift = shift
        self.eps = eps(dtype)
        self.rng = np.random.default_rng([seed, size])
        self._buffers: list[tuple[Array, slice]] = []
        self._inputs: list[tuple[Array, Array]] = []

    def _place(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        nbytes = int(np.prod(shape)) * dtype.itemsize
        buffer = np.full(nbytes + 2 * _GUARD_BYTES + 64 + self.shift * dtype.itemsize, _GUARD, np.uint8)
        start = -buffer.ctypes.data % 64 + _GUARD_BYTES + self.shift * dtype.itemsize
        inside = slice(start, start + nbytes)
        self._buffers.append((buffer, inside))
        return buffer[inside].view(dtype).reshape(shape)

    def inout(self, values: Array, dtype: Any = None) -> Array:
        """Return a guarded copy that the kernel may change."""
        array = self._place(np.shape(values), np.dtype(dtype or self.dtype))
        array[...] = values
        return array

    def array(self, values: Array, dtype: Any = None) -> Array:
        """Return a guarded copy that the kernel must leave as it is."""
        array = self.inout(values, dtype)
        self._inputs.append((array, array.copy()))
        return array

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        """Return an input of normal numbers."""
        return self.array(scale * self.rng.standard_normal(shape))

    def uniform(self, low: float, high: float, *shape: int) -> Array:
        """Return an input of numbers between low and high."""
        return self.array(self.rng.uniform(low, high, shape))

    def out(self, *shape: int) -> Array:
        """Return an output full of NaN: an element that is not written, or is read, shows."""
        return self.inout(np.full(shape, np.nan))

    def check(self) -> None:
        for buffer, inside in self._buffers:
            assert (buffer[: inside.start] == _GUARD).all(), "a kernel wrote before the start of an array"
            assert (buffer[inside.stop :] == _GUARD).all(), "a kernel wrote past the end of an array"
        for array, before in self._inputs:
            assert array.tobytes() == before.tobytes(), "a kernel changed one of its inputs"


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array, not set, that starts at a multiple of 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def misaligned(values: Array) -> Array:
    """Return a copy that starts one byte off its element's alignment."""
    buffer = bytearray(values.nbytes + 1)
    array: Array = np.ndarray(values.shape, values.dtype, buffer=buffer, offset=1)
    array[...] = values
    return array


# Activations whose result is a selection among inputs and constants: no rounding at all.
_EXACT = ("identity", "heaviside", "relu")
# y = x * factor with 1 + erf or 1 + tanh in the factor: that sum errs by eps, so y errs by eps |x|.
_CANCELLING = ("gelu", "gelu_tanh")


def activation_tolerance(name: str, x: Array, y: Array, dtype: Any) -> Array | float:
    """Bound the error of an activation whose elementary functions err by at most 2 units in the last place."""
    if name in _EXACT:
        return 0.0
    bound = 4 * eps(dtype) * np.abs(y) + tiny(dtype)
    if name == "silu":
        bound = bound + tiny(dtype) * np.abs(x)  # x times a sigmoid that may be flushed to 0
    if name in _CANCELLING:
        bound = bound + 4 * eps(dtype) * np.abs(x)
    if name == "hard_sigmoid":
        bound = bound + 2 * eps(dtype)  # x / 6 + 1 / 2 cancels near x = -3
    return bound


def activation_gradient_tolerance(name: str, dy: Array, x: Array, dtype: Any) -> Array | float:
    """Bound the error of dy f'(x).

    f' is a sum of terms of at most 1 + |x| that may cancel (1 - y^2, y + alpha, s (1 + x (1 - s))); each errs by a few
    eps of its own size.
    """
    if name in _EXACT:
        return 0.0
    return 8 * eps(dtype) * np.abs(dy) * (1 + np.abs(x)) + tiny(dtype)


def sum_tolerance(magnitude: Array | float, terms: int, dtype: Any) -> Array | float:
    """Bound the error of a sum of `terms` numbers made in at least 8 partial sums; magnitude is sum |x|."""
    return (terms / 8 + 8) * eps(dtype) * magnitude


def units_in_last_place(got: Array, truth: NDArray[np.longdouble]) -> NDArray[np.float64]:
    """Return |got - truth| in units of got's dtype at the truth; equal infinities are 0 apart."""
    unit = np.spacing(np.abs(truth).astype(got.dtype))
    with np.errstate(invalid="ignore"):
        distance = np.abs(got.astype(truth.dtype) - truth) / unit.astype(truth.dtype)
    return np.where(got.astype(truth.dtype) == truth, 0, distance).astype(np.float64)
