"""The Portuguese catalogue: whole, compiled, and true to placeholders, flags, commands and files."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from olhar.cli import build_parser

SOURCE = Path(__file__).parents[1] / "src" / "olhar"
FOLDER = SOURCE / "locales" / "pt_BR" / "LC_MESSAGES"
PERCENT = re.compile(r"%(?:\(\w+\))?[srd](?![\w%])")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FILE = re.compile(
    r"(?<![\w.-])[a-z][\w-]*\.(?:csv|json|jsonl|md|onnx|png|safetensors|toml|txt|yaml|yml|zip)\b"
)
# Names of settings and devices: nothing to translate.
CODE_ALONE = {"auto, cpu, cuda, cuda:1…"}


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (FOLDER / "olhar.po").open("rb") as file:
        return read_po(file, locale="pt_BR")


@pytest.fixture(scope="module")
def pairs(catalogue: Catalog) -> dict[str, str]:
    """Every message with its translation, "" where there is none."""
    return {str(message.id): str(message.string) for message in catalogue if message.id}


@pytest.fixture(scope="module")
def source() -> set[str]:
    """Every literal in the code."""
    return {str(row[2]) for row in extract_from_dir(SOURCE, keywords={"_": None})}


def fields(text: str) -> set[tuple[str, str, str]]:
    """The placeholders of a text: name, format and conversion."""
    parsed = string.Formatter().parse(text)
    return {(name, form or "", conv or "") for _, name, form, conv in parsed if name is not None}


def test_every_text_of_the_code_is_translated(pairs: dict[str, str], source: set[str]) -> None:
    missing = sorted(text for text in source if not pairs.get(text))
    assert not missing, f"{len(missing)} texts without translation; see docs/translating.md"


def test_no_text_hides_where_it_is_not_gathered(source: set[str]) -> None:
    """Babel does not look into f-strings."""
    found = {
        call.args[0].value
        for path in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "_"
        if call.args and isinstance(call.args[0], ast.Constant)
    }
    assert not sorted(found - source)


def test_no_translation_is_left_over(pairs: dict[str, str], source: set[str]) -> None:
    assert not sorted(set(pairs) - source)


def test_no_translation_is_a_guess(catalogue: Catalog) -> None:
    assert not [message.id for message in catalogue if message.id and message.fuzzy]


def test_the_compiled_catalogue_is_in_step(pairs: dict[str, str]) -> None:
    with (FOLDER / "olhar.mo").open("rb") as file:
        compiled = {message.id: message.string for message in read_mo(file) if message.id}
    assert compiled == {text: done for text, done in pairs.items() if done}


def test_placeholders_and_code_agree(pairs: dict[str, str]) -> None:
    commands = next(a.choices for a in build_parser()._actions if a.dest == "command")
    command = re.compile(rf"\bolhar (?:{'|'.join(map(re.escape, commands))})\b")
    wrong = []
    for text, done in pairs.items():
        if not done:
            continue
        agree = [fields(text) == fields(done)] if "{" in text and text not in _NOT_FORMATS else []
        agree.append(sorted(PERCENT.findall(text)) == sorted(PERCENT.findall(done)))
        for code in (FLAG, FILE, command):
            agree.append(set(code.findall(text)) == set(code.findall(done)))
        edges = [(one[:1].isspace(), one[-1:].isspace()) for one in (text, done)]
        if not all(agree) or edges[0] != edges[1]:
            wrong.append((text, done))
    assert not wrong


_NOT_FORMATS = {'"outputs" must be a list of {"name"}'}  # shown as it is, without values


def test_no_translation_is_still_english(pairs: dict[str, str]) -> None:
    def words(text: str) -> list[str]:
        return re.findall(r"\b[a-z]{2,}\b", re.sub(r"\{[^}]*\}|`[^`]*`|\S+://\S+", "", text))

    copied = [text for text, done in pairs.items() if text == done and len(words(text)) >= 4]
    assert not set(copied) - CODE_ALONE
