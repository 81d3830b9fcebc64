"""Text for people: one function, `_()`, translated when it is shown.

Does not know: who shows the text, or where. A `Text` keeps its literal and its values until it is
turned into a string, so that an error raised in one language can be read in another.
"""

from __future__ import annotations

import functools
import gettext
import locale
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "pt_BR")
_LOCALES = Path(__file__).parent / "locales"
_chosen: list[str] = []
_using: ContextVar[str] = ContextVar("_using", default="")


def normalise_language(tag: str) -> str | None:
    """`pt`, `pt-BR`, `pt_BR.UTF-8` → `pt_BR`; `en…`, `C` → `en`; anything else → None."""
    head = tag.replace("-", "_").split(".")[0].lower()
    if head.startswith("pt"):
        return "pt_BR"
    return "en" if head.startswith("en") or head in {"c", "posix"} else None


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


@dataclass(frozen=True)
class Text:
    """A message for people: an English literal with named placeholders, and their values."""

    literal: str
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        translated = _catalogue(language()).gettext(self.literal)
        return translated.format(**self.values) if self.values else translated


def _(literal: str, **values: Any) -> Text:
    """Mark `literal` for translation; `values` fill its `{named}` placeholders when it is shown."""
    return Text(literal, values)
