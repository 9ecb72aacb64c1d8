"""Masks: which steps of a sequence count."""

from __future__ import annotations

from nnfast.core.options import real
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["Masking"]


class Masking(Layer):
    """Mask padding: steps of (N, T, D) all of whose numbers are `mask_value` become zeros and do not count.

    The mask (N, T) is passed on by layers that treat each step by itself (Dense, activations, Dropout, noise,
    LayerNormalization, Rescaling, merging layers, element-wise operations) and by recurrent layers that return
    sequences, which skip the steps that do not count, and attention, which does not see them. Other layers drop it. It
    ends at the losses and metrics of the outputs. The loss of a row is the mean over its steps that count, or for
    losses that are sums over a row their sum, so that a sequence has the same loss alone and padded.

    Parameters
    ----------
    mask_value : float, default 0

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> net = nf.Network([layers.Input((3, 1)), layers.Masking(), layers.Dense(1, kernel_initializer="ones")])
    >>> trainer = nf.Trainer(net, loss="mae")
    >>> trainer.evaluate([[[1.0], [3.0], [0.0]]], [[[2.0], [2.0], [9.0]]])
    {'loss': 1.0}
    """

    op = "masking"

    def __init__(self, mask_value: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.mask_value = real("Masking", "mask_value", mask_value)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "mask_value": self.mask_value}

    def mask_spec(self) -> Spec | None:
        return {"op": "mask", "mask_value": self.mask_value}
