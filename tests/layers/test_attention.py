"""Multi-head attention: values in NumPy, gradients of the same in nf.ops, PyTorch, Keras, masks, dropout, bad input."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import bits, duplicates, randomize

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

N, T, S = 3, 5, 7
QUERY, VALUE, KEY = 6, 4, 3
"""Sizes of a step of each."""

Weights = dict[str, Array]


def heads_of(x: Array, heads: int) -> Array:
    """(N, T, H Dh) to (N, H, T, Dh)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def multi_head(
    p: Weights, query: Array, value: Array, key: Array, heads: int, groups: int, seen: Array | None = None
) -> Array:
    """One query at a time, which sees those of the keys for which seen (N, T, S) is 1."""

    def projected(x: Array, name: str) -> Array:
        return x @ p[f"{name}.kernel"] + p.get(f"{name}.bias", 0.0)

    q = heads_of(projected(query, "query"), heads)
    k, v = (heads_of(projected(x, name), groups) for x, name in ((key, "key"), (value, "value")))
    y = np.zeros((*q.shape[:3], v.shape[-1]))
    for n, h, t in np.ndindex(*q.shape[:3]):
        steps = np.arange(k.shape[2]) if seen is None else np.flatnonzero(seen[n, t])
        if len(steps):
            group = h // (heads // groups)
            scores = k[n, group, steps] @ q[n, h, t] / np.sqrt(q.shape[-1])
            weights = np.exp(scores - scores.max())
            y[n, h, t] = weights / weights.sum() @ v[n, group, steps]
    joined = y.transpose(0, 2, 1, 3).reshape(*query.shape[:2], -1)
    return projected(joined, "attention_output")


