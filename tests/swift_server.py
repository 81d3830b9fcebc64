"""OpenStack Swift with its S3 interface, as one node in one folder: a real object server for tests.

    python -m venv swift-venv && swift-venv/bin/pip install swift
    OLHAR_TEST_SWIFT=swift-venv make test

Four processes: a proxy (s3api, tempauth), an account, a container and an object server.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCESS_KEY, SECRET_KEY = "test:tester", "testing"
READER_KEY, READER_SECRET = "test:reader", "reading"  # may do what a bucket's ACL allows

_PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper proxy-logging s3api tempauth bulk slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_test_reader = reading
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""
_STORAGE = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
# What swift-ring-builder does in three processes for each ring.
_RINGS = """
import json, sys
from swift.common.ring import RingBuilder
for kind, port in json.loads(sys.argv[2]).items():
    builder = RingBuilder(4, 1, 0)
    device = {"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1"}
    builder.add_dev({**device, "weight": 1.0, "replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{kind}.ring.gz")
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Swift:
    """A node. Its objects outlive stop() and start()."""

    programs: Path
    folder: Path
    port: int
    running: list[subprocess.Popen[bytes]]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        for kind in ("account", "container", "object", "proxy"):
            command = [self.programs / f"swift-{kind}-server", self.folder / f"{kind}.conf"]
            with (self.folder / f"{kind}.log").open("ab") as log:
                self.running.append(subprocess.Popen(command, stdout=log, stderr=log))
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError((self.folder / "proxy.log").read_text())

    def stop(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(10)
        self.running.clear()


def build_swift(venv: Path, folder: Path) -> Swift:
    """Write rings and settings; nothing runs yet."""
    programs = venv / "bin"
    ports = {kind: free_port() for kind in ("account", "container", "object", "proxy")}
    (folder / "devices" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = olhar\nswift_hash_path_suffix = olhar\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    devices = {kind: ports[kind] for kind in ("account", "container", "object")}
    words = [programs / "python", "-c", _RINGS, folder, json.dumps(devices)]
    subprocess.run(words, check=True, capture_output=True)
    for kind, port in ports.items():
        body = _PROXY if kind == "proxy" else _STORAGE.format(kind=kind)
        (folder / f"{kind}.conf").write_text(
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\n"
            f"user = {getpass.getuser()}\nswift_dir = {folder}\ndevices = {folder / 'devices'}\n"
            f"mount_check = false\nlog_level = ERROR\n{body}"
        )
    return Swift(programs, folder, ports["proxy"], [])


@contextmanager
def running_swift(venv: Path, folder: Path) -> Iterator[Swift]:
    """A node that runs while the block does."""
    swift = build_swift(venv, folder)
    try:
        swift.start()
        yield swift
    finally:
        swift.stop()


def swift_venv() -> Path | None:
    """Where Swift is installed, if it is."""
    found = os.environ.get("OLHAR_TEST_SWIFT")
    return Path(found) if found else None
