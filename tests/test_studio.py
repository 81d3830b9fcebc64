"""The studio as its page uses it: a real server, real photos, a real training."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import olhar
from serving_process import Server, httpx, serving

OURS = {"X-Olhar": "studio"}
posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


def photo(hue: int, number: int, side: int = 120) -> bytes:
    """A JPEG of stripes in one colour, another for each number."""
    random = np.random.default_rng(1000 * hue + number)
    pixels = random.integers(0, 90, (side, side, 3))
    pixels[..., hue] += 120
    pixels[:: 2 + number % 5] //= 2
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


class Page:
    """What the page does, without the page."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def get(self, path: str, **options: Any) -> Any:
        return self.server.get(path, **options)

    def send(self, path: str, values: Any = None, method: str = "POST", **options: Any) -> Any:
        options.setdefault("headers", OURS)
        return httpx.request(method, self.server.url + path, json=values, timeout=60, **options)

    def state(self) -> dict[str, Any]:
        found = self.get("api/state")
        assert found.status_code == 200, found.text
        return found.json()

    def upload(self, class_name: str | None, photos: list[tuple[str, bytes]], **query: str) -> Any:
        files = [("photo", (name, content)) for name, content in photos]
        query |= {} if class_name is None else {"class": class_name}
        answer = httpx.post(
            self.server.url + "api/photos", params=query, files=files, headers=OURS, timeout=120
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def undo(self, made: Any) -> Any:
        """Take back what `made`, an answer, has changed."""
        return self.send("api/undo", {"id": made.json()["changes"][-1]})

    def wait(self, done: Callable[[dict[str, Any]], Any], seconds: float = 180) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            state = self.state()
            if done(state):
                return state
            assert time.monotonic() < end, state
            time.sleep(0.2)

    def fill(self, count: int = 12) -> None:
        for hue, name in enumerate(("red", "green")):
            assert self.send("api/classes", {"name": name}).status_code == 200
            photos = [(f"{name}{n}.jpg", photo(hue, n)) for n in range(count)]
            assert len(self.upload(name, photos)["taken"]) == count


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A studio with two classes, a tray, and a model."""
    project = tmp_path_factory.mktemp("studio") / "colours"
    with serving(project, command="studio") as server:
        page = Page(server)
        page.fill()
        page.upload(None, [(f"t{n}.jpg", photo(n % 2, 500 + n)) for n in range(6)])
        assert page.send("api/train", {}).json() == {"id": "1"}
        state = page.wait(lambda state: state["models"] and state["training"] is None)
        assert state["message"] is None, state["message"]
        yield page


def project_of(page: Page) -> Path:
    return Path(page.state()["command"].split()[-1]).parent


def test_the_model_of_the_studio_is_a_run_like_any_other(trained: Page) -> None:
    state = trained.state()
    model = state["models"][-1]
    assert (model["run"], model["unfinished"], model["older_than_photos"]) == ("1", False, False)
    assert 0 <= model["interval"][0] <= model["accuracy"] <= model["interval"][1] <= 1
    run = project_of(trained) / "runs" / model["run"]
    (run.parent / "red.jpg").write_bytes(photo(0, 900))
    done = olhar("predict", run, run.parent / "red.jpg", "--json")
    assert done.status == 0, done.err
    told = done.json[0]
    asked = trained.send("api/predict?model=1", None, content=photo(0, 900)).json()
    assert asked["label"] == told["label"] == "red"
    assert asked["probability"] == pytest.approx(told["probability"], abs=1e-6)


def test_the_model_is_explained_in_plain_words(trained: Page) -> None:
    found = trained.get("api/models/1").json()
    assert "Of 20 new photos" in found["sentence"]
    assert found["classes"] == ["green", "red"]
    assert sum(map(sum, found["confusion"])) == sum(len(files) for files in found["cells"].values())
    for files in found["cells"].values():
        for file in files:
            assert trained.get(f"photos/{file}?side=64").headers["content-type"] == "image/jpeg"
    assert "Von" not in found["sentence"]
    spoken = trained.get("api/models/1", params={"lang": "pt"}).json()["sentence"]
    assert "fotos novas" in spoken


def test_the_tray_is_proposed_for_the_least_sure_first_and_answered_by_a_move(
    trained: Page,
) -> None:
    end = time.monotonic() + 60
    while True:
        found = trained.get("api/photos?tray=1").json()["photos"]
        if all(one["proposal"] for one in found):
            break
        assert time.monotonic() < end
        time.sleep(0.2)
    chances = [one["proposal"]["probability"] for one in found]
    assert chances == sorted(chances)
    one = found[0]
    moved = trained.send("api/photos/move", {"files": [one["file"]], "class": "red"})
    assert moved.status_code == 200
    assert one["name"] in {p["name"] for p in trained.get("api/photos?class=red").json()["photos"]}
    assert trained.state()["models"][0]["older_than_photos"]
    assert "red" in trained.undo(moved).json()["text"]
    assert len(trained.get("api/photos?tray=1").json()["photos"]) == len(found)


@pytest.mark.parametrize("kind", ["onnx", "card", "zip", "web"])
def test_a_model_is_handed_on(trained: Page, kind: str) -> None:
    found = trained.get(f"api/models/1/export/{kind}")
    assert found.status_code == 200, found.text
    assert "attachment" in found.headers["content-disposition"]
    assert len(found.content) > 500


def test_the_project_leaves_as_folders_of_classes(trained: Page) -> None:
    content = trained.get("api/project.zip").content
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert "colours/photos/red/red0.jpg" in names
    assert "colours/runs/1/model/model.onnx" in names


def test_what_changes_is_sent_to_whoever_watches(trained: Page) -> None:
    seen: list[dict[str, Any]] = []
    ready = threading.Event()

    def listen() -> None:
        with httpx.stream("GET", trained.server.url + "api/events", timeout=60) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line[6:]))
                    ready.set()
                    if any(c["name"] == "blue" for c in seen[-1]["classes"]):
                        return

    watcher = threading.Thread(target=listen)
    watcher.start()
    assert ready.wait(30)
    added = trained.send("api/classes", {"name": "blue"})
    watcher.join(30)
    assert not watcher.is_alive()
    assert trained.undo(added).status_code == 200


def test_only_its_own_page_changes_a_project(trained: Page) -> None:
    before = trained.state()["classes"]
    assert trained.send("api/classes", {"name": "evil"}, headers={}).status_code == 403
    foreign = trained.get("", headers={"Host": "evil.example"})
    assert foreign.status_code == 421
    assert "--allow-host" in foreign.text
    assert trained.state()["classes"] == before
    page = trained.get("")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "camera=(self)" in page.headers["permissions-policy"]


@pytest.mark.parametrize(
    ("method", "path", "values", "status"),
    [
        ("POST", "api/classes", {"name": "../x"}, 400),
        ("POST", "api/classes", {}, 400),
        ("POST", "api/classes", [1], 400),
        ("PATCH", "api/classes/red", {"name": "GREEN"}, 400),
        ("PATCH", "api/classes/none", {"name": "x"}, 404),
        ("DELETE", "api/classes/none", None, 404),
        ("POST", "api/photos/move", {"files": ["../../x"], "class": "red"}, 404),
        ("POST", "api/photos/move", {"files": "red/red0.jpg", "class": "red"}, 400),
        ("POST", "api/photos/delete", {"files": ["red/nothing.jpg"]}, 404),
        ("POST", "api/train", {"network": "no such"}, 400),
        ("POST", "api/train", {"minutes": "soon"}, 400),
        ("POST", "api/train/resume", {"run": "99"}, 404),
        ("POST", "api/models/1/push", {"address": "nowhere"}, 400),
        ("GET", "api/photos?class=none", None, 404),
        ("GET", "photos/red/..%2f..%2fx", None, 404),
        ("GET", "photos/red/red0.jpg?side=9999", None, 400),
        ("GET", "api/models/99", None, 404),
        ("GET", "api/models/1/export/pdf", None, 400),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    trained: Page, method: str, path: str, values: Any, status: int
) -> None:
    before = trained.state()["classes"]
    answer = trained.send(path, values, method)
    assert answer.status_code == status, answer.text
    if "json" in answer.headers.get("content-type", ""):
        assert answer.json()["message"]
    assert trained.state()["classes"] == before


def test_photos_that_cannot_be_read_are_named_and_archives_become_classes(tmp_path: Path) -> None:
    with serving(tmp_path / "p", command="studio") as server:
        page = Page(server)
        page.send("api/classes", {"name": "red"})
        answer = page.upload(
            "red", [("a.jpg", photo(0, 1)), ("b.jpg", photo(0, 1)), ("c.jpg", b"no")]
        )
        assert [one["file"] for one in answer["taken"]] == ["red/a.jpg"]
        assert answer["already"] == [{"name": "b.jpg", "file": "red/a.jpg"}]
        assert answer["refused"][0]["name"] == "c.jpg"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for n in range(3):
                archive.writestr(f"all/Red/r{n}.jpg", photo(0, 10 + n))
                archive.writestr(f"all/azul claro/b{n}.jpg", photo(2, 10 + n))
            archive.writestr("all/notes.txt", "no photo")
        answer = page.upload(None, [("mine.zip", packed.getvalue())])
        assert len(answer["taken"]) == 6
        counts = {one["name"]: one["count"] for one in page.state()["classes"]}
        assert counts == {"azul claro": 3, "red": 4}
        evil = io.BytesIO()
        with zipfile.ZipFile(evil, "w") as archive:
            archive.writestr("../../evil.jpg", photo(0, 99))
        assert page.upload(None, [("evil.zip", evil.getvalue())])["refused"]
        assert not (tmp_path / "evil.jpg").exists()
        assert "5 photos or more" in page.state()["can_train"]
        assert page.send("api/train", {}).status_code == 400


def test_two_browsers_lose_none_of_each_others_photos(tmp_path: Path) -> None:
    with serving(tmp_path / "p", command="studio") as server:
        page = Page(server)
        page.send("api/classes", {"name": "red"})

        def send(first: int) -> None:
            for n in range(first, first + 10):
                page.upload("red", [("photo.jpg", photo(0, n))], burst=f"rec-{first}")

        both = [threading.Thread(target=send, args=(first,)) for first in (0, 100)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        found = page.get("api/photos?class=red").json()["photos"]
        assert len(found) == 20
        assert sorted({one["burst"] for one in found}) == ["rec-0", "rec-100"]


def test_what_is_found_in_photos_is_told_in_the_language_of_whoever_asks(tmp_path: Path) -> None:
    with serving(tmp_path / "p", command="studio") as server:
        page = Page(server)
        page.fill(3)
        page.wait(lambda state: state["classes"][0]["notes"])  # they are few
        said = [
            page.get("api/state", params={"lang": language}).json()["classes"][0]["notes"]
            for language in ("en", "pt")
        ]
        assert [note["kind"] for note in said[0]] == [note["kind"] for note in said[1]]
        assert said[0][0]["suggestion"] != said[1][0]["suggestion"]


def test_a_photo_of_60_megapixels_comes_and_is_answered(trained: Page, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.open(io.BytesIO(photo(0, 900))).resize((10_000, 6_000)).save(file, "JPEG")
    large = file.getvalue()
    assert trained.send("api/predict", None, content=large).json()["label"] == "red"
    with serving(tmp_path / "p", command="studio") as server:
        page = Page(server)
        page.send("api/classes", {"name": "red"})
        [taken] = page.upload("red", [("large.jpg", large)])["taken"]
        assert (tmp_path / "p" / "photos" / taken["file"]).read_bytes() == large
        shown = page.get(f"photos/{taken['file']}?side=256")
        assert Image.open(io.BytesIO(shown.content)).size == (256, 154)


def test_a_browser_takes_back_its_own_changes_and_no_others(tmp_path: Path) -> None:
    with serving(tmp_path / "p", command="studio") as server:
        page = Page(server)
        page.fill(3)
        deleted = page.send("api/photos/delete", {"files": ["red/red0.jpg"]})
        # What another browser has done since, elsewhere, stays.
        moved = page.send("api/photos/move", {"files": ["red/red1.jpg"], "class": "green"})
        renamed = page.send("api/classes/green", {"name": "lime"}, "PATCH")
        assert "deleted" in page.undo(deleted).json()["text"]
        assert page.get("photos/red/red0.jpg").is_success
        assert page.get("photos/lime/red1.jpg").is_success
        # What stands in the way is named.
        refused = page.undo(moved)
        assert (refused.status_code, "'green' is now 'lime'" in refused.text) == (400, True)
        assert page.get("photos/lime/red1.jpg").is_success
        assert set(page.state()["undo"]) >= {moved.json()["changes"][0]}
        assert [page.undo(one).status_code for one in (renamed, moved)] == [200, 200]
        assert {one["name"]: one["count"] for one in page.state()["classes"]} == {
            "green": 3,
            "red": 3,
        }
        for gone in (moved.json()["changes"][0], "nothing"):
            assert page.send("api/undo", {"id": gone}).status_code == 404
        assert page.send("api/undo", {}).status_code == 400


def test_corrections_of_a_served_model_come_into_the_tray(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "red").mkdir(parents=True)
    with serving(tmp_path / "p", "--corrections", kept, command="studio") as server:
        page = Page(server)
        (kept / "red" / "a.jpg").write_bytes(photo(0, 1))
        page.wait(lambda state: state["tray"]["count"] == 1)
        [one] = page.get("api/photos?tray=1").json()["photos"]
        assert one["proposal"] == {"class": "red", "probability": 1.0}
    assert [path.name for path in (kept / "red").iterdir()] == ["a.jpg"]


def kill(server: Server) -> None:
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(30)


def test_one_recording_of_each_class_is_learnt_and_said_to_flatter(tmp_path: Path) -> None:
    with serving(tmp_path / "p", command="studio") as server:
        page = Page(server)
        for hue, name in enumerate(("red", "green")):
            page.send("api/classes", {"name": name})
            page.upload(name, [(f"{n}.jpg", photo(hue, n)) for n in range(12)], burst=name)
        page.send("api/train", {})
        state = page.wait(lambda state: state["models"] and not state["models"][0]["unfinished"])
        assert state["message"] is None
        told = page.get("api/models/1").json()
        assert told["flatters"]
        assert told["sentence"]
        if state["training"]:
            page.send("api/train/stop", {})


@posix_only
def test_a_studio_that_is_killed_while_it_trains_is_found_again(tmp_path: Path) -> None:
    project = tmp_path / "p"
    with serving(project, command="studio") as server:
        page = Page(server)
        page.fill()
        page.send("api/train", {})
        page.wait(lambda state: state["training"] and state["training"]["title"])
        kill(server)
    with serving(project, command="studio") as server:
        page = Page(server)
        # The training went on by itself, to its end.
        state = page.wait(lambda state: state["models"] and not state["models"][0]["unfinished"])
        assert {one["count"] for one in state["classes"]} == {12}
        assert page.send("api/predict", None, content=photo(0, 77)).json()["label"] == "red"


@posix_only
def test_a_class_that_goes_while_it_is_learnt_ends_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path / "p", command="studio") as server:
        page = Page(server)
        page.fill()
        page.send("api/train", {})
        page.wait(lambda state: state["training"] and state["training"]["title"])
        deleted = page.send("api/classes/red", None, "DELETE")
        assert deleted.status_code == 200
        state = page.wait(lambda state: state["training"] is None)
        assert state["message"] or state["models"][0]["older_than_photos"]
        assert page.undo(deleted).status_code == 200
        assert {one["count"] for one in page.state()["classes"]} == {12}


def test_the_command_is_one_that_a_shell_takes(tmp_path: Path) -> None:
    with serving(tmp_path / "grandma's fruit", command="studio") as server:
        words = shlex.split(Page(server).state()["command"])
    assert words == ["olhar", "train", "--data", str(tmp_path / "grandma's fruit" / "photos")]


def test_others_are_let_in_with_a_token_alone(tmp_path: Path) -> None:
    done = olhar("studio", tmp_path / "p", "--host", "0.0.0.0", "--port", 0)
    assert done.status == 2
    assert "--token-env" in done.err
    assert not (tmp_path / "p").exists()
    words = (tmp_path / "p", "--token-env", "SECRET")
    with serving(*words, command="studio", SECRET="tulips") as server:
        base = server.url
        assert "tulips" not in server.log
        assert httpx.get(base + "api/state").status_code == 401
        assert httpx.get(base + "api/state", headers={"Authorization": "Bearer tulips"}).is_success
        with httpx.Client(follow_redirects=True) as browser:
            assert browser.get(base + "?token=tulips").is_success
            assert browser.get(base + "api/state").is_success


def test_a_project_that_is_open_or_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text.txt").write_text("mine")
    done = olhar("studio", tmp_path / "thesis", "--port", 0)
    assert (done.status, "no project" in done.err) == (2, True)
    with serving(tmp_path / "p", command="studio"):
        done = olhar("studio", tmp_path / "p", "--port", 0)
        assert (done.status, "another studio" in done.err) == (2, True)