class Composed(layers.Layer):
    """The same of the functions of nf.ops, with all of the weights in memory, for self-attention and others."""

    def __init__(self, heads: int, groups: int, key_dim: int, value_dim: int, size: int, seen: Array | None) -> None:
        super().__init__(name="attention")
        self.heads, self.groups, self.key_dim, self.value_dim, self.size = heads, groups, key_dim, value_dim, size
        self.seen = seen

    def build(self, input_shape: Any) -> None:
        units = {
            "query": self.heads * self.key_dim,
            "key": self.groups * self.key_dim,
            "value": self.groups * self.value_dim,
            "attention_output": self.size,
        }
        self.parts = {name: layers.Dense(count, name=name) for name, count in units.items()}

    def call(self, inputs: Any) -> Any:
        query, value, key = inputs

        def split(x: Any, heads: int) -> Any:
            return nf.ops.transpose(nf.ops.reshape(x, (None, x.shape[0], heads, x.shape[1] // heads)), (0, 2, 1, 3))

        q, k, v = self.parts["query"](query), self.parts["key"](key), self.parts["value"](value)
        share = self.heads // self.groups
        q = split(q, self.heads)
        k, v = (nf.ops.repeat(split(x, self.groups), share, axis=1) for x in (k, v))
        scores = q @ nf.ops.transpose(k, (0, 1, 3, 2)) / np.sqrt(self.key_dim)
        if self.seen is not None:
            scores = nf.ops.where(self.seen != 0, scores, -1e300)
        y = nf.ops.transpose(nf.ops.softmax(scores, axis=-1) @ v, (0, 2, 1, 3))
        y = nf.ops.reshape(y, (None, query.shape[0], self.heads * self.value_dim))
        return self.parts["attention_output"](y)


def inputs_of(rng: np.random.Generator, dtype: str = "float64") -> list[Array]:
    """Query, value and key."""
    return [rng.normal(size=(N, *shape)).astype(dtype) for shape in ((T, QUERY), (S, VALUE), (S, KEY))]


def three_inputs() -> list[layers.Input]:
    return [layers.Input(shape) for shape in ((T, QUERY), (S, VALUE), (S, KEY))]


def network(layer: layers.Layer, dtype: str = "float64") -> nf.Network:
    """The layer on three different sequences, with random parameters."""
    entries = three_inputs()
    net = nf.Network(inputs=list(entries), outputs=layer(list(entries)), seed=1, dtype=dtype)
    return randomize(net, np.random.default_rng(2))


def weights_of(net: nf.Network, name: str = "attention") -> Weights:
    start = f"{name}."
    return {k.removeprefix(start): v.astype("float64") for k, v in net.parameters.items() if k.startswith(start)}


def assert_gradients(net: nf.Network, x: Any, y: Array) -> None:
    """They are differences of the loss. The bias of keys shifts all scores of a query: its gradient is 0."""
    report = nf.check_gradients(net, x, y, "mse", max_elements=8)
    gradients = net.loss_and_gradients(x, y, "mse")[1]
    wrong = {name for name, error in report.errors.items() if not error <= report.tolerance}
    wrong -= {name for name in wrong if name.endswith("key.bias") and np.abs(gradients[name]).max() < 1e-13}
    assert not wrong, f"\n{report}"


def causal(steps: int, seen: int) -> Array:
    """Those that each step of the query sees, the last of which is at the last key."""
    return np.tri(steps, seen, seen - steps)


OPTIONS: dict[str, dict[str, Any]] = {
    "one head": {"num_heads": 1},
    "heads": {},
    "values of another size": {"value_dim": 5, "output_shape": 3},
    "no bias": {"use_bias": False},
    "causal": {"causal": True},
    "grouped": {"num_heads": 4, "num_key_value_heads": 2},
    "one group": {"num_heads": 3, "num_key_value_heads": 1, "causal": True, "value_dim": 1},
}


def attention(**options: Any) -> layers.MultiHeadAttention:
    return layers.MultiHeadAttention(**({"num_heads": 2, "key_dim": 3, "name": "attention"} | options))


def tolerance(dtype: str) -> float:
    """Sums of some 20 terms around 1 in each of four products, whose errors the softmax passes on."""
    return 100 * float(np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIONS)
def test_values(name: str, dtype: str, rng: np.random.Generator) -> None:
    layer = attention(**OPTIONS[name])
    net = network(layer, dtype)
    query, value, key = inputs_of(rng, dtype)
    seen = np.broadcast_to(causal(T, S), (N, T, S)) if layer.causal else None
    heads, groups = layer.num_heads, layer.num_key_value_heads or layer.num_heads
    wanted = multi_head(weights_of(net), *(a.astype("float64") for a in (query, value, key)), heads, groups, seen)
    got = net.predict([query, value, key])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance(dtype) * np.abs(wanted).max())


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"no bias"}))
def test_gradients_are_those_of_a_composition(name: str, rng: np.random.Generator) -> None:
    layer = attention(**OPTIONS[name])
    size = layer.output_shape or QUERY
    seen = causal(T, S) if layer.causal else None
    groups = layer.num_key_value_heads or layer.num_heads
    composed = Composed(layer.num_heads, groups, layer.key_dim, layer.value_dim or layer.key_dim, size, seen)
    nets = [network(layer), network(composed)]
    nets[1].parameters.update(nets[0].parameters)
    x, dy = inputs_of(rng), rng.normal(size=(N, T, size))
    found = []
    for net in nets:
        y, pullback = net.vjp(x)
        gradients, dx = pullback(dy)
        found.append({"y": y, **gradients, **dict(enumerate(dx))})
    for key, wanted in found[1].items():
        np.testing.assert_allclose(
            found[0][key], wanted, rtol=0, atol=1e-12 * max(1, np.abs(wanted).max()), err_msg=key
        )


# ---- ways to call it -------------------------------------------------------------------


def test_ways_to_say_self_attention(rng: np.random.Generator) -> None:
    x = layers.Input((T, QUERY))
    ways = [
        lambda f: f(x),
        lambda f: f(x, x),
        lambda f: f(query=x, value=x),
        lambda f: f(x, x, key=x),
        lambda f: f([x]),
    ]
    nets = [nf.Network(inputs=x, outputs=way(attention()), seed=3) for way in ways]
    chain = nf.Network([layers.Input((T, QUERY)), attention()], seed=3)
    data = rng.normal(size=(N, T, QUERY)).astype("float32")
    assert {net.predict(data).tobytes() for net in [*nets, chain]} == {chain.predict(data).tobytes()}
    assert {len(net.get_layer("attention").composition.traces) for net in nets} == {1}


