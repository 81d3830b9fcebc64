"""Strings of the pages that take pictures in, whoever answers; and how a page's strings are told.

A word in braces, such as {n}, is filled in by the page.
"""

from __future__ import annotations

from collections.abc import Mapping

from olhar import i18n
from olhar.i18n import Text, _

PICTURES: dict[str, Text] = {
    "title": _("Try it · olhar"),
    "skip": _("Skip to the answers"),
    "language": _("Language"),
    "question": _("What is in the photo?"),
    "digit_question": _("Which digit is it?"),
    "about": _("{network}, trained on {data}: {n} classes. It sees {size} × {size} pixels."),
    "way": _("How to give a picture"),
    "draw": _("Draw"),
    "photos": _("Photos"),
    "drop": _("Drop photos here"),
    "drop_hint": _("or paste them, from this computer or another page"),
    "drop_now": _("Let go to ask about these photos"),
    "choose": _("Choose photos"),
    "camera_refused": _(
        "The browser was not allowed to use the camera. Allow it, or choose a photo."
    ),
    "camera_none": _("There is no camera. Choose a photo instead."),
    "camera_photo": _("Photo {n}"),
    "pasted": _("Pasted photo {n}"),
    "canvas_keys": _(
        "By keyboard: arrow keys move the pen, Space puts it down or lifts it, Backspace takes the "
        "last stroke back."
    ),
    "pen_down": _("pen down"),
    "pen_up": _("pen up"),
    "undo": _("Undo"),
    "new_drawing": _("New drawing"),
    "drawing": _("Drawing {n}"),
    "answers": _("Answers"),
    "one_photo": _("1 picture"),
    "some_photos": _("{n} pictures"),
    "some_unsure": _("{n} not sure"),
    "some_failed": _("{n} without an answer"),
    "clear": _("Remove all"),
    "remove": _("Remove {name}"),
    "working": _("Looking…"),
    "not_sure": _("not sure"),
    "outlier": _("perhaps none of its classes"),
    "outlier_hint": _(
        "It is less like the photos that this model learnt from than 95 % of such are."
    ),
    "unsure_hint": _("Its best guess is under {threshold}, from where this model counts as sure."),
    "said": _("{name}: {label}, {share}"),
    "said_unsure": _("{name}: not sure; perhaps {label}, {share}"),
    "said_outlier": _("{name}: perhaps none of its classes; most like {label}, {share}"),
    "said_failed": _("{name}: no answer. {reason}"),
    "bars": _("Most probable classes"),
    "sure_from": _("sure from {threshold}"),
    "picture": _("What you gave"),
    "seen": _("What the network sees"),
    "seen_of": _("{name} as the network sees it: {size} × {size} pixels"),
    "no_photos": _("There was no photo in that."),
    "close": _("Close"),
}


def told(texts: Mapping[str, Text], language: str) -> dict[str, str]:
    """A page's strings by name, in one of `olhar.i18n.LANGUAGES`; `tag` is for `<html lang>`."""
    with i18n.using(language):
        return {
            "tag": language.replace("_", "-"),
            **{key: str(text) for key, text in texts.items()},
        }
