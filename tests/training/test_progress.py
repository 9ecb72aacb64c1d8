"""What is shown while a network trains."""

import contextlib
import io
import os
import re
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from small_callbacks import After
from small_networks import classifier

import nnfast as nf
from nnfast.core.typing import Array
from nnfast.training.progress_text import bar_text, line_text

TIME = r", [\d.]+ s, [\d.]+[kM]? rows/s"


def test_without_a_terminal_there_is_a_plain_line_per_epoch(
    blobs: tuple[Array, Array], capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = blobs
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    history = trainer.fit(x, y, epochs=2, validation_data=(x, y))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines):
        figures = ", ".join(f"{name} {values[epoch]:.4g}" for name, values in history.items())
        assert re.fullmatch(rf"epoch {epoch + 1}/2: {re.escape(figures)}{TIME}", line)
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
    assert len(lines) == 1
    names = [item.split()[0] for item in lines[0].removeprefix("epoch 10/10: ").split(", ")]
    assert names[:4] == ["loss", "acc", "val_loss", "val_acc"]
    assert f"val_loss {history['val_loss'][-1]:.3g}" in lines[0]


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
        assert re.fullmatch(rf"epoch {epoch + 1}/2 \|.*\| 5/5 [\d:]+, {re.escape(figures)}{TIME} *", drawn)
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


# ---- what a line says -------------------------------------------------------------------

LOGS = {"loss": 0.123456, "accuracy": 0.98765, "val_loss": 0.23456, "val_accuracy": 0.95}
MANY = {
    prefix + name: 0.123456
    for prefix in ("", "val_")
    for name in ("loss", "sparse_categorical_accuracy", "mean_absolute_error", *(f"own_metric_{i}" for i in range(9)))
}


def test_lines_by_width() -> None:
    def text(columns: int | None, logs: dict[str, float] = LOGS) -> str:
        return line_text("epoch 3/10", logs, 1.234, 51234.0, columns)

    whole = "epoch 3/10: loss 0.1235, accuracy 0.9877, val_loss 0.2346, val_accuracy 0.95, 1.23 s, 51.2k rows/s"
    assert text(None) == text(len(whole)) == whole
    assert text(len(whole) - 1) == whole.removesuffix(", 51.2k rows/s")
    assert text(79) == "epoch 3/10: loss 0.123, acc 0.988, val_loss 0.235, val_acc 0.95, 1.23 s"
    assert text(43) == "epoch 3/10: loss 0.123, val_loss 0.235, ..."
    assert text(39) == "epoch 3/10: loss 0.123, ..."
    assert text(20) == "epoch 3/10"
    assert text(79, MANY) == "epoch 3/10: loss 0.123, val_loss 0.123, val_acc 0.123, 1.23 s, ..."
    assert text(None, MANY).count("0.1235") == len(MANY)


@pytest.mark.parametrize("logs", [LOGS, MANY, {}, {"loss": float("nan")}, {"a" * 200: -1.2345e-300}])
def test_lines_fit_any_width(logs: dict[str, float]) -> None:
    for columns in range(1, 300):
        line = line_text("epoch 300/1000", logs, 3723.0, 1e9, columns)
        assert len(line) <= columns
        beside = bar_text("epoch 3/10", 1000, logs, columns)
        if beside:
            assert len(f"epoch 3/10 || 1000/1000 00:00, {beside}") + 6 <= columns
    if "loss" in logs:
        assert "loss " in line_text("epoch 300/1000", logs, 3723.0, 1e9, 39)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 s"),
        (9.99, "9.99 s"),
        (12.34, "12.3 s"),
        (60.0, "1:00 min"),
        (725.0, "12:05 min"),
        (3605, "1:00:05 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert line_text("", {}, seconds, 1.0, None) == f"{text}, 1 rows/s"


@pytest.mark.parametrize(
    ("rate", "text"), [(0.5, "0.5"), (999.4, "999"), (999.6, "1k"), (51234.0, "51.2k"), (2e6, "2M"), (3e9, "3G")]
)
def test_rates(rate: float, text: str) -> None:
    assert line_text("", {}, 1.0, rate, None) == f"1.00 s, {text} rows/s"


SCRIPT = """
import numpy as np
import nnfast as nf
from nnfast import callbacks, layers
x = np.random.default_rng(0).normal(size=(600, 3))
net = nf.Network([layers.Input((3,)), layers.Dense(1)], seed=0)
trainer = nf.Trainer(net, loss="mse", metrics=["mae", "mean_squared_error", "huber"])
slow = callbacks.LambdaCallback(on_batch_end=lambda batch, logs: __import__("time").sleep(0.004))
trainer.fit(x, x[:, :1], epochs=2, batch_size=10, validation_data=(x, x[:, :1]), callbacks=[slow])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
@pytest.mark.parametrize("columns", [80, 40, 0])
def test_on_a_real_terminal(columns: int) -> None:
    """Nothing that is drawn is wider; a terminal that does not tell its width has 80 columns."""
    import fcntl
    import pty
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=follower, stdout=follower, env=environment)
    os.close(follower)
    parts = []
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal on Linux
        while part := os.read(leader, 4096):
            parts.append(part)
    os.close(leader)
    assert process.wait(60) == 0
    drawn = [text.strip("\x1b[A") for text in re.split("[\r\n]+", b"".join(parts).decode())]
    assert max(map(len, drawn)) <= (columns or 80)
    lines = [text for text in drawn if re.match(r"epoch \d/2: loss [\d.e-]+, ", text)]
    assert len(lines) == 2
    assert columns == 40 or all("val_loss" in text and " s, " in text for text in lines)
    if columns:
        assert any(re.match(r"epoch 1/2 \|.*\| +\d+/60 ", text) for text in drawn)
