"""Requests that are not answered: why, with which HTTP status, in one shape.

    {"error": {"code": "image", "message": "…", "request_id": "…"}}

`code` is stable. It is that of the OlharError, or one of those made here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from olhar.errors import (
    ConfigError,
    DataError,
    ImageError,
    ImageSizeError,
    MemoryLimitError,
    MissingFileError,
    OlharError,
    StorageError,
    UnknownNameError,
)
from olhar.i18n import Text, _

_STATUS: tuple[tuple[type[OlharError], int], ...] = (  # the first that fits
    (ImageSizeError, 413),
    (ImageError, 422),
    (UnknownNameError, 404),
    (MissingFileError, 404),
    (ConfigError, 422),
    (DataError, 422),
    (MemoryLimitError, 503),
    (StorageError, 503),
)


class RequestError(OlharError, ValueError):
    """A request that is refused. `headers` go with the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: Text | str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


class ClientGoneError(Exception):
    """Whoever asked has closed the connection: nobody to answer."""


def status_of(error: OlharError) -> int:
    """The HTTP status that says the same as an error of ours."""
    if isinstance(error, RequestError):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_body(code: str, message: str, request_id: str) -> bytes:
    """The JSON of every answer that is no answer."""
    error = {"code": code, "message": message, "request_id": request_id}
    # A name in a message may hold half a surrogate pair, which UTF-8 cannot.
    return json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "replace")


def bad_request(message: Text) -> RequestError:
    """A body or parameter that cannot be understood."""
    return RequestError(422, "request", message)


def not_found(path: str) -> RequestError:
    """Nothing lives at this path."""
    return RequestError(
        404, "not_found", _("there is nothing at {path}; see /openapi.json", path=path[:200])
    )


def wrong_method(method: str, allowed: str) -> RequestError:
    """The path is right, the method is not."""
    return RequestError(
        405,
        "method",
        _("{method} is not answered here; allowed: {allowed}", method=method, allowed=allowed),
        {"Allow": allowed},
    )


def too_many_bytes(limit: int) -> RequestError:
    """A body over the limit. The connection is closed: the rest of the body may still be coming."""
    return RequestError(
        413,
        "too_large",
        _(
            "the request has more than {limit} bytes, which is all that is allowed here; send a "
            "smaller copy, or fewer photos at once",
            limit=limit,
        ),
        {"Connection": "close"},
    )


def wrong_media_type(given: str, allowed: str) -> RequestError:
    """A body of a kind that is not read."""
    return RequestError(
        415,
        "media_type",
        _(
            "the Content-Type is '{given}'; allowed: {allowed}",
            given=given[:200],
            allowed=allowed,
        ),
    )


def busy(limit: int) -> RequestError:
    """More requests at once than this server takes."""
    return RequestError(
        503,
        "busy",
        _("{limit} requests are being answered, which is all this server takes", limit=limit),
        {"Retry-After": "1"},
    )


def too_fast(rate: float) -> RequestError:
    """More requests from one client than it may send."""
    return RequestError(
        429,
        "rate",
        _("more than {rate} requests a second from you; wait a moment", rate=f"{rate:g}"),
        {"Retry-After": "1"},
    )


def too_slow_to_send(seconds: float) -> RequestError:
    """The body did not arrive in time."""
    return RequestError(
        408,
        "timeout",
        _("the request did not arrive within {seconds} s", seconds=f"{seconds:g}"),
        {"Connection": "close"},
    )


def too_slow_to_answer(seconds: float) -> RequestError:
    """The answer was not ready in time."""
    return RequestError(
        503,
        "busy",
        _("there was no answer within {seconds} s; come again later", seconds=f"{seconds:g}"),
        {"Retry-After": "5"},
    )
