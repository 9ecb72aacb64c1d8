"""Products of matrices and of their stacks: values on arrays and in networks, gradients, errors, threads."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st
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


# Formulas, shapes of the operands, and which of them have a batch in networks.
EINSUM: list[tuple[str, list[tuple[int, ...]], str]] = [
    ("ij->ji", [(3, 4)], ""),
    ("nij->nji", [(2, 3, 4)], "a"),
    ("nij->ni", [(2, 3, 4)], "a"),
    ("nij->", [(2, 3, 4)], "a"),
    ("ba", [(3, 4)], ""),
    ("i,i->", [(4,), (4,)], ""),
    ("i,j->ij", [(3,), (4,)], ""),
    ("ij,jk", [(3, 4), (4, 5)], ""),
    ("ij,kj->ik", [(3, 4), (5, 4)], ""),
    ("ij,ij->i", [(3, 4), (3, 4)], ""),
    ("bi,ij->bj", [(3, 4), (4, 5)], "a"),
    ("ij,bi->bj", [(4, 5), (3, 4)], "b"),
    ("bti,ij->btj", [(2, 3, 4), (4, 5)], "a"),
    ("btd,dhe->bthe", [(2, 3, 4), (4, 2, 5)], "a"),
    ("btd,dhe->bhte", [(2, 3, 4), (4, 2, 5)], "a"),
    ("bthe,hed->btd", [(2, 3, 2, 5), (2, 5, 4)], "a"),
    ("bqhd,bkhd->bhqk", [(2, 3, 2, 4), (2, 5, 2, 4)], "ab"),
    ("bhqk,bkhd->bqhd", [(2, 2, 3, 5), (2, 5, 2, 4)], "ab"),
    ("bhi,hij->bhj", [(3, 2, 4), (2, 4, 5)], "a"),
    ("hij,bhi->bhj", [(2, 4, 5), (3, 2, 4)], "b"),
    ("bi,bi->b", [(3, 4), (3, 4)], "ab"),
    ("bi,bj->bij", [(3, 4), (3, 5)], "ab"),
    ("bi,bj->ij", [(3, 4), (3, 5)], "ab"),
    ("bi,bj->", [(3, 4), (3, 5)], "ab"),
    ("bi,bj->i", [(3, 4), (3, 5)], "ab"),
    ("bti,bj->tij", [(3, 2, 4), (3, 5)], "ab"),
    ("bti,btj->ij", [(3, 2, 4), (3, 2, 5)], "ab"),
    ("bi,ij,bj->b", [(3, 4), (4, 5), (3, 5)], "ac"),
    ("ij,jk,kl->il", [(3, 4), (4, 5), (5, 2)], ""),
    ("bi,bi,bi->i", [(3, 4), (3, 4), (3, 4)], "abc"),
    ("b...i,ij->b...j", [(2, 3, 2, 4), (4, 5)], "a"),
    ("...ij,...jk->...ik", [(2, 3, 4), (2, 1, 4, 5)], "b"),
    ("...i->...", [(2, 3, 4)], "a"),
    ("ij,jk->", [(3, 4), (4, 5)], ""),
    ("ij,kl->ik", [(3, 4), (5, 2)], ""),
    ("ij,jk->ik", [(3, 1), (4, 5)], ""),
    ("bij,bjk->bik", [(2, 3, 4), (2, 1, 5)], "ab"),
]


@pytest.mark.parametrize(("formula", "shapes", "batched"), EINSUM)
def test_einsum(formula: str, shapes: list[tuple[int, ...]], batched: str, rng: np.random.Generator) -> None:
    operands = [rng.uniform(-1, 1, shape) for shape in shapes]
    check(lambda *x: ops.einsum(formula, *x), lambda *x: np.einsum(formula, *x), operands, batched, rng)


@settings(max_examples=examples(60))
@given(seed=st.integers(0, 2**32 - 1))
def test_any_formula(seed: int) -> None:
    """Up to three operands, of which any have a batch, n, and up to three other axes; any of the labels are left."""
    rng = np.random.default_rng(seed)
    labels = "abcde"[: rng.integers(1, 6)]
    size = {label: int(rng.integers(1, 4)) for label in labels} | {"n": 5}

    def some(limit: int, of: str) -> str:
        return "".join(rng.permutation(list(of))[: rng.integers(0, min(limit, len(of)) + 1)])

    batched = [bool(rng.random() < 0.6) for _ in range(rng.integers(1, 4))]
    terms = [f"n{some(3, labels) or labels[0]}" if has else some(3, labels) for has in batched]
    used = "".join(sorted(set("".join(terms)) - {"n"}))
    result = ("n" if any(batched) and rng.random() < 0.7 else "") + (some(4, used) if used else "")
    formula = ",".join(terms) + "->" + result
    operands = [rng.uniform(-1, 1, [size[label] for label in term]) for term in terms]
    names = "".join(name for name, has in zip("abc", batched, strict=False) if has)
    check(lambda *x: ops.einsum(formula, *x), lambda *x: np.einsum(formula, *x), operands, names, rng)


@pytest.mark.parametrize(
    ("formula", "shapes", "match"),
    [
        ("ii->i", [(3, 3)], "different labels in each term, got 'ii'"),
        ("ij,jk->ik", [(3, 4), (5, 2)], r"same size wherever 'j' stands .* got shapes \(3, 4\) and \(5, 2\)"),
        ("ij->ik", [(3, 4)], "expected 'k' of the result"),
        ("ij->i", [(3, 4, 5)], "an operand of 2 axes for 'ij' in .* got 3"),
        ("...ij->ij", [(3, 4, 5)], "in the result of"),
        ("ij,jk->ik", [(3, 4)], "expected 2 operands for .* got 1"),
        ("i1->i", [(3, 4)], "expected letters, commas"),
    ],
)
def test_formulas_that_do_not_fit(formula: str, shapes: list[tuple[int, ...]], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ops.einsum(formula, *(np.ones(shape) for shape in shapes))


def test_the_batch_stays_first() -> None:
    x = layers.Input((4,))
    with pytest.raises(ValueError, match=r"einsum: expected the batch axis of \(N, 4\) to be the first of the result"):
        ops.einsum("bi->ib", x)
    with pytest.raises(ValueError, match="and only there"):
        ops.einsum("bi,ci->bc", x, x)
    with pytest.raises(TypeError, match="a formula such as"):
        ops.einsum(x, [0, 1])


@pytest.mark.parametrize(
    ("a", "b", "batched"),
    [
        ((4,), (4,), ""),
        ((2, 3, 4), (4, 5), "a"),
        ((2, 4), (3, 4, 5), "a"),
        ((2, 3, 4), (5, 4, 2), "a"),
        ((3, 4), (), "a"),
    ],
)
def test_dot(a: tuple[int, ...], b: tuple[int, ...], batched: str, rng: np.random.Generator) -> None:
    check(ops.dot, np.dot, [rng.uniform(-1, 1, a), rng.uniform(-1, 1, b)], batched, rng)


@pytest.mark.parametrize(
    ("a", "b", "axes", "batched"),
    [
        ((2, 3, 4), (3, 4, 5), 2, "a"),
        ((2, 3, 4), (4, 5), 1, "a"),
        ((2, 3), (4, 5), 0, "a"),
        ((2, 3, 4), (4, 5, 3), ([1, 2], [2, 0]), "a"),
        ((2, 3, 4), (5, 3), (1, -1), "a"),
        ((3, 4), (3, 5), ([0], [0]), "ab"),
    ],
)
def test_tensordot(a: tuple[int, ...], b: tuple[int, ...], axes: Any, batched: str, rng: np.random.Generator) -> None:
    operands = [rng.uniform(-1, 1, a), rng.uniform(-1, 1, b)]
    check(lambda x, y: ops.tensordot(x, y, axes), lambda x, y: np.tensordot(x, y, axes), operands, batched, rng)


def test_axes_of_tensordot_that_do_not_fit() -> None:
    x = np.ones((3, 4))
    with pytest.raises(ValueError, match="expected axes from 0 to 2, got 3"):
        ops.tensordot(x, x, 3)
    with pytest.raises(ValueError, match=r"axis 0 of \(3, 4\) and axis 1 of \(3, 4\)"):
        ops.tensordot(x, x, (0, 1))
    with pytest.raises(ValueError, match="as many axes of x1 as of x2"):
        ops.tensordot(x, x, ([0, 1], [0]))