def test_the_order_is_query_value_key(rng: np.random.Generator) -> None:
    data = inputs_of(rng)
    query, value, key = entries = three_inputs()
    net = nf.Network(inputs=list(entries), outputs=attention()(query, key=key, value=value), seed=1, dtype="float64")
    other = nf.Network(inputs=list(entries), outputs=attention()(entries), seed=1, dtype="float64")
    assert net.predict(data).tobytes() == other.predict(data).tobytes()
    assert net.parameters["attention.key.kernel"].shape == (KEY, 6)


def test_keras_way_to_say_causal(rng: np.random.Generator) -> None:
    x = layers.Input((T, QUERY))
    data = rng.normal(size=(N, T, QUERY))
    said = attention()
    nets = [
        nf.Network(inputs=x, outputs=y, seed=3) for y in (said(x, x, use_causal_mask=True), attention(causal=True)(x))
    ]
    assert nets[0].predict(data).tobytes() == nets[1].predict(data).tobytes()
    assert repr(said) == "MultiHeadAttention(2, 3, causal=True, name='attention')"
    said(x, use_causal_mask=True)
    with pytest.raises(ValueError, match="use_causal_mask=True, as in the layer's first call, got False"):
        said(x, use_causal_mask=False)
    plain = attention()
    plain(x)
    with pytest.raises(ValueError, match="make two layers"):
        plain(x, use_causal_mask=True)


def test_a_layer_that_is_called_twice_shares_its_parameters(rng: np.random.Generator) -> None:
    a, b = layers.Input((T, QUERY)), layers.Input((S, QUERY))
    layer = attention()
    net = nf.Network(inputs=[a, b], outputs=[layer(a), layer(b, a)], seed=3, dtype="float64")
    assert len(net.parameters) == 8
    data = [rng.normal(size=(N, steps, QUERY)) for steps in (T, S)]
    randomize(net, rng)
    p = weights_of(net)
    for got, (query, value) in zip(net.predict(data), ((0, 0), (1, 0)), strict=True):
        wanted = multi_head(p, data[query], data[value], data[value], 2, 2)
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_group_query_attention_is_a_way_to_say_it(rng: np.random.Generator) -> None:
    data = inputs_of(rng)
    one = network(layers.GroupQueryAttention(3, 4, 2, causal=True, name="attention"))
    two = network(attention(num_heads=4, num_key_value_heads=2, causal=True))
    assert one.predict(data).tobytes() == two.predict(data).tobytes()
    assert one.get_layer("attention").get_config()["num_query_heads"] == 4


# ---- masks -----------------------------------------------------------------------------


def masks(rng: np.random.Generator) -> dict[str, Array]:
    by_query = rng.integers(0, 2, (N, T, S)).astype("float64")
    by_query[1, 2] = 0  # a step that sees nothing
    keys = np.arange(S) < np.array([[S], [2], [0]])
    return {"by query": by_query, "of keys": keys.astype("float64")}


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("kind", ["by query", "of keys"])
def test_masks_given_with_the_data(kind: str, is_causal: bool, rng: np.random.Generator) -> None:
    mask = masks(rng)[kind]
    entries, given = three_inputs(), layers.Input(mask.shape[1:])
    layer = attention(causal=is_causal)
    y = layer(entries[0], entries[1], entries[2], attention_mask=given)
    net = nf.Network(inputs=[*entries, given], outputs=y, seed=1, dtype="float64")
    randomize(net, rng)
    data = inputs_of(rng)
    seen = np.broadcast_to(mask[:, None] if mask.ndim == 2 else mask, (N, T, S))
    if is_causal:
        seen = seen * causal(T, S)
    wanted = multi_head(weights_of(net), *data, 2, 2, seen)
    np.testing.assert_allclose(net.predict([*data, mask]), wanted, rtol=0, atol=1e-12)
    assert_gradients(net, [*data, mask], rng.normal(size=(N, T, QUERY)))


