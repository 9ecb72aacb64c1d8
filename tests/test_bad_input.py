"""What bad input gets: an error that says where, what was expected, what came and how to mend it; nothing changes."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import nnfast as nf
from nnfast import layers


def network() -> nf.Network:
    return nf.Network([layers.Input((4,)), layers.Dense(5, "relu"), layers.Dense(3, "softmax")], seed=0)


X = np.linspace(-1, 1, 40, dtype="float32").reshape(10, 4)
Y = np.arange(10) % 3
NAN = np.where(np.arange(40).reshape(10, 4) == 25, np.nan, X).astype("float32")
INF = np.where(np.arange(40).reshape(10, 4) == 25, np.inf, X).astype("float32")

ROWS: dict[str, tuple[Any, type[Exception], str]] = {
    "too few features": (X[:, :3], ValueError, r"input: expected input \(N, 4\), got \(10, 3\); .*Input\(\(3,\)\)"),
    "one row without its axis": (X[0], ValueError, r"got \(4,\); for one row pass x\[None\]"),
    "too many axes": (X.reshape(10, 2, 2), ValueError, r"got \(10, 2, 2\); reshape it with x\.reshape\(-1, 4\)"),
    "a number": (1.0, ValueError, r"got \(\)"),
    "empty": (X[:0], ValueError, "empty"),
    "no features": (np.zeros((10, 0)), ValueError, r"got \(10, 0\)"),
    "NaN": (NAN, ValueError, "(?i)nan|finite"),
    "infinity": (INF, ValueError, "(?i)inf|finite"),
    "too large for float32": (X.astype("float64") * 1e300, ValueError, "(?i)inf|finite"),
    "object": (X.astype(object), TypeError, r"dtype object; convert it first.*astype"),
    "object with text": (
        np.where(np.arange(40).reshape(10, 4) == 25, "Paris", X.astype(object)),
        TypeError,
        r"got dtype object with 'Paris' in row 6, column 1; encode text as numbers",
    ),
    "object with None": (
        np.where(np.arange(40).reshape(10, 4) == 25, None, X.astype(object)),
        TypeError,
        r"with None in row 6, column 1; leave it out",
    ),
    "complex": (X.astype(complex), TypeError, r"complex128; take x\.real"),
    "text": (X.astype(str), TypeError, "<U"),
    "dates": (X.astype("int64").astype("datetime64[s]"), TypeError, "datetime"),
    "records": (np.zeros(10, dtype=[("a", "f4")]), TypeError, "'a'"),
    "None": (None, TypeError, "expected an array as x, got None$"),
    "a generator": ((row for row in X), TypeError, r"got a generator; collect its items with np\.stack\(list"),
    "a dict": ({"x": X}, ValueError, "unknown key of x 'x'; valid names: input"),
    "a name": ("x.npy", TypeError, "expected an array as x, got a str$"),
    "masked": (np.ma.masked_array(X, NAN != NAN), ValueError, "without masked elements, got 1, the first in row 6; "),
    "masked rows in a list": (list(np.ma.masked_array(X, NAN != NAN)), ValueError, "without masked elements, got 1"),
    "ragged": ([[1, 2, 3, 4], [1]], ValueError, "one shape in [xy], got lists of different lengths"),
}

TARGETS: dict[str, tuple[Any, type[Exception], str]] = {
    "too few": (Y[:9], ValueError, "each of the 10 rows of x, got 9 rows"),
    "a number": (1, ValueError, "a single number"),
    "label too large": (np.where(Y == 2, 3, Y), ValueError, "from 0 to 2, got 3; .*give the last layer 4 outputs"),
    "label negative": (Y - 1, ValueError, "class numbers from 0 to 2, got -1"),
    "label far beyond": (Y.astype("uint64") + 2**63, ValueError, "class numbers from 0 to 2"),
    "labels as floats": (Y.astype("float32"), ValueError, r'convert them with y\.astype\("int64"\)'),
    "labels with an axis too much": (Y.reshape(5, 2)[np.arange(10) // 2], ValueError, r"got \(10, 2\)"),
    "too many classes": (np.eye(4)[Y], ValueError, r"expected targets \(N, 3\).* give the last layer 4 outputs"),
    "probabilities above 1": (2 * np.eye(3)[Y], ValueError, "probabilities from 0 to 1"),
    "NaN": (np.full((10, 3), np.nan), ValueError, "row 0"),
    "object": (Y.astype(object), TypeError, "object"),
    "text": (Y.astype(str), TypeError, "<U"),
    "names of classes": (
        np.array(["cat", "dog", "emu"])[Y],
        TypeError,
        r"got dtype <U3 with 'cat' in row 0; number the classes with `classes, y = np\.unique\(y, return_inv",
    ),
    "names of classes as objects": (list(np.array(["cat", "dog", "emu"], dtype=object)[Y]), TypeError, r"np\.unique"),
    "None": (None, TypeError, "expected an array as y, got None"),
    "a generator": (iter(Y), TypeError, "expected an array as y, got a"),
    "masked": (np.ma.masked_array(Y, Y == 1), ValueError, "without masked elements, got 3, the first in row 1; "),
    "masked one-hot": (np.ma.masked_array(np.eye(3)[Y], np.eye(3)[Y] == 1), ValueError, "without masked elements"),
}


def unchanged(call: Callable[[nf.Network, nf.Trainer], Any], error: type[Exception], match: str) -> None:
    """`call` raises `error`, and parameters, optimizer and counters are as before."""
    net = network()
    trainer = nf.Trainer(net, loss="cross_entropy")
    trainer.fit(X, Y, epochs=1, batch_size=5)
    before, state = net.get_weights(), {name: s.copy() for name, s in trainer.plan.state().items()}
    count = trainer.iteration, trainer.epoch
    with pytest.raises(error, match=match):
        call(net, trainer)
    assert all(np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True))
    assert all(np.array_equal(s, state[name]) for name, s in trainer.plan.state().items())
    assert (trainer.iteration, trainer.epoch) == count
    assert np.isfinite(trainer.train_on_batch(X, Y))


@pytest.mark.parametrize(("x", "error", "match"), ROWS.values(), ids=ROWS)
def test_wrong_rows(x: Any, error: type[Exception], match: str) -> None:
    unchanged(lambda net, _: net.predict(x), error, match)
    unchanged(lambda net, _: net.trace(x), error, match)
    unchanged(lambda _, trainer: trainer.train_on_batch(x, Y), error, match)
    unchanged(lambda _, trainer: trainer.evaluate(x, Y), error, match)
    unchanged(lambda _, trainer: trainer.fit(x, Y, epochs=1, batch_size=1), error, match)
    unchanged(lambda _, trainer: trainer.fit(X, Y, epochs=1, batch_size=1, validation_data=(x, Y)), error, match)
    unchanged(lambda net, _: net.loss_and_gradients(x, Y, "cross_entropy"), error, match)


@pytest.mark.parametrize(("y", "error", "match"), TARGETS.values(), ids=TARGETS)
def test_wrong_targets(y: Any, error: type[Exception], match: str) -> None:
    unchanged(lambda _, trainer: trainer.train_on_batch(X, y), error, match)
    unchanged(lambda _, trainer: trainer.evaluate(X, y), error, match)
    unchanged(lambda _, trainer: trainer.fit(X, y, epochs=1, batch_size=1), error, match)
    unchanged(lambda net, _: net.loss_and_gradients(X, y, "cross_entropy"), error, match)


@pytest.mark.parametrize("x", [NAN, X[:0], X[0]], ids=["NaN", "empty", "without axis"])
def test_checking_gradients_on_wrong_rows(x: Any) -> None:
    unchanged(lambda net, _: nf.check_gradients(net, x, Y, "cross_entropy"), ValueError, "x|input")


def test_the_row_is_named() -> None:
    unchanged(lambda _, trainer: trainer.fit(NAN, Y, epochs=1, batch_size=5), ValueError, "row 6, column 1; ")


WEIGHTS: dict[str, tuple[Any, type[Exception], str]] = {
    "too few": (np.ones(9), ValueError, r"each of the 10 rows, got shape \(9,\)"),
    "with an axis too much": (np.ones((10, 1)), ValueError, r"\(10, 1\)"),
    "negative": (-np.ones(10), ValueError, "non-negative"),
    "NaN": (np.full(10, np.nan), ValueError, "finite"),
    "text": (np.full(10, "1"), TypeError, "<U1"),
    "masked": (
        np.ma.masked_array(np.ones(10), Y == 1),
        ValueError,
        "without masked elements, got 3, the first in row 1",
    ),
}


@pytest.mark.parametrize(("weight", "error", "match"), WEIGHTS.values(), ids=WEIGHTS)
def test_wrong_sample_weights(weight: Any, error: type[Exception], match: str) -> None:
    unchanged(lambda _, trainer: trainer.train_on_batch(X, Y, weight), error, match)
    unchanged(lambda _, trainer: trainer.fit(X, Y, epochs=1, batch_size=5, sample_weight=weight), error, match)
    unchanged(lambda _, trainer: trainer.evaluate(X, Y, weight), error, match)


def test_targets_that_miss_a_flatten_or_one_hot() -> None:
    pictures = np.zeros((10, 2, 4), dtype="float32")
    rows = nf.Network([layers.Input((2, 4)), layers.Dense(3, "softmax")])
    for y in (Y, np.eye(3)[Y]):
        with pytest.raises(ValueError, match=r"expected targets \(N, 2, 3\).*add layers\.Flatten\(\)"):
            nf.Trainer(rows, loss="cross_entropy").train_on_batch(pictures, y)
    with pytest.raises(ValueError, match=r"np\.eye\(3\)\[y\]"):
        nf.Trainer(network(), loss="mse").train_on_batch(X, Y)


FIT: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no batch": ({"batch_size": 0}, ValueError, "batch_size >= 1"),
    "half a batch": ({"batch_size": 2.5}, TypeError, "integer as batch_size"),
    "no epochs": ({"epochs": 0}, ValueError, "epochs >= 1"),
    "split of all": ({"validation_split": 1.0}, ValueError, "validation_split"),
    "split of nothing": ({"validation_split": 0.01}, ValueError, "rows on both sides"),
    "split and data": ({"validation_split": 0.5, "validation_data": (X, Y)}, ValueError, "both"),
    "validation without targets": ({"validation_data": (X,)}, ValueError, r"\(x, y\)"),
    "validation of another length": ({"validation_data": (X, Y[:3])}, ValueError, "got 3 rows"),
    "unknown class to weigh": ({"class_weight": {3: 1.0}}, ValueError, "from 0 to 2, got 3"),
    "half a class to weigh": ({"class_weight": {0.5: 1.0}}, ValueError, r"from 0 to 2, got 0\.5"),
    "no number as class": ({"class_weight": {float("nan"): 1.0}}, ValueError, "from 0 to 2, got nan"),
    "infinity as class": ({"class_weight": {np.inf: 1.0}}, ValueError, "from 0 to 2, got inf"),
    "text as class": ({"class_weight": {"0": 1.0}}, ValueError, "from 0 to 2, got '0' of type str"),
    "None as class": ({"class_weight": {None: 1.0}}, ValueError, "got None of type NoneType"),
    "weights that overflow together": (
        {"class_weight": {0: 1e30}, "sample_weight": np.full(10, 1e30)},
        ValueError,
        "sample_weight: expected finite numbers",
    ),
    "negative class weight": ({"class_weight": {0: -1.0}}, ValueError, "non-negative"),
    "class weights as list": ({"class_weight": [1, 2, 3]}, TypeError, r"dict of class number to weight, got \[1"),
    "class weight as text": ({"class_weight": {0: "1"}}, TypeError, "weight of class 0, got '1'"),
    "class as callback": ({"callbacks": [nf.callbacks.EarlyStopping]}, TypeError, r"; write EarlyStopping\(\)$"),
}


@pytest.mark.parametrize(("options", "error", "match"), FIT.values(), ids=FIT)
def test_wrong_options_of_fit(options: dict[str, Any], error: type[Exception], match: str) -> None:
    given = {"epochs": 1, "batch_size": 5, **options}
    unchanged(lambda _, trainer: trainer.fit(X, Y, **given), error, match)


@pytest.mark.parametrize("batch_size", [10, 11, 32, 2**62])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_batch_larger_than_the_data_is_all_of_them(batch_size: int, drop_last: bool) -> None:
    nets = [network(), network()]
    nf.Trainer(nets[0], loss="cross_entropy").fit(X, Y, epochs=2, batch_size=10)
    nf.Trainer(nets[1], loss="cross_entropy").fit(X, Y, epochs=2, batch_size=batch_size, drop_last=drop_last)
    assert nets[0].flat().tobytes() == nets[1].flat().tobytes()


def test_bools_are_zeros_and_ones() -> None:
    """As rows, one-hot targets, classes and weights."""
    net = network()
    trainer = nf.Trainer(net, loss="cross_entropy")
    x, hot, two, kept = X > 0, np.eye(3)[Y] > 0, Y > 1, Y != 2
    assert (net.predict(x) == net.predict(x.astype("float32"))).all()
    assert (net.predict(x[:, ::-1]) == net.predict(x[:, ::-1].astype("float32"))).all()
    assert (net.predict(x.tolist()) == net.predict(x.astype("float32"))).all()
    assert trainer.evaluate(x, hot) == trainer.evaluate(x.astype("float32"), np.eye(3, dtype="float32")[Y])
    assert trainer.evaluate(x, two, kept) == trainer.evaluate(x, two.astype("int64"), kept.astype("float32"))


def test_masked_arrays_without_a_masked_element_pass() -> None:
    net = network()
    trainer = nf.Trainer(net, loss="cross_entropy")
    x, y = np.ma.masked_array(X), np.ma.masked_array(Y, np.zeros(10, dtype=bool))
    assert (net.predict(x) == net.predict(X)).all()
    assert trainer.evaluate(x, y, np.ma.ones(10)) == trainer.evaluate(X, Y)
    assert np.isfinite(trainer.train_on_batch(x, y))


MASKED = np.ma.masked_array(X[:3, :3].astype("float64"), np.eye(3) > 0)


class Masking(nf.initializers.Initializer):
    def __call__(self, shape: Any, seed: int, stream: int) -> Any:
        return np.ma.masked_array(np.zeros(shape), mask=True)


class MaskingLoss(nf.losses.CustomLoss):
    def value(self, target: Any, prediction: Any) -> Any:
        return np.ma.masked_array(np.zeros(len(target)), mask=True)


TAKES_ARRAYS: dict[str, Callable[[], Any]] = {
    "own initializer": lambda: nf.Network([layers.Input((3,)), layers.Dense(3, kernel_initializer=Masking())]),
    "own loss": lambda: nf.Trainer(network(), loss=MaskingLoss()).evaluate(X, np.eye(3)[Y]),
    "loss, prediction": lambda: nf.losses.MeanSquaredError()(X[:3, :3], MASKED),
    "loss, target": lambda: nf.losses.MeanSquaredError()(MASKED, X[:3, :3]),
    "loss, weight": lambda: nf.losses.MeanSquaredError()(X[:3, :3], X[:3, :3], MASKED[0]),
    "metric": lambda: nf.metrics.get("mae").evaluate(MASKED, X[:3, :3]),
    "initializer": lambda: layers.Dense(3, kernel_initializer=MASKED),
    "initializer as list": lambda: layers.Dense(3, bias_initializer=list(MASKED[0])),
    "set_weights": lambda: make(lambda: layers.Input((3,)), lambda: layers.Dense(3))().set_weights(
        [MASKED, np.zeros(3)]
    ),
    "kernel": lambda: nf.kernels.matmul(MASKED, MASKED),
    "kernel, activation": lambda: nf.kernels.activation_forward("relu", MASKED),
    "explain": lambda: network().explain(np.ma.masked_array(X[:1], X[:1] < 0), 1, "cross_entropy"),
    "check_gradients": lambda: nf.check_gradients(network(), np.ma.masked_array(X, X < 0), Y, "cross_entropy"),
    "validation data": lambda: nf.Trainer(network(), loss="cross_entropy").fit(
        X, Y, epochs=1, validation_data=(np.ma.masked_array(X, X < 0), Y)
    ),
    "idx file": lambda: nf.data.write_idx("/nowhere/masked.idx", MASKED),
}


@pytest.mark.parametrize("call", TAKES_ARRAYS.values(), ids=TAKES_ARRAYS)
def test_no_mask_is_lost(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"masked elements"):
        call()


def test_the_advice_for_names_of_classes_works() -> None:
    names = np.array(["cat", "dog", "emu"])[Y]
    classes, y = np.unique(names, return_inverse=True)
    trainer = nf.Trainer(network(), loss="cross_entropy", metrics=["accuracy"])
    trainer.fit(X, y, epochs=1)
    assert (classes[y] == names).all()


def test_arrays_that_are_fine() -> None:
    """Not contiguous and read-only arrays are used; the network sees the same numbers."""
    wide = np.repeat(X, 2, axis=1)
    frozen = X.copy()
    frozen.flags.writeable = False
    trainers = [nf.Trainer(network(), loss="cross_entropy") for _ in range(4)]
    forms = [X, wide[:, ::2], np.asfortranarray(X), frozen]
    losses = [trainer.train_on_batch(x, Y) for trainer, x in zip(trainers, forms, strict=True)]
    assert len(set(losses)) == 1
    losses = [
        trainer.fit(x, Y, epochs=2, batch_size=5).history["loss"][-1]
        for trainer, x in zip(trainers, forms, strict=True)
    ]
    assert len(set(losses)) == 1


def make(*chain: Any, **options: Any) -> Callable[[], nf.Network]:
    return lambda: nf.Network([layer() for layer in chain], **options)


def two_inputs() -> nf.Network:
    a, b = layers.Input((2,)), layers.Input((2,))
    return nf.Network(inputs=a, outputs=a + b)


def wrong(value: Any) -> Any:
    """A value whose type is part of the mistake."""
    return value


def given_input() -> layers.Input:
    return layers.Input((4,))


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "unknown activation": (lambda: layers.Dense(1, "rellu"), ValueError, "'rellu'; did you mean 'relu'"),
    "activation as function": (lambda: layers.Dense(1, np.tanh), TypeError, "CustomLayer"),
    "unknown loss": (lambda: nf.Trainer(network(), loss="crosentropy"), ValueError, "did you mean 'cross_entropy'"),
    "loss as class": (lambda: nf.Trainer(network(), loss=nf.losses.CrossEntropy), TypeError, r"CrossEntropy\(\)"),
    "unknown optimizer": (
        lambda: nf.Trainer(network(), loss="cross_entropy", optimizer="adm"),
        ValueError,
        "'adm'; did you mean 'adam'",
    ),
    "unknown metric": (
        lambda: nf.Trainer(network(), loss="cross_entropy", metrics=["acuracy"]),
        ValueError,
        "did you mean 'accuracy'",
    ),
    "metric as text": (lambda: nf.Trainer(network(), loss="cross_entropy", metrics="accuracy"), TypeError, "list"),
    "metric twice": (
        lambda: nf.Trainer(network(), loss="cross_entropy", metrics=["accuracy", "accuracy"]),
        ValueError,
        "twice",
    ),
    "no network": (lambda: nf.Trainer(wrong([]), loss="mse"), TypeError, "expected a Network"),
    "cross-entropy without softmax": (
        lambda: nf.Trainer(make(given_input, lambda: layers.Dense(3))(), loss="cross_entropy"),
        ValueError,
        "(?s)softmax.*from_logits|from_logits.*softmax",
    ),
    "logits after softmax": (
        lambda: nf.Trainer(network(), loss=nf.losses.CrossEntropy(from_logits=True)),
        ValueError,
        "(?s)softmax.*from_logits|from_logits.*softmax",
    ),
    "binary cross-entropy without sigmoid": (
        lambda: nf.Trainer(make(given_input, lambda: layers.Dense(1))(), loss="binary_cross_entropy"),
        ValueError,
        "sigmoid",
    ),
    "cross-entropy of a sigmoid": (
        lambda: nf.Trainer(make(given_input, lambda: layers.Dense(1, "sigmoid"))(), loss="cross_entropy"),
        ValueError,
        "use the loss binary_cross_entropy",
    ),
    "binary cross-entropy of a softmax": (
        lambda: nf.Trainer(network(), loss="binary_cross_entropy"),
        ValueError,
        "use the loss cross_entropy",
    ),
    "no input first": (make(lambda: layers.Dense(2)), ValueError, r"layers\.Input\(shape\) as the first"),
    "no layers": (make(), ValueError, "no layers"),
    "a second input": (make(given_input, given_input), ValueError, "one Input"),
    "not a layer": (make(given_input, lambda: "dense"), TypeError, "expected layers, got 'dense'"),
    "neither chain nor graph": (lambda: nf.Network(), ValueError, "either"),
    "chain and graph": (lambda: nf.Network([given_input()], inputs=given_input()), ValueError, "either"),
    "an input left out": (two_inputs, ValueError, "add it to inputs="),
    "unrelated ends": (lambda: nf.Network(inputs=given_input(), outputs=given_input()), ValueError, "depend"),
    "array as tensor": (lambda: layers.Dense(2)(wrong(np.ones((2, 2)))), TypeError, r"Network\.predict"),
    "name twice": (
        make(given_input, lambda: layers.Dense(2, name="a"), lambda: layers.Dense(2, name="a")),
        ValueError,
        "'a' twice",
    ),
    "name with a dot": (
        lambda: layers.Dense(2, name="a.b"),
        ValueError,
        "letters, digits, _, -, / and spaces, .*'a.b'",
    ),
    "name that is long": (lambda: layers.Dense(2, name="a" * 101), ValueError, "a name of at most 100 letters"),
    "name of optimizers": (lambda: layers.Dense(2, name="optimizer/a"), ValueError, "begins .* not with optimizer/"),
    "no units": (lambda: layers.Dense(0), ValueError, "units >= 1, got 0"),
    "units as float": (lambda: layers.Dense(wrong(2.0)), TypeError, "integer as units"),
    "units as bool": (lambda: layers.Dense(True), TypeError, "integer as units"),
    "misspelled name of another library": (
        lambda: nf.Trainer(network(), loss="sparse_categorical_crosentropy"),
        ValueError,
        "did you mean 'cross_entropy'",
    ),
    "class as activation": (lambda: layers.Dense(1, layers.ReLU), TypeError, r"write ReLU\(\)"),
    "class as layer": (make(given_input, lambda: layers.Dense), TypeError, r"write Dense\(\.\.\.\)"),
    "a layer instead of a list": (lambda: nf.Network(wrong(layers.Dense(2))), TypeError, r"write Network\(\["),
    "first values of another shape": (
        make(given_input, lambda: layers.Dense(2, kernel_initializer=np.ones((2, 2)))),
        ValueError,
        r"dense\.kernel: .*\(4, 2\), got \(2, 2\)",
    ),
    "rate of 1": (lambda: layers.Dropout(1.0), ValueError, "0 <= rate < 1"),
    "NaN as scale": (lambda: layers.Rescaling(float("nan")), ValueError, "finite"),
    "shape of zeros": (lambda: layers.Input((0,)), ValueError, "size in shape"),
    "reshape that does not fit": (make(given_input, lambda: layers.Reshape((3,))), ValueError, "reshape"),
    "reshape with a rest": (make(given_input, lambda: layers.Reshape((3, -1))), ValueError, "reshape"),
    "two free sizes": (lambda: layers.Reshape((-1, -1)), ValueError, "at most one -1"),
    "batch axis": (lambda: layers.Concatenate(axis=0), ValueError, "batch axis"),
    "sum of different shapes": (lambda: given_input() + layers.Input((5,)), ValueError, "add"),
    "unknown parameter to train": (
        make(given_input, lambda: layers.Dense(2, trainable=("kernal",))),
        ValueError,
        "parameter of dense in trainable 'kernal'; did you mean 'kernel'",
    ),
    "unknown dtype": (lambda: nf.Network([given_input()], dtype="float16"), ValueError, "float16"),
    "negative seed": (lambda: nf.Network([given_input()], seed=-1), ValueError, "seed >= 0"),
    "negative learning rate": (lambda: nf.optimizers.SGD(-1.0), ValueError, "learning_rate"),
    "learning rate as text": (lambda: nf.optimizers.Adam(wrong("fast")), TypeError, "learning_rate"),
    "momentum of 1": (lambda: nf.optimizers.SGD(0.1, momentum=1.0), ValueError, "momentum"),
    "Nesterov's form without momentum": (lambda: nf.optimizers.SGD(nesterov=True), ValueError, "momentum above 0"),
    "network's name": (lambda: nf.Network([given_input()], name=wrong(5)), TypeError, "string as name, got 5"),
    "no dtype": (lambda: nf.Network([given_input()], dtype=None), ValueError, '"float32" or "float64", got None'),
    "list as activation": (lambda: layers.Dense(1, wrong(["relu"])), TypeError, r"a name, got \['relu'\]"),
    "dense as activation": (lambda: layers.Dense(1, layers.Dense(1, "tanh")), TypeError, "activation: expected a name"),
    "number as names to train": (lambda: layers.Dense(1, trainable=wrong(3)), TypeError, "Dense: expected trainable"),
    "texts as first values": (
        lambda: layers.Dense(1, kernel_initializer=["1"]),
        TypeError,
        "Given: expected values of real",
    ),
    "monitor as number": (lambda: nf.callbacks.EarlyStopping(wrong(3)), TypeError, "as monitor.*got 3"),
    "condition on a number": (lambda: nf.callbacks.TerminateOnCondition(wrong(3), 1.0), TypeError, "as monitor"),
    "boundary alone": (lambda: nf.schedules.Piecewise(wrong(5), [1, 2]), TypeError, "sequence of boundaries, got 5"),
    "value alone": (lambda: nf.schedules.Piecewise([5], wrong(1.0)), TypeError, "sequence of values, got 1.0"),
    "gradients of nothing": (lambda: nf.check_gradients(wrong(5), X, Y, "mse"), TypeError, "a Network, got int"),
    "tolerance as text": (
        lambda: nf.check_gradients(network(), X, Y, "cross_entropy", tolerance=wrong("x")),
        TypeError,
        "tolerance",
    ),
    "explanation of a number": (lambda: network().explain(1.0, 1, "cross_entropy"), ValueError, "one example"),
    "complex weights": (
        lambda: network().set_weights([v * 1j for v in network().get_weights()]),
        TypeError,
        "set_weights: dense.kernel: expected values of real numbers",
    ),
    "one branch's size": (
        lambda: nf.models.inception_block(layers.Input((8, 8, 3)), 4, wrong((4,)), (4, 4), 4),
        ValueError,
        r"filters_3x3 as two numbers of filters, got \(4,\)",
    ),
    "kernel of two sizes": (
        lambda: nf.models.convolution(layers.Input((8, 8, 3)), 4, wrong((3, 3))),
        TypeError,
        "integer as kernel_size",
    ),
    "strides of two sizes": (
        lambda: nf.models.residual_block(layers.Input((8, 8, 3)), 4, wrong((2, 2))),
        TypeError,
        "integer as strides",
    ),
}


@pytest.mark.parametrize(("make", "error", "match"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_building(make: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_a_reshape_with_a_rest_does_not_advise_what_is_there() -> None:
    with pytest.raises(ValueError, match=r"4 elements in all, as the input \(N, 4\) has, got \(N, 3, -1\)$"):
        nf.Network([given_input(), layers.Reshape((3, -1))])


@pytest.mark.parametrize("targets", [[[2.0], [0.0]], [[-1.0], [0.0]], [[0.5], [1.0]], [2.0, 0.0]])
def test_class_weights_of_one_output_want_classes(targets: Any) -> None:
    """A target of -1 is not the last class, and 2 is no class at all."""
    net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    before = net.flat().copy()
    with pytest.raises(ValueError, match="class_weight: expected targets of 0 and 1"):
        nf.Trainer(net, loss="mse").fit([[1.0], [2.0]], targets, epochs=1, batch_size=2, class_weight={1: 100.0})
    assert (net.flat() == before).all()


@pytest.mark.parametrize(
    ("class_weight", "weights"),
    [
        ({0: 1.0, 1: 10.0}, [1, 1, 1, 10]),
        ({False: 1.0, True: 10.0}, [1, 1, 1, 10]),
        ({np.False_: 1.0, np.True_: 10.0}, [1, 1, 1, 10]),
        ({False: 10.0}, [10, 10, 10, 1]),
        ({0.0: 1.0, 1.0: 10.0}, [1, 1, 1, 10]),
        ({np.float32(1.0): 10.0}, [1, 1, 1, 10]),
        ({np.int8(1): np.float32(10.0)}, [1, 1, 1, 10]),
        ({}, [1, 1, 1, 1]),
    ],
)
@pytest.mark.parametrize("dtype", ["int64", "float64", "bool", "uint8"])
def test_class_weights_by_any_equal_key(class_weight: dict[Any, float], weights: list[float], dtype: str) -> None:
    """As in a dict, where False, 0 and 0.0 are one key. The loss of a network that says 1/2 is log 2 a row."""
    net = nf.Network([layers.Input((1,)), layers.Dense(1, "sigmoid", kernel_initializer="zeros")], dtype="float64")
    trainer = nf.Trainer(net, loss="binary_cross_entropy", optimizer=nf.optimizers.SGD(0.0))
    y = np.array([0, 0, 0, 1]).astype(dtype)
    history = trainer.fit(np.zeros((4, 1)), y, epochs=1, class_weight=class_weight)
    assert history["loss"] == pytest.approx([np.mean(weights) * np.log(2)], rel=1e-14)


def test_class_weights_and_sample_weights_multiply() -> None:
    """For class numbers, one-hot rows and rows of probabilities."""
    labels, own = np.array([0, 2, 1, 2]), np.array([1.0, 0.5, 2.0, 0.0])
    wanted = np.log(3) * np.mean(own * np.array([3.0, 7.0, 1.0, 7.0]))
    for y in (labels, np.eye(3)[labels], 0.9 * np.eye(3)[labels] + 0.1 / 3):
        net = nf.Network([layers.Input((1,)), layers.Dense(3, "softmax", kernel_initializer="zeros")], dtype="float64")
        trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.SGD(0.0))
        history = trainer.fit(np.ones((4, 1)), y, epochs=1, sample_weight=own, class_weight={0: 3.0, 2: 7.0})
        assert history["loss"] == pytest.approx([wanted], rel=1e-13)


@pytest.mark.parametrize("y", [[[1.0, 1.0], [0.0, 0.0]], [[2.5, -1.5], [0.0, 1.0]], [[3.0, 4.0], [5.0, 6.0]]])
def test_rows_of_several_classes_or_none_have_no_class_weight(y: Any) -> None:
    net = nf.Network([layers.Input((1,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"one class per row.*use sample_weight"):
        nf.Trainer(net, loss="mse").fit([[1.0], [2.0]], y, epochs=1, class_weight={1: 5.0})


def test_rows_of_several_answers_have_no_class_weight() -> None:
    """Class numbers may sum to 1, as one-hot rows do."""
    net = nf.Network([layers.Input((2, 1)), layers.Dense(3, "softmax")])
    trainer = nf.Trainer(net, loss="cross_entropy")
    x, labels = np.ones((2, 2, 1)), np.array([[0, 1], [1, 0]])
    for y, shape in ((labels, r"\(2, 2\)"), (np.eye(3)[labels], r"\(2, 2, 3\)")):
        with pytest.raises(ValueError, match=f"expected one class per row, got targets {shape}; use sample_weight"):
            trainer.fit(x, y, epochs=1, class_weight={1: 5.0})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_labels_of_every_integer_dtype(dtype: str) -> None:
    """Also above 255 and 32767, where a narrower type would wrap around; each class has a probability of its own."""
    classes = 40000
    y = np.array([0, 100, 255, 256, 300, 32767, 32768, 39999])
    y = y[y <= np.iinfo(dtype).max]
    bias = np.linspace(-1, 1, classes)
    net = nf.Network(
        [layers.Input((1,)), layers.Dense(classes, "softmax", True, "zeros", bias_initializer=bias)], dtype="float64"
    )
    wanted = np.log(np.exp(bias).sum()) - bias[y].mean()
    loss = nf.Trainer(net, loss="cross_entropy").evaluate(np.ones((len(y), 1)), y.astype(dtype))["loss"]
    assert loss == pytest.approx(wanted, rel=1e-12)


def test_numbers_that_another_dtype_cannot_hold() -> None:
    net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer=1e300)], dtype="float64")
    with pytest.raises(ValueError, match=r"dense\.kernel: .*too large for float32"):
        net.copy("float32")
    narrow = nf.Network([layers.Input((1,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="NaN or infinity"):
        narrow.set_weights(net.get_weights())


def test_a_rate_that_overflows_names_its_step() -> None:
    schedule = nf.schedules.Exponential(1.0, steps=1, factor=10.0)
    assert schedule(1000) == np.inf
    with pytest.raises(ValueError, match="rate at step 1000"):
        nf.optimizers.SGD(schedule).rate(1000)


@pytest.mark.parametrize("number", [np.float32(0.5), np.int64(2), np.float64(0.25), 3])
def test_any_real_number_is_an_initializer(number: Any) -> None:
    assert nf.initializers.get(number)((2,), seed=0, stream=0).tolist() == [number, number]


def test_options_of_an_optimizer_are_fixed() -> None:
    adam = nf.optimizers.Adam()
    adam.learning_rate = 0.5
    with pytest.raises(AttributeError, match="beta_1 is fixed"):
        adam.beta_1 = 0.5
    with pytest.raises(ValueError, match="learning_rate"):
        adam.learning_rate = float("inf")


DTYPES = st.one_of(
    hnp.scalar_dtypes(), hnp.unicode_string_dtypes(), hnp.byte_string_dtypes(), st.just(np.dtype(object))
)


@given(data=st.data())
def test_no_array_does_harm(data: st.DataObject) -> None:
    """Whatever NumPy can make: a result or one of the three errors, never a crash or a changed network."""
    net = network()
    before = net.get_weights()
    trainer = nf.Trainer(net, loss="cross_entropy")
    shape = data.draw(st.one_of(st.just((3, 4)), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
    x = data.draw(hnp.arrays(data.draw(DTYPES), shape))
    y = data.draw(hnp.arrays(data.draw(DTYPES), st.one_of(st.just((3,)), st.just((3, 3)), st.just(shape))))
    strided = x[tuple(slice(None, None, -1) for _ in shape)]
    for call in (net.predict, net.trace):
        for array in (x, strided):
            with contextlib.suppress(ValueError, TypeError):
                call(array)
    for array in (x, strided):
        for train in (trainer.train_on_batch, trainer.evaluate):
            try:
                train(array, y)
            except (ValueError, TypeError, RuntimeError):
                assert all(np.isfinite(w).all() for w in net.get_weights())
    if trainer.iteration == 0:
        assert all(np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True))
