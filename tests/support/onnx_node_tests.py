"""ONNX's own tests of single nodes (`onnx.backend.test`), run by nnfast, and the table of docs/onnx_ops.md.

The tests have no batch. Each is tried as the only row of a batch, and with axis 0 or 1 of its first input as the batch
and the other inputs as constants, like weights. What a node needs as a constant is always one.

`python tests/support/onnx_node_tests.py` prints the table.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from nnfast.core.typing import Array
from nnfast.io.onnx.importing.folding import foldable
from nnfast.io.onnx.importing.graph import Graph
from nnfast.io.onnx.importing.importer import OPERATIONS, GraphImporter
from nnfast.io.onnx.importing.nodes import Const
from nnfast.io.onnx.messages import ModelProto

PAGE = """# Operators of ONNX

What `nf.from_onnx` imports, and how many of ONNX's own tests of single nodes pass, written by
`python tests/support/onnx_node_tests.py > docs/onnx_ops.md` with onnx {version}. {passed} of {total} tests pass.

Left out are {left} tests of what no network has: {reasons}.

| Operator | Passed | Total | |
|---|---|---|---|
"""
_NUMBERS = {
    *(TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BOOL),
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
}
REASONS = {
    "types": "texts, sequences, bfloat16 and numbers of less than 16 bits other than integers of 8",
    "empty": "arrays without elements",
    "infinite": "NaN and infinity as input",
    "training": "training modes of Dropout and BatchNormalization",
}


def declared(model: Any) -> bool:
    """Whether nnfast imports the operator of a model with one node."""
    nodes = model.graph.node
    return len(nodes) == 1 and (
        (nodes[0].domain, nodes[0].op_type) in OPERATIONS or foldable(nodes[0].domain, nodes[0].op_type)
    )


def as_array(value: Any) -> Array:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def reason_to_leave_out(test: Any) -> str | None:
    """Of `REASONS`."""
    infos = [*test.model.graph.input, *test.model.graph.output]
    node = test.model.graph.node[0]
    casts = [attribute.i for attribute in node.attribute if node.op_type == "Cast" and attribute.name == "to"]
    if not all(info.type.tensor_type.elem_type in _NUMBERS for info in infos) or not set(casts) <= _NUMBERS:
        return "types"
    arrays = [[as_array(value) for value in values] for values in test.data_sets[0]]
    if any(array.size == 0 for array in arrays[1]) or (arrays[0] and arrays[0][0].size == 0):
        return "empty"
    if any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in arrays[0][:1]):
        return "infinite"
    if any(a.name == "training_mode" and a.i for a in node.attribute) or test.name.startswith("test_training_dropout"):
        return "training"
    return None


def passes(test: Any) -> str:
    """Empty if a test passes; else what went wrong."""
    for inputs, outputs in test.data_sets:
        wanted = [as_array(value) for value in outputs]
        infos = [info.name for info in test.model.graph.input]
        feeds = dict(zip(infos, map(as_array, inputs), strict=False))
        fault = _tried(test, feeds, wanted)
        if fault:
            return fault
    return ""


def _tried(test: Any, feeds: dict[str, Array], wanted: list[Array]) -> str:
    proto = ModelProto.parse(test.model.SerializeToString())
    double = any(array.dtype == np.float64 for array in wanted)
    unfit = {n: a for n, a in feeds.items() if not a.size or (a.dtype.kind == "f" and not np.isfinite(a).all())}
    first = next((name for name in feeds if name not in unfit), None)
    rest = {name: array for name, array in feeds.items() if name != first}
    faults = []
    for fixed, axis in ((unfit, None), (rest, None), (rest, 0), (rest, 1)):
        try:
            _compare(test, _outputs(proto, feeds, fixed, axis, "float64" if double else "float32"), wanted)
        except (ValueError, TypeError, AssertionError, IndexError) as error:
            faults.append(str(error))
        else:
            return ""
    return " | ".join(faults)


def _compare(test: Any, got: list[Array], wanted: list[Array]) -> None:
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        # Half precision is that of the expected numbers: what they were computed from and they themselves are rounded.
        rtol = test.rtol + (np.finfo(np.float16).eps if b.dtype == np.float16 else 0)
        np.testing.assert_allclose(np.float64(a), np.float64(b), rtol=rtol, atol=max(test.atol, 1e-6))


def _outputs(
    proto: ModelProto, feeds: dict[str, Array], fixed: dict[str, Array], axis: int | None, dtype: str
) -> list[Array]:
    """The outputs, with the inputs in `fixed` known at import, and the batch of the others as an axis or added."""
    known = dict(fixed)
    while True:
        live = {name: array for name, array in feeds.items() if name not in known}
        shapes = {name: array.shape for name, array in live.items()}
        graph = Graph(proto, "test", None, shapes, axis, None, rows=axis is None, fixed=set(known))
        graph.entries = [entry._replace(dtype=None) for entry in graph.entries]  # negative integers, too
        importer = GraphImporter(graph, fixed=known)
        try:
            importer.run()
            break
        except ValueError:
            more = {name: feeds[name] for name in importer.needed if name in live}
            if not more:
                raise
            known |= more
    values = [importer.values[name] for name in graph.outputs]
    if all(isinstance(value, Const) for value in values):
        return [value.array for value in values if isinstance(value, Const)]
    importer = GraphImporter(graph, fixed=known)
    network = importer.network(seed=0, dtype=dtype)
    rows = {}
    for name, tensor in importer.inputs.items():
        if any(layer is tensor for layer in network.layers):
            array = live[name][None] if axis is None else np.moveaxis(live[name], axis, 0)
            rows[name] = array.reshape(len(array), *tensor.shape).astype(dtype)
    y = network.predict(rows if len(rows) > 1 else next(iter(rows.values())))
    results = list(y.values()) if isinstance(y, dict) else [y]
    if axis is None:
        return [result[0] for result in results]
    return [
        np.moveaxis(result, 0, _batch_axis(importer.values[name], axis))
        for result, name in zip(results, graph.outputs, strict=True)
    ]


def _batch_axis(view: Any, axis: int) -> int:
    return axis if view.batch_axis is None else int(view.batch_axis)


def results() -> Iterator[tuple[str, str, str, str | None]]:
    """Operator, test, what went wrong, and why it was left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for test in load_model_tests(kind="node"):
            if declared(test.model):
                reason = reason_to_leave_out(test)
                yield test.model.graph.node[0].op_type, test.name, "" if reason else passes(test), reason


def table() -> str:
    """The page."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    left: dict[str, int] = defaultdict(int)
    faults: dict[str, list[str]] = defaultdict(list)
    for operator, name, fault, reason in results():
        if reason:
            left[reason] += 1
            continue
        counts[operator][0] += not fault
        counts[operator][1] += 1
        if fault:
            faults[operator].append(name.removeprefix("test_"))
    for _, name in OPERATIONS:
        counts[name][1] += 0
    why = "; ".join(f"{REASONS[reason]} ({count})" for reason, count in left.items())
    text = PAGE.format(
        version=onnx.__version__.rpartition(".")[0],
        passed=sum(passed for passed, _ in counts.values()),
        total=sum(total for _, total in counts.values()),
        left=sum(left.values()),
        reasons=why,
    )
    for operator, (passed, total) in sorted(counts.items()):
        text += f"| {operator} | {passed} | {total} | {', '.join(faults[operator])} |\n"
    return text


if __name__ == "__main__":
    print(table(), end="")
