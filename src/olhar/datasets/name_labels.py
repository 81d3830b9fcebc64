"""Labels that stand in the names of photos: cat.0.jpg, n01440764_18.JPEG, 0012-dog.png.

Does not know: folders, or what is in a photo.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath

from olhar.i18n import Text, _

NameLabel = Callable[[str], str]  # a photo's file name → its label, "" where it shows none

_NAMED_AT_MOST = 6
_FEWEST = 2  # photos of a label
# How cameras, phones and programs call all photos alike.
_ANY_PHOTO = frozenset(
    {"img", "image", "imagem", "images", "dsc", "dscn", "dscf", "dcim", "photo", "foto", "picture"}
    | {
        "pic",
        "frame",
        "scan",
        "pxl",
        "screenshot",
        "whatsapp",
        "wa",
        "p",
        "at",
        "às",
        "em",
        "untitled",
        "download",
    }
    | {"file", "copy"}
)
_SEPARATORS = r"[\s._\-()\[\]]+"


def guess_rule(names: Sequence[str]) -> NameLabel | None:
    """How file names show labels, None where they do not.

    What stands before the number at the end, else behind the number at the beginning, else the first
    or the last word; the first of these by which there are at least two labels, each of two photos
    and more, and on average of three.

    Args:
        names: of all photos, without their folders.
    """
    for rule in (_before_number, _behind_number, _first_word, _last_word):
        counts = Counter(map(rule, names))
        if len(counts) < 2 or "" in counts or min(counts.values()) < _FEWEST:
            continue
        if len(names) >= 3 * len(counts):
            return rule
    return None


def labels_text(labels: Counter[str]) -> Text:
    """'cat' 20, 'dog' 20."""
    ranked = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"'{label}' {count}" for label, count in ranked[:_NAMED_AT_MOST])
    more = len(labels) - _NAMED_AT_MOST
    if more > 0:
        return _("{labels} and {count} more", labels=shown, count=more)
    return Text("{labels}", {"labels": shown})


def _words(name: str) -> list[str]:
    """The words of a name, without those that any photo may have."""
    return [word for word in _parted(_stem(name)) if word.lower() not in _ANY_PHOTO]


def _parted(stem: str) -> list[str]:
    return [word for word in re.split(_SEPARATORS, stem) if word]


def _stem(name: str) -> str:
    path = PurePath(name)
    return path.stem if re.fullmatch(r"\.[A-Za-z]\w{1,4}", path.suffix) else name


def _label(text: str) -> str:
    """A label, "" where it is rather a number, a time or a camera's word."""
    label = re.sub(rf"^{_SEPARATORS}|{_SEPARATORS}$", "", text)
    if label.lower() in _ANY_PHOTO or re.fullmatch(r"[\d\W_]{4,}", label):
        return ""
    return label


def _before_number(name: str) -> str:
    """great_pyrenees_12, cat (3), dog7."""
    stem, words = _stem(name), _words(name)
    text = stem if words == _parted(stem) else "_".join(words)
    match = re.fullmatch(r"(.*?\D)\d+\)?", text)
    return _label(match[1]) if match else ""


def _behind_number(name: str) -> str:
    """0012_dog, 3-great-pyrenees."""
    match = re.fullmatch(rf"\d+{_SEPARATORS}(.+)", "_".join(_words(name)))
    return _label(match[1]) if match else ""


def _first_word(name: str) -> str:
    words = _words(name)
    return _label(words[0]) if words else ""


def _last_word(name: str) -> str:
    words = _words(name)
    return _label(words[-1]) if words else ""
