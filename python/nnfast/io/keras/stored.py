"""The layers in a Keras file and their numbers: `.weights.h5`, the weights of a `.keras` file, and legacy `.h5`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from nnfast.core.text import short_repr
from nnfast.io.hdf5 import Dataset, Group
from nnfast.layers import Bidirectional, GroupQueryAttention, Layer, MultiHeadAttention, TimeDistributed
from nnfast.layers.recurrent import Recurrent

__all__ = ["Stored", "StoredModel", "kind_of", "read_stored"]

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""The group with the layers of a model; the second is that of Keras 3.0."""
_ALL = slice(None)
_NUMBERED = re.compile(r"(.*?)_(\d+)")
_ATTENTION = ("query_dense", "key_dense", "value_dense", "output_dense")
_SEVERAL_NAMES = {"groupedqueryattention": "groupqueryattention"}


class Stored:
    """A layer in a file.

    Attributes
    ----------
    name : str
        The layer's name, or the group's if the file does not say.
    group_name : str
        Keras's name of the group: the class in snake case, numbered.
    """

    def __init__(
        self,
        name: str,
        group_name: str,
        group: Group,
        listed: Sequence[Dataset] | None = None,
        part: slice = _ALL,
    ) -> None:
        self.name = name
        self.group_name = group_name
        self._group = group
        self._listed = listed
        self._part = part

    @property
    def kind(self) -> str:
        """The class, as `kind_of` writes it."""
        return plain_kind(_split(self.group_name)[0])

    @property
    def has_weights(self) -> bool:
        """Whether there are numbers that a layer of nnfast could have, other than the state of random numbers."""
        listed = self._group.walk() if self._listed is None else (("", dataset) for dataset in self._listed)
        return any("seed_generator" not in path for path, _ in listed)

    def datasets(self, layer: Layer) -> list[Dataset]:
        """The numbers in the order of the parameters of a layer of nnfast."""
        if self._listed is not None:
            return list(self._listed)[self._part]
        return [dataset for path in _parts(layer) for dataset in _variables(self._group, path)][self._part]

    def parts(self) -> list[Stored]:
        """The layers that nnfast has for it: those of a separable convolution are two."""
        if self.kind != "separableconv2d" or self._listed is not None:
            return [self]
        ways = (("depthwise", "depthwise_conv2d", slice(0, 1)), ("pointwise", "conv2d", slice(1, None)))
        return [Stored(f"{self.name}/{way}", kind, self._group, part=part) for way, kind, part in ways]


class StoredModel:
    """The layers and models in a model in a file, in its order where the file keeps it."""

    def __init__(self, name: str, group_name: str) -> None:
        self.name = name
        self.group_name = group_name
        self.layers: list[Stored] = []
        self.models: list[StoredModel] = []
        self.in_order = False
        """Whether the order is that of the model, and not only among layers of one class."""

    def flat(self, prefix: str = "") -> Iterator[tuple[str, Stored, StoredModel]]:
        """All layers with weights by name, such as "base/dense", and the model that has each."""
        for layer in self.layers:
            for part in layer.parts() if layer.has_weights else ():
                yield prefix + part.name, part, self
        for model in self.models:
            yield from model.flat(f"{prefix}{model.name}/")

    def find(self, name: str, group_name: str) -> Stored | StoredModel | None:
        """The layer or model with a name, or else with the name of a group."""
        items: list[Any] = [*self.layers, *self.models]
        by_name = [item for item in items if item.name == name]
        found = by_name or [item for item in items if item.group_name == group_name]
        return found[0] if found else None


def read_stored(root: Group, names: Collection[str]) -> StoredModel:
    """The layers of a file, given its root group.

    `names` are those of the layers of the network, by which those of a model in a model are told in legacy files.
    """
    legacy = root.groups.get("model_weights", root)
    if "layer_names" in legacy.attributes or "layer_names0" in legacy.attributes:
        return _legacy(legacy, names)
    if not root.groups:
        raise ValueError("expected the weights of a Keras model, got a file without groups")
    return _model("", "", root)


def kind_of(layer: Layer) -> str:
    """The class of a layer in a form that is the same for a class of Keras."""
    return plain_kind(type(layer).default_name())


