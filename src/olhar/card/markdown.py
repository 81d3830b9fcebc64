"""Text, numbers and tables for a card. No text from outside can break what is made here.

Names and free text are put on one line, and every character that means something to Markdown, HTML
or a table is written so that it stands for itself. Numbers follow the language in force.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from olhar import i18n
from olhar.card.details import DETAILS
from olhar.i18n import Text, _
from olhar.run.report import short_name

Block = Text | str
NAME_LENGTH, VALUE_LENGTH = 40, 200

# An entity never has a meaning for Markdown (CommonMark, section 2.5); with the last five a
# backslash is as safe, and easier to read.
_ESCAPED = str.maketrans(
    {character: f"&#{ord(character)};" for character in "&<>|\\`$#"}
    | {character: "\\" + character for character in "*_[]~"}
)
_BLANK_LINES = re.compile(r"\n\s*\n")


def plain(text: object, length: int = NAME_LENGTH) -> str:
    """A name or value as it may stand in a sentence or a table cell: one line, nothing but text."""
    return short_name(str(text), length).translate(_ESCAPED)


def paragraphs(text: str) -> list[Block]:
    """Free text as paragraphs, which blank lines divide."""
    found: list[Block] = []
    for part in _BLANK_LINES.split(text.replace("\r\n", "\n").strip()):
        line = plain(part, len(part) + 1)
        # A paragraph could begin like a list, a rule or an underlined heading.
        starts_a_block = line[0] in "-+=" or line[0].isdigit()
        found.append(f"&#{ord(line[0])};{line[1:]}" if starts_a_block else line)
    return found


def stated(details: Mapping[str, str], key: str, title: Text | None = None) -> list[Block]:
    """What card.toml says of `key`, under its title; nothing where it says nothing."""
    if key not in details:
        return []
    first, *others = paragraphs(details[key])
    return [_("**{title}.** {text}", title=title, text=first) if title else first, *others]


def not_stated(details: Mapping[str, str], *keys: str) -> list[Block]:
    """What card.toml does not say of `keys`, and how to say it."""
    missing = [key for key in keys if key not in details]
    flags = ["--" + key.replace("_", "-") for key in missing]
    if not missing:
        return []
    what = [
        str(_("{meaning} (`{flag}`)", meaning=DETAILS[key], flag=flag))
        for key, flag in zip(missing, flags, strict=True)
    ]
    return [
        _(
            "*Not stated: {what}. To state it: `olhar card . {flag} TEXT`, or `{key}` in card.toml.*",
            what="; ".join(what),
            flag=flags[0],
            key=missing[0],
        )
    ]


def code_block(text: str) -> str:
    """Text in a fence that is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(text.splitlines())
    return f"{fence}sh\n{lines}\n{fence}"


def bullets(items: Iterable[Block]) -> str:
    """A list, an item a line."""
    return "\n".join(f"- {item}" for item in items)


def table(head: Sequence[Block], rows: Iterable[Sequence[Block]], numbers_from: int = 1) -> str:
    """A table; columns from `numbers_from` on are aligned to the right."""
    rule = ["---" if column < numbers_from else "---:" for column in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def number(value: float, digits: int = 0) -> str:
    """1234.5 → `1,234.5`, in Portuguese `1.234,5`."""
    if not math.isfinite(value):
        return str(_("not a number"))
    return str(i18n.number(value, digits))


def setting(value: object) -> str:
    """A setting's value: `0.005`, in Portuguese `0,005`; other text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain(value)
    return i18n.localise(f"{value:g}")


def significant(value: float) -> str:
    """A number with three significant digits, never in powers of ten."""
    if not math.isfinite(value) or value == 0:
        return number(value)
    return number(value, max(0, 2 - math.floor(math.log10(abs(value)))))


def percent(share: float, digits: int = 2) -> str:
    """0.98889 → `98.89%`."""
    return number(100 * share, digits) + "%" if math.isfinite(share) else number(share)


def interval(bounds: Sequence[float]) -> Text:
    """[0.97, 0.99] → `97.00% to 99.00%`."""
    low, high = bounds
    return _("{low} to {high}", low=percent(low), high=percent(high))


def duration(seconds: float) -> str:
    """Seconds as `4.9 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds < 60:
        return f"{number(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
