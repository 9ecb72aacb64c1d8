"""Validation data that come in batches: iterables, functions that make them, and iterators, which can be read once."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_callbacks import After
from small_networks import classifier, same

import nnfast as nf
from nnfast import callbacks
from nnfast.core.typing import Array

EPOCHS = 3
SIZE = 10


@pytest.fixture
def batches(blobs: tuple[Array, Array]) -> list[tuple[Array, Array]]:
    """15 of 10 rows."""
    x, y = blobs
    return [(x[i : i + SIZE], y[i : i + SIZE]) for i in range(0, len(x), SIZE)]


class Again:
    """Iterates anew each time."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


def still() -> nf.Trainer:
    """A trainer whose network stays as it is, so that every epoch measures the same one."""
    optimizer = nf.optimizers.SGD(0.0)
    return nf.Trainer(classifier(), loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"])


def validated(batches: list[tuple[Array, Array]], data: Any, **options: Any) -> nf.History:
    options = {"epochs": EPOCHS, "progress": False, **options}
    return still().fit(*batches[0], validation_data=data, **options)


def losses_of(batches: list[tuple[Array, Array]], *parts: slice) -> list[float]:
    """Those of the network of `still` on some of the batches."""
    rows = [tuple(np.concatenate(columns) for columns in zip(*batches[part], strict=True)) for part in parts]
    return [still().evaluate(*part)["loss"] for part in rows]


def approx(values: list[float]) -> Any:
    return pytest.approx(values, rel=1e-5)  # sums of batches, in float32


def test_what_begins_anew_is_read_in_every_epoch(batches: list[tuple[Array, Array]]) -> None:
    whole = losses_of(batches, slice(None)) * EPOCHS
    calls = []

    def generator() -> Iterator[Any]:
        calls.append(len(calls))
        yield from batches

    for data in (Again(batches), generator, functools.partial(iter, batches), lambda: batches):
        assert validated(batches, data)["val_loss"] == approx(whole)
    assert len(calls) == EPOCHS
    # nf.data.Dataset has the bits of the arrays.
    rows = nf.data.Dataset(*(np.concatenate(columns) for columns in zip(*batches, strict=True)))
    assert validated(batches, rows)["val_loss"] == losses_of(batches, slice(None)) * EPOCHS


def test_the_function_that_makes_batches_is_data_everywhere(batches: list[tuple[Array, Array]]) -> None:
    def generator() -> Iterator[Any]:
        yield from batches

    trainers = []
    for data in (Again(batches), generator):
        trainer = nf.Trainer(classifier(), loss="cross_entropy")
        trainer.fit(data, epochs=EPOCHS, progress=False)
        trainers.append(trainer)
    one, other = trainers
    assert one.iteration == EPOCHS * len(batches)
    assert same(one.network, other.network)
    assert other.evaluate(generator) == one.evaluate(Again(batches))
    other.fit(generator, epochs=2, steps_per_epoch=4, progress=False)
    one.fit(Again(batches[:4]), epochs=2, progress=False)
    assert same(one.network, other.network)


def test_an_iterator_is_read_once(batches: list[tuple[Array, Array]]) -> None:
    """So for one epoch it is enough, and the remedies that the error names for more of them work."""
    assert validated(batches, iter(batches), epochs=1)["val_loss"] == approx(losses_of(batches, slice(None)))
    with pytest.raises(
        ValueError,
        match=r"^fit: expected validation_data for 3 epochs, got an iterator \(generator\), which can be read once; "
        r"pass the function that makes it, without calling it, or .*__iter__ begins anew; or, .*, validation_steps$",
    ):
        validated(batches, (batch for batch in batches))
    used = iter(batches)
    validated(batches, used, epochs=1)
    with pytest.raises(ValueError, match="validation_data: expected one batch or more, got an empty iterable, or one"):
        validated(batches, used, epochs=1)
    with pytest.raises(ValueError, match="validation_data: expected one batch or more, got an empty iterable, or one"):
        validated(batches, lambda: used)


def test_steps_of_an_iterator_go_on_and_others_begin_anew(batches: list[tuple[Array, Array]]) -> None:
    parts = slice(0, 4), slice(4, 8), slice(8, 12)
    stream = iter(batches)
    assert validated(batches, stream, validation_steps=4)["val_loss"] == approx(losses_of(batches, *parts))
    assert next(stream) is batches[12]  # no more are taken
    for data in (Again(batches), lambda: iter(batches)):
        history = validated(batches, data, validation_steps=4)
        assert history["val_loss"] == approx(losses_of(batches, parts[0]) * EPOCHS)


def test_a_script_that_is_started_again_skips_what_was_validated(
    tmp_path: Path, batches: list[tuple[Array, Array]]
) -> None:
    def script(path: Path, *more: callbacks.Callback) -> Any:
        trainer = nf.Trainer(classifier(), loss="cross_entropy")
        called = [callbacks.BackupAndRestore(path, 1), *more]
        data: Any = {"validation_data": iter(batches), "validation_steps": 3}
        history = trainer.fit(iter(batches * 2), epochs=5, steps_per_epoch=6, callbacks=called, progress=False, **data)
        return history.history, history.fingerprint

    def interrupt(_: nf.Trainer) -> None:
        raise KeyboardInterrupt

    whole = script(tmp_path / "whole")
    for place in (2, 12, 20):
        with pytest.raises(KeyboardInterrupt):
            script(tmp_path / "run", After(place, interrupt))
        assert script(tmp_path / "run") == whole


def wrong(batches: list[tuple[Array, Array]]) -> dict[str, tuple[type[Exception], str, dict[str, Any]]]:
    def with_arguments(seed: int) -> Iterator[Any]:
        yield from batches

    def number() -> Any:
        return 3

    def shapes() -> Iterator[Any]:
        yield batches[0]
        yield batches[0][0][:, :2], batches[0][1]

    steps: Any = {"validation_steps": 20}
    few = r"^fit: validation_data: expected validation_steps=20 batches, got 15 before the end; pass fewer"
    return {
        "few batches": (ValueError, few, {"validation_data": Again(batches), **steps}),
        "few of an iterator": (ValueError, few, {"validation_data": iter(batches), **steps}),
        "steps of arrays": (
            ValueError,
            "expected validation_steps with an iterable",
            {"validation_data": batches[0], **steps},
        ),
        "steps of nothing": (ValueError, "expected validation_data with validation_steps, got none", steps),
        "no steps": (ValueError, "validation_steps >= 1", {"validation_data": iter(batches), "validation_steps": 0}),
        "arguments": (
            TypeError,
            r"expected a function without arguments that returns .*, got with_arguments\(seed.*functools\.partial",
            {"validation_data": with_arguments},
        ),
        "a number": (
            TypeError,
            "expected the function number to return batches, got int",
            {"validation_data": number},
        ),
        "one batch": (
            TypeError,
            r"validation_data: batch 0: expected \(x, y\) or .*, got ndarray",
            {"validation_data": lambda: batches[0]},
        ),
        "another shape": (
            ValueError,
            r"^fit: validation_data: batch 1: input: expected input \(N, 4\), got \(10, 2\)",
            {"validation_data": shapes},
        ),
        "a list": (
            ValueError,
            "expected validation_data as .* or a function that returns one, got list",
            {"validation_data": batches},
        ),
    }


@pytest.mark.parametrize("case", wrong([(np.zeros((1, 1)), np.zeros(1))]))
def test_what_is_refused(case: str, batches: list[tuple[Array, Array]]) -> None:
    error, text, options = wrong(batches)[case]
    with pytest.raises(error, match=text):
        still().fit(*batches[0], epochs=EPOCHS, progress=False, **options)
