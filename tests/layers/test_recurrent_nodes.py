"""The recurrent nodes of the core: values and gradients beside the reference, masks, dropout, bits."""

from typing import Any

import numpy as np
import pytest
from recurrent_cases import CELLS, Case, RecurrentNode, slope
from reference.dropout import dropout

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

SEQUENCES = {"return_sequences": 1}
EVERYTHING = {
    **SEQUENCES,
    "return_state": 1,
    "has_state": 1,
    "has_mask": 1,
    "go_backwards": 1,
    "in_order": 1,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sequences": SEQUENCES,
    "no bias": {"use_bias": 0, **SEQUENCES},
    "state": {"has_state": 1, "return_state": 1},
    "state, sequences": {"has_state": 1, "return_state": 1, **SEQUENCES},
    "backwards": {"go_backwards": 1, **SEQUENCES},
    "in order": {"go_backwards": 1, "in_order": 1, **SEQUENCES},
    "mask": {"has_mask": 1, **SEQUENCES},
    "mask, last": {"has_mask": 1, "go_backwards": 1},
    "everything": EVERYTHING,
    # Derivatives that read outputs, and that read inputs; no kinks.
    "softplus, tanh": {"activation": "softplus", "recurrent_activation": "tanh", **EVERYTHING},
    "gelu, silu": {"activation": "gelu", "recurrent_activation": "silu", **EVERYTHING},
    "softsign": {"activation": "softsign"},
}
CLOSE = 1e-8  # central differences
every_cell = pytest.mark.parametrize("cell", CELLS)


def case_of(cell: str, options: dict[str, Any], **sizes: int) -> Case:
    own = {k: v for k, v in options.items() if cell != "simple_rnn" or k != "recurrent_activation"}
    return Case(cell, own, **sizes)


def drawn(case: Case, seed: int = 0) -> tuple[list[Array], dict[str, Array], list[Array]]:
    """Inputs, parameters and gradients of the outputs."""
    rng = np.random.default_rng(seed)
    arrays, parameters = case.arrays(rng), case.parameters(rng)
    return arrays, parameters, [rng.normal(size=y.shape) for y in case.outputs(arrays, parameters)]


@every_cell
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_values_and_gradients_are_those_of_the_reference(cell: str, options: dict[str, Any]) -> None:
    case = case_of(cell, options)
    arrays, parameters, d_outputs = drawn(case)
    got = case.passes(arrays, d_outputs, parameters, "float64")
    for y, truth in zip(got.outputs, case.outputs(arrays, parameters), strict=True):
        np.testing.assert_allclose(y, truth, rtol=1e-14, atol=1e-14)
    own = got.d_inputs[: len(arrays) - case.has("has_mask")] + [got.d_parameters[k] for k in sorted(parameters)]
    for gradient, truth in zip(own, case.slopes(arrays, d_outputs, parameters), strict=True):
        np.testing.assert_allclose(gradient, truth, rtol=CLOSE, atol=CLOSE)


@every_cell
@pytest.mark.parametrize(
    ("rows", "steps", "inputs", "units"),
    [(1, 1, 1, 1), (2, 3, 1, 7), (1, 9, 5, 8), (7, 2, 8, 9), (50, 3, 4, 16), (13, 5, 17, 33), (3, 40, 2, 70)],
)
def test_float32_at_awkward_sizes(cell: str, rows: int, steps: int, inputs: int, units: int) -> None:
    case = case_of(cell, {**EVERYTHING}, rows=rows, steps=steps, inputs=inputs, units=units)
    arrays, parameters, d_outputs = drawn(case)
    single, double = (case.passes(arrays, d_outputs, parameters, dtype) for dtype in ("float32", "float64"))
    for y, truth in zip(double.outputs, case.outputs(arrays, parameters), strict=True):
        np.testing.assert_allclose(y, truth, rtol=0, atol=1e-12)
    for a, b in zip(single.outputs, double.outputs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)
    for a, b in zip(single.d_inputs[:-1], double.d_inputs[:-1], strict=True):  # the mask has none
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())
    for name in parameters:
        a, b = single.d_parameters[name], double.d_parameters[name]
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())


@every_cell
def test_outputs_that_nothing_reads_have_no_gradient(cell: str) -> None:
    case = case_of(cell, {"return_state": 1, **SEQUENCES})
    arrays, parameters, d_outputs = drawn(case)
    for read in range(len(d_outputs)):
        only = [d if i == read else np.zeros_like(d) for i, d in enumerate(d_outputs)]
        given = [d if i == read else None for i, d in enumerate(d_outputs)]
        some, zeros = (case.passes(arrays, d, parameters, "float64") for d in (given, only))
        for name in parameters:
            np.testing.assert_array_equal(some.d_parameters[name], zeros.d_parameters[name])


