"""Random expression graphs: values and gradients as in PyTorch, and the same bits with and without fusion."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, ops
from nnfast.core.typing import Array

GRAPHS = 300
ROWS = 5

# Smooth, and of moderate size where their arguments are; names of nf.ops and of torch.
UNARY: dict[str, tuple[Callable[[Any], Any], str]] = {
    "negative": (ops.negative, "neg"),
    "square": (lambda x: ops.square(ops.tanh(x)), "square_tanh"),
    "exp": (lambda x: ops.exp(-ops.absolute(x)), "exp_abs"),
    "log1p": (lambda x: ops.log1p(ops.square(x)), "log1p_square"),
    "sqrt": (lambda x: ops.sqrt(1 + ops.square(x)), "sqrt_square"),
    "sin": (ops.sin, "sin"),
    "cos": (ops.cos, "cos"),
    "tanh": (ops.tanh, "tanh"),
    "erf": (ops.erf, "erf"),
    "sigmoid": (ops.sigmoid, "sigmoid"),
    "reciprocal": (lambda x: ops.reciprocal(2 + ops.cos(x)), "reciprocal_cos"),
    "softmax": (lambda x: ops.softmax(x, axis=-1), "softmax"),
    "mean": (lambda x: x - ops.mean(x, axis=-1, keepdims=True), "centered"),
    "sum": (lambda x: x + ops.sum(ops.sin(x), axis=1, keepdims=True), "summed"),
    "max": (lambda x: x - ops.max(x, axis=-1, keepdims=True), "below_max"),
    "transpose": (lambda x: ops.matmul(ops.softmax(ops.matmul(x, ops.swapaxes(x, 1, 2)), axis=-1), x), "attention"),
}
BINARY = ("add", "subtract", "multiply", "maximum", "minimum", "divide", "where", "power")


def torch_unary(torch: Any, name: str, x: Any) -> Any:
    simple = {
        "square_tanh": lambda: torch.tanh(x) ** 2,
        "exp_abs": lambda: torch.exp(-x.abs()),
        "log1p_square": lambda: torch.log1p(x * x),
        "sqrt_square": lambda: torch.sqrt(1 + x * x),
        "reciprocal_cos": lambda: 1 / (2 + torch.cos(x)),
        "softmax": lambda: torch.softmax(x, -1),
        "centered": lambda: x - x.mean(-1, keepdim=True),
        "summed": lambda: x + torch.sin(x).sum(1, keepdim=True),
        "below_max": lambda: x - x.amax(-1, keepdim=True),
        "attention": lambda: torch.softmax(x @ x.transpose(1, 2), -1) @ x,
    }
    return simple[name]() if name in simple else getattr(torch, name)(x)


def apply_binary(library: Any, name: str, a: Any, b: Any) -> Any:
    """The same for nf.ops and for torch."""
    if name == "divide":
        return a / (2 + library.sin(b))
    if name == "power":
        return (1.5 + library.sin(a)) ** library.tanh(b)
    if name == "where":
        return library.where(a > b, a, 0.5 * b)
    if name in ("maximum", "minimum"):
        return getattr(library, name)(a, b)
    return {"add": a + b, "subtract": a - b, "multiply": a * b}[name]


def random_graph(rng: np.random.Generator, leaves: list[tuple[Any, Any]], torch: Any) -> tuple[Any, Any]:
    """Pairs of a tensor of nnfast and of the same of torch (None without torch), combined at random."""
    depth = int(rng.integers(3, 9))
    pool = list(leaves)
    for _ in range(depth * 2):
        a, b = (pool[int(rng.integers(len(pool)))] for _ in range(2))
        if rng.random() < 0.5:
            name = str(rng.choice(list(UNARY)))
            function, other = UNARY[name]
            pool.append((function(a[0]), None if torch is None else torch_unary(torch, other, a[1])))
        else:
            name = str(rng.choice(BINARY))
            pool.append(
                (apply_binary(ops, name, a[0], b[0]), None if torch is None else apply_binary(torch, name, a[1], b[1]))
            )
    whole = (leaves[0][0] * 0, None if torch is None else leaves[0][1] * 0)
    for item in pool[-3:]:
        whole = (whole[0] + item[0], None if torch is None else whole[1] + item[1])
    return whole


def leaves_of(rng: np.random.Generator) -> tuple[list[Any], list[Array], list[Array]]:
    """Inputs, one of which is broadcast, and constants that are broadcast."""
    inputs = [layers.Input((3, 4)), layers.Input((1, 4)), layers.Input((3, 4))]
    arrays = [rng.normal(size=(ROWS, *tensor.shape)) for tensor in inputs]
    constants = [rng.normal(size=(4,)), rng.normal(size=(3, 1))]
    return inputs, arrays, constants


@pytest.mark.parametrize("start", range(0, GRAPHS, 50))
def test_values_and_gradients_are_those_of_pytorch(start: int) -> None:
    torch = pytest.importorskip("torch")
    for seed in range(start, start + 50):
        rng = np.random.default_rng(seed)
        inputs, arrays, constants = leaves_of(rng)
        tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
        wide = tensors[0] * 0
        leaves: list[tuple[Any, Any]] = [
            (inputs[0], tensors[0]),
            (inputs[1] + inputs[0] * 0, tensors[1] + wide),
            (inputs[2] * constants[0], tensors[2] * torch.tensor(constants[0])),
            (inputs[2] + constants[1], tensors[2] + torch.tensor(constants[1])),
        ]
        ours, theirs = random_graph(rng, leaves, torch)
        theirs = theirs + 0 * (tensors[1] + tensors[2])
        ours = ours + 0 * (inputs[1] + inputs[2])
        net = nf.Network(inputs=inputs, outputs=ours, dtype="float64")
        y, pullback = net.vjp(arrays)
        dy = rng.normal(size=y.shape)
        gradients = pullback(dy)[1]
        theirs.backward(torch.tensor(dy))
        for got, wanted in [
            (y, theirs.detach().numpy()),
            *((g, t.grad.numpy()) for g, t in zip(gradients, tensors, strict=True)),
        ]:
            scale = max(1.0, float(np.abs(wanted).max()))
            assert np.abs(got - wanted).max() <= 1e-12 * scale, seed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fusion_and_threads_keep_the_bits(dtype: str) -> None:
    before = nf.get_num_threads()
    try:
        for seed in range(40):
            rng = np.random.default_rng(seed)
            inputs, arrays, constants = leaves_of(rng)
            arrays = [array.astype(dtype).repeat(400, axis=0) for array in arrays]
            leaves = [(inputs[0], None), (inputs[1] + inputs[0], None), (inputs[2] * constants[0], None)]
            out, _ = random_graph(rng, leaves, None)
            net = nf.Network(inputs=inputs, outputs=out + 0 * (inputs[1] + inputs[2]), dtype=dtype)
            bits = set()
            for fuse, threads in ((True, 1), (True, 2), (True, 3), (True, 8), (False, 1)):
                nf.set_num_threads(threads)
                plan = net.plan(len(arrays[0]), by_hand=True, fuse=fuse)
                plan.run(arrays, False)
                outputs = plan.outputs()
                plan.pull_back([np.ones_like(array) for array in outputs])
                bits.add(b"".join(array.tobytes() for array in (*outputs, *plan.input_gradients())))
            assert len(bits) == 1, seed
    finally:
        nf.set_num_threads(before)
