"""Inputs of integers: which arrays they take, how they are read, and what they refuse."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import bits, duplicates, same

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

X = np.arange(21).reshape(7, 3)[::-1] % 11
Y = np.linspace(-1, 1, 14, dtype="float32").reshape(7, 2)


def network(dtype: Any = "int32", precision: str = "float32") -> nf.Network:
    """Dense layers take integers as the numbers that they are."""
    x = layers.Input((3,), dtype=dtype, name="ids")
    return nf.Network(inputs=x, outputs=layers.Dense(2)(layers.Dense(4, "tanh")(x)), seed=3, dtype=precision)


def pair(dtype: Any = "int32") -> nf.Network:
    """One input of integers and one of other numbers."""
    ids, x = layers.Input((3,), dtype=dtype, name="ids"), layers.Input((4,), name="x")
    joined = layers.Concatenate()([layers.Flatten()(layers.Embedding(11, 2)(ids)), x])
    return nf.Network(inputs=[ids, x], outputs=layers.Dense(2)(joined), seed=3)


INTEGERS: dict[str, Any] = {
    **{name: X.astype(name) for name in ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64")},
    "list": X.tolist(),
    "other byte order": X.astype(">i4"),
    "strides": np.repeat(X, 2, axis=1).astype("int32")[:, ::2],
    "column order": np.asfortranarray(X.astype("int64")),
    "read-only": np.frombuffer(X.astype("int32").tobytes(), "int32").reshape(7, 3),
}


@pytest.mark.parametrize("x", INTEGERS.values(), ids=INTEGERS)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_of_every_kind(x: Any, dtype: str) -> None:
    """As the same numbers do, as floats, in a network without integers; to the bit, along every way."""
    net, other = network(dtype), network(None)
    floats = X.astype("float32")
    assert net.predict(x).tobytes() == other.predict(floats).tobytes()
    assert net.predict(x, batch_size=2).tobytes() == other.predict(floats).tobytes()
    assert net.trace(x)["dense"].tobytes() == other.trace(floats)["dense"].tobytes()
    assert net.loss_and_gradients(x, Y, "mse")[0] == other.loss_and_gradients(floats, Y, "mse")[0]
    one, two = nf.Trainer(net, loss="mse"), nf.Trainer(other, loss="mse")
    assert one.train_on_batch(x, Y) == two.train_on_batch(floats, Y)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 3, "validation_split": 0.3}
    assert one.fit(x, Y, **options).history == two.fit(floats, Y, **options).history
    assert one.evaluate(x, Y) == two.evaluate(floats, Y)
    assert bits(dict(net.parameters)) == bits(dict(other.parameters))


def test_booleans_are_0_and_1() -> None:
    assert network().predict(X > 4).tobytes() == network().predict((X > 4).astype(int)).tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_they_are_read_in_place(dtype: str) -> None:
    x = X.astype(dtype)
    assert network().as_rows(x) is x
    assert network("int64").as_rows(x) is x


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("fuse", [True, False])
def test_rescaling_of_integers(dtype: str, fuse: bool) -> None:
    """Whether it is done while a batch is gathered or apart."""
    x = X.astype(dtype)
    net = nf.Network([layers.Input((3,), dtype="int32"), layers.Rescaling(0.25, -3.0), layers.ReLU()])
    np.testing.assert_array_equal(net.plan(7, fuse=fuse).predict(x), np.maximum(0.25 * X - 3, 0).astype("float32"))


def test_beside_another_input(rng: np.random.Generator) -> None:
    x = rng.normal(size=(7, 4)).astype("float32")
    found = set()
    for ids in (X.astype("uint8"), X.astype("int32"), X.astype("int64"), X.astype("int16"), X.tolist()):
        net = pair()
        trainer = nf.Trainer(net, loss="mse")
        loss = trainer.train_on_batch([ids, x], Y)
        history = trainer.fit([ids, x], Y, epochs=2, batch_size=3).history
        evaluated = trainer.evaluate({"ids": ids, "x": x}, Y)
        found.add((loss, str(history), str(evaluated), net.predict([ids, x]).tobytes(), *bits(dict(net.parameters))))
    assert len(found) == 1
    y, pullback = pair().vjp([X, x])
    dy = rng.normal(size=y.shape).astype("float32")
    d_ids, dx = pullback(dy)[1]
    assert d_ids.shape == X.shape
    assert not d_ids.any()
    kernel = pair().parameters["dense.kernel"]
    # Sums of two products around 1.
    np.testing.assert_allclose(dx, dy @ kernel[6:].T, rtol=0, atol=8 * np.finfo("float32").eps)


def test_gradient_by_integers_is_0() -> None:
    y, pullback = network().vjp(X)
    gradients, dx = pullback(np.ones_like(y))
    assert np.abs(gradients["dense.kernel"]).max() > 0
    assert dx.shape == X.shape
    assert not dx.any()


def test_rows_that_are_produced() -> None:
    class Produced:
        def __len__(self) -> int:
            return len(X)

        def take(self, rows: Array) -> Any:
            return X[rows], Y[rows]

    losses = [
        nf.Trainer(network(), loss="mse").fit(*data, epochs=2, batch_size=3).history["loss"]
        for data in ((Produced(),), (X, Y))
    ]
    assert losses[0] == losses[1]


def test_files_copies_and_texts(tmp_path: Path) -> None:
    net = pair("int64")
    assert repr(net.layers[0]) == "Input((3,), dtype='int64', name='ids')"
    assert repr(net.layers[1]) == "Input((4,), name='x')"
    assert "ids (Input, int64)" in net.summary()
    assert "x (Input) " in net.summary()
    assert [row["op"] for row in net.describe()][:2] == ["integer_input", "input"]
    x = [X, np.ones((7, 4))]
    for way, twin in duplicates(net, tmp_path, {}).items():
        assert [repr(layer) for layer in twin.layers] == [repr(layer) for layer in net.layers], way
        assert same(twin, net), way
        assert twin.predict(x).tobytes() == net.predict(x).tobytes(), way
        with pytest.raises(TypeError, match="integer dtype"):
            twin.predict([X + 0.5, x[1]])


def test_a_network_of_integers_within_another() -> None:
    inner = nf.Network([layers.Input((3,), dtype="int32"), layers.Embedding(11, 2)], name="inner", seed=1)
    ids = layers.Input((3,), dtype="int32")
    outer = nf.Network(inputs=ids, outputs=inner(ids))
    assert outer.predict(X).tobytes() == inner.predict(X).tobytes()


# ---- the largest integers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "largest"), [("float32", 1 << 24), ("float64", 1 << 53)])
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32"])
def test_integers_up_to_the_largest_are_exact(precision: str, largest: int, dtype: str) -> None:
    net = nf.Network([layers.Input((2,), dtype="int64"), layers.Flatten()], dtype=precision)
    most = min(largest, np.iinfo(dtype).max)
    x = np.array([[0, 1], [most - 1, most]], dtype)
    assert net.predict(x).tolist() == x.tolist()
    if most < largest:
        return
    wrong = np.array([[0, 1], [2, 3], [4, most + 1], [most + 2, 5]], dtype)
    match = f"input: expected integers from 0 to {largest} in x, got {largest + 1} in row 2; "
    for call in (net.predict, net.trace, net.vjp):
        with pytest.raises(ValueError, match=match):
            call(wrong)


def test_remedies_for_integers_out_of_range() -> None:
    net = nf.Network([layers.Input((2,), dtype="int64"), layers.Flatten()])
    wrong = np.array([[0, 1], [1 << 24, (1 << 24) + 1]])
    with pytest.raises(ValueError, match=re.escape('make the network with dtype="float64", or number tokens with')):
        net.predict(wrong)
    assert net.copy("float64").predict(wrong).tolist() == wrong.tolist()
    _, numbered = np.unique(wrong, return_inverse=True)
    assert net.predict(numbered.reshape(wrong.shape)).tolist() == [[0, 1], [2, 3]]
    for huge in (np.array([[1, 1 << 60]]), np.array([[1, (1 << 64) - 1]], "uint64")):
        with pytest.raises(ValueError, match=r"got \d{19,20} in row 0; number tokens with numpy\.unique"):
            net.predict(huge)
    negative = np.array([[3, 4], [5, -1], [-2, 0]])
    for x in (negative, negative.astype("int32"), negative.astype("int8")):
        with pytest.raises(ValueError, match=r"got -1 in row 1; count from 0, for example with x - x\.min\(\)"):
            net.predict(x)
    assert net.predict(negative - negative.min()).min() == 0


# ---- what is refused ---------------------------------------------------------------------------------

WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "float32": (X.astype("float32"), TypeError, r'ids: .* integer dtype.* in x, got float32; use x\.astype\("int32"\)'),
    "float64": (X.astype("float64"), TypeError, r'got float64; use x\.astype\("int32"\)'),
    "list": ((X / 2).tolist(), TypeError, r'got float64; use np\.asarray\(x\)\.astype\("int32"\)'),
    "text": (X.astype(str), TypeError, "<U"),
    "negative": (X - 1, ValueError, "got -1 in row 3; count from 0"),
    "negative of another size": ((X - 1).astype("int16"), ValueError, "got -1 in row 3; count from 0"),
    "shape": (
        X[:, :2],
        ValueError,
        r'got \(7, 2\); .*, or make the network with layers\.Input\(\(2,\), dtype="int32"\)',
    ),
    "empty": (X[:0], ValueError, "empty"),
    "masked": (np.ma.masked_array(X, X == 0), ValueError, "masked"),
}


@pytest.mark.parametrize(("x", "error", "match"), WRONG.values(), ids=WRONG)
def test_wrong_rows_change_nothing(x: Any, error: type[Exception], match: str) -> None:
    net = network()
    trainer = nf.Trainer(net, loss="mse")
    before = bits(dict(net.parameters))
    y = Y[: len(x)]
    calls: dict[str, Any] = {
        "predict": lambda: net.predict(x),
        "predict in batches": lambda: net.predict(x, batch_size=2),
        "trace": lambda: net.trace(x),
        "vjp": lambda: net.vjp(x),
        "loss_and_gradients": lambda: net.loss_and_gradients(x, y, "mse"),
        "train_on_batch": lambda: trainer.train_on_batch(x, y),
        "fit": lambda: trainer.fit(x, y, epochs=1),
        "evaluate": lambda: trainer.evaluate(x, y),
    }
    for name, call in calls.items():
        with pytest.raises(error, match=match):
            call()
        assert bits(dict(net.parameters)) == before, name


def test_floats_after_their_remedy() -> None:
    x = X.astype("float64")
    with pytest.raises(TypeError, match="use x") as caught:
        network().predict(x)
    remedy = re.search(r"x\.astype\([^)]*\)", str(caught.value))
    assert remedy
    assert network().predict(eval(remedy.group(), {"x": x})).tobytes() == network().predict(X).tobytes()


def test_the_core_checks_for_itself() -> None:
    plan = network().plan(7, keep=True)
    with pytest.raises(TypeError, match=r'ids: expected int32, int64 or uint8, got float32; use \.astype\("int32"\)'):
        plan.predict(X.astype("float32"))
    for x, text in ((X - 1, "got -1 in row 3; count from 0"), (X + (1 << 24), f"got {(1 << 24) + 7} in row 0; number")):
        for dtype in ("int32", "int64"):
            with pytest.raises(ValueError, match=f"ids: expected integers from 0 to {1 << 24} in x, {text}"):
                plan.run(x.astype(dtype), False)


@pytest.mark.parametrize("dtype", ["float32", "uint8", np.int16, "token", 5, object()])
def test_dtypes_that_inputs_do_not_have(dtype: Any) -> None:
    with pytest.raises(
        ValueError, match=r'Input: expected dtype "int32" or "int64", for integers, got .*; leave it out'
    ):
        layers.Input((3,), dtype=dtype)


def test_dtypes_as_numpy_writes_them() -> None:
    assert [layers.Input((3,), dtype=dtype).dtype for dtype in (np.int32, np.dtype("int64"), None)] == [
        "int32",
        "int64",
        None,
    ]


def test_integers_are_no_images() -> None:
    net = nf.Network([layers.Input((4, 4, 1), dtype="int32"), layers.Flatten(), layers.Dense(1)])
    x, y = np.ones((5, 4, 4, 1), "int32"), np.ones((5, 1))
    flip = nf.data.Augmentation(horizontal_flip=True)
    with pytest.raises(ValueError, match=r"augmentation: expected an input of images, got input of integers; make it"):
        nf.Trainer(net, loss="mse").fit(x, y, epochs=1, augmentation=flip)
    net = nf.Network([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)])
    nf.Trainer(net, loss="mse").fit(x, y, epochs=1, augmentation=flip)
