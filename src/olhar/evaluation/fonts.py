"""Letters that Matplotlib's own font lacks: another font of this computer, else the class's number.

Does not know: what is drawn. Fonts are looked for by the names of their families.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from olhar.cache_place import STANDING_IN, cache_folder
from olhar.i18n import Text, _

_OWN = "DejaVu Sans"
_LATIN_ENDS = 0x250  # every letter below it is in Matplotlib's own font
_EXAMPLES = 3
# The first that has a letter draws it. Fonts of coloured emoji are pictures, which Matplotlib cannot draw.
_FAMILIES = (
    *(f"Noto Sans CJK {land}" for land in ("SC", "JP", "KR", "TC", "HK")),
    *(f"Noto Sans {land}" for land in ("SC", "JP", "KR", "TC", "HK")),
    *("Noto Serif CJK SC", "Source Han Sans SC", "Source Han Sans", "WenQuanYi Micro Hei"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "AR PL UMing CN", "IPAGothic", "TakaoGothic"),
    *("VL Gothic", "NanumGothic", "UnDotum", "Microsoft YaHei", "SimHei", "SimSun", "Yu Gothic"),
    *("Meiryo", "MS Gothic", "Malgun Gothic", "Microsoft JhengHei", "PingFang SC", "PingFang TC"),
    *("Hiragino Sans", "Hiragino Sans GB", "Heiti TC", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Noto Emoji", "Segoe UI Emoji", "Segoe UI Symbol", "Symbola", "Noto Sans Symbols"),
    *("Noto Sans Symbols 2", "Noto Sans", "Noto Sans Devanagari", "Noto Sans Bengali"),
    *("Noto Sans Tamil", "Noto Sans Thai", "Nirmala UI", "Leelawadee UI", "Loma", "Garuda"),
    *("FreeSans", "FreeSerif", "Unifont", "GNU Unifont"),
)


def prepare_matplotlib() -> None:
    """Let Matplotlib keep its list of fonts in our cache where it has no folder; it would complain."""
    if "MPLCONFIGDIR" not in os.environ:
        place = cache_folder()  # decides whether the platform's places can be written
        if STANDING_IN:
            os.environ["MPLCONFIGDIR"] = str(place / "matplotlib")


def families_for(texts: Iterable[str]) -> list[str]:
    """Families of fonts, Matplotlib's own first, that together draw as much of these texts as can be."""
    wanted = {ord(letter) for text in texts for letter in text if ord(letter) >= _LATIN_ENDS}
    wanted -= _letters(_OWN) if wanted else set()
    families = [_OWN]
    for family in _FAMILIES if wanted else ():
        found = wanted & _letters(family)
        if found:
            families.append(family)
            wanted -= found
    return families


def drawable_names(names: Sequence[str]) -> tuple[tuple[str, ...], Text | None]:
    """Names of classes as they can be drawn, and what to say where some cannot.

    Args:
        names: in index order; one that has a letter which no font has is drawn as its index.
    """
    if all(ord(letter) < _LATIN_ENDS for name in names for letter in name):
        return tuple(names), None
    known = frozenset[int]().union(*(_letters(family) for family in families_for(names)))
    lacking = [
        index
        for index, name in enumerate(names)
        if any(ord(letter) not in known and letter.isprintable() for letter in name)
    ]
    if not lacking:
        return tuple(names), None
    shown = tuple(str(index) if index in set(lacking) else name for index, name in enumerate(names))
    examples = ", ".join(f"{index} {names[index]}" for index in lacking[:_EXAMPLES])
    return shown, _(
        "no font of this computer has the letters of {count} class name(s), so the pictures show their "
        "numbers ({examples}…); to see the names install a font that has them, such as Noto Sans CJK "
        "(fonts-noto-cjk) or Noto Emoji",
        count=len(lacking),
        examples=examples,
    )


@functools.cache
def _letters(family: str) -> frozenset[int]:
    """The code points that a family has; none where it is not on this computer."""
    try:
        from matplotlib.font_manager import FontProperties, fontManager, get_font
    except ImportError:  # whoever draws says so
        return frozenset()
    manager: Any = fontManager
    if not any(entry.name == family for entry in manager.ttflist):
        return frozenset()
    try:
        path = manager.findfont(FontProperties(family=family), fallback_to_default=False)
        return frozenset(get_font(Path(path)).get_charmap())
    except (OSError, RuntimeError, ValueError):  # a font that cannot be read
        return frozenset()
