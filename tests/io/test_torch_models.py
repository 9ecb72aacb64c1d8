"""Models of PyTorch and networks with their weights predict the same, and so do networks made into models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
ROWS = 3


def randomized(module: Any) -> Any:
    """The module in evaluation mode, with statistics that are not those of the start."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                low, high = (0.5, 1.5) if name.endswith(("running_var", "norm.weight")) else (-0.4, 0.4)
                tensor.uniform_(low, high)
    return module.eval()


class Transposed(nn.Module):
    """A module called on (N, C, ...), given (N, ..., C); its result likewise."""

    def __init__(self, inner: Any, back: bool = False) -> None:
        super().__init__()
        self.inner, self.back = inner, back

    def forward(self, x: Any) -> Any:
        y = self.inner(x.movedim(-1, 1))
        return y.movedim(1, -1) if self.back else y


def convnet() -> tuple[Any, nf.Network]:
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, groups=3, padding=1),
        nn.PReLU(6),
        nn.Conv2d(6, 12, 3, groups=6),
        nn.GroupNorm(4, 12),
        nn.ConvTranspose2d(12, 5, 3, stride=2, padding=1),
        nn.PReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(5 * 3 * 3, 7),
        nn.BatchNorm1d(7),
        nn.Linear(7, 2),
    )
    net = nf.Network(
        [
            layers.Input((12, 11, 3)),
            layers.Conv2D(6, 3, strides=2, padding=1, use_bias=False),
            layers.BatchNormalization(epsilon=1e-5),
            layers.ReLU(),
            layers.Conv2D(6, 3, groups=3, padding=1),
            layers.PReLU(shared_axes=(1, 2)),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.GroupNormalization(4, epsilon=1e-5),
            layers.Conv2DTranspose(5, 3, strides=2, padding=1),
            layers.PReLU(shared_axes=(1, 2)),
            layers.MaxPool2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(7),
            layers.BatchNormalization(epsilon=1e-5),
            layers.Dense(2),
        ]
    )
    return Transposed(module), net