def plain_kind(name: str) -> str:
    """A name of a class in snake case, written one way."""
    short = name.replace("_", "").lower()
    return _SEVERAL_NAMES.get(short, short)


def _model(name: str, group_name: str, group: Group) -> StoredModel:
    model = StoredModel(name, group_name)
    container = next((group.groups[key] for key in _CONTAINERS if key in group.groups), None)
    # A model defined by a class has its layers by the names of its attributes.
    children = group if container is None else container
    for key in sorted(children.groups, key=_split):
        child = children.groups[key]
        if key in ("vars", "optimizer", "seed_generator", "_metrics", "metrics"):
            continue
        own = child.groups["vars"].attributes.get("name") if "vars" in child.groups else None
        known = own if isinstance(own, str) and own else key
        if any(inner in child.groups for inner in _CONTAINERS):
            model.models.append(_model(known, key, child))
        else:
            model.layers.append(Stored(known, key, child))
    return model


def _split(group_name: str) -> tuple[str, int]:
    """Class and number, by which the groups of a class are in order."""
    found = _NUMBERED.fullmatch(group_name)
    return (found[1], int(found[2])) if found and len(found[2]) < 10 else (group_name, 0)


def _variables(group: Group, path: str) -> list[Dataset]:
    for name in (*path.split("/"), "vars") if path else ("vars",):
        # Attention over groups has its parts with an underscore.
        found = group.groups.get(name, group.groups.get(f"_{name}"))
        if found is None:
            return []
        group = found
    numbered = [name for name in group.datasets if name.isascii() and name.isdecimal() and len(name) < 10]
    return [group.datasets[name] for name in sorted(numbered, key=int)]


def _parts(layer: Layer) -> list[str]:
    """The groups within the group of a layer that have its variables, in the order of its parameters."""
    if isinstance(layer, Recurrent):
        return ["cell"]
    if isinstance(layer, MultiHeadAttention | GroupQueryAttention):
        return list(_ATTENTION)
    if isinstance(layer, Bidirectional):
        return [f"{way}_layer/{part}" for way in ("forward", "backward") for part in _parts(layer.layer)]
    if isinstance(layer, TimeDistributed):
        return [f"layer/{part}".rstrip("/") for part in _parts(layer.layer)]
    return [""]


def _legacy(group: Group, names: Collection[str]) -> StoredModel:
    """The layers of a legacy file, which has their weights by name in lists of names."""
    model = StoredModel("", "")
    model.in_order = True
    nested = {name.partition("/")[0] for name in names if "/" in name}
    for name in _names(group, "layer_names"):
        within = group.groups.get(name, Group())
        datasets = {path: _at(within, path) for path in _names(within, "weight_names")}
        if name not in nested:
            model.layers.append(Stored(name, name, Group(), list(datasets.values())))
            continue
        parts: dict[str, list[Dataset]] = {}
        for path, dataset in datasets.items():
            parts.setdefault(_owner(name, path, names), []).append(dataset)
        model.layers += [Stored(part, part, Group(), found) for part, found in parts.items()]
    return model


def _owner(model: str, path: str, names: Collection[str]) -> str:
    """The layer in a model in a model that has the weights with a path."""
    full = place = f"{model}/{path.rpartition('/')[0].removeprefix(f'{model}/')}"
    while place not in names and "/" in place:
        place = place.rpartition("/")[0]
    return place if "/" in place else full


def _names(group: Group, key: str) -> list[str]:
    """A list of names, which Keras cuts into several attributes if it is long."""
    found = group.attributes.get(key, [])
    names = [found] if isinstance(found, str) else list(found)
    number = 0
    while (more := group.attributes.get(f"{key}{number}")) is not None:
        names += [more] if isinstance(more, str) else more
        number += 1
    return names


def _at(group: Group, path: str) -> Dataset:
    *folders, last = path.split("/")
    for folder in folders:
        if folder not in group.groups:
            raise ValueError(f"expected the weights {short_repr(path)} that the file lists, got none")
        group = group.groups[folder]
    if last not in group.datasets:
        raise ValueError(f"expected the weights {short_repr(path)} that the file lists, got none")
    return group.datasets[last]
