"""Names: those of other libraries are taken or explained, misspelled ones are answered with the nearest."""

from __future__ import annotations

import gc
import importlib
import inspect
import pickle
import pydoc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import activations, initializers, layers, losses, metrics, optimizers


@pytest.mark.parametrize(
    ("get", "names", "wanted"),
    [
        (losses.get, ["mean_squared_error", "MeanSquaredError", "MSE", "mse_loss"], losses.MeanSquaredError),
        (losses.get, ["mean_absolute_error", "MAE", "L1Loss"], losses.MeanAbsoluteError),
        (losses.get, ["binary_crossentropy", "BinaryCrossentropy", "bce"], losses.BinaryCrossEntropy),
        (losses.get, ["Huber", "huber_loss"], losses.Huber),
        (
            losses.get,
            ["categorical_crossentropy", "sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"],
            losses.CrossEntropy,
        ),
        (optimizers.get, ["SGD", "Sgd", "sgd"], optimizers.SGD),
        (optimizers.get, ["Adam", "ADAM"], optimizers.Adam),
        (optimizers.get, ["RMSprop", "RMSProp", "rms_prop"], optimizers.RMSprop),
        (optimizers.get, ["AdamW", "adamw", "adam_w"], optimizers.AdamW),
        (optimizers.get, ["NAdam", "nadam"], optimizers.Nadam),
        (optimizers.get, ["LAMB", "lamb"], optimizers.Lamb),
        (optimizers.get, ["LBFGS", "L-BFGS"], optimizers.LBFGS),
        (optimizers.get, ["AdaGrad", "adagrad"], optimizers.Adagrad),
        (optimizers.get, ["AdaDelta", "ada_delta"], optimizers.Adadelta),
        (metrics.get, ["acc", "Accuracy", "sparse_categorical_accuracy"], metrics.Accuracy),
        (initializers.get, ["GlorotUniform", "xavier_uniform"], initializers.GlorotUniform),
        (initializers.get, ["he_normal", "HeNormal", "kaiming_normal"], initializers.HeNormal),
        (initializers.get, ["zero", "Zeros"], initializers.Zeros),
    ],
)
def test_names_of_other_libraries_are_taken(get: Callable[[Any], Any], names: list[str], wanted: type) -> None:
    for name in names:
        assert type(get(name)) is wanted, name


def test_metric_of_a_loss_by_its_other_name() -> None:
    metric = metrics.get("mean_absolute_error")
    assert isinstance(metric, metrics.LossMetric)
    assert isinstance(metric.loss, losses.MeanAbsoluteError)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("ReLU", "relu"), ("LeakyReLU", "leaky_relu"), ("Swish", "silu"), ("linear", "identity"), ("SiLU", "silu")],
)
def test_activation_in_any_case(name: str, wanted: str) -> None:
    assert activations.get(name) == activations.get(wanted)


def test_spelling_is_not_free_where_names_are_the_users() -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(1)], seed=0)
    with pytest.raises(ValueError, match="'Dense'; did you mean 'dense'"):
        net.get_layer("Dense")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("MaxPooling1D", "MaxPool1D"),
        ("MaxPooling2D", "MaxPool2D"),
        ("AveragePooling1D", "AvgPool1D"),
        ("AveragePooling2D", "AvgPool2D"),
        ("GlobalMaxPooling1D", "GlobalMaxPool1D"),
        ("GlobalMaxPooling2D", "GlobalMaxPool2D"),
        ("GlobalAveragePooling1D", "GlobalAvgPool1D"),
        ("GlobalAveragePooling2D", "GlobalAvgPool2D"),
        ("InputLayer", "Input"),
    ],
)
def test_layers_by_keras_names(theirs: str, ours: str) -> None:
    assert getattr(layers, theirs) is getattr(layers, ours)


@pytest.mark.parametrize("padding", ["SAME", "Same", "same"])
def test_padding_in_capitals(padding: str) -> None:
    for layer in (layers.Conv2D(1, 3, padding=padding), layers.MaxPool2D(3, 1, padding)):
        assert layer.padding == "same"
        assert layer(layers.Input((5, 5, 1))).shape == (5, 5, 1)


def net_of_one() -> nf.Network:
    return nf.Network([layers.Input((2,)), layers.Dense(1)], seed=0)