@every_cell
def test_gradients_of_many_positions_are_sums(cell: str) -> None:
    case = case_of(cell, SEQUENCES, rows=90, steps=10)  # more than one chain of positions
    arrays, parameters, d_outputs = drawn(case)
    whole = case.passes(arrays, d_outputs, parameters, "float64")
    third = [slice(i, i + 30) for i in (0, 30, 60)]
    parts = [case.passes([a[i] for a in arrays], [d[i] for d in d_outputs], parameters, "float64") for i in third]
    for name in parameters:
        total = sum(part.d_parameters[name] for part in parts)
        np.testing.assert_allclose(whole.d_parameters[name], total, rtol=1e-12, atol=1e-12)


# ---- bits --------------------------------------------------------------------------------


def all_bits(case: Case, arrays: list[Array], parameters: dict[str, Array], d_outputs: list[Array]) -> bytes:
    got = case.passes(arrays, d_outputs, parameters, "float32")
    found = got.outputs + got.d_inputs[:-1] + [got.d_parameters[k] for k in sorted(parameters)]
    return b"".join(a.tobytes() for a in found)


@every_cell
def test_bits_do_not_depend_on_the_number_of_threads(cell: str) -> None:
    case = case_of(cell, {"has_mask": 1, "has_state": 1, **SEQUENCES}, rows=61, steps=9, inputs=19, units=37)
    arrays, parameters, d_outputs = drawn(case)
    before = nf.get_num_threads()
    try:
        found = set()
        for threads in (1, 2, 3, 8):
            nf.set_num_threads(threads)
            found.add(all_bits(case, arrays, parameters, d_outputs))
    finally:
        nf.set_num_threads(before)
    assert len(found) == 1


def network(case: Case, dtype: str = "float32") -> nf.Network:
    entries = [layers.Input((case.steps, case.inputs))]
    if case.has("has_mask"):
        entries.append(layers.Input((case.steps,)))
    outputs: Any = case.node()(entries if len(entries) > 1 else entries[0])
    net = nf.Network(inputs=entries, outputs=outputs, seed=3, dtype=dtype)
    for name, value in case.parameters(np.random.default_rng(1)).items():
        (place,) = (key for key in net.parameters if key.endswith("." + name))
        net.parameters[place] = value
    return net


@every_cell
@pytest.mark.parametrize("steps", [3, 70])
def test_a_row_alone_has_the_bits_of_the_batch(cell: str, steps: int) -> None:
    case = case_of(cell, SEQUENCES, rows=29, steps=steps, inputs=6, units=35)
    net = network(case)
    (x,) = (a.astype("float32") for a in case.arrays(np.random.default_rng(2)))
    whole = net.predict([x])
    alone = np.concatenate([net.predict([x[i : i + 1]]) for i in range(len(x))])
    assert whole.tobytes() == alone.tobytes()
    # A pass that keeps values for a backward pass.
    y, _ = net.vjp([x])
    assert y.tobytes() == whole.tobytes()


@every_cell
@pytest.mark.parametrize("backwards", [0, 1])
def test_padding_does_not_reach_the_state(cell: str, backwards: int) -> None:
    case = case_of(
        cell, {"has_mask": 1, "go_backwards": backwards, "return_state": 1}, rows=4, steps=8, inputs=3, units=9
    )
    rng = np.random.default_rng(4)
    x, mask = rng.normal(size=(4, 8, 3)), np.zeros((4, 8))
    for row, (start, end) in enumerate(
        [(0, 8), (0, 5), (2, 3), (5, 8)]
    ):  # none, on the right, on both sides, on the left
        mask[row, start:end] = 1
    x[mask == 0] = 1e30
    net = network(case, "float64")
    padded = net.predict([x, mask])
    for row in range(4):
        active = mask[row] != 0
        short = Case(cell, {"go_backwards": backwards, "return_state": 1}, 1, int(active.sum()), 3, 9)
        alone = network(short, "float64").predict([x[row : row + 1, active]])
        for a, b in zip(padded, alone, strict=True):
            assert a[row : row + 1].tobytes() == b.tobytes()


