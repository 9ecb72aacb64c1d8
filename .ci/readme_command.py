"""Print the one-line command that README.md gives under a marker.

The README marks its two commands with an HTML comment before the code block, `<!-- ci: main-job -->` and
`<!-- ci: tests -->`. Reading them from there means that what users copy is what is checked.

Usage: python readme_command.py <marker>
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def readme_command(marker: str) -> str:
    """The command in the code block that follows the marker; exactly one line."""
    block = re.search(rf"<!-- ci: {re.escape(marker)} -->\s*```[a-z]*\n(.*?)```", README.read_text(), re.DOTALL)
    if block is None:
        raise SystemExit(f"README.md: expected a code block after '<!-- ci: {marker} -->'")
    lines = block[1].strip().splitlines()
    if len(lines) != 1:
        raise SystemExit(f"README.md: expected one line under '<!-- ci: {marker} -->', got {len(lines)}")
    return lines[0].removeprefix("$ ")


if __name__ == "__main__":
    print(readme_command(sys.argv[1]))
