"""What a run leaves behind: its history."""

import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from small_networks import classifier

import nnfast as nf
from nnfast.core.typing import Array


def test_a_history_is_a_mapping_of_names_to_figures(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["accuracy"])
    history = trainer.fit(*blobs, epochs=3, validation_split=0.2)
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert len(history) == 4
    assert dict(history) == history.history
    assert history["val_loss"] is history.history["val_loss"]
    assert "val_loss" in history
    with pytest.raises(KeyError, match="no 'lr'; names: loss, accuracy, val_loss, val_accuracy"):
        history["lr"]


def record(**figures: list[float]) -> nf.History:
    """A history with these figures."""
    history = nf.History()
    for epoch, values in enumerate(zip(*figures.values(), strict=True)):
        history.add(epoch, dict(zip(figures, values, strict=True)), seconds=0.1, learning_rate=0.5)
    return history


def test_the_repr_of_a_history_is_a_table() -> None:
    assert repr(nf.History()) == "<History of 0 epochs>"
    assert repr(record(loss=[0.5, 0.123456], val_loss=[1.0, 12345.678])) == (
        "<History of 2 epochs>\n"
        "epoch    loss   val_loss\n"
        "-----  ------  ---------\n"
        "    0     0.5          1\n"
        "    1  0.1235  1.235e+04"
    )
    assert repr(record(loss=[0.5])).startswith("<History of 1 epoch>\n")


def test_a_long_history_shows_the_first_and_the_last_epochs() -> None:
    for count, rows in ((12, [*range(12)]), (13, [0, 1, 2, "...", *range(5, 13)])):
        lines = repr(record(loss=[1.0] * count)).splitlines()
        assert [line.split()[0] for line in lines[3:]] == [str(row) for row in rows]
        assert record(loss=[1.0] * count)._repr_html_().count("<tr>") == 1 + len(rows)


def test_names_in_html_are_text() -> None:
    assert ">a&lt;b</th>" in record(**{"a<b": [1.0]})._repr_html_()


@pytest.mark.parametrize(
    ("name", "mode", "epoch"),
    [
        ("loss", "auto", 2),
        ("val_loss", "auto", 1),
        ("accuracy", "auto", 1),
        ("own", "min", 3),
        ("own", "max", 0),
        ("loss", "max", 0),
    ],
)
def test_the_best_epoch(name: str, mode: Any, epoch: int) -> None:
    """The first one where several are; NaN is none."""
    nan = math.nan
    figures = {
        "loss": [4.0, nan, 2.0, 2.0],
        "val_loss": [nan, 1.0, 2.0, 3.0],
        "accuracy": [0.5, 0.75, 0.75, nan],
        "own": [4.0, 3.0, 2.0, 1.0],
    }
    best = record(**figures).best(name, mode)
    assert (best.epoch, best.value) == (epoch, figures[name][epoch])
    assert repr(best.figures) == repr({key: values[epoch] for key, values in figures.items()})


def test_what_has_no_best_epoch() -> None:
    history = record(loss=[math.nan] * 2, own=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"History\.best: expected an epoch with a number as 'loss'"):
        history.best("loss")
    with pytest.raises(ValueError, match=r'History\.best: expected mode="min" or mode="max" with \'own\''):
        history.best("own")
    with pytest.raises(ValueError, match="unknown name in the history 'lss'; did you mean 'loss'"):
        history.best("lss")
    with pytest.raises(ValueError, match="expected mode"):
        history.best("own", "least")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown name in the history 'val_loss'"):
        nf.History().best()


def test_an_array_has_no_best_epoch() -> None:
    history = nf.History()
    history.add(0, {"loss": 1.0, "of_classes": np.ones(3)}, seconds=0.1)  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"History\.best: expected a quantity that is a number, got 'of_classes'"):
        history.best("of_classes", "max")
    assert history.best("loss").figures["of_classes"].tolist() == [1.0] * 3  # type: ignore[attr-defined]