@every_cell
def test_nan_in_padding_reaches_neither_states_nor_gradients(cell: str) -> None:
    case = case_of(cell, {"has_mask": 1, **SEQUENCES})
    arrays, parameters, d_outputs = drawn(case)
    x, mask = arrays
    with_nan = np.where(mask[:, :, None] == 0, np.nan, x)

    class Spoil(layers.CustomLayer):
        """NaN that the network computes itself, because NaN in its inputs is refused."""

        def forward(self, inputs: list[Array], output: Array, *others: Any) -> None:
            output[...] = with_nan

        def backward(self, d_output: Array, d_inputs: list[Array], *others: Any) -> None:
            d_inputs[0][...] = d_output

    entries = [layers.Input(x.shape[1:]), layers.Input(mask.shape[1:])]
    y: Any = case.node()([Spoil()(entries[0]), entries[1]])
    net = nf.Network(inputs=entries, outputs=y, seed=0, dtype="float64")
    for name, value in parameters.items():
        (place,) = (key for key in net.parameters if key.endswith("." + name))
        net.parameters[place] = value
    expected = case.passes(arrays, d_outputs, parameters, "float64")
    got, pullback = net.vjp([x, mask])
    gradients, d_inputs = pullback(d_outputs[0])
    np.testing.assert_array_equal(got, expected.outputs[0])
    np.testing.assert_array_equal(d_inputs[0], expected.d_inputs[0])
    for key, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, expected.d_parameters[key.rpartition(".")[2]])


# ---- dropout -----------------------------------------------------------------------------

FIRST_STREAM = 2**30  # of nodes


@every_cell
def test_dropout_of_the_recurrent_state(cell: str) -> None:
    rate = 0.4
    case = case_of(cell, {"recurrent_dropout": rate, "has_mask": 1, **SEQUENCES}, rows=4, steps=5, units=6)
    net = network(case, "float64")
    rng = np.random.default_rng(5)
    arrays = case.arrays(rng)
    parameters = {key.rpartition(".")[2]: np.array(value) for key, value in net.parameters.items()}
    factors = dropout(np.ones((4, 6)), rate, 3, 0, FIRST_STREAM + 2)
    assert 0 < (factors == 0).sum() < factors.size
    y, pullback = net.vjp(arrays, training=True)
    np.testing.assert_allclose(y, case.outputs(arrays, parameters, factors)[0], rtol=0, atol=1e-14)
    dy = rng.normal(size=y.shape)
    gradients, d_inputs = pullback(dy)

    def loss() -> float:
        return float((dy * case.outputs(arrays, parameters, factors)[0]).sum())

    np.testing.assert_allclose(d_inputs[0], slope(loss, arrays[0]), rtol=CLOSE, atol=CLOSE)
    for key, gradient in gradients.items():
        truth = slope(loss, parameters[key.rpartition(".")[2]])
        np.testing.assert_allclose(gradient, truth, rtol=CLOSE, atol=CLOSE)
    without = case.outputs(arrays, parameters)[0]
    np.testing.assert_allclose(net.predict(arrays), without, rtol=0, atol=1e-14)


# ---- bad descriptions --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "shapes", "message"),
    [
        ({}, [(3,)], r"expected an input of \(N, T, D\) with one step or more, got \(N, 3\)"),
        ({"units": 0}, [(2, 3)], "expected units of 1 or more, got 0"),
        ({"has_state": 1}, [(2, 3)], "expected 3 inputs, got 1"),
        ({"has_state": 1}, [(2, 3), (5,), (4,)], r"expected initial states of \(N, 5\), got \(N, 4\)"),
        ({"has_mask": 1}, [(2, 3), (3,)], r"expected a mask of \(N, 2\), got \(N, 3\)"),
        ({"activation": "softmax"}, [(2, 3)], "expected an element-wise activation, got 'softmax'"),
        ({"recurrent_dropout": 1.0}, [(2, 3)], "expected 0 <= recurrent_dropout < 1, got 1"),
        ({"reset_afte": 1}, [(2, 3)], "reset_afte"),
    ],
)
def test_bad_descriptions(attributes: dict[str, Any], shapes: list[tuple[int, ...]], message: str) -> None:
    entries = [layers.Input(shape) for shape in shapes]
    node = RecurrentNode("lstm", **{"units": 5, **attributes})

    def build() -> None:
        y: Any = node(entries if len(entries) > 1 else entries[0])
        nf.Network(inputs=entries, outputs=y)

    with pytest.raises(ValueError, match=message):
        build()
