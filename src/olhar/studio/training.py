"""A training that goes on, as its events tell of it and the page shows it.

Does not know: who trains, or whether it waits for others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from olhar.i18n import _
from olhar.studio.workers import Event

_NOTES = 21  # the latest, which are kept
_SOON_S = 1.0  # of a stage, before it is told how long it takes


@dataclass
class Training:
    """What is being trained.

    Attributes:
        id: of the task, which its events bear.
        run: what is trained now: the task's run, or another that is tried beside it.
        stage: waiting, training, measuring or trying.
        title: what is done now, in words.
        done: steps of it that are done; `total` of how many.
        epochs: rows of the history.
        notes: the latest that were said.
        model: whether there is a model already.
        has_ended: whether it has; `error` says why, where that is not as it should be.
    """

    id: str
    run: str
    stage: str = "training"
    title: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    model: bool = False
    has_ended: bool = False
    error: str | None = None
    _place: int = 0  # in the line of those that wait
    _before: str = ""  # who waits there
    _began: float = field(default_factory=time.monotonic)  # the stage

    def hear(self, event: Event) -> None:
        """Take in what the worker says of it."""
        match event["event"]:
            case "waiting":
                self.stage = "waiting"
                self._place, self._before = event["place"], ", ".join(event["names"])
            case "begun":
                self.stage, self.title = "training", ""
            case "progress":
                self._progress(event["title"], event["done"], event["total"])
            case "note":
                self.notes = [*self.notes, event["text"]][-_NOTES:]
            case "epoch":
                self.epochs = [*self.epochs, event["row"]]
            case "model":
                self.stage, self.model = "measuring", True
            case "trying":
                self.stage, self.run, self.epochs, self.title = "trying", event["run"], [], ""
            case "failed" | "died":
                self.error = event.get("message") or str(_("the training ended unexpectedly"))
                self.has_ended = True
            case "done" | "stopped":
                self.has_ended = True

    def shown(self) -> dict[str, Any]:
        """What the page shows, in the language in force."""
        title = self.title
        if self.stage == "waiting":
            line = {"place": self._place, "names": self._before}
            title = str(_("Place {place} in the line: {names}", **line))
        return {
            "id": self.id,
            "run": self.run,
            "stage": self.stage,
            "title": title,
            "done": self.done,
            "total": self.total,
            "seconds_left": self.seconds_left,
            "epochs": self.epochs,
            "notes": self.notes,
            "model": self.model,
        }

    def _progress(self, title: str, done: int, total: int) -> None:
        if title != self.title or done == 0:
            self._began = time.monotonic()
        spent = time.monotonic() - self._began
        is_known = done > 0 and spent > _SOON_S
        self.title, self.done, self.total = title, done, total
        self.seconds_left = spent / done * (total - done) if is_known else None
