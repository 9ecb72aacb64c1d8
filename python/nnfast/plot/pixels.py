"""Pictures made of pixels: images, and what layers make of them, look for in them and depend on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.arrays import as_numbers, require_finite
from nnfast.core.options import choose, flag, integer, named_arguments, shape_of
from nnfast.core.typing import Array, Shape
from nnfast.layers import Conv1D, Conv1DTranspose, Conv2DTranspose, DepthwiseConv2D
from nnfast.plot.figures import axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nnfast.network import Network

__all__ = ["feature_maps", "filters", "hidden_units", "images", "saliency"]

_SMALL = 16
"""Pictures with fewer pixels are magnified."""
_SIGNED: dict[str, Any] = {"cmap": "seismic", "vmin": -1, "vmax": 1}
"""Positive values in red, negative ones in blue."""


@named_arguments
def images(
    x: Any,
    *,
    columns: int | None = None,
    cmap: str = "gray",
    vmin: float | None = None,
    vmax: float | None = None,
    axes: Any = None,
) -> Axes:
    """Images side by side, in rows.

    Parameters
    ----------
    x : array_like (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4)
        Gray values; or colors, of which uint8 are from 0 to 255 and others from 0 to 1.
    columns : int, optional
        Images in a row; by default about as many as there are rows.
    cmap : str, default "gray"
        Matplotlib's name for the colors of gray values: "gray_r" draws ink on paper.
    vmin, vmax : float, optional
        The gray values of the first and the last of these colors; by default the smallest and the largest.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> axes = nf.plot.images(np.zeros((5, 16, 16)), columns=3, axes=Figure().subplots())
    >>> axes.images[0].get_array().shape  # with lines between them
    (33, 50)
    """
    where = "plot.images"
    pictures = as_numbers(x, where, "x")
    if pictures.ndim == 4 and pictures.shape[3] == 1:
        pictures = pictures[..., 0]
    if pictures.ndim not in (3, 4) or not pictures.size or (pictures.ndim == 4 and pictures.shape[3] not in (3, 4)):
        raise ValueError(
            f"{where}: expected x (N, H, W), or (N, H, W, C) with 1, 3 or 4 channels, not empty, got shape "
            f"{pictures.shape}"
        )
    if pictures.ndim == 4:
        pictures = pictures / (255 if pictures.dtype == np.uint8 else 1)
        if not (pictures.min() >= 0 and pictures.max() <= 1):
            raise ValueError(
                f"{where}: expected colors of uint8 or from 0 to 1, got {pictures.min():g} to {pictures.max():g}"
            )
    return _draw(where, pictures, columns, axes, cmap=cmap, vmin=vmin, vmax=vmax)


@named_arguments
def filters(net: Network | Any, layer: str | None = None, *, columns: int | None = None, axes: Any = None) -> Axes:
    """The kernels of a convolution: positive weights in red, negative ones in blue, each divided by its largest.

    Kernels on three channels are drawn in colors, in which gray is 0. Those on other numbers of channels are rows of
    pictures, one for each channel. The pictures of one-dimensional kernels have time from left to right and channels
    from top to bottom.

    Parameters
    ----------
    net : Network or array_like (KH, KW, C, O)
        Or the kernels themselves.
    layer : str, optional
        Name of the layer in the network.
    columns : int, optional
        Kernels in a row; by default about as many as there are rows, or one for rows of pictures.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((8, 8, 1)), nf.layers.Conv2D(16, 3, name="edges")], seed=0)
    >>> axes = nf.plot.filters(net, "edges", axes=Figure().subplots())
    >>> axes.get_title()
    'edges: 16 kernels of 3 x 3'
    """
    where = "plot.filters"
    if hasattr(net, "get_layer"):
        kernel, name = _convolution_kernel(where, net, layer), f"{layer}: "
    else:
        kernel, name = as_numbers(net, where, "the kernels").astype("float64"), ""
    if kernel.ndim != 4 or not kernel.size:
        raise ValueError(f"{where}: expected kernels (KH, KW, C, O), not empty, got shape {kernel.shape}")
    require_finite(kernel, f"{where}, the kernels")
    height, width, channels, count = kernel.shape
    weights = kernel.transpose(3, 0, 1, 2)
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    weights = weights / np.where(largest > 0, largest, 1)
    if channels == 3:
        place = _draw(where, (weights + 1) / 2, columns, axes)
    else:
        pictures = weights.transpose(0, 3, 1, 2).reshape(-1, height, width)
        kernels = _columns(where, columns, count) if channels == 1 or columns is not None else 1
        place = _draw(where, pictures, kernels * channels, axes, **_SIGNED)
    place.set_title(f"{name}{count} kernels of {height} x {width}")
    return place


def _convolution_kernel(where: str, net: Network, layer: Any) -> Array:
    """Of any convolution, as (KH, KW, C, O)."""
    known = [name.removesuffix(".kernel") for name in net.parameters if name.endswith(".kernel")]
    kernel = net.parameters[f"{choose(f'layer with a kernel in {where}', layer, known)}.kernel"].astype("float64")
    found = {each.place: each for each in net.layers}.get(layer)
    if isinstance(found, Conv1DTranspose | Conv2DTranspose):
        kernel = kernel.swapaxes(-1, -2)
    if isinstance(found, DepthwiseConv2D):
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    if isinstance(found, Conv1D | Conv1DTranspose):
        kernel = kernel.swapaxes(0, 1)[:, :, None]
    if kernel.ndim != 4:
        raise ValueError(
            f"{where}: expected a convolution, got {layer!r} with a kernel {kernel.shape}; plot.hidden_units draws the "
            "weights of dense layers"
        )
    return kernel


@named_arguments
def feature_maps(
    net: Network,
    x: Any,
    layer: str,
    *,
    signed: bool | None = None,
    columns: int | None = None,
    axes: Any = None,
) -> Axes:
    """What a layer makes of an image: its output, channel by channel.

    All maps have the same scale. White is the largest value and black is 0; if there are negative values, positive ones
    are red and negative ones blue instead.

    Parameters
    ----------
    net : Network
    x : array_like, input_shape or (1, *input_shape)
        The image; for several inputs, a list or dict with one row each.
    layer : str
        Name of the layer, or any other name in `Network.trace`, such as "<layer>.preactivation".
    signed : bool, optional
        Whether negative values are drawn, rather than as 0; by default if there are any.
    columns : int, optional
        Maps in a row; by default about as many as there are rows.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((8, 8, 1)), nf.layers.Conv2D(16, 3, activation="relu")], seed=0)
    >>> axes = nf.plot.feature_maps(net, np.ones((8, 8, 1)), "conv2d", axes=Figure().subplots())
    >>> axes.get_title()
    'conv2d: 16 maps of 6 x 6'
    """
    where = "plot.feature_maps"
    found = net.trace(_row(where, net, x))
    maps = found[choose(f"layer in {where}", layer, found)]
    if maps.ndim != 4 or len(maps) != 1:
        raise ValueError(
            f"{where}: expected one row and a layer whose output is (H, W, C), got {maps.shape[1:]} for {len(maps)} "
            f"rows of {layer!r}"
        )
    values = maps[0].transpose(2, 0, 1).astype("float64")
    count, height, width = values.shape
    has_signs = bool(values.min() < 0) if signed is None else flag(where, "signed", signed)
    largest = float(np.abs(values).max() if has_signs else values.max())
    options = _SIGNED if has_signs else {"cmap": "magma", "vmin": 0, "vmax": 1}
    place = _draw(where, values / (largest if largest > 0 else 1), columns, axes, **options)
    place.set_title(f"{layer}: {count} maps of {height} x {width}")
    return place


@named_arguments
def hidden_units(
    net: Network,
    layer: str,
    shape: Any = None,
    *,
    x: Any = None,
    count: int = 100,
    columns: int | None = None,
    axes: Any = None,
) -> Axes:
    """What dense units look for: their incoming weights as images, positive ones in red, negative ones in blue.

    The weights of each unit are divided by the 99th percentile of their sizes, because a few of rarely used pixels are
    often much larger than all others. Those of pixels with three channels are drawn in colors, in which gray is 0.

    Parameters
    ----------
    net : Network
    layer : str
        Name of a dense layer whose inputs are pixels.
    shape : (int, int) or (int, int, int), optional
        Height, width and channels of the images; by default those of the network's input.
    x : array_like (N, ...), optional
        Training data. A pixel that is 0 in all of them has no gradient: its weights keep their initial values, which
        mean nothing, and are drawn as 0.
    count : int, default 100
        Draw so many units, the first.
    columns : int, optional
        Units in a row; by default about as many as there are rows.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((784,)), nf.layers.Dense(25, name="hidden")], seed=0)
    >>> axes = nf.plot.hidden_units(net, "hidden", (28, 28), axes=Figure().subplots())
    >>> axes.get_title()
    'hidden: what 25 units look for'
    """
    where = "plot.hidden_units"
    known = [name.removesuffix(".kernel") for name in net.parameters if name.endswith(".kernel")]
    kernel = net.parameters[f"{choose(f'layer with a kernel in {where}', layer, known)}.kernel"].astype("float64")
    if kernel.ndim != 2:
        raise ValueError(
            f"{where}: expected a dense layer, got {layer!r} with a kernel {kernel.shape}; plot.filters draws those of "
            "convolutions"
        )
    sizes = _image_shape(where, net, shape, len(kernel))
    if x is not None:
        rows = as_numbers(x, where, "x")
        if rows.ndim < 2 or not rows.size or math.prod(rows.shape[1:]) != len(kernel):
            raise ValueError(f"{where}: expected x with {len(kernel)} pixels in each row, got shape {rows.shape}")
        inked = np.any(rows.reshape(len(rows), -1) != 0, axis=0)
        kernel = np.where(inked.reshape(-1, 1), kernel, 0)
    kernel = kernel[:, : integer(where, "count", count)]
    scale = np.quantile(np.abs(kernel), 0.99, axis=0)
    scale = np.where(scale > 0, scale, np.abs(kernel).max(axis=0))
    units = (kernel / np.where(scale > 0, scale, 1)).T.reshape(-1, *sizes)
    if len(sizes) == 3:
        place = _draw(where, (units.clip(-1, 1) + 1) / 2, columns, axes)
    else:
        place = _draw(where, units, columns, axes, **_SIGNED)
    place.set_title(f"{layer}: what {len(units)} units look for")
    return place


@named_arguments
def saliency(
    net: Network,
    x: Any,
    output: int | None = None,
    *,
    shape: Any = None,
    columns: int | None = None,
    axes: Any = None,
) -> Axes:
    """Which pixels an output depends on: the sizes of its gradient by the pixels, |dy_k/dx|.

    Bright pixels change the output most. Each image is scaled separately; with several channels, a pixel shows the
    largest of their gradients.

    Parameters
    ----------
    net : Network
        From images to outputs (K,).
    x : array_like, input_shape or (N, *input_shape)
    output : int, optional
        k; by default, for each image that of the largest output.
    shape : (int, int) or (int, int, int), optional
        Height, width and channels of images that the network takes as vectors.
    columns : int, optional
        Images in a row; by default about as many as there are rows.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    The gradient of a probability near 1 is almost 0 and depends on all classes; that of the logit is clearer. If the
    network ends with a separate `Activation` layer, `Network.extract` returns the part before it.

    References
    ----------
    Simonyan, Vedaldi and Zisserman (2014), Deep inside convolutional networks, arXiv:1312.6034.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import nnfast as nf
    >>> dense = nf.layers.Dense(1, kernel_initializer=[[1.0], [-2.0], [0.0], [4.0]])
    >>> net = nf.Network([nf.layers.Input((2, 2)), nf.layers.Flatten(), dense])
    >>> axes = nf.plot.saliency(net, [[1.0, 1.0], [1.0, 1.0]], axes=Figure().subplots())
    >>> axes.images[0].get_array()[::8, ::8].tolist()  # small images are magnified
    [[0.25, 0.5], [0.0, 1.0]]
    """
    where = "plot.saliency"
    if not isinstance(net.input_shape, tuple) or not isinstance(net.output_shape, tuple) or len(net.output_shape) != 1:
        raise ValueError(
            f"{where}: expected a network from one input to outputs (K,), got {net.input_shape} to {net.output_shape}"
        )
    rows = as_numbers(x, where, "x").astype(net.dtype)
    rows = rows[None] if rows.shape == net.input_shape else rows
    sizes = _image_shape(where, net, shape, math.prod(net.input_shape), any_channels=True)
    y, pullback = net.vjp(rows)
    if output is None:
        chosen = y.argmax(axis=1)
    else:
        index = integer(where, "output", output, minimum=0)
        if index >= y.shape[1]:
            raise ValueError(f"{where}: expected output < {y.shape[1]}, the number of outputs, got {index}")
        chosen = np.full(len(y), index)
    _, dx = pullback(np.eye(y.shape[1], dtype=net.dtype)[chosen])
    maps = np.abs(dx.astype("float64")).reshape(-1, *sizes)
    maps = maps.max(axis=3) if maps.ndim == 4 else maps
    largest = maps.max(axis=(1, 2), keepdims=True)
    maps = maps / np.where(largest > 0, largest, 1)
    place = _draw(where, maps, columns, axes, cmap="inferno", vmin=0, vmax=1)
    place.set_title(f"What {'the largest output' if output is None else f'output {output}'} depends on")
    return place


def _row(where: str, net: Network, x: Any) -> Any:
    """`x`, with the axis of rows if a single input has none."""
    if not isinstance(net.input_shape, tuple):
        return x
    row = as_numbers(x, where, "x")
    return row[None] if row.shape == net.input_shape else row


def _image_shape(where: str, net: Network, shape: Any, pixels: int, any_channels: bool = False) -> Shape:
    """(H, W) or (H, W, C), where C is 3 unless any number of channels can be drawn."""
    sizes: Any = net.input_shape if shape is None else shape_of(where, "shape", shape)
    sizes = sizes[:2] if isinstance(sizes, tuple) and len(sizes) == 3 and sizes[2] == 1 else sizes
    fits = isinstance(sizes, tuple) and math.prod(sizes) == pixels
    if not fits or not (len(sizes) == 2 or (len(sizes) == 3 and (any_channels or sizes[2] == 3))):
        forms = "(H, W) or (H, W, C)" if any_channels else "(H, W), (H, W, 1) or (H, W, 3)"
        raise ValueError(f"{where}: expected shape {forms} of images with {pixels} numbers, got {sizes}; pass shape=")
    return tuple(sizes)


def _columns(where: str, columns: int | None, count: int) -> int:
    return math.ceil(math.sqrt(count)) if columns is None else integer(where, "columns", columns)


def _draw(where: str, pictures: Array, columns: int | None, axes: Any, **options: Any) -> Axes:
    """Pictures (n, H, W) or (n, H, W, 3) side by side."""
    grid = _mosaic(pictures, min(_columns(where, columns, len(pictures)), len(pictures)))
    height, width = grid.shape[:2]
    size = 6 / max(height, width)
    place = axes_for(where, axes, max(size * width, 2), max(size * height, 2) + 0.4)
    place.imshow(np.nan_to_num(grid, nan=1.0) if grid.ndim == 3 else grid, **options)
    place.axis("off")
    return place


def _mosaic(pictures: Array, columns: int) -> Array:
    """Pictures in one, separated by lines of NaN, which are not drawn; small ones magnified, so that lines are thin."""
    zoom = -(-_SMALL // max(pictures.shape[1:3]))
    pictures = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    n, height, width, *colors = pictures.shape
    rows = -(-n // columns)
    cells = np.full((rows * columns, height + 1, width + 1, *colors), np.nan)
    cells[:n, :height, :width] = pictures
    grid: Array = cells.reshape(rows, columns, height + 1, width + 1, *colors).swapaxes(1, 2)
    return grid.reshape(rows * (height + 1), columns * (width + 1), *colors)[:-1, :-1]
