"""What olhar's pages have in common, those that a server sends and the one that needs none.

texts.py        strings
page.css        colours, type, controls, cards
words.js        texts and numbers in the reader's language, elements
address.js      addresses of a server's answers
draw.js         a sheet to draw on
drops.js        files that are dropped on a page
cards.js        the cards of a page; picturecard.js: what each of them has; bars.js: its bars
icon.svg        the eye
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
SCRIPTS = ("words.js", "address.js", "draw.js", "drops.js", "cards.js", "picturecard.js", "bars.js")
NAMES = ("page.css", *SCRIPTS, "icon.svg")
