"""Ensembles: combined predictions, training in turn and in parallel, files."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import nnfast as nf
from nnfast import callbacks, layers
from nnfast.core.typing import Array


def member(seed: int, units: int = 5) -> nf.Network:
    chain = [layers.Dense(units, "relu"), layers.Dropout(0.2), layers.Dense(3, "softmax")]
    return nf.Network([layers.Input((4,)), *chain], seed=seed)


def committee(count: int = 3, **options: Any) -> nf.Ensemble:
    return nf.Ensemble.build(member, count, loss="cross_entropy", metrics=["accuracy"], **options)


def flats(ensemble: nf.Ensemble) -> list[bytes]:
    return [network.flat().tobytes() for network in ensemble.networks]


# ---- predictions -----------------------------------------------------------------------


def test_the_mean_is_that_of_the_networks(blobs: tuple[Array, Array]) -> None:
    x, _ = blobs
    ensemble = nf.Ensemble([member(0), member(1, 7), member(2)], weights=[1, 2, 0.5])
    outputs = [network.predict(x).astype("float64") for network in ensemble.networks]
    expected = np.average(outputs, axis=0, weights=[1, 2, 0.5])
    got = ensemble.predict(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=0)  # half an ulp of float32 is 6e-8
    assert ensemble(x, batch_size=7).tobytes() == got.tobytes()


def test_votes_are_counted(blobs: tuple[Array, Array]) -> None:
    x, _ = blobs
    ensemble = committee(5, combine="vote", weights=[1, 1, 1, 1, 3])
    expected = np.zeros((len(x), 3))
    for network, weight in zip(ensemble.networks, ensemble.weights, strict=True):
        for row, best in enumerate(network.predict(x).argmax(axis=1)):
            expected[row, best] += weight / 7
    np.testing.assert_allclose(ensemble.predict(x), expected, rtol=1e-6, atol=1e-7)
    assert len(np.unique(expected)) > 3  # they differ


def constant(values: list[float], activation: str = "linear") -> nf.Network:
    """Outputs that do not depend on the input."""
    dense = layers.Dense(len(values), activation, kernel_initializer="zeros", bias_initializer=values)
    return nf.Network([layers.Input((1,)), dense])


def test_votes_with_one_output() -> None:
    members = [constant([logit], "sigmoid") for logit in (0.0, 0.1, 2.0, -9.0)]
    assert nf.Ensemble(members, combine="vote").predict([[0.0]]).tolist() == [[0.5]]


def test_votes_of_logits() -> None:
    """A logit of 0.1 is a vote for 1; what is evaluated is the fraction of votes."""
    loss = nf.losses.BinaryCrossEntropy(from_logits=True)
    members = [constant([logit]) for logit in (0.1, 0.3, 2.0, -0.1)]
    ensemble = nf.Ensemble(members, combine="vote", loss=loss, metrics=["accuracy"])
    assert ensemble.predict([[0.0]]).tolist() == [[0.75]]
    scores = ensemble.evaluate([[0.0], [0.0]], [[1.0], [0.0]])
    assert scores == pytest.approx({"loss": -(np.log(0.75) + np.log(0.25)) / 2, "accuracy": 0.5}, rel=1e-5)
    minority = nf.Ensemble([constant([-1.0]), *members[2:]], combine="vote", loss=loss, metrics=["accuracy"])
    assert minority.evaluate([[0.0]], [[0.0]]) == pytest.approx({"loss": -np.log(2 / 3), "accuracy": 1.0}, rel=1e-5)


def test_votes_for_classes_with_logits() -> None:
    members = [constant(logits) for logits in ([3.0, 1.0, 2.0], [0.0, -1.0, -2.0], [-3.0, -2.0, -4.0])]
    ensemble = nf.Ensemble(members, combine="vote", loss=nf.losses.CrossEntropy(from_logits=True))
    np.testing.assert_allclose(ensemble.predict([[0.0]]), [[2 / 3, 1 / 3, 0]], rtol=1e-6)
    assert ensemble.evaluate([[0.0]], [1])["loss"] == pytest.approx(np.log(3), rel=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
def test_votes_on_each_of_several_labels(from_logits: bool) -> None:
    logits = [[1.0, 0.2, -1.0], [0.3, 2.0, -3.0], [-0.1, 0.1, -1.0]]
    members = [constant(own, "linear" if from_logits else "sigmoid") for own in logits]
    loss = nf.losses.BinaryCrossEntropy(from_logits=from_logits)
    ensemble = nf.Ensemble(members, combine="vote", loss=loss)
    expected = np.mean(np.array(logits) > 0, axis=0)
    np.testing.assert_allclose(ensemble.predict([[0.0]])[0], expected, rtol=1e-6)
    if not from_logits:  # known without a loss, too
        assert ensemble.copy().predict([[0.0]]).tobytes() == ensemble.predict([[0.0]]).tobytes()


def test_values_are_not_voted_on() -> None:
    members = [constant([1.0]), constant([2.0])]
    for loss in ("mse", "mae", "huber"):
        with pytest.raises(ValueError, match=r"classes to vote on.*loss=.* and one output; use combine=\"mean\""):
            nf.Ensemble(members, combine="vote", loss=loss)
    with pytest.raises(ValueError, match=r"classes to vote on.*no loss.*or pass a loss"):
        nf.Ensemble(members, combine="vote").predict([[0.0]])
    assert nf.Ensemble([constant([3.0], "sigmoid")], combine="vote", loss="mse").predict([[0.0]]).tolist() == [[1.0]]


def test_float64_members_give_float64() -> None:
    ensemble = nf.Ensemble([member(0), member(1).copy("float64")])
    assert ensemble.predict(np.zeros((2, 4))).dtype == np.float64


@pytest.mark.parametrize("form", [list, dict])
def test_several_outputs(form: type, rng: np.random.Generator) -> None:
    def two(seed: int) -> nf.Network:
        x = layers.Input((3,))
        y, z = layers.Dense(2, "softmax", name="y")(x), layers.Dense(1, name="z")(x)
        return nf.Network(inputs=x, outputs={"a": y, "b": z} if form is dict else [y, z], seed=seed)

    x, labels, values = rng.normal(size=(8, 3)), rng.integers(0, 2, size=8), rng.normal(size=(8, 1))
    losses = ["cross_entropy", "mse"]
    keys: Any = ["a", "b"] if form is dict else [0, 1]
    ensemble = nf.Ensemble.build(two, 2, loss=dict(zip(keys, losses, strict=True)) if form is dict else losses)
    got = ensemble.predict(x)
    assert type(got) is form
    for key in keys:
        outputs = [network.predict(x)[key].astype("float64") for network in ensemble.networks]
        np.testing.assert_allclose(got[key], np.mean(outputs, axis=0), rtol=1e-6, atol=1e-7)
    y: Any = {"a": labels, "b": values} if form is dict else [labels, values]
    scores, single = ensemble.evaluate(x, y), ensemble.trainers[0].evaluate(x, y)
    assert set(scores) == set(single)
    error = np.mean((got[keys[1]].astype("float64") - values) ** 2)
    assert [value for name, value in scores.items() if name.startswith(("z_", "b_"))] == pytest.approx(
        [error], rel=1e-5
    )


def test_evaluation_is_of_the_combined_output(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    ensemble = committee()
    mean = np.mean([network.predict(x).astype("float64") for network in ensemble.networks], axis=0)
    scores = ensemble.evaluate(x, y)
    assert scores["loss"] == pytest.approx(-np.log(mean[np.arange(len(y)), y]).mean(), rel=1e-5)
    assert scores["accuracy"] == np.mean(mean.argmax(axis=1) == y)
    weight = np.arange(len(y)) / 50
    weighted = (-np.log(mean[np.arange(len(y)), y]) * weight).mean()
    assert ensemble.evaluate(x, y, weight)["loss"] == pytest.approx(weighted, rel=1e-5)


def test_evaluation_of_datasets_and_batches(blobs: tuple[Array, Array]) -> None:
    x, y = blobs
    weight = np.arange(len(y)) / 50
    ensemble = committee(2)

    class Rows:
        def __len__(self) -> int:
            return len(x)

        def take(self, rows: Array) -> Any:
            return x[rows[:7]], y[rows[:7]], weight[rows[:7]]

    expected = ensemble.evaluate(x, y, weight)
    batches = [(x[:9], y[:9], weight[:9]), (x[9:], y[9:], weight[9:])]
    for data in (nf.data.Dataset(x, y, weight), Rows(), iter(batches)):
        assert ensemble.evaluate(data) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="a Dataset alone"):
        ensemble.evaluate(nf.data.Dataset(x, y), y)
    with pytest.raises(ValueError, match="empty"):
        ensemble.evaluate(iter([]))


@pytest.mark.parametrize("form", [list, dict])
def test_evaluation_of_datasets_with_several_outputs(form: type, rng: np.random.Generator) -> None:
    def two(seed: int) -> nf.Network:
        x = layers.Input((3,))
        y, z = layers.Dense(2, "softmax", name="y")(x), layers.Dense(1, name="z")(x)
        return nf.Network(inputs=x, outputs={"a": y, "b": z} if form is dict else [y, z], seed=seed)

    x, labels, values = rng.normal(size=(8, 3)), rng.integers(0, 2, size=8), rng.normal(size=(8, 1))
    loss: Any = {"a": "cross_entropy", "b": "mse"} if form is dict else ["cross_entropy", "mse"]
    y: Any = {"a": labels, "b": values} if form is dict else [labels, values]
    ensemble = nf.Ensemble.build(two, 2, loss=loss)
    assert ensemble.evaluate(iter([(x, y)])) == pytest.approx(ensemble.evaluate(x, y), rel=1e-6)


def test_binary_probabilities(rng: np.random.Generator) -> None:
    """Also where all members are certain; the loss is then that of the smallest probability that has a logarithm."""

    def binary(seed: int, scale: float = 1.0) -> nf.Network:
        chain = [layers.Rescaling(scale), layers.Dense(1, "sigmoid")]
        return nf.Network([layers.Input((4,)), *chain], seed=seed)

    x, y = rng.normal(size=(50, 4)), rng.integers(0, 2, size=(50, 1))
    ensemble = nf.Ensemble([binary(0), binary(1)], loss="binary_cross_entropy", metrics=["accuracy"])
    mean = np.mean([network.predict(x).astype("float64") for network in ensemble.networks], axis=0)
    scores = ensemble.evaluate(x, y)
    assert scores["loss"] == pytest.approx(-np.where(y, np.log(mean), np.log1p(-mean)).mean(), rel=1e-5)
    assert scores["accuracy"] == np.mean((mean > 0.5) == y)
    certain = nf.Ensemble([binary(0, 1e4)], loss="binary_cross_entropy")
    assert 1 < certain.evaluate(x, y)["loss"] < 90


def test_an_ensemble_of_one_is_its_network(blobs: tuple[Array, Array]) -> None:
    ensemble = committee(1)
    assert ensemble.predict(blobs[0]).tobytes() == ensemble.networks[0].predict(blobs[0]).tobytes()
    assert ensemble.evaluate(*blobs) == pytest.approx(ensemble.trainers[0].evaluate(*blobs), rel=1e-6)


# ---- training --------------------------------------------------------------------------


def test_members_are_trained_as_by_themselves(blobs: tuple[Array, Array]) -> None:
    ensemble = committee(optimizer=nf.optimizers.Adam(0.01))
    histories = ensemble.fit(*blobs, epochs=3, batch_size=16, progress=False)
    for seed, history in enumerate(histories):
        alone = nf.Trainer(member(seed), loss="cross_entropy", optimizer=nf.optimizers.Adam(0.01), metrics=["accuracy"])
        assert alone.fit(*blobs, epochs=3, batch_size=16, progress=False).history == history.history
        assert alone.network.flat().tobytes() == flats(ensemble)[seed]


def test_processes_give_the_same_bits(blobs: tuple[Array, Array]) -> None:
    """Also in a second fit, which continues with the optimizers' states."""
    pytest.importorskip("joblib")
    one, two = committee(), committee()
    networks = two.networks
    stop = callbacks.EarlyStopping("loss", patience=0, mode="max")  # more than one epoch would be an error
    for epochs in (1, 2):
        options: dict[str, Any] = {"epochs": epochs, "batch_size": 16, "callbacks": [stop], "progress": False}
        in_turn, parallel = one.fit(*blobs, **options), two.fit(*blobs, n_jobs=2, **options)
        assert [history.history for history in in_turn] == [history.history for history in parallel]
        assert flats(one) == flats(two)
    assert two.networks == networks
    assert [trainer.iteration for trainer in two.trainers] == [trainer.iteration for trainer in one.trainers]
    assert [trainer.train_on_batch(*blobs) for trainer in one.trainers] == [
        trainer.train_on_batch(*blobs) for trainer in two.trainers
    ]
    assert flats(one) == flats(two)


