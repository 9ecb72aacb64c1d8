"""Check how long the installed package takes to import.

Usage: python check_import.py
"""

import os
import statistics
import subprocess
import sys

LONGEST_IMPORT = 0.1  # seconds, NumPy's own import counted
LARGEST_RATIO = 1.4  # to NumPy's own import, which alone takes 0.1 s on a slow or busy machine
RUNS = 20


def seconds_to_import(module: str) -> float:
    """The time of one import in a new process.

    With bytecode, as pip leaves it: a variable that forbids to write it would have an editable install compiled anew
    with every import.
    """
    timed_import = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", timed_import]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def main() -> int:
    # In turns, so that a slow spell meets both.
    runs = [(seconds_to_import("nnfast"), seconds_to_import("numpy")) for _ in range(RUNS)]
    shortest = min(nnfast for nnfast, _ in runs)
    ratio = statistics.median(nnfast / numpy for nnfast, numpy in runs)
    print(
        f"import nnfast: {shortest:.3f} s (at most {LONGEST_IMPORT} s), {ratio:.2f} times NumPy's own "
        f"(which is enough up to {LARGEST_RATIO})"
    )
    return int(shortest > LONGEST_IMPORT and ratio > LARGEST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
