"""What a sweep tells of its trials. The base class is silent; the command line draws."""

from __future__ import annotations

from collections.abc import Sequence

from olhar.progress import Progress
from olhar.sweep.records import TrialRecord


class Table(Progress):
    """Hears of every change of the trials; does nothing here.

    It is the sweep's progress too: what else is said is said above the table. Use as a context
    manager around the sweep, so that what is drawn is taken away at its end.
    """

    def show(self, trials: Sequence[TrialRecord]) -> None:
        """All trials as they stand now, by number; called whenever one has changed."""

    def __enter__(self) -> Table:
        return self
