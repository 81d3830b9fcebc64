"""Every string of the phone's page. A word in braces, such as {n}, is filled in by the page."""

from __future__ import annotations

from olhar.i18n import Text, _
from olhar.looks.texts import told

PHONE: dict[str, Text] = {
    "title": _("Photos · olhar"),
    "language": _("Language"),
    "lead": _("Photos that you take here appear at the computer at once."),
    "what": _("What do the photos show?"),
    "later": _("Sort them later"),
    "take": _("Take a photo"),
    "choose": _("Choose photos"),
    "choose_first": _("First choose what the photos show."),
    "on_the_way": _("{done} of {total} photos are there"),
    "there": _("{n} photos are there."),
    "there_one": _("1 photo is there."),
    "progress": _("Progress"),
    "already": _("Already there, and not taken twice: {n}"),
    "refused": _("Not taken: {n}"),
    "lost": _("Not sent, since the computer did not answer: {n}"),
    "again": _("Send again"),
    "closed": _(
        "The computer lets no phones in any more. At the computer, press “Let phones in”, and scan the "
        "new code."
    ),
    "no_answer": _(
        "The computer does not answer. Is this phone still in the same network, and the studio running?"
    ),
    "gone": _("There is no class {name} any more; choose another."),
}


def phone_texts(language: str) -> dict[str, str]:
    """The page's strings by name, in one of `olhar.i18n.LANGUAGES`; `tag` is for `<html lang>`."""
    return told(PHONE, language)
