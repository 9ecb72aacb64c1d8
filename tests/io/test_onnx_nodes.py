"""ONNX's own tests of single nodes, and the page that counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")
import onnx_node_tests as nodes  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "onnx_ops.md"
KNOWN = {
    "test_convtranspose_3d",  # two axes at most
    "test_einsum_batch_diagonal",
    "test_lstm_with_peepholes",
    "test_maxpool_with_argmax_2d_precomputed_pads",
    "test_maxpool_with_argmax_2d_precomputed_strides",
    "test_resize_tf_crop_and_resize",
    "test_resize_tf_crop_and_resize_axes_2_3",
    "test_resize_tf_crop_and_resize_axes_3_2",
    "test_resize_tf_crop_and_resize_extrapolation_value",
}
"""What does not pass, all refused by name."""


@pytest.mark.slow
def test_all_nodes_and_the_page_that_counts_them() -> None:
    failed = {name for _, name, fault, _ in nodes.results() if fault}
    assert failed == KNOWN
    if onnx.__version__.startswith("1.23."):
        assert PAGE.read_text() == nodes.table()