@pytest.mark.parametrize("shape", [(T, S), (S,)])
def test_masks_that_are_the_same_for_all_rows(shape: tuple[int, ...], rng: np.random.Generator, tmp_path: Path) -> None:
    mask = rng.integers(0, 2, shape) != 0
    mask[..., 0] = True
    net = network_with_mask(mask)
    data = inputs_of(rng)
    wanted = multi_head(weights_of(net), *data, 2, 2, np.broadcast_to(mask, (N, T, S)))
    np.testing.assert_allclose(net.predict(data), wanted, rtol=0, atol=1e-12)
    for way, twin in duplicates(net, tmp_path, {}).items():
        assert bits(twin.predict(data)) == bits(net.predict(data)), way


def network_with_mask(mask: Any) -> nf.Network:
    query, value, key = entries = three_inputs()
    y = attention()(query, value, key, attention_mask=mask)
    return randomize(nf.Network(inputs=list(entries), outputs=y, seed=1, dtype="float64"), np.random.default_rng(4))


LENGTHS = (S, 2, 4)


def padded(rng: np.random.Generator) -> tuple[Array, Array]:
    x = rng.normal(size=(N, S, VALUE))
    mask = np.arange(S) < np.array(LENGTHS)[:, None]
    x[~mask] = 0
    return x, mask


@pytest.mark.parametrize("is_causal", [False, True])
def test_padding_of_the_keys_is_not_seen(is_causal: bool, rng: np.random.Generator) -> None:
    query, memory = layers.Input((T, QUERY)), layers.Input((S, VALUE))
    y = attention(causal=is_causal)(query, layers.Masking()(memory))
    net = randomize(nf.Network(inputs=[query, memory], outputs=y, seed=1, dtype="float64"), rng)
    x, mask = padded(rng)
    q = rng.normal(size=(N, T, QUERY))
    seen = np.broadcast_to(mask[:, None], (N, T, S)) * (causal(T, S) if is_causal else 1)
    wanted = multi_head(weights_of(net), q, x, x, 2, 2, seen)
    np.testing.assert_allclose(net.predict([q, x]), wanted, rtol=0, atol=1e-12)


def test_padding_and_a_given_mask(rng: np.random.Generator) -> None:
    query, memory, given = layers.Input((T, QUERY)), layers.Input((S, VALUE)), layers.Input((T, S))
    x, mask = padded(rng)
    explicit = rng.integers(0, 2, (N, T, S)).astype("float64")
    y = attention()(query, layers.Masking()(memory), attention_mask=given)
    net = randomize(nf.Network(inputs=[query, memory, given], outputs=y, seed=1, dtype="float64"), rng)
    q = rng.normal(size=(N, T, QUERY))
    wanted = multi_head(weights_of(net), q, x, x, 2, 2, explicit * mask[:, None])
    np.testing.assert_allclose(net.predict([q, x, explicit]), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"rotary": True, "key_dim": 4}])
def test_a_sequence_is_the_same_alone_and_padded(options: dict[str, Any], dtype: str, rng: np.random.Generator) -> None:
    """Its predictions, its loss and its gradients: padding has neither."""
    x, _ = padded(rng)
    x, y = x.astype(dtype), rng.normal(size=(N, S, 2)).astype(dtype)

    def make(steps: int) -> nf.Network:
        chain = [layers.Input((steps, VALUE)), layers.Masking(), attention(**options), layers.Dense(2, name="last")]
        return randomize(nf.Network(chain, seed=5, dtype=dtype), np.random.default_rng(6))

    long = make(S)
    for row, length in enumerate(LENGTHS):
        short = make(length)
        np.testing.assert_allclose(
            long.predict(x[row : row + 1])[:, :length],
            short.predict(x[row : row + 1, :length]),
            rtol=0,
            atol=tolerance(dtype),
        )
        one = long.loss_and_gradients(x[row : row + 1], y[row : row + 1], "mse")
        two = short.loss_and_gradients(x[row : row + 1, :length], y[row : row + 1, :length], "mse")
        assert one[0] == pytest.approx(two[0], rel=tolerance(dtype))
        for name, gradient in one[1].items():
            np.testing.assert_allclose(gradient, two[1][name], rtol=0, atol=10 * tolerance(dtype), err_msg=name)


