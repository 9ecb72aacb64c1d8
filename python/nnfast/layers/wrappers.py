"""Layers around other layers: `Bidirectional` and `TimeDistributed`."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar

from nnfast.core.options import choose, named_arguments
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer, MultiOutput
from nnfast.layers.core import Dense
from nnfast.layers.embedding import Embedding
from nnfast.layers.merge import Add, Average, Concatenate, Multiply
from nnfast.layers.normalization import BatchNormalization, LayerNormalization, RMSNormalization
from nnfast.layers.operation import Operation
from nnfast.layers.recurrent import Recurrent
from nnfast.layers.regularization import Dropout, GaussianNoise
from nnfast.layers.reshape import Reshape

__all__ = ["Bidirectional", "TimeDistributed"]

_OF_THE_LAST_AXIS = (Dense, Embedding, Dropout, GaussianNoise, BatchNormalization, LayerNormalization, RMSNormalization)
"""Layers that treat all axes before the last one alike."""
_MERGES: dict[str, type[Layer]] = {"concat": Concatenate, "sum": Add, "ave": Average, "mul": Multiply}


class Bidirectional(MultiOutput):
    """A recurrent layer that reads sequences forwards, and another one that reads them backwards.

    Parameters
    ----------
    layer : SimpleRNN, LSTM or GRU
        Of which two copies are made.
    merge_mode : {"concat", "sum", "ave", "mul"} or None, default "concat"
        How the two outputs become one; with None, both are returned.
    backward_layer : SimpleRNN, LSTM or GRU, optional
        The layer that reads backwards, made with ``go_backwards=True``; by default like `layer`.
    trainable, name
        See `nnfast.layers`.

    Notes
    -----
    Sequences of the second layer are returned in the order of x, and padding as zeros, as in Keras. The state is that
    of the first layer, then that of the second, both as ``initial_state`` of a call and with ``return_state``.
    Parameters are named "bidirectional.forward_lstm.kernel" and "bidirectional.backward_lstm.kernel".

    References
    ----------
    Schuster & Paliwal (1997), Bidirectional recurrent neural networks, DOI 10.1109/78.650093.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> both = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
    >>> net = Network([layers.Input((6, 3)), both], seed=0)
    >>> net.output_shape, both.get_weights()[0].shape
    ((6, 8), (3, 16))
    """

    num_inputs: ClassVar[int | None] = None
    takes_mask = True

    def __init__(
        self,
        layer: Recurrent,
        merge_mode: str | None = "concat",
        backward_layer: Recurrent | None = None,
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        for argument, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Recurrent) and (argument == "layer" or value is not None):
                raise TypeError(
                    f"Bidirectional: expected {argument} as a recurrent layer such as layers.LSTM(32), got {value!r}"
                )
        if layer.go_backwards:
            raise ValueError(
                "Bidirectional: expected a layer that reads forwards, got one with go_backwards=True; leave it out, "
                "since the layer that reads backwards is created automatically"
            )
        if backward_layer is not None:
            if not backward_layer.go_backwards:
                raise ValueError(
                    "Bidirectional: expected backward_layer with go_backwards=True, got one that reads forwards"
                )
            for option in ("return_sequences", "return_state"):
                if getattr(layer, option) != getattr(backward_layer, option):
                    raise ValueError(
                        f"Bidirectional: expected the same {option} of both layers, got {getattr(layer, option)} and "
                        f"{getattr(backward_layer, option)}"
                    )
        self.layer = layer
        self.merge_mode = None if merge_mode is None else choose("merge_mode", merge_mode, _MERGES)
        self.backward_layer = backward_layer

    @named_arguments
    def __call__(self, inputs: Any, initial_state: Any = None) -> Any:
        """Apply the layer to a symbolic tensor.

        Parameters
        ----------
        inputs : Tensor
            The sequence; or a list of it and of the tensors of the initial state.
        initial_state : list of Tensor, optional
            The state of the first layer before the first step, then that of the second layer before the last step.

        Returns
        -------
        Tensor, or list of Tensor
            The output, or both outputs without `merge_mode`; with ``return_state`` followed by the last states.
        """
        if initial_state is None:
            return super().__call__(inputs)
        if not isinstance(initial_state, list | tuple):
            raise TypeError(f"{self.place}: expected a list of tensors as initial_state, got {initial_state!r}")
        sequence = inputs if isinstance(inputs, list | tuple) else [inputs]
        return super().__call__([*sequence, *initial_state])

    def build(self, input_shape: Any) -> None:
        forward, backward = copy(self.layer), copy(self.layer if self.backward_layer is None else self.backward_layer)
        backward.go_backwards = backward.in_order = True
        for way, made in (("forward", forward), ("backward", backward)):
            made.take_name(f"{way}_{made.place}")
        self.ways = (forward, backward)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        x, *states = inputs if isinstance(inputs, list) else [inputs]
        forward, backward = self.ways
        count = len(forward.state_names)
        if len(states) not in (0, count + len(backward.state_names)):
            raise ValueError(
                f"{self.place}: expected the initial states of both layers, {' and '.join(forward.state_names)} of "
                f"each, got {len(states)} tensors; the layer is called on x, with initial_state=[...] if it is not to "
                "start from zeros"
            )
        one, *state = _listed(forward(x, states[:count] or None))
        other, *other_state = _listed(backward(x, states[count:] or None))
        merged = [one, other] if self.merge_mode is None else [_MERGES[self.merge_mode]()([one, other])]
        if mask is not None and self.layer.return_sequences:
            where = Operation("elementwise", {"function": "where", "constant": 0.0, "constant_at": 2})
            counts = Reshape((*mask.shape, 1))(mask)
            merged = [where([counts, y]) for y in merged]
        return [*merged, *state, *other_state]


class TimeDistributed(Layer):
    """Apply a layer to each step of a sequence: (N, T, ...) to (N, T, ...).

    Parameters
    ----------
    layer : Layer
        With one input and one output, such as ``layers.Conv2D(8, 3)`` for sequences of images. Its parameters are those
        of all steps.
    trainable, name
        See `nnfast.layers`.

    Notes
    -----
    Layers that treat the last axis alone, such as Dense, do so without it; they are applied at once. BatchNormalization
    takes its statistics over all steps. Other layers are called T times. A mask of the sequence is passed on, and its
    steps to a layer that takes one: ``TimeDistributed(LSTM(8))`` on sentences of words (N, sentences, words, D).

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> frames = layers.Input((5, 8, 8, 1))
    >>> each = layers.TimeDistributed(layers.Conv2D(4, 3))
    >>> each(frames).shape
    (5, 6, 6, 4)
    """

    passes_mask = True

    def __init__(self, layer: Layer, *, trainable: bool | Sequence[str] = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        if not isinstance(layer, Layer) or layer.num_inputs == 0:
            raise TypeError(f"TimeDistributed: expected a layer, got {layer!r}")
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        self.each = copy(self.layer)

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, Tensor) or len(inputs.shape) < 2:
            got = "several inputs" if isinstance(inputs, list) else f"{inputs.ndim} axes"
            raise ValueError(f"{self.place}: expected one input (N, T, ...), got {got}")
        if isinstance(self.each, _OF_THE_LAST_AXIS):
            return self.each(inputs)
        steps = [self._at(inputs, step) for step in range(inputs.shape[0])]
        return steps[0] if len(steps) == 1 else Concatenate(axis=1)(steps)

    def _at(self, inputs: Tensor, step: int) -> Tensor:
        part = Operation("slice", {"axes": [1], "starts": [step], "steps": [1], "sizes": [1]})
        part.moves_mask = True
        y = self.each(_WithoutTime()(part(inputs)))
        if isinstance(y, list):
            raise ValueError(f"{self.place}: expected a layer with one output, got {len(y)} of {self.each!r}")
        return Reshape((1, *y.shape))(y)


class _WithoutTime(Layer):
    """(N, 1, ...) to (N, ...)."""

    moves_mask = True

    op = "reshape"

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "shape": list(input_shapes[0][1:])}


def _listed(outputs: Any) -> list[Tensor]:
    return outputs if isinstance(outputs, list) else [outputs]
