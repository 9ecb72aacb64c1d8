"""Ctrl-C at any line."""

import linecache
import sys
from collections.abc import Collection
from types import FrameType
from typing import Any


def interrupt_at(line: int, files: Collection[str | None]) -> None:
    """Raise KeyboardInterrupt before the n-th line that runs in these files from here on.

    Python runs the end of a `with` block and the call of __exit__ without looking for signals in between, and ignores
    an exception in __del__.
    """
    left = line

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if event == "call":
            callers = {frame.f_code.co_name, frame.f_back.f_code.co_name if frame.f_back else ""}
            return trace if frame.f_code.co_filename in files and "__del__" not in callers else None
        source = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
        if event == "line" and not source.startswith("with "):
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
