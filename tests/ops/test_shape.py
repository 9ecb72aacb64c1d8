"""Functions that change the shape or order of tensors, against NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from selections import Selection, check_selection, of_batch

import nnfast as nf
from nnfast import _core, layers, ops

# Each works with a batch as axis 0.
CASES: dict[str, tuple[tuple[int, ...], Selection]] = {
    "reshape": ((4, 6), lambda m, x: m.reshape(x, (-1, 2, 3))),
    "reshape of a matrix": ((3, 2, 5), lambda m, x: m.reshape(x, (-1, 10))),
    "reshape to rows of numbers": ((3, 1), lambda m, x: m.reshape(x, -1)),
    "squeeze": ((3, 1, 2, 1), lambda m, x: m.squeeze(x)),
    "squeeze one axis": ((3, 1, 2, 1), lambda m, x: m.squeeze(x, -1)),
    "squeeze two axes": ((3, 1, 2, 1), lambda m, x: m.squeeze(x, (1, 3))),
    "expand_dims": ((3, 2), lambda m, x: m.expand_dims(x, 1)),
    "expand_dims at the end": ((3, 2), lambda m, x: m.expand_dims(x, -1)),
    "expand_dims twice": ((3, 2), lambda m, x: m.expand_dims(x, (-1, 1))),
    "transpose": ((3, 2, 5, 4), lambda m, x: m.transpose(x, (0, 3, 1, 2))),
    "transpose nothing": ((3, 2), lambda m, x: m.transpose(x, (0, 1))),
    "transpose eight axes": ((2, 1, 3, 2, 1, 2, 3, 2), lambda m, x: m.transpose(x, (0, 7, 2, 5, 1, 4, 3, 6))),
    "swapaxes": ((3, 2, 5, 4), lambda m, x: m.swapaxes(x, 1, -1)),
    "moveaxis": ((3, 2, 5, 4), lambda m, x: m.moveaxis(x, 1, -1)),
    "moveaxis twice": ((3, 2, 5, 4), lambda m, x: m.moveaxis(x, (1, 2), (3, 1))),
    "concatenate": ((3, 2, 4), lambda m, x: m.concatenate([x, x[:, :1], x], 1)),
    "concatenate last": ((3, 2, 4), lambda m, x: m.concatenate([x[..., 3:], x], -1)),
    "concatenate one": ((3, 2), lambda m, x: m.concatenate([x], 1)),
    "stack": ((3, 2), lambda m, x: m.stack([x, x, x], 1)),
    "stack last": ((3, 2), lambda m, x: m.stack([x, x], axis=-1)),
    "split into equal parts": ((3, 6, 2), lambda m, x: m.concatenate(m.split(x, 3, axis=1)[::-1], 2)),
    "split at places": ((3, 6, 2), lambda m, x: m.concatenate(m.split(x, [1, 4], axis=1)[::2], -2)),
    "split into one": ((3, 6), lambda m, x: m.split(x, 1, axis=-1)[0]),
    "flip": ((3, 5, 4), lambda m, x: m.flip(x, 1)),
    "flip the last axes": ((3, 5, 4), lambda m, x: m.flip(x, (-1, 1))),
    "roll": ((3, 5, 4), lambda m, x: m.roll(x, 2, 1)),
    "roll back": ((3, 5, 4), lambda m, x: m.roll(x, -9, axis=-1)),
    "roll by the size": ((3, 5, 4), lambda m, x: m.roll(x, 5, axis=1)),
    "roll two axes": ((3, 5, 4), lambda m, x: m.roll(x, (1, -2), axis=(1, 2))),
    "roll an axis twice": ((3, 5, 4), lambda m, x: m.roll(x, (1, 2, 3), axis=(1, 2, 1))),
    "tile": ((3, 5, 4), lambda m, x: m.tile(x, (1, 3, 2))),
    "tile the last axis": ((3, 5, 4), lambda m, x: m.tile(x, 2)),
    "repeat": ((3, 5, 4), lambda m, x: m.repeat(x, 3, axis=1)),
    "repeat last": ((3, 5, 4), lambda m, x: m.repeat(x, 2, axis=-1)),
    "repeat each": ((3, 3, 4), lambda m, x: m.repeat(x, [2, 0, 3], axis=1)),
    "pad": ((3, 5, 4), lambda m, x: m.pad(x, ((0, 0), (2, 1), (0, 3)))),
    "pad nothing": ((3, 5), lambda m, x: m.pad(x, ((0, 0), (0, 0)))),
} | {
    f"pad {mode}": ((3, 5, 4), lambda m, x, mode=mode: m.pad(x, ((0, 0), (4, 2), (1, 3)), mode=mode))
    for mode in ("edge", "reflect", "symmetric", "wrap")
}  # fmt: skip

# Without a batch.
WHOLE: dict[str, tuple[tuple[int, ...], Selection]] = {
    "reshape": ((4, 6), lambda m, x: m.reshape(x, (2, -1))),
    "reshape to a number": ((1, 1), lambda m, x: m.reshape(x, ())),
    "squeeze": ((1, 2, 1), lambda m, x: m.squeeze(x)),
    "expand_dims of a number": ((), lambda m, x: m.expand_dims(x, (0, 1))),
    "expand_dims": ((2,), lambda m, x: m.expand_dims(x, 0)),
    "transpose": ((2, 3, 4), lambda m, x: m.transpose(x)),
    "moveaxis": ((2, 3, 4), lambda m, x: m.moveaxis(x, 0, 1)),
    "concatenate": ((2, 3), lambda m, x: m.concatenate([x, x[:1], x])),
    "stack": ((2, 3), lambda m, x: m.stack([x, x])),
    "stack numbers": ((), lambda m, x: m.stack([x, x])),
    "split": ((4, 3), lambda m, x: m.concatenate(m.split(x, 2)[::-1])),
    "flip": ((2, 3), lambda m, x: m.flip(x)),
    "roll": ((2, 3), lambda m, x: m.roll(x, 4)),
    "tile": ((2, 3), lambda m, x: m.tile(x, (2, 1, 3))),
    "tile with fewer numbers": ((2, 3, 2), lambda m, x: m.tile(x, (2, 1))),
    "tile eight axes": ((1, 2, 1, 2, 1, 2, 1, 2), lambda m, x: m.tile(x, (2, 1, 3, 1, 1, 2, 1, 1))),
    "repeat": ((2, 3), lambda m, x: m.repeat(x, 2)),
    "repeat a number": ((), lambda m, x: m.repeat(x, 3)),
    "repeat each": ((2, 3), lambda m, x: m.repeat(x, [1, 2], axis=0)),
    "pad": ((2, 3), lambda m, x: m.pad(x, 2)),
    "pad by a pair": ((2, 3), lambda m, x: m.pad(x, (1, 2), mode="edge")),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str, rng: np.random.Generator) -> None:
    shape, function = CASES[name]
    check_selection(function, shape, rng, batched=True)


@pytest.mark.parametrize("name", WHOLE)
def test_values_and_gradients_without_a_batch(name: str, rng: np.random.Generator) -> None:
    shape, function = WHOLE[name]
    check_selection(function, shape, rng, batched=False)


def test_unstack(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 2, 4))
    for axis in range(-3, 3):
        parts = ops.unstack(x, axis=axis)
        assert len(parts) == x.shape[axis]
        for i, part in enumerate(parts):
            np.testing.assert_array_equal(part, np.take(x, i, axis))
    net = of_batch(lambda x: ops.stack(ops.unstack(x, 2, axis=1)[::-1], axis=2), (2, 4))
    np.testing.assert_array_equal(net.predict(x), x[:, ::-1].transpose(0, 2, 1))


def test_shape_ndim_and_size() -> None:
    x = layers.Input((2, 3))
    assert (ops.shape(x), ops.ndim(x)) == ((None, 2, 3), 3)
    assert (ops.shape(np.ones((2, 0))), ops.ndim(1.0), ops.size(np.ones((2, 3)))) == ((2, 0), 0, 6)
    with pytest.raises(ValueError, match=r"size: expected a tensor without a batch, got \(N, 2, 3\)"):
        ops.size(x)


def test_the_constant_of_a_pad() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for value in (1.5, -np.inf):
        wanted = np.pad(x, ((0, 0), (2, 1)), constant_values=value)
        np.testing.assert_array_equal(ops.pad(x, ((0, 0), (2, 1)), constant_values=value), wanted)
        net = of_batch(lambda x, v=value: ops.pad(x, (2, 1), constant_values=v), (3,))  # not the batch
        np.testing.assert_array_equal(net.predict(x), wanted)


def test_integers_and_booleans_stay_what_they_are() -> None:
    x = np.array([[3, 1, 2]], "uint8")
    for function in (ops.flip, ops.transpose, ops.squeeze, lambda x: ops.roll(x, 1), lambda x: ops.tile(x, 2)):
        assert function(x).dtype == "uint8"
        assert function(x > 1).dtype == "bool"
    assert ops.flip(layers.Input((3,), dtype="int32"), 1).domain == "integer"
    assert ops.concatenate([x, x > 1]).dtype == "uint8"
    assert ops.concatenate([x, 0.5 * x]).dtype == "float64"


@st.composite
def pads(draw: Callable[..., Any]) -> tuple[tuple[int, ...], list[tuple[int, int]], str]:
    mode = draw(st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]))
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    widths = []
    for size in shape:
        most = {"reflect": size - 1, "symmetric": size, "wrap": size}.get(mode, 7)
        widths.append((draw(st.integers(0, most)), draw(st.integers(0, most))))
    return tuple(shape), widths, mode


@settings(max_examples=examples(40))
@given(pads())
def test_pads_of_any_shape(case: tuple[tuple[int, ...], Any, Any]) -> None:
    shape, widths, mode = case
    check_selection(lambda m, x: m.pad(x, widths, mode=mode), shape, np.random.default_rng(0), batched=False)
    shape, widths = (3, *shape), [(0, 0), *widths]
    check_selection(lambda m, x: m.pad(x, widths, mode=mode), shape, np.random.default_rng(0), batched=True)


X = layers.Input((2, 3))
VALUE_ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    "no batch in front": (
        lambda: ops.reshape(X, (2, -1)),
        r"reshape: expected a shape that begins with None, for the batch of \(N, 2, 3\), got \(2, -1\)",
    ),
    "other size": (
        lambda: ops.reshape(X, (None, 4)),
        r"reshape: expected a shape of 6 elements in all, as the input \(N, 2, 3\) has, got \(N, 4\); -1 for one",
    ),
    "two open sizes": (lambda: ops.reshape(np.ones(4), (-1, -1)), "reshape: expected at most one -1"),
    "squeeze": (lambda: ops.squeeze(X, 1), r"squeeze: expected an axis of size 1, got axis 1 of \(N, 2, 3\)"),
    "squeeze the batch": (lambda: ops.squeeze(X, 0), "squeeze: expected an axis of size 1, got axis 0"),
    "expand before the batch": (
        lambda: ops.expand_dims(X, 0),
        r"expand_dims: expected the batch axis of \(N, 2, 3\) to stay the first one",
    ),
    "transpose the batch": (
        lambda: ops.transpose(X),
        r"transpose: expected the batch axis of \(N, 2, 3\) to stay the first one",
    ),
    "transpose too few": (
        lambda: ops.transpose(X, (0, 1)),
        r"transpose: expected each of the 3 axes of \(N, 2, 3\) once, got \(0, 1\)",
    ),
    "axis twice": (lambda: ops.transpose(X, (0, 1, 1)), r"transpose: expected different axes of \(N, 2, 3\)"),
    "no such axis": (
        lambda: ops.swapaxes(X, 1, 3),
        r"swapaxes: expected an axis of \(N, 2, 3\), from -3 to 2, got 3",
    ),
    "axis of a number": (lambda: ops.flip(1.0, 0), r"flip: expected an axis of \(\), but there is none, got 0"),
    "moveaxis": (lambda: ops.moveaxis(X, 1, (1, 2)), "moveaxis: expected as many places as axes"),
    "along the batch": (
        lambda: ops.concatenate([X, X]),
        r"concatenate: expected an axis other than the batch of \(N, 2, 3\), from 1 on, got 0",
    ),
    "with and without a batch": (
        lambda: ops.concatenate([X, np.ones((2, 3))], 1),
        r"concatenate: expected inputs that all have the batch axis or all lack it, got \(N, 2, 3\) and \(2, 3\); "
        r"nf.ops.broadcast_to\(x, \(None, ...\)\)",
    ),
    "other shapes": (
        lambda: ops.concatenate([np.ones((2, 3)), np.ones((2, 4))]),
        r"concatenate: expected inputs that agree but for one axis, got \(2, 3\) and \(2, 4\)",
    ),
    "stack": (lambda: ops.stack([X, X[:, :1]], 1), r"stack: expected tensors of one shape, got \(N, 2, 3\) and"),
    "split": (
        lambda: ops.split(X, 2, axis=2),
        r"split: expected a number of parts that divides axis 2 of \(N, 2, 3\), got 2",
    ),
    "split at places": (lambda: ops.split(np.ones(4), [3, 2]), "split: expected places to split that ascend"),
    "unstack": (lambda: ops.unstack(X, 3, axis=1), r"unstack: expected the size of axis 1 of \(N, 2, 3\) as num, 2"),
    "flip the batch": (lambda: ops.flip(X), r"flip: expected axes other than the batch of \(N, 2, 3\)"),
    "roll the batch": (lambda: ops.roll(X, 1, 0), "roll: expected axes other than the batch, got axis 0"),
    "roll all": (lambda: ops.roll(X, 1), r"roll: expected an axis for a tensor with a batch, \(N, 2, 3\), got None"),
    "tile the batch": (lambda: ops.tile(X, (2, 1, 1)), r"tile: expected axes other than the batch of \(N, 2, 3\)"),
    "tile no times": (lambda: ops.tile(X, 0), "tile: expected to repeat 1 time or more, got 0"),
    "repeat": (
        lambda: ops.repeat(X, [1, 2, 3], axis=1),
        r"repeat: expected one number of 0 or more, not all 0, for each of the 2 elements along axis 1",
    ),
    "negative pad": (lambda: ops.pad(X, (-1, 0)), "pad: expected to pad by 0 or more, got -1 and 0"),
    "wide pad": (
        lambda: ops.pad(X, ((0, 0), (2, 0), (0, 0)), mode="reflect"),
        "pad: expected to pad an axis of size 2 in mode 'reflect' by at most 1, got 2 and 0",
    ),
    "pad the batch": (lambda: ops.pad(X, ((1, 0), (0, 0), (0, 0))), "pad: expected axes other than the batch"),
    "pairs": (lambda: ops.pad(X, ((1, 0), (0, 0))), r"pad: expected a number, a pair or 3 pairs"),
    "constant": (lambda: ops.pad(X, 1, "edge", 0.5), "pad: expected no constant_values in mode 'edge', got 0.5"),
    "too many axes": (lambda: ops.reshape(np.ones(2), (1,) * 8 + (2,)), "reshape: expected at most 8 axes"),
    "axes of the input": (lambda: ops.flip(np.ones((1,) * 9)), "slice: expected at most 8 axes, got "),
    "axes of an input": (lambda: ops.sum(layers.Input((1,) * 8)), "sum: expected at most 8 axes, got "),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUE_ERRORS)
def test_errors(name: str) -> None:
    call, message = VALUE_ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_types() -> None:
    with pytest.raises(TypeError, match=r"reshape: expected an int as size, got 2\.0"):
        ops.reshape(np.ones(2), (2.0,))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="flip: expected an int as axis, got True"):
        ops.flip(np.ones(2), True)
    with pytest.raises(TypeError, match="concatenate: expected a list of one tensor or more"):
        ops.concatenate(X)


def test_networks_are_saved_and_loaded(tmp_path: Any, rng: np.random.Generator) -> None:
    x = layers.Input((4, 6))
    y = ops.pad(ops.roll(x[:, ::-2, None], 1, -1), ((0, 0), (1, 0), (0, 0), (2, 1)), mode="edge")
    y = ops.concatenate(ops.split(ops.transpose(ops.tile(y, (1, 1, 2, 1)), (0, 2, 3, 1)), [1, 4], axis=2), 2)
    net = nf.Network(inputs=x, outputs=layers.Dense(2)(layers.Flatten()(y)))
    net.save(tmp_path / "network")
    values = rng.standard_normal((5, 4, 6))
    np.testing.assert_array_equal(nf.Network.load(tmp_path / "network").predict(values), net.predict(values))


@pytest.mark.parametrize(
    "node",
    [
        {"op": "slice", "axes": [0], "starts": [0], "steps": [1], "sizes": [2**62]},
        {"op": "slice", "axes": [0], "starts": [4], "steps": [-(2**63)], "sizes": [2]},
        {"op": "slice", "axes": [0], "starts": [-1], "steps": [1], "sizes": [2]},
        {"op": "slice", "axes": [0], "starts": [0], "steps": [0], "sizes": [2]},
        {"op": "slice", "axes": [0], "starts": [0], "steps": [2], "sizes": [4]},
        {"op": "slice", "axes": [0], "starts": [0], "steps": [1], "sizes": [0]},
        {"op": "slice", "axes": [0], "starts": [], "steps": [1], "sizes": [1]},
        {"op": "slice", "axes": [0, -2], "starts": [0, 0], "steps": [1, 1], "sizes": [1, 1]},
        {"op": "roll", "axes": [2], "shifts": [1]},
        {"op": "roll", "axes": [0], "shifts": [1, 2]},
        {"op": "pad", "axes": [0], "before": [2**62], "after": [2**62], "mode": "edge", "value": 0.0},
        {"op": "pad", "axes": [0], "before": [2**47], "after": [2**48], "mode": "constant", "value": 0.0},
        {"op": "pad", "axes": [0], "before": [1], "after": [1], "mode": "mirror", "value": 0.0},
        {"op": "pad", "axes": [0], "before": [1], "after": [1], "mode": "edge"},
        {"op": "transpose", "axes": [1, 1]},
        {"op": "transpose", "axes": [2**62, 0]},
        {"op": "reshape", "shape": [2**62, 2**62]},
        {"op": "reshape", "shape": [0, -1]},
        {"op": "concatenate", "axis": 5},
        {"op": "split", "sections": 2**62, "axis": 0},
        {"op": "broadcast_to", "shape": [2**40, 2**40, 5, 3]},
    ],
    ids=lambda node: str(node),
)  # fmt: skip
def test_descriptions_from_files_are_checked_before_anything_is_allocated(node: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^node: expected "):
        _core.infer({"name": "node", **node}, [(5, 3)], {0})


@pytest.mark.parametrize("name", ["pad reflect", "roll", "flip", "repeat last", "transpose", "concatenate"])
def test_the_number_of_threads_changes_no_bit(name: str, threads: None, rng: np.random.Generator) -> None:
    _, function = CASES[name]
    x = rng.standard_normal((3, 371, 257) if name != "transpose" else (3, 37, 41, 29)).astype("float32")
    found = []
    for count in (1, 2, 3, 8):
        _core.set_num_threads(count)
        y, pullback = of_batch(lambda x: function(ops, x), x.shape[1:], "float32").vjp(x)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype("float32")
        found.append((np.asarray(function(ops, x)).tobytes(), y.tobytes(), pullback(dy)[1].tobytes()))
    assert all(results == found[0] for results in found[1:])
