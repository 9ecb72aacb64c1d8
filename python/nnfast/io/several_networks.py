"""Files with several networks: `Ensemble.save` and `Ensemble.load`. As safe to load as those of one network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from nnfast.core.text import short_repr
from nnfast.io.custom_objects import names_to_keep
from nnfast.io.network_file import checked_objects, content_of, describe, network_in, reading, write
from nnfast.network import Network

__all__ = ["load_networks", "save_networks"]

_NETWORKS = "networks"


def save_networks(networks: Sequence[Network], facts: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write networks, and facts about all of them as JSON values, to one file; tensor "2/dense.kernel" is of the third.

    Parameters
    ----------
    networks : sequence of Network
    facts : dict
    path : str or path-like
    """
    names = names_to_keep([layer for network in networks for layer in network.layers])
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(network.parameters.reading("save"))
        tensors = {f"{i}/{name}": view for i, net in enumerate(networks) for name, view in net.parameters.items()}
        described = [describe(network, names) for network in networks]
        content = content_of(tensors, {_NETWORKS: described, "ensemble": dict(facts)})
    write(path, content)


def load_networks(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None
) -> tuple[list[Network], dict[str, Any]]:
    """The networks and facts in a file of `save_networks`.

    Parameters
    ----------
    path : str or path-like
    custom_objects : dict, optional
        User-defined classes by name.
    """
    own = checked_objects(custom_objects)
    with reading(path) as file:
        described, facts = file.description.get(_NETWORKS), file.description.get("ensemble")
        if "network" in file.description and described is None:
            raise ValueError("expected several networks, got one; read it with Network.load")
        if not isinstance(described, list) or not described or not all(isinstance(one, dict) for one in described):
            raise ValueError(f"expected descriptions of networks, got {short_repr(described)}")
        if not isinstance(facts, dict):
            raise ValueError(f"expected facts about the ensemble, got {short_repr(facts)}")
        by_network: list[dict[str, str]] = [{} for _ in described]
        for name in file.tensors.tensors:
            number, _, parameter = name.partition("/")
            if not (number.isascii() and number.isdecimal() and str(int(number)) == number):
                raise ValueError(f"expected tensors of networks by number, such as '0/dense.kernel', got {name!r}")
            if int(number) >= len(described):
                raise ValueError(f"expected tensors of {len(described)} networks, got {name!r}")
            by_network[int(number)][parameter] = name
        return [network_in(file, one, names, own) for one, names in zip(described, by_network, strict=True)], facts
