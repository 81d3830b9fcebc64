"""A server that is asked: one started here for the purpose, or one at a URL."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from olhar.errors import ClusterError, ConfigError, ExportError
from olhar.i18n import _
from olhar.images import MAX_PIXELS

_CONNECT_S, _ANSWER_S = 5.0, 60.0
_START_S, _STOP_S = 60.0, 10.0
_KEPT_LINES = 100
# Whatever `olhar predict` reads is to be answered here too.
_NO_LIMITS = ("--max-mb", "2048", "--max-pixels", str(MAX_PIXELS), "--timeout", "300")
_URL = re.compile(r"https?://[^\s/]+:\d+")


class Endpoint:
    """A server at a URL, which may have a path that comes before those of the protocols."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise ConfigError(
                _("'{url}' is no address of a server; allowed: http://HOST:PORT or https://…",
                  url=url)
            )  # fmt: skip
        self.url = url.rstrip("/")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._path = parts.path.rstrip("/")
        self._token = token

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        content_type: str = "",
        *,
        answer_s: float = _ANSWER_S,
    ) -> tuple[int, bytes]:
        """GET, or POST where there is a body → HTTP status and content.

        Raises:
            ClusterError: the server is not reached, or does not answer.
            ConfigError: it wants a token that it did not get.
        """
        headers = {"Accept": "application/json", "User-Agent": "olhar-verify"}
        if content_type:
            headers["Content-Type"] = content_type
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        method = "GET" if body is None else "POST"
        connection = self._connection()
        try:
            connection.connect()
            assert connection.sock is not None
            connection.sock.settimeout(answer_s)
            connection.request(method, self._path + path, body, headers)
            response = connection.getresponse()
            status, content = response.status, response.read()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        if status in {401, 403}:
            raise ConfigError(
                _(
                    "{url} refuses the request (HTTP {status}): it wants another token; name the "
                    "environment variable that holds it: --token-env NAME",
                    url=self.url,
                    status=status,
                )
            )
        return status, content

    def _connection(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_S)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=_CONNECT_S, context=context
        )

    def _unreachable(self, error: Exception) -> ClusterError:
        return ClusterError(
            _(
                "{url} does not answer: {reason}; is the server running, and is this its address?",
                url=self.url,
                reason=str(error) or type(error).__name__,
            )
        )


@contextmanager
def start_server(model: Path) -> Iterator[Endpoint]:
    """`olhar serve MODEL` in a process of its own, on a free port of this machine.

    Raises:
        ExportError: it does not start.
    """
    command = [sys.executable, "-P", "-m", "olhar", "serve", str(model), "--port", "0", *_NO_LIMITS]
    environment = {key: value for key, value in os.environ.items() if key != "OLHAR_TOKEN"}
    process = subprocess.Popen(  # noqa: S603  this olhar itself
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    lines: list[str] = []  # of its log, kept in memory: there may be no disk to write to
    assert process.stdout is not None
    reader = threading.Thread(target=_keep_lines, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        yield Endpoint(_wait_for_url(process, reader, lines))
    finally:
        _stop(process)
        reader.join()
        process.stdout.close()


def _keep_lines(log: IO[bytes], lines: list[str]) -> None:
    for line in log:
        lines.append(line.decode("utf-8", "replace").strip())
        del lines[:-_KEPT_LINES]


def _wait_for_url(
    process: subprocess.Popen[bytes], reader: threading.Thread, lines: Sequence[str]
) -> str:
    """The address that a server prints once it is ready."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        found = _URL.search("\n".join(lines))
        if found:
            return found[0]
        time.sleep(0.02)
    if process.poll() is not None:
        reader.join()
    said = [line for line in lines if line]
    raise ExportError(
        _("olhar serve did not start: {reason}", reason=said[-1] if said else process.returncode)
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
