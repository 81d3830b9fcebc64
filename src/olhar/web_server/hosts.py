"""The names under which a server is asked, and whether it answers to them.

A page of another site can reach a server on this machine under a name of the site's own, which it lets
point here (DNS rebinding). It cannot do so under an address, under localhost, or under a name that
whoever started the server has allowed. The board is guarded in the same way.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from olhar.i18n import Text, _

_LOCAL = ("localhost", ".localhost")  # RFC 6761, section 6.3: never resolved elsewhere


class HostNames:
    """Which names in `Host` and `Origin` are a server's own.

    Args:
        allowed: by whoever started it; a name that begins with a point stands for all below it, and
            `*` for all.
        local: whether only this machine reaches it. Where others do too, all names are answered
            unless some are given.
    """

    def __init__(self, allowed: Collection[str], *, local: bool) -> None:
        self._all = "*" in allowed or not (local or allowed)
        self._allowed = tuple(allowed)

    def answers(self, host: str) -> bool:
        """Whether a request with this `Host` is answered."""
        return self._all or (bool(host) and self._is_ours(bare_name(host)))

    def owns(self, origin: str, host: str) -> bool:
        """Whether a page of this `Origin` comes from this server, asked as `host`."""
        try:
            parts = urlsplit(origin)
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if not name:
            return False
        shown = parts.netloc.lower()
        default = {"http": 80, "https": 443}.get(parts.scheme)
        same = (
            host.lower() in {shown, f"{shown}:{default}"}
            if port is None
            else (host.lower() == shown or (port == default and host.lower() == name))
        )
        return same or _matches(name, self._allowed)

    def _is_ours(self, name: str) -> bool:
        return _is_address(name) or _matches(name, (*_LOCAL, *self._allowed))


@functools.lru_cache(maxsize=256)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def bare_name(host: str) -> str:
    """`Host` without its port, brackets and last point, in lower case."""
    name, colon, port = host.rpartition(":")
    name = name if colon and port.isdigit() else host
    return name.removeprefix("[").removesuffix("]").rstrip(".").lower()


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(name.endswith(one) if one.startswith(".") else name == one for one in patterns)


def refusal(host: str, command: str) -> Text:
    """What to say to whoever asks under a name that is not answered."""
    return _(
        "this server is asked as '{name}', and answers as localhost or by its address alone; where that "
        "is its name, behind a proxy or a tunnel, start it with: olhar {command} --allow-host {name}",
        name=bare_name(host)[:200] or "?",
        command=command,
    )
