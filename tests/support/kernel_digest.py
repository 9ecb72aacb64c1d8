"""Hashes of the outputs of every kernel, to be compared between thread counts and instruction sets.

As a script it prints them as JSON: {"isa": name, "digests": {what: hash}}.
"""

import hashlib
import json
from collections.abc import Iterator

import numpy as np
from kernel_cases import DTYPES, Array, Workbench
from kernel_table import ACTIVATIONS, LOSSES, ROWS
from kernel_table_augment import AUGMENTATIONS
from layer_passes import passes

from nnfast import _core, kernels, layers, optimizers
from nnfast.data import Augmentation

MEASUREMENTS = {"fma_peak"}  # its output is a speed
SMALL = (1, 5, 37, 131)
LARGE = 120_011  # elements: enough work for several threads, and not a multiple of anything

HEAD = {"output": 0, "loss": {"name": "cross_entropy"}, "weight": 1.0, "metrics": []}


def _table_outputs(dtype: str) -> Iterator[tuple[str, Array]]:
    for kernel in ROWS.keys() - MEASUREMENTS:
        for size in SMALL:
            for check in ROWS[kernel](Workbench(dtype, size)):
                yield kernel, check.got


def _large_products(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    # More than one block of rows, of k and of columns; few rows; one row.
    for m, n, k in ((801, 70, 400), (33, 301, 801), (1, 3001, 200), (400, 1, 500)):
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        bias = rng.standard_normal(n).astype(dtype)
        yield "large matmul", kernels.matmul(a, b)
        yield "large matmul, transposed", kernels.matmul(a.T.copy(), b.T.copy(), transpose_a=True, transpose_b=True)
        yield "large matmul, epilogue", kernels.matmul(a, b, bias=bias, activation="tanh")


def _large_arrays(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    x, dy = rng.standard_normal((2, LARGE)).astype(dtype)
    for name in ACTIVATIONS:
        y = kernels.activation_forward(name, x)
        yield f"large {name}", y
        yield f"large {name}, gradient", kernels.activation_backward(name, dy, x, y)
    for function in (kernels.exp, kernels.erf, kernels.expm1):
        yield f"large {function.__name__}", function(x)
    for name in _core.unary_names():
        yield f"large {name}", kernels.unary_forward(name, x)
    for name in _core.binary_names():
        yield f"large {name}", kernels.binary_forward(name, x, dy)
        yield f"large {name}, gradients", np.stack(kernels.binary_backward(name, dy, x, dy, x))
    yield "large where", kernels.where_forward(np.round(x), x, dy)
    yield "large add", kernels.add(x, dy)
    yield "large multiply", kernels.multiply(x, dy)
    yield "large dropout", kernels.dropout_forward(x, 0.5, 3, 4, 5)
    yield "large uniform", kernels.random_uniform(LARGE, 1, 2, dtype)
    yield "large normal", kernels.random_normal(LARGE, 1, 2, dtype)
    yield "large permutation", kernels.random_permutation(LARGE, 1, 2)
    p, v, m, second = x.copy(), np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    kernels.sgd_update(p, dy, v, 0.1, 0.9, True)
    kernels.adam_update(p, dy, m, second)
    yield "large updates", np.concatenate([p, v, m, second])
    state = {name: np.zeros_like(x) for name in ("v", "m", "velocity")}
    kernels.optimizer_update(optimizers.RMSprop(momentum=0.9, centered=True), p, dy, state)
    yield "large RMSprop", np.concatenate([p, *state.values()])


def _large_rows(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    for shape in ((3001, 37), (5, 24_001)):
        x, dy = rng.standard_normal((2, *shape)).astype(dtype)
        y, log_y = kernels.softmax_forward(x), kernels.log_softmax_forward(x)
        yield "large softmax", np.concatenate([y, log_y])
        yield "large softmax, gradient", kernels.softmax_backward(dy, y)
        yield "large log_softmax, gradient", kernels.log_softmax_backward(dy, log_y)
        for axis in (0, 1):
            yield "large sum", kernels.reduce_sum(x, axis)
            yield "large maximum", kernels.reduce_max(x, axis)
        yield "large sum", kernels.reduce_sum(x)
        yield "large argmax", kernels.argmax(x)
        rows = rng.integers(0, shape[0], shape[0])
        yield "large gather", kernels.gather_rows((9 * y).astype(np.uint8), rows, 0.1, 0.2, dtype)
        target = kernels.softmax_forward(dy)
        for name, options in LOSSES:
            prediction = x if options.get("from_logits") else y
            yield f"large {name} {options}", kernels.loss_forward(name, prediction, target, **options)
            yield f"large {name} {options}, gradient", kernels.loss_backward(name, prediction, target, **options)


def _large_images(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    for shape in ((33, 27, 29, 6), (1, 61, 64, 35)):
        x = rng.standard_normal(shape).astype(dtype)
        for pool, strides, padding in ((2, 2, "valid"), (3, 2, "same"), (3, 1, 1), (2, 3, "valid")):
            y = kernels.max_pool2d_forward(x, pool, strides, padding)
            winners = np.empty_like(y)
            kernels.max_pool2d_forward(x, pool, strides, padding, winners=winners)
            yield "large max_pool2d", y
            gradient = kernels.max_pool2d_backward(y - 1, winners, shape[1:3], pool, strides, padding)
            yield "large max_pool2d, gradient", gradient
            yield "large avg_pool2d", kernels.avg_pool2d_forward(x, pool, strides, padding)
            gradient = kernels.avg_pool2d_backward(y - 1, shape[1:3], pool, strides, padding)
            yield "large avg_pool2d, gradient", gradient
        for interpolation in ("nearest", "bilinear"):
            y = kernels.upsample2d_forward(x, 2, interpolation)
            yield f"large upsample2d {interpolation}", y
            yield f"large upsample2d {interpolation}, gradient", kernels.upsample2d_backward(y, 2, interpolation)
        padded = kernels.zero_padding2d_forward(x, ((1, 2), (3, 0)))
        yield "large zero_padding2d", padded
        yield "large cropping2d", kernels.cropping2d_forward(padded, ((0, 2), (1, 1)))


def _large_norms(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    # Rows that are folded, and leave a rest; strips of channels; few rows; few and many images.
    for shape in ((9001, 6), (130, 13, 64), (3, 30_011), (40, 20, 20, 8), (2, 40, 40, 96)):
        x, dy = rng.standard_normal((2, *shape)).astype(dtype)
        gamma, beta = rng.standard_normal((2, shape[-1])).astype(dtype)
        for activation in ("identity", "relu"):
            for output in kernels.batch_norm_forward(x, gamma, beta, activation=activation):
                yield "large batch_norm", output
            for output in kernels.batch_norm_backward(dy, x, gamma, beta, activation=activation):
                yield "large batch_norm, gradient", output
        yield "large layer_norm", kernels.layer_norm_forward(x, gamma, beta)
        for output in kernels.layer_norm_backward(dy, x, gamma):
            yield "large layer_norm, gradient", output
        yield "large rms_norm", kernels.rms_norm_forward(x, gamma)
        for output in kernels.rms_norm_backward(dy, x, gamma):
            yield "large rms_norm, gradient", output
        groups = 2 if shape[-1] % 2 == 0 else 1
        yield "large group_norm", kernels.group_norm_forward(x, gamma, beta, groups)
        for output in kernels.group_norm_backward(dy, x, gamma, groups):
            yield "large group_norm, gradient", output


def _large_attention(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    # Several blocks of queries and of keys; fewer groups of heads than threads; a single query.
    for n, t, s, heads, groups, d in ((3, 130, 300, 4, 2, 24), (1, 70, 600, 2, 1, 7), (5, 1, 90, 3, 3, 16)):
        q, dy = rng.standard_normal((2, n, t, heads, d)).astype(dtype)
        k, v = rng.standard_normal((2, n, s, groups, d)).astype(dtype)
        mask = (rng.random((n, s)) < 0.8).astype(dtype)
        for options in ({"causal": True, "rate": 0.25, "seed": 3}, {"mask": mask}):
            y, sums = kernels.attention_forward(q, k, v, **options)
            yield "large attention", y
            for output in kernels.attention_backward(dy, y, sums, q, k, v, **options):
                yield "large attention, gradient", output
    x, offsets = rng.standard_normal((9, 120, 4, 24)).astype(dtype), np.arange(9).astype(dtype)
    yield "large rotary", kernels.rotary_forward(x, offsets)
    yield "large rotary, interleaved", kernels.rotary_forward(x, interleaved=True)


def _norm_training(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    nodes = [
        {"op": "input", "name": "x", "inputs": [], "shape": [12, 12, 6]},
        {"op": "gaussian_noise", "name": "noise", "inputs": ["x"], "stddev": 0.1},
        {"op": "batch_normalization", "name": "batch", "inputs": ["noise"], "momentum": 0.9, "epsilon": 1e-3},
        {"op": "activation", "name": "relu", "inputs": ["batch"], "activation": "relu"},
        {"op": "dense", "name": "wide", "inputs": ["relu"], "units": 80},
        {"op": "batch_normalization", "name": "second", "inputs": ["wide"], "momentum": 0.9, "epsilon": 1e-3},
        {"op": "group_normalization", "name": "group", "inputs": ["second"], "groups": 8, "epsilon": 1e-3},
        {"op": "spatial_dropout", "name": "drop", "inputs": ["group"], "rate": 0.25, "axes": 2},
        {"op": "layer_normalization", "name": "layer", "inputs": ["drop"], "epsilon": 1e-3},
        {"op": "flatten", "name": "flat", "inputs": ["layer"]},
        {"op": "dense", "name": "y", "inputs": ["flat"], "units": 10, "activation": "softmax"},
    ]
    graph = _core.Graph(nodes, ["y"], dtype)
    for value in graph.parameters().values():
        value[...] = 0.05 * rng.random(value.shape) + 0.01
    plan = _core.Plan(
        graph,
        33,
        heads=[{"output": 0, "loss": {"name": "cross_entropy"}, "weight": 1.0, "metrics": []}],
        optimizer={"name": "adam"},
        seed=7,
    )
    x, labels = rng.standard_normal((33, 12, 12, 6)).astype(dtype), rng.integers(0, 10, 33)
    losses = [plan.train_step(x, labels, None, 0.01) for _ in range(3)]
    yield "training with normalization, losses", np.array(losses)
    yield "training with normalization, parameters", np.array(graph.flat())
    yield "training with normalization, prediction", plan.predict(x)


def _large_convolutions(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    # Few channels in and out, whole vectors, strides, groups; with and without folding in the gradient.
    for channels, filters, window, strides, padding, groups in (
        (1, 6, 5, 1, "valid", 1),
        (6, 16, 5, 1, "valid", 1),
        (16, 32, 3, 2, "same", 1),
        (12, 70, 3, 1, "same", 2),
        (37, 37, 3, 1, "same", 37),
        (128, 128, 5, 2, "same", 128),
    ):
        x = rng.standard_normal((21, 20, 18, channels)).astype(dtype)
        kernel = rng.standard_normal((window, window, channels // groups, filters)).astype(dtype)
        y = kernels.conv2d_forward(x, kernel, None, strides, padding, groups=groups, activation="relu")
        yield "large convolution", y
        for result in kernels.conv2d_backward(y, x, kernel, strides, padding, groups=groups):
            yield "large convolution, gradients", np.asarray(result)


def _large_augmentations(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    pixels = rng.integers(0, 256, (24, 31, 33, 3), np.uint8)
    for step, options in enumerate(AUGMENTATIONS):
        for images in (pixels, pixels.astype(dtype)):
            yield f"large images, {options}", kernels.augment(images, Augmentation(**options), 7, step, dtype=dtype)


def _large_tensors(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    x, dy = rng.standard_normal((2, 1100, 6, 41)).astype(dtype)
    for layer in (layers.PReLU(0.25), layers.PReLU(0.25, (1,)), layers.PReLU(0.25, (1, 2)), layers.PReLU(0.25, (2,))):
        found = passes(layer, [x], [dy])
        yield "large PReLU", np.concatenate([*found.outputs, *found.d_inputs])
        yield "large PReLU, slopes", found.d_parameters["alpha"]
    for layer in (layers.Subtract(), layers.Maximum(), layers.Minimum(), layers.Average(), layers.Multiply()):
        found = passes(layer, [x, dy], [x - 1])
        yield f"large {type(layer).__name__}", np.concatenate([*found.outputs, *found.d_inputs])
    found = passes(layers.Permute((2, 1)), [x], [dy.transpose(0, 2, 1)])
    yield "large Permute", np.concatenate([found.outputs[0].transpose(0, 2, 1), *found.d_inputs])


def _training(rng: np.random.Generator, dtype: str) -> Iterator[tuple[str, Array]]:
    nodes = [
        {"op": "input", "name": "x", "inputs": [], "shape": [60]},
        {"op": "dense", "name": "hidden", "inputs": ["x"], "units": 301, "use_bias": True, "activation": "tanh"},
        {"op": "dropout", "name": "dropout", "inputs": ["hidden"], "rate": 0.25},
        {"op": "dense", "name": "y", "inputs": ["dropout"], "units": 10, "use_bias": True, "activation": "softmax"},
    ]
    graph = _core.Graph(nodes, ["y"], dtype)
    for value in graph.parameters().values():
        value[...] = 0.1 * rng.standard_normal(value.shape)
    plan = _core.Plan(
        graph,
        257,
        heads=[{"output": 0, "loss": {"name": "cross_entropy"}, "weight": 1.0, "metrics": []}],
        optimizer={"name": "adam"},
        seed=7,
    )
    x, labels = rng.standard_normal((257, 60)).astype(dtype), rng.integers(0, 10, 257)
    losses = [plan.train_step(x, labels, None, 0.01) for _ in range(5)]
    yield "training, losses", np.array(losses)
    yield "training, parameters", np.array(graph.flat())
    yield "training, prediction", plan.predict(x)


def digests(table: bool = True) -> dict[str, str]:
    """Return the hash of every kind of output, for both dtypes; without the table, of those alone that are large.

    Rows of the table compute the reference too, which takes ten times as long as all else.
    """
    hashes: dict[str, hashlib._Hash] = {}
    for dtype in DTYPES:
        rng = np.random.default_rng(12)
        for source in (
            _table_outputs(dtype) if table else (),
            _large_products(rng, dtype),
            _large_arrays(rng, dtype),
            _large_rows(rng, dtype),
            _large_images(rng, dtype),
            _large_convolutions(rng, dtype),
            _large_augmentations(rng, dtype),
            _large_norms(rng, dtype),
            _large_attention(rng, dtype),
            _large_tensors(rng, dtype),
            _training(rng, dtype),
            _norm_training(rng, dtype),
        ):
            for what, output in source:
                output = np.asarray(output)  # some are single numbers
                digest = hashes.setdefault(f"{what}, {dtype}", hashlib.sha256())
                digest.update(repr((output.shape, output.dtype.str)).encode())
                digest.update(np.ascontiguousarray(output).tobytes())
    return {what: digest.hexdigest() for what, digest in hashes.items()}


if __name__ == "__main__":
    print(json.dumps({"isa": _core.isa_name(), "digests": digests()}))
