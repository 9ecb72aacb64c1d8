"""What callbacks write of a run, and whether others can read it."""

import csv
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import line

import nnfast as nf
from nnfast import callbacks
from nnfast.training.callbacks.event_file import EventFile, _checksum


def fit(*own: callbacks.Callback, epochs: int = 2, metrics: Any = (), validation: bool = True) -> nf.History:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    trainer = nf.Trainer(
        line(), loss="mse", optimizer=nf.optimizers.SGD(lambda step: 0.1 / (step + 1)), metrics=metrics
    )
    return trainer.fit(
        *data, epochs=epochs, batch_size=4, validation_data=data if validation else None, callbacks=own, progress=False
    )


def rows_of(path: Path, separator: str = ",") -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_file_has_all_digits(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    history = fit(callbacks.CSVLogger(path, separator=separator), metrics=["mae"])
    rows = rows_of(path, separator)
    assert list(rows[0]) == ["epoch", "loss", "mae", "val_loss", "val_mae", "learning_rate"]
    assert [int(row["epoch"]) for row in rows] == [0, 1]
    for name in [*history, "learning_rate"]:
        assert [float(row[name]) for row in rows] == history[name]
    fit(callbacks.CSVLogger(path, separator=separator), epochs=1)
    assert len(rows_of(path, separator)) == 1


def test_appending_to_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    for _ in range(2):
        history = fit(callbacks.CSVLogger(path, append=True))
    rows = rows_of(path)
    assert [row["epoch"] for row in rows] == ["0", "1", "0", "1"]
    assert [float(row["val_loss"]) for row in rows] == history["val_loss"] * 2
    with pytest.raises(ValueError, match=r"epoch, loss, learning_rate, got epoch, loss, val_loss.*append=False"):
        fit(callbacks.CSVLogger(path, append=True), validation=False)
    path.write_text("learning_rate,val_loss,loss,epoch\n")
    fit(callbacks.CSVLogger(path, append=True))
    assert [float(row["val_loss"]) for row in rows_of(path)] == history["val_loss"]


class Adding(callbacks.Callback):
    """Adds a figure in some epochs."""

    def __init__(self, epochs: list[int], value: Any = 1.0) -> None:
        self.epochs, self.value = epochs, value

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch in self.epochs:
            logs["own"] = self.value


def test_columns_are_those_of_the_first_epoch(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    fit(Adding([0]), callbacks.CSVLogger(path))
    assert [row["own"] for row in rows_of(path)] == ["1.0", ""]
    with pytest.warns(UserWarning, match="CSVLogger: own left out"):
        fit(Adding([1]), callbacks.CSVLogger(path))
    assert "own" not in rows_of(path)[1]


def test_each_epoch_is_in_the_file_at_once(tmp_path: Path) -> None:
    class Look(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            assert len((tmp_path / "run.csv").read_text().splitlines()) == epoch + 2
            assert len((tmp_path / "run.jsonl").read_text().splitlines()) == epoch + 1

    fit(callbacks.CSVLogger(tmp_path / "run.csv"), callbacks.JSONLogger(tmp_path / "run.jsonl"), Look())


@pytest.mark.parametrize("separator", ["", ", ", None, 3])
def test_separators_are_single_characters(separator: Any) -> None:
    with pytest.raises(ValueError, match="CSVLogger: expected a single character as separator"):
        callbacks.CSVLogger("run.csv", separator=separator)


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    history = fit(Adding([1], math.nan), callbacks.JSONLogger(path))
    lines = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    names = ["loss", "val_loss", "learning_rate"]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert [[line[name] for line in lines] for name in names] == [history[name] for name in names]
    assert lines[1]["own"] is None
    fit(callbacks.JSONLogger(path, append=True))
    assert len(path.read_text().splitlines()) == 4
    fit(callbacks.JSONLogger(path))
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("separator", [",", ";"])
def test_arrays_are_nested_lists(separator: str, tmp_path: Path) -> None:
    """Of the metrics of a classifier, two of which are arrays, and of one that a callback adds."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
    net = nf.Network([nf.layers.Input((3,)), nf.layers.Dense(3, "softmax")], seed=0)
    metrics = ["accuracy", nf.metrics.ConfusionMatrix(), nf.metrics.F1Score(average=None)]
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=metrics)
    logger, seen = callbacks.Logger(lambda figures, step: seen.append(figures)), []
    own = [
        Adding([0, 1], np.array([math.nan, 1.5, -math.inf])),
        callbacks.CSVLogger(tmp_path / "run.csv", separator),
        callbacks.JSONLogger(tmp_path / "run.jsonl"),
        callbacks.TensorBoard(tmp_path / "logs"),
        logger,
    ]
    history = trainer.fit(*data, epochs=2, validation_data=data, callbacks=own, progress=False)
    rows = rows_of(tmp_path / "run.csv", separator)
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    names = ["confusion_matrix", "f1_score", "val_confusion_matrix", "val_f1_score"]
    assert list(rows[0]) == list(lines[0]) == ["epoch", *history, "learning_rate"]
    for epoch in range(2):
        for name in names:
            expected = history[name][epoch]
            assert expected.ndim == 1 + name.endswith("matrix")
            assert np.array_equal(json.loads(rows[epoch][name]), expected)
            assert np.array_equal(lines[epoch][name], expected)
        assert json.loads(rows[epoch]["own"]) == lines[epoch]["own"] == [None, 1.5, None]
        assert float(rows[epoch]["accuracy"]) == lines[epoch]["accuracy"] == history["accuracy"][epoch]
        assert list(seen[epoch]) == ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


def test_a_function_gets_the_figures() -> None:
    seen: list[Any] = []
    history = fit(callbacks.Logger(lambda figures, step: seen.append((step, figures))))
    assert seen == [
        (epoch, {name: history[name][epoch] for name in ("loss", "val_loss", "learning_rate")}) for epoch in range(2)
    ]
    with pytest.raises(TypeError, match=r"Logger: expected a function \(figures, step\)"):
        callbacks.Logger("run.csv")  # type: ignore[arg-type]


# ---- TensorBoard -----------------------------------------------------------------------


def test_the_checksum_is_the_published_one() -> None:
    """CRC-32C of RFC 3720, B.4, masked."""
    for data, crc in ((b"\0" * 32, 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
        masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
        assert _checksum(data) == struct.pack("<I", masked)


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_what_is_written(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = fit(callbacks.TensorBoard(tmp_path / "logs", update_freq=2), metrics=["mae"], epochs=130)
    for part, prefix in (("train", ""), ("validation", "val_")):
        events = accumulator.EventAccumulator(str(tmp_path / "logs" / part), size_guidance={"scalars": 0})
        events.Reload()
        tags = ["epoch_loss", "epoch_mae"]
        more = ["batch_loss", "batch_mae", "epoch_learning_rate"] if part == "train" else []
        assert sorted(events.Tags()["scalars"]) == sorted(tags + more)
        for tag in [*tags, *(tag for tag in more if tag.startswith("epoch"))]:
            scalars = events.Scalars(tag)
            assert [scalar.step for scalar in scalars] == list(range(130))
            expected = np.array(history[prefix + tag.removeprefix("epoch_")], dtype=np.float32)
            assert [np.float32(scalar.value) for scalar in scalars] == expected.tolist()
            assert all(abs(scalar.wall_time - scalars[0].wall_time) < 3600 for scalar in scalars)
        if more:
            assert [scalar.step for scalar in events.Scalars("batch_loss")] == list(range(2, 261, 2))


def test_large_steps_and_odd_numbers_in_an_event_file(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    file = EventFile(tmp_path)
    file.write({"a": math.inf, "b/\u00e9": -0.0}, step=2**40)
    file.write({"a": math.nan}, step=2**40 + 1)
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [scalar.step for scalar in events.Scalars("a")] == [2**40, 2**40 + 1]
    assert events.Scalars("a")[0].value == math.inf
    assert math.isnan(events.Scalars("a")[1].value)
    assert str(events.Scalars("b/\u00e9")[0].value) == "-0.0"


def test_an_object_with_add_scalar() -> None:
    calls: list[Any] = []

    class Writer:
        def add_scalar(self, tag: str, value: float, step: int) -> None:
            calls.append((tag, value, step))

        def flush(self) -> None:
            calls.append("flush")

    history = fit(callbacks.TensorBoard(Writer()), epochs=1)
    names = ["loss", "val_loss", "learning_rate"]
    assert calls == [*((name, history[name][0], 0) for name in names), "flush"]
    calls.clear()
    fit(callbacks.TensorBoard(Writer(), update_freq="batch"), epochs=1)
    assert [call[::2] for call in calls if call[0].startswith("batch")] == [("batch_loss", 1), ("batch_loss", 2)]


def test_what_tensorboard_refuses() -> None:
    with pytest.raises(TypeError, match=r"expected a folder or an object with a method add_scalar"):
        callbacks.TensorBoard(3)
    with pytest.raises(ValueError, match='expected update_freq "epoch", "batch" or an integer'):
        callbacks.TensorBoard(update_freq="step")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="TensorBoard: unknown argument 'histogram_freq'"):
        callbacks.TensorBoard(histogram_freq=1)  # type: ignore[call-arg]
