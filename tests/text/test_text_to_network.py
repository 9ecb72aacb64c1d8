"""The whole path: texts, an encoder, a network, files, and answers to new texts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, text

TEXTS = ["good film", "a fine film, good!", "a bad film", "awful, awful film"] * 5
LABELS = np.array([1, 1, 0, 0] * 5)


def trained(rows: Any, first: list[layers.Layer]) -> nf.Network:
    net = nf.Network([*first, layers.Dense(1, "sigmoid")], seed=0)
    trainer = nf.Trainer(net, loss="binary_cross_entropy", optimizer=nf.optimizers.Adam(0.05))
    trainer.fit(rows, *([] if isinstance(rows, nf.data.Dataset) else [LABELS]), epochs=30, progress=False)
    return net


@pytest.mark.parametrize("kind", [text.BagOfWords, text.TfIdf])
def test_a_bag_of_words_from_texts_to_answers(kind: type[text.BagOfWords], tmp_path: Path) -> None:
    bag = kind().fit(TEXTS)
    net = trained(bag.transform(TEXTS), [layers.Input((len(bag),))])
    net.save(tmp_path / "net.safetensors")
    bag.save(tmp_path / "bag.json")
    again, loaded = nf.Network.load(tmp_path / "net.safetensors"), kind.load(tmp_path / "bag.json")
    new = ["what a GOOD, fine day", "bad, bad, bad"]
    answers = again.predict(loaded.transform(new))
    np.testing.assert_array_equal(answers, net.predict(bag.transform(new)))
    assert (answers[:, 0] > 0.5).tolist() == [True, False]


def test_rows_may_be_made_while_training() -> None:
    bag = text.TfIdf().fit(TEXTS)
    data = nf.data.Dataset(TEXTS, LABELS).map(lambda x, y: (bag.transform(x), y))
    first = [layers.Input((len(bag),))]
    lazy, eager = trained(data, first), trained(bag.transform(TEXTS), [layers.Input((len(bag),))])
    np.testing.assert_array_equal(lazy.get_weights()[0], eager.get_weights()[0])


@pytest.mark.parametrize(
    "vocabulary",
    [
        text.WordVocabulary(),
        text.CharacterVocabulary(padding_token="", unknown_token="?", standardize="lower"),
        text.ByteVocabulary(),
        text.BytePairVocabulary(max_size=270),
    ],
    ids=lambda vocabulary: type(vocabulary).__name__,
)
def test_tokens_from_texts_to_answers(vocabulary: text.Vocabulary) -> None:
    vocabulary.fit(TEXTS)
    rows = vocabulary.transform(TEXTS, maxlen=16)
    first = [
        layers.Input((16,), dtype="int32"),
        layers.Embedding(len(vocabulary), 8, mask_zero=True),
        layers.Conv1D(16, 3, activation="relu"),
        layers.GlobalMaxPool1D(),
    ]
    net = trained(rows, first)
    np.testing.assert_array_equal(net.predict(rows)[:, 0] > 0.5, LABELS == 1)


def test_numbers_that_an_embedding_does_not_have() -> None:
    """The error names the number, and the advice works."""
    words = text.WordVocabulary().fit(TEXTS)
    rows = words.transform(TEXTS)
    net = nf.Network([layers.Input(rows.shape[1:], dtype="int32"), layers.Embedding(len(words) - 1, 2)], seed=0)
    with pytest.raises(ValueError, match=rf"expected ids from 0 to {len(words) - 2}, got {len(words) - 1}"):
        net.predict(rows)


def test_texts_are_no_numbers() -> None:
    net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    with pytest.raises(TypeError, match=r"encode text as numbers, for example with nnfast\.text\.TfIdf"):
        net.predict([["good film"]])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_tables_are_texts(library: str) -> None:
    frames = pytest.importorskip(library)
    table = frames.DataFrame({"review": TEXTS, "stars": LABELS})
    assert text.TfIdf().fit(table["review"]).tokens == text.TfIdf().fit(TEXTS).tokens
    with pytest.raises(TypeError, match=r'got a DataFrame; write table\["column"\]'):
        text.TfIdf().fit(table)
