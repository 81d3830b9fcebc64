"""Every string of the page. The browser gets them as JSON, in its own language.

A word in braces, such as {n}, is filled in by the page.
"""

from __future__ import annotations

from olhar import i18n
from olhar.i18n import Text, _

_PAGE: dict[str, Text] = {
    "title": _("Try it · olhar"),
    "skip": _("Skip to the answers"),
    "language": _("Language"),
    "model": _("Model"),
    "question": _("What is in the photo?"),
    "digit_question": _("Which digit is it?"),
    "about": _("{network}, trained on {data}: {n} classes. It sees {size} × {size} pixels."),
    "take_along": _("Save this model as one HTML file, which works without a server"),
    "making_file": _("Making the file…"),
    "way": _("How to give a picture"),
    "draw": _("Draw"),
    "photos": _("Photos"),
    "drop": _("Drop photos here"),
    "drop_hint": _("or paste them, from this computer or another page"),
    "drop_now": _("Let go to ask about these photos"),
    "choose": _("Choose photos"),
    "camera": _("Take a photo"),
    "camera_title": _("Take a photo"),
    "camera_refused": _(
        "The browser was not allowed to use the camera. Allow it, or choose a photo."
    ),
    "camera_none": _("There is no camera. Choose a photo instead."),
    "shoot": _("Take it"),
    "camera_photo": _("Photo {n}"),
    "pasted": _("Pasted photo {n}"),
    "canvas": _("A sheet to draw a digit on"),
    "canvas_hint": _("Draw one digit, as large as you like."),
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
    "waiting": _("The server is busy; trying again…"),
    "not_sure": _("not sure"),
    "inverted": _("read inverted"),
    "inverted_hint": _(
        "Its border is bright where it was dark in training, or the other way round, so bright was read as "
        "dark."
    ),
    "read_inverted": _("Read it inverted"),
    "read_as_is": _("Read it as it is"),
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
    "no_photos": _("There was no photo in that."),
    "token_title": _("This server asks for its token"),
    "token_hint": _("Whoever started it knows the token. It stays in this tab."),
    "token": _("Token"),
    "token_use": _("Use it"),
    "close": _("Close"),
}


def page_texts(language: str) -> dict[str, str]:
    """The page's strings by name, in one of `olhar.i18n.LANGUAGES`; `tag` is for `<html lang>`."""
    with i18n.using(language):
        return {
            "tag": language.replace("_", "-"),
            **{key: str(text) for key, text in _PAGE.items()},
        }
