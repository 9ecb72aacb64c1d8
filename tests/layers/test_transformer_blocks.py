"""Blocks of Transformers: values in NumPy, PyTorch, causality, masks, bad input."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.activations import activation_forward
from reference.normalization import layer_norm
from small_networks import bits, duplicates, randomize
from test_attention import Weights, assert_gradients, multi_head, weights_of

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

N, T, S, D, HEADS, UNITS = 3, 5, 4, 6, 2, 10


def part(p: Weights, name: str) -> Weights:
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in p.items() if key.startswith(start)}


def block_in_numpy(layer: Any, p: Weights, x: Array, memory: Array | None = None) -> Array:
    def normalized(v: Array, name: str) -> Array:
        own = part(p, f"{name}_norm")
        if layer.normalization == "rms":
            return v / np.sqrt((v**2).mean(-1, keepdims=True) + layer.layer_norm_epsilon) * own["gamma"]
        return layer_norm(v, own["gamma"], own["beta"], layer.layer_norm_epsilon)

    def branch(v: Array, name: str, function: Any) -> Array:
        if layer.normalize_first:
            return v + function(normalized(v, name))
        return normalized(v + function(v), name)

    def attention(name: str, seen: Array | None, other: Array | None = None) -> Any:
        groups = layer.num_key_value_heads or HEADS
        return lambda v: multi_head(part(p, name), v, *[v if other is None else other] * 2, HEADS, groups, seen)

    def dense(v: Array, name: str) -> Array:
        return v @ p[f"{name}.kernel"] + p.get(f"{name}.bias", 0.0)

    def feedforward(v: Array) -> Array:
        if layer.activation == "swiglu":
            inner = activation_forward("silu", dense(v, "feedforward_gate")) * dense(v, "feedforward")
        else:
            inner = activation_forward(layer.activation, dense(v, "feedforward"))
        return dense(inner, "feedforward_output")

    is_causal = isinstance(layer, layers.TransformerDecoder)
    x = branch(x, "self_attention", attention("self_attention", np.tile(np.tri(T), (N, 1, 1)) if is_causal else None))
    if memory is not None:
        x = branch(x, "cross_attention", attention("cross_attention", None, memory))
    return branch(x, "feedforward", feedforward)


OPTIONS: dict[str, dict[str, Any]] = {
    "as in the original": {},
    "as in GPT-2": {"normalize_first": True, "activation": "gelu_tanh"},
    "as in Llama": {
        "normalize_first": True,
        "activation": "swiglu",
        "normalization": "rms",
        "num_key_value_heads": 1,
        "use_bias": False,
    },
}


@pytest.mark.parametrize("kind", ["encoder", "decoder", "decoder with memory"])
@pytest.mark.parametrize("name", OPTIONS)
def test_values(name: str, kind: str, rng: np.random.Generator, tmp_path: Path) -> None:
    make = layers.TransformerEncoder if kind == "encoder" else layers.TransformerDecoder
    layer = make(UNITS, HEADS, name="block", **OPTIONS[name])
    x, memory = layers.Input((T, D)), layers.Input((S, D))
    entries = [x, memory] if kind.endswith("memory") else [x]
    net = nf.Network(inputs=entries, outputs=layer(entries if len(entries) > 1 else x), seed=1, dtype="float64")
    randomize(net, rng)
    data = [rng.normal(size=(N, *entry.shape)) for entry in entries]
    wanted = block_in_numpy(layer, weights_of(net, "block"), *data)
    np.testing.assert_allclose(net.predict(data), wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())
    assert_gradients(net, data, rng.normal(size=(N, T, D)))
    for way, twin in duplicates(net, tmp_path, {}).items():
        assert bits(twin.predict(data)) == bits(net.predict(data)), way


def test_a_decoder_sees_no_future(rng: np.random.Generator) -> None:
    for rotary in (False, True):
        block = layers.TransformerDecoder(UNITS, 1, normalize_first=True, rotary=rotary)
        net = randomize(nf.Network([layers.Input((T, D)), block], seed=1), rng)
        x = rng.normal(size=(1, T, D)).astype("float32")
        before = net.predict(x)
        x[:, 3, 0] += 1
        after = net.predict(x)
        assert np.array_equal(before[:, :3], after[:, :3])
        assert not np.isclose(before[:, 3:], after[:, 3:]).all(axis=-1).any()


def test_memory_as_a_second_argument(rng: np.random.Generator) -> None:
    x, memory = layers.Input((T, D)), layers.Input((S, 3))
    data = [rng.normal(size=(N, T, D)), rng.normal(size=(N, S, 3))]
    one, two = (layers.TransformerDecoder(UNITS, HEADS) for _ in range(2))
    nets = [nf.Network(inputs=[x, memory], outputs=y, seed=1) for y in (one(x, memory), two([x, memory]))]
    assert nets[0].predict(data).tobytes() == nets[1].predict(data).tobytes()


def test_padding_of_both_sequences(rng: np.random.Generator) -> None:
    """Whatever stands in padding changes neither the steps that count nor the loss."""
    x, memory = layers.Input((T,), dtype="int32"), layers.Input((S,), dtype="int32")
    table = layers.Embedding(9, D, mask_zero=True)
    block = layers.TransformerDecoder(UNITS, HEADS, normalize_first=True, name="decoder")
    y = block(table(x), layers.TransformerEncoder(UNITS, HEADS, name="encoder")(table(memory)))
    net = randomize(nf.Network(inputs=[x, memory], outputs=y, seed=1, dtype="float64"), rng)
    data = [rng.integers(1, 9, (N, T)), rng.integers(1, 9, (N, S))]
    data[0][1, 3:] = data[1][0, 2:] = 0
    target = rng.normal(size=(N, T, D))

    def results() -> tuple[Array, float]:
        return net.predict(data), net.loss_and_gradients(data, target, "mse")[0]

    before, loss = results()
    net.parameters["embedding.embeddings"][0] += 1
    after, same = results()
    mask = data[0] != 0
    assert np.array_equal(before[mask], after[mask])
    assert not np.isclose(before[~mask], after[~mask]).any()
    assert loss == same


def test_dropout(rng: np.random.Generator) -> None:
    net = nf.Network([layers.Input((T, D)), layers.TransformerEncoder(UNITS, HEADS, 0.5)], seed=1)
    x = rng.normal(size=(N, T, D)).astype("float32")
    first, second = net.vjp(x, training=True)[0], net.vjp(x, training=True)[0]
    assert (first != second).any()
    assert np.array_equal(net.vjp(x)[0], net.predict(x))


def test_residual_kernels_start_smaller() -> None:
    block = layers.TransformerEncoder(UNITS, HEADS, output_initializer=nf.initializers.Constant(0.125), name="block")
    net = nf.Network([layers.Input((T, D)), block], seed=1)
    small = {name for name, view in net.parameters.items() if (view == 0.125).all()}
    assert small == {"block.self_attention.attention_output.kernel", "block.feedforward_output.kernel"}


@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_pytorch(kind: str, activation: str, is_first: bool, rng: np.random.Generator) -> None:
    """nn.TransformerEncoderLayer and nn.TransformerDecoderLayer with the same weights: values, gradients of inputs."""
    torch = pytest.importorskip("torch")
    classes = {"encoder": torch.nn.TransformerEncoderLayer, "decoder": torch.nn.TransformerDecoderLayer}
    there = classes[kind](D, HEADS, UNITS, 0.0, activation, batch_first=True, norm_first=is_first, dtype=torch.float64)
    make = layers.TransformerEncoder if kind == "encoder" else layers.TransformerDecoder
    layer = make(UNITS, HEADS, activation=activation, normalize_first=is_first, name="block")
    x, memory = layers.Input((T, D)), layers.Input((S, D))
    entries = [x] if kind == "encoder" else [x, memory]
    net = nf.Network(inputs=entries, outputs=layer(entries if len(entries) > 1 else x), seed=1, dtype="float64")
    randomize(net, rng)
    p = {name: torch.tensor(value) for name, value in weights_of(net, "block").items()}
    attentions = {"self_attn": "self_attention", "multihead_attn": "cross_attention"}
    norms = ["self_attention_norm", "cross_attention_norm", "feedforward_norm"]
    if kind == "encoder":
        attentions.pop("multihead_attn")
        norms.pop(1)
    state = {}
    for theirs, ours in attentions.items():
        parts = ("query", "key", "value")
        state[f"{theirs}.in_proj_weight"] = torch.cat([p[f"{ours}.{name}.kernel"].T for name in parts])
        state[f"{theirs}.in_proj_bias"] = torch.cat([p[f"{ours}.{name}.bias"] for name in parts])
        state[f"{theirs}.out_proj.weight"] = p[f"{ours}.attention_output.kernel"].T
        state[f"{theirs}.out_proj.bias"] = p[f"{ours}.attention_output.bias"]
    for i, ours in enumerate(norms, 1):
        state |= {f"norm{i}.weight": p[f"{ours}.gamma"], f"norm{i}.bias": p[f"{ours}.beta"]}
    for i, ours in enumerate(("feedforward", "feedforward_output"), 1):
        state |= {f"linear{i}.weight": p[f"{ours}.kernel"].T, f"linear{i}.bias": p[f"{ours}.bias"]}
    there.load_state_dict(state)
    data = [rng.normal(size=(N, *entry.shape)) for entry in entries]
    tensors = [torch.tensor(array, requires_grad=True) for array in data]
    causal = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
    wanted = there(*tensors) if kind == "encoder" else there(*tensors, tgt_mask=causal)
    got, pullback = net.vjp(data)
    np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=0, atol=1e-12)
    dy = rng.normal(size=got.shape)
    wanted.backward(torch.tensor(dy))
    for own, tensor in zip(pullback(dy)[1], tensors, strict=True):
        np.testing.assert_allclose(own, tensor.grad.numpy(), rtol=0, atol=1e-11)


def alone(layer: layers.Layer, shape: tuple[int, ...] = (T, D)) -> nf.Network:
    layer.take_name("block")
    return nf.Network([layers.Input(shape), layer])


BAD: dict[str, tuple[Any, str]] = {
    "heads that do not divide": (
        lambda: alone(layers.TransformerEncoder(UNITS, 4)),
        "block: expected an input whose size is a multiple of num_heads=4, got 6",
    ),
    "tokens": (lambda: alone(layers.TransformerEncoder(UNITS, 2), (T,)), r"block: expected an input of \(N, T, D\)"),
    "an encoder with memory": (
        lambda: layers.TransformerEncoder(UNITS, 2)([layers.Input((T, D)), layers.Input((S, D))]),
        "expected one input, got 2.*TransformerDecoder",
    ),
    "a decoder with two memories": (
        lambda: layers.TransformerDecoder(UNITS, 2)([layers.Input((T, D))] * 3),
        "expected one or two inputs, got 3",
    ),
    "groups that do not divide": (
        lambda: layers.TransformerEncoder(UNITS, 4, num_key_value_heads=3),
        "num_key_value_heads that divides 4, the heads, got 3",
    ),
    "another normalization": (
        lambda: layers.TransformerEncoder(UNITS, 4, normalization="batch"),
        "unknown normalization 'batch'.*layer, rms",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        make()
