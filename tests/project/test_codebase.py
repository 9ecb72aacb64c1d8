"""The house rules that a machine can check: include directions, sizes of files and functions, ASCII, one version."""

import ast
import re
from importlib import metadata
from pathlib import Path

import pytest

import nnfast
from nnfast import _core

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
LONGEST_FILE = 600
LONGEST_FUNCTION = 80
SOURCE_ENDINGS = {".cpp", ".h", ".inl", ".def", ".py", ".pyi", ".cmake", ".toml", ".md"}
SOURCE_FOLDERS = ("csrc", "python", "tests", "bench", "examples", "cmake", "docs", "tools", ".ci")

needs_sources = pytest.mark.skipif(not CSRC.is_dir(), reason="needs the source tree; only the tests are here")

# Each layer may include itself and the layers after it.
LAYERS = ["bind", "plan", "ops", "kernels", "base"]
# The kernels' border: plain data that both sides of it see.
KERNEL_TABLE = {"kernels/table.h", "kernels/params.h", "kernels/kernels.def"}
# What the rest of the engine may see of the kernels: the border, the choice of a table, the names of enumerators.
KERNEL_INTERFACE = KERNEL_TABLE | {"kernels/select.h", "kernels/units.h"}
# What an instruction-set unit may include.
UNIT_HEADERS = KERNEL_TABLE | {"base/types.h", "immintrin.h", "arm_neon.h", "stddef.h", "stdint.h"}


def sources(folder: Path, *endings: str) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in endings)


def all_sources() -> list[Path]:
    found = [path for name in SOURCE_FOLDERS for path in sources(ROOT / name, *SOURCE_ENDINGS)]
    return found + sorted(path for path in ROOT.iterdir() if path.is_file() and path.suffix in SOURCE_ENDINGS)


def includes(path: Path) -> list[str]:
    """Names in the include lines; lines whose name is a macro have none."""
    return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', path.read_text(), re.MULTILINE)


def layer_of(path: Path) -> str:
    return path.relative_to(CSRC).parts[0]


def is_unit_source(path: Path) -> bool:
    """Part of an instruction-set unit: vector wrappers and kernel families."""
    return layer_of(path) == "simd" or path.suffix == ".inl"


@needs_sources
def test_includes_point_one_way() -> None:
    wrong = []
    for path in sources(CSRC, ".h", ".cpp"):
        if is_unit_source(path):
            continue
        below = LAYERS[LAYERS.index(layer_of(path)) :]
        for name in includes(path):
            folder = name.partition("/")[0]
            ours = "/" in name and (CSRC / name).exists()
            if ours and folder not in below:
                wrong.append(f"{path.relative_to(CSRC)} includes {name}")
            if ours and folder == "kernels" and name not in KERNEL_INTERFACE:
                wrong.append(f"{path.relative_to(CSRC)} includes {name}, which is inside of the kernels")
    assert not wrong


@needs_sources
def test_instruction_set_units_include_only_what_they_may() -> None:
    wrong = [
        f"{path.relative_to(CSRC)} includes {name}"
        for path in sources(CSRC, ".h", ".cpp", ".inl")
        if is_unit_source(path)
        for name in includes(path)
        if name not in UNIT_HEADERS and not name.startswith("simd/") and not re.fullmatch(r"kernels/\w+\.inl", name)
    ]
    assert not wrong


@needs_sources
def test_the_interface_of_the_kernels_holds_plain_data() -> None:
    """What the units share with the rest includes nothing that would bring function bodies along."""
    for name in ("kernels/params.h", "kernels/table.h", "base/types.h"):
        assert set(includes(CSRC / name)) <= UNIT_HEADERS, name


@needs_sources
def test_only_bind_knows_pybind11() -> None:
    users = {layer_of(path) for path in sources(CSRC, ".h", ".cpp", ".inl") if "pybind11" in path.read_text()}
    assert users == {"bind"}


@needs_sources
def test_no_source_asks_the_compiler_for_an_instruction_set() -> None:
    """The build says which sets there are; a macro such as __AVX2__ depends on flags of the file that asks."""
    asking = [
        path.name for path in sources(CSRC, ".h", ".cpp", ".inl") if re.search(r"\b__(AVX|FMA)", path.read_text())
    ]
    assert not asking


