"""The core's nodes of attention, on which layers build: values, gradients, what a query does not see, bits, errors."""

import itertools
from typing import Any

import numpy as np
import pytest
import reference.attention as ref
from layer_passes import passes
from reference.dropout import dropout

import nnfast as nf
from nnfast import kernels, layers
from nnfast.core.typing import Array, Shape, Spec

EPS = np.finfo(np.float64).eps
FIRST_STREAM = 1 << 30  # of a network's nodes; see csrc/plan/build.cpp


class Attend(layers.Layer):
    """A node `attention` with the given attributes."""

    op = "attention"
    num_inputs = None

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.options = options

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, **self.options}


class Rotate(Attend):
    op = "rotary"


def tensors(
    n: int, t: int, s: int, heads: int, groups: int, d: int, d_value: int, dtype: str = "float64"
) -> tuple[Array, Array, Array]:
    """Queries, keys and values with an axis of heads."""
    rng = np.random.default_rng(n * t + s)
    q, k = rng.normal(size=(n, t, heads, d)), rng.normal(size=(n, s, groups, d))
    return q.astype(dtype), k.astype(dtype), rng.normal(size=(n, s, groups, d_value)).astype(dtype)


def flat(x: Array) -> Array:
    """Heads side by side, as nodes have them."""
    return x.reshape(*x.shape[:2], -1)


def attend(q: Array, k: Array, v: Array, **options: Any) -> Array:
    return kernels.attention_forward(q, k, v, **options)[0]


SHAPES = [
    (2, 5, 5, 2, 2, 3, 3),
    (2, 1, 9, 4, 2, 2, 5),
    (1, 7, 3, 3, 1, 4, 1),  # with causal, queries that see no key
    (1, 70, 300, 2, 1, 4, 3),  # several blocks of queries and of keys
    (1, 130, 65, 2, 2, 2, 2),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", ["", "keys", "queries"])
def test_values_and_gradients(shape: Any, causal: bool, masked: str) -> None:
    q, k, v = tensors(*shape)
    rng = np.random.default_rng(3)
    inputs, mask = [flat(q), flat(k), flat(v)], None
    if masked:
        of_mask = (len(q), k.shape[1]) if masked == "keys" else (len(q), q.shape[1], k.shape[1])
        mask = (rng.random(of_mask) < 0.7).astype("float64")
        mask[0, ..., :2] = 0
        inputs.append(mask)
    options = {"heads": q.shape[2], "key_value_heads": k.shape[2], "causal": int(causal), "scale": 0.75}
    layer = Attend({**options, "has_mask": int(mask is not None)})
    truth = ref.attention(q, k, v, mask, causal, 0.75)
    dy = rng.normal(size=truth.shape)
    found = passes(layer, inputs, [flat(dy)])
    np.testing.assert_allclose(found.outputs[0], flat(truth), rtol=0, atol=200 * EPS)
    wanted = ref.attention_gradients(dy, q, k, v, mask, causal, 0.75)
    for got, gradient in zip(found.d_inputs[:3], wanted, strict=True):
        np.testing.assert_allclose(got, flat(gradient), rtol=0, atol=4000 * EPS)


def projected(options: dict[str, Any], steps: int = 6, features: int = 4) -> nf.Network:
    x = layers.Input((steps, features))
    # A bias of keys would change nothing: its gradient is 0 but for rounding.
    heads = layers.Dense(6, name="q")(x), layers.Dense(6, use_bias=False, name="k")(x), layers.Dense(4, name="v")(x)
    y = layers.Dense(2, name="last")(Attend({"heads": 2, **options})(list(heads)))
    return nf.Network(inputs=x, outputs=y, seed=4, dtype="float64")


@pytest.mark.parametrize("options", [{}, {"causal": 1}, {"dropout": 0.25, "causal": 1}], ids=str)
def test_central_differences(options: dict[str, Any]) -> None:
    net = projected(options)
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(3, 6, 4)), rng.normal(size=(3, 6, 2))
    nf.check_gradients(net, x, y, "mse", training=True, raise_on_failure=True)


