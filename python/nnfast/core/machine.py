"""The machine: processor, instruction set and threads."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from nnfast import _core
from nnfast.core.options import integer
from nnfast.core.processes import share_processors

_MAX_THREADS = 1024

__all__ = ["get_num_threads", "set_num_threads", "show_config"]


def get_num_threads() -> int:
    """Maximum number of threads.

    It is initialized from the environment variable NNFAST_NUM_THREADS (1 to 1024), or else to the number of processors
    in the affinity mask and the cgroup quota of the process, but at most OMP_NUM_THREADS if that is set (as joblib does
    in its workers). Workers of `multiprocessing.Pool` and `concurrent.futures.ProcessPoolExecutor` start with 1 unless
    one of these variables is set or `set_num_threads` is called.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.get_num_threads() >= 1
    True
    """
    share_processors()
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Set the maximum number of threads of the process. Results do not depend on it.

    Parameters
    ----------
    n : int
        From 1 to 1024.

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
    """Show version, processor, instruction set and threads, for bug reports.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, default "stdout"
        Whether to print the information or to return it as a dict.

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
