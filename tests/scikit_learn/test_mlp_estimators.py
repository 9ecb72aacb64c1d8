"""MLPClassifier and MLPRegressor beside scikit-learn's, on the same batches from the same initial weights."""

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import scipy.sparse
import sklearn
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import NotFittedError

import nnfast as nf
from nnfast import layers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

has_weights = pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7), reason="no weights and no Poisson loss in 1.6"
)
ours = nf.sklearn
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5))
LABELS = {
    "binary": np.where(X[:, 0] > X[:, 1], "yes", "no"),
    "multiclass": np.digitize(X[:, 0], [-0.5, 0.5]),
    "multilabel": (X[:, :3] > 0).astype(int),
}
NUMBERS = {"one": X[:, 0] * X[:, 1], "several": X[:, :2] ** 2, "counts": RNG.poisson(np.exp(X[:, 0]))}
WEIGHTS = RNG.integers(1, 5, size=60).astype(float)


def both(kind: str, **options: Any) -> list[Any]:
    """An estimator of ours and one of theirs, for all rows in one batch."""
    given = {"hidden_layer_sizes": (7, 4), "random_state": 3, "batch_size": 60, "shuffle": False, "max_iter": 25}
    if options.get("solver") == "adam":
        given |= {"epsilon": 1e-30}  # which scikit-learn adds to another number
    return [getattr(library, kind)(**given | options) for library in (ours, theirs)]


def require_equal(own: Any, other: Any, rtol: float = 1e-7) -> None:
    for a, b in zip(own.coefs_ + own.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-10)
    assert own.n_iter_ == other.n_iter_
    assert own.t_ == other.t_
    assert own.out_activation_ == other.out_activation_
    assert (own.n_outputs_, own.n_layers_) == (other.n_outputs_, other.n_layers_)


