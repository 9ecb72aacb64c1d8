"""The examples about text (S23, S29): their data, their figures against counts and formulas, what they reach."""

import importlib
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")


def example(name: str) -> ModuleType:
    return importlib.import_module(name)


# ---- S29 -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def given() -> Any:
    return example("text_representations").data()


def test_no_sentence_is_in_both_sets(given: Any) -> None:
    assert len(given.train) > 1000
    assert len(given.test) > 250
    every = [*given.train, *given.test]
    assert len(set(every)) == len(every)
    assert not set(given.train) & set(given.test)
    assert set(given.train_labels) == set(given.test_labels) == set(range(5))
    assert all(sentence.endswith(".") and len(sentence) > 20 for sentence in every)


def test_the_baseline_counts_the_most_frequent_part(given: Any) -> None:
    representations = example("text_representations")
    most = max(range(5), key=lambda part: list(given.train_labels).count(part))
    hits = sum(label == most for label in given.test_labels)
    assert representations.baseline(given) == pytest.approx(hits / len(given.test))


def test_every_representation_is_numbers_of_its_text(given: Any) -> None:
    representations = example("text_representations")
    sentence = given.train[0]
    shapes = {}
    for make in representations.READERS:
        reader = make(given.train)
        shapes[reader.network.name] = reader.numbers([sentence]).shape[1:]
        assert reader.network.predict(reader.numbers(given.test[:2])).shape == (2, 5)
    assert shapes["characters"] == (160,)
    assert shapes["words"] == shapes["embeddings"] == (32,)
    letters = representations.of_characters(given.train).encoder
    assert letters.decode(letters.encode("the mean")) == "the mean"
    bag = representations.of_bag(given.train).encoder
    row = bag.transform(["The mean and the mean."])[0]
    assert row[bag.tokens.index("mean")] == 2
    assert row[bag.tokens.index("the mean")] == 2
    assert row.sum() == 9  # five words and four pairs, all of them known


def test_words_tell_what_a_sentence_is_about(given: Any) -> None:
    representations = example("text_representations")
    reader = representations.of_embeddings(given.train)
    found = representations.accuracy(reader, given, epochs=12)
    assert found > representations.baseline(given) + 0.25
    truth = representations.PARTS[int(given.test_labels[0])]
    assert truth in representations.PARTS
    near = representations.nearest(reader, "cluster", 30)
    assert "clusters" in near
    assert "cluster" not in near


def test_the_next_character_is_less_of_a_surprise(given: Any) -> None:
    representations = example("text_representations")
    few = given._replace(train=given.train[:600], test=given.test[:100])
    writer = representations.write(few, epochs=2)
    assert writer.bits < writer.bits_by_frequency - 1
    # The network's bits by hand, over all unseen characters with a whole context before them.
    numbers = writer.letters.encode("\n".join(few.test))
    rows = np.stack([numbers[i : i + 16] for i in range(len(numbers) - 16)])
    probabilities = writer.network.predict(rows)[np.arange(len(rows)), numbers[16:]]
    assert writer.bits == pytest.approx(-np.log2(probabilities).mean(), rel=1e-4)
    assert 3 < writer.bits_by_frequency < math.log2(len(writer.letters))
    text = representations.continued(writer, "The number ", length=20)
    assert text.startswith("The number ")
    assert len(text) == 31
    assert representations.continued(writer, "The number ", length=20) == text


# ---- S23 -----------------------------------------------------------------------


def test_both_versions_of_a_sentence_have_the_same_words() -> None:
    seen, unseen = example("recurrent_text").data()
    for part in (seen, unseen):
        assert len(part.words) == len(part.in_order)
        assert part.in_order.tolist() == [True, False] * (len(part.words) // 2)
        for one, other in zip(part.words[::2], part.words[1::2], strict=True):
            assert sorted(one) == sorted(other)
            assert one != other
            assert 1 < len(one) <= 24
    known = {" ".join(words) for words in seen.words[::2]}
    assert not known & {" ".join(words) for words in unseen.words[::2]}


def test_only_networks_that_see_neighbors_tell_the_order() -> None:
    recurrent = example("recurrent_text")
    seen, unseen = recurrent.data()
    seen = recurrent.Data(seen.words[:4000], seen.in_order[:4000])
    words = recurrent.vocabulary(seen)
    mean = recurrent.network("mean of vectors", len(words))
    assert recurrent.train(mean, words, seen, unseen, epochs=1) == pytest.approx(0.5, abs=0.01)
    gru = recurrent.network("GRU", len(words))
    assert recurrent.train(gru, words, seen, unseen, epochs=4) > 0.75
    answers = recurrent.word_by_word(gru, words, unseen.words[0])
    assert len(answers) == len(unseen.words[0])
    assert answers[-1] == gru.predict(recurrent.rows(words, unseen.words[:1]))[0, 0]
