"""Text for people: one function, `_()`, translated when it is shown, and numbers as people write them.

Does not know: who shows the text, or where. A `Text` keeps its literal and its values until it is
turned into a string, so that an error raised in one language can be read in another. Numbers that
a text formats (`{share:.1%}`) have the separators of its language. What programs read (JSON, CSV,
TOML) is never made here, save by `in_english()`.
"""

from __future__ import annotations

import functools
import gettext
import locale
import numbers
import os
import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from olhar.shown import presentable, presentable_sentence

LANGUAGES = ("en", "pt_BR")
_LOCALES = Path(__file__).parent / "locales"
_chosen: list[str] = []
_using: ContextVar[str] = ContextVar("_using", default="")
# Windows calls its locales "Portuguese_Brazil" and "English_United States".
_HEADS = {"pt": "pt_BR", "portuguese": "pt_BR"} | dict.fromkeys(
    ("en", "english", "c", "posix"), "en"
)
_COMMA_FOR_POINT = str.maketrans(",.", ".,")


def normalise_language(tag: str) -> str | None:
    """`pt`, `pt-BR`, `PT_br.UTF-8` → `pt_BR`; `en…`, `C` → `en`; anything else → None."""
    return _HEADS.get(re.split(r"[-_.@]", tag.strip(), maxsplit=1)[0].lower())


def language() -> str:
    """The language in force: using(), else set_language(), else `OLHAR_LANG`, the locale, English."""
    if _using.get():  # asked for every prediction of a server, where it must cost nothing
        return _using.get()
    candidates = (
        _chosen[-1] if _chosen else "",
        os.environ.get("OLHAR_LANG", ""),
        _system_locale(),
    )
    for tag in candidates:
        found = normalise_language(tag) if tag else None
        if found:
            return found
    return "en"


def set_language(tag: str) -> None:
    """Choose the language of this process; one of `LANGUAGES` or any spelling of it."""
    found = normalise_language(tag)
    if found is None:
        allowed = ", ".join(LANGUAGES)
        raise ValueError(f"unknown language {tag!r}; allowed: {allowed}")
    _chosen[:] = [found]


def choose_language(asked: str, accepted: str) -> str:
    """The language of an answer: `asked`, else the client's wishes in their order, else English.

    Args:
        asked: a language tag, or "".
        accepted: the Accept-Language header (RFC 9110, section 12.5.4), or "".
    """
    wishes: list[tuple[float, str]] = [(2.0, asked)]
    for part in accepted.split(","):
        tag, _semicolon, quality = part.partition(";q=")
        try:
            wishes.append((float(quality or 1), tag.strip()))
        except ValueError:
            continue
    for weight, tag in sorted(wishes, key=lambda wish: -wish[0]):
        found = normalise_language(tag) if weight > 0 else None
        if found:
            return found
    return LANGUAGES[0]


@contextmanager
def using(tag: str) -> Iterator[None]:
    """Texts shown inside the block, by this thread or task alone, are in one of `LANGUAGES`."""
    found = normalise_language(tag)
    if found is None:
        raise ValueError(f"unknown language {tag!r}; allowed: {', '.join(LANGUAGES)}")
    token = _using.set(found)
    try:
        yield
    finally:
        _using.reset(token)


def _system_locale() -> str:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        return locale.getlocale()[0] or ""
    except ValueError:
        return ""


@functools.cache
def _catalogue(tag: str) -> gettext.NullTranslations:
    return gettext.translation("olhar", _LOCALES, languages=[tag], fallback=True)


def localise(written: str) -> str:
    """A number written in Python's way (`1,234.5`), in the way of the language in force."""
    return written.translate(_COMMA_FOR_POINT) if language() == "pt_BR" else written


class _Filling(string.Formatter):
    """`str.format`: numbers that have a format in the way of the language in force, nothing secret."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Exception):
            return presentable_sentence(format(str(value), format_spec))
        if isinstance(value, str | Path):
            return presentable(format(str(value), format_spec))
        written = format(value, format_spec)
        return localise(written) if format_spec and isinstance(value, numbers.Real) else written


_FILLING = _Filling()


@dataclass(frozen=True)
class Text:
    """A message for people: an English literal with named placeholders, and their values."""

    literal: str
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        translated = _catalogue(language()).gettext(self.literal)
        return _FILLING.vformat(translated, (), self.values) if self.values else translated

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)


def _(literal: str, **values: Any) -> Text:
    """Mark `literal` for translation; `values` fill its `{named}` placeholders when it is shown."""
    return Text(literal, values)


def number(value: float, digits: int = 0) -> Text:
    """1234.5 with one digit: `1,234.5`, in Portuguese `1.234,5`."""
    return Text(f"{{value:,.{digits}f}}", {"value": value})


def significant(value: float, digits: int = 2) -> Text:
    """A number with so many significant digits: `0.00012`, `1.2e-05`."""
    return Text(f"{{value:.{digits}g}}", {"value": value})


def percent(share: float, digits: int = 1) -> Text:
    """A share from 0 to 1 as `97.2%`, in Portuguese `97,2%`."""
    return Text(f"{{share:.{digits}%}}", {"share": share})


def date(written: str) -> str:
    """An ISO 8601 time as it is; in Portuguese `21/11/2026 10:05`, with `UTC` where it is of UTC."""
    if language() != "pt_BR":
        return written
    from datetime import datetime, timedelta

    when = datetime.fromisoformat(written)
    zone = " UTC" if when.utcoffset() == timedelta(0) else ""
    return when.strftime("%d/%m/%Y %H:%M") + zone


def in_english(text: Text | Exception | str) -> str:
    """A message for what programs read, which is the same in every language."""
    with using("en"):
        return str(text)
