"""A run's README as HTML that is safe to show: raw HTML stays text, nothing is loaded from elsewhere.

Does not know: who wrote the card, or how it is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from olhar import i18n
from olhar.board.folders import CARDS
from olhar.errors import MissingFileError, explain_os_errors
from olhar.i18n import _
from olhar.run.reading import is_own_file

if TYPE_CHECKING:
    from markdown_it.token import Token

_MOST_CHARACTERS = 2_000_000
_OUTWARD = ("http://", "https://", "mailto:")


def read_card(path: Path) -> str:
    """The Markdown of a run's card in the language in force, or in the other where that is missing.

    Raises:
        MissingFileError: the run has no card.
    """
    names = CARDS if i18n.language() == "en" else tuple(reversed(CARDS))
    for name in names:
        with explain_os_errors(path / name):
            if is_own_file(path / name):
                text = (path / name).read_bytes().decode("utf-8", "replace")
                return text[:_MOST_CHARACTERS]
    raise MissingFileError(
        _("this run has no card yet; write one with: olhar card {path}", path=path.as_posix())
    )


def render_card(markdown: str, pictures: Collection[str], address: str) -> str:
    """Markdown → HTML.

    Args:
        markdown: the card; its YAML front matter is left out.
        pictures: relative paths of the pictures that the card may show.
        address: where they are served, such as "/pictures/ID/".
    """
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(_without_front_matter(markdown))
    _make_safe(tokens, pictures, address)
    rendered: str = renderer.renderer.render(tokens, renderer.options, {})
    return rendered


def _without_front_matter(markdown: str) -> str:
    lines = markdown.lstrip("\ufeff").splitlines()
    if lines and lines[0].strip() == "---":
        for number, line in enumerate(lines[1:], start=1):
            if line.strip() == "---":
                return "\n".join(lines[number + 1 :])
    return "\n".join(lines)


def _make_safe(tokens: Iterable[Token], pictures: Collection[str], address: str) -> None:
    """Pictures come from the run folder alone; links lead out in a tab of their own, or nowhere."""
    for token in tokens:
        if token.type == "image":
            name = unquote(str(token.attrs.get("src", ""))).removeprefix("./")
            if name in pictures:
                _set(token, src=address + quote(name), loading="lazy")
            else:
                token.type, token.tag = "text", ""
        elif token.type in {"td_open", "th_open"}:  # the page allows no style attributes
            right = "right" in str(token.attrs.get("style", ""))
            token.attrs = {"class": "figure"} if right else {}
        elif token.type == "link_open":
            target = str(token.attrs.get("href", ""))
            token.attrs = {}
            if target.lower().startswith(_OUTWARD):
                _set(token, href=target, target="_blank", rel="noopener noreferrer")
        _make_safe(token.children or [], pictures, address)


def _set(token: Token, **attributes: Any) -> None:
    token.attrs = {**token.attrs, **attributes}