MISSING: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "layer": (lambda: layers.Dens, AttributeError, "did you mean 'Dense'"),
    "layer of PyTorch": (lambda: layers.Linear, AttributeError, r"layers\.Dense\(units\)"),
    "loss": (lambda: losses.Hubber, AttributeError, "did you mean 'Huber'"),
    "loss of PyTorch": (lambda: losses.BCEWithLogitsLoss, AttributeError, r"BinaryCrossEntropy\(from_logits=True\)"),
    "optimizer": (lambda: optimizers.Adamm, AttributeError, "did you mean 'Adam'"),
    "metric": (lambda: metrics.Acuracy, AttributeError, "did you mean 'Accuracy'"),
    "kernel": (lambda: nf.kernels.matmull, AttributeError, "did you mean 'matmul'"),
    "model": (lambda: nf.models.resnet50, AttributeError, "did you mean 'resnet'"),
    "callback": (lambda: nf.callbacks.EarlyStoping, AttributeError, "did you mean 'EarlyStopping'"),
    "schedule": (lambda: nf.schedules.Cosinus, AttributeError, "did you mean 'Cosine'"),
    "module": (lambda: nf.optim, AttributeError, r"nnfast\.optimizers"),
    "Sequential": (lambda: nf.Sequential, AttributeError, r"nnfast\.Network\(\[\.\.\.\]\)"),
    "fit": (lambda: net_of_one().fit, AttributeError, r"nf\.Trainer.*fit\(x, y, epochs"),
    "compile": (lambda: net_of_one().compile, AttributeError, r"nf\.Trainer"),
    "train": (lambda: net_of_one().train, AttributeError, r"nf\.Trainer"),
    "attribute of a layer": (lambda: layers.Dense(1).unit, AttributeError, "did you mean 'units'"),
    "argument of a layer": (lambda: layers.Dense(1, activaton="relu"), TypeError, "did you mean 'activation'"),
    "argument of Keras": (lambda: layers.Dense(1, input_shape=(3,)), TypeError, r"layers\.Input\(shape\)"),
    "rate of an optimizer": (lambda: optimizers.Adam(lr=0.1), TypeError, "learning_rate="),
    "argument of a network": (lambda: nf.Network([], sed=0), TypeError, "did you mean 'seed'"),
    "argument of a schedule": (lambda: nf.schedules.Cosine(0.1, step=3), TypeError, "did you mean 'steps'"),
    "nothing near": (lambda: layers.Dense(1, xyzzy=0), TypeError, "leave it out"),
}


@pytest.mark.parametrize(("use", "error", "match"), MISSING.values(), ids=MISSING)
def test_what_is_not_there_is_explained(use: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        use()


def test_arguments_of_own_classes_are_checked_as_well() -> None:
    class Own(layers.CustomLayer):
        def __init__(self, factor: float = 1.0, *, name: str | None = None) -> None:
            super().__init__(name=name)
            self.factor = factor

    class Open(optimizers.SGD):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{"learning_rate": 0.5, **options})

    assert Own(2.0, name="own").factor == 2.0
    with pytest.raises(TypeError, match="Own: unknown argument 'facto'; did you mean 'factor'"):
        Own(facto=2.0)
    assert Open(momentum=0.5).momentum == 0.5
    with pytest.raises(TypeError, match="SGD: unknown argument 'momentu'; did you mean 'momentum'"):
        Open(momentu=0.5)


# ---- a layer's parameters --------------------------------------------------


def test_a_layer_of_a_network_has_its_parameters() -> None:
    hidden, last = layers.Dense(3, name="a"), layers.Dense(2, name="a b")
    net = nf.Network([layers.Input((2,)), hidden, layers.BatchNormalization(), last], seed=0)
    assert np.shares_memory(hidden.kernel, net.parameters["a.kernel"])
    assert net.get_layer("batch_normalization").moving_variance.tolist() == [1, 1, 1]
    hidden.kernel[...] = 0.5
    assert (net.parameters["a.kernel"] == 0.5).all()
    kernel, bias = hidden.get_weights()
    hidden.set_weights([2 * kernel, bias + 1])
    assert (net.parameters["a.kernel"] == 1).all()
    assert (net.parameters["a.bias"] == 1).all()
    assert not (net.parameters["a b.bias"] == 1).any()
    kernel[...] = 7  # a copy
    assert (net.parameters["a.kernel"] == 1).all()


def test_weights_of_a_layer_that_do_not_fit_change_nothing() -> None:
    hidden = layers.Dense(3)
    net = nf.Network([layers.Input((2,)), hidden], seed=0)
    before = net.get_weights()
    with pytest.raises(ValueError, match="expected 2 arrays, for kernel, bias, got 1"):
        hidden.set_weights([np.zeros((2, 3))])
    with pytest.raises(ValueError, match=r"dense\.bias: expected shape \(3,\), got \(2,\)"):
        hidden.set_weights([np.zeros((2, 3)), np.zeros(2)])
    for old, new in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_layer_that_is_in_no_network_or_in_two_has_no_parameters() -> None:
    x, hidden = layers.Input((2,)), layers.Dense(3)
    y = hidden(x)
    with pytest.raises(RuntimeError, match=r"not part of a network.*put it into a Network"):
        hidden.get_weights()
    with pytest.raises(AttributeError, match="not part of a network"):
        _ = hidden.kernel
    first = nf.Network(inputs=x, outputs=y, seed=0)
    second = nf.Network(inputs=x, outputs=y, seed=1)
    with pytest.raises(RuntimeError, match=r"part of 2 networks.*net\.parameters"):
        hidden.set_weights(first.get_weights())
    assert not hasattr(hidden, "kernel")
    del first
    gc.collect()
    np.testing.assert_array_equal(hidden.kernel, second.parameters["dense.kernel"])


