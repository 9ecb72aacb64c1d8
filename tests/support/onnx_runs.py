"""Exported networks in ONNX Runtime, or in the reference implementation of the package onnx."""

from typing import Any

import numpy as np

import nnfast as nf
from nnfast.core.typing import Array
from nnfast.io.onnx.export import model_of

__all__ = ["errors", "exported", "largest_error", "outputs"]

PROVIDERS = ["CPUExecutionProvider"]


def exported(net: nf.Network, **options: Any) -> Any:
    """The model as onnx reads it, checked with full shape inference."""
    import onnx

    model = onnx.load_model_from_string(model_of(net, **options).serialize())
    onnx.checker.check_model(model, full_check=True)
    return model


def outputs(model: Any, feeds: list[Array]) -> list[Array]:
    """By ONNX Runtime; float64 by the reference implementation where ONNX Runtime has no kernel for it."""
    import onnxruntime
    from onnx.reference import ReferenceEvaluator

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # threads cost more than these networks
    named = {value.name: x for value, x in zip(model.graph.input, feeds, strict=True)}
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, PROVIDERS)
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        if "float64" not in {x.dtype.name for x in feeds}:
            raise
        return list(ReferenceEvaluator(model).run(None, named))
    return list(session.run(None, named))


def as_list(values: Any) -> list[Array]:
    return list(values.values()) if isinstance(values, dict) else list(values) if isinstance(values, list) else [values]


def errors(net: nf.Network, x: Any, model: Any = None, **options: Any) -> list[float]:
    """For each output the largest difference from `predict`, relative for numbers above 1; NaN equals NaN."""
    feeds = [np.ascontiguousarray(np.moveaxis(a, -1, 1)) if is_moved(a, "input", options) else a for a in as_list(x)]
    wanted = as_list(net.predict(x))
    wanted = [np.moveaxis(a, -1, 1) if is_moved(a, "output", options) else a for a in wanted]
    found = outputs(exported(net, **options) if model is None else model, feeds)
    made = []
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert a.dtype == net.dtype
        differ = (a != b) & ~(np.isnan(a) & np.isnan(b))
        difference = np.abs(np.subtract(a, b, where=differ, out=np.zeros_like(a)))
        made.append(float((difference / np.fmax(1, np.abs(b))).max(initial=0)))
    return made


def largest_error(net: nf.Network, x: Any, model: Any = None, **options: Any) -> float:
    """The largest of these differences."""
    return max(errors(net, x, model, **options))


def is_moved(x: Array, which: str, options: dict[str, Any]) -> bool:
    return x.ndim == 4 and x.dtype.kind != "i" and options.get(f"{which}_layout") == "NCHW"
