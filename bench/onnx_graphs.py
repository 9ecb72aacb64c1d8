"""The nine ImageNet graphs that come with onnx, beside ONNX Runtime: `python -m bench.onnx_graphs --threads 1 2`.

Images (batch, 3, 224, 224) go in as the files want them, so nnfast's times include a transposition. The files are for a
batch of 1; for others, ONNX Runtime gets the same graph with an open batch, where its reshapes allow that. Both run for
about `--seconds` each, one after the other, in `--rounds` rounds, after two rounds that do not count; times are medians
over the rounds. Each number of threads is measured in a separate process with that many processors.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.onnx_graphs", description="nnfast beside ONNX Runtime.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each contender in a round")
    parser.add_argument("--only", default="", help="only graphs whose name contains this text")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        measure(options)
        return
    print(
        "| Graph | Threads | Batch | nnfast, ms | ONNX Runtime, ms | Ratio | Quartiles |\n|---|---|---|---|---|---|---|"
    )
    sys.stdout.flush()
    for threads in options.threads:
        environment = os.environ | {"NNFAST_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        rest = sys.argv[1:] if arguments is None else list(arguments)
        subprocess.run(
            [sys.executable, "-m", "bench.onnx_graphs", *rest, "--worker", str(threads)], env=environment, check=True
        )


def measure(options: Any) -> None:
    """The rows of one number of threads."""
    import onnx

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.worker])
    for path in sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx")):
        if options.only in path.name:
            for batch in options.batches:
                row(path, batch, options)


def row(path: Path, batch: int, options: Any) -> None:
    """One line of the table."""
    x = np.random.default_rng(0).standard_normal((batch, 3, 224, 224), np.float32)
    own, other = of_nnfast(path, x), of_onnx_runtime(path, x, options.worker)
    np.testing.assert_allclose(own(), other(), rtol=1e-3, atol=1e-5)
    times: list[tuple[float, float]] = []
    for _ in range(options.rounds + 2):
        times.append((once(own, options.seconds), once(other, options.seconds)))
    times = times[2:]
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    low, _, high = statistics.quantiles([b / a for a, b in times], n=4)
    name = path.stem.removeprefix("light_")
    cells = [name, str(options.worker), str(batch), f"{ours * 1e3:.1f}", f"{theirs * 1e3:.1f}"]
    print(f"| {' | '.join(cells)} | {theirs / ours:.2f} | {low:.2f} to {high:.2f} |", flush=True)


def once(function: Callable[[], Any], seconds: float) -> float:
    """Seconds of a call, the mean over some time."""
    calls, start = 0, time.perf_counter()
    while True:
        function()
        calls += 1
        passed = time.perf_counter() - start
        if passed >= seconds:
            return passed / calls


def of_nnfast(path: Path, x: Any) -> Callable[[], Any]:
    """A prediction."""
    import nnfast as nf

    network = nf.from_onnx(path)
    return lambda: network.predict(x)


def of_onnx_runtime(path: Path, x: Any, threads: int) -> Callable[[], Any]:
    """A run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(with_open_batch(path), options, providers=["CPUExecutionProvider"])
    name = next(entry.name for entry in session.get_inputs() if len(entry.shape) == 4)
    return lambda: session.run(None, {name: x})[0]


def with_open_batch(path: Path) -> bytes:
    """The graph for any batch: sizes of inputs and outputs, and the first size of 1 that reshapes give."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    reshapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in reshapes:
            shape = numpy_helper.to_array(tensor).copy()
            if shape[0] == 1:  # those of weights begin otherwise
                shape[0] = 0  # as it is
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))
    known = {tensor.name for tensor in model.graph.initializer}
    del model.graph.value_info[:]
    for value in (*(value for value in model.graph.input if value.name not in known), *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    data: bytes = model.SerializeToString()
    return data


if __name__ == "__main__":
    main()
