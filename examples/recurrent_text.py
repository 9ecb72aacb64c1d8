"""Recurrent networks read text word by word (row S23).

Are the words of a sentence in order, or has somebody shuffled them? Both versions have the same words, so a bag of
words and the mean of the words' vectors say nothing about it: whatever a network makes of them, it is right half of the
time. A convolution sees three neighboring words at a time. A recurrent network reads one word after the other and keeps
what matters in its state; its answer comes with the last word, but it can be asked after each.

The sentences are those of scikit-learn's documentation, in lower case and without punctuation, which would give the
order away.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawing import BLUE, GREY, ORANGE, new_figure, output_folder, save
from text_representations import sentences

import nnfast as nf
from nnfast import layers, text

PARTS = (
    *("cluster", "datasets", "decomposition", "ensemble", "feature_extraction", "linear_model", "manifold"),
    *("metrics", "model_selection", "neighbors", "preprocessing", "svm", "tree", "utils"),
)
WORDS = 24
"""Longer sentences are cut, before they are shuffled."""


class Data(NamedTuple):
    """Sentences as lists of words, each followed by its shuffled version, and 1 and 0 in turn."""

    words: list[list[str]]
    in_order: np.ndarray


def data(seed: int = 0) -> tuple[Data, Data]:
    """Training and unseen sentences; both versions of a sentence are in the same set."""
    reader = text.WordVocabulary()
    found = sorted({" ".join(reader.words(each)[:WORDS]) for part in PARTS for each in sentences(part)})
    rng = np.random.default_rng(seed)
    pairs = []
    for i in rng.permutation(len(found)):
        words = found[i].split()
        shuffled = [words[j] for j in rng.permutation(len(words))]
        if shuffled != words:
            pairs.append((words, shuffled))
    cut = len(pairs) * 4 // 5
    train, unseen = ([words for pair in part for words in pair] for part in (pairs[:cut], pairs[cut:]))
    return Data(train, np.arange(len(train)) % 2 == 0), Data(unseen, np.arange(len(unseen)) % 2 == 0)


def vocabulary(train: Data) -> text.WordVocabulary:
    """The words that occur in three sentences or more, each of which is there twice."""
    return text.WordVocabulary(min_count=6, standardize=None).fit(" ".join(words) for words in train.words)


READERS = {
    "mean of vectors": lambda: [layers.GlobalAvgPool1D()],
    "convolution": lambda: [layers.Conv1D(64, 3, activation="relu"), layers.GlobalMaxPool1D()],
    "SimpleRNN": lambda: [layers.SimpleRNN(64)],
    "GRU": lambda: [layers.GRU(64)],
    "LSTM": lambda: [layers.LSTM(64)],
}
"""What each network does with the vectors of the words (N, T, D)."""


def network(kind: str, tokens: int) -> nf.Network:
    """A vector for each word, a reader, and the probability that they are in order."""
    return nf.Network(
        [
            layers.Input((WORDS,), dtype="int32"),
            layers.Embedding(tokens, 32, mask_zero=True),
            layers.Dropout(0.2),
            *READERS[kind](),
            layers.Dropout(0.2),
            layers.Dense(1, activation="sigmoid"),
        ],
        seed=0,
        name=kind,
    )


def rows(words: text.WordVocabulary, given: list[list[str]]) -> np.ndarray:
    """Token numbers (N, T)."""
    return words.transform([" ".join(each) for each in given], WORDS)


def train(net: nf.Network, words: text.WordVocabulary, seen: Data, unseen: Data, epochs: int = 6) -> float:
    """Train a network; its accuracy on unseen sentences."""
    trainer = nf.Trainer(
        net, loss="binary_cross_entropy", optimizer=nf.optimizers.Adam(2e-3, clipnorm=1.0), metrics=["accuracy"]
    )
    trainer.fit(rows(words, seen.words), seen.in_order, epochs=epochs, batch_size=32, progress=False)
    return trainer.evaluate(rows(words, unseen.words), unseen.in_order)["accuracy"]


def word_by_word(net: nf.Network, words: text.WordVocabulary, sentence: list[str]) -> np.ndarray:
    """The answers after one word, after two, and so on."""
    return net.predict(rows(words, [sentence[: i + 1] for i in range(len(sentence))]))[:, 0]


def picture(folder: Path, found: dict[str, float], net: nf.Network, words: text.WordVocabulary, unseen: Data) -> Path:
    """Accuracies, and the answers of a recurrent network while it reads a sentence and its shuffled version."""
    figure, (left, ordered, shuffled) = new_figure(15, 5, 1, 3, width_ratios=[1.2, 1, 1])
    left.barh(list(found), list(found.values()), color=BLUE)
    left.axvline(0.5, color=ORANGE, linestyle="--")
    for place, value in enumerate(found.values()):
        left.text(value - 0.01, place, f"{value:.0%}", ha="right", va="center", color="white")
    left.set(title="Are the words in order?", xlabel="accuracy on unseen sentences", xlim=(0, 1))
    left.invert_yaxis()
    shown = next(i for i in range(0, len(unseen.words), 2) if 10 <= len(unseen.words[i]) <= 14)
    for axes, sentence, color in zip((ordered, shuffled), unseen.words[shown : shown + 2], (BLUE, ORANGE), strict=True):
        answers = word_by_word(net, words, sentence)
        axes.plot(answers, range(len(sentence)), "o-", color=color)
        axes.axvline(0.5, color=GREY, linestyle="--")
        axes.set_yticks(range(len(sentence)), sentence)
        axes.set(xlim=(0, 1), xlabel="probability of being in order")
        axes.invert_yaxis()
    ordered.set(title=f"{net.name}, word by word")
    shuffled.set(title="The same words shuffled")
    return save(figure, folder, "recurrent_text.png")


def main(folder: Path, epochs: int = 6) -> None:
    seen, unseen = data()
    words = vocabulary(seen)
    print(f"{len(seen.words):,} sentences for training, {len(unseen.words):,} unseen, {len(words):,} different words")
    print(f"  in order: {' '.join(unseen.words[0])}")
    print(f"  shuffled: {' '.join(unseen.words[1])}")
    found, networks = {}, {}
    for kind in READERS:
        net = networks[kind] = network(kind, len(words))
        found[kind] = train(net, words, seen, unseen, epochs)
        print(f"{kind:16} {net.num_parameters:7,} parameters  accuracy {found[kind]:.1%}")
    picture(folder, found, networks["GRU"], words, unseen)


if __name__ == "__main__":
    main(output_folder())
