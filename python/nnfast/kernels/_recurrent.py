"""Time steps of recurrent cells, between their matrix products."""

from __future__ import annotations

from nnfast import _core
from nnfast.core.typing import Array


def lstm_step_forward(z: Array, c: Array) -> tuple[Array, Array, Array]:
    """One step of an LSTM: the gates i, f, o = sigmoid and g = tanh of z, c' = f c + i g, h = o tanh(c').

    Parameters
    ----------
    z : ndarray of shape (N, 4 U)
        x W + h U + b, with the columns of the gates in Keras's order: i, f, g, o.
    c : ndarray of shape (N, U)
        Cell state before the step.

    Returns
    -------
    h, c : ndarray of shape (N, U)
        Output and cell state after the step.
    gates : ndarray of shape (N, 4 U)

    References
    ----------
    Hochreiter & Schmidhuber (1997), Long short-term memory, DOI 10.1162/neco.1997.9.8.1735; Gers, Schmidhuber &
    Cummins (2000), Learning to forget, DOI 10.1162/089976600300015015.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> h, c, gates = kernels.lstm_step_forward(np.zeros((1, 4)), np.ones((1, 1)))
    >>> gates, c, h.round(4)
    (array([[0.5, 0.5, 0. , 0.5]]), array([[0.5]]), array([[0.2311]]))
    """
    return _core.lstm_step_forward(z, c)


def lstm_step_backward(dh: Array, dc: Array, gates: Array, c_before: Array, c: Array) -> tuple[Array, Array]:
    """Gradients of a step of an LSTM.

    Parameters
    ----------
    dh, dc : ndarray of shape (N, U)
        Gradients of the output and of the cell state after the step.
    gates : ndarray of shape (N, 4 U)
        As returned by `lstm_step_forward`.
    c_before, c : ndarray of shape (N, U)
        Cell state before and after the step.

    Returns
    -------
    dz : ndarray of shape (N, 4 U)
    dc_before : ndarray of shape (N, U)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> c_before, one, zero = np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1))
    >>> h, c, gates = kernels.lstm_step_forward(np.zeros((1, 4)), c_before)
    >>> dz, dc_before = kernels.lstm_step_backward(zero, one, gates, c_before, c)
    >>> dz, dc_before
    (array([[0.  , 0.25, 0.5 , 0.  ]]), array([[0.5]]))
    """
    return _core.lstm_step_backward(dh, dc, gates, c_before, c)


def gru_step_forward(z: Array, h: Array, recurrent: Array | None = None) -> tuple[Array, Array]:
    """One step of a GRU: h' = z h + (1 - z) g, with the candidate g = tanh(z_g + r recurrent).

    Parameters
    ----------
    z : ndarray of shape (N, 3 U)
        x W + b, with the columns of the gates in Keras's order: z, r, g; those of z and r also contain h U.
    h : ndarray of shape (N, U)
        State before the step.
    recurrent : ndarray of shape (N, U), optional
        h U + b of the candidate, in a cell that resets after the product; the gates z and r are then sigmoids of their
        columns. If not given, `gru_reset_forward` has computed z and r, and the candidate is tanh(z_g).

    Returns
    -------
    h : ndarray of shape (N, U)
        State after the step.
    gates : ndarray of shape (N, 3 U)

    References
    ----------
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078: version 1 resets
    after the product, version 3 before it.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> h, gates = kernels.gru_step_forward(np.zeros((1, 3)), np.ones((1, 1)), np.full((1, 1), 2.0))
    >>> gates.round(4), h.round(4)
    (array([[0.5   , 0.5   , 0.7616]]), array([[0.8808]]))
    """
    return _core.gru_step_forward(z, h, recurrent)


def gru_step_backward(
    dh: Array, gates: Array, h: Array, recurrent: Array | None = None
) -> tuple[Array, Array, Array | None]:
    """Gradients of a step of a GRU.

    Parameters
    ----------
    dh : ndarray of shape (N, U)
        Gradient of the state after the step.
    gates : ndarray of shape (N, 3 U)
        As returned by `gru_step_forward`.
    h, recurrent
        See `gru_step_forward`.

    Returns
    -------
    dz : ndarray of shape (N, 3 U)
        Without `recurrent`, the column of r is still the gate, which `gru_reset_backward` reads.
    dh : ndarray of shape (N, U)
        z dh, the part of the gradient that passes to the state before the step without a product.
    d_recurrent : ndarray of shape (N, U), or None without `recurrent`

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> zero, one = np.zeros((1, 1)), np.ones((1, 1))
    >>> h, gates = kernels.gru_step_forward(np.zeros((1, 3)), one, zero)
    >>> kernels.gru_step_backward(one, gates, one, zero)
    (array([[0.25, 0.  , 0.5 ]]), array([[0.5]]), array([[0.25]]))
    """
    return _core.gru_step_backward(dh, gates, h, recurrent)


def gru_reset_forward(z: Array, h: Array) -> tuple[Array, Array]:
    """Gates z and r of a GRU that resets the state before the candidate's product, and the reset state r h.

    Parameters
    ----------
    z, h
        See `gru_step_forward`.

    Returns
    -------
    reset : ndarray of shape (N, U)
        r h. Its product with the candidate's columns of U is to be added to those of `gates`, for `gru_step_forward`.
    gates : ndarray of shape (N, 3 U)
        z, with the sigmoids of the first two gates.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.gru_reset_forward(np.zeros((1, 3)), np.ones((1, 1)))
    (array([[0.5]]), array([[0.5, 0.5, 0. ]]))
    """
    return _core.gru_reset_forward(z, h)


def gru_reset_backward(d_reset: Array, gates: Array, h: Array) -> tuple[Array, Array]:
    """Gradients of the reset state of a GRU.

    Parameters
    ----------
    d_reset : ndarray of shape (N, U)
        Gradient of the reset state.
    gates : ndarray of shape (N, 3 U)
        The first result of `gru_step_backward`.
    h
        See `gru_step_forward`.

    Returns
    -------
    dh : ndarray of shape (N, U)
        r d_reset.
    dz : ndarray of shape (N, 3 U)
        `gates` with the gradient of r's column.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> gates = np.array([[0.25, 0.5, 0.0]])
    >>> kernels.gru_reset_backward(np.ones((1, 1)), gates, np.full((1, 1), 2.0))
    (array([[0.5]]), array([[0.25, 0.5 , 0.  ]]))
    """
    return _core.gru_reset_backward(d_reset, gates, h)
