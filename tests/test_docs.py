"""The documentation holds: commands parse, links resolve, tables equal the code."""

from __future__ import annotations

import argparse
import builtins
import dataclasses
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import olhar
import settings_tables
from olhar import errors
from olhar.classifier import ModelConfig
from olhar.cli import build_parser
from olhar.data_settings import DATA
from olhar.errors import OlharError
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.run import HISTORY_COLUMNS
from olhar.run.report import ClassScores, Report
from olhar.training.recipe import RECIPE, RESOURCES

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [content for found, content in FENCE.findall(text(name)) if found == language]


def shell_commands(name: str) -> list[list[str]]:
    """The words of each command in a page's sh blocks, without leading VARIABLE=value."""
    lines = "\n".join(blocks(name, "sh")).replace("\\\n", " ").splitlines()
    commands = []
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            commands.append(words)
    return commands


def rows(name: str, width: int) -> dict[str, list[str]]:
    """The rows of a page's tables of `width` columns, by the code in the first column."""
    found = {}
    for line in text(name).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == width:
            found[cells[0].strip("`")] = cells
    return found


def olhar_commands() -> dict[str, argparse.ArgumentParser]:
    actions = build_parser()._actions
    choices = next(a.choices for a in actions if isinstance(a, argparse._SubParsersAction))
    return dict(choices)


def all_errors(kind: type[OlharError] = OlharError) -> Iterator[type[OlharError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from all_errors(child)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_olhar_command_parses(page: Path) -> None:
    for command in shell_commands(str(page.relative_to(ROOT))):
        assert command[0] in {"olhar", "make", "pip", "tensorboard", "wandb", "mlflow"}, command
        if command[0] == "olhar":
            build_parser().parse_args(command[1:])


def commands_in(page: str) -> set[str]:
    """The commands that a page shows, those of two words too."""
    return {" ".join(words[1:count]) for words in shell_commands(page) for count in (2, 3)}


def test_the_readme_names_every_command() -> None:
    missing = set(olhar_commands()) - commands_in("README.md")
    assert not missing


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8")))
        commands = shell_commands(str(page.relative_to(ROOT)))
        named |= {words[1] for words in commands if words[0] == "make" and words[1] != "-C"}
        assert named <= targets, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page: Path) -> None:
    content = FENCE.sub("", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", content)
    for link in (one or other for one, other in links):
        if link.startswith(("http://", "https://")):
            continue
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    content = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", content, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "images").rglob("*.png"):
        assert picture.stat().st_size < 200_000, picture.name


def test_layers_are_those_of_the_import_rule() -> None:
    contracts = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    (shown,) = blocks("docs/architecture.md", "layers")
    assert shown.splitlines() == layers


def test_tables_of_settings_are_those_of_the_declarations() -> None:
    pages = settings_tables.pages()
    assert {page.stem for page in pages} >= {"training", "serving", "sweeps", "training.pt"}
    for page in pages:
        made = settings_tables.with_tables(page)
        assert page.read_text(encoding="utf-8") == made, f"{page.name}: run make tables"
    listed = rows("docs/training.md", 4)
    assert list(listed) == [*RECIPE, *RESOURCES, *DATA, *NETWORK]


def test_formats_name_every_field() -> None:
    page = text("docs/formats.md")
    kinds = (Report, ModelConfig)
    names = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    for name in {*names, *ClassScores.__annotations__, *HISTORY_COLUMNS} - {"format"}:
        shown = f"`{name}`" in page or f'"{name}"' in page
        assert shown, name
    assert ",".join(HISTORY_COLUMNS) in page.splitlines()


def test_every_error_is_in_the_table() -> None:
    table = rows("docs/errors.md", 6)
    assert set(table) == {kind.code for kind in all_errors()}
    for kind in all_errors():
        _, name, builtin, status, cause, fix = table[kind.code]
        assert (name, int(status)) == (kind.__name__, kind.exit_status)
        assert issubclass(kind, getattr(builtins, builtin))
        assert cause
        assert fix


def test_the_error_tree_is_drawn() -> None:
    drawn = re.findall(r"─ (\w+) +(\w+) +\(?(\w+)\)?$", errors.__doc__ or "", re.MULTILINE)
    assert {name for name, _, _ in drawn} == {kind.__name__ for kind in all_errors()}
    for name, code, builtin in drawn:
        kind = getattr(errors, name)
        assert kind.code == code
        assert issubclass(kind, getattr(builtins, builtin))


def test_public_names_are_the_table_and_resolve() -> None:
    public = {*olhar._HOMES, "__version__"}
    assert set(olhar.__all__) == public - {"list"}  # a star import must not hide Python's own
    assert dir(olhar) == sorted(olhar.__all__)
    for name in olhar.__all__:
        assert getattr(olhar, name) is not None