@pytest.mark.parametrize("twin", [lambda net: net.copy(), lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_has_layers_of_its_own(twin: Callable[[nf.Network], nf.Network]) -> None:
    net = net_of_one()
    other = twin(net)
    net.get_layer("dense").kernel[...] = 1
    other.get_layer("dense").kernel[...] = 2
    assert (net.parameters["dense.kernel"] == 1).all()
    assert (other.parameters["dense.kernel"] == 2).all()


# ---- what a user sees ------------------------------------------------------

MODULES = (
    *("activations", "callbacks", "data", "initializers", "kernels", "layers", "losses", "metrics", "models"),
    *("optimizers", "schedules"),
)


def test_dir_shows_the_public_names_and_no_more() -> None:
    assert dir(nf) == sorted(nf.__all__)
    assert set(MODULES) < set(dir(nf))
    for name in MODULES:
        module = importlib.import_module(f"nnfast.{name}")
        assert dir(module) == sorted(module.__all__), name
        assert all(hasattr(module, public) for public in module.__all__), name
    assert all(hasattr(nf, public) for public in nf.__all__)


def signatures() -> dict[str, inspect.Signature]:
    """Of every public function, and of every method of every public class."""
    found = {}
    for owner in (nf, *(importlib.import_module(f"nnfast.{name}") for name in MODULES)):
        for name in owner.__all__:
            value = getattr(owner, name)
            if not callable(value):
                continue
            found[f"{owner.__name__}.{name}"] = inspect.signature(value)
            for method, function in inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else ():
                if not method.startswith("_") or method == "__call__":
                    found[f"{owner.__name__}.{name}.{method}"] = inspect.signature(function)
    return found


def test_signatures_name_types_in_a_word() -> None:
    long = {
        f"{place}({parameter.name})": str(parameter)
        for place, signature in signatures().items()
        for parameter in signature.parameters.values()
        if len(str(parameter)) > 90
    }
    assert not long
    assert not [place for place, signature in signatures().items() if len(str(signature.return_annotation)) > 90]


@pytest.mark.parametrize("thing", ["Network", "Trainer", "kernels.matmul", "losses.MeanSquaredError", "layers.Dense"])
def test_help_is_readable(thing: str) -> None:
    text = pydoc.plain(pydoc.render_doc(f"nnfast.{thing}"))
    for private in ("_SupportsArray", "_NestedSequence", "numpy.dtype[", "numpy._typing"):
        assert private not in text


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"verbose": 0}, r"fit: unknown argument 'verbose'; use progress="),
        ({"batchsize": 4}, r"'batchsize'; did you mean 'batch_size'\?"),
        ({"validation_date": ()}, r"'validation_date'; did you mean 'validation_data'\?"),
        ({"steps": 5}, r"'steps'; "),
    ],
)
def test_arguments_of_fit_that_there_are_not(options: dict[str, Any], hint: str) -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(1)])
    before = net.get_weights()
    with pytest.raises(TypeError, match=hint):
        nf.Trainer(net, loss="mse").fit(np.ones((4, 2)), np.ones((4, 1)), epochs=1, **options)
    assert all((a == b).all() for a, b in zip(before, net.get_weights(), strict=True))


def test_arguments_of_a_trainer_that_there_are_not() -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(1)])
    match = r"Trainer: unknown argument 'lr'; write learning_rate=, an argument of optimizers such as optimizers\.Adam"
    with pytest.raises(TypeError, match=match):
        nf.Trainer(net, loss="mse", lr=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Trainer\.evaluate: unknown argument 'verbose'; use progress="):
        nf.Trainer(net, loss="mse").evaluate(np.ones((4, 2)), np.ones((4, 1)), verbose=0)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("compile", r"write a new nf\.Trainer\(net, loss="),
        ("predict", r"trainer\.network\.predict"),
        ("save", "save_checkpoint"),
        ("model", r"write trainer\.network"),
    ],
)
def test_attributes_of_a_trainer_that_there_are_not(name: str, hint: str) -> None:
    trainer = nf.Trainer(nf.Network([layers.Input((2,)), layers.Dense(1)]), loss="mse")
    with pytest.raises(AttributeError, match=f"Trainer has no attribute '{name}'; .*{hint}"):
        getattr(trainer, name)
    assert not hasattr(trainer, name)
    assert name not in dir(trainer)
