"""Where a server listens: bound sockets, of both families where a name has both, and how to say so.

The board listens in the same way.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from olhar.errors import ConfigError, OlharError
from olhar.i18n import _

BACKLOG = 1024
_TRIES = 8  # for a free port that is free in both families
_BOTH = {"localhost": ("127.0.0.1", "::1"), "::": ("::", "0.0.0.0")}  # noqa: S104
_IN_USE = {errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)}
_NO_FAMILY = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

Sockets = list[socket.socket]


@contextlib.contextmanager
def listen(host: str, port: int, groups: int = 1, *, command: str) -> Iterator[list[Sockets]]:
    """Sockets that are bound, so that a port in use is refused before anything is loaded.

    Linux shares connections out among sockets on one port, each process's its own; elsewhere all
    processes take from one. They are kept open here: what comes for a process that has died waits
    for the next one.

    Args:
        host: an address or a name. `localhost` is both of its addresses, and `::` everybody, over IPv4 too.
        port: TCP port; 0 takes a free one, the same of all addresses.
        groups: how many processes serve.
        command: `serve` or `board`, for messages.

    Yields:
        A list of sockets for each process, or one for all of them.

    Raises:
        ConfigError: the host cannot be listened on.
        OlharError: the port is in use, or not allowed.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(_("--port is {given}; allowed: 0 to 65535", given=port))
    open_: list[Sockets] = []
    try:
        try:
            first = _bind_all(host, port)
            open_.append(first)
            if groups > 1 and sys.platform == "linux":
                # The first are bound alone even then: it must fail where another server has the port.
                places = [(one.family, one.getsockname()[:2]) for one in first]
                for one in open_.pop():
                    one.close()
                for _group in range(groups):
                    open_.append([])
                    for family, place in places:
                        open_[-1].append(_bind(family, *place, shared=True))
        except (UnicodeError, OverflowError) as error:  # what the resolver makes of odd names
            raise ConfigError(_("--host {host} is no address", host=host)) from error
        except OSError as error:
            raise _unusable(error, host, port, command) from error
        yield open_
    finally:
        for group in open_:
            for one in group:
                one.close()


def is_local(sockets: Sequence[socket.socket]) -> bool:
    """Whether only this machine reaches what listens there."""
    return all(
        ipaddress.ip_address(one.getsockname()[0].partition("%")[0]).is_loopback for one in sockets
    )


def shown_url(host: str, sockets: Sequence[socket.socket]) -> str:
    """Where this machine finds it."""
    port = sockets[0].getsockname()[1]
    everybody = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104
    shown = everybody.get(host.lower(), host)
    if shown == "127.0.0.1" and all(one.family == socket.AF_INET6 for one in sockets):
        shown = "::1"
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def _bind_all(host: str, port: int) -> Sockets:
    """A socket for every address of the host, all on one port."""
    for tried in range(_TRIES):
        found: Sockets = []
        try:
            for family, address in _addresses(host, port):
                try:
                    found.append(
                        _bind(family, address, found[0].getsockname()[1] if found else port)
                    )
                except OSError as error:
                    if error.errno not in _NO_FAMILY or host.lower() not in _BOTH:
                        raise
            if not found:
                raise OSError(errno.EADDRNOTAVAIL, "no address of it is here")
        except OSError as error:
            for one in found:
                one.close()
            if port or error.errno not in _IN_USE or tried == _TRIES - 1:
                raise
        else:
            return found
    raise AssertionError


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    both = _BOTH.get(host.lower())
    if both:
        families = {False: socket.AF_INET, True: socket.AF_INET6}
        return [(families[":" in one], one) for one in both if ":" not in one or socket.has_ipv6]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    kept = {(family, str(place[0])) for family, _kind, _protocol, _name, place in found}
    return sorted(kept, key=lambda one: (one[0] != socket.AF_INET, one[1]))


def _bind(family: int, address: str, port: int, *, shared: bool = False) -> socket.socket:
    try:
        return socket.create_server(
            (address, port), family=family, backlog=BACKLOG, reuse_port=shared
        )
    except OSError as error:
        error.filename = address  # which of several
        raise


def _unusable(error: OSError, host: str, port: int, command: str) -> OlharError:
    values: dict[str, Any] = {"host": host, "port": port, "next": port % 65535 + 1}
    if error.errno in _IN_USE:
        return OlharError(
            _(
                "port {port} of {address} is in use, perhaps by another server; choose another: "
                "olhar {command} --port {next}",
                address=error.filename or host,
                command=command,
                **values,
            )
        )
    if isinstance(error, PermissionError):
        return OlharError(
            _("this system does not allow you port {port}; try one above 1023", **values)
        )
    reason = error.strerror or error
    return ConfigError(_("--host {host} cannot be listened on: {reason}", reason=reason, **values))
