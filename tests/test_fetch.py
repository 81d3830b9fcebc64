from __future__ import annotations

import hashlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from olhar.datasets.fetch import fetch, md5_bytes, md5_file
from olhar.errors import ChecksumError, DownloadError
from olhar.i18n import Text
from olhar.progress import Progress

CONTENT = bytes(range(256)) * 4000  # about 1 MB
MD5 = hashlib.md5(CONTENT).hexdigest()


class RangeServer(ThreadingHTTPServer):
    """Serves CONTENT; `cut_after` bytes of an answer the connection is closed, `cuts` times."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RangeHandler)
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        self.says_length = True
        self.cut_after = 0
        self.cuts = 0
        self.status = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class RangeHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, RangeServer)
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if server.status:
            self.send_error(server.status)
            return
        found = re.fullmatch(r"bytes=(\d+)-", asked or "")
        start = int(found[1]) if found and server.knows_ranges else 0
        if start and start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        if server.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            body = body[: server.cut_after]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server():
    with RangeServer() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class Heard(Progress):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done: list[list[int]] = []
        self.text = ""

    def start(self, title: Text, total: int) -> None:
        self.stages.append((str(title), total))
        self.done.append([])

    def advance(self, done: int, text: str = "") -> None:
        self.done[-1].append(done)
        self.text = text


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_downloads_into_a_folder_that_is_not_there_yet(server, tmp_path, capfd):
    path = tmp_path / "new" / "file.bin"
    assert fetch(server.url, path, MD5) == path
    assert path.read_bytes() == CONTENT
    assert not path.with_name("file.bin.part").exists()
    assert capfd.readouterr() == ("", "")  # who hands in no progress hears nothing


def test_the_bytes_of_a_download_are_heard(server, tmp_path):
    heard = Heard()
    fetch(server.url, tmp_path / "file.bin", MD5, heard)
    assert heard.stages == [("downloading file.bin", len(CONTENT))]
    assert heard.done[0] == sorted(heard.done[0])
    assert (heard.done[0][0], heard.done[0][-1]) == (0, len(CONTENT))
    assert re.fullmatch(r"1\.0/1\.0 MB  [\d,]+\.\d MB/s", heard.text)
    fetch(server.url, tmp_path / "file.bin", MD5, heard)
    assert len(heard.stages) == 1  # it is there


def test_a_download_that_is_taken_up_begins_where_it_stopped(server, tmp_path):
    server.cut_after, server.cuts = 300_000, 1
    heard = Heard()
    fetch(server.url, tmp_path / "file.bin", MD5, heard)
    assert heard.stages == [("downloading file.bin", len(CONTENT))] * 2
    assert [(done[0], done[-1]) for done in heard.done] == [
        (0, 300_000),
        (300_000, len(CONTENT)),
    ]


def test_a_download_of_unknown_length(server, tmp_path):
    server.says_length = False
    heard = Heard()
    fetch(server.url, tmp_path / "file.bin", MD5, heard)
    assert heard.stages == [("downloading file.bin", 0)]
    assert heard.done[0][-1] == len(CONTENT)
    assert heard.text.startswith("1.0 MB  ")


def test_a_right_file_is_not_downloaded_again_and_a_wrong_one_is(server, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    fetch(server.url, path, MD5)
    assert server.ranges == []
    path.write_bytes(b"something else")
    fetch(server.url, path, MD5)
    assert path.read_bytes() == CONTENT


def test_cut_connections_are_taken_up_where_they_stopped(server, tmp_path):
    server.cut_after, server.cuts = 300_000, 2
    path = fetch(server.url, tmp_path / "file.bin", MD5)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_a_part_of_an_earlier_call_is_continued(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    fetch(server.url, tmp_path / "file.bin", MD5)
    assert server.ranges == ["bytes=1000-"]
    assert md5_file(tmp_path / "file.bin") == MD5


def test_a_server_that_ignores_ranges_starts_over(server, tmp_path):
    server.knows_ranges = False
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    path = fetch(server.url, tmp_path / "file.bin", MD5)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(("part", "requests"), [(CONTENT, 1), (CONTENT + b"more", 2)])
def test_a_part_that_is_complete_or_too_long(server, tmp_path, part, requests):
    (tmp_path / "file.bin.part").write_bytes(part)
    path = fetch(server.url, tmp_path / "file.bin", MD5)
    assert path.read_bytes() == CONTENT
    assert len(server.ranges) == requests


def test_a_wrong_md5_is_told_and_removed(server, tmp_path):
    with pytest.raises(ChecksumError, match=MD5) as caught:
        fetch(server.url, tmp_path / "file.bin", "0" * 32)
    assert "0" * 32 in str(caught.value)
    assert server.url in str(caught.value)
    assert caught.value.exit_status == 2
    assert names_in(tmp_path) == {"file.bin.lock"}


def test_a_connection_that_makes_no_progress_keeps_what_has_come(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    server.cut_after, server.cuts = 0, 99
    with pytest.raises(DownloadError, match="cut"):
        fetch(server.url, tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:1000]


def test_the_server_says_no(server, tmp_path):
    server.status = 404
    with pytest.raises(DownloadError, match="404 Not Found") as caught:
        fetch(server.url, tmp_path / "file.bin", MD5)
    assert server.url in str(caught.value)
    assert "OLHAR_DATA" in str(caught.value)
    assert caught.value.exit_status == 1


def test_nobody_listens(tmp_path):
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9/"):
        fetch("http://127.0.0.1:9/file.bin", tmp_path / "file.bin", MD5, timeout_s=2)


def test_of_two_at_once_one_downloads(server, tmp_path):
    path = tmp_path / "file.bin"
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(fetch, server.url, path, MD5) for _ in range(2)]
        assert [done.result() for done in both] == [path, path]
    assert server.ranges == [None]


def test_md5_of_bytes_and_of_a_file_agree(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    assert md5_bytes(CONTENT) == md5_file(tmp_path / "file") == MD5
