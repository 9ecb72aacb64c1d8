"""Text as input and output of networks: characters, words, bags of words, embeddings (row S29).

Before there is input there is data, and a network reads nothing but numbers. The same sentences are numbered in five
ways, each of which suits another kind of network:

- characters: one number each; a convolution finds typical groups of letters,
- words: one number each; a convolution finds typical phrases of three words, and a recurrent network reads one after
  the other,
- embeddings: a vector for each word, which is learned, and the mean of a sentence's vectors,
- a bag of words: how often each word occurs, whatever their order,
- TF-IDF: the same, with rare words counting more.

The sentences are those of scikit-learn's documentation, and the question is which of its parts a sentence is about. A
text as output is one token after the other: a network predicts the next character, and writes by drawing from its
probabilities again and again.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawing import BLUE, GREEN, ORANGE, PURPLE, RED, new_figure, output_folder, save
from matplotlib.axes import Axes
from matplotlib.patches import Patch

import nnfast as nf
from nnfast import layers, text

PARTS = ("cluster", "ensemble", "linear_model", "metrics", "preprocessing")
SHOWN = {"cluster": BLUE, "ensemble": GREEN, "linear_model": ORANGE, "metrics": RED, "preprocessing": PURPLE}
CHARACTERS, WORDS, CONTEXT = 160, 32, 16


class Data(NamedTuple):
    """Sentences and the numbers of their parts, for training and unseen."""

    train: list[str]
    train_labels: np.ndarray
    test: list[str]
    test_labels: np.ndarray


def sentences(part: str) -> list[str]:
    """Sentences of 8 to 40 words in the docstrings of a part of scikit-learn, without those that begin alike.

    Many parameters are described several times in almost the same words: if one such sentence were in the training set
    and another in the test set, the accuracy would say little.
    """
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    found: dict[tuple[str, ...], str] = {}
    for path in sorted((Path(spec.origin).parent / part).glob("*.py")):
        for docstring in re.findall(r'"""(.*?)"""', path.read_text(encoding="utf-8"), re.DOTALL):
            for paragraph in re.split(r"\n\s*\n", docstring):
                if not re.search(r">>>|---|\.\. ", paragraph):  # examples, headings and directives
                    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
                        words = re.findall("[A-Za-z]+", sentence.lower())
                        if 8 <= len(words) <= 40 and sentence.endswith("."):
                            found.setdefault(tuple(words[:5]), sentence)
    return list(found.values())


def data(seed: int = 0) -> Data:
    """The sentences of all parts in random order, without those in several; a fifth of them is unseen."""
    by_part = [sentences(part) for part in PARTS]
    every = [sentence for found in by_part for sentence in found]
    labels = np.repeat(np.arange(len(PARTS)), [len(found) for found in by_part])
    order = [i for i in np.random.default_rng(seed).permutation(len(every)) if every.count(every[i]) == 1]
    cut = len(order) * 4 // 5
    train, test = order[:cut], order[cut:]
    return Data([every[i] for i in train], labels[train], [every[i] for i in test], labels[test])


# ---- a network for each representation -------------------------------------------


class Reader(NamedTuple):
    """What numbers sentences, and a network for these numbers."""

    numbers: Callable[[list[str]], np.ndarray]
    network: nf.Network
    encoder: text.encoder.TextEncoder


def classes() -> list[layers.Layer]:
    """The last layers of every network."""
    return [layers.Dropout(0.5), layers.Dense(len(PARTS), activation="softmax")]


def of_characters(train: list[str]) -> Reader:
    letters = text.CharacterVocabulary(min_count=20, padding_token="", unknown_token="?").fit(train)
    net = nf.Network(
        [
            layers.Input((CHARACTERS,), dtype="int32"),
            layers.Embedding(len(letters), 16),
            layers.Conv1D(64, 7, activation="relu"),
            layers.GlobalMaxPool1D(),
            *classes(),
        ],
        seed=0,
        name="characters",
    )
    return Reader(lambda texts: letters.transform(texts, CHARACTERS), net, letters)


def vocabulary_of_words(train: list[str]) -> text.WordVocabulary:
    """Words that occur twice or more, and punctuation marks; underscores belong to words, as in "max_iter"."""
    return text.WordVocabulary(min_count=2, standardize="lower", split="punctuation").fit(train)


def of_words(train: list[str], recurrent: bool = False) -> Reader:
    words = vocabulary_of_words(train)
    convolution = [layers.Conv1D(64, 3, activation="relu"), layers.GlobalMaxPool1D()]
    net = nf.Network(
        [
            layers.Input((WORDS,), dtype="int32"),
            layers.Embedding(len(words), 32, mask_zero=recurrent),
            layers.Dropout(0.3),
            *([layers.GRU(32)] if recurrent else convolution),
            *classes(),
        ],
        seed=0,
        name="words, recurrent" if recurrent else "words",
    )
    return Reader(lambda texts: words.transform(texts, WORDS), net, words)


def of_words_one_by_one(train: list[str]) -> Reader:
    return of_words(train, recurrent=True)


def of_embeddings(train: list[str]) -> Reader:
    words = vocabulary_of_words(train)
    net = nf.Network(
        [
            layers.Input((WORDS,), dtype="int32"),
            layers.Embedding(len(words), 32, mask_zero=True),  # so that padding is not part of the mean
            layers.GlobalAvgPool1D(),
            *classes(),
        ],
        seed=0,
        name="embeddings",
    )
    return Reader(lambda texts: words.transform(texts, WORDS), net, words)


def of_bag(train: list[str], kind: type[text.BagOfWords] = text.BagOfWords) -> Reader:
    bag = kind(min_df=2, ngram_range=(1, 2)).fit(train)
    net = nf.Network(
        [
            layers.Input((len(bag),)),
            layers.Dropout(0.3),
            layers.Dense(32, activation="relu"),
            *classes(),
        ],
        seed=0,
        name="bag of words" if kind is text.BagOfWords else "TF-IDF",
    )
    return Reader(bag.transform, net, bag)


def of_weighted_bag(train: list[str]) -> Reader:
    return of_bag(train, text.TfIdf)


READERS = (of_characters, of_words, of_words_one_by_one, of_embeddings, of_bag, of_weighted_bag)


def accuracy(reader: Reader, given: Data, epochs: int = 15) -> float:
    """Train, and return the accuracy on unseen sentences."""
    trainer = nf.Trainer(reader.network, loss="cross_entropy", optimizer=nf.optimizers.Adam(2e-3), metrics=["accuracy"])
    trainer.fit(reader.numbers(given.train), given.train_labels, epochs=epochs, batch_size=32, progress=False)
    return trainer.evaluate(reader.numbers(given.test), given.test_labels)["accuracy"]


def baseline(given: Data) -> float:
    """Accuracy of always answering the part with the most sentences."""
    return float(np.mean(given.test_labels == np.bincount(given.train_labels).argmax()))


def nearest(reader: Reader, word: str, count: int = 4) -> list[str]:
    """The words whose vectors have the smallest angle to that of a word."""
    table = reader.network.parameters["embedding.embeddings"]
    vectors = table / np.linalg.norm(table, axis=1, keepdims=True)
    tokens = reader.encoder.tokens
    assert tokens is not None
    order = np.argsort(-vectors @ vectors[tokens.index(word)])
    return [tokens[i] for i in order if tokens[i] not in (word, "", "[UNK]")][:count]


# ---- text as output ----------------------------------------------------------------


class Writer(NamedTuple):
    """A network that predicts the next character, and what it costs to guess it."""

    letters: text.CharacterVocabulary
    network: nf.Network
    bits: float
    """Of an unseen character: the mean of -log2 of the probability that the network gave it."""
    bits_by_frequency: float
    """The same without a network, of characters that come in their frequencies."""


def write(given: Data, epochs: int = 6) -> Writer:
    """Learn to predict each character from the `CONTEXT` ones before it (Bengio et al. 2003, with characters)."""
    train, unseen = ("\n".join(texts) for texts in (given.train, given.test))
    letters = text.CharacterVocabulary(min_count=20, unknown_token="?").fit([train])
    (x, y), (x_unseen, y_unseen) = (text.windows(letters.encode(each), CONTEXT, stride=1) for each in (train, unseen))
    net = nf.Network(
        [
            layers.Input((CONTEXT,), dtype="int32"),
            layers.Embedding(len(letters), 16),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(len(letters), activation="softmax"),
        ],
        seed=0,
        name="next character",
    )
    trainer = nf.Trainer(net, loss="cross_entropy", optimizer=nf.optimizers.Adam(2e-3))
    trainer.fit(x, y[:, -1], epochs=epochs, batch_size=256, progress=False)
    loss = trainer.evaluate(x_unseen, y_unseen[:, -1])["loss"]
    frequencies = (np.bincount(y[:, -1], minlength=len(letters)) + 1) / (len(y) + len(letters))
    without = -np.log2(frequencies)[y_unseen[:, -1]].mean()
    return Writer(letters, net, float(loss / np.log(2)), float(without))


def continued(writer: Writer, start: str, length: int = 120, temperature: float = 0.5, seed: int = 0) -> str:
    """Draw one character after the other; a low temperature prefers the most probable ones."""
    numbers = list(writer.letters.encode(start.rjust(CONTEXT)))
    rng = np.random.default_rng(seed)
    for _ in range(length):
        probabilities = writer.network.predict([numbers[-CONTEXT:]])[0].astype("float64") ** (1 / temperature)
        numbers.append(rng.choice(len(probabilities), p=probabilities / probabilities.sum()))
    return writer.letters.decode(numbers[-length - len(start) :])


# ---- pictures ------------------------------------------------------------------------


def draw_words(axes: Axes, reader: Reader) -> None:
    """Vectors of frequent words, in the plane in which they differ most, in the color of the part they speak for."""
    table, tokens = reader.network.parameters["embedding.embeddings"], reader.encoder.tokens
    assert tokens is not None
    frequent = [i for i in range(2, 500) if len(tokens[i]) > 2]
    vectors = table[frequent] - table[frequent].mean(axis=0)
    places = vectors @ np.linalg.svd(vectors, full_matrices=False)[2][:2].T
    places = (places - places.min(axis=0)) / np.ptp(places, axis=0)
    parts = (vectors @ reader.network.parameters["dense.kernel"]).argmax(axis=1)
    shown: list[np.ndarray] = []
    for i in np.argsort(-(vectors**2).sum(axis=1)):
        if all(abs(places[i, 0] - x) > 0.14 or abs(places[i, 1] - y) > 0.04 for x, y in shown):
            shown.append(places[i])
            color = SHOWN[PARTS[parts[i]]]
            axes.text(*places[i], tokens[frequent[i]], color=color, ha="center", va="center", fontsize=8)
    axes.set(title="Vectors of words, as learned", xticks=[], yticks=[], xlim=(-0.1, 1.1), ylim=(-0.05, 1.15))
    handles = [Patch(color=color, label=part) for part, color in SHOWN.items()]
    axes.legend(handles=handles, fontsize=8, ncols=3, loc="upper center")


def picture(folder: Path, found: dict[str, float], base: float, reader: Reader, writer: Writer) -> Path:
    """Accuracies, vectors of words, and the probabilities of the next character."""
    figure, (left, middle, right) = new_figure(16, 5, 1, 3)
    left.barh(list(found), list(found.values()), color=BLUE)
    left.axvline(base, color=ORANGE, linestyle="--")
    left.text(base + 0.01, len(found) - 0.45, f"always the most frequent part: {base:.0%}", color=ORANGE)
    for place, value in enumerate(found.values()):
        left.text(value - 0.01, place, f"{value:.0%}", ha="right", va="center", color="white")
    left.set(title="Which part is a sentence about?", xlabel="accuracy on unseen sentences", xlim=(0, 1))
    left.set(ylim=(len(found) - 0.2, -0.6))

    draw_words(middle, reader)

    start = "the number of cl"
    probabilities = writer.network.predict([writer.letters.encode(start)[-CONTEXT:]])[0]
    likely = np.argsort(-probabilities)[:8]
    right.bar([repr(writer.letters.decode([i])) for i in likely], probabilities[likely], color=ORANGE)
    right.set(title=f'After "{start}"', xlabel="next character", ylabel="probability", ylim=(0, 1))
    return save(figure, folder, "text_representations.png")


def main(folder: Path, epochs: int = 15, writer_epochs: int = 6) -> None:
    given = data()
    print(f"{len(given.train):,} sentences for training, {len(given.test):,} unseen; for example:")
    print(f"  {PARTS[given.test_labels[0]]}: {given.test[0]}")
    base = baseline(given)
    print(f"{'most frequent part':18}  {'':22}  accuracy {base:.1%}")
    found, readers = {}, {}
    for make in READERS:
        reader = make(given.train)
        name = reader.network.name
        found[name], readers[name] = accuracy(reader, given, epochs), reader
        size = f"{len(reader.encoder):,} tokens, {reader.network.num_parameters:,} parameters"
        print(f"{name:18}  {size:36}  accuracy {found[name]:.1%}")
    for word in ("cluster", "ridge", "trees"):
        print(f"nearest to {word!r}: {', '.join(nearest(readers['embeddings'], word))}")
    writer = write(given, writer_epochs)
    print(f"Next character: {writer.bits:.2f} bits, by frequency alone {writer.bits_by_frequency:.2f}")
    print(continued(writer, "The number of "))
    picture(folder, found, base, readers["embeddings"], writer)


if __name__ == "__main__":
    main(output_folder())
