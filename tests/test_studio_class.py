"""A class on one computer: students with projects of their own, who share what trains."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conftest import olhar
from olhar.errors import ConfigError
from olhar.studio.lesson import open_lesson
from olhar.studio.project import Bounds, Project
from pages import ARTEFACTS
from serving_process import Server, httpx, serving
from test_studio import OURS, Page, photo, posix_only


class Browser(Page):
    """A student's, with its cookies."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.client = httpx.Client(base_url=server.url.partition("?")[0], timeout=120, headers=OURS)

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, **options)

    def send(self, path: str, values: Any = None, method: str = "POST", **options: Any) -> Any:
        return self.client.request(method, path, json=values, **options)

    def upload(self, class_name: str | None, photos: list[tuple[str, bytes]], **query: str) -> Any:
        files = [("photo", (name, content)) for name, content in photos]
        query |= {} if class_name is None else {"class": class_name}
        answer = self.client.post("api/photos", params=query, files=files)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def enter(self, name: str, code: str, class_code: str = "") -> Any:
        values = {"name": name, "code": code, "class_code": class_code}
        return self.send("class/api/enter", values)


Come = Callable[[Server], Browser]


@pytest.fixture
def come() -> Iterator[Come]:
    """A browser of somebody who comes, closed at the end."""
    with ExitStack() as stack:

        def new(server: Server) -> Browser:
            found = Browser(server)
            stack.callback(found.client.close)
            return found

        yield new


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("class") / "5b"
    with serving(folder, "--class", 3, command="studio") as server:
        yield server, folder


def test_each_student_has_a_project_behind_a_code(room: tuple[Server, Path], come: Come) -> None:
    server, folder = room
    ana, bia, other = come(server), come(server), come(server)
    assert ana.get("").headers["location"] == "/class/"
    assert "Who are you?" in ana.get("class/api/texts").json()["welcome"]
    assert ana.get("api/state").status_code == 401
    assert ana.enter("Ana", "abc").status_code == 400
    assert ana.enter("../x", "abcd").status_code == 400
    assert ana.enter("students.json", "abcd").status_code == 400
    assert ana.enter("Ana", "tulip").json() == {"name": "Ana"}
    assert bia.enter("Bia", "daisy").json() == {"name": "Bia"}
    assert ana.state()["project"] == "Ana"
    ana.send("api/classes", {"name": "red"})
    ana.upload("red", [("a.jpg", photo(0, 1))])
    assert bia.state()["classes"] == []
    assert bia.get("photos/red/a.jpg").status_code == 404
    assert (folder / "Ana" / "photos" / "red" / "a.jpg").is_file()
    # Another browser finds the project by the code alone, whatever the name's case.
    wrong = other.enter("ana", "wrong")
    assert (wrong.status_code, "not the code of Ana" in wrong.json()["message"]) == (403, True)
    assert other.get("api/state").status_code == 401
    assert other.enter("ANA", "tulip").json() == {"name": "Ana"}
    assert other.state()["classes"][0]["count"] == 1
    other.send("class/api/leave")
    assert other.get("api/state").status_code == 401
    kept = (folder / "students.json").read_text()
    assert set(json.loads(kept)["students"]) == {"Ana", "Bia"}
    assert "tulip" not in kept
    assert other.enter("Caio", "roses").status_code == 200
    full = come(server).enter("Duda", "lilac")
    assert (full.status_code, "--class 4" in full.json()["message"]) == (400, True)
    assert not (folder / "Duda").exists()


def test_other_sites_and_large_bodies_are_kept_out(room: tuple[Server, Path], come: Come) -> None:
    server, _folder = room
    ana = come(server)
    ana.enter("Ana", "tulip")
    del ana.client.headers["X-Olhar"]
    assert ana.send("api/classes", {"name": "evil"}).status_code == 403
    assert ana.send("class/api/leave").status_code == 403
    assert ana.get("api/state", headers={"Host": "evil.example"}).status_code == 421
    large = ana.client.post("api/photos", content=bytes(65 * 2**20), headers=OURS)
    assert (large.status_code, "64 MB" in large.json()["message"]) == (413, True)


