"""A check as one page: a file that holds its own pictures and style, and asks no host for anything.

Does not know: how anything was found.
"""

from __future__ import annotations

import base64
import html
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar import i18n
from olhar.check.check import CheckReport, item_names
from olhar.check.finding import ERROR, KINDS, NOTE, WARNING, Finding, shown_name
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.source import Source
from olhar.errors import OlharError
from olhar.files import HTML_MARK
from olhar.i18n import Text, _
from olhar.images import read_image

_SHOWN, _LISTED = 24, 200  # findings of a kind, with pictures and without
_PICTURES, _ALL_PICTURES = 6, 400  # of a finding, of the page
_SIDE = 176  # pixels
_UNREADABLE = {"unreadable", "truncated", "too_large", "no_access"}
_SIGNS = {ERROR: "✕", WARNING: "!", NOTE: "i"}

_STYLE = """
:root { color-scheme: light dark; --page: #f7f6f3; --panel: #fff; --sunk: #f0eee9; --ink: #1c1d20;
  --quiet: #65666c; --line: #e3e0d9; --accent: #0067a3; --error: #b3261e; --warning: #8a5a00;
  --note: #2c5f7d; }
@media (prefers-color-scheme: dark) { :root { --page: #131416; --panel: #1b1d20; --sunk: #26282c;
  --ink: #ececee; --quiet: #a2a4ab; --line: #2e3136; --accent: #6fc3f2; --error: #ff8a80;
  --warning: #f3be5b; --note: #86c5ea; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, main { max-width: 1100px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 24px; }
.brand { margin: 0; color: var(--quiet); font-weight: 600; }
h1 { margin: 0; font-size: 30px; line-height: 1.2; }
.folder { margin: 4px 0 0; color: var(--quiet); font: 14px/1.5 ui-monospace, Menlo, Consolas, monospace; }
dl { display: flex; flex-wrap: wrap; gap: 8px 40px; margin: 24px 0 16px; }
dt { color: var(--quiet); font-size: 14px; }
dd { margin: 0; font-size: 26px; font-weight: 600; font-variant-numeric: tabular-nums; }
.kinds { list-style: none; margin: 0 0 24px; padding: 0; display: grid; gap: 8px;
  grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); }
.kinds a { display: flex; height: 100%; gap: 10px; align-items: center; min-height: 44px; padding: 8px 12px;
  color: inherit; text-decoration: none; background: var(--panel); border: 1px solid var(--line);
  border-radius: 10px; }
.kinds a:hover { border-color: var(--accent); }
.kinds span { flex: 1; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
i { font-style: normal; }
h2 i, .kinds i { display: inline-grid; place-items: center; flex: none; width: 24px; height: 24px;
  border-radius: 50%; border: 2px solid currentcolor; font-size: 13px; font-weight: 700; line-height: 1; }
.error i { color: var(--error); } .warning i { color: var(--warning); } .note i { color: var(--note); }
.good { font-size: 20px; }
table { border-collapse: collapse; width: 100%; max-width: 560px; margin-bottom: 16px; }
caption { text-align: left; color: var(--quiet); font-size: 14px; }
th { text-align: left; font-weight: 500; padding: 2px 12px 2px 0; }
.figure { text-align: right; font-variant-numeric: tabular-nums; padding-right: 12px; }
.bar { width: 55%; } meter { width: 100%; display: block; }
meter::-webkit-meter-bar { background: var(--sunk); border: 0; }
meter::-webkit-meter-optimum-value { background: var(--accent); }
meter::-moz-meter-bar { background: var(--accent); }
section { margin: 36px 0; scroll-margin-top: 12px; }
h2 { display: flex; align-items: center; gap: 10px; margin: 0; font-size: 21px; line-height: 1.3; }
h2 small { color: var(--quiet); font-weight: 500; }
.what { margin: 4px 0 14px; color: var(--quiet); max-width: 75ch; }
.cards { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(220px, 100%), 1fr)); }
.groups { display: grid; gap: 12px; }
article { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 12px; }
article p { margin: 8px 0 0; font-size: 14px; }
.lines { border: 1px solid var(--line); border-radius: 10px; background: var(--panel); }
.lines article { border: 0; border-top: 1px solid var(--line); border-radius: 0; background: none; }
.lines article:first-child { border-top: 0; }
.lines article p { margin: 0; } .lines .row { display: none; }
.row { display: flex; flex-wrap: wrap; gap: 10px; align-items: flex-start; }
figure { margin: 0; min-width: 0; max-width: 176px; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 6px; background: var(--sunk); }
figcaption { font-size: 12px; line-height: 1.4; color: var(--quiet); margin-top: 4px; }
.more { color: var(--quiet); font-size: 14px; }
"""


def check_page(report: CheckReport) -> str:
    """The page, in the language in force.

    Args:
        report: as check_source gives it; the photos are read again, some 400 at most.
    """
    pictures = _Pictures(report.source)
    sections = "".join(_section(kind, report, pictures) for kind in report.counts())
    name = _escape(report.facts["name"])
    title = _escape(_("Data check"))
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
    return f"""<!doctype html>
<html lang="{i18n.language().replace("_", "-")}">
<head>
<meta charset="utf-8">
{HTML_MARK}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_escape(policy)}">
<title>{title}: {name} · olhar</title>
<style>{_STYLE}</style>
</head>
<body>
<header><p class="brand">olhar</p><h1>{title}</h1><p class="folder">{name}</p></header>
<main>{_summary(report)}{sections}</main>
</body>
</html>
"""


