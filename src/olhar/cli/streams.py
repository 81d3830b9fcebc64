"""Standard streams as a command finds them: closed by a daemon, on a full disk, gone with a terminal.

A line for people that cannot be written never ends the work.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from olhar.shown import STRAY_BYTES
from olhar.streams import hold_streams


class _Lossy:
    """A stream of text whose lines may be lost; all else is the stream's own."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


@contextlib.contextmanager
def steady_streams() -> Iterator[bool]:
    """Inside the block standard error takes any line, and streams that are closed lead nowhere.

    Yields:
        Whether there is a standard output.
    """
    hold_streams()
    before = sys.stdout, sys.stderr
    has_output = sys.stdout is not None
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - no path
        for stream in before:
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(encoding="utf-8", errors=STRAY_BYTES)
        if not has_output:
            sys.stdout = nowhere
        lossy: Any = _Lossy(nowhere if before[1] is None else before[1])
        sys.stderr = lossy
        try:
            yield has_output
        finally:
            sys.stdout, sys.stderr = before