class Own(nf.metrics.Metric):
    name = "own"
    higher_is_better = True

    def __init__(self) -> None:
        self.calls = 0

    def evaluate(self, y_true: Array, y_pred: Array) -> float:
        self.calls += 1
        return float(-abs(self.calls - 2))


def test_a_metric_says_what_the_best_epoch_is(blobs: tuple[Array, Array]) -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=[Own()])
    history = trainer.fit(*blobs, epochs=3, validation_data=blobs)
    assert history.best("val_own").epoch == 1
    assert nf.History.from_dict(history.to_dict()).best("val_own").epoch == 1


def test_a_history_is_json() -> None:
    history = record(loss=[0.1, math.nan, math.inf], own=[1.0, -math.inf, 3.0])
    text = json.dumps(history.to_dict(), allow_nan=False)
    again = nf.History.from_dict(json.loads(text))
    assert repr(again.to_dict()) == repr(history.to_dict())
    assert repr(again) == repr(history)
    assert again.learning_rate == [0.5] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": [0]},
        {"epoch": ["x", 1]},
        {"seconds": None},
        {"history": []},
        {"history": {"loss": [1.0]}},
        {"history": {"loss": [1.0, "x"]}},
        {"learning_rate": [1.0, 2.0, 3.0]},
        {"higher_is_better": [1]},
    ],
    ids=repr,
)
def test_damaged_histories_are_refused(change: dict[str, Any]) -> None:
    good = record(loss=[0.5, 0.25]).to_dict()
    with pytest.raises(ValueError, match=r"expected a history as History\.to_dict returns it"):
        nf.History.from_dict({**good, **change})
    for key in good:
        with pytest.raises(ValueError, match="expected a history"):
            nf.History.from_dict({name: value for name, value in good.items() if name != key})


# ---- plots -----------------------------------------------------------------------------


def test_a_plot_of_losses_and_metrics(pyplot: Any) -> None:
    history = record(
        loss=[3.0, 2.0], accuracy=[0.5, 0.6], mae=[2.0, 1.0], val_loss=[4.0, 3.0], val_mae=[3.0, 2.0], seconds=[1, 2]
    )
    left, right = history.plot()
    for place, names in ((left, ["loss", "val_loss"]), (right, ["accuracy", "mae", "val_mae"])):
        lines = {line.get_label(): line for line in place.lines}
        assert list(lines) == names
        for name, line in lines.items():
            assert line.get_xydata().tolist() == [[0, history[name][0]], [1, history[name][1]]]
            assert line.get_linestyle() == ("--" if name.startswith("val_") else "-")
            if name.startswith("val_"):
                assert line.get_color() == lines[name.removeprefix("val_")].get_color()
    assert right.lines[0].get_color() != right.lines[1].get_color()
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == ("epoch", "loss", "metrics")


def test_where_to_plot(pyplot: Any) -> None:
    history = record(loss=[3.0])
    own = pyplot.figure().subplots()
    assert history.plot(own) == [own]
    assert history.plot([own]) == [own]
    with pytest.raises(ValueError, match=r"plot.history: expected 1 axes, got 2"):
        history.plot([own, own])
    with pytest.raises(ValueError, match="expected at least one epoch"):
        nf.History().plot()
    assert len(history.plot()) == 1


def test_a_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        record(loss=[3.0]).plot()


# ---- frames ----------------------------------------------------------------------------


def test_a_history_as_a_frame(blobs: tuple[Array, Array]) -> None:
    pytest.importorskip("pandas")
    trainer = nf.Trainer(classifier(), loss="cross_entropy")
    frame = trainer.fit(*blobs, epochs=5, initial_epoch=2, validation_split=0.2).to_dataframe()
    assert list(frame.columns) == ["loss", "val_loss"]
    assert (frame.index.name, list(frame.index)) == ("epoch", [2, 3, 4])


def test_a_history_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        nf.History().to_dataframe()
