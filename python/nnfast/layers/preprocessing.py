"""Normalization by statistics of a data set, which are found before training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from nnfast.core.arrays import as_numbers
from nnfast.core.moments import Moments
from nnfast.core.options import flag
from nnfast.core.slices import MEMORY, is_sliced, row_bytes, take_rows
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array, Shape, Spec
from nnfast.layers.base import Layer, Weight
from nnfast.layers.operation import Operation

__all__ = ["Normalization"]

_SMALLEST_DEVIATION = 1e-7
"""Smaller ones count as this much, as in Keras."""


class _Statistic(Weight):
    """A weight that is saved and copied, and that no optimizer changes."""

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**super().spec(input_shapes), "trains": 0}


class Normalization(Layer):
    """y = (x - mean) / standard deviation, with the statistics of a data set.

    Parameters
    ----------
    axis : int, sequence of int or None, default -1
        Axes along which statistics differ; the batch is axis 0. -1 are the features, or the channels of
        images. None uses one mean and one variance for all elements.
    mean, variance : float or array_like, optional
        Known statistics. By default `adapt` finds them, and without it they are 0 and 1.
    invert : bool, default False
        Compute y = mean + x * standard deviation instead, which leads back to the units of the data.
    name : str, optional

    Notes
    -----
    Shape (N, ...) to (N, ...). Parameters: mean and variance, which are saved, copied and counted but not trained.
    Standard deviations below 1e-7 count as 1e-7, so that features that do not vary become 0.

    Statistics should be those of the training data, and `adapt` be called before training.

    See Also
    --------
    nnfast.data.Dataset.standardize, BatchNormalization

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import Network, layers
    >>> x = np.array([[1.0, 500.0], [3.0, 100.0]])
    >>> normalize = layers.Normalization()
    >>> normalize.adapt(x)
    >>> Network([layers.Input((2,)), normalize]).predict(x)
    array([[-1.,  1.],
           [ 1., -1.]], dtype=float32)
    """

    passes_mask = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        axes = () if axis is None else axis if isinstance(axis, list | tuple) else (axis,)
        for number in axes:
            if isinstance(number, bool) or not isinstance(number, int | np.integer):
                raise TypeError(f"Normalization: expected axis as an int, a sequence of int or None, got {axis!r}")
            if number == 0:
                raise ValueError("Normalization: expected axes other than 0, which is that of the batch, got 0")
        self.axis = axis if axis is None or isinstance(axis, int) else [int(number) for number in axes]
        if (mean is None) != (variance is None):
            raise ValueError("Normalization: expected mean and variance, or neither, got one of them")
        self.mean = None if mean is None else _numbers("mean", mean)
        self.variance = None if variance is None else _numbers("variance", variance)
        self.invert = flag("Normalization", "invert", invert)
        self._found: tuple[Array, Array] | None = None
        if self.variance is not None and np.min(self.variance) < 0:
            raise ValueError(f"Normalization: expected variance of 0 or more, got {np.min(self.variance):g}")

    def adapt(self, data: Any) -> None:
        """Find mean and variance of data, in float64, and keep them: the layer's earlier ones are replaced.

        Parameters
        ----------
        data : array_like (N, ...), Dataset, or iterable of batches
            Of a `nnfast.data.Dataset`, and of batches (x, y), x counts. Arrays in files are read in parts.

        Raises
        ------
        ValueError
            If the layer was made with `mean` and `variance`, the data are not finite, or do not fit the layer.

        Examples
        --------
        >>> from nnfast import layers
        >>> normalize = layers.Normalization(axis=None)
        >>> normalize.adapt(batch for batch in ([[1.0], [2.0]], [[3.0]]))
        """
        if self.mean is not None:
            raise ValueError(f"{self.place}: expected a layer without mean and variance to adapt, got one with them")
        found: Moments | None = None
        shape: Shape = ()
        for batch in _batches(data, self.place):
            if found is None:
                shape = batch.shape[1:]
                found = Moments(self._kept(shape))
            elif batch.shape[1:] != shape:
                raise ValueError(f"{self.place}: expected rows of shape {shape} in data, got {batch.shape[1:]}")
            found.add(batch)
        if found is None or found.count == 0:
            raise ValueError(f"{self.place}: expected one row or more in data, got none")
        own = self._statistic_shape(shape)
        statistics = found.mean.reshape(own), found.variance.reshape(own)
        for network in self._networks or ():
            for name, value in zip(("mean", "variance"), statistics, strict=True):
                network.parameters[f"{self.place}.{name}"] = value
        self._found = statistics

    def _kept(self, shape: Shape) -> list[int]:
        """The axes of a batch with rows of this shape along which statistics differ."""
        axes = [] if self.axis is None else self.axis if isinstance(self.axis, list) else [self.axis]
        ndim = len(shape) + 1
        kept = sorted({axis % ndim for axis in axes if -ndim < axis < ndim})
        if len(kept) != len(axes) or 0 in kept:
            raise ValueError(
                f"{self.place}: expected different axes from 1 to {ndim - 1} or -1 to {1 - ndim} for rows of shape "
                f"{shape}, got axis={self.axis}"
            )
        return kept

    def _statistic_shape(self, shape: Shape) -> Shape:
        """Shape of the parameters, which broadcasts against rows."""
        kept = self._kept(shape)
        sizes = [size if axis in kept else 1 for axis, size in enumerate(shape, 1)]
        return tuple(sizes[kept[0] - 1 :]) if kept else ()

    def build(self, input_shape: Any) -> None:
        shape = self._statistic_shape(input_shape)
        given = self._found or (
            0.0 if self.mean is None else self.mean,
            1.0 if self.variance is None else self.variance,
        )
        self._tensors = []
        for name, value in zip(("mean", "variance"), given, strict=True):
            array = np.asarray(value, dtype=np.float64)
            try:
                array = np.broadcast_to(array if self._found or array.ndim == 0 else array.reshape(shape), shape)
            except ValueError:
                raise ValueError(
                    f"{self.place}: expected {name} of shape {shape} for rows of shape {input_shape}, got {array.shape}"
                ) from None
            made = self.composition.weights[name] = _Statistic(shape, array, False, name=name)
            self._tensors.append(made._outputs(())[0])

    def call(self, inputs: Any) -> Any:
        mean, variance = self._tensors
        deviation = Operation("elementwise", {"function": "sqrt"})(variance)
        least = {"function": "maximum", "constant": _SMALLEST_DEVIATION, "constant_at": 1}
        deviation = Operation("elementwise", least)(deviation)
        return mean + inputs * deviation if self.invert else (inputs - mean) / deviation


def _numbers(name: str, value: Any) -> Any:
    """A number, or a nested list of them, as files keep it."""
    array = as_numbers(value, "Normalization", name).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"Normalization: expected finite numbers as {name}, got {value!r}")
    return array.tolist()


def _batches(data: Any, where: str) -> Iterator[Array]:
    """The rows of any data, a part at a time."""
    if isinstance(data, Tensor):
        raise TypeError(f"{where}: expected data to adapt to, got a symbolic tensor")
    if hasattr(data, "parts") and hasattr(data, "take"):  # a nnfast.data.Dataset
        items: Iterable[Any] = data.parts()
    elif is_sliced(data):
        rows = max(1, MEMORY // 4 // row_bytes(data))
        count = data.shape[0]
        items = (take_rows(data, np.arange(i, min(i + rows, count))) for i in range(0, count, rows))
    elif isinstance(data, Iterable) and not isinstance(data, Sequence) and not hasattr(data, "__array__"):
        items = data
    else:
        items = [data]
    for item in items:
        x = item[0] if isinstance(item, tuple) else item
        array = as_numbers(x, where, "data")
        if array.ndim < 2:
            raise ValueError(f"{where}: expected data (N, ...) of two axes or more, got {array.shape}")
        yield array