def _escape(text: object) -> str:
    return html.escape(shown_name(str(text)))


def _summary(report: CheckReport) -> str:
    """The counts, and a link to each kind of finding."""
    facts = report.facts
    figures = [
        (_("images"), f"{facts['images'] + len(facts['set_aside']):,}".replace(",", " ")),
        (_("classes"), len(facts["classes"])),
        (_("findings"), len(report.findings)),
    ]
    cells = "".join(
        f"<div><dt>{_escape(name)}</dt><dd>{_escape(value)}</dd></div>" for name, value in figures
    )
    links = "".join(
        f'<li class="{KINDS[kind].severity}"><a href="#{kind}">{_sign(kind)}'
        f"<span>{_escape(KINDS[kind].title)}</span><b>{count}</b></a></li>"
        for kind, count in report.counts().items()
    )
    none = _("Nothing was found.")
    nothing = "" if links else f'<p class="good">{_escape(none)}</p>'
    return f"<dl>{cells}</dl>{nothing}<ul class='kinds'>{links}</ul>{_classes(report)}"


def _classes(report: CheckReport) -> str:
    """A bar for each class."""
    rows = report.facts["classes"][:60]
    most = max([row["images"] for row in rows] + [1])
    bars = "".join(
        f"<tr><th scope='row'>{_escape(row['shown'])}</th><td class='figure'>{row['images']}</td>"
        f"<td class='bar'><meter min='0' max='{most}' value='{row['images']}'></meter></td></tr>"
        for row in rows
    )
    caption = _escape(_("Images a class"))
    return f"<table><caption>{caption}</caption><tbody>{bars}</tbody></table>"


def _sign(kind: str) -> str:
    names: dict[str, Text] = {ERROR: _("error"), WARNING: _("warning"), NOTE: _("note")}
    severity = KINDS[kind].severity
    return f'<i title="{_escape(names[severity])}">{_SIGNS[severity]}</i>'


def _section(kind: str, report: CheckReport, pictures: _Pictures) -> str:
    found = [finding for finding in report.findings if finding.kind == kind]
    most = _LISTED if kind in _UNREADABLE else _SHOWN
    cards = "".join(_card(finding, pictures) for finding in found[:most])
    left = len(found) - most
    rest = _("and {count} more", count=left)
    more = f'<p class="more">{_escape(rest)}</p>' if left > 0 else ""
    groups = any(len(finding.files) > 1 for finding in found[:most])
    shape = "lines" if kind in _UNREADABLE else "groups" if groups else "cards"
    return (
        f'<section id="{kind}" class="{KINDS[kind].severity}"><h2>{_sign(kind)}'
        f"{_escape(KINDS[kind].title)} <small>{len(found)}</small></h2>"
        f'<p class="what">{_escape(_capital(KINDS[kind].suggestion))}</p>'
        f'<div class="{shape}">{cards}</div>{more}</section>'
    )


def _capital(text: Text) -> str:
    words = str(text)
    return f"{words[:1].upper()}{words[1:]}."


def _card(finding: Finding, pictures: _Pictures) -> str:
    shown = [] if finding.kind in _UNREADABLE else finding.files[:_PICTURES]
    figures = "".join(_figure(file, pictures, len(finding.files) > 1) for file in shown)
    left = len(finding.files) - len(shown)
    rest = _("and {count} more", count=left)
    more = f'<p class="more">{_escape(rest)}</p>'
    more = more if shown and left else ""
    return f"<article><div class='row'>{figures}{more}</div><p>{_escape(finding.sentence)}</p></article>"


def _figure(file: str, pictures: _Pictures, named: bool) -> str:  # noqa: FBT001
    data = pictures.read(file)
    name = _escape(file)
    image = f'<img src="data:image/jpeg;base64,{data}" alt="{name}">' if data else "<i>?</i>"
    caption = f"<figcaption>{name}</figcaption>" if named else ""
    return f"<figure title='{name}'>{image}{caption}</figure>"


class _Pictures:
    """Small pictures of the items of a report, each read when it is wanted."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = _ALL_PICTURES
        self._rows: dict[str, int] = {}

    def read(self, file: str) -> str:
        """A small JPEG in base64; "" where it cannot be read, or there are enough."""
        if self._left <= 0:
            return ""
        self._left -= 1
        if not isinstance(self._source, PhotoFolder):
            self._rows = self._rows or {n: row for row, n in enumerate(item_names(self._source))}
            return _jpeg(np.asarray(self._source.images[self._rows[file]]))
        try:
            return _jpeg(read_image(self._source.path / file, shrink_to=_SIDE))
        except OlharError:
            return ""


def _jpeg(image: NDArray[np.uint8]) -> str:
    """(H, W, C) uint8 → base64 of a JPEG whose longest side is 176 pixels."""
    picture = Image.fromarray(image if image.shape[-1] == 3 else image[:, :, 0])
    if max(picture.size) < 64:  # enlarged in whole steps, its pixels stay sharp
        factor = 96 // max(picture.size) or 1
        picture = picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
        )
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=72)
    return base64.b64encode(content.getvalue()).decode()
