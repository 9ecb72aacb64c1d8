"""`nnfast.io.load_keras_weights`: which layer of a file belongs to which layer of a network."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.arrays import require_finite
from nnfast.core.options import flag
from nnfast.core.text import short_repr, shorten
from nnfast.core.typing import Array, Shape
from nnfast.io.hdf5 import Dataset
from nnfast.io.keras.archive import opened
from nnfast.io.keras.stored import Stored, StoredModel, kind_of, read_stored
from nnfast.layers import Layer, MultiHeadAttention, Normalization

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["checked_datasets", "load_keras_weights", "numbers_of"]


def load_keras_weights(
    network: Network,
    path: str | os.PathLike[str],
    *,
    names: Mapping[str, str] | None = None,
    skip_mismatch: bool = False,
) -> list[str]:
    """Read the weights of a Keras model into a network.

    Parameters
    ----------
    network : Network
    path : str or path-like
        A file of `Model.save_weights` (".weights.h5") or `Model.save` (".keras", or legacy ".h5").
    names : dict of str to str, optional
        For layers of the network, the names of those in the file. The others are found by name, where all layers of a
        class have the names of those in the file, or else by their order among the layers of their class. A layer in a
        model in a model is called "<model>/<layer>" on both sides.
    skip_mismatch : bool, default False
        Whether to leave layers as they are whose weights are not in the file or have another shape, instead of raising
        an error.

    Returns
    -------
    list of str
        The names of the parameters that were read.

    Raises
    ------
    ValueError
        If the file is damaged, or layers remain on either side. The network is unchanged then.

    Notes
    -----
    No HDF5 library is needed, and files from untrusted sources are safe to read: nothing in them is run.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(8, "relu"), nf.layers.Dense(3)])
    >>> nf.io.load_keras_weights(net, "model.weights.h5")  # doctest: +SKIP
    ['dense.kernel', 'dense.bias', 'dense_1.kernel', 'dense_1.bias']
    """
    skips = flag("load_keras_weights", "skip_mismatch", skip_mismatch)
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"load_keras_weights: expected names as a dict, got {short_repr(names)}")
    layers = _layers_with_weights(network)
    with opened(path) as file:
        stored = read_stored(file.root, layers)
        values: dict[str, Array] = {}
        for layer, found in _matched(layers, stored, names or {}, skips):
            try:
                datasets = checked_datasets(layer, found.datasets(layer), _shapes(network, layer))
            except ValueError:
                if not skips:
                    raise
                continue
            values |= {name: numbers_of(name, *item, network.dtype) for name, item in datasets.items()}
    network.set_state({**network.parameters, **values}, network.frozen)
    return [name for name in network.parameters if name in values]


def checked_datasets(
    layer: Layer, datasets: list[Dataset], shapes: Mapping[str, Shape]
) -> dict[str, tuple[Dataset, Shape]]:
    """The numbers of the parameters of a layer by full name, after comparing their shapes, with the shapes they get."""
    if isinstance(layer, Normalization):
        datasets = datasets[:2]  # the third is how many rows it has seen
    if len(datasets) != len(shapes):
        raise ValueError(
            f"{layer.place}: expected numbers for {', '.join(shapes)}, got {len(datasets)} arrays of shapes "
            f"{shorten(str([dataset.shape for dataset in datasets]), 300)}"
        )
    found = {}
    for (name, shape), dataset in zip(shapes.items(), datasets, strict=True):
        joins_heads = isinstance(layer, MultiHeadAttention) and _joined(dataset.shape, shape)
        # Statistics of a single number are () here or there.
        sizes = (math.prod(shape), math.prod(dataset.shape))
        is_scalar = isinstance(layer, Normalization) and sizes == (1, 1)
        if dataset.shape != tuple(shape) and not joins_heads and not is_scalar:
            raise ValueError(f"{name}: expected an array of shape {tuple(shape)}, got {dataset.shape}")
        found[name] = dataset, tuple(shape)
    return found


def numbers_of(name: str, dataset: Dataset, shape: Shape, dtype: str) -> Array:
    """The numbers of a parameter, which must be finite."""
    with np.errstate(over="ignore"):
        values = dataset.read().astype(dtype).reshape(shape)
    require_finite(values, name)
    return values


def _joined(shape: Shape, joined: Shape) -> bool:
    """Whether a shape becomes another one if two neighbouring axes, heads and their sizes, are joined."""
    return any((*shape[:i], shape[i] * shape[i + 1], *shape[i + 2 :]) == tuple(joined) for i in range(len(shape) - 1))


def _layers_with_weights(network: Network) -> dict[str, Layer]:
    """The layers that have parameters, other than constants, by name."""
    owners = dict.fromkeys(name.partition(".")[0] for name in network.parameters if not name.endswith(".value"))
    return {name: network.architecture.by_name[name] for name in owners}


def _shapes(network: Network, layer: Layer) -> dict[str, Shape]:
    start = f"{layer.place}."
    return {name: view.shape for name, view in network.parameters.items() if name.startswith(start)}


def _matched(
    layers: Mapping[str, Layer], model: StoredModel, names: Mapping[str, str], skips: bool
) -> list[tuple[Layer, Stored]]:
    """Each layer of the network with the one in the file."""
    entries = list(model.flat())
    by_name = {name: stored for name, stored, _ in entries}
    left, rest = dict(layers), dict(by_name)
    pairs = []

    def pair(name: str, other: str) -> None:
        if name not in left or other not in rest:
            side, known = ("network", left) if name not in left else ("file", rest)
            raise ValueError(
                f"names: expected a layer of the {side} with weights, each once, got "
                f"{(name if name not in left else other)!r}; it has {_listed(known)}"
            )
        pairs.append((left.pop(name), rest.pop(other)))

    for name, other in names.items():
        pair(name, other)
    if set(left) == set(rest) or (skips and set(left) & set(rest)):
        for name in [name for name in left if name in rest]:
            pair(name, name)
        left, rest = ({}, {}) if skips else (left, rest)
    groups: dict[str, tuple[list[str], list[str], set[int]]] = {}
    for name, layer in left.items():
        groups.setdefault("" if model.in_order else kind_of(layer), ([], [], set()))[0].append(name)
    for name, stored, owner in entries:
        if name in rest:
            group = groups.setdefault("" if model.in_order else stored.kind, ([], [], set()))
            group[1].append(name)
            group[2].add(id(owner))
    for ours, theirs, owners in groups.values():
        if len(ours) != len(theirs) or len(owners) > 1:
            continue
        same = set(ours) == set(theirs)
        for name, other in zip(ours, ours if same else theirs, strict=True):
            pair(name, other)
    if (left or rest) and not skips:
        raise ValueError(
            "expected the layers of the network and of the file to correspond, by name or by their order among those "
            f"of their class; unmatched layers of the network: {_listed(left)}; of the file: {_listed(rest)}; pass "
            "names={<layer of the network>: <layer of the file>}, or skip_mismatch=True to leave them as they are"
        )
    return pairs


def _listed(names: Iterable[Any]) -> str:
    return shorten(", ".join(map(str, names)), 500) or "none"
