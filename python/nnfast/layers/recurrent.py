"""Recurrent layers: SimpleRNN, LSTM and GRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from nnfast import activations, initializers
from nnfast.core.options import flag, integer, named_arguments, real
from nnfast.core.typing import Array, Shape, Spec
from nnfast.initializers import Given, Initializer
from nnfast.layers.base import MultiOutput
from nnfast.layers.weight_options import RecurrentOptions

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class Recurrent(MultiOutput):
    """A state that goes from step to step of a sequence (N, T, D)."""

    num_inputs: ClassVar[int | None] = None
    takes_mask = True
    passes_mask = True  # if the output is a sequence: otherwise it has fewer steps than the mask
    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(RecurrentOptions.__annotations__)
    state_names: ClassVar[tuple[str, ...]] = ("h",)
    in_order = False
    """Whether a sequence that is read backwards is returned in the order of x, which `Bidirectional` wants."""

    def __init__(
        self,
        units: int,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        dropout: float,
        recurrent_dropout: float,
        return_sequences: bool,
        return_state: bool,
        go_backwards: bool,
        stateful: int,
        trainable: bool | Sequence[str],
        name: str | None,
    ) -> None:
        super().__init__(name=name)
        where = type(self).__name__
        self._declare_trainable(trainable)
        self.units = integer(where, "units", units)
        self.function = activations.get(activation)
        self.use_bias = flag(where, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.dropout = real(where, "dropout", dropout, minimum=0.0, upper_bound=1.0)
        self.recurrent_dropout = real(where, "recurrent_dropout", recurrent_dropout, minimum=0.0, upper_bound=1.0)
        self.return_sequences = flag(where, "return_sequences", return_sequences)
        self.return_state = flag(where, "return_state", return_state)
        self.go_backwards = flag(where, "go_backwards", go_backwards)
        if isinstance(stateful, bool) and stateful:
            raise TypeError(
                f"{where}: expected the rows of a batch as stateful, got True; write stateful=32, for example"
            )
        self.stateful = integer(where, "stateful", int(stateful) if isinstance(stateful, bool) else stateful, minimum=0)

    @property
    def activation(self) -> str | dict[str, Any]:
        """Name of the activation function, with its parameter if that differs from the default."""
        return self.function.plain()

    @named_arguments
    def __call__(self, inputs: Any, initial_state: Any = None) -> Any:
        """Apply the layer to a symbolic tensor.

        Parameters
        ----------
        inputs : Tensor
            The sequence; or a list of it and of the tensors of the initial state.
        initial_state : Tensor, or list of Tensor, optional
            The state before the first step, (N, units) each: h, and c of an LSTM; by default zeros.

        Returns
        -------
        Tensor, or list of Tensor
            The output; with ``return_state`` a list of the output and the last state.
        """
        if initial_state is None:
            return super().__call__(inputs)
        states = initial_state if isinstance(initial_state, list | tuple) else [initial_state]
        self._require_states(len(states))
        sequence = inputs if isinstance(inputs, list | tuple) else [inputs]
        return super().__call__([*sequence, *states])

    def _require_states(self, count: int) -> None:
        names = self.state_names
        if count != len(names):
            raise ValueError(
                f"{self.place}: expected {' and '.join(names)} as initial state, got {count} tensors; the layer is "
                f"called on x, with initial_state=[{', '.join(names)}] if it is not to start from zeros"
            )

    def spec(self, input_shapes: list[Shape]) -> Spec:
        count = len(input_shapes) - 1
        if count:
            self._require_states(count)
            if self.stateful:
                raise ValueError(
                    f"{self.place}: expected either an initial_state or stateful={self.stateful}, which says that "
                    "sequences begin with the last states of the batch before, got both; leave one out"
                )
        return {
            "op": self.op,
            "units": self.units,
            "activation": self.function.name,
            "alpha": self.function.alpha,
            "use_bias": int(self.use_bias),
            "go_backwards": int(self.go_backwards),
            "in_order": int(self.in_order and self.go_backwards and self.return_sequences),
            "return_sequences": int(self.return_sequences),
            "return_state": int(self.return_state),
            "has_state": int(count > 0),
            "recurrent_dropout": self.recurrent_dropout,
            "stateful": self.stateful,
        }

    def moved_mask(self, mask: tuple[str, Shape]) -> Spec | None:
        if not (self.go_backwards and self.return_sequences) or self.in_order:
            return None
        steps = mask[1][0]
        return {"op": "slice", "axes": [1], "starts": [steps - 1], "steps": [-1], "sizes": [steps], "inputs": [mask[0]]}

    def noise_spec(self) -> Spec | None:
        return {"op": "spatial_dropout", "rate": self.dropout, "axes": 1} if self.dropout else None

    def initializer(self, parameter: str) -> Initializer:
        return {
            "kernel": self.kernel_initializer,
            "recurrent_kernel": self.recurrent_initializer,
            "bias": self.bias_initializer,
            "h": initializers.Zeros(),
            "c": initializers.Zeros(),
        }[parameter]

    def regularizer(self, parameter: str) -> Any:
        return super().regularizer(parameter.removesuffix("_kernel"))

    def constraint(self, parameter: str) -> Any:
        return super().constraint(parameter.removesuffix("_kernel"))


class _Gated(Recurrent):
    """With gates between 0 and 1."""

    def __init__(self, recurrent_activation: Any, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gate_function = activations.get(recurrent_activation)

    @property
    def recurrent_activation(self) -> str | dict[str, Any]:
        """Name of the activation function of the gates, with its parameter if that differs from the default."""
        return self.gate_function.plain()

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {
            **super().spec(input_shapes),
            "recurrent_activation": self.gate_function.name,
            "recurrent_alpha": self.gate_function.alpha,
        }


class SimpleRNN(Recurrent):
    """A recurrent layer without gates: h_t = g(x_t W + h_(t-1) U + b).

    Parameters
    ----------
    units : int
        Size of the state, which is the output.
    activation : str or activation layer, default "tanh"
        The function g.
    recurrent_initializer : Initializer, str, float or array_like, default "orthogonal"
        First values of U; see `nnfast.initializers`.
    dropout, recurrent_dropout : float, default 0
        In training, the share of the inputs and of the state that are 0, the same ones in all steps of a sequence; the
        others are scaled by 1 / (1 - rate).
    return_sequences : bool, default False
        Whether the output is the state after each step, (N, T, units), and not only after the last, (N, units).
    return_state : bool, default False
        Whether the last state is a further output.
    go_backwards : bool, default False
        Whether the steps are processed from the last to the first, and returned in that order.
    stateful : int, default 0
        Rows of a batch, if row i of a batch in training goes on where row i of the batch before ended: the layer keeps
        the last states of at most so many rows. 0: each sequence begins with zeros, which it always does outside of
        training; `Network.stepper` goes on there.
    use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`; the options of U are ``recurrent_regularizer`` and ``recurrent_constraint``.

    Notes
    -----
    Parameters, as in Keras: kernel W (D, units), recurrent_kernel U (units, units), bias b (units,). A step with a mask
    of 0, see `layers.Masking` and `layers.Embedding`, repeats the state and the output of the step before it.

    The states that a layer keeps are parameters "h" and "c" (stateful, units), which a network saves with the others
    and `Network.reset_states` sets to 0. For sequences that go on from batch to batch, ``fit`` needs
    ``shuffle=False``, and rows in the order: the first parts of all sequences, then their second parts, ...

    References
    ----------
    Elman (1990), Finding structure in time, DOI 10.1207/s15516709cog1402_1. Dropout: Gal & Ghahramani (2016), A
    theoretically grounded application of dropout in recurrent neural networks, arXiv:1512.05287.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> rnn = layers.SimpleRNN(1, None, kernel_initializer="ones", recurrent_initializer="ones", return_sequences=True)
    >>> Network([layers.Input((3, 1)), rnn]).predict([[[1.0], [2.0], [4.0]]])[0, :, 0]
    array([1., 3., 7.], dtype=float32)
    """

    op = "simple_rnn"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: int = 0,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[RecurrentOptions],
    ) -> None:
        super().__init__(
            *(units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout),
            *(recurrent_dropout, return_sequences, return_state, go_backwards, stateful, trainable, name),
        )
        self._declare_weights(weights)


class LSTM(_Gated):
    """Long short-term memory: a cell c beside the state h, with gates for what enters, stays and leaves.

    With z = x_t W + h_(t-1) U + b in four parts::

        i, f, o = s(z_i), s(z_f), s(z_o)
        c_t = f * c_(t-1) + i * g(z_c)
        h_t = o * g(c_t)

    Parameters
    ----------
    units : int
        Size of the state and of the cell. The output is h.
    activation : str or activation layer, default "tanh"
        The function g.
    recurrent_activation : str or activation layer, default "sigmoid"
        The function s of the gates.
    unit_forget_bias : bool, default True
        Whether the bias of the gate f begins as 1, so that the cell keeps what it has. A bias that is given as an array
        stays as it is.
    recurrent_initializer, dropout, recurrent_dropout, return_sequences, return_state, go_backwards, stateful
        See `SimpleRNN`. The state is h and c, two outputs.
    use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`; the options of U are ``recurrent_regularizer`` and ``recurrent_constraint``.

    Notes
    -----
    Parameters, as in Keras: kernel W (D, 4 units), recurrent_kernel U (units, 4 units), bias b (4 units,), each with
    the parts in the order i, f, c, o. A step with a mask of 0 repeats state, cell and output of the step before it.

    References
    ----------
    Hochreiter & Schmidhuber (1997), Long short-term memory, DOI 10.1162/neco.1997.9.8.1735. The bias of f: Jozefowicz
    et al. (2015), An empirical exploration of recurrent network architectures, PMLR 37.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((7, 3))
    >>> y, h, c = layers.LSTM(5, return_sequences=True, return_state=True)(x)
    >>> y.shape, h.shape, c.shape
    ((7, 5), (5,), (5,))
    >>> again = layers.LSTM(5)(x, initial_state=[h, c])
    >>> Network(inputs=x, outputs=again, seed=0).predict([[[0.0] * 3] * 7]).shape
    (1, 5)
    """

    op = "lstm"
    state_names = ("h", "c")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: int = 0,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[RecurrentOptions],
    ) -> None:
        super().__init__(
            *(recurrent_activation, units, activation, use_bias, kernel_initializer, recurrent_initializer),
            *(bias_initializer, dropout, recurrent_dropout, return_sequences, return_state, go_backwards),
            *(stateful, trainable, name),
        )
        self._declare_weights(weights)
        self.unit_forget_bias = flag("LSTM", "unit_forget_bias", unit_forget_bias)

    def initializer(self, parameter: str) -> Initializer:
        found = super().initializer(parameter)
        if parameter == "bias" and self.unit_forget_bias and not isinstance(found, Given):
            return _UnitForgetBias(found)
        return found


class _UnitForgetBias(Initializer):
    """The bias of an LSTM, with ones for the second of its four parts."""

    def __init__(self, others: Initializer) -> None:
        self.others = others

    def draw(self, shape: Shape, seed: int, stream: int, fans: tuple[int, int]) -> Array:
        values = self.others.draw(shape, seed, stream, fans)
        units = shape[0] // 4
        values[units : 2 * units] = 1
        return values


class GRU(_Gated):
    """Gated recurrent unit: one gate z for what stays, one r for what is read of the state.

    With parts of W, U and b for each of z, r and the candidate k::

        z, r = s(x_t W_z + h_(t-1) U_z + b_z), s(x_t W_r + h_(t-1) U_r + b_r)
        k = g(x_t W_k + b_k + r * (h_(t-1) U_k + b'_k))
        h_t = z * h_(t-1) + (1 - z) * k

    Parameters
    ----------
    units : int
        Size of the state, which is the output.
    activation : str or activation layer, default "tanh"
        The function g.
    recurrent_activation : str or activation layer, default "sigmoid"
        The function s of the gates.
    reset_after : bool, default True
        Whether r is applied after the product with U_k, as above and in PyTorch, or before it, as in the paper:
        k = g(x_t W_k + (r * h_(t-1)) U_k + b_k).
    recurrent_initializer, dropout, recurrent_dropout, return_sequences, return_state, go_backwards, stateful
        See `SimpleRNN`.
    use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`; the options of U are ``recurrent_regularizer`` and ``recurrent_constraint``.

    Notes
    -----
    Parameters, as in Keras: kernel W (D, 3 units), recurrent_kernel U (units, 3 units), bias (3 units,), or with
    ``reset_after`` (2, 3 units), in which the second row is added to the products with U. The parts are in the order
    z, r, k. A step with a mask of 0 repeats the state and the output of the step before it.

    References
    ----------
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder for statistical machine translation,
    arXiv:1406.1078.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((7, 3)), layers.GRU(5, return_sequences=True), layers.GRU(2)], seed=0)
    >>> net.output_shape
    (2,)
    >>> [weights.shape for weights in net.get_layer("gru").get_weights()]
    [(3, 15), (5, 15), (2, 15)]
    """

    op = "gru"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: int = 0,
        reset_after: bool = True,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[RecurrentOptions],
    ) -> None:
        super().__init__(
            *(recurrent_activation, units, activation, use_bias, kernel_initializer, recurrent_initializer),
            *(bias_initializer, dropout, recurrent_dropout, return_sequences, return_state, go_backwards),
            *(stateful, trainable, name),
        )
        self._declare_weights(weights)
        self.reset_after = flag("GRU", "reset_after", reset_after)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**super().spec(input_shapes), "reset_after": int(self.reset_after)}
