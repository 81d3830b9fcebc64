"""Sentences for what goes wrong between here and a server: what was tried, the cause, the next step."""

from __future__ import annotations

import datetime
import errno
import re
import socket
import ssl
from collections.abc import Iterator

from olhar.errors import StoreError
from olhar.i18n import Text, _
from olhar.stores.contract import TransientStoreError

# The driver of MongoDB keeps the text of the error, and not always the error.
_UNRESOLVED = re.compile(
    "NameResolution|Name or service not known|name resolution|getaddrinfo|nodename nor servname"
)


_CLOCK = re.compile(
    "TimeTooSkewed|RequestExpired|RequestInTheFuture|Signature (?:expired|not yet current)"
)


def explain_connection(place: str, error: BaseException, advice: Text) -> StoreError:
    """The error for a connection that failed.

    Args:
        place: the host, with its port, or the store as shown; no login data.
        error: what the library raised; its causes are searched for the one beneath.
        advice: what to check, for this kind of store.
    """
    causes = list(_causes(error))
    words = " ".join(f"{type(cause).__name__} {cause}" for cause in causes)
    if _UNRESOLVED.search(words) or any(
        isinstance(cause, socket.gaierror) or type(cause).__module__.startswith("dns.")
        for cause in causes
    ):
        return TransientStoreError(
            _(
                "cannot reach '{place}': the host's name cannot be resolved; check its spelling and "
                "the network; {advice}",
                place=place,
                advice=advice,
            )
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "SSL" in words:
        return StoreError(_tls(place, causes, advice))
    if any(getattr(cause, "errno", None) == errno.ECONNREFUSED for cause in causes) or (
        "refused" in words
    ):
        return TransientStoreError(
            _(
                "cannot reach '{place}': the connection was refused, nothing listens there; start "
                "the server or check the port; {advice}",
                place=place,
                advice=advice,
            )
        )
    if any(isinstance(cause, TimeoutError) for cause in causes) or "timed out" in words:
        return no_answer(place, advice)
    return TransientStoreError(
        _(
            "the connection to '{place}' broke ({kind}); check the network; {advice}",
            place=place,
            kind=type(causes[-1]).__name__,
            advice=advice,
        )
    )


def no_answer(place: str, advice: Text) -> StoreError:
    """The error for a server that says nothing."""
    if ".mongodb.net" in place:
        return TransientStoreError(
            _(
                "'{place}' does not answer; MongoDB Atlas is silent to addresses that are not on its "
                "access list: add this computer's address under Network Access",
                place=place,
            )
        )
    return TransientStoreError(
        _(
            "'{place}' does not answer in time; check the host, the port, and whether a firewall "
            "stands between; {advice}",
            place=place,
            advice=advice,
        )
    )


def is_clock(answer: str) -> bool:
    """Whether a service refuses a request because it was signed at another time than the service's."""
    return _CLOCK.search(answer) is not None


def wrong_clock(place: str) -> StoreError:
    """The error for a clock that goes wrong."""
    return StoreError(
        _(
            "{place} refuses the request because the clock of this computer is wrong (it says {now} UTC); "
            "set it, for example: timedatectl set-ntp true, or on Windows: w32tm /resync",
            place=place,
            now=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        )
    )


def _tls(place: str, causes: list[BaseException], advice: Text) -> Text:
    reason = next(
        (
            str(getattr(cause, "reason", "") or "")
            for cause in causes
            if isinstance(cause, ssl.SSLError)
        ),
        "",
    )
    if ".mongodb.net" in place:
        return _(
            "'{place}' ended the TLS handshake ({reason}); MongoDB Atlas does so with addresses that "
            "are not on its access list: add this computer's address under Network Access",
            place=place,
            reason=reason or "TLS",
        )
    if "certificate" in f"{reason} {' '.join(map(str, causes))}".lower():
        return _(
            "no secure connection to '{place}': its certificate is not trusted here ({reason}). Where a "
            "proxy opens secure connections, ask for its certificate and name the file: for S3 "
            "AWS_CA_BUNDLE=FILE, for MongoDB ?tlsCAFile=FILE, else SSL_CERT_FILE=FILE; where it has "
            "expired or is not valid yet, check the clock; {advice}",
            place=place,
            reason=reason or "certificate verify failed",
            advice=advice,
        )
    return _(
        "no secure connection to '{place}' (TLS: {reason}); check that the server speaks TLS on this "
        "port and that its certificate is valid and known to this computer; {advice}",
        place=place,
        reason=reason or "handshake failed",
        advice=advice,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that led to it."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop(0)
        if found is None or found in seen:
            continue
        seen.append(found)
        yield found
        # botocore and urllib3 keep the cause in attributes of their own.
        inner = [getattr(found, "kwargs", {}), getattr(found, "reason", None)]
        kwargs = inner[0] if isinstance(inner[0], dict) else {}
        waiting += [found.__cause__, found.__context__]
        waiting += [x for x in (kwargs.get("error"), inner[1]) if isinstance(x, BaseException)]
