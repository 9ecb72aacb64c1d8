"""Check a wheel's size and how long the installed package takes to import.

Usage: python check_wheel.py <wheel>
"""

import subprocess
import sys
from pathlib import Path

LARGEST_WHEEL = 2_000_000  # bytes
LONGEST_IMPORT = 0.1  # seconds, NumPy's own import counted
RUNS = 7
TIMED_IMPORT = "import time; t = time.perf_counter(); import nnfast; print(time.perf_counter() - t)"


def import_seconds() -> float:
    """The shortest of several runs in new processes: what else the machine does only adds."""
    command = [sys.executable, "-c", TIMED_IMPORT]
    return min(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(RUNS))


def main(wheel: Path) -> int:
    size = wheel.stat().st_size
    seconds = import_seconds()
    print(f"{wheel.name}: {size / 1e6:.2f} MB (at most {LARGEST_WHEEL / 1e6:.0f} MB)")
    print(f"import nnfast: {seconds:.3f} s (at most {LONGEST_IMPORT} s)")
    return int(size > LARGEST_WHEEL or seconds > LONGEST_IMPORT)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
