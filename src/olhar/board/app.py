"""The board over HTTP: GET only, nothing but this folder, nothing from any other host.

    GET /                            the page, with its style, scripts and icon
    GET /api/texts                   the page's strings (`?lang=pt`, else Accept-Language)
    GET /api/runs                    {"folder", "runs": [...]}: see `folders.list_runs`
    GET /api/runs/{id}               all of one run: see `folders.describe_run`
    GET /api/runs/{id}/card          {"html"}: its README, in the language asked for
    GET /pictures/{id}/{file}        a picture of its folder

An id comes from /api/runs and is itself percent-encoded once more in a URL. Every answer has an
ETag; with If-None-Match it is 304 where nothing has changed. Errors are {"code", "message"}.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from olhar import i18n, looks
from olhar.board import card, folders, texts
from olhar.errors import MissingFileError
from olhar.i18n import _
from olhar.web_server.answers import Answer, file_answer, json_answer, plain_answer
from olhar.web_server.hosts import HostNames
from olhar.web_server.request import Request
from olhar.web_server.routes import get
from olhar.web_server.site import Site

_PAGE = Path(__file__).parent / "page"


def build_app(
    root: Path, *, local: bool = True, allow_host: Collection[str] = (), root_path: str = ""
) -> Site:
    """The board over the runs in `root`, as an ASGI application.

    Args:
        root: the folder of runs.
        local: whether only this machine reaches it; then no foreign page may, through a name of its own
            (DNS rebinding).
        allow_host: names that are answered besides.
        root_path: the path under which a proxy shows it.
    """
    files = [*sorted(_PAGE.iterdir()), *(looks.FOLDER / name for name in ("words.js", "icon.svg"))]
    routes = [
        get("/", file_answer(_PAGE / "index.html")),
        *(get(f"/{file.name}", file_answer(file)) for file in files),
        get("/api/texts", lambda request: json_answer(request, texts.page_texts(i18n.language()))),
        get("/api/runs", lambda request: json_answer(request, _list(root))),
        get(
            "/api/runs/{id}",
            lambda request: json_answer(request, folders.describe_run(root, _id(request))),
        ),
        get("/api/runs/{id}/card", lambda request: json_answer(request, _card(root, request))),
        get("/pictures/{id}/{file:path}", lambda request: _picture(request, root)),
    ]
    return Site(
        "board",
        routes,
        HostNames(allow_host, local=local),
        root_path=root_path,
        checks=[_only_reading],
    )


def _id(request: Request) -> str:
    return request.params["id"]


def _list(root: Path) -> dict[str, Any]:
    return {"folder": root.as_posix(), "runs": folders.list_runs(root)}


def _card(root: Path, request: Request) -> dict[str, str]:
    key, prefix = _id(request), request.prefix
    address = f"{prefix and f'{prefix}/'}pictures/{quote(key, safe='')}/"
    markdown = card.read_card(folders.run_path(root, key))
    return {"html": card.render_card(markdown, folders.pictures(root, key), address)}


def _picture(request: Request, root: Path) -> Answer:
    name = request.params["file"]
    path = folders.pictures(root, _id(request)).get(name)
    if path is None:
        raise MissingFileError(_("this run has no picture '{name}'", name=name))
    return file_answer(path)(request)


def _only_reading(request: Request) -> Answer | None:
    if request.method in {"GET", "HEAD"}:
        return None
    return plain_answer(405, _("this page can only be read"), {"Allow": "GET, HEAD"})