SOLVERS = [
    {"solver": "sgd", "learning_rate_init": 0.05},
    {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0, "activation": "logistic"},
    {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False, "learning_rate": "invscaling"},
    {"solver": "sgd", "learning_rate_init": 0.5, "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2},
    {"solver": "adam", "learning_rate_init": 0.02, "activation": "tanh"},
    {"solver": "adam", "learning_rate_init": 0.02, "beta_1": 0.8, "beta_2": 0.95, "activation": "identity"},
]


@pytest.mark.parametrize("options", SOLVERS, ids=str)
@pytest.mark.parametrize("kind", LABELS)
def test_classifiers_follow_scikit_learns(options: dict[str, Any], kind: str) -> None:
    y = LABELS[kind]
    own, other = (model.fit(X, y) for model in both("MLPClassifier", alpha=0.5, **options))
    require_equal(own, other)
    np.testing.assert_allclose(own.predict_proba(X), other.predict_proba(X), rtol=1e-6)
    np.testing.assert_allclose(own.loss_curve_, other.loss_curve_, rtol=1e-7)
    assert (own.predict(X) == other.predict(X)).all()
    assert own.score(X, y) == other.score(X, y)
    assert list(own.classes_) == list(other.classes_)


@pytest.mark.parametrize("options", SOLVERS, ids=str)
@pytest.mark.parametrize("kind", ["one", "several"])
def test_regressors_follow_scikit_learns(options: dict[str, Any], kind: str) -> None:
    if kind == "several" and "tol" in options:
        pytest.skip("scikit-learn's loss of several outputs, but not its gradient, is a mean over them")
    own, other = (model.fit(X, NUMBERS[kind]) for model in both("MLPRegressor", alpha=0.5, **options))
    require_equal(own, other)
    np.testing.assert_allclose(own.predict(X), other.predict(X), rtol=1e-6, atol=1e-9)


@has_weights
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_weights_and_poisson_losses_follow_scikit_learns(solver: str) -> None:
    for own, other, y in [
        (*both("MLPClassifier", solver=solver, learning_rate_init=0.05), LABELS["multiclass"]),
        (*both("MLPClassifier", solver=solver, learning_rate_init=0.05), LABELS["binary"]),
        (*both("MLPRegressor", solver=solver, learning_rate_init=0.05), NUMBERS["one"]),
        (*both("MLPRegressor", solver=solver, learning_rate_init=0.01, loss="poisson"), NUMBERS["counts"]),
    ]:
        require_equal(own.fit(X, y, WEIGHTS), other.fit(X, y, WEIGHTS))


@pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")  # of older versions of scikit-learn
def test_lbfgs_reaches_the_minimum_of_scikit_learns() -> None:
    """With linear layers, each minimum is global."""
    y = LABELS["multiclass"]
    own, other = both("MLPClassifier", solver="lbfgs", hidden_layer_sizes=(4,), alpha=1.0, activation="identity")
    for model in (own, other):
        model.set_params(max_iter=500, tol=1e-9).fit(X, y)
    assert own.loss_ == pytest.approx(other.loss_, rel=1e-6)
    np.testing.assert_allclose(own.predict_proba(X), other.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_follows_scikit_learns_on_parts_of_any_size(solver: str) -> None:
    own, other = both("MLPClassifier", solver=solver, learning_rate_init=0.05, alpha=0.3, batch_size="auto")
    for part in np.split(np.arange(60), [5, 25, 33]):
        for model in (own, other):
            model.partial_fit(X[part], LABELS["binary"][part], classes=["no", "yes"])
    require_equal(own, other)


def test_warm_start_follows_scikit_learns() -> None:
    own, other = both("MLPRegressor", solver="sgd", learning_rate_init=0.02, warm_start=True)
    for model in (own, other):
        model.fit(X, NUMBERS["one"]).fit(X, NUMBERS["several"][:, 0])
    require_equal(own, other)
    np.testing.assert_allclose(own.loss_curve_, other.loss_curve_, rtol=1e-7)


def test_partial_fit_is_an_epoch_of_fit_bit_for_bit() -> None:
    options: dict[str, Any] = {"batch_size": 16, "random_state": 0, "dropout": 0.2, "batch_norm": True}
    whole = ours.MLPClassifier(8, max_iter=5, **options).fit(X, LABELS["multiclass"])
    parts = ours.MLPClassifier(8, **options)
    for _ in range(5):
        parts.partial_fit(X, LABELS["multiclass"], classes=[0, 1, 2])
        parts = pickle.loads(pickle.dumps(parts))
    assert all((a == b).all() for a, b in zip(whole.coefs_, parts.coefs_, strict=True))
    assert (whole.predict_proba(X) == parts.predict_proba(X)).all()


def test_early_stopping_keeps_the_best_weights() -> None:
    model = ours.MLPClassifier(8, early_stopping=True, learning_rate_init=0.05, random_state=0, n_iter_no_change=5)
    model.fit(X[:40], LABELS["binary"][:40], validation_data=(X[40:], LABELS["binary"][40:]))
    assert model.score(X[40:], LABELS["binary"][40:]) == model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.history_["val_loss"]) == len(model.validation_scores_) == model.n_iter_
    assert model.best_loss_ is None


def test_a_later_fit_keeps_the_best_weights_of_an_earlier_one() -> None:
    y = LABELS["binary"]
    model = ours.MLPClassifier((8,), learning_rate_init=0.02, early_stopping=True, warm_start=True, random_state=0)
    best = model.fit(X, y, validation_data=(X, y)).predict_proba(X)
    model.set_params(learning_rate_init=5.0, max_iter=3).fit(X, y, validation_data=(X, y))
    assert model.validation_scores_[-1] < model.best_validation_score_ == model.score(X, y)
    assert (model.predict_proba(X) == best).all()


def test_the_rule_of_the_end_may_change_between_fits() -> None:
    y = LABELS["binary"]
    model = ours.MLPClassifier((8,), max_iter=2, warm_start=True, random_state=0).fit(X, y)
    model.set_params(early_stopping=True).fit(X, y)
    assert len(model.validation_scores_) == 2
    assert model.best_loss_ is None
    model.set_params(early_stopping=False).partial_fit(X, y)
    assert model.best_loss_ == model.loss_
    assert model.validation_scores_ is None
    model.set_params(early_stopping=True).fit(X, y).set_params(solver="lbfgs").fit(X, y)
    assert np.isfinite(model.best_loss_)


def test_early_stopping_needs_two_rows_for_a_score() -> None:
    y = X[:, 0]
    for model in (ours.MLPRegressor(early_stopping=True, max_iter=1), ours.TabularRegressor(max_iter=1)):
        with pytest.raises(ValueError, match="validation_data of at least 2 rows"):
            model.fit(X, y, validation_data=(X[:1], y[:1]))
        model.set_params(early_stopping=False).fit(X, y, validation_data=(X[:1], y[:1]))
    ours.MLPClassifier(early_stopping=True, max_iter=1).fit(X, y > 0, validation_data=(X[:1], y[:1] > 0))


def test_early_stopping_needs_weights_in_both_parts() -> None:
    texts = ""
    for seed in range(20):  # the only row with a weight is in one of the two parts
        with pytest.raises(ValueError, match="got none in the") as caught:
            ours.MLPRegressor(early_stopping=True, random_state=seed).fit(X, X[:, 0], np.arange(60) == 0)
        texts += str(caught.value)
    assert "none in the training data" in texts
    assert "none in the validation data" in texts
    ours.MLPRegressor(early_stopping=True, validation_fraction=0.5, max_iter=1).fit(X[:4], X[:4, 0], WEIGHTS[:4])


def test_class_weights_multiply_sample_weights() -> None:
    y, factors = LABELS["binary"], {"yes": 3.0, "no": 0.5}
    by_class = ours.MLPClassifier(4, random_state=0, max_iter=9, class_weight=factors).fit(X, y, WEIGHTS)
    by_row = ours.MLPClassifier(4, random_state=0, max_iter=9).fit(X, y, WEIGHTS * [factors[label] for label in y])
    np.testing.assert_allclose(by_class.coefs_[0], by_row.coefs_[0], rtol=1e-12)
    balanced = ours.MLPClassifier(4, random_state=0, max_iter=9, class_weight="balanced").fit(X, y)
    counts = {"yes": 60 / 2 / (y == "yes").sum(), "no": 60 / 2 / (y == "no").sum()}
    same = ours.MLPClassifier(4, random_state=0, max_iter=9, class_weight=counts).fit(X, y)
    assert (balanced.coefs_[0] == same.coefs_[0]).all()
    with pytest.raises(ValueError, match="compute_class_weight"):
        ours.MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=["no", "yes"])


