"""Processes that share a machine: each worker of a pool starts with one thread, as there are others.

Workers of `multiprocessing.Pool` and `concurrent.futures.ProcessPoolExecutor` are meant. joblib sets OMP_NUM_THREADS
in its own, which the core reads.
"""

from __future__ import annotations

import os
import sys

from nnfast import _core

__all__ = ["share_processors"]

_POOLS = ("multiprocessing.pool", "concurrent.futures.process")
_DEFAULT = _core.get_num_threads()
_settled = False


def share_processors() -> None:
    """Take one thread in this process if it is a worker of a pool and nobody has said how many.

    Called before there is work. multiprocessing is looked at where a program uses it, and never imported: that takes
    as long as nnfast itself.
    """
    global _settled
    if _settled:
        return
    module = sys.modules.get("multiprocessing.process")
    process = module.current_process() if module is not None else None
    if getattr(process, "_inheriting", False):
        return  # a spawned process that still imports its main module: what it is for comes next
    _settled = True
    said = _core.get_num_threads() != _DEFAULT or any(map(os.environ.get, ("NNFAST_NUM_THREADS", "OMP_NUM_THREADS")))
    if getattr(getattr(process, "_target", None), "__module__", None) in _POOLS and not said:
        _core.set_num_threads(1)


def _after_fork() -> None:
    global _settled
    _settled = False
    # A child of multiprocessing knows what it is for only when these functions run.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(share_processors, lambda share: share())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
