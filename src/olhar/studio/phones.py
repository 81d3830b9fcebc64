"""Phones that are let in: a second listener, on one network, which serves the phone's page alone.

It has an address that nobody can guess, and ends with the studio, or before it.

Does not know: what is on the page (see phone_app).
"""

from __future__ import annotations

import io
import secrets
import socket
import sys
import threading
from contextlib import ExitStack, suppress
from html import escape
from typing import Any

from olhar.errors import ConfigError, OlharError
from olhar.i18n import _
from olhar.studio.phone_app import build_phone_app
from olhar.studio.studio import Studio
from olhar.web_server.listening import Sockets, listen
from olhar.web_server.running import serve_beside

LOOPBACK = "127.0.0.1"
_PORT = 8071  # where it is free: then a firewall has to be told of one port alone
_NOWHERE = "192.0.2.1", 9  # RFC 5737: of no machine; nothing is sent to it
_SIOCGIFADDR = 0x8915  # Linux: the address of an interface


class Phones:
    """The listener for phones of one project. Methods may be called from several threads."""

    def __init__(self, studio: Studio, tls: dict[str, str] | None = None) -> None:
        """Nothing listens yet.

        Args:
            studio: an open one.
            tls: certificate and key, as `certificate.tls_files` gives them; none for plain http.
        """
        self._studio, self._tls = studio, tls or {}
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._address, self._port, self._token = "", 0, ""

    def open(self, address: str | None = None) -> dict[str, Any]:
        """Let phones in, through one of this computer's addresses.

        Args:
            address: one that `addresses` lists, or 127.0.0.1; by default the one in use, else the first.

        Returns:
            `url` of the page; `qr`, an SVG of it; `addresses` that there are.

        Raises:
            ConfigError: this computer has no such address, or is in no network.
        """
        found = addresses()
        with self._lock:
            chosen = address or self._address or next(iter(found), None)
            if chosen is None:
                raise ConfigError(
                    _(
                        "this computer is in no network that a phone could reach; connect it to the "
                        "phone's network, such as the same Wi-Fi, and try again"
                    )
                )
            if chosen not in {*found, LOOPBACK}:
                raise ConfigError(
                    _(
                        "this computer has no address {given}; it has: {known}",
                        given=chosen,
                        known=", ".join(found) or LOOPBACK,
                    )
                )
            if chosen != self._address:
                self._open.close()
                self._address = ""  # where the next line fails, nothing listens
                self._listen(chosen)
            scheme = "https" if self._tls else "http"
            url = f"{scheme}://{self._address}:{self._port}/{self._token}/"
        return {"url": url, "qr": qr_code(url), "addresses": found or [LOOPBACK]}

    def close(self) -> None:
        """Let no more in: the address that phones have leads nowhere from now on."""
        with self._lock:
            self._open.close()
            self._address, self._token = "", ""

    def _listen(self, address: str) -> None:
        self._token = self._token or secrets.token_urlsafe(12)
        app = build_phone_app(self._studio, self._token)
        sockets = self._bind(address)
        self._open.callback(serve_beside(app, sockets, **self._tls))
        self._address, self._port = address, sockets[0].getsockname()[1]

    def _bind(self, address: str) -> Sockets:
        for port in (_PORT, 0):
            with suppress(OlharError):
                return self._open.enter_context(listen(address, port, command="studio"))[0]
        raise ConfigError(
            _("{address} cannot be listened on now; choose another network", address=address)
        )


def addresses() -> list[str]:
    """IPv4 addresses by which other machines may reach this one; that of the usual way out first."""
    found: list[str] = []
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(_NOWHERE)
        found.append(one.getsockname()[0])
    with suppress(OSError):
        found += [*socket.gethostbyname_ex(socket.gethostname())[2]]
    if sys.platform == "linux":
        found += _interface_addresses()
    return [one for one in dict.fromkeys(found) if not one.startswith(("127.", "0.", "169.254."))]


def _interface_addresses() -> list[str]:
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _number, name in socket.if_nameindex():
            with suppress(OSError):  # it has none
                asked = name.encode()[:15].ljust(256, b"\0")
                answer = fcntl.ioctl(one.fileno(), _SIOCGIFADDR, asked)
                found.append(socket.inet_ntoa(answer[20:24]))
    return found


def qr_code(url: str) -> str:
    """An SVG with the QR code of an address; without the library, one that says how to get it."""
    try:
        import segno
    except ImportError:
        return _svg_words(
            str(_("For a code to scan, install it with:")), "pip install 'olhar[studio]'"
        )
    file = io.BytesIO()
    code = segno.make(url, error="m", micro=False)
    code.save(file, kind="svg", scale=8, border=4, dark="#000", light="#fff", xmldecl=False)
    return file.getvalue().decode()


def _svg_words(*lines: str) -> str:
    text = "".join(
        f'<text x="150" y="{140 + 30 * row}" text-anchor="middle" font-family="sans-serif" '
        f'font-size="15">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 300" width="300" height="300">'
        f'<rect width="300" height="300" fill="#fff"/>{text}</svg>'
    )