def test_members_may_have_settings_of_their_own() -> None:
    def own(seed: int) -> Any:
        return member(seed), {"optimizer": nf.optimizers.SGD(0.1 * (seed + 1))}

    ensemble = nf.Ensemble.build(own, seeds=(0, 4), loss="cross_entropy", optimizer="rmsprop")
    assert [repr(trainer.optimizer) for trainer in ensemble.trainers] == [
        "SGD(learning_rate=0.1)",
        "SGD(learning_rate=0.5)",
    ]


def test_rates_are_not_shared() -> None:
    ensemble = committee(2, optimizer=nf.optimizers.SGD(0.1))
    ensemble.trainers[0].optimizer.learning_rate = 0.5
    assert ensemble.trainers[1].optimizer.learning_rate == 0.1


def writers(folder: Path, number: str) -> list[callbacks.Callback]:
    return [
        callbacks.CSVLogger(folder / f"{number}.csv"),
        callbacks.JSONLogger(folder / f"{number}.jsonl"),
        callbacks.ModelCheckpoint(folder / number / "at-{epoch}.ckpt"),
        callbacks.BackupAndRestore(folder / f"{number}.backup"),
        callbacks.TensorBoard(folder / f"{number}-board"),
    ]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_members_write_files_of_their_own(tmp_path: Path, blobs: tuple[Array, Array], n_jobs: int | None) -> None:
    if n_jobs:
        pytest.importorskip("joblib")
    ensemble, alone = committee(2), committee(2)
    given = writers(tmp_path, "{member}")
    histories = ensemble.fit(*blobs, epochs=2, callbacks=given, progress=False, n_jobs=n_jobs)
    assert [history["loss"] for history in histories] == [
        history["loss"] for history in alone.fit(*blobs, epochs=2, progress=False)
    ]
    assert flats(ensemble) == flats(alone)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{i}{end}" for i in (0, 1) for end in ("", ".csv", ".jsonl", "-board")}
    for i, network in enumerate(ensemble.networks):
        saved = nf.Trainer.resume(tmp_path / f"{i}" / "at-2.ckpt")
        assert saved.network.flat().tobytes() == network.flat().tobytes()
        assert str(histories[i]["loss"][-1]) in (tmp_path / f"{i}.csv").read_text()
    assert given[0].filename == str(tmp_path / "{member}.csv")  # type: ignore[attr-defined]


