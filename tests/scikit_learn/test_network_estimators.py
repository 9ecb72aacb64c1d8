"""Estimators of any network, transformers, and what searches do with them."""

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import scipy.sparse
from joblib import Parallel, delayed
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import nnfast as nf
from nnfast import layers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

sk = nf.sklearn
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, size=(80, 6, 6, 1), dtype=np.uint8)
BRIGHT = np.where(IMAGES[:, :3].mean(axis=(1, 2, 3)) > 127, "up", "down")
TABLE = RNG.normal(size=(60, 4))


def convolutional(input_shape: tuple[int, ...], n_outputs: int, last: Any = None, filters: int = 3) -> list[Any]:
    first = [layers.Rescaling(1 / 255), layers.Conv2D(filters, 3, activation="relu"), layers.Flatten()]
    return [*first, layers.Dense(n_outputs, last)]


def graph(input_shape: tuple[int, ...], n_outputs: int, seed: int, dtype: str) -> nf.Network:
    x = layers.Input(input_shape)
    h = layers.Dense(8, "tanh", name="hidden")(x)
    return nf.Network(inputs=x, outputs=layers.Dense(n_outputs)(layers.Concatenate()([x, h])), seed=seed, dtype=dtype)


def test_images_of_bytes_with_logits_and_with_probabilities() -> None:
    options: dict[str, Any] = {"max_iter": 60, "learning_rate_init": 0.03, "random_state": 0}
    logits = sk.NetworkClassifier(convolutional, **options).fit(IMAGES, BRIGHT)
    softmax = sk.NetworkClassifier(convolutional, build_options={"last": "softmax"}, **options).fit(IMAGES, BRIGHT)
    assert logits.score(IMAGES, BRIGHT) == 1
    assert list(logits.classes_) == ["down", "up"]
    np.testing.assert_allclose(logits.predict_proba(IMAGES), softmax.predict_proba(IMAGES), rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(logits.predict_proba(IMAGES).sum(axis=1), 1, rtol=1e-6)
    expected = np.array(["down", "up"])[logits.network_.predict(IMAGES).argmax(axis=1)]
    assert (logits.predict(IMAGES) == expected).all()


def test_labels_with_logits_and_with_probabilities() -> None:
    labels = (TABLE[:, :3] > 0).astype(int)

    def build(n_outputs: int, last: Any = None) -> list[Any]:
        return [layers.Dense(n_outputs, last)]

    options: dict[str, Any] = {"max_iter": 20, "learning_rate_init": 0.05, "random_state": 0}
    logits = sk.NetworkClassifier(build, **options).fit(TABLE, labels)
    sigmoid = sk.NetworkClassifier(build, build_options={"last": "sigmoid"}, **options).fit(TABLE, labels)
    np.testing.assert_allclose(logits.predict_proba(TABLE), sigmoid.predict_proba(TABLE), rtol=1e-4)
    z = logits.network_.predict(TABLE)
    np.testing.assert_allclose(logits.predict_proba(TABLE), 1 / (1 + np.exp(-z)), rtol=1e-5)
    assert (logits.predict(TABLE) == (z > 0)).all()


def test_sequences_of_tokens() -> None:
    def build(input_shape: tuple[int, ...], n_outputs: int, seed: int) -> nf.Network:
        x = layers.Input(input_shape, dtype="int32")
        h = layers.GlobalAvgPool1D()(layers.Embedding(5, 4)(x))
        return nf.Network(inputs=x, outputs=layers.Dense(n_outputs)(h), seed=seed)

    tokens = RNG.integers(0, 5, size=(60, 7))
    y = (tokens == 3).sum(axis=1) > 1
    model = sk.NetworkClassifier(build, max_iter=100, learning_rate_init=0.1, tol=0, random_state=0).fit(tokens, y)
    assert model.score(tokens, y) > 0.9
    with pytest.raises(TypeError, match="float"):
        model.predict(tokens + 0.5)


def test_tokens_in_lists_and_tables() -> None:
    def build(n_outputs: int) -> list[Any]:
        return [layers.Input(4, dtype="int32"), layers.Embedding(9, 3), layers.GRU(3), layers.Dense(n_outputs)]

    pandas = pytest.importorskip("pandas")
    tokens, y = RNG.integers(0, 9, (30, 4)), np.arange(30) % 2
    wanted = sk.NetworkClassifier(build, max_iter=2, random_state=0).fit(tokens, y).predict_proba(tokens)
    for given in (tokens.tolist(), pandas.DataFrame(tokens)):
        model = sk.NetworkClassifier(build, max_iter=2, random_state=0).fit(given, y)
        np.testing.assert_array_equal(model.predict_proba(given), wanted)


def test_the_same_random_state_gives_the_same_network() -> None:
    fits = [
        sk.NetworkRegressor(graph, random_state=s, max_iter=3, dtype="float64").fit(TABLE, TABLE[:, 0])
        for s in (1, 1, 2)
    ]
    first, same, other = (model.predict(TABLE) for model in fits)
    assert (first == same).all()
    assert (first != other).any()
    assert fits[0].network_.dtype == "float64"


def test_a_network_that_the_function_returns_again_is_not_trained() -> None:
    net = nf.Network([layers.Input((4,)), layers.Dense(2)], seed=0)
    before = net.get_weights()[0].copy()
    sk.NetworkRegressor(lambda: net, max_iter=2).fit(TABLE, TABLE[:, :2])
    assert (net.get_weights()[0] == before).all()


def test_partial_fit_of_networks_goes_on_after_pickling() -> None:
    a = sk.NetworkClassifier(convolutional, random_state=0)
    for _ in range(3):
        a = pickle.loads(pickle.dumps(a.partial_fit(IMAGES, BRIGHT, classes=["down", "up"])))
    b = sk.NetworkClassifier(convolutional, random_state=0, max_iter=3).fit(IMAGES, BRIGHT)
    assert (a.predict_proba(IMAGES) == b.predict_proba(IMAGES)).all()


def test_functions_that_make_something_else() -> None:
    with pytest.raises(ValueError, match=r"end it in layers.Dense\(n_outputs\)"):
        sk.NetworkClassifier(lambda: [layers.Dense(7)]).fit(TABLE, TABLE[:, 0] > 0)
    with pytest.raises(TypeError, match="expected a Network or a list of layers, got 3"):
        sk.NetworkClassifier(lambda: 3).fit(TABLE, TABLE[:, 0] > 0)
    for build in ([layers.Dense(2)], nf.Network([layers.Input(4), layers.Dense(2)]), layers.Dense(2)):
        with pytest.raises(TypeError, match="expected build as a function"):
            sk.NetworkClassifier(build).fit(TABLE, TABLE[:, 0] > 0)
    with pytest.raises(TypeError, match=r"expected build_options as a dict, got \[3\]"):
        sk.NetworkClassifier(convolutional, build_options=[3]).fit(IMAGES, BRIGHT)


def test_poisson_loss_of_a_network_with_negative_outputs() -> None:
    def build(n_outputs: int, last: str | None) -> list[Any]:
        return [layers.Dense(n_outputs, last)]

    counts = RNG.poisson(2, 60)
    model = sk.NetworkRegressor(build, build_options={"last": None}, loss="poisson", max_iter=2, random_state=0)
    with pytest.raises(ValueError, match=r'positive numbers: end it in Dense\(n_outputs, "softplus"\)'):
        model.fit(TABLE, counts)
    model.set_params(build_options={"last": "softplus"}).fit(TABLE, counts)
    assert (model.predict(TABLE) > 0).all()


def test_searches_are_the_same_with_two_workers() -> None:
    model = sk.NetworkClassifier(max_iter=5, random_state=0)
    y = np.where(TABLE[:, 0] > 0, "a", "b")
    grid = {"learning_rate_init": [1e-4, 1e-1]}
    one, two = (GridSearchCV(model, grid, cv=2, n_jobs=jobs).fit(TABLE, y) for jobs in (1, 2))
    assert one.best_params_ == two.best_params_ == {"learning_rate_init": 0.1}
    assert (one.cv_results_["mean_test_score"] == two.cv_results_["mean_test_score"]).all()
    scores = [
        cross_val_score(sk.MLPRegressor(max_iter=3, random_state=0), TABLE, TABLE[:, 0], cv=2, n_jobs=n) for n in (1, 2)
    ]
    assert (scores[0] == scores[1]).all()
    threads = Parallel(n_jobs=2)(delayed(nf.get_num_threads)() for _ in range(2))
    assert sum(threads) <= max(2, nf.get_num_threads())


def test_codes_of_an_autoencoder() -> None:
    low = RNG.normal(size=(200, 2))
    x = low @ RNG.normal(size=(2, 6))  # of rank 2, so that two numbers suffice
    model = sk.Autoencoder(2, (), max_iter=400, learning_rate_init=0.02, batch_size="full", tol=0, random_state=0)
    codes = model.fit_transform(x)
    assert model.score(x) > -0.01 * x.var()
    assert codes.shape == (200, 2)
    np.testing.assert_allclose(model.inverse_transform(codes), model.network_.predict(x), rtol=1e-12)
    assert model.score(x) == pytest.approx(-np.mean((model.network_.predict(x) - x) ** 2))
    assert list(model.get_feature_names_out()) == ["autoencoder0", "autoencoder1"]
    part = sk.Autoencoder(2, ()).partial_fit(x).partial_fit(x[:50], sample_weight=np.ones(50))
    assert part.transform(x).shape == (200, 2)


def test_autoencoders_stop_early_by_their_score() -> None:
    model = sk.Autoencoder(1, 8, early_stopping=True, max_iter=20, random_state=0).fit(
        TABLE[:40], validation_data=TABLE[40:]
    )
    assert model.score(TABLE[40:]) == pytest.approx(model.best_validation_score_)


def test_transformers_make_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE, columns=list("abcd"))
    made = sk.Autoencoder(2, max_iter=1, random_state=0).set_output(transform="pandas").fit_transform(frame)
    assert list(made.columns) == ["autoencoder0", "autoencoder1"]


