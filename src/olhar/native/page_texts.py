"""Every string of the page that needs no server, in both languages, which it carries.

A word in braces, such as {n}, is filled in by the page.
"""

from __future__ import annotations

from olhar import i18n
from olhar.i18n import Text, _

TAGS = {"en": "en", "pt": "pt_BR"}  # the page's languages, and olhar's names of them

_PAGE: dict[str, Text] = {
    "title": _("Try it · olhar"),
    "skip": _("Skip to the answers"),
    "language": _("Language"),
    "question": _("What is in the photo?"),
    "digit_question": _("Which digit is it?"),
    "about": _("{network}, trained on {data}: {n} classes. It sees {size} × {size} pixels."),
    "more": _("About this model"),
    "close": _("Close"),
    "way": _("How to give a picture"),
    "draw": _("Draw"),
    "photos": _("Photos"),
    "camera": _("Camera"),
    "drop": _("Drop photos here"),
    "drop_hint": _("or paste them, from this computer or another page"),
    "drop_now": _("Let go to ask about these photos"),
    "choose": _("Choose photos"),
    "take": _("Take a photo"),
    "stays": _("Photos stay on this device: this page sends nothing, and needs no network."),
    "camera_hint": _("The answer follows what the camera sees. Nothing is recorded or sent."),
    "start_camera": _("Start the camera"),
    "stop_camera": _("Stop"),
    "other_camera": _("Other camera"),
    "shoot": _("Keep this picture"),
    "camera_refused": _(
        "The browser was not allowed to use the camera. Allow it, or choose a photo."
    ),
    "camera_none": _("There is no camera. Choose a photo instead."),
    "camera_busy": _("The camera is in use by another program. Close that, or choose a photo."),
    "camera_unsafe": _(
        "This browser gives the camera only to pages from https, from localhost or from a file. "
        "Choose a photo instead."
    ),
    "camera_photo": _("Photo {n}"),
    "pasted": _("Pasted photo {n}"),
    "canvas": _("A sheet to draw on"),
    "canvas_hint": _("Draw one, as large as you like."),
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
    "failed_empty": _("This file is empty. Copy or download it again."),
    "failed_damaged": _("This PNG is damaged or cut off. Copy or download it again."),
    "failed_large": _(
        "This photo has {width} × {height} pixels; at most 100 million in all are allowed. Save a "
        "smaller copy."
    ),
    "failed_kind": _(
        "This browser does not read {kind} files. Save the photo as JPEG or PNG, and try again."
    ),
    "failed_no_photo": _(
        "This is no photo that this browser reads, or it is damaged. Save it as JPEG or PNG, and "
        "try again."
    ),
    "failed_noise": _(
        "This browser hides from pages what photos show, as a protection against tracking. Allow this "
        "page to read pictures (canvas), or give a PNG."
    ),
    "failed_broken": _("The page could not compute the answer: {reason}. Reload it and try again."),
    "no_simd": _(
        "This browser is too old for this page: it lacks WebAssembly SIMD. Open the page in Chrome or "
        "Edge from version 91, Firefox from 113, or Safari from 16.4."
    ),
    "no_start": _(
        "The model inside this page does not start: {reason}. Get the file again, for it may be cut "
        "off, or try another browser."
    ),
}
NO_SCRIPT = _("This page needs JavaScript, which is switched off in this browser.")


def page_texts(language: str) -> dict[str, str]:
    """The page's strings by name, in one of `TAGS`; `tag` is for `<html lang>`."""
    with i18n.using(TAGS[language]):
        return {
            "tag": TAGS[language].replace("_", "-"),
            **{key: str(text) for key, text in _PAGE.items()},
        }


def in_all_languages(text: Text) -> str:
    """A text in each language, one behind the other."""
    shown = []
    for language in TAGS.values():
        with i18n.using(language):
            shown.append(str(text))
    return " ".join(shown)
