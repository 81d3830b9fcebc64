"""The studio's page where the disk fills, the computer sleeps, or thousands of photos come at once."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pages import keep, watched
from serving_process import Server, serving
from test_studio import Page, photo
from test_studio_page import card, drop, files, page_of, until

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="signals and limits of Linux")


def write_photos(folder: Path, numbers: range, side: int) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for n in numbers:
        (folder / f"{n:04}.jpg").write_bytes(photo(n % 3, n, side))
    return [f"{n:04}.jpg" for n in numbers]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    with serving(tmp_path / "project", command="studio") as server:
        yield server, tmp_path / "project" / "photos"


@linux_only
def test_what_came_stays_where_the_disk_is_full_and_the_page_says_so(
    browser: Any, empty: tuple[Server, Path], tmp_path: Path
) -> None:
    import resource

    server, photos = empty
    small = write_photos(tmp_path / "red", range(4), 40)
    large = write_photos(tmp_path / "red", range(10, 13), 400)
    room = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    # To the studio a file that may not grow is as a disk that is full.
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (20_000, room[1]))
    with page_of(browser, server.url, "full", errors=True) as page:
        drop(page, page.locator("#add"), [tmp_path / "red"])
        arrivals = page.locator("#arrivals")
        arrivals.get_by_text("4 photos have come.").wait_for()
        said = arrivals.get_by_role("listitem")
        assert said.count() == 1
        assert "is full; free some space" in said.inner_text()
        assert all(name in said.inner_text() for name in large)
        assert files(photos) == small
        # When there is room again, what is missing comes, and nothing twice.
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, room)
        arrivals.get_by_role("button", name="Close").click()
        drop(page, page.locator("#add"), [tmp_path / "red"])
        arrivals.get_by_text("3 photos have come.").wait_for()
        until(page, "parseInt(document.querySelector('.count').textContent) === 7")
    assert files(photos) == sorted(small + large)


@linux_only
def test_a_recording_stays_one_where_the_disk_is_too_full_to_note_it(
    browser: Any, empty: tuple[Server, Path]
) -> None:
    import resource

    server, photos = empty
    Page(server).fill(6)
    groups = photos / "groups.csv"
    long = "g" * 10_000  # so that the file is larger than a photo
    groups.write_text("file,group\n" + "".join(f"red/red{n}.jpg,{n}{long}\n" for n in range(6)))
    before = groups.read_bytes()
    room = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    # A photo may be written, and the whole of groups.csv not.
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (len(before), room[1]))
    with page_of(browser, server.url, "not-noted", errors=True) as page:
        record = card(page, "red").get_by_role("button", name="Record")
        record.hover()
        page.mouse.down()
        card(page, "red").locator(".over", has_text=re.compile(r"^([7-9]|1\d) photos$")).wait_for()
        page.mouse.up()
        arrivals = page.locator("#arrivals")
        arrivals.get_by_text("not yet noted as one recording").wait_for()
        arrivals.get_by_text("photos have come.").wait_for()
        assert "is full; free some space" in arrivals.inner_text()
        keep(page, "studio-not-noted")
        recorded = {f"red/{file.name}" for file in (photos / "red").iterdir()}
        recorded -= {f"red/red{n}.jpg" for n in range(6)}
        assert len(recorded) >= 7
        assert groups.read_bytes() == before
        # A model would be tested on what it has learnt from.
        refused = Page(server).send("api/train", {})
        assert refused.status_code == 422
        assert "is full" in refused.json()["message"]
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, room)
        page.get_by_role("tab", name="Train").click()
        page.get_by_role("button", name="Train", exact=True).click()
        page.get_by_role("button", name="Stop").click()
    rows = dict(line.split(",") for line in groups.read_text().splitlines()[1:])
    assert recorded <= rows.keys()
    assert len({rows[file] for file in recorded}) == 1


def photograph(page: Any) -> None:
    """Short presses until there is one photo more; one that finds the camera closed only opens it."""
    count = "(parseInt(document.querySelector('.count').textContent) || 0)"
    before, end = page.evaluate(count), time.monotonic() + 60
    while page.evaluate(count) <= before:
        assert time.monotonic() < end
        page.keyboard.press("Space")
        page.wait_for_timeout(300)


def test_a_camera_that_is_refused_taken_or_pulled_out_works_again_when_it_is_there(
    browser: Any, empty: tuple[Server, Path]
) -> None:
    server, photos = empty
    Page(server).send("api/classes", {"name": "red"})
    with page_of(browser, server.url, "camera") as page:
        red = card(page, "red")
        page.evaluate("() => { window.real = navigator.mediaDevices.getUserMedia; }")
        red.get_by_role("button", name="Record").focus()
        for name, words in (
            ("NotAllowedError", "was not allowed to use the camera"),
            ("NotReadableError", "Another program uses the camera"),
            ("NotFoundError", "There is no camera here"),
        ):
            page.evaluate(
                "name => { navigator.mediaDevices.getUserMedia = async () => {"
                " throw new DOMException('', name); }; }",
                name,
            )
            page.keyboard.press("Space")
            red.get_by_role("alert").get_by_text(words).wait_for()
            assert not red.locator("video").is_visible()
        page.evaluate("() => { navigator.mediaDevices.getUserMedia = window.real; }")
        photograph(page)
        assert red.get_by_role("alert").count() == 0
        page.evaluate(
            "document.querySelector('video').srcObject.getVideoTracks()[0]"
            ".dispatchEvent(new Event('ended'))"
        )
        red.locator("video").wait_for(state="hidden")
        photograph(page)
    assert len(files(photos)) >= 2  # a busy machine shows a photo late, and the press is repeated


class Wire:
    """What carries a browser's connections to a server, until they are cut."""

    def __init__(self, server: Server) -> None:
        self._to = server.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.url = f"http://localhost:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(2**16):
                target.sendall(part)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