def test_features_are_the_hidden_units() -> None:
    y = TABLE[:, 0] > 0
    model = sk.MLPClassifier((5, 3), dropout=0.5, max_iter=3, random_state=0)
    extractor = sk.FeatureExtractor(model).fit(TABLE, y)
    fitted = extractor.estimator_
    h = TABLE
    for kernel, bias in zip(fitted.coefs_[:2], fitted.intercepts_[:2], strict=True):
        h = np.maximum(h @ kernel + bias, 0)
    np.testing.assert_allclose(extractor.transform(TABLE), h, rtol=1e-12, atol=1e-15)
    assert not hasattr(model, "network_")
    first = sk.FeatureExtractor(FrozenEstimator(fitted), layer="dense").fit(TABLE, y)
    assert first.transform(TABLE).shape == (60, 5)
    of_network = sk.FeatureExtractor(fitted.network_).fit(TABLE)
    assert (of_network.transform(TABLE) == extractor.transform(TABLE)).all()
    pipeline = make_pipeline(extractor, sk.MLPClassifier(4, max_iter=2, random_state=0))
    assert pipeline.fit(TABLE, y).predict(TABLE).shape == (60,)


def test_transformers_refuse_what_they_cannot_read() -> None:
    model = sk.Autoencoder(2, 3, max_iter=1, random_state=0).fit(TABLE)
    masked = np.ma.masked_greater(TABLE, 0)
    for call in (model.transform, sk.FeatureExtractor(model.network_, "code").fit(TABLE).transform):
        with pytest.raises(ValueError, match="expected X without masked elements"):
            call(masked)
    with pytest.raises(ValueError, match="expected X without masked elements"):
        model.inverse_transform(masked[:, :2])
    with pytest.raises(TypeError, match="dense data is required"):
        model.inverse_transform(scipy.sparse.csr_matrix(TABLE[:, :2]))
    with pytest.raises(ValueError, match="sample_weight"):
        model.score(TABLE, sample_weight=[1.0, 2.0])


