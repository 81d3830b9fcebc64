"""What a long job tells whoever watches it. The base class is silent; the CLI draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType

from olhar.i18n import Text, number


class Progress:
    """Hears of a job's progress; every method does nothing here.

    Use as a context manager around the job, so that what is drawn is taken away at its end.
    """

    def note(self, text: Text) -> None:
        """A sentence that the user should read: a choice made, something set aside."""

    def start(self, title: Text, total: int) -> None:
        """A stage of `total` equal parts begins; 0 where nobody knows how many."""

    def advance(self, done: int, text: str = "") -> None:
        """`done` parts of the stage are done."""

    def pace(self, text: Text) -> None:
        """How far and how fast a long stage is; told again and again, to be shown now and then."""

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        """An epoch of training has ended; `row` is its row of history.csv."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The job has ended."""


def byte_count(progress: Progress, title: Text, total: int, done: int = 0) -> Callable[[int], None]:
    """Begins a stage of bytes; what it returns hears of each piece.

    Args:
        progress: hears also of the MB done, and of the MB a second.
        title: of the stage.
        total: how many bytes; 0 where nobody knows.
        done: how many of them had come before.
    """
    begun, before = time.monotonic(), done

    def report(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        speed = (done - before) / max(time.monotonic() - begun, 1e-3)
        of_total = f"/{number(total / 2**20, 1)}" if total else ""
        text = f"{number(done / 2**20, 1)}{of_total} MB  {number(speed / 2**20, 1)} MB/s"
        progress.advance(done, text)

    progress.start(title, total)
    report(0)
    return report