@linux_only
def test_a_computer_that_sleeps_finds_its_studio_and_its_training_again(
    browser: Any, empty: tuple[Server, Path], tmp_path: Path
) -> None:
    server, _photos = empty
    write_photos(tmp_path / "given", range(900, 906), 60)
    there = Page(server)
    there.fill(6)
    with contextlib.closing(Wire(server)) as wire:
        own = {"errors": True, "patience_s": 120}
        with watched(browser, (wire.url, "blob:", "data:image/"), **own) as page:
            page.goto(wire.url)
            card(page, "green").wait_for()
            there.send("api/train", {})
            page.locator("#busy").wait_for()
            os.kill(server.process.pid, signal.SIGSTOP)
            try:
                wire.cut()
                page.get_by_text("The studio does not answer.").wait_for()
                drop(page, card(page, "green"), sorted((tmp_path / "given").iterdir()))
                time.sleep(10)
                wire.cut()
            finally:
                os.kill(server.process.pid, signal.SIGCONT)
            page.locator("#stopped").wait_for(state="hidden")
            card(page, "green").get_by_text("12 photos").wait_for()
            page.get_by_role("tab", name="Train").click()
            models = page.locator("#step-train").get_by_role("listitem")
            models.get_by_text("Model 1", exact=True).wait_for()
    assert there.state()["message"] is None


@pytest.mark.soak
@linux_only
def test_five_thousand_photos_at_once(
    browser: Any, empty: tuple[Server, Path], tmp_path: Path
) -> None:
    server, photos = empty
    names = write_photos(tmp_path / "many" / "red", range(5_000), 32)
    with page_of(browser, server.url, "many", errors=True) as page:
        began = time.monotonic()
        drop(page, page.locator("#add"), [tmp_path / "many"])
        card(page, "red").wait_for()
        page.evaluate(
            "() => { let last = performance.now(); window.longest = 0; (function look(now) {"
            " longest = Math.max(longest, now - last); last = now; requestAnimationFrame(look); })(last); }"
        )
        # Meanwhile it can be used.
        page.get_by_role("button", name="Add class").click()
        page.locator(".class-name:focus").wait_for()
        while files(photos) != names:
            assert time.monotonic() < began + 1800, len(files(photos))
            page.wait_for_timeout(500)
        page.get_by_text("5,000 photos have come.").first.wait_for()
        seconds = time.monotonic() - began
        print(f"{seconds:.0f} s for 5,000 photos; longest pause {page.evaluate('longest'):.0f} ms")
        assert page.evaluate("longest") < 3000
        card(page, "red").get_by_text("5,000 photos").wait_for()
