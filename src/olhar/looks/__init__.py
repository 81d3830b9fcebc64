"""What olhar's pages have in common, those that a server sends and the one that needs none.

texts.py        strings
page.css        colours, type, controls, cards
words.js        texts and numbers in the reader's language, elements
address.js      addresses of a server's answers
draw.js         a sheet to draw on
drops.js        files that are dropped on a page
cards.js        the cards of a page; picturecard.js: what each of them has; bars.js: its bars
icon.svg        the eye

A page that a server sends has the line `{{head FOLDER/ STYLE.css… SCRIPT.js}}` for what all heads have.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
SCRIPTS = ("words.js", "address.js", "draw.js", "drops.js", "cards.js", "picturecard.js", "bars.js")
NAMES = ("page.css", *SCRIPTS, "icon.svg")

_HEAD = re.compile(r"\{\{head (\S+/ )?((?:\w+\.css )+)(\w+\.js)\}\}")


def read_page(path: Path) -> bytes:
    """A page with its head."""
    return _HEAD.sub(_head, path.read_text(encoding="utf-8")).encode()


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
