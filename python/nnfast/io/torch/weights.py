"""`nnfast.io.load_torch_weights`: which module of a `state_dict` belongs to which layer of a network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.arrays import require_finite
from nnfast.core.options import flag
from nnfast.core.text import short_repr, shorten
from nnfast.core.typing import Array, Shape
from nnfast.io.torch.conversion import Form, Part, parts_of
from nnfast.io.torch.flattening import flattened_shapes
from nnfast.io.torch.state import Module, modules_of, read_state

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["load_torch_weights"]

Signature = frozenset[tuple[str, Shape]]


def load_torch_weights(
    network: Network,
    source: str | os.PathLike[str] | Mapping[str, Any] | Any,
    *,
    names: Mapping[str, str] | None = None,
    channels_first: bool = True,
    strict: bool = True,
) -> list[str]:
    """Copy the weights of a PyTorch model to a network of the same architecture.

    Parameters
    ----------
    network : Network
    source : str or path-like, dict, or torch.nn.Module
        A safetensors file with the `state_dict` of the model, the `state_dict` itself, or the model.
    names : dict of str to str, optional
        For layers of the network, the names of the modules, such as ``{"dense": "head.fc"}``. A part of a composed
        layer is "<layer>.<part>", a layer of a module with `num_layers` "<module>.l0". The others are found by name,
        if all layers have the names of the modules (with "/" for "."), or else by the names and shapes of the tensors:
        those that are equal in both correspond in order.
    channels_first : bool, default True
        Whether the model has images (N, C, H, W), and sequences in convolutions (N, C, T). The weights of the layer
        after a `Flatten` are put into the order of nnfast then. False for the modules of `to_torch`.
    strict : bool, default True
        Whether layers and modules that remain are an error.

    Returns
    -------
    list of str
        The names of the parameters that were written.

    Raises
    ------
    ValueError
        If the file is damaged, layers or modules remain, or the order of modules with equal shapes is not known, as in
        a file, which keeps no order, unless their names differ by numbers alone. The network is unchanged then.

    Notes
    -----
    Kernels are transposed, gates of LSTM and GRU reordered and their two biases added where there is one here, and
    the joint projections of an attention are split. Options are not part of a `state_dict`: the network must have
    those of the model, such as ``epsilon=1e-5`` of normalizations, ``momentum=0.9`` of `BatchNormalization`, or
    `reset_after` of `GRU`, which is the default.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> net = nf.Network([nf.layers.Input((3,)), nf.layers.Dense(2)], seed=0)
    >>> state = {"fc.weight": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), "fc.bias": np.array([7.0, 8.0])}
    >>> nf.io.load_torch_weights(net, state)
    ['dense.kernel', 'dense.bias']
    >>> net.predict([[1.0, 0.0, 0.0]])
    array([[ 8., 12.]], dtype=float32)
    """
    is_first, is_strict = (
        flag("load_torch_weights", option, value)
        for option, value in (("channels_first", channels_first), ("strict", strict))
    )
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"load_torch_weights: expected names as a dict, got {short_repr(names)}")
    state, in_order = read_state(source)
    flattened = flattened_shapes(network.architecture) if is_first else {}
    parts = {part.name: part for part in parts_of(network, flattened)}
    modules = modules_of(state)
    values: dict[str, Array] = {}
    for name, other in _matched(parts, modules, dict(names or {}), in_order, is_strict).items():
        form = _fitting(parts[name], modules[other])
        if form is None:
            raise ValueError(_mismatch(parts[name], other, modules[other]))
        for parameter, value in form.convert(modules[other]).items():
            full = f"{name}.{parameter}"
            with np.errstate(over="ignore"):
                values[full] = value.astype(network.dtype)
            require_finite(values[full], full)
    network.set_state({**network.parameters, **values}, network.frozen)
    return [name for name in network.parameters if name in values]


def _fitting(part: Part, module: Module) -> Form | None:
    found = _signature(module)
    return next((form for form in part.forms if frozenset(form.shapes.items()) == found), None)


def _signature(module: Module) -> Signature:
    return frozenset((name, array.shape) for name, array in module.items())


def _mismatch(part: Part, name: str, module: Module) -> str:
    shapes = {key: array.shape for key, array in module.items()}
    return (
        f"{part.name}: expected tensors {shorten(str(part.forms[-1].shapes), 300)}, got {shorten(str(shapes), 300)} "
        f"of {name!r}"
    )


def _matched(
    parts: Mapping[str, Part], modules: Mapping[str, Module], names: Mapping[str, str], in_order: bool, strict: bool
) -> dict[str, str]:
    """The module of each part."""
    pairs: dict[str, str] = {}
    left, rest = list(parts), list(modules)
    for name, other in names.items():
        if name not in left or other not in rest:
            side, wrong, known = ("network", name, left) if name not in left else ("state_dict", other, rest)
            raise ValueError(f"names: expected a part of the {side}, each once, got {wrong!r}; it has {_listed(known)}")
        pairs[name] = other
        left.remove(name)
        rest.remove(other)
    alike = {module.replace(".", "/"): module for module in rest}
    if {name.replace(".", "/") for name in left} == set(alike):
        return pairs | {name: alike[name.replace(".", "/")] for name in left}
    for ours, theirs in _groups(parts, modules, left, rest):
        if len(ours) != len(theirs):
            continue
        if len(ours) > 1 and not in_order and not _order_is_known(theirs, modules):
            raise ValueError(
                f"expected modules of different shapes, or in order, got {_listed(theirs)} for {_listed(ours)} from a "
                "file, which has no order; pass names=, or the state_dict itself"
            )
        pairs |= dict(zip(ours, theirs, strict=True))
    needed = [name for name in left if all(form.shapes for form in parts[name].forms)]
    unmatched = [name for name in needed if name not in pairs], [name for name in rest if name not in pairs.values()]
    if strict and any(unmatched):
        raise ValueError(
            "expected the layers of the network and the modules of the state_dict to correspond in the shapes of their "
            f"tensors; unmatched layers: {_described(parts, unmatched[0])}; unmatched modules: "
            f"{_of_modules(modules, unmatched[1])}; pass names={{<layer>: <module>}}, or strict=False to leave them out"
        )
    return pairs


def _groups(
    parts: Mapping[str, Part], modules: Mapping[str, Module], left: list[str], rest: list[str]
) -> Iterable[tuple[list[str], list[str]]]:
    """Parts and modules with the same tensors, in order."""
    by_signature: dict[Signature, list[str]] = {}
    for name in rest:
        by_signature.setdefault(_signature(modules[name]), []).append(name)
    ours: dict[Signature, list[str]] = {}
    for name in left:
        for form in parts[name].forms:
            signature = frozenset(form.shapes.items())
            if signature in by_signature:
                ours.setdefault(signature, []).append(name)
                break
    return [(found, by_signature[signature]) for signature, found in ours.items()]


def _order_is_known(names: list[str], modules: Mapping[str, Module]) -> bool:
    """Whether names differ by numbers alone, or the order does not matter, as that of tied embeddings."""
    if len({re.sub(r"\d+", "#", name) for name in names}) == 1:
        return True
    first, *others = (modules[name] for name in names)
    return all(np.array_equal(first[key], other[key]) for other in others for key in first)


def _described(parts: Mapping[str, Part], names: list[str]) -> str:
    return _listed(f"{name} {parts[name].forms[-1].shapes}" for name in names)


def _of_modules(modules: Mapping[str, Module], names: list[str]) -> str:
    return _listed(f"{name} { {key: array.shape for key, array in modules[name].items()} }" for name in names)


def _listed(names: Iterable[Any]) -> str:
    return shorten(", ".join(map(str, names)), 800) or "none"
