"""The studio over HTTP.

    GET    /                            the page; /page/NAME its style and scripts; /api/texts its strings
    GET    /api/state                   what there is: see `studio.Studio.state`
    GET    /api/events                  the same as server-sent events, whenever it changes
    POST   /api/classes                 {"name"}; PATCH and DELETE /api/classes/{name}
    GET    /api/photos                  ?class=NAME or ?tray=1: see `studio.Studio.photos`
    POST   /api/photos                  photos or zips, into ?class=NAME or the tray; ?burst= a recording
    POST   /api/photos/move             {"files", "class"}; /api/photos/delete {"files"}
    POST   /api/undo                    {"id"}: a change is taken back; what changes something answers with
                                        "changes", their ids
    GET    /photos/{folder}/{file}      a photo; ?side=240 a small one
    POST   /api/train                   {"network", "minutes", "augment", "seed"}; /stop; /resume {"run"}
    GET    /api/networks                what can be trained by name
    POST   /api/predict, /api/explain   a photo, ?model=RUN
    GET    /api/models/{run}            all of one run; DELETE moves it into the bin
    GET    /api/models/{run}/export/{kind}, /api/project.zip   downloads
    POST   /api/phones                  {"address"}: a page for phones alone (see `phones`); DELETE ends it

Whatever changes something wants the header X-Olhar, which a page of another site cannot send without
being asked first (CORS preflight), and is not allowed to. Errors are {"code", "message"}.
"""

from __future__ import annotations

from functools import partial

from olhar.studio.admission import token_check
from olhar.studio.events import send_events
from olhar.studio.model_routes import model_routes
from olhar.studio.phones import Phones
from olhar.studio.photo_routes import photo_routes
from olhar.studio.requests import HEADERS, STATUSES, check_header, json_route, page_routes, text_of
from olhar.studio.studio import Studio
from olhar.studio.texts import page_texts
from olhar.web_server.answers import json_answer
from olhar.web_server.hosts import HostNames
from olhar.web_server.routes import Route, get
from olhar.web_server.site import Site


def build_app(
    studio: Studio,
    *,
    phones: Phones,
    local: bool = True,
    token: str | None = None,
    allow_host: tuple[str, ...] = (),
    root_path: str = "",
) -> Site:
    """The studio as an ASGI application.

    Args:
        studio: an open one.
        phones: what lets phones in.
        local: whether only this machine reaches it.
        token: that requests must bring, as a cookie that ?token= sets, or as a bearer token.
        allow_host: names that are answered besides its own.
        root_path: the path under which a proxy shows it.
    """
    routes = [
        *page_routes("page", page_texts),
        get("/api/state", lambda request: json_answer(request, studio.state())),
        Route("GET", "/api/events", partial(send_events, studio)),
        *photo_routes(studio),
        *model_routes(studio),
        *_phone_routes(phones),
    ]
    return Site(
        "studio",
        routes,
        HostNames(allow_host, local=local),
        root_path=root_path,
        checks=[check_header] if token is None else [check_header, token_check(token)],
        headers=HEADERS,
        statuses=STATUSES,
    )


def _phone_routes(phones: Phones) -> list[Route]:
    return [
        json_route(
            "POST",
            "/api/phones",
            lambda v: phones.open(text_of(v, "address") if v.get("address") else None),
        ),
        json_route("DELETE", "/api/phones", lambda _v: phones.close()),
    ]
