"""The machine: the processors that a process may use, and the rates that bound every result."""

import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

_PACKAGES = ("nnfast", "numpy", "torch", "jax", "onnxruntime", "scikit-learn")
_COPY_BYTES = 2 * 11_075_584
"""Read and written by a copy of as many numbers as the elementwise rows have."""

_threads = 1


def threads() -> int:
    """Number of threads used by every contender in this process."""
    return _threads


def limit_threads(count: int) -> None:
    """Restrict this process to `count` processors and tell every library. Call it before NumPy is imported."""
    global _threads
    if "numpy" in sys.modules:
        raise RuntimeError("expected to limit the threads before NumPy is imported: it reads its setting only then")
    if hasattr(os, "sched_setaffinity"):
        processors = _one_per_core()
        if count > len(processors):
            raise ValueError(f"expected at most {len(processors)} threads, the processors there are, got {count}")
        os.sched_setaffinity(0, processors[:count])
    # The last one is XLA's, which otherwise counts the processors of the machine.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"):
        os.environ[name] = str(count)
    os.environ["JAX_PLATFORMS"] = "cpu"
    _threads = count


def _one_per_core() -> list[int]:
    """The processors of this process; those that share a core with an earlier one come last."""

    def rank(processor: int) -> tuple[int, int]:
        siblings = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        first = siblings.read_text().replace("-", ",").split(",")[0] if siblings.exists() else processor
        return int(int(first) != processor), processor

    return sorted(os.sched_getaffinity(0), key=rank)


def fma_peak() -> float:
    """GFLOP/s in float32 of independent fused multiply-adds, on all threads of this process at once."""
    from nnfast import _core

    return _on_all_threads(lambda: _core.peak_gflops("float32", 0.01))


def copy_rate() -> float:
    """GB/s, read plus written, of a plain copy on all threads of this process at once."""
    import numpy as np

    source = np.ones(_COPY_BYTES // 8 // _threads, np.float32)

    def copy() -> float:
        target = np.ones_like(source)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            np.copyto(target, source)
            times.append(time.perf_counter() - start)
        return 2 * source.nbytes / min(times) / 1e9

    return _on_all_threads(copy)


def _on_all_threads(measure: Callable[[], float]) -> float:
    """Sum of the results of `measure`, which releases the GIL, over all threads."""
    rates: list[float] = []
    others = [threading.Thread(target=lambda: rates.append(measure())) for _ in range(_threads - 1)]
    for other in others:
        other.start()
    rates.append(measure())
    for other in others:
        other.join()
    return sum(rates)


def describe() -> dict[str, str]:
    """Processor, instruction set in use and versions."""
    from nnfast import _core

    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cpu": _core.cpu_name(),
        "isa": _core.isa_name(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