def test_what_is_beyond_scikit_learn() -> None:
    seen = []

    class Record(nf.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            seen.append(self.trainer.optimizer.rate(self.trainer.iteration))

    optimizer = nf.optimizers.RMSprop(0.5)
    model = ours.MLPClassifier(
        (6, 5),
        ["gelu", nf.layers.LeakyReLU(0.1)],
        dropout=[0.1, 0.0],
        batch_norm=True,
        loss=nf.losses.CrossEntropy(label_smoothing=0.1),
        optimizer=optimizer,
        schedule=lambda step: 0.01 / (1 + step),
        callbacks=[Record()],
        metrics=("accuracy",),
        max_iter=3,
        random_state=0,
        dtype="float32",
    ).fit(X, LABELS["multiclass"])
    assert optimizer.learning_rate == 0.5
    assert seen == [0.01 / 2, 0.01 / 3, 0.01 / 4]
    assert isinstance(model.trainer_.optimizer, nf.optimizers.RMSprop)
    assert len(model.history_["accuracy"]) == 3
    kinds = [type(layer).__name__ for layer in model.network_.layers]
    hidden = ["Dense", "BatchNormalization", "Activation"]
    assert kinds == ["Input", *hidden, "Dropout", *hidden, "Dense"]
    assert [model.network_.get_layer(name).function.name for name in ("activation", "activation_1")] == [
        "gelu",
        "leaky_relu",
    ]
    assert model.predict_proba(X).dtype == np.float32
    assert ours.MLPRegressor(optimizer="nadam", max_iter=1).fit(X, X[:, 0]).trainer_.optimizer.learning_rate == 0.001
    assert ours.MLPRegressor(loss="huber", max_iter=1).fit(X, X[:, 0]).trainer_.loss.name == "huber"


def test_parameters_are_those_of_scikit_learn_and_more() -> None:
    for name in ("MLPClassifier", "MLPRegressor"):
        own, other = (getattr(library, name)().get_params() for library in (ours, theirs))
        assert {key: own[key] for key in other} == other
        copy = clone(getattr(ours, name)(callbacks=[nf.callbacks.EarlyStopping()], optimizer=nf.optimizers.Adam(0.1)))
        assert repr(copy.optimizer) == "Adam(learning_rate=0.1)"


def test_frames_and_sparse_matrices(rng: np.random.Generator) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    sparse = pytest.importorskip("scipy.sparse")
    names = list("abcde")
    dense = np.where(X > 0.5, X, 0)
    expected = ours.MLPClassifier(6, max_iter=5, random_state=0).fit(dense, LABELS["binary"])
    labels = {pandas: pandas.Series(LABELS["binary"]), polars: polars.Series(LABELS["binary"])}
    for frames, y in labels.items():
        frame = frames.DataFrame(dict(zip(names, dense.T, strict=True)))
        model = ours.MLPClassifier(6, max_iter=5, random_state=0).fit(frame, y)
        assert (model.predict_proba(frame) == expected.predict_proba(dense)).all()
        if frames is pandas or hasattr(model, "feature_names_in_"):  # polars 2 has none for scikit-learn 1.6
            assert list(model.feature_names_in_) == names
            with pytest.raises(ValueError, match="feature names"):
                model.predict(frame[names[::-1]])
    for kind in (sparse.csr_matrix, sparse.csc_array):
        model = ours.MLPClassifier(6, max_iter=5, random_state=0).fit(kind(dense), LABELS["binary"])
        assert (model.predict_proba(kind(dense)) == expected.predict_proba(dense)).all()


def test_multilabel_targets_may_be_sparse() -> None:
    x, y = make_multilabel_classification(40, random_state=0)
    sparse = pytest.importorskip("scipy.sparse")
    model = ours.MLPClassifier(8, max_iter=3, random_state=0).fit(x, y)
    assert model.predict_proba(x).shape == y.shape
    assert set(np.unique(model.predict(x))) <= {0, 1}
    assert sparse.issparse(sparse.csr_matrix(y))


def test_threads_are_those_asked_for_and_change_nothing(threads: None) -> None:
    seen = []

    class Look(nf.callbacks.Callback):
        def on_epoch_end(self, epoch: int) -> None:
            seen.append(nf.get_num_threads())

    nf.set_num_threads(2)
    one = ours.MLPRegressor(hidden_layer_sizes=8, n_threads=1, max_iter=2, random_state=0, callbacks=[Look()]).fit(
        X, X[:, 0]
    )
    assert (seen, nf.get_num_threads()) == ([1, 1], 2)
    two = ours.MLPRegressor(hidden_layer_sizes=8, max_iter=2, random_state=0).fit(X, X[:, 0])
    assert (one.predict(X) == two.predict(X)).all()


def test_predictions_have_the_dtype_of_x() -> None:
    model = ours.MLPRegressor(hidden_layer_sizes=4, dtype="float32", max_iter=2, random_state=0).fit(X, X[:, 0])
    assert model.network_.dtype == "float32"
    assert model.predict(X).dtype == np.float64
    assert model.predict(X.astype("float32")).dtype == np.float32


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"activation": ["relu"], "hidden_layer_sizes": (3, 4)}, "activation for each of 2 hidden layers"),
        ({"solver": "adm"}, "did you mean 'adam'"),
        ({"batch_size": "all"}, "valid names: auto, full"),
        ({"dropout": 1.0}, "0 <= dropout < 1"),
        ({"alpha": -1.0}, "alpha >= 0"),
        ({"max_iter": 0}, "max_iter >= 1"),
        ({"optimizer": "adamm"}, "did you mean"),
        ({"learning_rate": "cosine", "solver": "sgd"}, "invscaling"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0"),
        ({"hidden_layer_sizes": "100"}, "an integer as hidden_layer_sizes, got '100'"),
        ({"hidden_layer_sizes": (3, None)}, "an integer as hidden_layer_sizes, got None"),
        ({"dtype": "float16"}, "float32"),
        ({"metrics": "mae"}, r"write metrics=\['mae'\]"),
        ({"shuffle": "no"}, "True or False as shuffle"),
        ({"early_stopping": "False"}, "True or False as early_stopping"),
        ({"warm_start": None}, "True or False as warm_start"),
        ({"nesterovs_momentum": 2}, "True or False as nesterovs_momentum"),
        ({"tol": "small"}, "a real number as tol"),
        ({"tol": -1}, "tol >= 0"),
        ({"n_iter_no_change": 0}, "n_iter_no_change >= 1"),
        ({"n_iter_no_change": "10"}, "an integer as n_iter_no_change"),
        ({"solver": "sgd", "learning_rate": "invscaling", "power_t": "x"}, "a real number as power_t"),
    ],
)
def test_bad_parameters(options: dict[str, Any], text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        ours.MLPRegressor(**options).fit(X, X[:, 0])


class Interrupt(nf.callbacks.Callback):
    """Ctrl-C after the second epoch."""

    def on_epoch_end(self, epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_fit_keeps_what_it_has_learned() -> None:
    model = ours.MLPRegressor(random_state=0, callbacks=[Interrupt()])
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, X[:, 0])
    assert model.n_iter_ == 1
    assert np.isfinite(model.predict(X)).all()
    other = ours.MLPRegressor(random_state=0, max_iter=2).fit(X, X[:, 0])
    assert (other.predict(X) == model.predict(X)).all()


def test_warm_start_with_other_layers() -> None:
    model = ours.MLPRegressor(hidden_layer_sizes=(3,), max_iter=1, warm_start=True).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="set warm_start=False"):
        model.set_params(hidden_layer_sizes=(4,)).fit(X, X[:, 0])


