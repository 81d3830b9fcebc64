"""What a check of data can find: the kinds, and one finding.

Does not know: how anything is found, or who shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from olhar.i18n import Text, _
from olhar.shown import readable_name

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Kind:
    """A kind of finding: how grave it is, its title, and what to do about it."""

    severity: str
    title: Text
    suggestion: Text


_AGAIN = _("copy or download it again, or let --fix set it aside")

KINDS: dict[str, Kind] = {  # the codes are stable; in the order in which they are shown
    "cannot_train": Kind(
        ERROR, _("No classifier can be trained with it"), _("add photos, or join or remove classes")
    ),
    "unreadable": Kind(ERROR, _("Files that are no readable image"), _AGAIN),
    "truncated": Kind(ERROR, _("Photos that end too early"), _AGAIN),
    "too_large": Kind(
        ERROR, _("Photos with too many pixels"), _("save a smaller copy, or let --fix set it aside")
    ),
    "no_access": Kind(
        ERROR, _("Files that may not be read"), _("change their permissions, or remove them")
    ),
    "leak": Kind(
        ERROR,
        _("The same photo in two splits"),
        _(
            "keep it in one split only: measured on photos it was trained on, a model looks better "
            "than it is; --fix sets aside those in train/ (of val/ and test/, those in val/)"
        ),
    ),
    "two_classes": Kind(
        ERROR,
        _("The same photo in two classes"),
        _("decide which class is right, and remove the other copy"),
    ),
    "exact_duplicate": Kind(
        WARNING,
        _("The same photo twice"),
        _("keep one; --fix sets the others aside"),
    ),
    "label_error": Kind(
        WARNING,
        _("Photos that are perhaps in the wrong class"),
        _(
            "look at each; move those that are wrong to their class, or let --fix=labels set aside "
            "all of them"
        ),
    ),
    "near_duplicate": Kind(
        WARNING,
        _("Nearly the same photo"),
        _("nothing has to be done: olhar keeps them in one split; else keep one of them"),
    ),
    "few_photos": Kind(
        WARNING, _("Classes with few photos"), _("add photos, or start from a trained backbone")
    ),
    "imbalance": Kind(
        WARNING,
        _("Classes of very unequal size"),
        _("add photos to the small classes, and judge by the macro F1, not by the accuracy alone"),
    ),
    "blank": Kind(WARNING, _("Photos that show almost nothing"), _("remove them")),
    "blurred": Kind(
        WARNING, _("Blurred photos"), _("keep them only if such photos will come later too")
    ),
    "extreme_size": Kind(
        WARNING, _("Photos of a very different size"), _("look for originals of the usual size")
    ),
    "extreme_aspect": Kind(
        WARNING,
        _("Very long or very narrow photos"),
        _("cut out what matters, or train with --resize squash: the ends are cut off otherwise"),
    ),
    "wrong_extension": Kind(
        NOTE,
        _("Files with the ending of another format"),
        _("nothing has to be done here; other programs may need the right ending"),
    ),
    "rotated": Kind(
        NOTE,
        _("Photos that their camera has marked as turned"),
        _("nothing has to be done: they are turned upright when they are read"),
    ),
    "labels_unchecked": Kind(
        NOTE, _("Labels were not checked"), _("check them with a backbone: --backbone NAME")
    ),
}

# What --fix may move, by its value.
FIXES = {
    "safe": frozenset({"unreadable", "truncated", "too_large", "leak", "exact_duplicate"}),
    "labels": frozenset({"label_error"}),
}


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with the data, or worth knowing.

    Attributes:
        kind: one of `KINDS`.
        sentence: what was found, for people.
        files: those it is about: paths in the folder with forward slashes, or part/index.
        moves: those of them that --fix sets aside.
        facts: figures, for programs.
    """

    kind: str
    sentence: Text | str
    files: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As `olhar data --json` prints it."""
        kind = KINDS[self.kind]
        return {
            "kind": self.kind,
            "severity": kind.severity,
            "files": list(self.files),
            "sentence": str(self.sentence),
            "suggestion": str(kind.suggestion),
            "fix": list(self.moves),
            **self.facts,
        }


def shown_name(file: str) -> str:
    """A file's name on one line: what a terminal or a page would not show is written as an escape."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in readable_name(file)
    )


def shown_names(files: Sequence[str], most: int = 5) -> str:
    """The first few of many names, on one line."""
    named = ", ".join(map(shown_name, files[:most]))
    return f"{named}, …" if len(files) > most else named
