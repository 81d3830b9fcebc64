"""A server under load, under attack, changed while it serves, and ended: nothing accepted is lost."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving_process import Server, serving

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
HEADERS = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("photo") / "p.png"
    from sklearn.datasets import load_digits

    Image.fromarray((load_digits().images[3] * 15.9).astype(np.uint8)).resize((28, 28)).save(path)
    return path.read_bytes()


class Clients:
    """Clients that ask again and again until the server says that it closes, or is not there.

    `answers` counts statuses; `lost` holds what happened to requests that were sent whole and got
    no answer, and to answers that were cut off.
    """

    def __init__(self, server: Server, count: int, body: bytes, *, keep: bool = True) -> None:
        self.answers: Counter[int] = Counter()
        self.labels: Counter[str] = Counter()
        self.retry_after: set[str | None] = set()
        self.lost: list[str] = []
        self.ended = threading.Event()
        self._server, self._body, self._keep = server, body, keep
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        end = time.monotonic() + 60
        while self.answers.total() < count:
            assert time.monotonic() < end, (self.answers, self.lost, self._server.log)
            time.sleep(0.01)

    def end(self) -> None:
        self.ended.set()
        self.join()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        while not self.ended.is_set():
            try:
                connection.connect()
            except OSError:
                return  # nobody listens any more
            with contextlib.closing(connection):
                if not self._ask(connection):
                    return

    def _ask(self, connection: http.client.HTTPConnection) -> bool:
        """Requests over one connection; False where nothing more is to be asked."""
        while not self.ended.is_set():
            try:
                connection.request("POST", "/predict", self._body, HEADERS)
                answer = connection.getresponse()
                content = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                with self._lock:
                    self.lost.append(repr(error))
                return False
            with self._lock:
                self.answers[answer.status] += 1
                if answer.status == 200:
                    self.labels[content[0]["label"]] += 1
                else:
                    self.retry_after.add(answer.getheader("Retry-After"))
            if answer.getheader("Connection") == "close" or not self._keep:
                return True
        return False


@pytest.fixture(scope="module")
def server(digits_run: Path) -> Iterator[Server]:
    with serving(digits_run, "--timeout", "1", "--concurrency", "8") as running:
        yield running


def alive(server: Server, photo: bytes) -> bool:
    return bool(server.post("predict", content=photo, headers=HEADERS).status_code == 200)


@posix_only
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_no_request(
    digits_run: Path, photo: bytes, workers: str, number: signal.Signals
) -> None:
    with serving(digits_run, "--workers", workers, cold=True) as server:
        clients = [Clients(server, 4, photo), Clients(server, 12, photo, keep=False)]
        for some in clients:
            some.wait_for(30)
        server.process.send_signal(number)
        for some in clients:
            some.join()
        assert server.process.wait(30) == 0
        for some in clients:
            assert not some.lost, some.lost
            assert set(some.answers) == {200}
        assert "every request was answered" in server.log
        assert "Traceback" not in server.log


@posix_only
def test_slow_requests_in_flight_are_answered_after_the_signal(
    digits_run: Path, photo: bytes
) -> None:
    with serving(digits_run, cold=True) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            head = (
                f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n"
            )
            slow.sendall(head.encode() + photo[:20])
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            slow.sendall(photo[20:])
            answer = read_all(slow)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        assert server.process.wait(30) == 0


def test_more_than_the_limit_come_again_later(server: Server, photo: bytes) -> None:
    waiting = []
    for _ in range(64):  # they have announced a body, and keep it
        one = socket.create_connection(("127.0.0.1", server.port))
        one.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        waiting.append(one)
    time.sleep(0.3)
    refused = server.post("predict", content=photo, headers=HEADERS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
    assert refused.headers["retry-after"] == "1"
    assert server.get("ping").status_code == 200
    answers = Counter(read_all(one)[9:12] for one in waiting)
    for one in waiting:
        one.close()
    assert answers == {b"408": 8, b"503": 56}
    clients = Clients(server, 64, photo)
    clients.wait_for(300)
    clients.end()
    assert not clients.lost
    assert set(clients.answers) <= {200, 503}
    assert clients.answers[200]
    assert clients.retry_after <= {"1"}
    assert alive(server, photo)


def read_all(connection: socket.socket, seconds: float = 30) -> bytes:
    connection.settimeout(seconds)
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_slow_and_broken_clients_are_let_go(server: Server, photo: bytes) -> None:
    address = ("127.0.0.1", server.port)
    start = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    sent = {
        "nothing": b"",
        "half a header": start + b"Content-Le",
        "half a body": start + b"Content-Length: 1000\r\n\r\n" + photo[:10],
        "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00 hello",
        "headers without end": start + b"X: " + b"a" * 400_000,
        "a bad length": start + b"Content-Length: -5\r\n\r\n",
        "two lengths": start + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "a bad chunk": start + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "an upgrade": b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n",
    }
    open_ = {name: socket.create_connection(address) for name in sent}
    for name, content in sent.items():
        with contextlib.suppress(ConnectionError):
            open_[name].sendall(content)
    for _ in range(20):  # gone in the middle
        with socket.create_connection(address) as gone:
            gone.sendall(start + b"Content-Length: 1000\r\n\r\n" + photo[:10])
    assert alive(server, photo)
    answers = {name: read_all(one)[9:12] for name, one in open_.items() if name != "an upgrade"}
    for one in open_.values():
        one.close()
    assert answers == {
        "nothing": b"408",
        "half a header": b"408",
        "half a body": b"408",
        "no HTTP": b"400",
        "headers without end": answers["headers without end"],
        "a bad length": b"400",
        "two lengths": b"400",
        "a bad chunk": b"400",
    }
    # What was sent after the answer may have made the system throw the answer away.
    assert answers["headers without end"] in {b"431", b""}
    assert alive(server, photo)
    assert "Traceback" not in server.log


def test_a_body_over_the_limit_is_told_so(server: Server, photo: bytes) -> None:
    large = bytes(17 * 2**20)
    answer = server.post("predict", content=large, headers=HEADERS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

    def chunks() -> Iterator[bytes]:
        for _ in range(17):
            yield bytes(2**20)

    answer = server.post("predict", content=chunks(), headers=HEADERS)
    assert answer.status_code == 413
    assert alive(server, photo)


def test_an_unread_body_does_not_spoil_the_connection(server: Server, photo: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(connection):
        for path, expected in (("/nothing", 404), ("/ping", 405), ("/predict", 200)):
            connection.request("POST", path, photo + bytes(200_000), HEADERS)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == expected


def copy_version(source: Path, target: Path) -> None:
    """Put another version in place of a model, as a user would: file by file."""
    for file in source.iterdir():
        shutil.copyfile(file, target / file.name)


@pytest.fixture
def versions(digits_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run that may be changed, and a second version of its model, with other class names."""
    from safetensors.numpy import load_file

    from olhar.classifier import GOLDEN, ONNX, WEIGHTS, load_classifier, save_classifier

    run = tmp_path / "run"
    shutil.copytree(digits_run / "model", run / "model")
    config = load_classifier(run).config
    values: dict[str, Any] = {**config.__dict__}
    values["class_names"] = tuple(f"new {name}" for name in config.class_names)
    second = tmp_path / "second"
    save_classifier(
        second,
        type(config)(**values),
        load_file(run / "model" / WEIGHTS),
        (run / "model" / ONNX).read_bytes(),
        load_file(run / "model" / GOLDEN),
    )
    return run, second


