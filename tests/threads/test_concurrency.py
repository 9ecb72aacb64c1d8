"""Threads and processes: forks, several Python threads at once, changes of the thread count, leaving."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from kernel_cases import Array

from nnfast import _core, kernels

pytestmark = pytest.mark.usefixtures("threads")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# Python warns of any fork with threads alive; that nnfast survives it is what is tested.
expect_fork_warning = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

PATIENCE = 60  # seconds until a child counts as hung


def _product(seed: int) -> Array:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, 300, 300), dtype=np.float32)
    return kernels.matmul(a, b)


def exit_code_of_child(work: Callable[[], bool]) -> int:
    """Fork, let the child do the work, and return 0 if it said True; a hung child is killed."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


@needs_fork
@expect_fork_warning
def test_a_forked_child_computes_and_leaves() -> None:
    _core.set_num_threads(4)
    expected = _product(1)
    assert exit_code_of_child(lambda: np.array_equal(_product(1), expected)) == 0
    np.testing.assert_array_equal(_product(1), expected)


@needs_fork
@expect_fork_warning
def test_a_fork_of_a_fork_and_another_thread_count() -> None:
    _core.set_num_threads(2)
    expected = _product(2)

    def child() -> bool:
        _core.set_num_threads(3)
        return np.array_equal(_product(2), expected) and exit_code_of_child(grandchild) == 0

    def grandchild() -> bool:
        return _core.get_num_threads() == 3 and np.array_equal(_product(2), expected)

    assert exit_code_of_child(child) == 0


@needs_fork
@expect_fork_warning
def test_a_fork_while_another_thread_computes() -> None:
    _core.set_num_threads(2)
    expected = _product(3)
    stop = threading.Event()

    def keep_computing() -> None:
        while not stop.is_set():
            _product(4)

    thread = threading.Thread(target=keep_computing)
    thread.start()
    try:
        for _ in range(10):
            assert exit_code_of_child(lambda: np.array_equal(_product(3), expected)) == 0
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("n", [1, 2, 4])
def test_python_threads_do_not_disturb_each_other(n: int) -> None:
    _core.set_num_threads(n)
    expected = [_product(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for got, truth in zip(pool.map(_product, range(8)), expected, strict=True):
                np.testing.assert_array_equal(got, truth)


def test_the_thread_count_may_change_while_others_compute() -> None:
    expected = _product(5)
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(_product, 5) for _ in range(40)]
        for n in (1, 2, 3, 8, 1, 4, 2):
            _core.set_num_threads(n)
        for result in results:
            np.testing.assert_array_equal(result.result(), expected)


def test_thread_counts() -> None:
    for n in (1, 3, 8):
        _core.set_num_threads(n)
        assert _core.get_num_threads() == n
    for bad in (0, -1):
        with pytest.raises(ValueError, match="threads"):
            _core.set_num_threads(bad)
    assert _core.get_num_threads() == 8


@pytest.mark.parametrize(
    "ending",
    [
        "",  # leave with idle workers
        "threading.Thread(target=forever, daemon=True).start(); time.sleep(0.05)",  # leave amid the work of others
        "sys.exit(0)",
    ],
)
def test_python_leaves_cleanly(ending: str) -> None:
    code = (
        "import sys, threading, time, numpy as np\n"
        "from nnfast import _core, kernels\n"
        "_core.set_num_threads(3)\n"
        "a = np.ones((300, 300), np.float32)\n"
        "def forever():\n"
        "    while True: kernels.matmul(a, a)\n"
        "kernels.matmul(a, a)\n" + ending
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_object_that_predicts_as_it_is_freed_at_the_end() -> None:
    """It is freed with half of Python gone; a call that gives up the interpreter's lock must come back."""
    code = """
import os
import numpy as np
import nnfast as nf
from nnfast import layers
nf.set_num_threads(2)
class Last:
    def __init__(self):
        self.net = nf.Network([layers.Input((300,)), layers.Dense(300)], seed=0)
        self.x, self.write = np.ones((300, 300), np.float32), os.write
        self.net.predict(self.x)
    def __del__(self):
        self.net.predict(self.x)
        self.write(1, b"freed")
last = Last()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "freed", "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's limit of a process's memory")
def test_where_no_thread_can_be_made_the_caller_works_alone() -> None:
    """The limit leaves less memory than a thread's stack takes."""
    code = """
import os, resource, threading
import numpy as np
import nnfast as nf
from nnfast import layers
x = np.ones((300, 300), np.float32)
nf.set_num_threads(1)
net = nf.Network([layers.Input((300,)), layers.Dense(300, kernel_initializer="ones")])
wanted = net.predict(x)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (1 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    threading.Thread(target=print).start()
    raise SystemExit("the limit has no effect")
except RuntimeError:
    pass
nf.set_num_threads(4)
assert (net.predict(x) == wanted).all()
assert len(os.listdir("/proc/self/task")) == 1
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("other", ["onnxruntime", "torch"])
def test_other_libraries_load_beside_the_core(other: str) -> None:
    """Two C++ runtimes in one process must not take each other's locale and stream objects."""
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    code = (
        "import numpy as np\n"
        "from nnfast import _core, kernels\n"
        "_core.get_num_threads()\n"
        "a = np.ones((64, 64), np.float32)\n"
        "kernels.matmul(a, a)\n"
        f"import {other}\n"
        "assert (kernels.matmul(a, a) == 64).all()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
