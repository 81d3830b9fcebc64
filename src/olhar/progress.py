"""What a long job tells whoever watches it. The base class is silent; the CLI draws."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from olhar.i18n import Text


class Progress:
    """Hears of a job's progress; every method does nothing here.

    Use as a context manager around the job, so that what is drawn is taken away at its end.
    """

    def note(self, text: Text) -> None:
        """A sentence that the user should read: a choice made, something set aside."""

    def start(self, title: Text, total: int) -> None:
        """A stage of `total` equal parts begins."""

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
