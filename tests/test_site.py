"""The documentation as a reader has it: both languages, whole links, a site that needs no network."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from test_docs import FENCE, all_errors, anchors, commands_in, olhar_commands, rows, shell_commands

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TRANSLATED = [*sorted(ROOT.glob("*.pt-BR.md")), *sorted(DOCS.rglob("*.pt.md"))]
NOTEBOOKS = sorted((DOCS / "tutorials").glob("*.ipynb"))


def english(page: Path) -> Path:
    name = page.name.replace(".pt-BR.", ".").replace(".pt.", ".")
    return page.with_name(name)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def headings(page: Path) -> list[int]:
    """The depth of each heading."""
    content = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [len(marks) for marks in re.findall(r"^(#+) ", content, re.MULTILINE)]


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_a_translation_is_whole(page: Path) -> None:
    original = english(page)
    assert original.is_file()
    assert headings(page) == headings(original)
    assert shell_commands(name_of(page)) == shell_commands(name_of(original))


def test_the_portuguese_readme_has_the_same_commands_in_the_same_order() -> None:
    assert shell_commands("README.pt-BR.md") == shell_commands("README.md")
    assert commands_in("README.pt-BR.md") >= set(olhar_commands())


def test_every_error_has_cause_and_fix_in_portuguese() -> None:
    table, original = rows("docs/errors.pt.md", 6), rows("docs/errors.md", 6)
    assert set(table) == {kind.code for kind in all_errors()}
    for code, cells in table.items():
        assert cells[:4] == original.get(code, cells)[:4]
        assert all(cells[4:])


def test_settings_have_the_same_defaults_in_portuguese() -> None:
    table, original = rows("docs/training.pt.md", 4), rows("docs/training.md", 4)
    assert {name: cells[1] for name, cells in table.items()} == {
        name: cells[1] for name, cells in original.items()
    }


def markdown_of(path: Path) -> str:
    """The text of a page, or of the text cells of a notebook, without fenced blocks."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(content)["cells"]
        content = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return FENCE.sub("", content)


@pytest.mark.parametrize(
    "page", [*sorted((DOCS / "tutorials").glob("*.md")), *NOTEBOOKS], ids=lambda page: page.name
)
def test_links_of_tutorials_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", markdown_of(page)):
        if link.startswith(("http://", "https://")):
            continue
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target), link


# The built site ---------------------------------------------------------------


class Links(html.parser.HTMLParser):
    """What a page loads, where it leads, and which anchors it has."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a":
            self.leads.append(found.get("href", ""))
        elif "href" in found:
            self.loads.append(found["href"])
        self.loads += [found["src"]] if "src" in found else []


@pytest.fixture(scope="session")
def site() -> Path:
    """The site as `make docs` builds it; a broken link or a page without a place stops the build."""
    pytest.importorskip("material", reason="the site needs mkdocs-material")
    pytest.importorskip("nbclient", reason="the site needs nbclient")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "build_docs.py"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return ROOT / "build" / "site"


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Links]:
    return {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_nothing_is_loaded_from_another_host(pages: dict[Path, Links], site: Path) -> None:
    for path, links in pages.items():
        for link in links.loads:
            assert not urlsplit(link).netloc, f"{path.name}: {link}"
    for sheet in site.rglob("*.css"):
        content = sheet.read_text(encoding="utf-8")
        assert not re.search(r"url\(['\"]?(https?:)?//", content), sheet


def test_every_link_of_the_site_resolves(pages: dict[Path, Links]) -> None:
    for path, links in pages.items():
        if path.name == "404.html":  # its links are those of a server's root
            continue
        for link in {*links.leads, *links.loads}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not link:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{path.name}: {link}"


def test_both_languages_have_every_page(pages: dict[Path, Links], site: Path) -> None:
    names = {path.relative_to(site).as_posix() for path in pages}
    portuguese = {name.removeprefix("pt/") for name in names if name.startswith("pt/")}
    assert portuguese == {name for name in names if not name.startswith("pt/")}


def test_the_reference_has_every_command(site: Path) -> None:
    for place in ("", "pt/"):
        content = (site / f"{place}reference/cli.html").read_text(encoding="utf-8")
        for name in olhar_commands():
            assert f"olhar {name}" in content


def test_what_is_not_translated_says_so(site: Path) -> None:
    fallen_back = (site / "pt" / "translating.html").read_text(encoding="utf-8")
    translated = (site / "pt" / "first-steps.html").read_text(encoding="utf-8")
    assert "só existe em inglês" in fallen_back
    assert "só existe em inglês" not in translated


@pytest.mark.parametrize(
    ("place", "word", "other"), [("", "accuracy", "Português"), ("pt/", "acurácia", "English")]
)
def test_the_site_opens_from_a_folder(
    site: Path, browser: Any, place: str, word: str, other: str
) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / place / "index.html").as_uri())
    artefacts = ROOT / "tests" / "artefacts"
    artefacts.mkdir(exist_ok=True)
    page.screenshot(path=str(artefacts / f"site-{place.strip('/') or 'en'}.png"))
    page.fill("input.md-search__input", word)
    page.wait_for_selector(".md-search-result__item", timeout=20_000)
    page.keyboard.press("Escape")
    page.click(f"text={other} >> nth=0")
    page.wait_for_load_state()
    assert page.get_attribute("html", "lang") == ("en" if place else "pt")
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked), asked
    page.close()
