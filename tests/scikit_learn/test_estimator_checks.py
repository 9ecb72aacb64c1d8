"""scikit-learn's own checks of estimators, without exclusions in float64 with all rows in one batch.

In float32, two checks are excluded: they compare predictions after fits with weights and with repeated rows to within
1e-7, and the sums of a gradient are rounded differently.
"""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("sklearn", minversion="1.6")

from estimator_checks import with_checks

import nnfast as nf

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.DataConversionWarning",
    "ignore::sklearn.exceptions.SkipTestWarning",
    "ignore:.*estimator.*:FutureWarning",
)

sk = nf.sklearn
FAST: dict[str, Any] = {"max_iter": 30, "learning_rate_init": 0.03, "batch_size": "full", "random_state": 0}
SMALL = (16,)


def estimators(dtype: str | None) -> list[Any]:
    options = FAST | {"dtype": dtype}
    return [
        sk.MLPClassifier(SMALL, **options),
        sk.MLPRegressor(hidden_layer_sizes=SMALL, **options),
        sk.NetworkClassifier(**options),
        sk.NetworkRegressor(**options),
        sk.Autoencoder(1, SMALL, **options),
        sk.FeatureExtractor(sk.MLPClassifier(SMALL, **options)),
    ]


@with_checks(estimators("float64"))
def test_in_float64(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def run_in_float32(estimator: Any, check: Any) -> None:
    if check.func.__name__.startswith("check_sample_weight_equivalence"):
        pytest.skip("compares to within 1e-7")
    check(estimator)


@with_checks(estimators("float32")[:1])
def test_in_float32(estimator: Any, check: Any) -> None:
    run_in_float32(estimator, check)


@pytest.mark.slow
@with_checks(estimators("float32")[1:])
def test_others_in_float32(estimator: Any, check: Any) -> None:
    run_in_float32(estimator, check)