@pytest.mark.parametrize("kind", [ours.MLPClassifier, ours.NetworkClassifier])
def test_losses_that_compare_numbers_get_one_hot_classes(kind: Any) -> None:
    y = np.array(list("abc"))[LABELS["multiclass"]]
    options = {"solver": "lbfgs", "max_iter": 200, "random_state": 0}
    if kind is ours.NetworkClassifier:
        options["build"] = lambda n_outputs: [layers.Dense(9, "tanh"), layers.Dense(n_outputs, "softmax")]
    for loss in ("mse", nf.losses.Huber()):
        model = kind(loss=loss, metrics=["accuracy"], **options).fit(X, y, validation_data=(X, y))
        assert model.score(X, y) > 0.9
        assert model.history_["val_accuracy"][-1] == pytest.approx(model.score(X, y))
        assert model.predict(X).dtype.kind == "U"
    model = kind(loss="mse", alpha=0.0, **options) if kind is ours.MLPClassifier else kind(loss="mse", **options)
    probabilities = model.fit(X, y).predict_proba(X)
    assert model.loss_ == pytest.approx(((probabilities - (y[:, None] == model.classes_)) ** 2).mean(), rel=1e-5)


def test_targets_that_do_not_suit() -> None:
    with pytest.raises(ValueError, match=r"y >= 0 with loss='poisson', got -"):
        ours.MLPRegressor("poisson", max_iter=1).fit(X, X[:, 0])
    labels = LABELS["multilabel"]
    for y in (2 * labels + 1, 2 * labels - 1, scipy.sparse.csr_matrix(2 * labels)):
        with pytest.raises(ValueError, match=r"a matrix of 0 and 1 for labels, got a matrix of \[.*write y == "):
            ours.MLPClassifier(max_iter=1).fit(X, y)
    with pytest.raises(
        ValueError, match=r"validation_data: expected classes of the training data, \[0 1\], in y, got \[2\]"
    ):
        ours.MLPClassifier(max_iter=1).fit(X, labels[:, 0], validation_data=(X, labels[:, 0] + 1))


