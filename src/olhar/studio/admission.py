"""Who may use a studio that others reach: those who bring its token.

Does not know: what the studio answers.
"""

from __future__ import annotations

import hmac
from urllib.parse import quote

from olhar.i18n import _
from olhar.web_server.answers import Answer, plain_answer, redirect
from olhar.web_server.request import Request
from olhar.web_server.site import Check

_COOKIE = "olhar_token"


def token_check(token: str) -> Check:
    """Lets those alone in who bring the token; a page that was opened with it is given a cookie."""

    def check(request: Request) -> Answer | None:
        bearer = request.header(b"authorization").removeprefix("Bearer ")
        if _is_equal(request.query.get("token", ""), token):
            # The same page without the token in its address.
            return redirect(request.prefix + quote(request.path)).set_cookie(
                request, _COOKIE, token
            )
        if any(_is_equal(one, token) for one in (bearer, request.cookie(_COOKIE))):
            return None
        return plain_answer(401, _("this studio wants its token: add ?token=TOKEN to its address"))

    return check


def _is_equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
