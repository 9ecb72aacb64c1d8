"""scikit-learn's checks of estimators as parameters of a test."""

from collections.abc import Sequence
from typing import Any

import pytest


def with_checks(estimators: Sequence[Any]) -> pytest.MarkDecorator:
    """`parametrize_with_checks`, which before scikit-learn 1.9 passes a generator, about which pytest 9 warns."""
    from sklearn.utils.estimator_checks import parametrize_with_checks

    mark = parametrize_with_checks(list(estimators))
    names, values = mark.args
    return pytest.mark.parametrize(names, list(values), **mark.kwargs)
