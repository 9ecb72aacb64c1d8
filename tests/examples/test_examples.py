"""The figures of the examples, row by row, against their sources and against arithmetic done here."""

import importlib
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nnfast as nf

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
APART = (
    "adversarial",
    "audio_denoising",
    "cart_pole",
    "cifar10",
    "denoising_autoencoder",
    "drawing",
    "mnist",
    "mnist_committee",
    "mnist_convnet",
    "mnist_dropout",
    "mnist_ladder",
    "mnist_rungs",
    "representation_learning",
    "sparse_autoencoder",
    "tinyshakespeare",
    "transfer_learning",
)
"""Shared code, and programs with options and data sets of their own, which have test files of their own."""
SMALLER: dict[str, dict[str, Any]] = {
    "batch_sizes": {"epochs": 2},
    "hyperparameters": {"trials": 8, "epochs": 2},
    "more_layers": {"epochs": 1},
    "optimizers_compared": {"rates": np.array([0.01, 0.1])},
    "overfitting": {"epochs": 6},
    "parabola_or_random": {"networks": 1},
    "recurrent_text": {"epochs": 1},
    "text_representations": {"epochs": 2, "writer_epochs": 1},
    "tone_sequences": {"count": 96, "epochs": 1},
    "universal_approximation": {"tries": 1},
}
"""Arguments of `main` for examples that otherwise take many seconds."""
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem not in APART)


