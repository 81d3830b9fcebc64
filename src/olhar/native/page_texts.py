"""Every string of the page that needs no server, in both languages, which it carries.

A word in braces, such as {n}, is filled in by the page.
"""

from __future__ import annotations

from olhar import i18n
from olhar.i18n import Text, _
from olhar.looks.texts import PICTURES, told

TAGS = {"en": "en", "pt": "pt_BR"}  # the page's languages, and olhar's names of them

_PAGE: dict[str, Text] = {
    **PICTURES,
    "more": _("About this model"),
    "camera": _("Camera"),
    "take": _("Take a photo"),
    "stays": _("Photos stay on this device: this page sends nothing, and needs no network."),
    "camera_hint": _("The answer follows what the camera sees. Nothing is recorded or sent."),
    "start_camera": _("Start the camera"),
    "stop_camera": _("Stop"),
    "other_camera": _("Other camera"),
    "shoot": _("Keep this picture"),
    "camera_busy": _("The camera is in use by another program. Close that, or choose a photo."),
    "camera_unsafe": _(
        "This browser gives the camera only to pages from https, from localhost or from a file. "
        "Choose a photo instead."
    ),
    "canvas": _("A sheet to draw on"),
    "canvas_hint": _("Draw one, as large as you like."),
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
    return told(_PAGE, TAGS[language])


def in_all_languages(text: Text) -> str:
    """A text in each language, one behind the other."""
    shown = []
    for language in TAGS.values():
        with i18n.using(language):
            shown.append(str(text))
    return " ".join(shown)
