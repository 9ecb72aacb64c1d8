"""LAMB, for large batches."""

from __future__ import annotations

from nnfast.optimizers.adam import MomentEstimates

__all__ = ["Lamb"]


class Lamb(MomentEstimates):
    """LAMB: p := p - rate norm(p) / norm(d) d, where d is the step of `Adam` for a rate of 1.

    The norms are those of a whole parameter, such as a kernel or a bias. If one of them is 0, their ratio counts as 1.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
        How far a parameter moves in a step, relative to its norm.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the moving averages of g and of g^2, from 0 to less than 1.
    epsilon : float, default 1e-7
        At least 1.18e-38, the smallest normal float32.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: m and v, as in `Adam`.

    References
    ----------
    You et al. (2020), Large batch optimization for deep learning: training BERT in 76 minutes, arXiv:1904.00962.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.get("LAMB")
    Lamb()
    """

    name = "lamb"
