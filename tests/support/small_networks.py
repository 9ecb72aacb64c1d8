"""Networks that tests train, what they are fed with, and how two of them are compared."""

import copy
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array, Shape


def line(seed: int = 0, dtype: str = "float64") -> nf.Network:
    """Linear, three inputs and two outputs."""
    return nf.Network([layers.Input((3,)), layers.Dense(2)], seed=seed, dtype=dtype)


def classifier(seed: int = 0) -> nf.Network:
    """For the blobs."""
    chain = [layers.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.3), layers.Dense(3, "softmax")]
    return nf.Network(chain, seed=seed)


def tanh_network(dtype: str = "float64", *middle: layers.Layer) -> nf.Network:
    """Smooth, four inputs and three outputs, with layers in between."""
    return nf.Network([layers.Input((4,)), layers.Dense(6, "tanh"), *middle, layers.Dense(3)], seed=1, dtype=dtype)


def tanh_data(rows: int, dtype: str = "float64") -> tuple[Array, Array]:
    """For it."""
    rng = np.random.default_rng(3)
    return rng.normal(size=(rows, 4)).astype(dtype), rng.normal(size=(rows, 3)).astype(dtype)


class Scale(layers.CustomLayer):
    """y = factor * x, in NumPy."""

    def parameter_shapes(self, input_shape: Any) -> dict[str, Shape]:
        return {"factor": (input_shape[-1],)}

    def forward(self, inputs: list[Array], output: Array, parameters: dict[str, Array], training: bool) -> None:
        output[...] = parameters["factor"] * inputs[0]

    def backward(
        self,
        d_output: Array,
        d_inputs: list[Array],
        inputs: list[Array],
        output: Array,
        parameters: dict[str, Array],
        d_parameters: dict[str, Array],
    ) -> None:
        d_inputs[0][...] = parameters["factor"] * d_output
        d_parameters["factor"] += (d_output * inputs[0]).sum(axis=0)


# ---- graphs ----------------------------------------------------------------------------


def twins(dtype: str = "float64") -> nf.Network:
    """One dense layer looks at both inputs; the batch normalization after it has moving averages."""
    left, right = layers.Input((3,), name="left"), layers.Input((3,), name="right")
    see, norm = layers.Dense(4, "tanh", name="see"), layers.BatchNormalization(name="norm")
    both = norm(see(left)) * norm(see(right))
    return nf.Network(
        inputs={"left": left, "right": right}, outputs=layers.Dense(2, name="last")(both), seed=3, dtype=dtype
    )


def autoencoder(dtype: str = "float64") -> nf.Network:
    """The decoder has the encoder's kernel, which a second encoder of another place has too."""
    x = layers.Input((6,))
    encoder = layers.Dense(3, "tanh", name="encoder")
    code = encoder(x)
    decoded = layers.Dense(6, "relu", tied_to=encoder, name="decoder")(code)
    return nf.Network(inputs=x, outputs=layers.Concatenate()([encoder(decoded), decoded]), seed=4, dtype=dtype)


def nested(dtype: str = "float64") -> nf.Network:
    """A network twice in another one, with one of its parameters frozen."""
    inner = nf.Network(
        [layers.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(3)], name="inner", seed=5, dtype=dtype
    )
    inner.freeze("dense.bias")
    x = layers.Input((3,))
    return nf.Network(inputs=x, outputs=layers.Dense(2)(inner(inner(x)) + x), seed=6, dtype=dtype)


def fork(dtype: str = "float64") -> nf.Network:
    """Two outputs, one of which the other is made from."""
    x = layers.Input((3,), name="x")
    y = layers.Dense(4, "relu", name="y")(x)
    return nf.Network(inputs=[x], outputs={"z": layers.Dense(2, name="z")(y), "y": y}, seed=7, dtype=dtype)


GRAPHS: dict[str, Callable[..., nf.Network]] = {
    "twins": twins,
    "autoencoder": autoencoder,
    "nested": nested,
    "fork": fork,
}


# ---- data and parameters ---------------------------------------------------------------


def inputs_of(net: nf.Network, rng: np.random.Generator, rows: int) -> Any:
    """Data in the form that the network has."""
    shapes = net.input_shape

    def draw(shape: tuple[int, ...]) -> Array:
        return rng.normal(size=(rows, *shape)).astype(net.dtype)

    if isinstance(shapes, dict):
        return {key: draw(shape) for key, shape in shapes.items()}
    return [draw(shape) for shape in shapes] if isinstance(shapes, list) else draw(shapes)


def flat(values: Any) -> list[Any]:
    """What stands in a dict, in a list, or alone, as a list."""
    return list(values.values()) if isinstance(values, dict) else values if isinstance(values, list) else [values]


def randomize(net: nf.Network, rng: np.random.Generator) -> nf.Network:
    """Set every parameter but constants to random values that are neither 0 nor 1.

    Initial values hide faults: nobody misses a bias of 0 that is not added, or a variance of 1 that is not saved.
    """
    for name, view in net.parameters.items():
        if _is_constant(name):
            continue
        size = rng.uniform(0.25, 0.75, view.shape)
        view[...] = size if name.endswith("variance") else size * rng.choice([-1, 1], view.shape)
    return net


def _is_constant(name: str) -> bool:
    """Whether a parameter is an array of numbers in an expression; see `layers.Constant`."""
    return name.split(".")[-2].startswith("constant")


# ---- comparisons -----------------------------------------------------------------------


def same(a: nf.Network, b: nf.Network) -> bool:
    """Whether all parameters have the same bits."""
    return all(u.tobytes() == v.tobytes() for u, v in zip(a.get_weights(), b.get_weights(), strict=True))


def bits(values: Any) -> list[bytes]:
    """Those of one array or of several."""
    return [value.tobytes() for value in flat(values)]


def duplicates(net: nf.Network, folder: Path, custom_objects: Mapping[str, Any]) -> dict[str, nf.Network]:
    """The network as each way of keeping it gives it back."""
    net.save(folder / "net.safetensors")
    return {
        "file": nf.Network.load(folder / "net.safetensors", custom_objects=custom_objects),
        "pickle": pickle.loads(pickle.dumps(net)),
        "copy": net.copy(),
        "deepcopy": copy.deepcopy(net),
    }
