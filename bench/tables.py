"""Accuracy on the tables that come with scikit-learn, beside its own estimators on the same splits.

    python -m bench.tables [--folds 5] [--sets iris wine ...]

Prints the mean score of cross-validation (accuracy, or R^2 for diabetes), its standard deviation over the folds, and
the CPU time of all fits. Both MLPs get standardized data, and are otherwise left at their defaults.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnfast as nf

SETS: dict[str, Callable[..., Any]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}


def contenders(is_regression: bool) -> dict[str, Any]:
    """Estimators by name."""
    ours = nf.sklearn
    if is_regression:
        return {
            "TabularRegressor": ours.TabularRegressor(random_state=0),
            "MLPRegressor": make_pipeline(StandardScaler(), ours.MLPRegressor(random_state=0)),
            "scikit-learn's MLPRegressor": make_pipeline(StandardScaler(), MLPRegressor(random_state=0)),
            "HistGradientBoostingRegressor": HistGradientBoostingRegressor(random_state=0),
        }
    return {
        "TabularClassifier": ours.TabularClassifier(random_state=0),
        "MLPClassifier": make_pipeline(StandardScaler(), ours.MLPClassifier(random_state=0)),
        "scikit-learn's MLPClassifier": make_pipeline(StandardScaler(), MLPClassifier(random_state=0)),
        "HistGradientBoostingClassifier": HistGradientBoostingClassifier(random_state=0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the MLPs end with max_iter
    print("| Set | Estimator | Score | Deviation | CPU time |\n|---|---|---|---|---|")
    for name in options.sets:
        x, y = SETS[name](return_X_y=True)
        is_regression = name == "diabetes"
        split = (KFold if is_regression else StratifiedKFold)(options.folds, shuffle=True, random_state=0)
        for label, model in contenders(is_regression).items():
            start = time.process_time()
            scores = cross_val_score(model, x, y, cv=split)
            spent = time.process_time() - start
            print(f"| {name} | {label} | {scores.mean():.4f} | {scores.std():.4f} | {spent:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