@pytest.mark.parametrize("which", range(5))
def test_members_do_not_share_files(tmp_path: Path, blobs: tuple[Array, Array], which: int) -> None:
    ensemble, callback = committee(2), writers(tmp_path, "one")[which]
    before = flats(ensemble)
    with pytest.raises(
        ValueError, match=rf"{{member}}.* in {type(callback).__name__}, got .*one.*; write .*{{member}}"
    ):
        ensemble.fit(*blobs, epochs=1, callbacks=callback, progress=False)
    assert flats(ensemble) == before
    assert not list(tmp_path.iterdir())
    assert len(committee(1).fit(*blobs, epochs=1, callbacks=callback, progress=False)) == 1


def test_iterators_cannot_be_shared(blobs: tuple[Array, Array]) -> None:
    ensemble = committee(2)
    before = flats(ensemble)
    with pytest.raises(TypeError, match=r"got an iterator \(generator\) as x.*pass arrays, a Dataset, an object"):
        ensemble.fit((blobs for _ in range(4)), epochs=1, progress=False)
    with pytest.raises(TypeError, match=r"got an iterator \(generator\) as validation_data.*the function that makes"):
        ensemble.fit(*blobs, validation_data=(blobs for _ in range(4)), epochs=1, progress=False)
    assert flats(ensemble) == before

    class Batches:
        def __iter__(self) -> Any:
            return iter([blobs])

    ensemble.fit(Batches(), epochs=1, progress=False)
    arrays = committee(2)
    arrays.fit(*blobs, epochs=1, batch_size=len(blobs[0]), shuffle=False, progress=False)
    assert flats(ensemble) == flats(arrays)
    assert len(committee(1).fit(iter([blobs]), epochs=1, progress=False)) == 1


