"""Check the built objects against csrc/kernels/README.md, rule 9.

An instruction-set unit exports one symbol, has no weak one and no initializer that runs at load time. Objects for the
x86-64 baseline hold no VEX or EVEX instruction, and those for AVX2 no EVEX one. Needs nm and objdump; the second
argument is the prefix of a cross compiler's own.

Usage: python check_objects.py <build folder> [aarch64-linux-gnu-]
"""

import re
import subprocess
import sys
from pathlib import Path

# What a disassembled line looks like: address, tab, bytes, tab, mnemonic and operands.
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\t[0-9a-f ]+\t(.*)$", re.MULTILINE)
# The mnemonics of VEX and EVEX start with v, but for these of the base set; and the mask registers' with k.
BASE_SET = {"verr", "verw", "vmcall", "vmlaunch", "vmresume", "vmxoff"}
EVEX_OPERAND = re.compile(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]")


PREFIX = sys.argv[2] if len(sys.argv) > 2 else ""


def run(tool: str, *arguments: str) -> str:
    return subprocess.run([PREFIX + tool, *arguments], check=True, capture_output=True, text=True).stdout


def instructions(path: Path) -> list[str]:
    return INSTRUCTION.findall(run("objdump", "-d", str(path)))


def is_vex(instruction: str) -> bool:
    mnemonic = instruction.split()[0]
    return (mnemonic.startswith("v") and mnemonic not in BASE_SET) or is_evex(instruction)


def is_evex(instruction: str) -> bool:
    return EVEX_OPERAND.search(instruction) is not None


def isa_unit_faults(path: Path) -> list[str]:
    """Faults of an instruction-set unit's symbols and sections."""
    faults = []
    symbols = [line.split()[-2:] for line in run("nm", "--defined-only", str(path)).splitlines() if line.strip()]
    exported = [name for kind, name in symbols if kind.isupper()]
    weak = [name for kind, name in symbols if kind in "WVwvu"]
    if len(exported) != 1:
        faults.append(f"expected 1 exported symbol, got {len(exported)}: {', '.join(exported[:5])}")
    if weak:
        faults.append(f"expected no weak symbol, got {len(weak)}: {', '.join(weak[:5])}")
    if re.search(r"\.(init_array|ctors)\b", run("objdump", "-h", str(path))):
        faults.append("expected no initializer, got a section .init_array")
    return faults


def foreign_instruction(path: Path, isa: str | None) -> list[str]:
    """A fault where an x86-64 object holds instructions above those of its set."""
    if isa == "avx512":
        return []
    forbidden, kind = (is_evex, "EVEX") if isa == "avx2" else (is_vex, "VEX or EVEX")
    found = [text for text in instructions(path) if forbidden(text)]
    return (
        [f"expected no {kind} instruction, got {len(found)}, the first: {' '.join(found[0].split())}"] if found else []
    )


def main(build: Path) -> int:
    objects = sorted(build.rglob("*.o"))
    units = 0
    failed = False
    for path in objects:
        unit = re.fullmatch(r"unit_\w+_([a-z0-9]+)\.cpp\.o", path.name)
        faults = isa_unit_faults(path) if unit else []
        if "x86-64" in run("objdump", "-f", str(path)):
            faults += foreign_instruction(path, unit[1] if unit else None)
        units += unit is not None
        failed |= bool(faults)
        for fault in faults:
            print(f"{path.name}: {fault}")
    if units == 0:
        print(f"{build}: expected objects of instruction-set units, got none; build first")
        return 1
    if not failed:
        print(f"{len(objects)} objects checked, {units} of them instruction-set units")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
