"""Which objects become files here: keys are any text, and not every text is a path.

Does not know: how objects are listed or fetched.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from olhar.datasets.forms.member_names import tidy_path, why_refused
from olhar.datasets.photo_files import is_hidden
from olhar.i18n import Text, _
from olhar.objects import StoredObject
from olhar.shown import readable_name

_NO_PATH = _("no folder or file can have such a name here")
_BOTH = _("there is a folder of that name, too")
_TWICE = _("this disk takes it for another one, whose name differs by case alone")


class _LeftOut:
    """Counts the objects that cannot be files, by the reason."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Text, str, int]] = {}

    def add(self, reason: Text, key: str) -> None:
        first = self._found.get(reason.literal, (reason, key, 0))
        self._found[reason.literal] = (*first[:2], first[2] + 1)

    def notes(self) -> tuple[Text, ...]:
        return tuple(
            _(
                "{count} object(s) are left out, such as {key}: {reason}",
                count=count,
                key=ascii(readable_name(key)),
                reason=reason,
            )
            for reason, key, count in self._found.values()
        )


def choose_objects(
    listed: Iterable[StoredObject], *, folds_case: bool
) -> tuple[list[StoredObject], tuple[Text, ...]]:
    """The objects that are to be files, and what to say of the others.

    Hidden ones, and what systems keep beside photos, are passed over without a word, as in a folder; so
    are empty objects that stand for a folder.

    Args:
        listed: in any order.
        folds_case: the disk takes `A` and `a` for one name.
    """
    left, folders, taken = _LeftOut(), set[str](), set[str]()
    possible = []
    for one in listed:
        parts = set(one.key.split("/")) - {".", ".."}
        if any(map(is_hidden, parts)):
            continue
        refused = why_refused(one.key) if tidy_path(one.key) == one.key else _NO_PATH
        if refused is not None:
            left.add(refused, one.key)
            continue
        possible.append(one)
        folders.update(map(str, PurePosixPath(one.key).parents))
    chosen = []
    for one in possible:
        folded = unicodedata.normalize("NFC", one.key).casefold() if folds_case else ""
        if one.key in folders:
            if one.size:
                left.add(_BOTH, one.key)
        elif folds_case and folded in taken:
            left.add(_TWICE, one.key)
        else:
            taken.add(folded)
            chosen.append(one)
    return chosen, left.notes()
