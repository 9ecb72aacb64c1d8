"""Check how long the installed package takes to import.

Usage: python check_import.py
"""

import os
import subprocess
import sys

LONGEST_IMPORT = 0.1  # seconds, NumPy's own import counted
RUNS = 20
TIMED_IMPORT = "import time; t = time.perf_counter(); import nnfast; print(time.perf_counter() - t)"


def import_seconds() -> float:
    """The shortest of several runs in new processes: what else the machine does only adds.

    With bytecode, as pip leaves it: a variable that forbids to write it would have an editable install compiled anew
    with every import.
    """
    command = [sys.executable, "-c", TIMED_IMPORT]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run() -> float:
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return float(done.stdout)

    return min(run() for _ in range(RUNS))


def main() -> int:
    seconds = import_seconds()
    print(f"import nnfast: {seconds:.3f} s (at most {LONGEST_IMPORT} s)")
    return int(seconds > LONGEST_IMPORT)


if __name__ == "__main__":
    sys.exit(main())
