"""Slices, gathers and sorting, against NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kernel_cases import DTYPES
from selections import Selection, check_selection, of_batch

import nnfast as nf
from nnfast import _core, layers, ops
from nnfast.core.typing import Array

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def item(m: Any, x: Any, key: Any) -> Any:
    """x[key], by the function on arrays."""
    return x[key] if m is np or not isinstance(x, np.ndarray) else ops.get_item(x, key)


# ---- slices --------------------------------------------------------------------------------------

SLICES: dict[str, Any] = {
    "a range": np.s_[:, 1:4],
    "a negative range": np.s_[:, -3:-1],
    "backwards": np.s_[:, ::-1],
    "every second": np.s_[:, 1::2, ::3],
    "every second backwards": np.s_[:, -2::-2, ::-3],
    "a number": np.s_[:, 2],
    "a negative number": np.s_[:, :, -1],
    "numbers": np.s_[:, 0, 1],
    "beyond the ends": np.s_[:, -100:100, 1:100],
    "new axes": np.s_[:, None, 1, :, None],
    "dots": np.s_[..., 1],
    "dots and new axes": np.s_[..., None, 1:3],
    "dots for nothing": np.s_[:, 1, 2, ...],
    "all": np.s_[:],
    "a step larger than the axis": np.s_[:, 1::100],
}  # fmt: skip


@pytest.mark.parametrize("name", SLICES)
def test_slices(name: str, rng: np.random.Generator) -> None:
    check_selection(lambda m, x: item(m, x, SLICES[name]), (3, 5, 4), rng, batched=True)


def keys_of(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Keys that leave one element or more."""
    single = hnp.basic_indices(shape, allow_newaxis=True, max_dims=8)
    return single.filter(lambda key: np.empty(shape)[key].size > 0)


@settings(max_examples=examples(120))
@given(st.data())
def test_slices_of_any_shape(data: Any) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=7))
    key = data.draw(keys_of(shape))
    check_selection(lambda m, x: item(m, x, key), shape, np.random.default_rng(0), batched=False)
    whole = (slice(None), *(key if isinstance(key, tuple) else (key,)))
    if np.empty((3, *shape))[whole].ndim <= 8:
        check_selection(lambda m, x: item(m, x, whole), (3, *shape), np.random.default_rng(0), batched=True)


def test_large_slices(rng: np.random.Generator) -> None:
    """Longer than a block, a piece of work and a vector."""
    for shape, key in {
        (50_001,): np.s_[7:-5],
        (2, 50_001): np.s_[:, ::-1],
        (3, 20_011, 3): np.s_[:, 5::7, 1:],
        (3, 2, 20_011): np.s_[::-1, 1, 3:],
        (20_011, 2): np.s_[:, 1],
        (2, 3, 5000): np.s_[:, ::2],
        (7, 1, 5, 1, 6): np.s_[::-1, :, ::-1, :, ::-1],
    }.items():
        check_selection(lambda m, x, key=key: item(m, x, key), shape, rng, batched=False)


