"""Layers of nnfast as modules of PyTorch, called on tensors with the channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnfast.core.typing import Array, Shape
from nnfast.core.window import each, plain_margins
from nnfast.io.torch.conversion import with_gates_moved
from nnfast.io.torch.functions import activation, channels_first, channels_last, margins, padded
from nnfast.layers import Layer

__all__ = ["module_of"]

Made = tuple[Callable[..., Any], Any]
Weights = Mapping[str, Array]


def module_of(torch: Any, layer: Layer, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    """What a layer does with tensors, and its module, if it has one.

    Parameters
    ----------
    torch : module
    layer : Layer
    rows : list of tuple of int
        Shapes of rows of the inputs.
    shape : tuple of int
        That of rows of the first output.
    weights : dict of str to ndarray
        The parameters of the layer.
    """
    kind = type(layer).__name__
    made = _MADE.get(kind)
    if made is None or type(layer).__module__.partition(".")[0] != "nnfast":
        raise ValueError(f"to_torch: expected layers that PyTorch has, got {layer.place} ({kind})")
    return made(torch, layer, rows, shape, weights)


def _refuse(layer: Layer, what: str) -> ValueError:
    return ValueError(f"to_torch: expected options that PyTorch has, got {layer.place} with {what}")


def _filled(torch: Any, module: Any, **values: Array | None) -> Any:
    """The module with these values of its parameters and buffers; None leaves them."""
    with torch.no_grad():
        for name, value in values.items():
            if value is None:
                continue
            tensor = torch.from_numpy(np.ascontiguousarray(value))
            *path, last = name.split("__")
            target = module.to(tensor.dtype)
            for step in path:
                target = getattr(target, step)
            getattr(target, last).copy_(tensor)
    return module


# ---- dense layers and convolutions -----------------------------------------------


def _dense(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    if layer.tied_to is not None:
        raise _refuse(layer, "tied_to")
    kernel = weights["kernel"]
    linear = torch.nn.Linear(*kernel.shape, bias=layer.use_bias)
    _filled(torch, linear, weight=kernel.T, bias=weights.get("bias"))
    after = activation(torch, layer, layer.function)
    return lambda x: after(linear(x)), linear


def _convolution(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    axes, kernel = layer.axes, weights["kernel"]
    window, before = list(kernel.shape[:axes]), rows[0][-1]
    rate, strides = each(layer.dilation_rate, axes), each(layer.strides, axes)
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    after = kernel.shape[-1] * (before if depthwise else 1)
    groups = before if depthwise else getattr(layer, "groups", 1)
    conv = (torch.nn.Conv1d, torch.nn.Conv2d)[axes - 1](
        before, after, window, strides, dilation=rate, groups=groups, bias=layer.use_bias
    )
    first = (2, 3, 0, 1) if depthwise else (axes + 1, axes, *range(axes))
    weight = kernel.transpose(first).reshape(conv.weight.shape)
    _filled(torch, conv, weight=weight, bias=weights.get("bias"))
    lengths = [(size - 1) * step + 1 for size, step in zip(window, rate, strict=True)]
    pairs = margins(layer, rows[0][:-1], lengths)
    act = activation(torch, layer, layer.function)
    return lambda x: act(channels_last(conv(padded(torch, channels_first(x), pairs)))), conv


def _transposed(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    axes, kernel = layer.axes, weights["kernel"]
    window, rate, strides = list(kernel.shape[:axes]), each(layer.dilation_rate, axes), each(layer.strides, axes)
    lengths = [(size - 1) * step + 1 for size, step in zip(window, rate, strict=True)]
    # As long as needed: what is too much is cut off.
    missing = [max(stride - length, 0) for stride, length in zip(strides, lengths, strict=True)]
    missing = missing if isinstance(layer.padding, str) else [0] * axes
    conv = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d)[axes - 1](
        rows[0][-1], shape[-1], window, strides, output_padding=missing, dilation=rate, bias=layer.use_bias
    )
    weight = kernel.transpose(axes + 1, axes, *range(axes))
    _filled(torch, conv, weight=weight, bias=weights.get("bias"))
    if layer.padding == "same":
        starts = [max(length - stride, 0) // 2 for length, stride in zip(lengths, strides, strict=True)]
    else:
        starts = [0] * axes if layer.padding == "valid" else [pair[0] for pair in layer.padding]
    act = activation(torch, layer, layer.function)

    def call(x: Any) -> Any:
        y = conv(channels_first(x))
        for axis, (start, size) in enumerate(zip(starts, shape[:-1], strict=True)):
            y = y.narrow(axis + 2, start, size)
        return act(channels_last(y))

    return call, conv


# ---- normalization, embedding, slopes --------------------------------------------


def _batch_norm(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    norm = torch.nn.BatchNorm1d(shape[-1], layer.epsilon, 1.0 - layer.momentum)
    _filled(
        torch,
        norm,
        weight=weights.get("gamma"),
        bias=weights.get("beta"),
        running_mean=weights["moving_mean"],
        running_var=weights["moving_variance"],
    )
    return lambda x: norm(x.reshape(-1, x.shape[-1])).reshape(x.shape), norm


def _layer_norm(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    norm = torch.nn.LayerNorm(shape[-1], layer.epsilon)
    return norm, _filled(torch, norm, weight=weights.get("gamma"), bias=weights.get("beta"))


def _group_norm(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    groups = shape[-1] if layer.groups == -1 else layer.groups
    norm = torch.nn.GroupNorm(groups, shape[-1], layer.epsilon)
    _filled(torch, norm, weight=weights.get("gamma"), bias=weights.get("beta"))
    return lambda x: channels_last(norm(channels_first(x))), norm


def _rms_norm(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    norm = torch.nn.RMSNorm(shape[-1], layer.epsilon)
    return norm, _filled(torch, norm, weight=weights["gamma"])


def _embedding(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    if layer.mask_zero:
        raise _refuse(layer, "mask_zero=True")
    table = torch.nn.Embedding(layer.input_dim, layer.output_dim)
    _filled(torch, table, weight=weights["embeddings"])
    return lambda x: table(x.long()), table


def _prelu(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    alpha = weights["alpha"]
    if alpha.size != alpha.shape[-1]:
        raise _refuse(layer, f"slopes of shape {alpha.shape}; share them along all axes but the last")
    prelu = torch.nn.PReLU(alpha.size)
    _filled(torch, prelu, weight=alpha.reshape(-1))
    return lambda x: prelu(x.reshape(-1, x.shape[-1])).reshape(x.shape), prelu


def _normalization(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    mean, variance = (torch.from_numpy(weights[name]) for name in ("mean", "variance"))
    deviation = variance.sqrt().clamp_min(1e-7)
    if layer.invert:
        return lambda x: mean + x * deviation, None
    return lambda x: (x - mean) / deviation, None


# ---- sequences -------------------------------------------------------------------


def _recurrent(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    module = _cells(torch, layer, rows[0][-1], False)
    _fill_cells(torch, module, layer, weights, "", "")

    def call(x: Any, *state: Any) -> Any:
        x = x.flip(1) if layer.go_backwards else x
        given = tuple(s.unsqueeze(0) for s in state)
        y, last = module(x, (given if len(given) > 1 else given[0]) if given else None)
        found = last if isinstance(last, tuple) else (last,)
        result = y if layer.return_sequences else y[:, -1]
        return (result, *(s[0] for s in found)) if layer.return_state else result

    return call, module


def _cells(torch: Any, layer: Any, size: int, both: bool) -> Any:
    expected = {"activation": "tanh"} | ({} if layer.op == "simple_rnn" else {"recurrent_activation": "sigmoid"})
    for option, value in expected.items():
        if getattr(layer, option) != value:
            raise _refuse(layer, f"{option}={getattr(layer, option)!r}")
    if layer.op == "gru" and not layer.reset_after:
        raise _refuse(layer, "reset_after=False")
    cls = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple_rnn": torch.nn.RNN}[layer.op]
    return cls(size, layer.units, bias=layer.use_bias, batch_first=True, bidirectional=both)


def _fill_cells(torch: Any, module: Any, layer: Any, weights: Weights, start: str, end: str) -> None:
    values = {
        f"weight_ih_l0{end}": weights[f"{start}kernel"].T,
        f"weight_hh_l0{end}": weights[f"{start}recurrent_kernel"].T,
    }
    if layer.use_bias:
        bias = weights[f"{start}bias"]
        one, other = bias if layer.op == "gru" else (bias, np.zeros_like(bias))
        values |= {f"bias_ih_l0{end}": one, f"bias_hh_l0{end}": other}
    _filled(torch, module, **{name: with_gates_moved(layer, value) for name, value in values.items()})


def _bidirectional(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    inner = layer.layer
    if layer.merge_mode is None or inner.return_state or len(rows) > 1:
        raise _refuse(layer, "states, or without merge_mode")
    if layer.backward_layer is not None and type(layer.backward_layer) is not type(inner):
        raise _refuse(layer, "layers of two kinds")
    module = _cells(torch, inner, rows[0][-1], True)
    for way, end in zip(layer.ways, ("", "_reverse"), strict=True):
        _fill_cells(torch, module, way, weights, f"{way.place}.", end)

    def call(x: Any) -> Any:
        y, last = module(x)
        final = last[0] if isinstance(last, tuple) else last
        one, other = y.chunk(2, -1) if inner.return_sequences else (final[0], final[1])
        merges: dict[str, Callable[[], Any]] = {
            "concat": lambda: torch.cat([one, other], -1),
            "sum": lambda: one + other,
            "mul": lambda: one * other,
            "ave": lambda: (one + other) / 2,
        }
        return merges[layer.merge_mode]()

    return call, module


def _attention(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    size = layer.num_heads * layer.key_dim
    if layer.rotary or layer.num_key_value_heads or len(rows) > 3:
        raise _refuse(layer, "rotary, num_key_value_heads or a mask")
    if not size == rows[0][-1] == shape[-1] or layer.value_dim not in (None, layer.key_dim):
        raise _refuse(layer, f"{size} elements in all heads and {rows[0][-1]} of the query; PyTorch wants the same")
    sizes = [rows[min(i, len(rows) - 1)][-1] for i in (2, 1)]  # of keys and values
    module = torch.nn.MultiheadAttention(
        size, layer.num_heads, layer.dropout, layer.use_bias, kdim=sizes[0], vdim=sizes[1], batch_first=True
    )
    kernels = [weights[f"{name}.kernel"].T for name in ("query", "key", "value")]
    values = {"out_proj__weight": weights["attention_output.kernel"].T}
    if module.in_proj_weight is not None:
        values["in_proj_weight"] = np.concatenate(kernels)
    else:
        values |= {f"{name}_proj_weight": kernel for name, kernel in zip("qkv", kernels, strict=True)}
    if layer.use_bias:
        values["in_proj_bias"] = np.concatenate([weights[f"{name}.bias"] for name in ("query", "key", "value")])
        values["out_proj__bias"] = weights["attention_output.bias"]
    _filled(torch, module, **values)

    def call(query: Any, value: Any = None, key: Any = None) -> Any:
        value = query if value is None else value
        key = value if key is None else key
        steps, seen = query.shape[1], key.shape[1]
        hidden = torch.ones(steps, seen, dtype=torch.bool).triu(1 + seen - steps) if layer.causal else None
        return module(query, key, value, attn_mask=hidden, need_weights=False)[0]

    return call, module


def _time_distributed(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    inner = layer.each
    start = f"{inner.place}."
    own = {name.removeprefix(start): value for name, value in weights.items()}
    call, module = module_of(torch, inner, [rows[0][1:]], shape[1:], own)
    return lambda x: call(x.flatten(0, 1)).unflatten(0, x.shape[:2]), module


# ---- layers without weights ------------------------------------------------------


def _max_pool(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    window, strides, pairs = _window(layer, rows)
    pool = (torch.nn.functional.max_pool1d, torch.nn.functional.max_pool2d)[layer.axes - 1]
    lowest = float("-inf")
    return lambda x: channels_last(pool(padded(torch, channels_first(x), pairs, lowest), window, strides)), None


def _avg_pool(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    window, strides, pairs = _window(layer, rows)
    if not isinstance(layer.padding, str):
        raise _refuse(layer, f"padding={layer.padding!r}")
    pool = (torch.nn.functional.avg_pool1d, torch.nn.functional.avg_pool2d)[layer.axes - 1]

    def call(x: Any) -> Any:
        first = channels_first(x)
        sums, counts = (pool(padded(torch, v, pairs), window, strides) for v in (first, torch.ones_like(first)))
        return channels_last(sums / counts)

    return call, None


def _window(layer: Any, rows: list[Shape]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    window = each(layer.pool_size, layer.axes)
    strides = window if layer.strides is None else each(layer.strides, layer.axes)
    return window, strides, margins(layer, rows[0][:-1], window)


def _global(name: str) -> Callable[..., Made]:
    def made(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
        axes = list(range(1, len(rows[0])))
        return lambda x: getattr(x, name)(axes, keepdim=layer.keepdims), None

    return made


def _reshaped(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    return lambda x: x.reshape(len(x), *shape), None


def _permuted(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    return lambda x: x.permute(0, *layer.dims), None


def _repeated(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    return lambda x: x.unsqueeze(1).expand(-1, layer.n, -1), None


def _bordered(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    axes = len(shape) - 1
    crops = type(layer).__name__.startswith("Cropping")
    amounts = plain_margins(layer.cropping if crops else layer.padding, axes)
    pairs = [(amounts[2 * i], amounts[2 * i + 1]) for i in range(axes)]
    signed = [(-before, -after) for before, after in pairs] if crops else pairs
    return lambda x: channels_last(padded(torch, channels_first(x), signed)), None


def _upsampled(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    mode = getattr(layer, "interpolation", "nearest")
    options = {} if mode == "nearest" else {"align_corners": False}
    resize = torch.nn.functional.interpolate
    return lambda x: channels_last(resize(channels_first(x), size=shape[:-1], mode=mode, **options)), None


def _rescaled(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    return lambda x: x * layer.scale + layer.offset, None


def _dropout(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    module = torch.nn.Dropout(layer.rate)
    return module, module


def _split(torch: Any, layer: Any, rows: list[Shape], shape: Shape, weights: Weights) -> Made:
    cuts = layer.indices_or_sections
    return lambda x: tuple(torch.tensor_split(x, cuts if isinstance(cuts, int) else list(cuts), layer.axis)), None


_MADE: dict[str, Callable[..., Made]] = {
    "AvgPool1D": _avg_pool,
    "AvgPool2D": _avg_pool,
    "BatchNormalization": _batch_norm,
    "Bidirectional": _bidirectional,
    "Conv1D": _convolution,
    "Conv1DTranspose": _transposed,
    "Conv2D": _convolution,
    "Conv2DTranspose": _transposed,
    "Cropping1D": _bordered,
    "Cropping2D": _bordered,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "Dropout": _dropout,
    "Embedding": _embedding,
    "Flatten": _reshaped,
    "GRU": _recurrent,
    "GlobalAvgPool1D": _global("mean"),
    "GlobalAvgPool2D": _global("mean"),
    "GlobalMaxPool1D": _global("amax"),
    "GlobalMaxPool2D": _global("amax"),
    "GroupNormalization": _group_norm,
    "LSTM": _recurrent,
    "LayerNormalization": _layer_norm,
    "MaxPool1D": _max_pool,
    "MaxPool2D": _max_pool,
    "MultiHeadAttention": _attention,
    "Normalization": _normalization,
    "PReLU": _prelu,
    "Permute": _permuted,
    "RMSNormalization": _rms_norm,
    "RepeatVector": _repeated,
    "Rescaling": _rescaled,
    "Reshape": _reshaped,
    "SimpleRNN": _recurrent,
    "Split": _split,
    "TimeDistributed": _time_distributed,
    "UpSampling1D": _upsampled,
    "UpSampling2D": _upsampled,
    "ZeroPadding1D": _bordered,
    "ZeroPadding2D": _bordered,
}
