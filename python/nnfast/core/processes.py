"""Processes that share a machine: workers of a pool start with one thread, because there are many of them.

This concerns `multiprocessing.Pool` and `concurrent.futures.ProcessPoolExecutor`. joblib sets OMP_NUM_THREADS in its
workers, which the core reads.
"""

from __future__ import annotations

import os
import sys

from nnfast import _core

__all__ = ["share_processors"]

_POOLS = ("multiprocessing.pool", "concurrent.futures.process")
_DEFAULT = _core.get_num_threads()
_decided = False


def share_processors() -> None:
    """Use one thread if this process is a worker of a pool and the number of threads has not been set.

    Called before any work. multiprocessing is inspected only if the program uses it: importing it takes as long as
    importing nnfast.
    """
    global _decided
    if _decided:
        return
    module = sys.modules.get("multiprocessing.process")
    process = module.current_process() if module is not None else None
    if getattr(process, "_inheriting", False):
        return  # a spawned process still importing its main module; its target is not known yet
    _decided = True
    said = _core.get_num_threads() != _DEFAULT or any(map(os.environ.get, ("NNFAST_NUM_THREADS", "OMP_NUM_THREADS")))
    if getattr(getattr(process, "_target", None), "__module__", None) in _POOLS and not said:
        _core.set_num_threads(1)


def _after_fork() -> None:
    global _decided
    _decided = False
    # A child process of multiprocessing does not know its target until these functions run.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(share_processors, lambda share: share())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
