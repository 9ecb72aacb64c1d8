"""Sequences that arrive, or are made, step by step: networks that remember, and sampling of tokens.

Recurrent layers keep their state between calls, so that a further step costs the same however many came before; causal
attention keeps its keys and values, and compares each step with them.

>>> import numpy as np
>>> import nnfast as nf
>>> from nnfast import layers
>>> x = layers.Input((4,), dtype="int32")
>>> h = layers.GRU(8, return_sequences=True)(layers.Embedding(5, 8)(x))
>>> net = nf.Network(inputs=x, outputs=layers.Dense(5, "softmax")(h), seed=0)
>>> stepper = net.stepper()
>>> steps = [stepper(np.array([token], np.int32)) for token in (1, 2, 3, 4)]
>>> bool((np.stack(steps, axis=1) == net.predict([[1, 2, 3, 4]])).all())
True
>>> nf.generation.generate(net, [1, 2], 6, temperature=0.8, seed=0).shape
(6,)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnfast import ops as nf_ops
from nnfast.core.arrays import as_numbers, require_finite
from nnfast.core.options import integer, real
from nnfast.core.typing import Array
from nnfast.graph.stepping import State, StepGraph

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["Stepper", "generate", "sample", "stream"]

_SMALLEST_CAPACITY = 64
_MOST_STEPS = 64
"""A long prompt is read in parts, whose lengths are powers of two: there is a plan for each. At most the capacity."""


class _Part(NamedTuple):
    """What runs some steps."""

    graph: StepGraph
    predict: Any
    predict_if_fits: Any
    """None where the arrays are not in the form that the core takes directly."""


class Stepper:
    """A network that reads a sequence step by step and remembers what it has read; made by `Network.stepper`.

    Parameters
    ----------
    network : Network
        Of sequences: each of its inputs has a time axis, (N, T, ...). Its layers either treat each step alike (Dense,
        Embedding, activations, normalization of features, ...), or look back only (recurrent layers that read forwards,
        causal attention, positions). T does not matter here, except for layers that look up positions in a table.

    Attributes
    ----------
    position : int
        How many steps were read. Read-only.
    limit : int or None
        How many steps the network can read, because its positions are in a table; None: any number.

    Raises
    ------
    ValueError
        If a layer needs the whole sequence.

    Notes
    -----
    The result of a step has the bits that `Network.predict` has for that step of the whole sequence. The parameters are
    those of the network, at the time of the call. The number of rows is that of the first call, until `reset`.
    Steppers are not thread-safe: give each thread a `copy`.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> running_sum = layers.SimpleRNN(1, None, return_sequences=True, kernel_initializer=1, recurrent_initializer=1)
    >>> stepper = nf.Network([layers.Input((5, 1)), running_sum]).stepper()
    >>> [float(stepper(np.array([[value]], "float32"))[0, 0]) for value in (1, 2, 3)]
    [1.0, 3.0, 6.0]
    >>> stepper.feed(np.ones((1, 4, 1), "float32")).ravel()
    array([ 7.,  8.,  9., 10.], dtype=float32)
    >>> {name: state.tolist() for name, state in stepper.state.items()}
    {'simple_rnn:h': [[10.0]], 'position': 7}
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._parts: dict[tuple[int, int], _Part] = {}
        self._capacity = _SMALLEST_CAPACITY
        self._position = 0
        self._state: list[Array] = []
        self._shapes = [network.architecture.by_name[name].shape for name in network.architecture.inputs.names]
        if len({shape[0] for shape in self._shapes}) != 1:
            raise ValueError(
                f"stepper: expected inputs (N, T, ...) with one number of steps T, got "
                f"{', '.join(map(str, self._shapes))}"
            )
        first = self._part(1).graph
        self.limit = first.limit
        self._timed = first.timed
        self._names = [state.name for state in first.states]

    def _part(self, steps: int) -> _Part:
        key = steps, self._capacity
        if key not in self._parts:
            graph, predictor = self._network.by_steps(steps, self._capacity)
            self._parts[key] = _Part(graph, predictor.predict, predictor.predict_if_fits)
        return self._parts[key]

    # ---- state -------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many steps were read."""
        return self._position

    @property
    def state(self) -> dict[str, Array]:
        """What the network remembers, by layer; copies. Empty before the first step.

        Recurrent layers have "<layer>:h" and, LSTM, "<layer>:c" (N, units); attention has its keys and values
        "<layer>:k" and "<layer>:v" (N, S, width), of which the first "position" (a number) count. May be set to the
        state of another stepper of the network.
        """
        if not self._state:
            return {}
        named = zip(self._names, self._state, strict=True)
        return {name: array.copy() for name, array in named} | {"position": np.array(self._position)}

    @state.setter
    def state(self, values: Mapping[str, Any]) -> None:
        if not isinstance(values, Mapping) or (values and set(values) != {*self._names, "position"}):
            given = ", ".join(map(str, values)) if isinstance(values, Mapping) else type(values).__name__
            raise ValueError(f"stepper: expected states {', '.join(self._names)} and position, got {given}")
        if not values:
            self.reset()
            return
        read = as_numbers(values["position"], "stepper", "position")
        position = integer("stepper", "position", read.item() if read.size == 1 else read, minimum=0)
        if self.limit is not None and position > self.limit:
            raise ValueError(f"stepper: expected a position of at most {self.limit}, got {position}")
        states = self._part(1).graph.states
        arrays = [np.array(as_numbers(values[name], name, "state"), self._network.dtype) for name in self._names]
        rows = len(arrays[0]) if arrays and arrays[0].ndim else 0
        capacities = {
            array.shape[1] for array, state in zip(arrays, states, strict=True) if state.grows and array.ndim > 1
        }
        capacity = capacities.pop() if len(capacities) == 1 else self._capacity
        for state, array in zip(states, arrays, strict=True):
            expected = (rows, capacity, *state.shape[1:]) if state.grows else (rows, *state.shape)
            if array.shape != expected or rows == 0:
                raise ValueError(f"stepper: expected {state.name} of shape {expected}, got {array.shape}")
            require_finite(array, state.name)
        if position > capacity and any(state.grows for state in states):
            raise ValueError(f"stepper: expected keys and values of {position} steps or more, got {capacity}")
        self._state, self._position, self._capacity = arrays, position, capacity

    def reset(self) -> None:
        """Forget all steps."""
        self._state, self._position = [], 0

    def copy(self) -> Stepper:
        """A stepper that has read the same, and continues separately."""
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        other._state = [array.copy() for array in self._state]
        other._parts = self._parts.copy()
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {"network": self._network, "state": self.state}

    def __setstate__(self, values: dict[str, Any]) -> None:
        self.__init__(values["network"])  # type: ignore[misc]
        self.state = values["state"]

    # ---- steps -------------------------------------------------------------

    def __call__(self, x: Any) -> Any:
        """The output after one step.

        Parameters
        ----------
        x : array_like (N, ...), or list or dict of them
            One step of N sequences: token ids (N,), or numbers (N, D).

        Returns
        -------
        ndarray (N, ...), or list or dict of them
            The network's output at this step; of an output without a time axis, after it.
        """
        single = self._network.architecture.inputs.single
        if single and isinstance(x, np.ndarray) and x.ndim:
            return self._one_step(x[:, None])
        parts = x.values() if isinstance(x, Mapping) else [x] if single else x
        steps = [_with_time_axis(part) for part in parts]
        return self._one_step(
            steps[0] if single else dict(zip(x, steps, strict=True)) if isinstance(x, Mapping) else steps
        )

    def _one_step(self, x: Any) -> Any:
        values = self._read(x, 1)
        arrays = [value[:, 0] if timed else value for value, timed in zip(values, self._timed, strict=True)]
        return self._network.architecture.outputs.arrange(arrays)

    def feed(self, x: Any) -> Any:
        """The outputs for several steps, faster than one by one.

        Parameters
        ----------
        x : array_like (N, T, ...), or list or dict of them
            The next T steps, 1 or more.

        Returns
        -------
        ndarray (N, T, ...), or list or dict of them
            Of an output without a time axis, only that after the last step.
        """
        arrays = self._network.architecture.inputs.split(x, "x")
        arrays = [as_numbers(array, "stepper", "x") for array in arrays]
        steps = arrays[0].shape[1] if arrays[0].ndim > 1 else 0
        if steps == 0 or any(array.ndim < 2 or array.shape[1] != steps for array in arrays):
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"stepper: expected x of (N, T, ...) with T of 1 or more, got {shapes}")
        before = self._state, self._position, self._capacity
        found = []
        try:
            first = 0
            while first < steps:
                count = min(_MOST_STEPS, 1 << (steps - first).bit_length() - 1)
                part = [array[:, first : first + count] for array in arrays]
                found.append(self._read(self._network.architecture.inputs.arrange(part), count))
                first += count
        except BaseException:
            self._state, self._position, self._capacity = before
            raise
        joined = [
            np.concatenate(values, axis=1) if timed else values[-1]
            for values, timed in zip(zip(*found, strict=True), self._timed, strict=True)
        ]
        return self._network.architecture.outputs.arrange(joined)

    def _read(self, x: Any, steps: int) -> list[Array]:
        """The outputs of the core for the next steps; then remembers them."""
        end = self._position + steps
        if self.limit is not None and end > self.limit:
            raise ValueError(
                f"stepper: expected at most {self.limit} steps, as many as the network has positions, got {end}; call "
                "reset, or use a network with rotary positions"
            )
        part = self._part(steps)
        if end > self._capacity and any(state.grows for state in part.graph.states):
            part = self._grow(end, steps)
        result = None
        if self._state and type(x) is np.ndarray:
            result = part.predict_if_fits([x, *self._offset(part, len(x)), *self._state])
        if result is None:
            result = self._read_checked(part, x, steps)
        results = result if isinstance(result, list) else [result]
        count = len(self._timed)
        self._state, self._position = results[count:], end
        return results[:count]

    def _read_checked(self, part: _Part, x: Any, steps: int) -> Any:
        network = self._network
        shapes = [(steps, *shape[1:]) for shape in self._shapes]
        rows = network.architecture.inputs.rows(x, shapes, network.dtype, network.architecture.integer_inputs)
        rows = rows if isinstance(rows, list) else [rows]
        n = len(rows[0])
        states = self._state or [np.zeros((n, *state.shape), network.dtype) for state in part.graph.states]
        if states and len(states[0]) != n:
            raise ValueError(
                f"stepper: expected {len(states[0])} rows, as in the calls before, got {n}; call reset to begin again"
            )
        inputs = [*rows, *self._offset(part, n), *states]
        return part.predict(inputs if len(inputs) > 1 else inputs[0])

    def _offset(self, part: _Part, n: int) -> list[Array]:
        """The input of the core that says how many steps came before, if it has one."""
        return [np.full((n, 1), self._position, self._network.dtype)] if part.graph.has_offset else []

    def _grow(self, end: int, steps: int) -> _Part:
        """Room for at least `end` steps."""
        self._capacity = 1 << (end - 1).bit_length()
        self._parts = {key: part for key, part in self._parts.items() if key[1] == self._capacity}
        part = self._part(steps)
        if self._state:
            self._state = [
                _with_room(array, state) for array, state in zip(self._state, part.graph.states, strict=True)
            ]
        return part


