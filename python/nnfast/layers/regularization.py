"""Layers that act in training only."""

from nnfast.configured import real
from nnfast.layers.base import Layer
from nnfast.typing import Shape, Spec

__all__ = ["Dropout"]


class Dropout(Layer):
    """In training, each element is 0 with probability `rate` and else x / (1 - rate); otherwise y = x.

    Parameters
    ----------
    rate : float
        0 <= rate < 1.
    name : str, optional

    Notes
    -----
    Shape (N, ...) to the same. Which elements fall is a function of the network's seed, the step, the layer and the
    element alone: the same for any number of threads and after a resume from a checkpoint.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, JMLR 15.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.Dropout(0.5)]).predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    """

    op = "dropout"

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.rate = real("Dropout", "rate", rate, least=0.0, below=1.0)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "rate": self.rate}
