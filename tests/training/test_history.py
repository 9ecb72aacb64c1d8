"""What a run leaves behind: its history."""

import sys

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


def test_the_repr_of_a_history_has_the_last_figures() -> None:
    history = nf.History()
    assert repr(history) == "<History of 0 epochs>"
    for epoch, loss in enumerate((0.5, 0.123456)):
        history.add(epoch, {"loss": loss, "val_loss": 2 * loss}, seconds=0.1)
    assert repr(history) == "<History of 2 epochs: loss 0.1235, val_loss 0.2469>"


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
