"""The examples in docstrings, in the README and in pages of docs/ run, and print what they say."""

import doctest
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/data.md", "docs/your_own.md", "docs/checkpoints.md", "docs/text.md", "docs/sequences.md")
PAGES += ("docs/scikit_learn.md", "docs/onnx.md", "docs/keras_and_pytorch.md", "docs/notebooks.md")
PRIVATE = {"nnfast._core"}
MODULES = sorted(
    {"nnfast", *(found.name for found in pkgutil.walk_packages(nf.__path__, "nnfast."))} - PRIVATE - {"nnfast.__main__"}
)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    if name.startswith("nnfast.plot"):
        pytest.importorskip("matplotlib")
    if name.startswith("nnfast.sklearn"):
        pytest.importorskip("sklearn", minversion="1.6")
    with np.printoptions():
        failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if callable(value) and getattr(value, "__module__", "").startswith("nnfast"):
            assert value.__doc__, f"{name}.{public} has no docstring"


# What a user writes: these modules' names, and the methods of their classes.
PUBLIC = [nf, *(value for name in nf.__all__ if inspect.ismodule(value := getattr(nf, name)))]
# Methods through which the library's own modules speak with each other.
INTERNAL = {
    "arguments",
    "as_rows",
    "callbacks",
    "check_targets",
    "core_logs",
    "default_name",
    "draw",
    "evaluate_dataset",
    "flat",
    "from_architecture",
    "get_config",
    "gradient_spec",
    "heads",
    "infer",
    "join",
    "moved_mask",
    "node",
    "plain",
    "plan",
    "require_plan",
    "set_state",
    "spec",
    "take_name",
    "update_spec",
    "value_of",
}


def public_objects() -> Iterator[tuple[str, Any]]:
    for module in PUBLIC:
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and value.__module__.startswith("nnfast"):
                yield f"{module.__name__}.{name}", value


def public_methods() -> Iterator[tuple[str, type, Callable[..., Any]]]:
    """Yield those that a class defines itself, and not as its bases' documents say already."""
    for place, value in public_objects():
        if not inspect.isclass(value):
            continue
        for name, member in vars(value).items():
            method = getattr(member, "__func__", member)
            inherited = any(hasattr(base, name) for base in value.__mro__[1:])
            if inspect.isfunction(method) and not name.startswith("_") and name not in INTERNAL and not inherited:
                yield f"{place}.{name}", value, method


def section(document: str | None, title: str) -> str:
    """Return the text of a numpydoc section, empty where there is none."""
    found = re.search(rf"^ *{title}\n *-+\n(.*?)(?=^ *[A-Z]\w+\n *-+\n|\Z)", document or "", re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def documents(*objects: Any) -> str:
    """Return the docstrings of objects, of their base classes, and of the modules and packages that define them."""
    owners = [base for item in objects for base in (inspect.getmro(item) if inspect.isclass(item) else (item,))]
    modules = {name for owner in owners for name in (owner.__module__, owner.__module__.rpartition(".")[0])}
    texts = [
        *(owner.__doc__ for owner in owners),
        *(sys.modules[name].__doc__ for name in modules if name in sys.modules),
    ]
    return "\n\n".join(inspect.cleandoc(text or "") for text in texts)


def undocumented(called: Callable[..., Any], *more: Any) -> list[str]:
    """Return the parameters that have no entry ("x : int", or "x, y") in the documents of `called` and of `more`."""
    kinds = inspect.Parameter
    parameters = [
        p.name
        for p in inspect.signature(called).parameters.values()
        if p.kind not in {kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD}
    ]
    text = documents(called, *more)
    return [name for name in parameters if not re.search(rf"^(\w+, )*{name}(, \w+)*( : .*)?$", text, re.MULTILINE)]


@pytest.mark.parametrize(("name", "value"), list(public_objects()))
def test_parameters_are_documented_and_there_is_an_example(name: str, value: Any) -> None:
    if not inspect.isclass(value) or value.__init__ is not object.__init__:
        assert undocumented(value) == []
    assert ">>>" in section(value.__doc__, "Examples"), f"{name} has no example"


@pytest.mark.parametrize(("name", "owner", "method"), list(public_methods()))
def test_parameters_of_methods_are_documented(name: str, owner: type, method: Callable[..., Any]) -> None:
    assert method.__doc__, f"{name} has no docstring"
    assert undocumented(method, owner) in ([], ["self"], ["cls"])


@pytest.mark.skipif(not (ROOT / "README.md").is_file(), reason="needs the source tree; only the tests are here")
@pytest.mark.parametrize("page", PAGES)
def test_code_in_pages(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python blocks run one after the other, in one namespace; the data are small stand-ins for MNIST."""

    def few_images() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, size=(256, 28, 28, 1), dtype=np.uint8)
        labels = rng.integers(0, 10, size=256).astype(np.uint8)
        return (images, labels), (images[:64], labels[:64])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nf.data, "load_mnist", few_images)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
