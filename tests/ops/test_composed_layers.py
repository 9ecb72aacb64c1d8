"""User-defined layers written with nf.ops: weights, parts, files, copies, errors."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, ops
from nnfast.core.typing import Array


class Scale(layers.Layer):
    """y = tanh(dense(factor * x)) + offset."""

    def __init__(self, units: int = 3, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), [1.0, 2.0], name="factor")
        self.offset = self.add_weight((), 0.5, trainable=False, name="offset")
        self.dense = layers.Dense(self.units)

    def call(self, x: Any) -> Any:
        return ops.tanh(self.dense(self.factor * x)) + self.offset


class Halves(layers.Layer):
    """Sum and difference of two inputs."""

    def call(self, inputs: Any) -> Any:
        a, b = inputs
        return a + b, a - b


def network(dtype: str = "float32") -> nf.Network:
    return nf.Network([layers.Input((2,)), Scale(name="scale"), layers.Dense(2)], seed=3, dtype=dtype)


X = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]])


def wanted(p: Any, x: Array) -> Array:
    inner = np.tanh(x * p["scale.factor"] @ p["scale.dense.kernel"] + p["scale.dense.bias"]) + p["scale.offset"]
    return inner @ p["dense.kernel"] + p["dense.bias"]


def test_values_parameters_and_gradients() -> None:
    net = network("float64")
    shapes = {name: view.shape for name, view in net.parameters.items()}
    assert shapes == {
        "scale.factor": (2,),
        "scale.offset": (),
        "scale.dense.kernel": (2, 3),
        "scale.dense.bias": (3,),
        "dense.kernel": (3, 2),
        "dense.bias": (2,),
    }
    assert net.parameters["scale.factor"].tolist() == [1, 2]
    assert net.parameters["scale.offset"] == 0.5
    assert net.frozen == ["scale.offset"]
    np.testing.assert_allclose(net.predict(X), wanted(net.parameters, X), rtol=1e-13)
    net.unfreeze("scale")
    assert nf.check_gradients(net, X, np.ones((3, 2)), "mse")
    assert "scale (Scale)" in net.summary()


def test_files_copies_and_pickles(tmp_path: Path) -> None:
    net = network()
    nf.Trainer(net, loss="mse").fit(X, np.ones((3, 2)), epochs=2, progress=False)
    y = net.predict(X)
    path = tmp_path / "net.safetensors"
    net.save(path)
    for twin in (nf.Network.load(path, custom_objects={"Scale": Scale}), net.copy(), pickle.loads(pickle.dumps(net))):
        assert (twin.predict(X) == y).all()
        assert twin.trainable == net.trainable
        a, b = nf.Trainer(twin, loss="mse"), nf.Trainer(net.copy(), loss="mse")
        assert a.train_on_batch(X, np.ones((3, 2))) == b.train_on_batch(X, np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"custom_objects=\{'Scale': Scale\}"):
        nf.Network.load(path)


def test_a_layer_called_twice_shares_its_weights() -> None:
    x = layers.Input((2,))
    scale = Scale(2, name="scale")
    net = nf.Network(inputs=x, outputs=scale(scale(x)), seed=0, dtype="float64")
    assert list(net.parameters) == [
        "scale.factor",
        "scale.offset",
        "scale.dense.kernel",
        "scale.dense.bias",
    ]
    p = net.parameters
    y = X
    for _ in range(2):
        y = np.tanh(y * p["scale.factor"] @ p["scale.dense.kernel"] + p["scale.dense.bias"]) + p["scale.offset"]
    np.testing.assert_allclose(net.predict(X), y, rtol=1e-13)
    assert nf.check_gradients(net, X, np.ones((3, 2)), "mse")


def test_in_a_network_that_is_used_as_a_layer() -> None:
    base = network()
    x = layers.Input((2,))
    outer = nf.Network(inputs=x, outputs=base(x), seed=9)
    assert (outer.predict(X) == base.predict(X)).all()
    assert "network/scale.offset" in outer.frozen
    x = layers.Input((2,))
    inner = Scale(2, name="inner")

    class Twice(layers.Layer):
        def call(self, value: Any) -> Any:
            return inner(value) + 1

    nested = nf.Network(inputs=x, outputs=Twice(name="outer")(x), seed=0)
    assert "outer.inner.dense.kernel" in nested.parameters
    assert nf.check_gradients(nested, X, np.ones((3, 2)), "mse")


def test_several_inputs_and_outputs() -> None:
    a, b = layers.Input((2,)), layers.Input((2,))
    total, difference = Halves()([a, b])
    net = nf.Network(inputs=[a, b], outputs=[total, difference], dtype="float64")
    y, pullback = net.vjp([X, 2 * X])
    assert (y[0] == 3 * X).all()
    assert (y[1] == -X).all()
    _, (da, db) = pullback([np.ones_like(X), 2 * np.ones_like(X)])
    assert (da == 3).all()
    assert (db == -1).all()
    only = nf.Network(inputs=[a, b], outputs=difference, dtype="float64")
    assert (only.predict([X, 2 * X]) == -X).all()


def test_what_it_gets_may_be_its_output() -> None:
    class Same(layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    net = nf.Network([layers.Input((2,)), Same()], dtype="float64")
    y, pullback = net.vjp(X)
    assert (y == X).all()
    assert (pullback(X)[1] == X).all()


def test_losses_of_layers() -> None:
    class Sparse(layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(0.5 * abs(x))
            return 2 * x

    net = nf.Network([layers.Input((2,)), layers.Dense(2), Sparse(), Sparse()], seed=0, dtype="float64")
    h = net.trace(X)["dense"]
    loss = nf.Trainer(net, loss="mse").evaluate(X, X)["loss"]
    np.testing.assert_allclose(loss, np.mean((4 * h - X) ** 2) + np.mean(abs(h)) * (0.5 + 1.0), rtol=1e-13)
    assert nf.check_gradients(net, X, X, "mse")


def test_errors() -> None:
    x = layers.Input((2,))

    class Outside(layers.Layer):
        def call(self, value: Any) -> Any:
            return value + x

    with pytest.raises(ValueError, match="pass it as a further input"):
        Outside()(layers.Input((2,)))

    class Number(layers.Layer):
        def call(self, value: Any) -> Any:
            return 3.0

    with pytest.raises(TypeError, match="expected call to return a symbolic tensor"):
        Number()(x)

    class Twice(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.a = self.add_weight((2,), name="a")
            self.b = self.add_weight((2,), name="a")

        def call(self, value: Any) -> Any:
            return value * self.a * self.b

    with pytest.raises(ValueError, match="expected a new identifier as name of a weight, got 'a'"):
        Twice()(x)

    class Choice(layers.Layer):
        def call(self, value: Any) -> Any:
            return value if value > 0 else -value

    with pytest.raises(TypeError, match=r"nf\.ops\.where"):
        Choice()(x)

    class Numpy(layers.Layer):
        def call(self, value: Any) -> Any:
            return np.exp(value)

    with pytest.raises(TypeError, match=r"use nf\.ops\.exp"):
        Numpy()(x)

    class Summed(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight((2,), name="w")

        def call(self, value: Any) -> Any:
            return self.w * 2

    with pytest.raises(ValueError, match=r"outputs with the batch axis|depend on inputs"):
        nf.Network([layers.Input((2,)), Summed()])


def double(x: Any) -> Any:
    return 2 * x


def test_lambda(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(2), layers.Lambda(double)], seed=0)
    plain = nf.Network([layers.Input((2,)), layers.Dense(2)], seed=0)
    assert (net.predict(X) == 2 * plain.predict(X)).all()
    net.save(tmp_path / "net")
    loaded = nf.Network.load(tmp_path / "net", custom_objects={"double": double})
    assert (loaded.predict(X) == net.predict(X)).all()
    with pytest.raises(ValueError, match="double"):
        nf.Network.load(tmp_path / "net")
    with pytest.raises(TypeError, match="expected a function"):
        layers.Lambda(3)  # type: ignore[arg-type]


def test_activity_regularization() -> None:
    net = nf.Network([layers.Input((2,)), layers.Dense(3), layers.ActivityRegularization(0.25, 0.5)], seed=0)
    h = net.predict(X).astype(float)
    wanted = (0.25 * abs(h) + 0.5 * h**2).sum(1).mean()
    assert nf.Trainer(net).evaluate(X)["loss"] == pytest.approx(wanted, rel=1e-6)
    assert nf.check_gradients(net, X, None, None)


def test_a_network_inside_call_keeps_its_values() -> None:
    base = network()

    class Around(layers.Layer):
        def call(self, x: Any) -> Any:
            return base(x) + 1

    outer = nf.Network([layers.Input((2,)), Around()], seed=8)
    assert (outer.predict(X) == base.predict(X) + 1).all()


def test_a_layer_on_rows_and_on_weights() -> None:
    squash = layers.Lambda(lambda v: ops.tanh(v) * 2)

    class Both(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight((2,), [0.5, -1.0], name="w")

        def call(self, x: Any) -> Any:
            b = squash(self.w)
            return squash(x) * b

    net = nf.Network([layers.Input((2,)), Both()], dtype="float64")
    np.testing.assert_allclose(net.predict(X), 4 * np.tanh(X) * np.tanh([0.5, -1.0]), rtol=1e-13)


def test_parts_of_any_name_and_infinite_constants(tmp_path: Path) -> None:
    class Named(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.inner = layers.Dense(2, name="loss")

        def call(self, x: Any) -> Any:
            return ops.where(self.inner(x) > 0, x, -np.inf)

    x = layers.Input((2,))
    y = Named(name="c")(x)
    net = nf.Network(inputs=x, outputs=[y, x[:, :1] + 1], seed=0)
    net.add_loss(ops.where(y > -np.inf, y, 0.0))
    net.save(tmp_path / "net")
    loaded = nf.Network.load(tmp_path / "net", custom_objects={"Named": Named})
    assert (loaded.predict(X)[0] == net.predict(X)[0]).all()


def test_masked_arrays_are_no_operands() -> None:
    with pytest.raises((ValueError, TypeError), match="mask"):
        layers.Input((2,)) + np.ma.array([1.0, 2.0], mask=[0, 1])


def test_a_part_belongs_to_one_layer() -> None:
    shared = layers.Dense(2, name="shared")

    class Around(layers.Layer):
        def call(self, x: Any) -> Any:
            return shared(x)

    x = layers.Input((2,))
    with pytest.raises(ValueError, match="belongs to one user-defined layer alone"):
        nf.Network(inputs=x, outputs=Around(name="b")(Around(name="a")(x)))


def test_tied_parts() -> None:
    class Code(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.encoder = layers.Dense(3, name="encoder")
            self.decoder = layers.Dense(input_shape[-1], tied_to=self.encoder)

        def call(self, x: Any) -> Any:
            return self.decoder(self.encoder(x))

    net = nf.Network([layers.Input((2,)), Code(name="code")], seed=0, dtype="float64")
    p = net.parameters
    assert list(p) == ["code.encoder.kernel", "code.encoder.bias", "code.dense.bias"]
    kernel = p["code.encoder.kernel"]
    np.testing.assert_allclose(net.predict(X), X @ kernel @ kernel.T, rtol=1e-12)
    assert nf.check_gradients(net, X, X, "mse")
    net.freeze("code.encoder")
    assert net.trainable == ["code.dense.bias"]


def test_trainable_names_are_checked() -> None:
    class Chosen(Scale):
        def __init__(self, trainable: Any = True, *, name: str | None = None) -> None:
            layers.Layer.__init__(self, trainable=trainable, name=name)
            self.units = 3

    net = nf.Network([layers.Input((2,)), Chosen(["dense.kernel"], name="c")], seed=0)
    assert net.trainable == ["c.dense.kernel"]
    with pytest.raises(ValueError, match="did you mean 'factor'"):
        nf.Network([layers.Input((2,)), Chosen(["facto"])])
    with pytest.raises(TypeError, match="a class that defines call"):
        layers.Layer()(layers.Input((2,)))