def test_features_of_a_network_of_tokens() -> None:
    entry = layers.Input(5, dtype="int32")
    net = nf.Network([entry, layers.Embedding(9, 4), layers.GRU(3), layers.Dense(2)], seed=0)
    tokens = RNG.integers(0, 9, (20, 5))
    wanted = net.extract("gru").predict(tokens)
    for given in (tokens, tokens.tolist(), tokens.astype(np.uint8)):
        np.testing.assert_array_equal(sk.FeatureExtractor(net).fit_transform(given), wanted)


def test_features_of_images_are_vectors() -> None:
    model = sk.NetworkClassifier(convolutional, max_iter=1, random_state=0)
    extractor = sk.FeatureExtractor(model, "conv2d").fit(IMAGES, BRIGHT)
    assert extractor.transform(IMAGES).shape == (80, 4 * 4 * 3)
    assert len(extractor.get_feature_names_out()) == 48


def test_the_package_can_be_imported_without_scikit_learn() -> None:
    code = """
import sys
sys.modules["sklearn"] = None
from nnfast import *
import nnfast as nf
assert "MLPClassifier" in dir(nf.sklearn)
try:
    nf.sklearn.MLPClassifier
except ImportError as error:
    assert "pip install scikit-learn" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_of_nnfast_does_not_import_scikit_learn() -> None:
    code = (
        "import sys, nnfast; assert 'sklearn' not in sys.modules; nnfast.sklearn; assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
