"""Every string of the page. The browser gets them as JSON, in its own language.

A word in braces, such as {n}, is filled in by the page.
"""

from __future__ import annotations

from olhar.i18n import Text, _
from olhar.looks.texts import PICTURES, told

_PAGE: dict[str, Text] = {
    **PICTURES,
    "model": _("Model"),
    "take_along": _("Save this model as one HTML file, which works without a server"),
    "making_file": _("Making the file…"),
    "camera": _("Take a photo"),
    "camera_title": _("Take a photo"),
    "shoot": _("Take it"),
    "canvas": _("A sheet to draw a digit on"),
    "canvas_hint": _("Draw one digit, as large as you like."),
    "waiting": _("The server is busy; trying again…"),
    "inverted": _("read inverted"),
    "inverted_hint": _(
        "Its border is bright where it was dark in training, or the other way round, so bright was read as "
        "dark."
    ),
    "read_inverted": _("Read it inverted"),
    "read_as_is": _("Read it as it is"),
    "looked": _("Where it looked"),
    "looked_of": _("{name}: the parts that the answer depends on are orange"),
    "looking": _("Covering it part by part…"),
    "correct": _("Correct"),
    "right_class": _("It shows"),
    "another": _("another class…"),
    "new_class": _("Name of the class"),
    "keep": _("Keep"),
    "kept": _("Kept as {label}. Thank you."),
    "kept_before": _("It was kept as {label} already."),
    "retry": _("Try again"),
    "no_server": _("The server does not answer. Is it still running? Then try again."),
    "strange_answer": _("The server answered with an error ({status}) and no explanation."),
    "too_large": _("This file has {size} MB; at most {limit} MB are allowed. Save a smaller copy."),
    "token_title": _("This server asks for its token"),
    "token_hint": _("Whoever started it knows the token. It stays in this tab."),
    "token": _("Token"),
    "token_use": _("Use it"),
}


def page_texts(language: str) -> dict[str, str]:
    """The page's strings by name, in one of `olhar.i18n.LANGUAGES`; `tag` is for `<html lang>`."""
    return told(_PAGE, language)
