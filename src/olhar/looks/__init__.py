"""What olhar's pages have in common, those that a server sends and the one that needs none: files alone.

page.css   colours, type, controls, cards
words.js   texts and numbers in the reader's language, elements
draw.js    a sheet to draw on
icon.svg   the eye
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = ("page.css", "words.js", "draw.js", "icon.svg")