def _with_room(array: Array, state: State) -> Array:
    if not state.grows:
        return array
    larger = np.zeros((len(array), *state.shape), array.dtype)
    larger[:, : array.shape[1]] = array
    return larger


def _with_time_axis(x: Any) -> Array:
    array = as_numbers(x, "stepper", "x")
    if array.ndim == 0:
        raise ValueError("stepper: expected one step of N sequences, (N, ...), got a single number; write [number]")
    return array[:, None]


# ---- tokens ----------------------------------------------------------------


def sample(
    logits: Any,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    *,
    seed: int | np.random.Generator | None = None,
) -> Array:
    """Tokens drawn at random, with the probabilities softmax(logits / temperature).

    Parameters
    ----------
    logits : array_like (N, K)
        Scores of K tokens, such as the input of a softmax, or logarithms of probabilities; -inf for those that are
        ruled out.
    temperature : float, default 1
        Below 1 likely tokens become more likely; 0 takes the most likely one (the first of equal ones).
    top_k : int, optional
        Draw among this many of the most likely tokens.
    top_p : float, optional
        Draw among the fewest most likely tokens whose probabilities, at this temperature, add up to this much or more,
        in (0, 1].
    seed : int or numpy.random.Generator, optional

    Returns
    -------
    ndarray (N,) of int32

    References
    ----------
    `top_p`: Holtzman et al. (2020), The curious case of neural text degeneration, arXiv:1904.09751. `top_k`: Fan, Lewis
    and Dauphin (2018), Hierarchical neural story generation, arXiv:1805.04833.

    Examples
    --------
    >>> from nnfast.generation import sample
    >>> sample([[0.0, 2.0, 1.0]], temperature=0)
    array([1], dtype=int32)
    >>> sample([[0.0, 2.0, 1.0]] * 5, top_k=2, seed=1).tolist()
    [1, 1, 1, 2, 1]
    """
    scores = np.array(as_numbers(logits, "sample", "logits"), np.float64)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f"sample: expected logits of (N, K), got {scores.shape}")
    if np.isnan(scores).any() or (scores == np.inf).any() or (scores.max(axis=1) == -np.inf).any():
        raise ValueError("sample: expected logits below infinity, with a finite one in each row, got others")
    temperature = real("sample", "temperature", temperature, minimum=0)
    if top_k is not None:
        top_k = integer("sample", "top_k", top_k, minimum=1)
    if top_p is not None:
        top_p = real("sample", "top_p", top_p, minimum=0)
        if not 0 < top_p <= 1:
            raise ValueError(f"sample: expected top_p in (0, 1], got {top_p}")
    order = np.argsort(-scores, axis=1, kind="stable")
    if temperature == 0:
        return order[:, 0].astype(np.int32)
    ranked = np.take_along_axis(scores, order, axis=1)[:, :top_k]
    # Relative to the largest: no temperature overflows.
    with np.errstate(over="ignore"):
        probabilities: Array = nf_ops.softmax((ranked - ranked[:, :1]) / temperature)
    cumulative = np.cumsum(probabilities, axis=1)
    total = cumulative[:, -1:]
    if top_p is not None:
        enough = (cumulative >= top_p * total).argmax(axis=1)[:, None]
        total = np.take_along_axis(cumulative, enough, axis=1)
    draws = _generator(seed).random((len(scores), 1)) * total
    place = np.minimum((cumulative <= draws).sum(axis=1), scores.shape[1] - 1)
    drawn: Array = order[np.arange(len(order)), place].astype(np.int32)
    return drawn