def example(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.parametrize("name", NAMES)
def test_main_prints_and_saves_pictures(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example(name).main(tmp_path, **SMALLER.get(name, {}))
    printed = capsys.readouterr().out
    pictures = list(tmp_path.iterdir())
    assert pictures
    for picture in pictures:
        header = picture.read_bytes()[:24]
        assert header.startswith(b"\x89PNG")
        assert int.from_bytes(header[16:20]) >= 1000
        assert str(picture) in printed
    assert len(printed.splitlines()) > len(pictures)


def test_table_lists_every_example_with_its_rows() -> None:
    lines = re.findall(r"^\| (S[\dS, ]+) \| \[(\w+)\.py\]", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    table = {file: set(re.findall(r"S\d+", rows)) for rows, file in lines}
    assert set(table) - set(APART) == set(NAMES)
    for name in NAMES:
        first_line = (example(name).__doc__ or "").splitlines()[0]
        assert set(re.findall(r"S\d+", first_line)) == table[name], name


# ---- S1, S2, S3 ----------------------------------------------------------------


def test_four_pixel_networks_classify() -> None:
    camera = example("four_pixel_camera")
    clean, unseen = camera.clean_images(), camera.noisy_images(1000, seed=7)
    for net in (camera.hand_set_network(), camera.train(camera.untrained_network())):
        assert camera.accuracy(net, *clean) == 1.0
        assert camera.accuracy(net, *unseen) >= 0.99
    for kernel in camera.hand_set_network().get_weights():
        assert set(np.unique(kernel)) <= {-1.0, 0.0, 1.0}
    # An image and its negative need opposite sums, so of weighted sums only the class of the largest bias has both.
    assert camera.accuracy(camera.one_layer(), *clean) <= 5 / 8


def test_four_pixel_network_layer_by_layer() -> None:
    camera = example("four_pixel_camera")
    a, b, c, d = image = np.array([0.75, -0.75, 0.0, 0.50])
    squash = np.tanh
    left, left_change, right, right_change = squash([a + c, a - c, b + d, b - d])
    patterns = squash([left + right, left - right, left_change - right_change, left_change + right_change])
    output = camera.hand_set_network().predict(image[None])[0]
    assert output == pytest.approx(np.abs(patterns), abs=1e-6)
    fields = camera.receptive_fields(camera.hand_set_network())
    assert np.array_equal(np.sign(fields[2].T), camera.PATTERNS)


def test_a_neuron() -> None:
    figures = example("four_pixel_camera").neuron()
    assert figures["sum, all weights 1"] == pytest.approx(0.50, abs=1e-12)
    assert figures["sum, weights -.2 0 .8 -.5"] == pytest.approx(-1.075, abs=1e-12)
    assert figures["logistic of 1.075"] == pytest.approx(0.7455, abs=5e-5)
    assert figures["tanh of 1.075"] == pytest.approx(0.7913, abs=5e-5)
    assert figures["tanh of -1.075"] == -figures["tanh of 1.075"]


def test_errors_and_their_total() -> None:
    by_output, total = example("four_pixel_camera").errors()
    assert by_output.tolist() == [1.75, 0.25, 0.75, 0.5]
    assert total == 3.25


# ---- S4, S22 ---------------------------------------------------------------------


def test_slope_of_the_error() -> None:
    descent = example("gradient_descent")
    assert descent.error_and_slope(-1.0) == (1.0, -2.0)
    assert descent.change_ratio(-1.0, 0.25) == pytest.approx(-2.0, abs=1e-12)


@pytest.mark.parametrize("rate", [0.01, 0.3, 1.03])
def test_descent_multiplies_the_weight(rate: float) -> None:
    path = example("gradient_descent").descend(rate, steps=15)
    assert path == pytest.approx([-((1 - 2 * rate) ** n) for n in range(16)], rel=1e-12)


def test_learning_rates_too_small_good_too_big() -> None:
    descent = example("gradient_descent")
    small, good, big = (abs(descent.descend(rate)[-1]) for rate in descent.RATES.values())
    assert good < 1e-6 < 0.5 < small < 1 < big


# ---- S5, S6, S7 ------------------------------------------------------------------


def test_numerical_gradient_is_the_same_and_costs_two_passes_a_weight() -> None:
    cost = example("backpropagation").compare(hidden=8)
    assert cost["weights"] == (8 * 8 + 8) + (8 * 8 + 8) + (8 * 3 + 3)
    assert cost["forward passes"] == 2 * cost["weights"]
    # Central differences err by step^2 = 1e-10 times a third derivative, and by eps * loss / step = 1e-11.
    assert cost["largest difference"] < 1e-8 < 1e-2 < cost["largest gradient"]


def test_chain_rule() -> None:
    links = example("backpropagation").chain_rule()
    assert len(links) == 7
    for name, (found, expected) in links.items():
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-300), name
    b = 1 / (1 + np.exp(-0.7))
    assert links["sigmoid: db/da = b (1 - b)"][0] == pytest.approx(b * (1 - b), rel=1e-12)


def test_dead_relu_does_not_come_back() -> None:
    backpropagation = example("backpropagation")
    assert backpropagation.dead_unit_moves("relu", steps=20) == 0.0
    assert backpropagation.dead_unit_moves("leaky_relu", steps=20) > 1e-3


def test_gradients_vanish_and_explode() -> None:
    backpropagation = example("backpropagation")
    norms = [backpropagation.gradient_norms(*case) for case in backpropagation.GRADIENT_CASES.values()]
    vanishing, healthy, exploding = (by_layer[0] / by_layer[-1] for by_layer in norms)
    # A logistic sigmoid's slope is at most 1/4: 19 layers of it shrink a gradient at least by that, times weights < 1.
    assert vanishing < 0.25**19 * 10
    assert 0.2 < healthy < 5
    assert exploding > 100


# ---- S8, S18 ---------------------------------------------------------------------


def test_errors_of_the_two_two_two_network() -> None:
    errors = example("mazur").errors(10_000)
    assert f"{errors[0]:.9f}" == "0.298371109"
    assert f"{errors[1]:.9f}" == "0.291027774"
    assert f"{errors[-1]:.10f}" == "0.0000351085"


def test_biases_stay() -> None:
    mazur = example("mazur")
    net = mazur.network()
    mazur.errors(10, net)
    assert net.parameters["hidden.bias"].tolist() == [0.35, 0.35]
    assert net.parameters["output.bias"].tolist() == [0.60, 0.60]


def test_table_of_the_two_two_two_network() -> None:
    table = example("mazur").first_step()
    h1, h2, o1, o2 = table.neurons
    assert (h1["net_input"], h1["output"]) == pytest.approx((0.3775, 0.59327), abs=5e-6)
    assert (h2["net_input"], h2["output"]) == pytest.approx((0.3925, 0.59688), abs=5e-6)
    assert (o1["net_input"], o1["output"]) == pytest.approx((1.10591, 0.75137), abs=5e-6)
    assert o2["output"] == pytest.approx(0.77293, abs=5e-6)
    w5 = next(row for row in table.weights if row["layer"] == "output")
    figures = [w5[name] for name in ("value", "dLoss/dOut", "dOut/dIn", "dIn/dw", "dLoss/dw", "updated")]
    assert figures == pytest.approx([0.40, 0.74137, 0.18682, 0.59327, 0.08217, 0.35892], abs=5e-6)


# ---- S16, S17 --------------------------------------------------------------------


def test_boolean_operators() -> None:
    boolean = example("boolean_operators")
    assert boolean.answers(boolean.and_network()).tolist() == [0, 0, 0, 1]
    assert boolean.answers(boolean.xor_network()).tolist() == [0, 1, 1, 0]
    assert boolean.answers(boolean.learn_xor()).tolist() == [0, 1, 1, 0]
    assert boolean.best_single_neuron(boolean.AND) == 4
    assert boolean.best_single_neuron(boolean.XOR) == 3


def test_activation_functions_and_their_derivatives() -> None:
    functions = example("activation_functions")
    x = np.array([-3.7, -1.3, -0.4, 0.3, 1.1, 3.6])  # away from the kinks at -3, 0 and 3
    for name in functions.SHOWN:
        differences = (functions.values(name, x + 1e-6) - functions.values(name, x - 1e-6)) / 2e-6
        assert functions.slopes(name, x) == pytest.approx(differences, abs=1e-8), name
    assert functions.values("heaviside", x).tolist() == [0, 0, 0, 1, 1, 1]
    assert functions.values("relu", x).tolist() == [0, 0, 0, 0.3, 1.1, 3.6]
    assert functions.squashed_range("sigmoid") == pytest.approx((0, 1), abs=1e-12)
    assert functions.squashed_range("tanh") == (-1, 1)


def test_an_activation_per_layer() -> None:
    (relu_low, relu_high), (tanh_low, tanh_high), (low, high) = example("activation_functions").output_ranges().values()
    assert relu_low == 0 < 1 < relu_high
    assert -1 <= tanh_low < -0.5 < 0.5 < tanh_high <= 1
    assert 0 < low < high < 1


def test_error_falls_with_hidden_neurons() -> None:
    approximation = example("universal_approximation")
    errors = [approximation.error(approximation.best_fit(units, tries=2)) for units in (1, 2, 4, 8, 32)]
    assert all(more < fewer for fewer, more in pairwise(errors))
    assert errors[0] > 0.5
    assert errors[-1] < 0.01


# ---- S19, S20 --------------------------------------------------------------------


def test_order_of_the_data_fools_the_network() -> None:
    parabola = example("parabola_or_random")
    result = parabola.experiment(networks=5)
    for order, expected in (("shuffled", 0.95), ("random first", 0.75), ("parabola first", 0.50)):
        assert result[order][0] == pytest.approx(expected, abs=0.015), order
    _, random, curve = result["random first"]
    above, below = parabola.chord()
    assert curve > 0.99
    assert random == pytest.approx(above, abs=0.04)
    assert result["parabola first"][1] > 0.99
    assert (above, below) == pytest.approx((0.5, 1.0), abs=0.02)


def test_points_of_the_parabola() -> None:
    parabola = example("parabola_or_random")
    for order, first in (("random first", 0), ("parabola first", 1)):
        x, y = parabola.points(order)
        assert x.shape == (10_000, 2)
        assert (y == np.repeat([first, 1 - first], 5000)).all()


def test_loop_by_hand_is_the_trainers() -> None:
    loop = example("training_loop")
    history, reason = loop.train_by_hand(below=1e-2, min_change=0.0)
    assert history[-1] < 1e-2 <= history[-2]
    assert reason == "the loss is small enough"
    assert loop.train_with_callback(below=1e-2, min_change=0.0) == pytest.approx(history, rel=1e-9)


def test_loop_ends_when_errors_no_longer_change() -> None:
    loop = example("training_loop")
    history, reason = loop.train_by_hand(below=0.0, min_change=1e-4)
    changes = np.abs(np.diff(history))
    assert changes[-1] <= 1e-4 < changes[:-1].min()
    assert reason == "the errors no longer change"
    assert loop.train_with_callback(below=0.0, min_change=1e-4) == pytest.approx(history, rel=1e-9)
    assert loop.train_by_hand(below=0.0, min_change=0.0, most_epochs=3)[1] == "no condition"


class Quantile(nf.losses.CustomLoss):
    """That of the example, for the trainer."""

    def value(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        error = target - prediction
        return np.asarray(np.maximum(0.9 * error, -0.1 * error)[:, 0])

    def gradient(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return np.where(target > prediction, -0.9, 1 - 0.9)


@pytest.mark.parametrize("epochs", [1, 4])
def test_a_loop_with_a_loss_of_its_own_has_the_bits_of_the_trainer(epochs: int) -> None:
    loop = example("training_loop")
    x, t = loop.noisy_data()
    net, other = loop.network(), loop.network()
    history = loop.train_with_own_loss(net, x, t, epochs)
    steps = len(x) // (2 * loop.BATCH_SIZE)
    adam = nf.optimizers.Adam(lambda step: loop.learning_rate(step // steps, epochs))
    trainer = nf.Trainer(other, loss=Quantile(), optimizer=adam, micro_batch_size=loop.BATCH_SIZE)
    wanted = trainer.fit(x, t, epochs=epochs, batch_size=2 * loop.BATCH_SIZE, shuffle=False, progress=False)
    assert history == pytest.approx(wanted["loss"], rel=1e-12)
    for name, view in net.parameters.items():
        assert view.tobytes() == other.parameters[name].tobytes(), name


def test_the_loss_of_the_loop_finds_a_quantile() -> None:
    loop = example("training_loop")
    target = np.random.default_rng(0).normal(size=(1000, 1))
    guesses = np.linspace(-3, 3, 601)
    values = [loop.quantile_loss(np.full_like(target, guess), target)[0] for guess in guesses]
    assert guesses[np.argmin(values)] == pytest.approx(np.quantile(target, 0.9), abs=0.02)
    output = np.random.default_rng(1).normal(size=(5, 1))
    _, slope = loop.quantile_loss(output, target[:5])
    for i in range(5):
        moved = 1e-6 * np.eye(5)[:, i : i + 1]
        above, below = (loop.quantile_loss(output + sign * moved, target[:5])[0] for sign in (1, -1))
        assert slope[i, 0] == pytest.approx((above - below) / 2e-6, rel=1e-6)


def test_a_curve_above_most_points_and_inputs_that_raise_the_loss() -> None:
    loop = example("training_loop")
    x, t = loop.noisy_data()
    net = loop.network()
    loop.train_with_own_loss(net, x, t, epochs=60)
    assert np.mean(t < net.predict(x)) == pytest.approx(0.9, abs=0.03)
    before = net.predict(x)
    moved = loop.adversarial_inputs(net, x, t, 1e-4)
    assert np.abs(moved - x).max() == pytest.approx(1e-4, rel=1e-9)
    # Every row's loss grows by its slope, of which only the sign was taken.
    error, after = t - before, t - net.predict(moved)
    value = [np.maximum(0.9 * e, -0.1 * e) for e in (error, after)]
    assert ((value[1] > value[0]) | (moved == x)).mean() > 0.98


def test_mean_squared_error_and_matrix_form() -> None:
    loop = example("training_loop")
    assert loop.mean_squared_error([0.01, 0.99], [0.75, 0.77]) == pytest.approx((0.298, 0.298), abs=1e-12)
    by_product, by_layer = loop.matrix_form()
    assert by_product == pytest.approx([0.59327, 0.59688], abs=5e-6)
    assert by_layer == pytest.approx(by_product, rel=1e-14)


# ---- S12, S13, S15, S21, S24 -------------------------------------------------------


def correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The kernel's weighted sum at each place where it fits, by its definition."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.asarray((windows * kernel).sum(axis=(2, 3)))


def test_prewitt_detector() -> None:
    prewitt = example("prewitt")
    assert prewitt.IMAGE.tolist() == [[40] * 3] * 3 + [[10] * 3] * 3
    assert prewitt.response(prewitt.IMAGE).tolist() == [[0], [90], [90], [0]]
    digit = prewitt.digits()[0][0, :, :, 0] * 16
    assert np.array_equal(prewitt.response(digit), correlate(digit, prewitt.PREWITT))
    turned = prewitt.edges(np.rot90(digit))
    assert turned == pytest.approx(np.rot90(prewitt.edges(digit)), abs=1e-4)


def test_detectors_are_learned() -> None:
    prewitt = example("prewitt")
    assert prewitt.learned_from_answers() == pytest.approx(prewitt.PREWITT, abs=0.01)
    kernels, accuracy = prewitt.learned_from_classes()
    assert accuracy >= 0.9
    likeness = prewitt.likeness(kernels)
    assert likeness.max() > 0.85
    assert likeness.min() < 0.5
    assert prewitt.likeness(-2 * prewitt.PREWITT.T[:, :, None, None]) == pytest.approx(1, abs=1e-12)


def test_inception_and_residual_networks_learn() -> None:
    topic = example("more_layers")
    for net in (topic.inception_network(), topic.residual_network(blocks=3)):
        losses, accuracy = topic.train(net, epochs=4)
        assert accuracy >= 0.95
        assert losses[-1] < 0.2 * losses[0]


def test_figures_of_a_deep_network() -> None:
    """On a small image; the full size takes minutes."""
    pytest.importorskip("resource", reason="not on Windows")
    net = example("more_layers").models.googlenet((32, 32, 3), 10, seed=0)
    found = example("more_layers").run_deep(net, rows=2)
    assert found["parameters MB"] == pytest.approx(4 * net.num_parameters / 1e6, rel=1e-3)
    assert found["process MB"] > found["arena MB"] + found["parameters MB"]
    assert min(found.values()) > 0


def test_convolutional_networks_find_what_has_moved() -> None:
    topic = example("network_types")
    dense, convolutional = topic.accuracies(topic.feedforward()), topic.accuracies(topic.convolutional())
    assert min(dense[0], convolutional[0]) >= 0.95
    assert (np.subtract(convolutional, dense)[1:] > 0.2).all()
    recurrent = topic.accuracies(topic.recurrent())
    assert recurrent[0] >= 0.9
    assert (np.subtract(recurrent, dense)[2:] > 0.1).all()  # the weights of a row are those of the next one
    (still, labels), (moved, same) = topic.data()[1], topic.data(2)[1]
    assert np.array_equal(labels, same)
    assert moved.sum() == pytest.approx(still.sum())
    assert np.abs(moved - still).sum(axis=(1, 2, 3)).min() > 0


def test_receptive_fields() -> None:
    """Which pixels change one place in the middle of each layer, with weights that let everything through."""
    topic = example("feature_maps")
    net = topic.network()
    for name, view in net.parameters.items():
        view[...] = 1.0 if name.endswith("kernel") else 0.0
    images = np.ones((257, 16, 16, 1), np.float32)
    images[np.arange(1, 257), np.arange(256) // 16, np.arange(256) % 16] = 100
    for name, values in net.trace(images).items():
        if name in topic.LAYERS:
            middle = values[:, values.shape[1] // 2, values.shape[2] // 2, 0]
            assert np.sum(middle[1:] != middle[0]) == topic.LAYERS[name] ** 2, name


def test_features_become_more_abstract() -> None:
    topic = example("feature_maps")
    net = topic.network()
    assert topic.train(net) >= 0.95
    separations = [layer.separation for layer in topic.abstraction(net)]
    assert separations[-1] > 3 * separations[-2] > 3 * separations[0]
    points = np.array([[0.0], [1.0]] * 10)
    assert topic.separation(points + np.arange(20)[:, None] // 2, np.arange(20) // 2) == pytest.approx(8.25 / 0.25)


def test_convolution_pooling_flattening() -> None:
    topic = example("convolution")
    found = topic.steps()
    assert found["map"].tolist() == [
        [0, 0, 1, 0, 1],
        [1, 1, 2, 0, 0],
        [1, 0, 0, 2, 1],
        [1, 4, 2, 1, 0],
        [0, 0, 1, 2, 1],
    ]
    assert np.array_equal(found["map"], correlate(topic.IMAGE, topic.FILTER))
    assert found["pooled"].tolist() == [[1, 2, 1], [4, 2, 1], [0, 2, 1]]
    assert found["vector"].tolist() == [1, 2, 1, 4, 2, 1, 0, 2, 1]
    assert topic.flatten(np.array([[1, 1, 0], [4, 2, 1], [0, 2, 1]])).tolist() == [1, 1, 0, 4, 2, 1, 0, 2, 1]
    assert found["pooled"][1:].tolist() == topic.TABLE[1:].tolist()


# ---- S26, S27, S28 -----------------------------------------------------------------


def test_the_whole_picture() -> None:
    whole = example("keras_way")
    net = whole.network()
    history, unseen = whole.train(net, epochs=25)
    assert unseen["accuracy"] >= 0.96
    assert unseen["loss"] < 0.2
    assert history.history["val_loss"][0] > 1 > 0.5 > history.history["loss"][-1]
    (x_train, _), (x_test, _) = whole.data()
    assert len(x_train) + len(x_test) == 1797
    probabilities = net.predict(x_test)
    assert probabilities.min() >= 0
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_distance_from_the_truth() -> None:
    distance = example("accuracy_and_loss").distance()
    assert distance == pytest.approx(0.4706**0.5, rel=1e-12)
    assert f"{distance:.4f}".startswith("0.68")
    values = example("accuracy_and_loss").other_losses()
    assert values["cross_entropy"] == pytest.approx(-np.log(0.51), rel=1e-9)
    assert values["sum_absolute_error"] == pytest.approx(0.98, rel=1e-12)


def test_accuracy_has_no_slope_and_the_loss_has() -> None:
    topic = example("accuracy_and_loss")
    weights = np.linspace(-1, 4, 51)
    assert topic.share_without_slope("accuracy", weights) >= 0.95
    assert topic.share_without_slope("loss", weights) == 0
    found = topic.scan(weights)
    assert len(np.unique(found["accuracy"])) <= 41
    assert np.ptp(found["accuracy"]) > 0.3
    trainer, x, y = topic.classifier()
    by_hand = 1 / (1 + np.exp(1 - 1.0 * x[:, 0]))
    expected = -np.mean(np.where(y == 1, np.log(by_hand), np.log(1 - by_hand)))
    assert trainer.evaluate(x, y)["loss"] == pytest.approx(expected, rel=1e-9)


def test_an_update_moves_the_probabilities() -> None:
    before, after = example("cat_or_dog").one_update()
    assert before == pytest.approx([0.9, 0.1], abs=1e-6)
    assert after[0] < before[0] - 0.01
    assert after[1] > before[1] + 0.01
    # The gradient by the two sums is (.9, -.9), so each weight of an inked pixel and each bias moves by .9 * .02.
    ink = example("cat_or_dog").faces()[1].sum()
    odds = np.log(0.1 / 0.9) + 2 * 0.9 * 0.02 * (ink + 1)
    assert np.log(after[1] / after[0]) == pytest.approx(odds, abs=1e-5)


def test_an_epoch_sees_every_example_once() -> None:
    topic = example("cat_or_dog")
    net, batch_losses, seen = topic.train(epochs=3, batch_size=32)
    assert [len(losses) for losses in batch_losses] == [-(-300 // 32)] * 3
    assert (seen == 3).all()
    assert np.mean(batch_losses[-1]) < np.mean(batch_losses[0])
    assert topic.accuracy(net) > 0.95
