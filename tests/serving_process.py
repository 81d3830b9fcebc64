"""A real `olhar serve`, or `olhar board`, in a process of its own, for the tests."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from conftest import start
from warm import Forked

httpx = pytest.importorskip("httpx", reason="the server's tests need httpx")
pytest.importorskip("uvicorn", reason="serving needs olhar[serve]")


@dataclass
class Server:
    """A server that runs; `log` is what it has said so far."""

    process: subprocess.Popen[bytes] | Forked
    url: str
    _log: IO[bytes]
    _client: Any

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def get(self, path: str, **options: Any) -> Any:
        return self._client.get(self.url + path, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self._client.post(self.url + path, **options)

    def wait_for(self, words: str, seconds: float = 60) -> None:
        """Until the log says it."""
        end = time.monotonic() + seconds
        while words not in self.log:
            assert time.monotonic() < end, self.log
            time.sleep(0.05)


@contextlib.contextmanager
def serving(
    *words: object, command: str = "serve", cold: bool = False, **env: str
) -> Iterator[Server]:
    """The server until the block ends; `cold` and `env` as `conftest.olhar` has them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "log").open("wb") as log,
        httpx.Client(timeout=60) as client,
    ):
        process = start(command, *words, "--port", "0", stderr=log, cold=cold, **env)
        server = Server(process, "", log, client)
        try:
            server.wait_for("Ctrl-C")
            server.url = re.findall(r"https?://\S+", server.log)[0]
            yield server
        finally:
            process.terminate()
            process.wait(30)
