"""What is shown while a network trains."""

import io
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from small_networks import classifier

import nnfast as nf
from nnfast import callbacks
from nnfast.core.typing import Array


class After(callbacks.Callback):
    """Does something once, after so many batches."""

    def __init__(self, batches: int, work: Callable[[nf.Trainer], Any]) -> None:
        self.left = batches
        self.work = work

    def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.left -= 1
        if self.left == 0:
            self.work(self.trainer)


def test_without_a_terminal_there_is_a_plain_line_per_epoch(
    blobs: tuple[Array, Array], capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    history = trainer.fit(x, y, epochs=2, validation_data=(x, y))
    captured = capsys.readouterr()
    assert captured.out == ""
    expected = [
        f"epoch {epoch + 1}/2: " + ", ".join(f"{name} {values[epoch]:.4g}" for name, values in history.items())
        for epoch in range(2)
    ]
    assert captured.err.splitlines() == expected
    trainer.fit(x, y, epochs=1, progress=False)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("progress", [True, None])
def test_a_terminal_shows_a_bar_and_a_line_in_80_columns(
    progress: bool | None, blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = blobs
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    history = trainer.fit(x, y, epochs=10, initial_epoch=8, progress=progress, validation_data=(x, y))
    drawn = re.split("[\r\n]", screen.getvalue())
    assert max(len(text) for text in drawn) <= 80
    assert any(re.match(r"epoch 9/10 \|.*\| \d/5 ", text) for text in drawn)
    lines = [text for text in drawn if text.startswith("epoch 10/10: ")]
    assert lines == ["epoch 10/10: " + ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items())]


def test_in_a_notebook_bars_stay_and_tell_all(blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no line beside them."""
    x, y = blobs
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    history = nf.Trainer(classifier(), loss="cross_entropy").fit(x, y, epochs=2, validation_data=(x, y))
    bars = screen.getvalue().split("\n")
    assert len(bars) == 3
    for epoch in range(2):
        drawn = bars[epoch].split("\r")[-1]
        figures = ", ".join(f"{name} {values[epoch]:.4g}" for name, values in history.items())
        assert re.fullmatch(rf"epoch {epoch + 1}/2 \|.*\| 5/5 [\d:]+, {figures} *", drawn)
    screen.truncate(0)
    nf.Trainer(classifier(), loss="cross_entropy").fit(x, y, epochs=1, progress=False)
    assert screen.getvalue() == ""


def test_the_bar_of_an_epoch_that_goes_on_begins_where_it_stood(
    blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: nf.Trainer) -> None:
        raise KeyboardInterrupt

    screen = io.StringIO()
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*blobs, epochs=1, progress=False, callbacks=After(2, interrupt))
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    trainer.fit(*blobs, epochs=1)
    assert re.search(r"\| 5/5 [^\r]*\n$", screen.getvalue())


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [None, Broken(), object()], ids=["none", "broken pipe", "no stream"])
@pytest.mark.parametrize("progress", [None, False])
def test_training_goes_on_without_a_place_to_show_it(
    stream: Any, progress: bool | None, blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard error is None where it was closed at the start, as by ``2>&-`` or in pythonw."""
    monkeypatch.setattr(sys, "stderr", stream)
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    assert len(trainer.fit(*blobs, epochs=2, progress=progress)["loss"]) == 2


def test_a_closed_standard_error_shows_nothing(blobs: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    for progress in (None, True):
        nf.Trainer(classifier(), loss="cross_entropy").fit(*blobs, epochs=1, progress=progress)