def test_weights_that_are_assigned_are_used() -> None:
    model, other = (
        ours.MLPRegressor(hidden_layer_sizes=(5,), max_iter=1, random_state=i).fit(X, X[:, 0]) for i in (0, 1)
    )
    model.coefs_ = other.coefs_
    model.intercepts_[0] = other.intercepts_[0]
    model.intercepts_[1:] = other.intercepts_[1:]
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    model.coefs_[1][...] = 0
    np.testing.assert_array_equal(model.predict(X), np.full(60, model.intercepts_[1][0]))
    with pytest.raises(ValueError, match=r"expected arrays of shapes \[\(5, 5\)\], got \[\(5, 1\)\]"):
        model.coefs_[0] = np.ones((5, 1))
    with pytest.raises(ValueError, match="expected arrays of shapes"):
        model.coefs_ = other.coefs_[:1]
    assert isinstance(pickle.loads(pickle.dumps(model.coefs_)), list)


@pytest.mark.parametrize("kind", [ours.MLPClassifier, ours.MLPRegressor, ours.TabularRegressor, ours.NetworkClassifier])
def test_one_column_of_targets_is_one_warning(kind: Any) -> None:
    y = (X[:, 0] > 0).astype(int)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = kind(max_iter=2, random_state=0, early_stopping=True).fit(X, y[:, None])
    assert [warning.category.__name__ for warning in caught].count("DataConversionWarning") == 1
    assert model.predict(X).shape == (60,)
    column = ours.Autoencoder(1, (), max_iter=1).fit(X[:, :1])
    assert column.network_.output_shape == (1,)