# ---- files and copies ------------------------------------------------------------------


def test_a_file_has_all_networks(tmp_path: Path, blobs: tuple[Array, Array]) -> None:
    ensemble = nf.Ensemble([member(3), member(4, 7)], combine="vote", weights=[1, 0.5])
    ensemble.networks[1].freeze("dense.bias")
    ensemble.save(tmp_path / "both")
    loaded = nf.Ensemble.load(tmp_path / "both", loss="cross_entropy")
    assert repr(loaded) == repr(ensemble)
    assert flats(loaded) == flats(ensemble)
    assert (loaded.combine, loaded.weights) == ("vote", (1.0, 0.5))
    assert [network.seed for network in loaded.networks] == [3, 4]
    assert loaded.networks[1].trainable == ensemble.networks[1].trainable
    assert loaded.predict(blobs[0]).tobytes() == ensemble.predict(blobs[0]).tobytes()
    assert loaded.fit(*blobs, epochs=1, progress=False)[1].epoch == [0]
    assert loaded.fingerprint() != ensemble.fingerprint()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_go_on_with_the_same_bits(duplicate: Any, blobs: tuple[Array, Array]) -> None:
    ensemble = committee(2)
    ensemble.fit(*blobs, epochs=1, progress=False)
    other = duplicate(ensemble)
    assert all(trainer.network is net for trainer, net in zip(other.trainers, other.networks, strict=True))
    assert other.fingerprint() == ensemble.fingerprint() == ensemble.copy().fingerprint()
    for one in (ensemble, other):
        one.fit(*blobs, epochs=1, progress=False)
    assert flats(other) == flats(ensemble)


