"""Products of matrices and of their stacks: values on arrays and in networks, gradients, errors, threads."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from kernel_cases import DTYPES, Array
from kernel_cases import eps as eps_of

import nnfast as nf
from nnfast import _core, layers, ops

dtypes = pytest.mark.parametrize("dtype", DTYPES)
Product = Callable[..., Any]

# Shapes of both operands, and which of them have a batch in networks; the others are weights.
MATMUL: list[tuple[tuple[int, ...], tuple[int, ...], str]] = [
    ((5, 4), (4, 3), "a"),
    ((5, 4), (4,), "a"),
    ((2, 5, 4), (4, 3), "a"),
    ((2, 3, 5, 4), (4, 3), "a"),
    ((2, 5, 4), (2, 4, 3), "ab"),
    ((2, 3, 5, 4), (2, 3, 4, 6), "ab"),
    ((2, 3, 5, 4), (2, 1, 4, 6), "ab"),
    ((2, 1, 5, 4), (2, 3, 4, 6), "ab"),
    ((2, 3, 5, 4), (3, 4, 6), "a"),
    ((5, 4), (2, 4, 3), "b"),
    ((4,), (2, 4, 3), "b"),
    ((3, 5, 4), (2, 1, 4, 6), "b"),
    ((2, 1, 4), (2, 4, 3), "ab"),
    ((2, 3, 1), (2, 1, 5), "ab"),
    ((2, 1, 3, 1, 4), (5, 1, 4, 2), "a"),
    ((5, 4), (4, 3), ""),
    ((4,), (4,), ""),
    ((3, 2, 4), (4, 5), ""),
]


class Function(layers.Layer):
    """A function of operands of which some are weights, the others inputs; times the last input if it has no batch."""

    num_inputs = None

    def __init__(self, function: Product, weights: dict[int, Array], operands: int) -> None:
        super().__init__()
        self.function, self.values, self.count = function, weights, operands

    def build(self, input_shape: Any) -> None:
        self.own = {i: self.add_weight(value.shape, value, name=f"operand_{i}") for i, value in self.values.items()}

    def call(self, inputs: Any) -> Any:
        *given, factor = inputs if isinstance(inputs, list) else [inputs]
        rest = iter(given)
        result = self.function(*(self.own[i] if i in self.own else next(rest) for i in range(self.count)))
        return result if result.batched else result * factor


def in_network(
    function: Product, operands: Sequence[Array], batched: str, dy: Array, dtype: str = "float64"
) -> tuple[Array, list[Array]]:
    """The value, and the gradients of all operands; those named "a", "b", ... in `batched` have a batch."""
    names = "abcdef"[: len(operands)]
    weights = {i: x for i, x in enumerate(operands) if names[i] not in batched}
    values = [x for i, x in enumerate(operands) if i not in weights]
    rows = len(values[0]) if values else 1
    keeps_batch = len(values) > 0 and dy.shape[:1] == (rows,)
    row = (1,) if keeps_batch else dy.shape or (1,)
    factor = np.zeros((rows, *row))  # 1 in the first row: a result without a batch comes out there
    factor[0] = 1
    values.append(factor)
    inputs = [layers.Input(x.shape[1:]) for x in values]
    net = nf.Network(inputs=inputs, outputs=Function(function, weights, len(operands))(inputs), dtype=dtype)
    y, pullback = net.vjp(values)
    if keeps_batch:
        gradients, dx = pullback(dy)
    else:
        gradients, dx = pullback(np.broadcast_to(dy, y.shape))
        y = y[0].reshape(dy.shape)
    own = iter(dx)
    return y, [gradients[f"function.operand_{i}"] if i in weights else next(own) for i in range(len(operands))]


def bilinear_gradients(function: Product, operands: Sequence[Array], dy: Array) -> list[Array]:
    """Gradients of sum(dy f) for an f that is linear in each operand: its values for single ones among zeros."""
    gradients = []
    for i, x in enumerate(operands):
        gradient = np.empty(x.shape)
        for place in np.ndindex(x.shape):
            single = np.zeros(x.shape)
            single[place] = 1
            gradient[place] = (dy * function(*operands[:i], single, *operands[i + 1 :])).sum()
        gradients.append(gradient)
    return gradients


def check(own: Product, truth: Product, operands: Sequence[Array], batched: str, rng: np.random.Generator) -> None:
    """On arrays of both dtypes and in a network: values and gradients, sums of a few hundred terms of size 1."""
    wanted = np.asarray(truth(*operands))
    for dtype in DTYPES:
        got = own(*(x.astype(dtype) for x in operands))
        assert np.asarray(got).dtype == dtype
        np.testing.assert_allclose(got, wanted, rtol=0, atol=200 * eps_of(dtype))
    dy = rng.uniform(-1, 1, wanted.shape)
    y, gradients = in_network(own, operands, batched, dy)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=200 * eps_of("float64"))
    for gradient, expected in zip(gradients, bilinear_gradients(truth, operands, dy), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=400 * eps_of("float64"))


@pytest.mark.parametrize(("a", "b", "batched"), MATMUL)
def test_matmul(a: tuple[int, ...], b: tuple[int, ...], batched: str, rng: np.random.Generator) -> None:
    operands = [rng.uniform(-1, 1, a), rng.uniform(-1, 1, b)]
    check(ops.matmul, np.matmul, operands, batched, rng)


@pytest.mark.parametrize(("a", "b", "batched"), MATMUL)
def test_matmul_of_transposed_operands(
    a: tuple[int, ...], b: tuple[int, ...], batched: str, rng: np.random.Generator
) -> None:
    """The core's own attributes, which einsum uses; a batch that is transposed is summed over."""
    for turned in ("a", "b", "ab"):
        shapes = [s if name not in turned else (*s[:-2], *s[-2:][::-1]) for name, s in (("a", a), ("b", b))]
        if any(
            name in turned and (len(s) < 2 or (len(s) == 2 and name in batched)) for name, s in (("a", a), ("b", b))
        ):
            continue
        attributes = {f"transpose_{name}": 1 for name in turned}

        def own(x: Any, y: Any, attributes: dict[str, int] = attributes) -> Any:
            return nf.ops.core.apply("matmul", [x, y], **attributes)

        def truth(x: Array, y: Array, turned: str = turned) -> Any:
            return np.matmul(x.swapaxes(-1, -2) if "a" in turned else x, y.swapaxes(-1, -2) if "b" in turned else y)

        check(own, truth, [rng.uniform(-1, 1, shape) for shape in shapes], batched, rng)