def test_one_callback_and_no_metrics() -> None:
    model = ours.MLPRegressor(callbacks=Interrupt(), metrics=None)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, X[:, 0])


def test_bad_calls() -> None:
    with pytest.raises(NotFittedError):
        ours.MLPClassifier().predict_proba(X)
    with pytest.raises(AttributeError, match="call of fit first"):
        _ = ours.MLPClassifier().coefs_
    with pytest.raises(AttributeError, match="partial_fit"):
        _ = ours.MLPClassifier(optimizer="lbfgs").partial_fit
    with pytest.raises(ValueError, match="several columns of classes"):
        ours.MLPClassifier().fit(X, np.digitize(X[:, :2], [-0.5, 0.5]))
    with pytest.raises(ValueError, match=r"validation_data as \(X, y\)"):
        ours.MLPRegressor().fit(X, X[:, 0], validation_data=X)
    with pytest.raises(ValueError, match="preprocessed"):
        ours.MLPRegressor(solver="sgd", learning_rate_init=1e9).fit(1e3 * X, 1e3 * X[:, 0])
    with pytest.raises(ValueError, match="expected classes among"):
        ours.MLPClassifier(max_iter=1).partial_fit(X, LABELS["multiclass"], classes=[0, 1, 2]).partial_fit(X[:1], [7])


@pytest.mark.parametrize("where", ["X", "y", "sample_weight"])
def test_masks_are_refused(where: str) -> None:
    given = {"X": X, "y": X[:, 0], "sample_weight": WEIGHTS}
    given[where] = np.ma.masked_greater(given[where], 0.5)
    for model in [ours.MLPRegressor(max_iter=1), ours.NetworkRegressor(max_iter=1), ours.TabularRegressor(max_iter=1)]:
        with pytest.raises(ValueError, match=f"expected {where} without masked elements"):
            model.fit(**given)
