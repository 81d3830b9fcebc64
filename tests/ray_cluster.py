"""A Ray cluster of nodes on this machine, which tests may kill."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_S = 180


class Cluster:
    """Nodes with a core each; every node's processes are a session of their own."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._folder = Path(tempfile.mkdtemp(prefix="ray"))  # a socket's path must be short
        self.env = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_TMPDIR": str(self._folder),
            "OMP_NUM_THREADS": "1",
        }
        self.head: subprocess.Popen[bytes] | None = None
        self._nodes: list[subprocess.Popen[bytes]] = []

    def start(self, *flags: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"node-{len(self._nodes)}.txt"
        command = [Path(sys.executable).with_name("ray"), "start", "--block", "--num-cpus", "1"]
        command += ["--object-store-memory", "80000000", "--disable-usage-stats", *flags]
        with log.open("wb") as out:
            node = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=self.env, start_new_session=True
            )
        self._nodes.append(node)
        limit = time.monotonic() + START_S
        while b"runtime started" not in log.read_bytes():
            assert node.poll() is None, log.read_text()
            assert time.monotonic() < limit, log.read_text()
            time.sleep(0.2)
        return node

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def close(self) -> None:
        for node in reversed(self._nodes):
            self.kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A head, while the block runs."""
    if sys.platform != "linux":
        pytest.skip("several Ray nodes on one machine: Linux only")
    with socket.socket() as free:  # Ray's own ports are 10002 to 19999
        free.bind(("127.0.0.1", 0))
        port = 6400 + free.getsockname()[1] % 3000
    started = Cluster(port)
    try:
        started.head = started.start("--head", "--port", str(port), "--include-dashboard", "false")
        yield started
    finally:
        started.close()
