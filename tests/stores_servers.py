"""The servers that stores are tested on, and a place in each.

A folder and moto's S3 server are always there. OpenStack Swift, a real object server, runs where
`OLHAR_TEST_SWIFT` names a virtual environment that has it; a MongoDB where `OLHAR_TEST_MONGODB` is
its address without a database, such as mongodb://localhost:27017.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from swift_server import free_port, running_swift, swift_venv

BACKENDS = ("folder", "moto", "swift", "mongodb")


@dataclass(frozen=True)
class Place:
    """Where stores can be made, and what the environment must say for it."""

    root: str
    environment: Mapping[str, str]

    def new_store(self) -> str:
        """The URL of a store that nobody has used."""
        fresh = f"t{uuid.uuid4().hex[:12]}"
        if self.root.startswith("mongodb"):
            head, mark, query = self.root.partition("?")
            return f"{head.rstrip('/')}/{fresh}{mark}{query}"
        return f"{self.root}/{fresh}"


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextmanager
def open_place(backend: str, folder: Path) -> Iterator[Place]:
    """Start what the backend needs; its settings are in the environment while the block runs."""
    if backend == "folder":
        yield Place(str(folder / "stores"), {})
    elif backend == "moto":
        with running_moto() as settings, environment(settings):
            make_bucket("tests")
            yield Place("s3://tests/some/prefix", settings)
    elif backend == "swift":
        venv = swift_venv()
        if venv is None:
            pytest.skip("OLHAR_TEST_SWIFT names no virtual environment with OpenStack Swift")
        with running_swift(venv, folder / "swift") as swift:
            settings = swift.environment()
            with environment(settings):
                make_bucket("tests")
                yield Place("s3://tests", settings)
    else:
        url = os.environ.get("OLHAR_TEST_MONGODB")
        if not url:
            pytest.skip("OLHAR_TEST_MONGODB names no MongoDB server")
        yield Place(url, {})


@contextmanager
def running_moto() -> Iterator[dict[str, str]]:
    """moto's S3 server, which keeps If-None-Match, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-moto",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.terminate()
        server.wait(10)


def wait_for(port: int) -> None:
    import socket

    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


def make_bucket(name: str, acl: str = "private") -> None:
    import boto3
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    client = boto3.session.Session().client("s3", config=config)
    client.create_bucket(Bucket=name)
    if acl != "private":
        client.put_bucket_acl(Bucket=name, ACL=acl)
    client.close()
