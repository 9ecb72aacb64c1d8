"""ONNX's own tests of single nodes, and the page that counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")
import onnx_node_tests as nodes  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "onnx_ops.md"


@pytest.mark.slow
def test_all_nodes_and_the_page_that_counts_them() -> None:
    assert not {name: fault for _, name, fault, _ in nodes.results() if fault}
    if onnx.__version__.startswith("1.23."):
        assert PAGE.read_text() == nodes.table()
