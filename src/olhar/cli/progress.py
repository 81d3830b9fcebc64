"""Progress on standard error: a bar with an estimate on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from olhar.i18n import Text, _, number
from olhar.progress import Progress

_PACE_S = 30.0


def build_progress() -> Progress:
    """What suits standard error."""
    return BarProgress() if sys.stderr.isatty() else LineProgress()


def _epoch_line(row: Mapping[str, float], epochs: int, left_s: float) -> Text:
    return _(
        "epoch {epoch}/{epochs}  train loss {train_loss} acc {train_accuracy}  "
        "val loss {val_loss} acc {val_accuracy}  {seconds} s  ~{left} left",
        epoch=int(row["epoch"]),
        epochs=epochs,
        train_loss=number(row["train_loss"], 4),
        train_accuracy=number(row["train_accuracy"], 4),
        val_loss=number(row["val_loss"], 4),
        val_accuracy=number(row["val_accuracy"], 4),
        seconds=number(row["seconds"], 1),
        left=_duration(left_s),
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class LineProgress(Progress):
    """Notes, a line an epoch, and every half minute how far a long stage is."""

    def __init__(self) -> None:
        self._paced = time.monotonic()

    def note(self, text: Text) -> None:
        """Print the sentence."""
        print(text, file=sys.stderr, flush=True)

    def pace(self, text: Text) -> None:
        """Print the sentence, if the last one is half a minute old."""
        if time.monotonic() - self._paced >= _PACE_S:
            self.note(text)
            self._paced = time.monotonic()

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        """Print the epoch's figures and the time left."""
        left_s = (epochs - row["epoch"]) * row["seconds"]
        print(_epoch_line(row, epochs, left_s), file=sys.stderr, flush=True)


class Drawn(Progress):
    """Something of rich's that is drawn in place on a terminal, with sentences above it.

    Attributes:
        drawn: rich's Live or Progress.
    """

    drawn: Any

    def __enter__(self) -> Self:
        self.drawn.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take it away."""
        self.drawn.stop()

    def note(self, text: Text) -> None:
        """Print the sentence above it."""
        self.drawn.console.print(str(text), markup=False, highlight=False)


class BarProgress(Drawn, LineProgress):
    """A bar for the stage under way; epochs scroll by above it."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.drawn = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: Any = None
        self._shown = 0.0

    def pace(self, text: Text) -> None:
        """The bar shows it."""

    def start(self, title: Text, total: int) -> None:
        """A new bar in place of the old; 0 is a total that nobody knows."""
        if self._task is not None:
            self.drawn.remove_task(self._task)
        self._task = self.drawn.add_task(str(title), total=total or None, figures="")

    def advance(self, done: int, text: str = "") -> None:
        """Move the bar."""
        if self._task is not None and time.monotonic() - self._shown > 0.1:
            self.drawn.update(self._task, completed=done, figures=text)
            self._shown = time.monotonic()

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        """Print the epoch's figures above the bar."""
        self.note(_epoch_line(row, epochs, (epochs - row["epoch"]) * row["seconds"]))