def test_who_guesses_codes_has_to_wait(tmp_path: Path) -> None:
    with open_lesson(tmp_path / "c", 2) as lesson:
        lesson.enter("Ana", "tulip", "here")
        for _time in range(10):
            with pytest.raises(PermissionError):
                lesson.enter("Ana", "wrong", "there")
        with pytest.raises(ConfigError, match="wait a minute"):
            lesson.enter("Ana", "tulip", "there")
        assert lesson.enter("Bia", "daisy", "here")[1].name == "Bia"


def finished(state: dict[str, Any]) -> bool:
    return bool(state["models"]) and not state["models"][0]["unfinished"]


def test_trainings_wait_in_one_line_that_all_see(room: tuple[Server, Path], come: Come) -> None:
    server, _folder = room
    ana, bia = come(server), come(server)
    for one, name, code in ((ana, "Ana", "tulip"), (bia, "Bia", "daisy")):
        assert one.enter(name, code).status_code == 200
        one.send("api/classes", {"name": "red"})
        one.send("api/classes", {"name": "green"})
        for hue, label in enumerate(("red", "green")):
            one.upload(label, [(f"{label}{n}.jpg", photo(hue, n)) for n in range(12)])
    assert ana.send("api/train", {}).status_code == 200
    assert bia.send("api/train", {}).status_code == 200
    waits = bia.wait(lambda state: state["training"] and state["training"]["stage"] == "waiting")
    assert waits["training"]["title"] == "Place 2 in the line: Ana, Bia"
    assert ana.get("class/api/state").json()["line"] == ["Ana", "Bia"]
    assert come(server).get("class/api/state").json()["line"] == ["Ana", "Bia"]
    # Who waits can give it up; the other's goes on.
    bia.send("api/train/stop")
    bia.wait(lambda state: state["training"] is None)
    assert ana.state()["training"]["stage"] != "waiting"
    assert bia.send("api/train", {}).status_code == 200
    ana.send("api/train/stop")
    ana.wait(lambda state: state["training"] is None)
    found = bia.wait(lambda state: state["message"] or finished(state), 90)
    assert found["message"] is None
    assert bia.send("api/predict", content=photo(0, 77)).json()["label"] == "red"
    bia.send("api/train/stop")
    end = time.monotonic() + 60
    while ana.get("class/api/state").json()["line"]:
        assert time.monotonic() < end
        time.sleep(0.1)


@posix_only
@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.soak), signal.SIGKILL]
)
def test_a_training_that_waits_is_taken_up_when_the_class_starts_again(
    tmp_path: Path, come: Come, number: int
) -> None:
    folder = tmp_path / "c"
    with serving(folder, "--class", 2, command="studio") as server:
        ana, bia = come(server), come(server)
        for one, name in ((ana, "Ana"), (bia, "Bia")):
            one.enter(name, "tulip")
            for hue, label in enumerate(("red", "green")):
                one.send("api/classes", {"name": label})
                one.upload(label, [(f"{label}{n}.jpg", photo(hue, n)) for n in range(6)])
            assert one.send("api/train", {"seed": 7}).status_code == 200
        bia.wait(lambda state: state["training"] and state["training"]["stage"] == "waiting")
        ana.wait(lambda state: state["training"]["title"])  # what it needs is loaded
        asked = {"network": None, "minutes": None, "augment": None, "seed": 7}
        kept = json.loads((folder / "waiting.json").read_text())
        assert kept == [{"student": "Bia", "asked": asked}]
        os.kill(server.process.pid, number)
        server.process.wait(60)
    assert json.loads((folder / "waiting.json").read_text()) == kept
    kept.append({"student": "Caio", "asked": asked})  # whose project has gone
    (folder / "waiting.json").write_text(json.dumps(kept))
    with serving(folder, "--class", 2, command="studio") as server:
        assert "1 training(s) that waited" in server.log
        assert "the training of Caio cannot be taken up" in server.log
        bia = come(server)
        bia.enter("Bia", "tulip")
        found = bia.wait(lambda state: state["message"] or finished(state))
        assert found["message"] is None
        assert not (folder / "waiting.json").exists()
        assert "seed = 7" in (folder / "Bia" / "runs" / "1" / "config.toml").read_text()
        bia.send("api/train/stop")
    (folder / "waiting.json").write_text("{")
    with serving(folder, "--class", 2, command="studio") as server:
        assert "have to be asked for again" in server.log