def test_a_new_version_takes_over_without_a_lost_request(
    versions: tuple[Path, Path], photo: bytes
) -> None:
    run, second = versions
    with serving(run, "--reload", "0.1") as server:
        clients = Clients(server, 4, photo)
        clients.wait_for(20)
        old = server.get("models").json()[0]["version"]
        (run / "model" / "model.onnx").write_bytes(b"not a network")
        server.wait_for("refused")
        assert server.get("models").json()[0]["version"] == old
        copy_version(second, run / "model")
        server.wait_for("replaced by")
        clients.wait_for(clients.answers.total() + 20)
        clients.end()
        assert not clients.lost
        assert set(clients.answers) == {200}
        assert set(clients.labels) == {"3", "new 3"}
        assert server.get("models").json()[0]["version"] != old
        assert "Traceback" not in server.log


def children(server: Server) -> list[int]:
    """Its serving processes, among what else Python may have started for it."""
    text = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    found = []
    for number in map(int, text.split()):
        words = Path(f"/proc/{number}/cmdline").read_bytes()
        if b"spawn_main" in words:
            found.append(number)
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system has no /proc")
def test_a_worker_that_dies_is_replaced_and_none_outlives_its_parent(
    digits_run: Path, photo: bytes
) -> None:
    with serving(digits_run, "--workers", "2", cold=True) as server:
        first = children(server)
        assert len(first) == 2
        for _ in range(4):
            assert alive(server, photo)
        os.kill(first[0], signal.SIGKILL)
        server.wait_for("another takes its place")
        for _ in range(12):  # each over a connection of its own: both workers are asked
            clients = Clients(server, 1, photo, keep=False)
            clients.wait_for(1)
            clients.end()
            assert not clients.lost
        second = children(server)
        assert len(second) == 2
        assert first[1] in second
        total = 'olhar_requests_total{route="/predict",status="200"} '
        texts = [server.get("metrics").text for _ in range(4)]
        assert all(float(text.split(total)[1].split()[0]) >= 4 for text in texts)
        server.process.kill()
        end = time.monotonic() + 20
        while any(Path(f"/proc/{number}").exists() for number in second):
            assert time.monotonic() < end
            time.sleep(0.05)