X = layers.Input((5, 3))
KEY_ERRORS: dict[str, tuple[Any, type[Exception], str]] = {
    "a range of the batch": (
        np.s_[1:],
        ValueError,
        r"x\[\.\.\.\]: expected ':' for the batch axis of \(N, 5, 3\), which may be of any size, got 1:; the axes of a "
        r"row come after it, as in x\[:, 0\]",
    ),
    "a row of the batch": (0, ValueError, "expected ':' for the batch axis .* got 0"),
    "the batch backwards": (np.s_[::-1], ValueError, "expected ':' for the batch axis .* got ::-1"),
    "before the batch": (None, ValueError, r"expand_dims: expected the batch axis of \(N, 5, 3\) to stay"),
    "nothing": (
        np.s_[:, 3:2],
        ValueError,
        r"expected a slice of one element or more of axis 1 of \(N, 5, 3\), got 3:2, which has none",
    ),
    "out of range": (np.s_[:, 5], IndexError, r"expected an index from -5 to 4 for axis 1 of \(N, 5, 3\), got 5"),
    "too many": (np.s_[:, 1, 1, 1], IndexError, r"an index for each of the 3 axes of \(N, 5, 3\) at most, got 4"),
    "dots twice": (np.s_[..., 1, ...], IndexError, "got 2 times ..."),
    "a list": (np.s_[:, [1, 2]], TypeError, r"expected ints, slices, None and \.\.\., got \[1, 2\]; use nf.ops.take"),
    "an array": (np.s_[:, np.arange(2)], TypeError, "use nf.ops.take"),
    "a condition": (np.s_[:, True], TypeError, "nf.ops.where for conditions"),
    "a tensor": (X > 0, TypeError, "nf.ops.where for conditions"),
    "a float": (np.s_[:, 1.0], TypeError, r"expected ints, slices, None and \.\.\., got 1\.0"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEY_ERRORS)
def test_slices_that_cannot_be(name: str) -> None:
    key, error, message = KEY_ERRORS[name]
    with pytest.raises(error, match=message):
        X[key]


# ---- take and take_along_axis ----------------------------------------------------------------------

TAKES: dict[str, tuple[tuple[int, ...], Selection, bool]] = {
    "one": ((3, 5, 4), lambda m, x: m.take(x, 2, axis=1), True),
    "some": ((3, 5, 4), lambda m, x: m.take(x, [4, 0, 0, -1], axis=1), True),
    "of the last axis": ((3, 5, 4), lambda m, x: m.take(x, [3, 3, -4], axis=-1), True),
    "a matrix of places": ((3, 5, 4), lambda m, x: m.take(x, [[0, 1, 2], [4, -5, 4]], axis=1), True),
    "of long rows": ((3, 5, 67), lambda m, x: m.take(x, [2, 2, 0], axis=1), True),
    "of many rows": ((70, 5, 3), lambda m, x: m.take(x, [2, 2, 0], axis=1), True),
    "of a table": ((7, 4), lambda m, x: m.take(x, [[6, 0], [6, 6]], axis=0), False),
    "of a flat tensor": ((3, 4), lambda m, x: m.take(x, [11, 0, 11]), False),
    "along": ((3, 5, 4), lambda m, x: m.take_along_axis(x, np.array([[[4], [0], [4]]]), axis=1), True),
    "along the last axis": ((3, 5, 4), lambda m, x: m.take_along_axis(x, np.full((1, 5, 2), -1), axis=-1), True),
    "along a flat tensor": ((3, 4), lambda m, x: m.take_along_axis(x, np.array([11, 0, 11]), axis=None), False),
    "along the first axis": (
        (3, 2, 40),
        lambda m, x: m.take_along_axis(x, np.arange(320).reshape(4, 2, 40) % 3, axis=0),
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKES)
def test_elements_at_places(name: str, rng: np.random.Generator) -> None:
    shape, function, batched = TAKES[name]
    if not (name.startswith("along") and batched):
        check_selection(function, shape, rng, batched)
        return
    check_selection(function, shape, rng, batched=False)
    # Constant places have no batch: they are broadcast to it.
    x = rng.standard_normal(shape)
    net = of_batch(lambda x: function(ops, x), shape[1:])
    np.testing.assert_array_equal(net.predict(x), function(np, x))


def values_at_places(
    function: Callable[[Any, Any], Any], shape: tuple[int, ...], places: tuple[int, ...], dtype: str = "float64"
) -> nf.Network:
    """The function of two inputs: numbers, and places plus 100, since inputs of integers are not negative."""
    x, i = layers.Input(shape), layers.Input(places, dtype="int32")
    return nf.Network(inputs=[x, i], outputs=function(x, i - 100), dtype=dtype)


def test_places_of_each_row(rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 5, 4))
    for axis, shape in {1: (6, 3, 4), 2: (6, 5, 7), -1: (6, 1, 2), -2: (6, 9, 1)}.items():
        i = rng.integers(-x.shape[axis], x.shape[axis], shape)
        net = values_at_places(lambda x, i, a=axis: ops.take_along_axis(x, i, a), (5, 4), shape[1:])
        y, pullback = net.vjp([x, i + 100])
        wanted = np.take_along_axis(x, i, axis)
        np.testing.assert_array_equal(y, wanted)
        dy = rng.integers(-9, 10, wanted.shape).astype("float64")
        gradient = np.zeros_like(x)
        where = [np.broadcast_to(index, wanted.shape) for index in np.indices(wanted.shape, sparse=True)]
        where[axis] = np.broadcast_to(i, wanted.shape) % x.shape[axis]
        np.add.at(gradient, tuple(where), dy)
        np.testing.assert_array_equal(pullback(dy)[1][0], gradient)


def test_rows_of_a_table_by_number(rng: np.random.Generator) -> None:
    class Table(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.table = self.add_weight((9, 4), "normal", name="table")

        def call(self, i: Any) -> Any:
            return ops.take(self.table, i - 9, axis=0)

    i = layers.Input((2, 3), dtype="int32")
    net = nf.Network(inputs=i, outputs=Table(name="lookup")(i), dtype="float64")
    numbers = rng.integers(-9, 9, (5, 2, 3))
    y, pullback = net.vjp(numbers + 9)
    table = net.parameters["lookup.table"]
    np.testing.assert_array_equal(y, table[numbers])
    dy = rng.integers(-9, 10, y.shape).astype("float64")
    gradient = np.zeros_like(table)
    np.add.at(gradient, numbers, dy)
    np.testing.assert_array_equal(pullback(dy)[0]["lookup.table"], gradient)


def test_rows_of_the_batch(rng: np.random.Generator) -> None:
    """Rows by the number of another row, in batches of several sizes."""
    net = values_at_places(lambda x, i: ops.take(x, i, axis=0), (4,), (2,))
    one = values_at_places(lambda x, i: ops.take_along_axis(x, i, axis=0), (4,), (4,))
    for rows in (7, 3):
        x, i = rng.standard_normal((rows, 4)), rng.integers(-rows, rows, (rows, 2))
        y, pullback = net.vjp([x, i + 100])
        np.testing.assert_array_equal(y, x[i])
        np.testing.assert_array_equal(net.predict([x, i + 100]), x[i])
        gradient = np.zeros_like(x)
        np.add.at(gradient, i, 1.0)
        np.testing.assert_array_equal(pullback(np.ones_like(y))[1][0], gradient)
        i = rng.integers(0, rows, (rows, 4))
        np.testing.assert_array_equal(one.predict([x, i + 100]), np.take_along_axis(x, i, 0))


OUT_OF_RANGE: dict[str, tuple[Callable[[Any, Any], Any], Any, str]] = {
    "take": (lambda x, i: ops.take(x, i, axis=0), [[1, 2, 7]], r"from -5 to 4 .* 7 at \(0, 2\)"),
    "negative": (lambda x, i: ops.take(x, i, axis=0), [[0], [-6]], r"from -5 to 4 .* -6 at \(1, 0\)"),
    "along": (lambda x, i: ops.take_along_axis(x, i, 1), [[1], [0], [0], [3], [0]], r"from -3 to 2 .* 3 at \(3, 0\)"),
    "class": (lambda x, i: ops.one_hot(i, 5) + x[:, :, None], [[0, 1, 5]], r"from 0 to 4 .* 5 at \(0, 2\)"),
    "negative class": (lambda x, i: ops.one_hot(i, 5) + x[:, :, None], [[-1, 0, 0]], r"from 0 to 4 .* -1 at \(0, 0\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_places_out_of_range(name: str) -> None:
    function, indices, message = OUT_OF_RANGE[name]
    x, i = np.ones((5, 3)), np.zeros((5, len(indices[0])), int)
    i[: len(indices)] = indices
    net = values_at_places(function, (3,), i.shape[1:])
    with pytest.raises(ValueError, match=f"expected whole numbers {message}"):
        net.predict([x, i + 100])
    if "class" not in name:
        with pytest.raises(ValueError, match=f"expected whole numbers {message}"):
            function(x, i)


def test_places_that_are_no_whole_numbers() -> None:
    """As after arithmetic that cast() did not end."""
    for value in (np.nan, np.inf, 0.5, -0.5, 1e30):
        with pytest.raises(ValueError, match="expected whole numbers from -3 to 2 as indices, got"):
            _core.evaluate({"op": "take", "name": "take", "axis": 0}, [np.ones(3), np.array([value])], "float64")
    with pytest.raises(ValueError, match="an axis of at most 16777216 elements"):
        ops.take(np.zeros(2**24 + 1, "float32"), [0], axis=0)


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "real places": (lambda: ops.take(X, 1.0, axis=1), TypeError, r"expected integers as indices, got real .*cast\(x, "),
    "conditions": (lambda: ops.take(X, [True], axis=1), TypeError, "got boolean numbers; .* nf.ops.where"),
    "no axis": (lambda: ops.take(X, 1), ValueError, r"take: expected an axis for a tensor with a batch, \(N, 5, 3\)"),
    "bad axis": (lambda: ops.take(X, 1, 3), ValueError, r"take: expected an axis of \(N, 5, 3\), from -3 to 2, got 3"),
    "places with a batch": (
        lambda: ops.take(X, layers.Input((2,), dtype="int32"), 1),
        ValueError,
        r"take: expected indices without the batch axis, .* got \(N, 2\) for axis 1 of \(N, 5, 3\); for other places "
        "in each row use nf.ops.take_along_axis",
    ),
    "axes": (
        lambda: ops.take_along_axis(np.ones((2, 3)), [0], 1),
        ValueError,
        r"take_along_axis: expected indices with as many axes as \(2, 3\), got \(1,\)",
    ),
    "sizes": (lambda: ops.take_along_axis(X, np.zeros((1, 4, 1), int), 2), ValueError, r"\(1, 4, 1\) can be broadcast"),
    "real classes": (lambda: ops.one_hot([1.0], 2), TypeError, "one_hot: expected integers, got real numbers"),
    "no classes": (lambda: ops.one_hot([1], 0), ValueError, "one_hot: expected 1 class or more, got 0"),
    "axis of one_hot": (lambda: ops.one_hot(X > 0, 2, 0), ValueError, "one_hot: expected an axis behind the batch"),
    "k": (lambda: ops.top_k(X, 4), ValueError, r"k from 1 to the 3 elements of the last axis of \(N, 5, 3\), got 4"),
    "k = 0": (lambda: ops.top_k(np.ones(3), 0), ValueError, "expected a k from 1 to the 3 elements"),
    "sort the batch": (lambda: ops.sort(X, 0), ValueError, r"sort: expected an axis other than the batch of \(N, 5"),
    "sort a number": (lambda: ops.argsort(1.0), ValueError, r"argsort: expected an axis of \(\), but there is none"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        call()


# ---- one_hot -----------------------------------------------------------------------------------------


def test_one_hot(rng: np.random.Generator) -> None:
    x = rng.integers(0, 7, (4, 3, 2))
    wanted = np.eye(7)[x]
    for axis in range(-4, 4):
        np.testing.assert_array_equal(ops.one_hot(x, 7, axis), np.moveaxis(wanted, -1, axis))
    np.testing.assert_array_equal(ops.one_hot(np.array([True, False]), 2), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(ops.one_hot(3, 5), [0, 0, 0, 1, 0])
    i = layers.Input((3, 2), dtype="int32")
    net = nf.Network(inputs=i, outputs=ops.one_hot(i, 7, axis=1))
    np.testing.assert_array_equal(net.predict(x), np.moveaxis(wanted, -1, 1))


# ---- sorting -----------------------------------------------------------------------------------------


def awkward_rows(rng: np.random.Generator, rows: int, n: int, dtype: str) -> Array:
    """Numbers with ties, zeros of both signs, infinities, NaN, subnormal and huge ones."""
    limits = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, limits.tiny, -limits.tiny / 4, limits.max, -limits.max]
    x = rng.standard_normal((rows, n))
    return np.where(rng.random((rows, n)) < 0.5, x, rng.choice(special, (rows, n))).astype(dtype)


def ordered(x: Array, descending: bool = False) -> Array:
    """Places in stable order, NaN last: of keys that are the ranks of the numbers."""
    ranks = np.searchsorted(np.unique(x[~np.isnan(x)]), x)  # equal zeros have one rank
    keys = np.where(np.isnan(x), x.size, -ranks if descending else ranks)
    return np.argsort(keys, axis=-1, kind="stable")


@dtypes
@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 100, 511, 512, 513, 1500])
def test_sorting_is_stable_with_nan_last(n: int, dtype: str, rng: np.random.Generator) -> None:
    x = awkward_rows(rng, 4, n, dtype)
    places = ordered(x)
    np.testing.assert_array_equal(ops.argsort(x), places)
    assert ops.sort(x).tobytes() == np.take_along_axis(x, places, -1).tobytes()  # the sign of zero, too
    places = ordered(x, descending=True)
    for k in sorted({1, 2, 7, n // 16, n // 2, n}):
        if 0 < k <= n:
            values, indices = ops.top_k(x, k)
            np.testing.assert_array_equal(indices, places[:, :k])
            assert values.tobytes() == np.take_along_axis(x, places[:, :k], -1).tobytes()
            assert values.dtype == dtype


@pytest.mark.parametrize("n", [600, 70_000])
def test_rows_in_some_order_already(n: int) -> None:
    for x in (np.arange(n), np.arange(n)[::-1], np.zeros(n), np.arange(n) // 7 % 5, 1e-300 * np.arange(n)):
        np.testing.assert_array_equal(ops.argsort(1.0 * x), np.argsort(x, kind="stable"))
        np.testing.assert_array_equal(ops.top_k(1.0 * x, n // 20).indices, np.argsort(-x, kind="stable")[: n // 20])


def test_sorting_along_other_axes_and_of_integers(rng: np.random.Generator) -> None:
    x = rng.integers(0, 200, (3, 300, 4)).astype("uint8")
    for axis in (0, 1, 2, -2, None):
        values, indices = ops.sort(x, axis), ops.argsort(x, axis)
        assert values.dtype == "uint8"
        assert indices.dtype == "int64"
        np.testing.assert_array_equal(values, np.sort(x, axis))
        np.testing.assert_array_equal(indices, np.argsort(x, axis, kind="stable"))


def test_gradients_of_sorting(rng: np.random.Generator) -> None:
    x = rng.integers(0, 4, (5, 6, 7)).astype("float64")  # with ties
    for axis in (1, 2):
        places = np.argsort(x, axis, kind="stable")
        y, pullback = of_batch(lambda x, a=axis: ops.sort(x, a), (6, 7)).vjp(x)
        np.testing.assert_array_equal(y, np.take_along_axis(x, places, axis))
        dy = rng.standard_normal(y.shape)
        gradient = np.zeros_like(x)
        np.put_along_axis(gradient, places, dy, axis)
        np.testing.assert_array_equal(pullback(dy)[1], gradient)
    places = np.argsort(-x, -1, kind="stable")[..., :3]
    y, pullback = of_batch(lambda x: ops.top_k(x, 3).values, (6, 7)).vjp(x)
    gradient = np.zeros_like(x)
    np.put_along_axis(gradient, places, 1.0, -1)
    np.testing.assert_array_equal(pullback(np.ones_like(y))[1], gradient)


def test_places_have_no_gradient(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4))
    net = of_batch(lambda x: ops.argsort(x) * 2.0 + x, (4,))
    np.testing.assert_array_equal(net.vjp(x)[1](np.ones((3, 4)))[1], np.ones((3, 4)))
    # Values at the places of others: the gradient goes to the values alone.
    net = of_batch(lambda x: ops.take_along_axis(x * x, ops.argsort(x), 1), (4,))
    places = np.argsort(x, 1)
    y, pullback = net.vjp(x)
    np.testing.assert_array_equal(y, np.take_along_axis(x * x, places, 1))
    dy = rng.standard_normal(y.shape)
    gradient = np.zeros_like(x)
    np.put_along_axis(gradient, places, dy, 1)
    np.testing.assert_allclose(pullback(dy)[1], 2 * x * gradient, rtol=1e-15)


def test_networks_are_saved_and_loaded(tmp_path: Any, rng: np.random.Generator) -> None:
    x = layers.Input((8,))
    values, places = ops.top_k(x[:, ::-1], 4)
    y = ops.concatenate([values, ops.reshape(ops.one_hot(places, 8), (None, 32)), ops.take(x, [0, -1], axis=1)], 1)
    net = nf.Network(inputs=x, outputs=layers.Dense(2)(y))
    net.save(tmp_path / "network")
    given = rng.standard_normal((5, 8))
    np.testing.assert_array_equal(nf.Network.load(tmp_path / "network").predict(given), net.predict(given))


@pytest.mark.parametrize(
    "node",
    [
        {"op": "sort", "k": 2**62},
        {"op": "sort", "k": -1},
        {"op": "one_hot", "classes": 2**62},
        {"op": "one_hot", "classes": -1},
        {"op": "one_hot"},
        {"op": "one_hot", "clases": 3},
    ],
    ids=lambda node: str(node),
)
def test_descriptions_from_files_are_checked_before_anything_is_allocated(node: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^node: expected "):
        _core.infer({"name": "node", **node}, [(5, 3)], {0})


@dtypes
def test_the_number_of_threads_changes_no_bit(dtype: str, threads: None, rng: np.random.Generator) -> None:
    wide, long = rng.standard_normal((40, 30, 97)), rng.standard_normal((50_000, 2))
    rows = rng.integers(0, 30, 500)
    few = rng.integers(-3, 3, (50_000, 2))
    cases: list[tuple[list[Array], nf.Network]] = [
        ([wide], of_batch(function, (30, 97), dtype))
        for function in (
            lambda x: x[:, ::-3, 5:],
            lambda x: ops.take(x, rows, axis=1),
            lambda x: ops.sort(x, 1),
            lambda x: ops.top_k(x, 5).values,
        )
    ]
    # Sums over few places of the batch.
    few += 100
    cases.append(([long, few[:, :1]], values_at_places(lambda x, i: ops.take(x, i, axis=0), (2,), (1,), dtype)))
    cases.append(([long, few], values_at_places(lambda x, i: ops.take_along_axis(x, i, axis=0), (2,), (2,), dtype)))
    found = []
    for count in (1, 2, 3, 8):
        _core.set_num_threads(count)
        results = []
        for inputs, net in cases:
            y, pullback = net.vjp(
                [inputs[0].astype(dtype), *inputs[1:]] if len(inputs) > 1 else inputs[0].astype(dtype)
            )
            dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
            dx = pullback(dy)[1]
            results += [y.tobytes(), (dx[0] if isinstance(dx, list) else dx).tobytes()]
        found.append(results)
    assert all(results == found[0] for results in found[1:])
