"""The tables of settings in the documentation, made from the declarations: `make tables`.

In a page a table stands between `<!-- settings: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

from olhar.bulk.settings import BULK
from olhar.data_settings import DATA
from olhar.i18n import using
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.serving.settings import SERVE
from olhar.settings import Setting, Table
from olhar.sweep.settings import PLACE, SWEEP
from olhar.training.recipe import RECIPE, RESOURCES

_DOCS = Path(__file__).parents[1] / "docs"
_TABLES: dict[str, Table] = {
    "recipe": RECIPE,
    "resources": RESOURCES,
    "data": DATA,
    "network": NETWORK,
    "sweep": SWEEP,
    "place": PLACE,
    "bulk": BULK,
    "serve": {name: one for name, one in SERVE.items() if name != "token"},
}
_BY_FLAG = ("sweep", "place", "serve", "bulk")  # the others are given in files and by --set as well
_HEADS = {
    "en": ("setting", "default", "allowed", "meaning"),
    "pt": ("configuração", "padrão", "permitido", "significado"),
}
_PLACE = re.compile(r"(<!-- settings: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: Path) -> str:
    """The text of a page with its tables made anew."""
    language = "pt" if page.stem.endswith(".pt") else "en"
    text = page.read_text(encoding="utf-8")
    return _PLACE.sub(lambda found: found[1] + _table(found[2], language) + found[3], text)


def pages() -> list[Path]:
    """The pages that have such tables."""
    return [p for p in sorted(_DOCS.glob("*.md")) if _PLACE.search(p.read_text(encoding="utf-8"))]


def _table(name: str, language: str) -> str:
    with using(language):
        rows = [_row(one, by_flag=name in _BY_FLAG) for one in _TABLES[name].values()]
        head, *lines = [f"| {' | '.join(row)} |\n" for row in (_HEADS[language], *rows)]
        return "".join([head, "|---|---|---|---|\n", *lines])


def _row(one: Setting, *, by_flag: bool) -> tuple[str, ...]:
    default = "" if one.default in (None, ()) else f"`{one.write(one.default)}`"
    cells = (
        f"`{one.flag if by_flag else one.name}`",
        default,
        str(one.kind.allowed()),
        str(one.text),
    )
    return tuple(cell.replace("|", "\\|") for cell in cells)


if __name__ == "__main__":
    for page in pages():
        page.write_text(with_tables(page), encoding="utf-8")