def test_a_product_that_sums_over_the_batch(rng: np.random.Generator) -> None:
    def own(x: Any, y: Any) -> Any:
        return nf.ops.core.apply("matmul", [x, y], transpose_a=1)

    check(own, lambda x, y: x.T @ y, [rng.uniform(-1, 1, (7, 3)), rng.uniform(-1, 1, (7, 2))], "ab", rng)


def test_the_operator(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((2, 5, 3)), rng.standard_normal((3, 4))
    a, b = layers.Input((5, 3)), layers.Input((3, 5))
    net = nf.Network(inputs=[a, b], outputs=[a @ w, w.T @ b, a @ b], dtype="float64")
    found = net.predict([x, x.swapaxes(1, 2)])
    for got, expected in zip(found, [x @ w, w.T @ x.swapaxes(1, 2), x @ x.swapaxes(1, 2)], strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)


def test_integers_stay_integers() -> None:
    product = ops.matmul([[1, 2], [3, 4]], [5, 6])
    assert product.dtype == np.int64
    np.testing.assert_array_equal(product, [17, 39])


@dtypes
def test_a_product_with_a_weight_is_that_of_a_dense_layer(dtype: str, rng: np.random.Generator) -> None:
    """The same bits, with their gradients: one product of all rows, with sums over the batch in tiles."""
    x, w = rng.standard_normal((2100, 20)).astype(dtype), rng.standard_normal((20, 7)).astype(dtype)
    dense = nf.Network([layers.Input((20,)), layers.Dense(7, use_bias=False)], dtype=dtype)
    dense.parameters["dense.kernel"] = w
    y, pullback = dense.vjp(x)
    dy = rng.standard_normal(y.shape).astype(dtype)
    gradients, dx = pullback(dy)
    got, (dx_found, dw_found) = in_network(ops.matmul, [x, w], "a", dy, dtype)
    np.testing.assert_array_equal(got, y)
    np.testing.assert_array_equal(dx_found, dx)
    np.testing.assert_array_equal(dw_found, gradients["dense.kernel"])


@dtypes
def test_bits_do_not_depend_on_threads(dtype: str, rng: np.random.Generator) -> None:
    cases = [((200, 9, 16), (16, 30), "a"), ((64, 33, 40), (64, 40, 33), "ab"), ((3, 301, 97), (3, 97, 200), "ab")]
    cases.append(((60, 70), (90, 70, 20), "b"))
    threads = _core.get_num_threads()
    for a, b, batched in cases:
        operands = [rng.standard_normal(shape).astype(dtype) for shape in (a, b)]
        dy = rng.standard_normal(np.matmul(*operands).shape).astype(dtype)
        found = []
        try:
            for count in (1, 2, 5):
                _core.set_num_threads(count)
                y, gradients = in_network(ops.matmul, operands, batched, dy, dtype)
                found.append([array.tobytes() for array in (y, *gradients)])
        finally:
            _core.set_num_threads(threads)
        assert found[0] == found[1] == found[2], (a, b)


def test_a_sum_over_a_long_batch_is_accurate(rng: np.random.Generator) -> None:
    """The gradient of a matrix that all of 3000 stacked matrices are multiplied by, from the left or the right."""
    stack = rng.uniform(0, 1, (3000, 3, 2)).astype("float32")
    left, right = np.ones((2, 3), "float32"), np.ones((2, 4), "float32")
    for operands, batched, weight in ([[left, stack], "b", 0], [[stack, right], "a", 1]):
        y = np.matmul(*operands)
        gradient = in_network(ops.matmul, operands, batched, np.ones(y.shape, "float32"), "float32")[1][weight]
        sums = stack.astype(np.float64).sum(axis=(0, 2) if weight == 0 else (0, 1))
        expected = np.broadcast_to(sums, (2, 3)) if weight == 0 else np.broadcast_to(sums[:, None], (2, 4))
        # 3000 sums are added one by one, each rounding to half a unit of a partial sum.
        np.testing.assert_allclose(gradient, expected, rtol=3000**0.5 * eps_of("float32"))


@pytest.mark.parametrize(
    ("a", "b", "match"),
    [
        ((2, 3), (4, 5), r"\(\.\.\., M, K\) and \(\.\.\., K, N\) with the same K, got \(2, 3\) and \(4, 5\)"),
        ((2, 3, 4), (3, 4, 5), r"axes before the last two that broadcast.* got \(2, 3, 4\) and \(3, 4, 5\)"),
        ((), (3,), "one axis or more, got a single number; multiply by it with"),
    ],
)
def test_shapes_that_do_not_fit(a: tuple[int, ...], b: tuple[int, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ops.matmul(np.ones(a), np.ones(b))


def test_tensors_that_do_not_fit() -> None:
    x, y = layers.Input((3,)), layers.Input((4, 5))
    with pytest.raises(ValueError, match=r"matmul: expected .* the same K, got \(N, 3\) and \(N, 4, 5\)"):
        x @ y
    with pytest.raises(ValueError, match="the batch axis to stay the first one"):
        nf.ops.core.apply("matmul", [x, x], transpose_b=1)
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(N, 3\)"):
        np.ones((2, 3)) @ x