def test_padding_of_tokens(rng: np.random.Generator) -> None:
    """Token 0 of an embedding with mask_zero; the mask reaches the loss through the layer."""
    tokens = np.array([[3, 1, 2, 0, 0], [4, 2, 0, 0, 0]])
    chain = [layers.Input((5,), dtype="int32"), layers.Embedding(6, 4, mask_zero=True), attention(), layers.Dense(2)]
    net = randomize(nf.Network(chain, seed=5, dtype="float64"), rng)
    x = net.parameters["embedding.embeddings"][tokens]
    seen = np.broadcast_to((tokens != 0)[:, None], (2, 5, 5))
    hidden = multi_head(weights_of(net), x, x, x, 2, 2, seen)
    y = hidden @ net.parameters["dense.kernel"] + net.parameters["dense.bias"]
    np.testing.assert_allclose(net.predict(tokens), y, rtol=0, atol=1e-12)
    target = rng.normal(size=y.shape)
    steps = ((y - target) ** 2).mean(axis=-1)
    wanted = np.mean([steps[0, :3].mean(), steps[1, :2].mean()])
    assert net.loss_and_gradients(tokens, target, "mse")[0] == pytest.approx(wanted, rel=1e-12)


# ---- dropout, threads, files -----------------------------------------------------------


def test_dropout_drops_weights() -> None:
    """With the identity as values and output the result are the weights, of which the share `rate` is 0."""
    rate, steps, rows = 0.25, 8, 200
    layer = attention(num_heads=1, key_dim=2, value_dim=steps, dropout=rate)
    net = nf.Network([layers.Input((steps, steps)), layer], seed=7, dtype="float64")
    for name in ("value", "attention_output"):
        net.parameters[f"attention.{name}.kernel"] = np.eye(steps)
    x = np.broadcast_to(np.eye(steps), (rows, steps, steps))
    weights = net.predict(x)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-12)
    first, second = net.vjp(x, training=True)[0], net.vjp(x, training=True)[0]
    kept = first != 0
    np.testing.assert_allclose(first[kept], (weights / (1 - rate))[kept], rtol=1e-12)
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / kept.size)
    assert (first != second).any()
    assert (net.vjp(x)[0] != 0).all()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("options", [{}, {"causal": True, "dropout": 0.3}, {"num_key_value_heads": 1, "rotary": True}])
def test_threads_change_no_bit(options: dict[str, Any], rng: np.random.Generator) -> None:
    x = rng.normal(size=(40, 70, 16)).astype("float32")
    y = rng.normal(size=(40, 70, 16)).astype("float32")
    found = set()
    for count in (1, 2, 3):
        nf.set_num_threads(count)
        net = nf.Network([layers.Input((70, 16)), attention(key_dim=8, **options)], seed=8)
        loss, gradients = net.loss_and_gradients(x, y, "mse", training=True)
        found.add((loss, *bits(gradients), net.predict(x).tobytes()))
    assert len(found) == 1


def test_the_parts_are_traced_by_name(rng: np.random.Generator) -> None:
    net = network(attention(rotary=True, key_dim=4))
    traced = net.trace(inputs_of(rng))
    names = {name.removeprefix("attention.") for name in traced}
    assert {"attention", "query", "key", "value", "rotary_query", "rotary_key"} <= names
    assert traced["attention.query"].shape == (N, T, 8)


