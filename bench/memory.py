"""Peak memory of a training step: `python -m bench.memory`. Linux only.

Each contender runs in its own process. It first makes a step of a small network, which loads everything that the
library loads on first use. Then it builds the network, its optimizer and a batch, and makes three steps; the result is
the peak resident memory from there on, minus the resident memory before.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import machine

CONTENDERS = {
    "ResNet-20, batch 128": (
        "nnfast",
        "PyTorch",
        "PyTorch, fused optimizer",
        "PyTorch, channels_last, fused optimizer",
        "PyTorch, compiled, fused optimizer",
        "PyTorch, compiled, channels_last, fused optimizer",
    ),
    "2 LSTM of 128, 50 steps, batch 50": ("nnfast", "PyTorch", "PyTorch, fused optimizer"),
}
"""By network."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description="Largest memory of a training step.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default 1 2)")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not Path("/proc/self/clear_refs").exists():
        sys.exit("bench.memory: expected Linux, which keeps the largest resident memory in /proc")
    if options.worker:
        print(json.dumps(measure(*options.worker, options.threads[0])))
        return
    for network in CONTENDERS:
        print(f"| {network} | threads | MB beyond what was there before | before |", "|---|---|---|---|", sep="\n")
        for threads in options.threads:
            for name in CONTENDERS[network]:
                found = run_worker(network, name, threads)
                peak, before = found["peak"] / 1024, found["before"] / 1024
                print(f"| {name} | {threads} | {peak:.1f} | {before:.0f} MB |", flush=True)


def run_worker(network: str, name: str, threads: int) -> dict[str, int]:
    """Result of `measure` in a separate process."""
    command = [sys.executable, "-m", "bench.memory", "--worker", network, name, "--threads", str(threads)]
    done = subprocess.run(command, check=True, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(network: str, name: str, threads: int) -> dict[str, int]:
    """KiB of resident memory before, and the maximum increase."""
    machine.limit_threads(threads)
    from bench import images, peers, sequences
    from bench.workloads import Task

    def take_steps(task: Task, steps: int) -> None:
        contender = peers.make(task, name)
        assert contender is not None
        contender.prepare()
        for _ in range(steps):
            contender.call()
        contender.finish()

    small: Task = images.ImageStep(workload=replace(images.LENET, batch=1))
    large: Task = images.ImageStep(workload=images.RESNET)
    if "LSTM" in network:
        small = sequences.RecurrentStep(workload=sequences.time_series("LSTM"))
        large = sequences.RecurrentStep(workload=sequences.characters("LSTM"))
    take_steps(small, 1)
    give_back()
    Path("/proc/self/clear_refs").write_text("5")  # the largest resident memory is now that of this moment
    before = largest_resident()
    take_steps(large, 3)
    return {"before": before, "peak": largest_resident() - before}


def give_back() -> None:
    """Return memory cached by the C library, which would hide later allocations."""
    gc.collect()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def largest_resident() -> int:
    """KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
