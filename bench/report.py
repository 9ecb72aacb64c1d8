"""Tables of nnfast and its peers, interleaved: `python -m bench.report --threads 1 2 --rows matmul steps`.

The contenders of a row run for about 20 ms each, one after the other, 11 times, so that drifting clocks and other
processes affect all of them alike. Times are medians over the rounds; a goal that the ratio of medians misses but the
upper quartile of the rounds' ratios reaches is "within noise". Each number of threads is measured in a separate process
with that many processors. A contender whose results differ from nnfast's is not measured. Arrays passed to libraries in
NumPy's memory, including nnfast and NumPy, are aligned to 64 bytes, like the tensors of PyTorch and JAX.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench import machine

TABLES = {
    "matmul": ("test_matmul", "Matrix products, M x N x K"),
    "steps": ("test_steps", "Training steps"),
    "inference": ("test_inference", "Prediction"),
    "elementwise": ("test_elementwise", "Elementwise, 2.77 million numbers"),
    "updates": ("test_updates", "Updates of 1.05 million parameters"),
    "reduction": ("test_reduction", "Reductions of 4096 rows of 1024 numbers"),
    "tensor": ("test_tensor_ops", "Operations on tensors"),
    "convolution": ("test_convolution", "Convolutions"),
    "pooling": ("test_pooling", "Pooling, batch 128"),
    "normalization": ("test_normalization", "Batch normalization, batch 128"),
    "image-steps": ("test_image_steps", "Training steps of convolutional networks"),
    "image-inference": ("test_image_inference", "Prediction of convolutional networks"),
    "recurrent": ("test_recurrent", "Recurrent networks"),
    "attention": ("test_attention", "Attention, and steps one by one"),
    "augmentation": ("test_augmentation", "Training with augmentation, beside training without"),
    "scaling": ("test_scaling", "nnfast on all threads, beside nnfast on one"),
    "reproducibility": ("test_reproducibility_cost", "What the fixed order of additions costs"),
}
COLUMNS = ["row", "nnfast", "rate", "of machine", "best peer", "ratio", "quartiles", "goal", "reached", "others"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description="Measure nnfast beside its peers.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default 1 2)")
    parser.add_argument("--rows", nargs="+", choices=TABLES, default=list(TABLES), help="tables (default all)")
    parser.add_argument("--only", default="", help="only rows whose name contains this text")
    parser.add_argument("--skip", nargs="+", default=[], metavar="NAME", help='contenders to leave out ("JAX")')
    parser.add_argument("--rounds", type=int, default=11, help="rounds of every contender (default 11)")
    parser.add_argument("--json", type=Path, help="also write all single times to this file")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        options.worker.write_text(json.dumps(measure(options)))
        return
    runs = [run_worker(options, threads) for threads in options.threads]
    print(markdown(runs))
    if options.json:
        options.json.write_text(json.dumps(runs, indent=1))


def run_worker(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Result of `measure` in a separate process."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        command = [sys.executable, "-m", "bench.report", "--worker", str(result), "--threads", str(threads)]
        command += ["--rows", *options.rows, "--only", options.only, "--rounds", str(options.rounds)]
        command += ["--skip", *options.skip] if options.skip else []
        subprocess.run(command, check=True, cwd=Path(__file__).parents[1], stdout=sys.stderr)
        found: dict[str, Any] = json.loads(result.read_text())
        return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the rows with one number of threads. Sets the threads before anything imports NumPy."""
    (threads,) = options.threads
    machine.limit_threads(threads)
    from dataclasses import asdict

    from bench.measure import measure as measure_row

    tables: dict[str, list[dict[str, Any]]] = {}
    for table in options.rows:
        if table == "scaling" and threads == 1:
            continue
        tasks = importlib.import_module(f"bench.{TABLES[table][0]}").TASKS
        tables[table] = []
        for task in tasks:
            if options.only in task.name:
                print(f"{threads} threads, {table}: {task.name}", file=sys.stderr, flush=True)
                tables[table].append(asdict(measure_row(task, options.rounds, options.skip)))
    return {"threads": threads, "machine": machine.describe(), "tables": tables, "peak": machine.fma_peak()}


def markdown(runs: list[dict[str, Any]]) -> str:
    """All tables, beginning with the machine."""
    facts = runs[0]["machine"]
    lines = [
        f"{facts['cpu']}, {facts['isa']}, {os.cpu_count()} processors; Python {facts['python']}; {facts['packages']}"
    ]
    for run in runs:
        products = [row for row in run["tables"].get("matmul", []) if row["rates"]]
        rates = [rate for row in products for rate in row["rates"]] or [run["peak"]]
        lines.append(f"Peak of fused multiply-adds, {plural(run['threads'])}: {statistics.median(rates):.0f} GFLOP/s")
    for run in runs:
        for table, rows in run["tables"].items():
            if rows:
                lines += ["", f"### {TABLES[table][1]}, {plural(run['threads'])}"]
                lines += [f"`python -m bench.report --threads {run['threads']} --rows {table}`", ""]
                lines += as_table([line_of(row) for row in rows])
                lines += notes(rows)
    return "\n".join(lines)


def plural(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def as_table(rows: Iterable[dict[str, str]]) -> list[str]:
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    return lines + [f"| {' | '.join(row[column] for column in COLUMNS)} |" for row in rows]


def line_of(row: dict[str, Any]) -> dict[str, str]:
    """Cells of a row: medians, the ratio of medians (best peer : nnfast) and the quartiles of the rounds' ratios."""
    medians = {name: statistics.median(seconds) for name, seconds in row["seconds"].items()}
    ours = medians.pop("nnfast")
    rate = row["amount"] / ours / 1e9
    percent = 100 * rate / statistics.median(row["rates"])
    peers = [name for name in medians if not name.startswith("nnfast,")]
    cells = dict.fromkeys(COLUMNS, "") | {
        "row": row["task"],
        "nnfast": microseconds(ours),
        "rate": f"{rate:.3g} {row['unit']}",
        "of machine": f"{percent:.0f} %",
        "goal": f"{row['goal']:g}x" + (f", {row['percent']:g} %" if row["percent"] else ""),
    }
    reached = "yes" if percent >= (row["percent"] or 0) else "no"
    if peers:
        best = min(peers, key=medians.__getitem__)
        ratio = medians[best] / ours
        rounds = [b / a for a, b in zip(row["seconds"]["nnfast"], row["seconds"][best], strict=True)]
        low, _, high = statistics.quantiles(rounds, n=4, method="inclusive") if len(rounds) > 1 else rounds * 3
        if reached == "yes" and ratio < row["goal"]:
            reached = "within noise" if high >= row["goal"] else "no"
        cells |= {
            "best peer": f"{microseconds(medians.pop(best))} ({best})",
            "ratio": f"{ratio:.2f}",
            "quartiles": f"{low:.2f} to {high:.2f}",
        }
    cells["reached"] = reached
    cells["others"] = ", ".join(f"{name} {microseconds(value)}" for name, value in medians.items())
    return cells


def microseconds(seconds: float) -> str:
    value = seconds * 1e6
    return f"{value:.0f} us" if value >= 100 else f"{value:.3g} us"


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """Contenders that were left out, with reasons."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        for name, reason in row["left_out"].items():
            reasons.setdefault(f"{name}: {reason}", []).append(row["task"])
    lines = [f"- Left out: {reason} ({'; '.join(tasks)})" for reason, tasks in reasons.items()]
    return ["", *lines] if lines else []


if __name__ == "__main__":
    main()
