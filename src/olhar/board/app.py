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

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from olhar import i18n, looks
from olhar.board import card, folders, texts
from olhar.errors import MissingFileError, OlharError
from olhar.i18n import Text, _
from olhar.web_server.local_pages import (
    file_answer,
    guarded,
    json_answer,
    refuse,
    request_language,
)
from olhar.web_server.prefix import PREFIX

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Scope

_PAGE = Path(__file__).parent / "page"


def build_app(
    root: Path, *, local: bool = True, allow_host: Collection[str] = (), root_path: str = ""
) -> ASGIApp:
    """The board over the runs in `root`, as an ASGI application.

    Args:
        root: the folder of runs.
        local: whether only this machine reaches it; then no foreign page may, through a name of its own
            (DNS rebinding).
        allow_host: names that are answered besides.
        root_path: the path under which a proxy shows it.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    def route(path: str, answer: Callable[[Request], Response]) -> Route:
        def endpoint(request: Request) -> Response:
            with i18n.using(request_language(request)):
                return answer(request)

        return Route(path, endpoint, methods=["GET"])

    files = [*sorted(_PAGE.iterdir()), *(looks.FOLDER / name for name in ("words.js", "icon.svg"))]
    pages = [route(f"/{file.name}", file_answer(file)) for file in files]
    routes = [
        route("/", file_answer(_PAGE / "index.html")),
        *pages,
        route(
            "/api/texts", lambda request: json_answer(request, texts.page_texts(i18n.language()))
        ),
        route("/api/runs", lambda request: json_answer(request, _list(root))),
        route(
            "/api/runs/{id}",
            lambda request: json_answer(request, folders.describe_run(root, _id(request))),
        ),
        route("/api/runs/{id}/card", lambda request: json_answer(request, _card(root, request))),
        route("/pictures/{id}/{file:path}", lambda request: _picture(request, root)),
    ]
    app: Starlette = Starlette(routes=routes, exception_handlers={OlharError: refuse})
    return guarded(
        app, "board", local=local, allow_host=allow_host, root_path=root_path, check=_check
    )


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _list(root: Path) -> dict[str, Any]:
    return {"folder": root.as_posix(), "runs": folders.list_runs(root)}


def _card(root: Path, request: Request) -> dict[str, str]:
    key, prefix = _id(request), request.scope[PREFIX]
    address = f"{prefix and f'{prefix}/'}pictures/{quote(key, safe='')}/"
    markdown = card.read_card(folders.run_path(root, key))
    return {"html": card.render_card(markdown, folders.pictures(root, key), address)}


def _picture(request: Request, root: Path) -> Response:
    name = str(request.path_params["file"])
    path = folders.pictures(root, _id(request)).get(name)
    if path is None:
        raise MissingFileError(_("this run has no picture '{name}'", name=name))
    return file_answer(path)(request)


def _check(scope: Scope) -> tuple[int, Text] | None:
    if scope["method"] in {"GET", "HEAD"}:
        return None
    return 405, _("this page can only be read")
