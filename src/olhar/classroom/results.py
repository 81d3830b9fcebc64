"""A line of `olhar doctor`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from olhar.i18n import Text, in_english

OK, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Check:
    """What was found of one thing.

    Attributes:
        group: installed, works or speed.
        name: stable, for programs.
        status: ok, note or problem.
        text: for people.
        step: what to do next; None where nothing is to be done.
        facts: plain values, for programs.
    """

    group: str
    name: str
    status: str
    text: Text
    step: Text | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """In English, whatever the language."""
        return {
            "group": self.group,
            "name": self.name,
            "status": self.status,
            "text": in_english(self.text),
            "next": None if self.step is None else in_english(self.step),
            **self.facts,
        }