def test_keras_arrays_fit(rng: np.random.Generator) -> None:
    """Its kernels have an axis for the heads."""
    net = network(attention(num_heads=4, num_key_value_heads=2, value_dim=5))
    layer = net.get_layer("attention")
    own = [rng.normal(size=view.shape) for view in layer.get_weights()]
    shapes = [(QUERY, 4, 3), (4, 3), (KEY, 2, 3), (2, 3), (VALUE, 2, 5), (2, 5), (4, 5, QUERY), (QUERY,)]
    layer.set_weights([array.reshape(shape) for array, shape in zip(own, shapes, strict=True)])
    assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), own, strict=True))
    with pytest.raises(ValueError, match="shape"):
        layer.set_weights([own[0].reshape(3, 4, QUERY), *own[1:]])


def test_options_of_weights(rng: np.random.Generator) -> None:
    layer = attention(
        kernel_regularizer="l2", bias_constraint="non_neg", output_initializer="zeros", trainable=["key.kernel"]
    )
    net = network(layer)
    assert net.trainable == ["attention.key.kernel"]
    fresh = nf.Network([layers.Input((T, QUERY)), attention(output_initializer="zeros")], seed=1)
    assert not fresh.parameters["attention.attention_output.kernel"].any()
    assert fresh.parameters["attention.query.kernel"].any()
    free = network(attention(kernel_regularizer=nf.regularizers.L2(0.5)))
    x, y = inputs_of(rng), rng.normal(size=(N, T, QUERY))
    plain = network(attention())
    penalty = 0.5 * sum((view**2).sum() for name, view in free.parameters.items() if name.endswith("kernel"))
    losses = [net.loss_and_gradients(x, y, "mse")[0] for net in (free, plain)]
    assert losses[0] - losses[1] == pytest.approx(penalty, rel=1e-10)


# ---- other libraries -------------------------------------------------------------------


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("has_padding", [False, True])
def test_pytorch(is_causal: bool, has_padding: bool, rng: np.random.Generator) -> None:
    """nn.MultiheadAttention with the same weights: values, and gradients of inputs and parameters."""
    torch = pytest.importorskip("torch")
    size, heads = 6, 3
    there = torch.nn.MultiheadAttention(size, heads, kdim=KEY, vdim=VALUE, batch_first=True, dtype=torch.float64)
    layer = attention(num_heads=heads, key_dim=size // heads)
    entries = three_inputs()
    mask = np.arange(S) < np.array([[S], [2], [4]])
    allowed = np.tri(T, S) if is_causal else np.ones((T, S))
    given = layers.Input((T, S))
    y = layer(*entries, attention_mask=given)
    net = randomize(nf.Network(inputs=[*entries, given], outputs=y, seed=1, dtype="float64"), rng)
    p = {name: torch.tensor(value) for name, value in weights_of(net).items()}
    with torch.no_grad():
        for name in ("query", "key", "value"):
            getattr(there, f"{name[0]}_proj_weight").copy_(p[f"{name}.kernel"].T)
        there.in_proj_bias.copy_(torch.cat([p[f"{name}.bias"] for name in ("query", "key", "value")]))
        there.out_proj.weight.copy_(p["attention_output.kernel"].T)
        there.out_proj.bias.copy_(p["attention_output.bias"])
    data = inputs_of(rng)
    query, value, key = (torch.tensor(x, requires_grad=True) for x in data)
    wanted, _ = there(
        query,
        key,
        value,
        attn_mask=torch.tensor(allowed == 0),
        key_padding_mask=torch.tensor(~mask) if has_padding else None,
    )
    seen = np.broadcast_to(allowed, (N, T, S)) * (mask[:, None] if has_padding else 1)
    got, pullback = net.vjp([*data, seen])
    np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=0, atol=1e-12)
    dy = rng.normal(size=got.shape)
    gradients, dx = pullback(dy)
    wanted.backward(torch.tensor(dy))
    for own, tensor in zip(dx, (query, value, key), strict=False):
        np.testing.assert_allclose(own, tensor.grad.numpy(), rtol=0, atol=1e-12)
    kernels = {"query": there.q_proj_weight, "key": there.k_proj_weight, "value": there.v_proj_weight}
    for name, tensor in (kernels | {"attention_output": there.out_proj.weight}).items():
        own = gradients[f"attention.{name}.kernel"]
        np.testing.assert_allclose(own, tensor.grad.numpy().T, rtol=0, atol=1e-11)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["heads", "no bias", "causal", "grouped"])
