"""Check the hand-written stub of the compiled core against the built module.

Names must be the same on both sides, and each function's and method's parameter names, in order, the same as in the
signature that pybind11 writes into its docstring. (mypy's stubtest sees only the names: a compiled function has no
signature that inspect can read.)

Usage: python check_stub.py
"""

import ast
import sys
from pathlib import Path
from types import ModuleType

import nnfast._core

STUB = Path(nnfast.__file__).with_name("_core.pyi")


def split_arguments(text: str) -> list[str]:
    """Split at the commas that stand outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += letter in "([{"
        depth -= letter in ")]}"
        if letter == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def built_parameters(function: object, name: str) -> list[str] | None:
    """Parameter names in a pybind11 docstring, `name(a: int, *, b: str = 'x') -> None`."""
    first_line = (getattr(function, "__doc__", None) or "").partition("\n")[0]
    if not first_line.startswith(f"{name}("):
        return None
    depth = 0
    for i, letter in enumerate(first_line):
        depth += letter == "("
        depth -= letter == ")"
        if letter == ")" and depth == 0:
            arguments = split_arguments(first_line[len(name) + 1 : i])
            return [argument.partition(":")[0].partition("=")[0].strip() for argument in arguments]
    return None


def stub_parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    names = [a.arg for a in arguments.posonlyargs + arguments.args]
    if arguments.vararg:
        names.append(f"*{arguments.vararg.arg}")
    if arguments.kwonlyargs:
        names += ["*"] + [a.arg for a in arguments.kwonlyargs]
    return names


def is_property(function: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "property" for d in function.decorator_list)


def compare(place: str, body: list[ast.stmt], built: ModuleType | type) -> list[str]:
    """Faults of a module's or a class's names; classes are entered."""
    faults, known = [], set()
    for item in body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
        elif isinstance(item, ast.FunctionDef | ast.ClassDef):
            name = item.name
        else:
            continue
        known.add(name)
        if not hasattr(built, name):
            faults.append(f"{place}.{name}: in the stub, not in the module")
        elif isinstance(item, ast.ClassDef):
            faults += compare(f"{place}.{name}", item.body, getattr(built, name))
        elif isinstance(item, ast.FunctionDef) and not is_property(item):
            expected, got = stub_parameters(item), built_parameters(getattr(built, name), name)
            if expected != got:
                faults.append(f"{place}.{name}: stub has {expected}, module has {got}")
    public = {name for name in vars(built) if not name.startswith("_")}
    faults += [f"{place}.{name}: in the module, not in the stub" for name in sorted(public - known)]
    return faults


def main() -> int:
    faults = compare("_core", ast.parse(STUB.read_text()).body, nnfast._core)
    print("\n".join(faults) or "stub and module agree")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
