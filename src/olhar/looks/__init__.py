"""What olhar's pages have in common, those that a server sends and the one that needs none.

texts.py        strings
page.css        colours, type, controls, cards
words.js        texts and numbers in the reader's language, elements
address.js      addresses of a server's answers
draw.js         a sheet to draw on
drops.js        files that are dropped on a page
cards.js        the cards of a page; picturecard.js: what each of them has; bars.js: its bars
icon.svg        the eye

In a page, `{{head FOLDER/ STYLE.css… SCRIPT.js}}` stands for what heads have, `{{NAME.html}}` for a part:
answers.html is the list of cards, photos.html and drawing.html what stands around photos and the sheet.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
SCRIPTS = ("words.js", "address.js", "draw.js", "drops.js", "cards.js", "picturecard.js", "bars.js")
NAMES = ("page.css", *SCRIPTS, "icon.svg")
PARTS = ("answers.html", "photos.html", "drawing.html")

_HEAD = re.compile(r"\{\{head (\S+/ )?((?:\w+\.css )+)(\w+\.js)\}\}")
_PART = re.compile(r"\{\{(\w+\.html)\}\}\n")


def read_page(path: Path) -> bytes:
    """A page with its head and its parts."""
    text = _HEAD.sub(_head, path.read_text(encoding="utf-8"))
    return _PART.sub(lambda match: (FOLDER / match[1]).read_text(encoding="utf-8"), text).encode()


def _head(match: re.Match[str]) -> str:
    at, styles, script = (match[1] or "").strip(), match[2].split(), match[3]
    return "\n  ".join(
        (
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            "<title>olhar</title>",
            f'<link rel="icon" href="{at}icon.svg" type="image/svg+xml">',
            *(f'<link rel="stylesheet" href="{at}{style}">' for style in styles),
            f'<script type="module" src="{at}{script}"></script>',
        )
    )