def test_dropout_is_that_of_the_weights_in_training_only() -> None:
    net = projected({"dropout": 0.4})
    x = np.random.default_rng(6).normal(size=(3, 6, 4))
    plan = net.plan(len(x), heads=net.heads("test", "mse"), keep=True, fuse=False)
    plan.run(x, True)
    values = plan.values()
    q, k, v = (values[name].reshape(3, 6, 2, -1) for name in ("q", "k", "v"))
    stream = FIRST_STREAM + [layer.name for layer in net.layers].index("attend")
    kept = dropout(np.ones((3, 2, 6, 6)), 0.4, net.seed, 0, stream)
    assert 0 < (kept == 0).sum() < kept.size
    wanted = ref.attention(q, k, v, scale=3**-0.5, kept=kept)
    np.testing.assert_allclose(values["attend"], flat(wanted), rtol=0, atol=200 * EPS)
    trace = net.trace(x)
    np.testing.assert_allclose(trace["attend"], flat(ref.attention(q, k, v, scale=3**-0.5)), rtol=0, atol=200 * EPS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("where", ["after", "before"])
def test_padding_has_no_effect_not_even_as_nan(dtype: str, where: str) -> None:
    q, k, v = tensors(2, 5, 270, 2, 1, 8, 8, dtype)
    mask = np.ones((2, 270), dtype)
    hidden = slice(37, None) if where == "after" else slice(0, 260)
    mask[:, hidden] = 0
    alone = attend(q, k, v, mask=mask)
    if where == "after":
        np.testing.assert_array_equal(alone, attend(q, k[:, :37].copy(), v[:, :37].copy()))
    rng = np.random.default_rng(0)
    k[:, hidden], v[:, hidden] = rng.normal(size=2)
    dy = rng.normal(size=q.shape).astype(dtype)
    y, sums = kernels.attention_forward(q, k, v, mask=mask)
    gradients = kernels.attention_backward(dy, y, sums, q, k, v, mask=mask)
    for poison in (np.nan, np.inf, -np.inf):
        k[:, hidden], v[:, hidden] = poison, -poison
        y, sums = kernels.attention_forward(q, k, v, mask=mask)
        np.testing.assert_array_equal(y, alone)
        for got, wanted in zip(kernels.attention_backward(dy, y, sums, q, k, v, mask=mask), gradients, strict=True):
            np.testing.assert_array_equal(got, wanted)
        assert (gradients[1][:, hidden] == 0).all()
        assert (gradients[2][:, hidden] == 0).all()


@pytest.mark.parametrize("by_mask", [False, True])
def test_later_steps_have_no_effect_on_earlier_ones(by_mask: bool) -> None:
    q, k, v = tensors(1, 150, 150, 2, 2, 4, 4, "float32")
    options: dict[str, Any] = {"causal": True}
    if by_mask:
        options = {"mask": np.tril(np.ones((1, 150, 150), "float32"))}
    before = attend(q, k, v, **options)
    for poison in (np.nan, 1e30):
        k[:, 70:], v[:, 70:], q[:, 70:] = poison, poison, poison
        np.testing.assert_array_equal(attend(q, k, v, **options)[:, :70], before[:, :70])


def test_nan_that_is_seen_shows() -> None:
    q, k, v = tensors(1, 4, 4, 1, 1, 2, 2)
    for i, x in enumerate((q, k, v)):
        given = [q, k, v]
        given[i] = x.copy()
        given[i][0, 1] = np.nan
        y = attend(*given, causal=True)
        np.testing.assert_array_equal(np.isnan(y[0, :, 0]).any(axis=-1), [False, True, i > 0, i > 0])


def test_a_query_that_sees_no_key_gives_zeros_and_no_gradient() -> None:
    q, k, v = tensors(2, 3, 2, 1, 1, 2, 2)
    mask = np.array([[0.0, 0.0], [1.0, 1.0]])
    y, sums = kernels.attention_forward(q, k, v, mask=mask, causal=True)
    assert (y[0] == 0).all()
    assert (y[1, 0] == 0).all()
    assert (sums[0] == np.inf).all()
    gradients = kernels.attention_backward(np.ones_like(y), y, sums, q, k, v, mask=mask, causal=True)
    assert all((gradient[0] == 0).all() for gradient in gradients)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_depend_on_neither_rows_nor_threads(dtype: str) -> None:
    q, k, v = tensors(5, 70, 300, 2, 1, 8, 6, dtype)
    rng = np.random.default_rng(8)
    dy = rng.normal(size=(5, 70, 2, 6)).astype(dtype)

    def results(rows: slice) -> list[Array]:
        part = [np.ascontiguousarray(x[rows]) for x in (q, k, v)]
        y, sums = kernels.attention_forward(*part, causal=True)
        return [y, *kernels.attention_backward(np.ascontiguousarray(dy[rows]), y, sums, *part, causal=True)]

    threads = nf.get_num_threads()
    try:
        nf.set_num_threads(1)
        together = results(slice(None))
        for count, row in itertools.product((1, 2, 5), (0, 4)):  # with more threads than groups, blocks are shared
            nf.set_num_threads(count)
            for got, wanted in zip(results(slice(row, row + 1)), together, strict=True):
                np.testing.assert_array_equal(got[0], wanted[row])
    finally:
        nf.set_num_threads(threads)


def test_a_step_with_a_cache_is_the_last_row_of_the_whole() -> None:
    q, k, v = tensors(2, 300, 300, 4, 2, 8, 8, "float32")
    whole = attend(q, k, v, causal=True)
    for step in (1, 64, 257, 300):
        last = attend(q[:, step - 1 : step].copy(), k[:, :step].copy(), v[:, :step].copy(), causal=True)
        np.testing.assert_array_equal(last[:, 0], whole[:, step - 1])


def test_large_scores_do_not_overflow() -> None:
    q, k, v = tensors(1, 3, 5, 1, 1, 4, 2, "float32")
    y = attend(1000 * q, 1000 * k, v)
    truth = ref.attention(1000 * q, 1000 * k, v, scale=0.5)
    np.testing.assert_allclose(y, truth, rtol=0, atol=1e-2)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("groups", [4, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_the_same_as_in_torch(groups: int, causal: bool) -> None:
    torch = pytest.importorskip("torch")
    q, k, v = tensors(2, 33, 33, 4, groups, 8, 8)
    given = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    of_heads = [x.transpose(1, 2) for x in given]
    wanted = torch.nn.functional.scaled_dot_product_attention(*of_heads, is_causal=causal, enable_gqa=True)
    dy = np.random.default_rng(9).normal(size=q.shape)
    (wanted.transpose(1, 2) * torch.tensor(dy)).sum().backward()
    y, sums = kernels.attention_forward(q, k, v, causal=causal)
    np.testing.assert_allclose(y, wanted.detach().numpy().transpose(0, 2, 1, 3), rtol=0, atol=1e-13)
    gradients = kernels.attention_backward(dy, y, sums, q, k, v, causal=causal)
    for got, x in zip(gradients, given, strict=True):
        np.testing.assert_allclose(got, x.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rotary_node(interleaved: bool, dtype: str) -> None:
    rng = np.random.default_rng(10)
    x, dy = (rng.normal(size=(3, 7, 2, 6)).astype(dtype) for _ in range(2))
    eps = np.finfo(dtype).eps
    options = {"heads": 2, "base": 300.0, "interleaved": int(interleaved)}
    found = passes(Rotate(options), [flat(x)], [flat(dy)])
    truth = flat(ref.rotary(x, None, 300.0, interleaved))
    np.testing.assert_allclose(found.outputs[0], truth, rtol=0, atol=30 * eps)
    gradient = flat(ref.rotary(dy, None, 300.0, interleaved, inverse=True))
    np.testing.assert_allclose(found.d_inputs[0], gradient, rtol=0, atol=30 * eps)
    offsets = np.array([[0.0], [12.0], [99999.0]], dtype)
    found = passes(Rotate({**options, "has_offset": 1}), [flat(x), offsets], [flat(dy)])
    truth = flat(ref.rotary(x, offsets[:, 0], 300.0, interleaved))
    # Beside rounding in float32, the angle's rounding in float64.
    atol = 30 * eps + 1e5 * 8 * EPS
    np.testing.assert_allclose(found.outputs[0], truth, rtol=0, atol=atol)


def test_rotary_products_depend_on_the_distance_alone() -> None:
    rng = np.random.default_rng(11)
    q, k = np.repeat(rng.normal(size=(2, 1, 1, 8)), 2, axis=1)[:, None].transpose(0, 2, 1, 3, 4)[:, :, 0]
    q, k = q[None], k[None]
    near = [kernels.rotary_forward(x) for x in (q, k)]
    far = [kernels.rotary_forward(x, np.array([1000.0])) for x in (q, k)]
    products = [[(a[0, i] * b[0, j]).sum() for i in range(2) for j in range(2)] for a, b in (near, far)]
    np.testing.assert_allclose(products[0], products[1], rtol=0, atol=1e-11)
    assert abs(products[0][0] - products[0][1]) > 1e-3


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        ({"heads": 3}, [(4, 8), (4, 8), (4, 8)], r"heads that divide the 8 features of the queries, got 3"),
        ({"heads": 0}, [(4, 8), (4, 8), (4, 8)], r"heads that divide"),
        ({"heads": 4, "key_value_heads": 3}, [(4, 8), (4, 6), (4, 6)], r"key_value_heads that divide the 4 heads"),
        ({"heads": 4, "key_value_heads": 2}, [(4, 8), (4, 8), (4, 8)], r"4 in all, got 8"),
        ({"heads": 2}, [(4, 8), (5, 8), (4, 8)], r"same length"),
        ({"heads": 2}, [(8,), (4, 8), (4, 8)], r"\(N, time, features\)"),
        ({"heads": 2, "dropout": 1.0}, [(4, 8), (4, 8), (4, 8)], r"0 <= dropout < 1, got 1"),
        ({"heads": 2, "scale": float("inf")}, [(4, 8), (4, 8), (4, 8)], r"finite scale"),
        ({"heads": 2, "has_mask": 1}, [(4, 8), (5, 8), (5, 8), (4,)], r"\(N, 5\) or \(N, 4, 5\), got \(N, 4\)"),
        ({"heads": 2, "has_mask": 1}, [(4, 8), (5, 8), (5, 8)], r"4 inputs, got 3"),
        ({"heads": 2, "head": 1}, [(4, 8), (4, 8), (4, 8)], r"head"),
    ],
)
def test_bad_attention(options: dict[str, Any], shapes: list[Shape], message: str) -> None:
    inputs = [layers.Input(shape) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        nf.Network(inputs=inputs, outputs=Attend(options)(inputs), seed=0)


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        ({"heads": 3}, [(4, 8)], r"heads that divide the 8 features, got 3"),
        ({"heads": 8}, [(4, 8)], r"even number of features for each head"),
        ({"heads": 2}, [(4, 4, 2)], r"\(N, time, features\)"),
        ({"heads": 2, "base": 0.0}, [(4, 8)], r"finite base above 0"),
        ({"heads": 2, "has_offset": 1}, [(4, 8), (4,)], r"one offset for each row"),
    ],
)
def test_bad_rotary(options: dict[str, Any], shapes: list[Shape], message: str) -> None:
    inputs = [layers.Input(shape) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        nf.Network(inputs=inputs, outputs=Rotate(options)(inputs if len(inputs) > 1 else inputs[0]), seed=0)
