"""The advice of error messages, followed: it works, and the numbers are the right ones."""

from __future__ import annotations

import math
import re
from functools import partial

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers


def network() -> nf.Network:
    return nf.Network([layers.Input((4,)), layers.Dense(3, "softmax")], seed=0)


@pytest.mark.parametrize(
    ("wanted", "got", "axes"),
    [
        ((8, 6, 3), (4, 3, 8, 6), (0, 2, 3, 1)),  # channels first
        ((8, 8, 8), (4, 8, 8, 8), None),
        ((3, 3, 1), (4, 1, 3, 3), (0, 2, 3, 1)),
        ((8, 6, 3), (4, 6, 8, 3), (0, 2, 1, 3)),
        ((5, 5, 3), (4, 3, 5, 5), (0, 2, 3, 1)),
        ((8, 3), (4, 3, 8), (0, 2, 1)),
        ((3, 5, 3), (4, 3, 3, 5), (0, 2, 3, 1)),  # channels first, although to exchange two axes would fit as well
    ],
)
def test_axes_in_another_order_are_moved_and_not_reshaped(
    wanted: tuple[int, ...], got: tuple[int, ...], axes: tuple[int, ...] | None
) -> None:
    net = nf.Network([layers.Input(wanted), layers.ReLU()], seed=0)
    x = np.random.default_rng(0).random(got).astype("float32")
    if axes is None:
        np.testing.assert_array_equal(net.predict(x), x)
        return
    for rows, order in ((x, axes), (x[0], None)):
        with pytest.raises(ValueError, match="transpose") as caught:
            net.predict(rows)
        remedy = re.search(r"x\.transpose\([\d, ]+\)(\[None\])?", str(caught.value))
        assert remedy
        moved = eval(remedy.group(), {"x": rows})
        np.testing.assert_array_equal(net.predict(moved), moved)
        if order:
            np.testing.assert_array_equal(moved, x.transpose(order))


@pytest.mark.parametrize(("wanted", "got"), [((12,), (4, 3, 4)), ((3, 4), (5, 12)), ((2, 3, 4), (5, 6, 4))])
def test_remedy_to_reshape_works(wanted: tuple[int, ...], got: tuple[int, ...]) -> None:
    net = nf.Network([layers.Input(wanted), layers.ReLU()], seed=0)
    x = np.ones(got, "float32")
    with pytest.raises(ValueError, match="reshape") as caught:
        net.predict(x)
    remedy = re.search(r"x\.reshape\([\d, -]+\)", str(caught.value))
    assert remedy
    assert net.predict(eval(remedy.group(), {"x": x})).shape == (got[0], *wanted)


def test_what_is_no_array_is_named() -> None:
    net = network()
    tensor = layers.Dense(4)(layers.Input((4,)))
    for value, match in (
        (None, "expected an array as x, got None"),
        (tensor, "got a Tensor; predict takes numbers: call the network"),
        (layers.Input((4,)), "got an Input; predict takes numbers"),
    ):
        with pytest.raises(TypeError, match=match):
            net.predict(value)
    with pytest.raises(ValueError, match="expected rows of one shape in x, got lists of different lengths"):
        net.predict([[1, 2, 3, 4], [1, 2]])


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e39])
@pytest.mark.parametrize("row", [0, 3, 6])
def test_the_row_that_is_not_finite_is_named(bad: float, row: int) -> None:
    net = network()
    x = np.ones((7, 4))
    x[row, 1] = bad
    with pytest.raises(ValueError, match=rf"x: expected finite numbers, .*float32\) in row {row}, column 1;"):
        net.predict(x)
    with np.errstate(over="ignore"):
        rows = x.astype("float32")
    net.predict(np.ones((7, 4), "float32"))
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"in row {row}[,;]"):
            net.predict(rows)
    trainer = nf.Trainer(net, loss="cross_entropy")
    for call in (trainer.train_on_batch, trainer.evaluate, partial(net.loss_and_gradients, loss="cross_entropy")):
        with pytest.raises(ValueError, match=f"in row {row}"):
            call(x, np.zeros(7, "int64"))
