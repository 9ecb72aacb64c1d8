"""What nnfast runs on: the machine, the instruction set in use, the threads."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from nnfast import _core
from nnfast.core.options import integer
from nnfast.core.processes import share_processors

_MAX_THREADS = 1024

__all__ = ["get_num_threads", "set_num_threads", "show_config"]


def get_num_threads() -> int:
    """Number of threads that a run may use.

    Notes
    -----
    At the start it is the environment variable NNFAST_NUM_THREADS, from 1 to 1024; without that, the number of
    processors that the process's affinity mask and its control group's quota allow, and at most OMP_NUM_THREADS where
    that is set, as joblib does in its workers. A worker of `multiprocessing.Pool` or of
    `concurrent.futures.ProcessPoolExecutor` starts with 1 unless one of these variables or `set_num_threads` says
    otherwise.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.get_num_threads() >= 1
    True
    """
    share_processors()
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Set the number of threads that a run may use, for the whole process.

    Parameters
    ----------
    n : int
        From 1 to 1024. Results have the same bits for any number.

    Raises
    ------
    ValueError
        For any other number.
    TypeError
        If `n` is not an integer.

    Examples
    --------
    >>> import nnfast as nf
    >>> before = nf.get_num_threads()
    >>> nf.set_num_threads(1)
    >>> nf.get_num_threads()
    1
    >>> nf.set_num_threads(before)
    """
    _core.set_num_threads(integer("set_num_threads", "n", n, upper_bound=_MAX_THREADS + 1))


def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, Any] | None:
    """Show version, processor, instruction set and threads; for bug reports.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, default "stdout"
        Print the facts, or return them as a dict.

    Returns
    -------
    dict or None
        A dict for "dicts".

    Raises
    ------
    ValueError
        For another mode.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.show_config("dicts")["threads"] == nf.get_num_threads()
    True
    """
    import platform

    facts = {
        "nnfast": _core.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": platform.platform(),
        "compiler": _core.compiler(),
        "cpu": _core.cpu_name(),
        "cpu features": " ".join(_core.cpu_features()),
        "instruction set": _core.isa_name(),
        "available": " ".join(_core.available_isas()),
        "threads": get_num_threads(),
    }
    if mode == "dicts":
        return facts
    if mode != "stdout":
        raise ValueError(f'show_config: expected mode "stdout" or "dicts", got {mode!r}')
    print("\n".join(f"{name:<16} {value}" for name, value in facts.items()))
    return None
