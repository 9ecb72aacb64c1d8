"""How many threads a process takes: the environment, the affinity mask, and the others of its pool."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import nnfast as nf

PRINT = "import nnfast as nf; print(nf.get_num_threads())"


def run(code: str = PRINT, script: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("NNFAST_NUM_THREADS", "OMP_NUM_THREADS")}
    command = [sys.executable, *(("-c", code) if script is None else (str(script),))]
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, timeout=60, check=False)


def threads(code: str = PRINT, script: Path | None = None, **variables: str) -> list[int]:
    done = run(code, script, **variables)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.fixture(scope="module")
def processors() -> int:
    """What a process takes that nothing limits."""
    return threads()[0]


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"NNFAST_NUM_THREADS": "3"}, 3),
        ({"NNFAST_NUM_THREADS": " 5 "}, 5),
        ({"NNFAST_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, 3),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"NNFAST_NUM_THREADS": "", "OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1000"}, None),
        ({"OMP_NUM_THREADS": "many"}, None),
        ({"OMP_NUM_THREADS": "0"}, None),
    ],
)
def test_environment(variables: Mapping[str, str], wanted: int | None, processors: int) -> None:
    assert threads(**variables) == [wanted or processors]


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1025", "99999999999999999999", "2,2", "2 2"])
def test_a_wrong_number_of_threads_stops_the_import(value: str) -> None:
    done = run(NNFAST_NUM_THREADS=value)
    assert done.returncode == 1
    assert f"ImportError: NNFAST_NUM_THREADS: expected a number of threads from 1 to 1024, got '{value}'" in done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_affinity_mask() -> None:
    assert threads(f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {PRINT}") == [1]


def test_the_most_threads() -> None:
    assert threads(NNFAST_NUM_THREADS="1024") == [1024]
    assert threads(f"import nnfast as nf; nf.set_num_threads(1024); {PRINT}") == [1024]


@pytest.mark.parametrize("n", [0, 1025, 2**31, 2**63, 2**64])
def test_numbers_that_cannot_be_set(n: int) -> None:
    with pytest.raises(ValueError, match="set_num_threads: expected n"):
        nf.set_num_threads(n)


POOL = """
import multiprocessing as mp, os, sys
from concurrent.futures import ProcessPoolExecutor
{imports}

def count(_):
    import nnfast
    return nnfast.get_num_threads()

def put(queue):
    queue.put(count(0))

if __name__ == "__main__":
    context = mp.get_context({method!r})
    {before}
    with context.Pool(2) as pool:
        print(pool.map(count, range(1))[0])
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(list(pool.map(count, range(1)))[0])
    queue = context.Queue()
    process = context.Process(target=put, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
    import nnfast
    print(nnfast.get_num_threads())
"""


def pool(
    folder: Path, method: str, imports: str = "import nnfast", before: str = "pass", **variables: str
) -> list[int]:
    """Of a Pool's worker, an executor's, a process of its own, and the parent afterwards."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    script = folder / "pool.py"
    script.write_text(POOL.format(imports=imports, method=method, before=before), encoding="utf-8")
    return threads(script=script, **variables)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("imports", ["import nnfast", ""])
def test_workers_of_pools_take_one_thread(method: str, imports: str, processors: int, tmp_path: Path) -> None:
    assert pool(tmp_path, method, imports) == [1, 1, processors, processors]


def test_workers_of_pools_take_as_many_as_they_are_told(processors: int, tmp_path: Path) -> None:
    assert pool(tmp_path, "spawn", OMP_NUM_THREADS="2") == [min(2, processors)] * 4
    assert pool(tmp_path, "spawn", NNFAST_NUM_THREADS="3") == [3] * 4
    assert pool(tmp_path, "fork", before="nnfast.set_num_threads(5)") == [5] * 4


def test_workers_of_joblib_share_the_processors(processors: int) -> None:
    pytest.importorskip("joblib")
    code = (
        "import joblib, nnfast\n"
        "found = joblib.Parallel(n_jobs=2)(joblib.delayed(nnfast.get_num_threads)() for _ in range(2))\n"
        "print(max(found))"
    )
    assert threads(code)[0] <= max(1, processors // 2)
