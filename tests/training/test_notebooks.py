"""What a notebook shows while a network trains: in a real kernel, and in a shell that says it is one."""

import io
import os
import re
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nnfast as nf

FIT = """
import numpy as np
import nnfast as nf
net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3)], seed=0)
history = nf.Trainer(net, loss="mse").fit(np.ones((64, 4)), np.ones((64, 3)), epochs=2)
"""


def test_without_widgets_bars_are_text_and_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a kernel without ipywidgets, for which tqdm asks by a warning."""
    for name in [name for name in sys.modules if name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook")]:
        monkeypatch.delitem(sys.modules, name)
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    modules: dict[str, Any] = {"ipykernel": ModuleType("ipykernel"), "IPython": ModuleType("IPython")}
    modules["IPython"].get_ipython = lambda: shell
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    net = nf.Network([nf.layers.Input((4,)), nf.layers.Dense(3)], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nf.Trainer(net, loss="mse").fit(np.ones((64, 4)), np.ones((64, 3)), epochs=2)
    lines = screen.getvalue().splitlines()
    drawn = [line.rstrip() for line in lines if line.startswith("epoch") and line.rstrip().endswith("rows/s")]
    assert len(drawn) >= 2
    assert re.fullmatch(r"epoch 2/2 \|.+\| 2/2 [\d:]+, loss .* rows/s", drawn[-1])


@pytest.mark.slow
def test_in_a_real_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    client = pytest.importorskip("nbclient", reason="nbclient is not installed")
    if find_spec("ipykernel") is None:  # not imported here, where it would say that this is a notebook
        pytest.skip("ipykernel is not installed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(nf.__file__).parents[1]), *sys.path]))
    cells = [nbformat.v4.new_code_cell(code) for code in (FIT, "history", "net", "net.show()")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    progress, history, net, drawing = (cell.outputs for cell in notebook.cells)
    text = "".join(output.get("text", "") for output in progress)
    assert "epoch 2/2" in text or any("data" in output for output in progress)
    assert "Warning" not in text
    assert history[0]["data"]["text/html"].count("<tr>") == 3
    assert "<svg" in net[0]["data"]["text/html"]
    assert drawing[0]["data"]["image/svg+xml"].startswith("<svg")
