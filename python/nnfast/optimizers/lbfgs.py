"""L-BFGS, for small problems and all rows at once."""

from __future__ import annotations

from nnfast.core.options import integer
from nnfast.core.typing import Spec
from nnfast.optimizers.base import LearningRate, Optimizer

__all__ = ["LBFGS"]

_MOST_PAIRS = 1000


class LBFGS(Optimizer):
    """Limited-memory BFGS: a step is a line search along -H g, where H approximates the inverse of the Hessian.

    H is that of the last moves and of the changes of the gradient that they made. The line search finds a point that
    satisfies the strong Wolfe conditions, with c1 = 1e-4 and c2 = 0.9; if the loss does not decrease along -H g, it
    searches along -g, and if it does not decrease there either, the parameters stay as they are.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 1
        First trial of a line search, in units of H g. Rates other than 1 are rarely of use.
    history_size : int, default 10
        Number of moves that H is made of, from 1 to 1000. Each takes twice the memory of the parameters.

    Notes
    -----
    For problems of some thousand rows, where an exact minimum is wanted: it converges much faster than the optimizers
    that take small batches, but each step evaluates the loss of all rows two times or more. Moves of float32 networks
    end where rounding hides the decrease of the loss; float64 goes further.

    Each step must see the same loss, so `Trainer.fit` takes no batches smaller than the data, and there is no decay or
    clipping of gradients. Within a step dropout and noise keep their random numbers; from step to step they change the
    loss, and H is of little use. Constraints of layers are applied after the line search, which does not know of them,
    so the loss may rise. The loss that a step reports is that before the move.

    State: moves s_0, s_1, ..., the newest first, and changes of the gradient y_0, y_1, ... .

    References
    ----------
    Nocedal & Wright (2006), Numerical optimization, 2nd edition, DOI 10.1007/978-0-387-40065-5, algorithms 7.4, 3.5 and
    3.6. Liu & Nocedal (1989), On the limited memory BFGS method for large scale optimization, DOI 10.1007/BF01589116.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> net = nf.Network([nf.layers.Input((1,)), nf.layers.Dense(1)], seed=0, dtype="float64")
    >>> trainer = nf.Trainer(net, loss="mse", optimizer="lbfgs")
    >>> history = trainer.fit(x, 2 * x + 1, epochs=10, batch_size=50)
    >>> net.predict([[3.0]]).round(6)
    array([[7.]])
    """

    name = "lbfgs"
    needs_all_rows = True

    def __init__(self, learning_rate: LearningRate = 1.0, history_size: int = 10) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.history_size = integer("LBFGS", "history_size", history_size, minimum=1, upper_bound=_MOST_PAIRS + 1)

    def spec(self) -> Spec:
        return {"name": self.name, "history_size": self.history_size}