def _generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    number = int.from_bytes(os.urandom(4)) if seed is None else integer("sample", "seed", seed, minimum=0)
    return np.random.Generator(np.random.Philox(number))


def stream(
    network: Network,
    prompt: Any,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
) -> Iterator[Array]:
    """Tokens that continue a prompt, one by one: yields arrays (N,) of int32, `length` times.

    Parameters
    ----------
    network : Network
        From token ids (N, T) to scores of the next token (N, T, K) or (N, K): logits, or probabilities if it ends in a
        softmax. See `Stepper` for its layers.
    prompt : array_like (T,) or (N, T) of int
        The tokens before, one or more.
    length, temperature, top_k, top_p, seed
        See `generate`.

    Notes
    -----
    When the network's positions are used up, it reads the last half of the text again, as if the text began there.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> count = layers.Embedding(3, 3, embeddings_initializer=[[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0]])
    >>> net = nf.Network([layers.Input((8,), dtype="int32"), count])
    >>> [token.tolist() for token in nf.generation.stream(net, [[0], [1]], 3, temperature=0)]
    [[1, 2], [2, 0], [0, 1]]
    """
    length = integer("generate", "length", length, minimum=0)
    tokens = np.array(as_numbers(prompt, "generate", "prompt"))
    tokens = tokens[None] if tokens.ndim == 1 else tokens
    if tokens.ndim != 2 or tokens.size == 0 or tokens.dtype.kind not in "ui":
        raise ValueError(
            f"generate: expected a prompt of token ids, (T,) or (N, T), of one token or more, got {tokens.dtype} of "
            f"shape {tokens.shape}; encode a text with a vocabulary of nnfast.text"
        )
    network.architecture.outputs.require_one("generate")
    draws = _generator(seed)
    gives_probabilities = network.ends_in_softmax
    stepper = network.stepper()
    recent = tokens
    scores = stepper.feed(recent if stepper.limit is None else recent[:, -stepper.limit :])
    for left in range(length, 0, -1):
        scores = scores if scores.ndim == 2 else scores[:, -1]
        with np.errstate(divide="ignore"):
            logits = np.log(scores.astype(np.float64)) if gives_probabilities else scores
        drawn = sample(logits, temperature, top_k, top_p, seed=draws)
        yield drawn
        if left == 1:
            return
        if stepper.limit is None:
            scores = stepper(drawn)
            continue
        recent = np.concatenate([recent, drawn[:, None]], axis=1)[:, -stepper.limit :]
        if stepper.position < stepper.limit:
            scores = stepper(drawn)
        else:
            stepper.reset()
            scores = stepper.feed(recent[:, -max(1, stepper.limit // 2) :])


def generate(
    network: Network,
    prompt: Any,
    length: int,
    *,
    vocabulary: Any = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
) -> Any:
    """A continuation of a prompt, drawn token by token.

    Parameters
    ----------
    network : Network
        From token ids (N, T) to scores of the next token (N, T, K) or (N, K): logits, or probabilities if it ends in a
        softmax. See `Stepper` for its layers.
    prompt : str, or array_like (T,) or (N, T) of int
        The text or tokens before.
    length : int
        Number of tokens to draw.
    vocabulary : object, optional
        With methods `encode` and `decode`, such as those of `nnfast.text`; for a prompt that is a text.
    temperature, top_k, top_p
        See `sample`.
    seed : int, optional
        The same seed gives the same tokens; by default a random one.

    Returns
    -------
    str, or ndarray (length,) or (N, length) of int32
        The tokens drawn, in the form of the prompt.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> x = layers.Input((8,), dtype="int32")
    >>> table = [[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0]]  # 0 1 2 0 1 2 ...
    >>> net = nf.Network(inputs=x, outputs=layers.Embedding(3, 3, embeddings_initializer=table)(x))
    >>> nf.generation.generate(net, [0, 1], 5, temperature=0)
    array([2, 0, 1, 2, 0], dtype=int32)
    """
    is_text = isinstance(prompt, str)
    if is_text != (vocabulary is not None):
        got = "a text without one" if is_text else "token ids with one"
        raise TypeError(f"generate: expected token ids, or a text with vocabulary=, got {got}")
    tokens = vocabulary.encode(prompt) if is_text else as_numbers(prompt, "generate", "prompt")
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    drawn = list(stream(network, tokens, length, **options))  # type: ignore[arg-type]
    rows = 1 if np.ndim(tokens) == 1 else len(tokens)
    made = np.stack(drawn, axis=1) if drawn else np.zeros((rows, 0), np.int32)
    result = made[0] if np.ndim(tokens) == 1 else made
    return vocabulary.decode(result) if is_text else result