def edited(path: Path, edit: Any) -> None:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    tensors, description = load(content), json.loads(header["__metadata__"]["nnfast"])
    del description["sha256"]
    edit(tensors, description)
    path.write_bytes(save(tensors, {"nnfast": json.dumps(description)}))


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda t, d: t.pop("1/dense.kernel"), "expected the parameters"),
        (lambda t, d: t.update({"2/dense.kernel": np.zeros(1)}), "tensors of 2 networks, got '2/dense.kernel'"),
        (lambda t, d: t.update({"01/dense.kernel": np.zeros(1)}), "by number, such as"),
        (lambda t, d: t.update({"x/dense.kernel": np.zeros(1)}), "by number, such as"),
        (lambda t, d: t.update({"1/dense.kernel": np.zeros((9, 9))}), "1/dense.kernel: expected shape"),
        (lambda t, d: t["0/dense.bias"].fill(np.nan), "0/dense.bias: expected finite"),
        (lambda t, d: d.update(networks={}), "expected descriptions of networks"),
        (lambda t, d: d.update(networks=[]), "expected descriptions of networks"),
        (lambda t, d: d["networks"].pop(), "tensors of 1 networks"),
        (lambda t, d: d["networks"].append(3), "expected descriptions of networks"),
        (lambda t, d: d.pop("ensemble"), "expected facts"),
        (lambda t, d: d["ensemble"].update(combine="max"), "expected combine"),
        (lambda t, d: d["ensemble"].update(weights=[1]), "expected 2 weights"),
        (lambda t, d: d["ensemble"].update(weights=["a", 1]), "weights"),
        (lambda t, d: d["networks"][0].update(layers=[{"class": "eval"}]), "cannot be read"),
    ],
)
def test_damaged_files(tmp_path: Path, edit: Any, match: str) -> None:
    committee(2).save(tmp_path / "file")
    edited(tmp_path / "file", edit)
    with pytest.raises((ValueError, TypeError), match=rf"file: .*{match}"):
        nf.Ensemble.load(tmp_path / "file")


