"""Who may ask, and how often; the headers that every answer carries."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict

from olhar.i18n import Text, _
from olhar.serving.settings import ServeSettings
from olhar.web_server.answers import OWN_PICTURES, Answer, safe_headers
from olhar.web_server.hosts import HostNames, bare_name, refusal
from olhar.web_server.refusals import RequestError, too_fast
from olhar.web_server.request import Request

# Health is for machines that have no token; the page itself holds nothing and asks for the token.
_OPEN = frozenset({"/", "/ping", "/v2/health/live", "/v2/health/ready"})
_OPEN_FOLDER, _CLOSED_IN_IT = "/page/", "/page/models"
_MOST_CLIENTS = 10_000

_ALWAYS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_FOR_PAGES = _ALWAYS | safe_headers(OWN_PICTURES)


class Guard:
    """Refuses what the settings do not allow, before anything is read.

    Args:
        settings: token, rate, origins.
        hosts: the names that are answered.
    """

    def __init__(self, settings: ServeSettings, hosts: HostNames) -> None:
        self._settings = settings
        self._hosts = hosts
        self._expected = f"Bearer {settings.token}".encode() if settings.token else b""
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, request: Request) -> None:
        """Raise RequestError where a request is refused."""
        host = request.host
        if not self._hosts.answers(host):
            raise RequestError(421, "host", refusal(host, "serve"))
        origin = request.header(b"origin")
        if origin and request.method not in {"GET", "HEAD", "OPTIONS"}:
            self._check_origin(origin, host)
        if self._expected:
            self._check_token(request)
        if self._settings.rate and request.method == "POST":
            client = request.scope.get("client") or ("",)
            self._check_rate(client[0], time.monotonic())

    def preflight(self, request: Request) -> Answer | None:
        """The answer to a browser that asks whether a page of another origin may call (CORS)."""
        origin = request.header(b"origin")
        if request.method != "OPTIONS" or not self._allowed(origin):
            return None
        headers = {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id, "
            "Inference-Header-Content-Length",
            "Access-Control-Max-Age": "600",
        }
        return Answer(204, b"", headers=headers)

    def headers(self, request: Request, answer: Answer) -> dict[str, str]:
        """What goes with an answer beside its own headers."""
        is_page = answer.content_type.startswith("text/html")
        found = dict(_FOR_PAGES if is_page else _ALWAYS)
        if self._settings.cors:
            origin = request.header(b"origin")
            found["Vary"] = "Origin"
            if self._allowed(origin):
                found["Access-Control-Allow-Origin"] = origin
                found["Access-Control-Expose-Headers"] = (
                    "X-Request-Id, Retry-After, Inference-Header-Content-Length"
                )
        return found

    def _allowed(self, origin: str) -> bool:
        return bool(origin) and (
            "*" in self._settings.cors or origin.lower() in self._settings.cors
        )

    def _check_origin(self, origin: str, host: str) -> None:
        """A browser says which page asks; one of another origin may not, unless it was allowed."""
        if not (self._allowed(origin) or self._hosts.owns(origin, host)):
            raise RequestError(403, "origin", _foreign(origin[:200]))

    def _check_token(self, request: Request) -> None:
        reading = request.method in {"GET", "HEAD"}
        path = request.path
        page = path.startswith(_OPEN_FOLDER) and path != _CLOSED_IN_IT
        if reading and (path in _OPEN or page):
            return
        if not hmac.compare_digest(request.headers.get(b"authorization", b""), self._expected):
            raise RequestError(
                401,
                "token",
                _("this server wants a token; send the header: Authorization: Bearer TOKEN"),
                {"WWW-Authenticate": "Bearer"},
            )

    def _check_rate(self, client: str, now: float) -> None:
        """A bucket of tokens for each client: it holds a second's worth and fills as fast."""
        rate = self._settings.rate
        size = max(1.0, rate)
        tokens, last = self._clients.pop(client, (size, now))
        tokens = min(size, tokens + (now - last) * rate)
        enough = tokens >= 1
        self._clients[client] = (tokens - 1 if enough else tokens, now)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        if not enough:
            raise too_fast(rate)


def _foreign(origin: str) -> Text:
    if origin == "null":
        return _(
            "a page without an origin, such as a file, may not ask this server; open the page over http, "
            "or allow all such pages with: olhar serve --cors null"
        )
    name = bare_name(origin.rpartition("//")[2])
    return _(
        "a page of {origin} may not ask this server; allow it with: olhar serve --cors {origin}; or, where "
        "that is this server's own name behind a proxy or a tunnel: olhar serve --allow-host {name}",
        origin=origin,
        name=name,
    )
