"""Every string of a class's first page. A word in braces, such as {n}, is filled in by the page."""

from __future__ import annotations

from olhar.i18n import Text, _
from olhar.looks.texts import told

DOOR: dict[str, Text] = {
    "title": _("Class · olhar"),
    "language": _("Language"),
    "welcome": _("Who are you?"),
    "lead": _("Your project is on this class's computer. A name and a code open it."),
    "name": _("Your name"),
    "code": _("Your code"),
    "code_hint": _("The first time, choose one of four letters or more, and remember it."),
    "class_code": _("Code of the class"),
    "class_code_hint": _("The teacher has it."),
    "open": _("Open my project"),
    "you_are": _("You are {name}."),
    "go_on": _("Go on with my project"),
    "leave": _("I am somebody else"),
    "line": _("What is being trained"),
    "line_empty": _("Nothing is being trained."),
    "line_first": _("being trained now"),
    "line_waits": _("waits"),
    "students": _("{n} of {most} projects"),
    "no_answer": _("The class's computer does not answer. Is the studio running?"),
}


def class_texts(language: str) -> dict[str, str]:
    """The page's strings by name, in one of `olhar.i18n.LANGUAGES`; `tag` is for `<html lang>`."""
    return told(DOOR, language)