def series() -> tuple[Any, nf.Network]:
    module = nn.Sequential(
        nn.Conv1d(3, 4, 3, dilation=2), nn.ReLU(), nn.ConvTranspose1d(4, 5, 3), nn.Flatten(), nn.Linear(45, 2)
    )
    net = nf.Network(
        [
            layers.Input((11, 3)),
            layers.Conv1D(4, 3, dilation_rate=2, activation="relu"),
            layers.Conv1DTranspose(5, 3),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    return Transposed(module), net


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.rnn = nn.LSTM(6, 4, num_layers=2, batch_first=True)
        self.both = nn.LSTM(4, 3, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(6, 5, batch_first=True)
        self.last = nn.RNN(5, 4, batch_first=True, nonlinearity="relu")

    def forward(self, x: Any) -> Any:
        y = self.gru(self.both(self.rnn(self.table(x))[0])[0])[0]
        return self.last(y)[0][:, -1]


def recurrent() -> tuple[Any, nf.Network]:
    net = nf.Network(
        [
            layers.Input((7,), dtype="int32"),
            layers.Embedding(11, 6),
            layers.LSTM(4, return_sequences=True),
            layers.LSTM(4, return_sequences=True),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GRU(5, return_sequences=True),
            layers.SimpleRNN(4, "relu"),
        ]
    )
    return Recurrent(), net


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.cross = nn.MultiheadAttention(8, 4, batch_first=True, kdim=5, vdim=5, bias=False)
        self.scale = nn.RMSNorm(8, eps=1e-6)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Any, memory: Any) -> Any:
        y = self.norm(x)
        y = x + self.attention(y, y, y)[0]
        return self.out(self.scale(self.cross(y, memory, memory)[0]))


def attention() -> tuple[Any, nf.Network]:
    x, memory = layers.Input((5, 8)), layers.Input((4, 5))
    y = x + layers.MultiHeadAttention(2, 4)(layers.LayerNormalization(epsilon=1e-5)(x))
    y = layers.MultiHeadAttention(4, 2, use_bias=False)(y, memory)
    return Attention(), nf.Network(inputs=[x, memory], outputs=layers.Dense(3)(layers.RMSNormalization()(y)))


def transformer() -> tuple[Any, nf.Network]:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    blocks = [layers.TransformerEncoder(16, 2, normalize_first=True) for _ in range(2)]
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nf.Network([layers.Input((6, 8)), *blocks])


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 4)
        self.head = nn.Linear(4, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x: Any) -> Any:
        return self.head(self.table(x))


def tied() -> tuple[Any, nf.Network]:
    table = layers.Embedding(11, 4)
    net = nf.Network([layers.Input((3,), dtype="int32"), table, layers.Dense(11, use_bias=False, tied_to=table)])
    return Tied(), net


MODELS: dict[str, Callable[[], tuple[Any, nf.Network]]] = {
    function.__name__: function for function in (convnet, series, recurrent, attention, transformer, tied)
}


def data_for(net: nf.Network, rng: np.random.Generator) -> list[Array]:
    return [
        rng.integers(0, 11, (ROWS, *layer.shape))
        if layer.dtype is not None
        else rng.normal(size=(ROWS, *layer.shape)).astype("float32")
        for layer in net.layers
        if isinstance(layer, layers.Input)
    ]


def predicted(module: Any, data: list[Array]) -> Any:
    with torch.no_grad():
        result = module(*map(torch.from_numpy, data))
    return [y.numpy() for y in result] if isinstance(result, tuple) else result.numpy()


@pytest.mark.parametrize("name", MODELS)
def test_models_of_pytorch(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    module, net = MODELS[name]()
    data = data_for(net, rng)
    expected = predicted(randomized(module), data)
    x = data if len(data) > 1 else data[0]
    assert np.abs(net.predict(x) - expected).max() > 0.01
    written = nf.io.load_torch_weights(net, module)
    assert set(written) == set(net.parameters)
    np.testing.assert_allclose(net.predict(x), expected, **TOLERANCE)
    # From a file, too, whose names are numbered or unlike one another.
    net.set_state({k: 0 * v for k, v in net.parameters.items()}, ())
    tensors = pytest.importorskip("safetensors.torch")
    tensors.save_file({k: v.clone() for k, v in module.state_dict().items()}, tmp_path / "a.safetensors")
    nf.io.load_torch_weights(net, tmp_path / "a.safetensors")
    np.testing.assert_allclose(net.predict(x), expected, **TOLERANCE)


# ---- networks in PyTorch ---------------------------------------------------------


def _graph() -> nf.Network:
    a, b = layers.Input((6, 4), name="a"), layers.Input((4,), name="b")
    shared = layers.Dense(4, "tanh", name="shared")
    y, h = layers.GRU(4, return_sequences=True, return_state=True, go_backwards=True)(shared(a), initial_state=[b])
    z = layers.MultiHeadAttention(2, 2, causal=True)(y, a)
    one, other = layers.Split(2)(2.0 * z + y)
    return nf.Network(inputs=[a, b], outputs=[layers.Concatenate()([one, nf.ops.exp(other)]), shared(h)], seed=1)


def _images(padding: Any) -> nf.Network:
    return nf.Network(
        [
            layers.Input((9, 10, 2)),
            layers.Rescaling(0.5, 0.1),
            layers.Conv2D(4, 3, strides=2, padding=padding, activation="silu"),
            layers.BatchNormalization(),
            layers.UpSampling2D(2, "bilinear"),
            layers.DepthwiseConv2D(3, padding=padding, dilation_rate=2),
            layers.ZeroPadding2D(((1, 0), (2, 1))),
            layers.Cropping2D(((0, 1), (1, 0))),
            layers.AvgPool2D(2, padding="same"),
            layers.Conv2DTranspose(3, 3, strides=2, padding=padding),
            layers.MaxPool2D(3, 2, padding=padding),
            layers.GroupNormalization(3),
            layers.Flatten(),
            layers.Dense(3, "log_softmax"),
        ]
    )


NETWORKS: dict[str, Callable[[], nf.Network]] = {
    "images of the same size": lambda: _images("same"),
    "images": lambda: _images(1),
    "sequences": lambda: nf.Network(
        [
            layers.Input((9, 3)),
            layers.Normalization(),
            layers.Conv1D(4, 3, padding="same"),
            layers.Conv1DTranspose(3, 2, strides=3),
            layers.TimeDistributed(layers.Dense(4, "gelu_tanh")),
            layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="ave"),
            layers.LayerNormalization(center=False),
            layers.Bidirectional(layers.LSTM(4)),
            layers.RepeatVector(3),
            layers.Permute((2, 1)),
            layers.GlobalAvgPool1D(),
        ]
    ),
    "graph": _graph,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_pytorch(name: str, rng: np.random.Generator) -> None:
    net = NETWORKS[name]()
    net.set_state({k: v + rng.uniform(0.1, 0.4, v.shape) for k, v in net.parameters.items()}, ())
    module = nf.io.to_torch(net)
    data = data_for(net, rng)
    expected, got = net.predict(data if len(data) > 1 else data[0]), predicted(module, data)
    for one, other in (
        zip([expected], [got], strict=True) if not isinstance(got, list) else zip(expected, got, strict=True)
    ):
        np.testing.assert_allclose(other, one, **TOLERANCE)
    if name in ("images", "graph"):  # and back
        before = {key: view.copy() for key, view in net.parameters.items()}
        net.set_state({k: 0 * v for k, v in net.parameters.items()}, ())
        nf.io.load_torch_weights(net, module, channels_first=False)
        assert all((net.parameters[key] == value).all() for key, value in before.items())


def test_double_precision_and_layers_without_counterpart(rng: np.random.Generator) -> None:
    net = nf.Network([layers.Input((4,)), layers.Dense(2, "tanh")], dtype="float64")
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(predicted(nf.io.to_torch(net), [x]), net.predict(x), rtol=1e-12)
    net = nf.Network([layers.Input((4, 2)), layers.SinePositionEncoding(name="where")])
    with pytest.raises(ValueError, match=r"expected layers that PyTorch has, got where \(SinePositionEncoding\)"):
        nf.io.to_torch(net)
    net = nf.Network([layers.Input((4, 2)), layers.GRU(2, reset_after=False)])
    with pytest.raises(ValueError, match=r"expected options that PyTorch has, got gru with reset_after=False"):
        nf.io.to_torch(net)
