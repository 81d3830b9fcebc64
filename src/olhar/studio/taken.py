"""What became of photos that were given to a project.

Does not know: where they came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from olhar.errors import OlharError
from olhar.i18n import _


@dataclass
class Taken:
    """What became of photos that were given.

    Attributes:
        taken: those that are in the project now, as `class/name`.
        already: (given name, file) of those that were there.
        refused: (given name, why).
        trouble: what could not be written of those that are there; None where all was.
    """

    taken: list[str] = field(default_factory=list)
    already: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    trouble: str | None = None

    def add(self, other: Taken) -> None:
        """Take in what became of others."""
        self.taken += other.taken
        self.already += other.already
        self.refused += other.refused
        self.trouble = self.trouble or other.trouble

    def not_noted(self, error: OlharError) -> None:
        """They are there, but groups.csv cannot be written."""
        self.trouble = str(
            _(
                "The photos are there, but not yet noted as one recording ({reason}). That is done once "
                "there is room; until then nothing is trained.",
                reason=error,
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """As pages are told."""
        return {
            "taken": [{"file": file} for file in self.taken],
            "already": [{"name": name, "file": file} for name, file in self.already],
            "refused": [{"name": name, "reason": reason} for name, reason in self.refused],
            "trouble": self.trouble,
        }