def test_files_of_one_and_of_several_networks_are_told_apart(tmp_path: Path) -> None:
    committee(2).save(tmp_path / "several")
    member(0).save(tmp_path / "one")
    with pytest.raises(ValueError, match=r"several: .*Ensemble\.load"):
        nf.Network.load(tmp_path / "several")
    with pytest.raises(ValueError, match=r"one: .*Network\.load"):
        nf.Ensemble.load(tmp_path / "one")
    with pytest.raises(ValueError, match=r"several: .*expected a checkpoint"):
        nf.Trainer.resume(tmp_path / "several")


# ---- errors ----------------------------------------------------------------------------


def other_network(shape: int, units: int) -> nf.Network:
    return nf.Network([layers.Input((shape,)), layers.Dense(units)])


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: nf.Ensemble([]), ValueError, "one network or more"),
        (lambda: nf.Ensemble(member(0)), TypeError, "a list of networks"),  # type: ignore[arg-type]
        (lambda: nf.Ensemble([member(0), "x"]), TypeError, r"'x' as networks\[1\]"),  # type: ignore[list-item]
        (
            lambda: nf.Ensemble([other_network(2, 3), other_network(2, 3), other_network(1, 3)]),
            ValueError,
            r"input_shape \(2,\), as networks\[0\] has, got \(1,\) of networks\[2\]",
        ),
        (lambda: nf.Ensemble([other_network(2, 3), other_network(2, 1)]), ValueError, r"output_shape \(3,\)"),
        (lambda: nf.Ensemble([member(0)] * 2), ValueError, r"one again as networks\[1\]"),
        (lambda: nf.Ensemble([member(0)], combine="max"), ValueError, "combine"),  # type: ignore[arg-type]
        (lambda: nf.Ensemble([member(0)], weights=[1, 2]), ValueError, "expected 1 weights"),
        (lambda: nf.Ensemble([member(0)], weights=[-1]), ValueError, "0 or more"),
        (lambda: nf.Ensemble([member(0)], weights=[0]), ValueError, "not all 0"),
        (lambda: nf.Ensemble([member(0)], weights=[np.inf]), ValueError, "0 or more"),
        (lambda: nf.Ensemble([member(0)], los="mse"), TypeError, "los"),
        (lambda: nf.Ensemble.build(member), ValueError, "either count= or seeds="),
        (lambda: nf.Ensemble.build(member, 0), ValueError, "count"),
        (lambda: nf.Ensemble.build(lambda seed: member(1), 2), ValueError, r"seed=0, got seed=1; pass"),
        (lambda: nf.Ensemble.build(lambda seed: None, 2), TypeError, "returns a Network"),
        (lambda: nf.Ensemble([member(0)]).fit([[1.0] * 4], [0], epochs=1), RuntimeError, r"settings for trainers"),
        (lambda: nf.Ensemble([member(0)]).evaluate([[1.0] * 4], [0]), RuntimeError, "settings for trainers"),
        (lambda: committee().fit([[1.0] * 4], [0], epochs=1, n_jobs=0), ValueError, "n_jobs"),
        (lambda: committee().fit([[1.0] * 4], [0], epochs=1, n_jobs=1.5), TypeError, "n_jobs"),  # type: ignore[arg-type]
        (lambda: committee().fit([[1.0] * 4], [0], epochs=1, batchsize=3), TypeError, "batch_size"),
    ],
)
def test_mistakes_are_named(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()
