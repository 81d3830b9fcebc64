"""Who may use a studio that others reach: those who bring its token.

Does not know: what the studio answers.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from olhar.i18n import _

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Scope

_COOKIE = "olhar_token"


def with_token(app: ASGIApp, token: str | None) -> ASGIApp:
    """`app` for those alone who bring the token; a page that was opened with it is given a cookie."""
    from starlette.requests import HTTPConnection
    from starlette.responses import PlainTextResponse

    if token is None:
        return app

    async def check(scope: Scope, receive: Any, send: Any) -> None:
        answer: ASGIApp = app
        if scope["type"] == "http":
            asked = HTTPConnection(scope)
            bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
            if _is_equal(asked.query_params.get("token", ""), token):
                answer = _page_with_cookie(asked, token)
            elif not any(_is_equal(one, token) for one in (bearer, asked.cookies.get(_COOKIE, ""))):
                text = _("this studio wants its token: add ?token=TOKEN to its address")
                answer = PlainTextResponse(str(text), 401)
        await answer(scope, receive, send)

    return check


def _page_with_cookie(asked: HTTPConnection, token: str) -> ASGIApp:
    """The same page without the token in its address."""
    from starlette.responses import RedirectResponse

    page = RedirectResponse(str(asked.url.remove_query_params("token").path))
    page.set_cookie(
        _COOKIE, token, httponly=True, samesite="strict", secure=asked.url.scheme == "https"
    )
    return page


def _is_equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