def test_keras(name: str, rng: np.random.Generator) -> None:
    """Keras's layer, whose weights this one gets; Keras computes in float32."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    options = {"num_heads": 2, "key_dim": 3} | OPTIONS[name]
    is_causal = options.pop("causal", False)
    query, value, key = inputs_of(rng, "float32")
    if "num_key_value_heads" in options:
        there = keras.layers.GroupQueryAttention(3, options["num_heads"], options["num_key_value_heads"])
    else:
        there = keras.layers.MultiHeadAttention(**options)
    mask = rng.integers(0, 2, (N, T, S)) != 0
    mask[..., 0] = True
    arguments = {"key": key, "attention_mask": mask, "use_causal_mask": is_causal}
    there(query, value, **arguments)
    there.set_weights([rng.normal(size=weights.shape) for weights in there.get_weights()])
    wanted = keras.ops.convert_to_numpy(there(query, value, **arguments))
    entries, given = three_inputs(), layers.Input((T, S))
    # Keras counts causality from the first key, not from the last.
    y = attention(**options)(*entries, attention_mask=given)
    net = nf.Network(inputs=[*entries, given], outputs=y, seed=1)
    net.get_layer("attention").set_weights(there.get_weights())
    got = net.predict([query, value, key, mask * np.tri(T, S) if is_causal else mask])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


# ---- bad input -------------------------------------------------------------------------


def call(shapes: list[tuple[int, ...]]) -> Any:
    return attention()([layers.Input(shape) for shape in shapes])


BAD = {
    "causal rotations of fewer queries than keys": (
        lambda: attention(key_dim=4, causal=True, rotary=True)([layers.Input((3, 4)), layers.Input((5, 4))]),
        "as many queries as keys, if both are rotated and the mask is causal, got 3 and 5",
    ),
    "heads that groups do not divide": (
        lambda: attention(num_heads=6, num_key_value_heads=4),
        "num_key_value_heads that divides 6, the heads, got 4",
    ),
    "odd heads with rotations": (lambda: attention(rotary=True), "even key_dim with rotary positions, got 3"),
    "a rate of 1": (lambda: attention(dropout=1.0), "0 <= dropout < 1"),
    "an image": (lambda: call([(4, 4, 3)]), r"attention: expected a query of \(N, T, D\), got \(N, 4, 4, 3\)"),
    "single numbers": (lambda: call([(4, 3), (5,)]), r"attention: expected a value of \(N, T, D\), got \(N, 5\)"),
    "more keys than values": (
        lambda: call([(4, 3), (5, 3), (6, 3)]),
        "as many keys as values, got 6 keys and 5 values",
    ),
    "no tensors": (lambda: attention()([]), "query, value, key and attention_mask, got 0 tensors"),
    "five tensors": (lambda: call([(4, 3)] * 5), "got 5 tensors"),
    "a mask of another shape": (
        lambda: call([(4, 3), (5, 3), (5, 3), (5, 4)]),
        r"attention_mask for 4 queries and 5 values, of \(N, 4, 5\).*got \(N, 5, 4\)",
    ),
    "an array of another shape": (
        lambda: attention()(layers.Input((4, 3)), attention_mask=np.ones((4, 5))),
        r"attention_mask for 4 queries and 4 values.*got \(4, 5\)",
    ),
    "a mask of other numbers": (
        lambda: attention()(layers.Input((4, 3)), attention_mask=np.full((4, 4), 0.5)),
        "attention_mask of zeros and ones",
    ),
    "tensors twice": (
        lambda: attention()([layers.Input((4, 3)), layers.Input((4, 3))], layers.Input((4, 3))),
        "in a list or as arguments, got both",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_arrays_in_place_of_tensors() -> None:
    with pytest.raises(TypeError, match="expected symbolic tensors"):
        attention()(np.ones((2, 3, 4)))
    with pytest.raises(TypeError, match="expected symbolic tensors"):
        attention()(layers.Input((3, 4)), np.ones((2, 3, 4)))