@needs_sources
def test_every_set_of_the_build_is_in_the_table() -> None:
    rows = re.findall(r"^\s*nnfast_add_isa\((\w+)", (ROOT / "cmake" / "isa.cmake").read_text(), re.MULTILINE)
    wrappers = {path.stem.removeprefix("vec_") for path in (CSRC / "simd").glob("vec_*.h")}
    table = (CSRC / "kernels" / "table.cpp").read_text()
    assert set(rows) == wrappers
    assert {name.lower() for name in re.findall(r"\bNNF_HAVE_(\w+)", table)} == wrappers


@needs_sources
def test_every_family_is_listed() -> None:
    """The build makes its units from these lines: a family that is missing there would be compiled nowhere."""
    listed = re.findall(r"^#if NNF_FAMILY\((\w+)\)$", (CSRC / "kernels" / "kernels.def").read_text(), re.MULTILINE)
    families = {path.stem for path in (CSRC / "kernels").glob("*.inl")} - {"unit"}
    assert sorted(listed) == sorted(families)


# Each part of the package may import those before it, and itself.
PARTS = [
    ("_core",),
    ("core",),
    ("activations", "constraints", "initializers", "regularizers", "schedules", "data"),
    ("layers", "losses", "optimizers", "text"),
    ("metrics", "ops"),
    ("graph",),
    ("network",),
    ("generation", "io", "inspect", "plot"),
    ("training",),
    ("callbacks", "kernels", "models"),
    ("sklearn",),
    ("__init__", "__main__"),
]
RANKS = {part: rank for rank, parts in enumerate(PARTS) for part in parts}
# Methods that are there for convenience alone import what implements them when they are called.
CONVENIENCE = {"network": {"generation", "inspect", "io"}}


def part_of(module: str) -> str:
    """That of "nnfast.io.container" is "io"."""
    return [*module.split("."), "__init__"][1]


def imported_parts(path: Path) -> set[tuple[str, bool]]:
    """Parts that a file imports, and whether inside of a function; imports for annotations alone are left out."""
    tree = ast.parse(path.read_text())
    inner = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    typing = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    found = set()
    for node in ast.walk(tree):
        names: list[str] = []
        if id(node) in typing:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nnfast":
            whole = node.module == "nnfast"
            names = [f"nnfast.{name.name}" for name in node.names] if whole else [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names if name.name.split(".")[0] == "nnfast"]
        found |= {(part_of(name), id(node) in inner) for name in names}
    return found


@needs_sources
def test_imports_point_one_way() -> None:
    package = ROOT / "python" / "nnfast"
    parts = {path.stem if path.is_file() else path.name for path in package.iterdir() if path.suffix in {"", ".py"}}
    assert parts - {"__pycache__", "py"} == set(RANKS) - {"_core"} | ({"py"} & parts)
    wrong = []
    for path in sources(package, ".py"):
        own = path.relative_to(package).parts[0].removesuffix(".py")
        for other, inside in imported_parts(path):
            if own == "__init__" or other == own or (inside and other in CONVENIENCE.get(own, set())):
                continue
            if other not in RANKS or RANKS[other] >= RANKS[own]:
                wrong.append(f"{path.relative_to(package)} imports {other}")
    assert not wrong


@needs_sources
def test_files_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in all_sources()
        if path.suffix not in {".md", ".toml"} and (lines := path.read_text().count("\n")) > LONGEST_FILE
    }
    assert not long


@needs_sources
def test_python_functions_are_short() -> None:
    """Without the docstring, whose length is the reader's gain."""
    long = []
    for path in all_sources():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                body = node.body[1:] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 + first.lineno - node.lineno
                if lines > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert not long


def cpp_bodies(text: str) -> list[tuple[int, int]]:
    """(first line, number of lines) of each function at the top level.

    In clang-format's layout one starts in column 1 and ends with a brace in column 1, as classes and namespaces do.
    """
    bodies = []
    start, is_function = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"[A-Za-z]", line):
            start = number
            is_function = re.match(r"(namespace|struct|class|enum|union|extern)\b", line) is None
        elif line.startswith("}"):
            if is_function:
                bodies.append((start, number - start + 1))
            is_function = False
    return bodies


@needs_sources
def test_cpp_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{first}: {lines} lines"
        for path in all_sources()
        if path.suffix in {".cpp", ".h", ".inl"}
        for first, lines in cpp_bodies(path.read_text())
        if lines > LONGEST_FUNCTION
    ]
    assert not long


@needs_sources
def test_sources_are_ascii() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in all_sources()
        if path.suffix != ".md"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if not line.isascii()
    ]
    assert not wrong


def test_one_version_everywhere() -> None:
    assert nnfast.__version__ == _core.__version__ == metadata.version("nnfast")


@needs_sources
def test_the_changelog_opens_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == nnfast.__version__
