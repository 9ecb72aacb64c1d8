"""Networks that tests train, and how two of them are compared."""

import nnfast as nf
from nnfast import layers


def line(seed: int = 0, dtype: str = "float64") -> nf.Network:
    """Linear, three inputs and two outputs."""
    return nf.Network([layers.Input((3,)), layers.Dense(2)], seed=seed, dtype=dtype)


def classifier(seed: int = 0) -> nf.Network:
    """For the blobs."""
    chain = [layers.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.3), layers.Dense(3, "softmax")]
    return nf.Network(chain, seed=seed)


def same(a: nf.Network, b: nf.Network) -> bool:
    """Whether all parameters have the same bits."""
    return all(u.tobytes() == v.tobytes() for u, v in zip(a.get_weights(), b.get_weights(), strict=True))