def test_the_first_page_in_a_browser(room: tuple[Server, Path], browser: Any) -> None:
    server, _folder = room
    ARTEFACTS.mkdir(exist_ok=True)
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="en-GB")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.url)
    page.get_by_label("Your name").fill("Ana")
    page.get_by_label("Your code").fill("wrong")
    page.get_by_role("button", name="Open my project").click()
    page.get_by_text("not the code of Ana").wait_for()
    page.screenshot(path=ARTEFACTS / "studio-class-door.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("Your code").fill("tulip")
    page.get_by_role("button", name="Open my project").click()
    page.get_by_role("button", name="Add class").wait_for()
    page.get_by_role("link", name="The class").click()
    page.get_by_text("You are Ana.").wait_for()
    page.goto(server.url + "class/?lang=pt")
    page.get_by_text("Você é Ana.").wait_for()
    page.screenshot(path=ARTEFACTS / "studio-class-inside.png", full_page=True)
    page.get_by_role("button", name="Sou outra pessoa").click()
    page.get_by_label("Seu nome").wait_for()
    context.close()
    assert complaints == []


def test_others_are_let_in_with_the_code_of_the_class(tmp_path: Path, come: Come) -> None:
    done = olhar("studio", tmp_path / "c", "--class", 2, "--host", "0.0.0.0", "--port", 0)
    assert (done.status, "--token-env" in done.err) == (2, True)
    assert not (tmp_path / "c").exists()
    words = (tmp_path / "c", "--class", 2, "--host", "0.0.0.0", "--token-env", "SECRET")
    with serving(*words, command="studio", SECRET="tulips 5b") as server:
        assert "tulips" not in server.log
        ana = come(server)
        ana.client.base_url = f"http://127.0.0.1:{server.url.split(':')[2].partition('/')[0]}/"
        assert ana.get("class/api/state").json()["students"] is None
        assert ana.enter("Ana", "daisy", "guess").status_code == 403
        assert ana.enter("Ana", "daisy").status_code == 403
        assert ana.enter("Ana", "daisy", "tulips 5b").status_code == 200
        assert ana.state()["project"] == "Ana"


def test_a_project_of_a_class_has_its_bounds(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    project.add_class("red")
    project.bounds = Bounds(photos=3, size_bytes=10**6)
    taken = project.take([(f"{n}.jpg", photo(0, n)) for n in range(5)], "red")
    assert (len(taken.taken), [name for name, _why in taken.refused]) == (3, ["3.jpg", "4.jpg"])
    assert "3 photos" in taken.refused[0][1]
    project.check_room()
    project.bounds = Bounds(photos=30, size_bytes=20_000)
    assert project.take([("9.jpg", photo(0, 9))], "red").refused
    project.bounds = Bounds(photos=30, size_bytes=1_000)
    with pytest.raises(ConfigError, match="ask the teacher"):
        project.check_room()


def test_a_folder_that_is_no_class_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text.txt").write_text("mine")
    done = olhar("studio", tmp_path / "mine", "--class", 2, "--port", 0)
    assert (done.status, "no class" in done.err) == (2, True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "students.json").write_text("{")
    done = olhar("studio", tmp_path / "c", "--class", 2, "--port", 0)
    assert (done.status, "damaged" in done.err) == (2, True)
    assert (tmp_path / "c" / "students.json").read_text() == "{"
    for words in (["--class", "0"], ["--class", "61"], ["--class", "2", "--photos", tmp_path]):
        assert olhar("studio", tmp_path / "d", *words, "--port", 0).status == 2
    with ExitStack() as stack:
        stack.enter_context(open_lesson(tmp_path / "d", 2))
        with pytest.raises(ConfigError, match="another studio"):
            stack.enter_context(open_lesson(tmp_path / "d", 2))
