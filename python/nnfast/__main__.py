"""The command line: ``python -m nnfast info``."""

import argparse
from collections.abc import Sequence

from nnfast import _core
from nnfast.core import machine


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m nnfast", description="Neural networks on CPUs.")
    parser.add_argument("--version", action="version", version=f"nnfast {_core.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="show version, processor, instruction set and threads")
    parser.parse_args(arguments)
    machine.show_config()


if __name__ == "__main__":
    main()
