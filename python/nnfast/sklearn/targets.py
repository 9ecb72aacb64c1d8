"""Targets of estimators: between what scikit-learn calls y and what networks are trained on."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from nnfast.core.arrays import as_numbers
from nnfast.core.text import short_repr
from nnfast.core.typing import Array

__all__ = ["ClassTargets", "NumberTargets", "Targets"]


class Targets(Protocol):
    """What an estimator learns."""

    units: int
    """Of the network's last layer."""
    out_activation: str
    """Of the network's last layer, by scikit-learn's name."""

    def encode(self, y: Any) -> Array:
        """y as the network is trained on it."""
        ...

    def decode(self, output: Array) -> Array:
        """y from the network's output."""
        ...


class ClassTargets:
    """Classes of two or more kinds, or several labels of each row.

    Two classes are one unit with a sigmoid, more are a softmax, and labels are units with sigmoids, as in
    scikit-learn's MLPClassifier. With `softmax`, two classes are a softmax of two units.
    """

    def __init__(self, y: Any, classes: Any = None, softmax: bool = False) -> None:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y: expected classes (n_samples,), or a matrix of 0 and 1 for labels, got several columns of classes; "
                "use sklearn.multioutput.MultiOutputClassifier"
            )
        self.is_multilabel = kind.startswith("multilabel")
        if self.is_multilabel:
            values = np.unique(y.data if hasattr(y, "toarray") else y)
            if not set(values.tolist()) <= {0, 1}:
                raise ValueError(
                    f"y: expected classes (n_samples,), or a matrix of 0 and 1 for labels, got a matrix of "
                    f"{short_repr(values.tolist())}; write y == {values[-1]} for labels"
                )
            self.classes: Array = np.arange(np.shape(y)[1])
        else:
            self.classes = unique_labels(y if classes is None else classes)
            self._encoder = LabelEncoder().fit(self.classes)
        is_binary = not self.is_multilabel and len(self.classes) <= 2 and not softmax
        self.units = 1 if is_binary else max(2, len(self.classes)) if not self.is_multilabel else len(self.classes)
        self.out_activation = "logistic" if is_binary or self.is_multilabel else "softmax"

    def require_known(self, y: Any, where: str, all_of_them: bool) -> None:
        """Refuse classes that were not there in the first fit, or the lack of some if a fit goes on."""
        found = unique_labels(y)
        if all_of_them and set(found) != set(self.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes}, `y` has {found}"
            )
        if not set(found) <= set(self.classes):
            raise ValueError(
                f"{where}: expected classes among {self.classes} in y, got {self._new_among(found)}; pass all classes "
                "in the first call"
            )

    def _new_among(self, found: Array) -> str:
        return short_repr([label for label in found.tolist() if label not in self.classes])

    def encode(self, y: Any) -> Array:
        if self.is_multilabel:
            dense = y.toarray() if hasattr(y, "toarray") else y
            return np.asarray(dense).astype("float32")
        try:
            numbers: Array = self._encoder.transform(y)
        except ValueError as error:  # of training data, classes are known
            new = self._new_among(unique_labels(y))
            raise ValueError(
                f"validation_data: expected classes of the training data, {self.classes}, in y, got {new}; leave such "
                "rows out"
            ) from error
        return numbers[:, None].astype("float32") if self.units == 1 else numbers

    def decode(self, output: Array) -> Array:
        if self.is_multilabel:
            return (output > 0.5).astype(int)
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(output))
        numbers = (output[:, 0] > 0.5).astype(int) if self.units == 1 else output.argmax(axis=1)
        labels: Array = self.classes[numbers]
        return labels

    def probabilities(self, output: Array) -> Array:
        """Probabilities of all classes (N, K), or of all labels."""
        if self.is_multilabel:
            return output
        if len(self.classes) == 1:
            return np.ones((len(output), 1), output.dtype)
        return np.hstack([1 - output, output]) if self.units == 1 else output


class NumberTargets:
    """One number or several for each row."""

    def __init__(self, y: Array, out_activation: str = "identity") -> None:
        as_numbers(y, "y", "y")
        self.is_vector = y.ndim == 1
        self.units = 1 if self.is_vector else y.shape[1]
        self.out_activation = out_activation

    def encode(self, y: Array) -> Array:
        columns = y[:, None] if y.ndim == 1 else y
        if columns.shape[1] != self.units:
            raise ValueError(f"y: expected {self.units} columns as in the first fit, got {columns.shape[1]}")
        return columns

    def decode(self, output: Array) -> Array:
        return output[:, 0] if self.is_vector else output


def as_column(y: Any) -> Any:
    """y without a second axis of length 1, about which scikit-learn warns."""
    return column_or_1d(y, warn=True) if np.ndim(y) == 2 and np.shape(y)[1] == 1 else y
