"""The Portuguese catalogue: compiled, whole for the card, and true to its placeholders."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

SOURCE = Path(__file__).parents[1] / "src" / "olhar"
FOLDER = SOURCE / "locales" / "pt_BR" / "LC_MESSAGES"
ROOMS = ("card", "cli/card.py")


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (FOLDER / "olhar.po").open("rb") as file:
        return read_po(file, locale="pt_BR")


def fields(text: str) -> set[str]:
    """The names of a text's placeholders."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_the_compiled_catalogue_is_in_step(catalogue: Catalog) -> None:
    with (FOLDER / "olhar.mo").open("rb") as file:
        compiled = {message.id: message.string for message in read_mo(file) if message.id}
    assert compiled == {message.id: message.string for message in catalogue if _done(message)}


def _done(message: object) -> bool:
    return bool(getattr(message, "id", "") and getattr(message, "string", ""))


def test_no_translation_is_a_guess(catalogue: Catalog) -> None:
    assert not [message.id for message in catalogue if message.id and message.fuzzy]


def test_placeholders_are_kept(catalogue: Catalog) -> None:
    for message in filter(_done, catalogue):
        assert fields(str(message.string)) == fields(str(message.id)), message.id


@pytest.mark.parametrize("room", ROOMS)
def test_every_message_of_a_room_is_translated(catalogue: Catalog, room: str) -> None:
    path = SOURCE / room
    keywords = {"_": None}
    if path.is_dir():
        found = [row[2] for row in extract_from_dir(path, keywords=keywords)]
    else:
        found = [row[1] for row in extract_from_file("python", path, keywords=keywords)]
    assert len(found) > 5
    missing = [text for text in found if not (text in catalogue and catalogue[text].string)]
    assert not missing
