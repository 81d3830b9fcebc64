"""The run browser, as a user has it: a real server, and a real browser where one is installed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from conftest import olhar
from pages import ARTEFACTS, keep, watched
from serving_process import Server, httpx, serving

STRANGE = "ção <b>'\" 100% #?& " + "x" * 60
posix_only = pytest.mark.skipif(
    os.name == "nt", reason="Windows has neither these signals nor names"
)


class Board:
    """A board that runs, and its folder."""

    def __init__(self, server: Server, runs: Path) -> None:
        self.server, self.url, self.runs = server, server.url, runs

    def get(self, path: str, **headers: str) -> Any:
        return self.server.get(path, headers=headers)

    def list(self) -> dict[str, dict[str, Any]]:
        return {run["id"]: run for run in self.get("api/runs").json()["runs"]}


@contextlib.contextmanager
def showing(runs: Path, *, cold: bool = False) -> Iterator[Board]:
    with serving("--runs", runs, command="board", cold=cold) as server:
        yield Board(server, runs)


def cut(run: Path, epochs: int) -> None:
    """As a run looks after so many epochs."""
    (run / "metrics.json").unlink()
    shutil.rmtree(run / "model")
    lines = (run / "history.csv").read_text().splitlines(keepends=True)
    (run / "history.csv").write_text("".join(lines[: epochs + 1]))


def age(run: Path, seconds: float) -> None:
    then = time.time() - seconds
    for file in run.iterdir():
        os.utime(file, (then, then))


@pytest.fixture(scope="module")
def made(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs in every state."""
    root = tmp_path_factory.mktemp("board") / "runs"
    for name in ("good", "other", "stopped", "broken", "sweep/trial-1", STRANGE, "x" * 200):
        shutil.copytree(digits_run, root / name, ignore=shutil.ignore_patterns("README*.md"))
    age(root / "other", 3600)
    config = (root / "other" / "config.toml").read_text()
    (root / "other" / "config.toml").write_text(config.replace("\nlr = ", "\nlr = 1"))
    metrics = json.loads((root / "other" / "metrics.json").read_text())
    counts = metrics["confusion_matrix"]
    counts[0][1], counts[0][0] = counts[0][0], 0
    metrics["accuracy"] = sum(row[i] for i, row in enumerate(counts)) / metrics["n"]
    (root / "other" / "metrics.json").write_text(json.dumps(metrics))
    cut(root / "stopped", 3)
    age(root / "stopped", 3600)
    (root / "broken" / "metrics.json").write_text('{"format": 1,')
    (root / "good" / "README.md").write_text(
        "---\nlicense: mit\n---\n# Card of <script>alert(1)</script>\n\n"
        "| a | b |\n|---|--:|\n| 1 | 2 |\n\n![curve](learning_curve.png)\n"
        "![out](https://example.org/x.png) ![up](../../secret.png)\n"
        "[paper](https://example.org/p) [bad](javascript:alert(1)) [file](config.toml)\n"
    )
    (root / "no run").mkdir()
    (root.parent / "secret.png").write_bytes(b"secret")
    return root


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    copy = tmp_path / "runs"
    shutil.copytree(made, copy)
    return copy


@pytest.fixture(scope="module")
def board(made: Path) -> Iterator[Board]:
    with showing(made) as running:
        yield running


def test_every_run_is_listed_with_its_state(board: Board) -> None:
    found = board.list()
    assert len(found) == 7
    assert {run["name"]: run["state"] for run in found.values()} == {
        "good": "finished",
        "other": "finished",
        "stopped": "cut_off",
        "broken": "damaged",
        "trial-1": "finished",
        STRANGE: "finished",
        "x" * 200: "finished",
    }
    good = found["good"]
    metrics = json.loads((board.runs / "good" / "metrics.json").read_text())
    assert good["accuracy"] == metrics["accuracy"]
    assert good["accuracy_interval"] == metrics["intervals"]["accuracy"]
    assert good["reservations"] == []
    assert good["parameters"] == 61706
    assert "metrics.json" in found["broken"]["problem"]
    assert found["sweep%2Ftrial-1"]["group"] == "sweep"


def test_every_id_leads_to_its_run(board: Board) -> None:
    for key, run in board.list().items():
        found = board.get(f"api/runs/{quote(key, safe='')}").json()
        assert (found["name"], found["version"]) == (run["name"], run["version"])
    found = board.get("api/runs/good").json()
    assert found["settings"]["recipe.optimizer"] == "adamw"
    assert len(found["history"]["val_accuracy"]) == found["epochs"]
    assert len(found["confusion_matrix"]) == len(found["class_names"]) == 10
    assert "learning_curve.png" in found["pictures"]


def test_what_has_not_changed_is_not_sent_again(board: Board) -> None:
    for path in ("api/runs", "api/runs/good", "api/texts", "board.js"):
        first = board.get(path)
        again = board.get(path, **{"If-None-Match": first.headers["ETag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_a_card_is_shown_without_what_could_run_or_load(board: Board) -> None:
    html = board.get("api/runs/good/card").json()["html"]
    assert "<h1>Card of &lt;script&gt;alert(1)&lt;/script&gt;</h1>" in html
    assert 'src="pictures/good/learning_curve.png"' in html
    assert "license" not in html
    assert "style=" not in html
    assert html.count("<img") == 1
    assert html.count("href=") == 1
    assert 'rel="noopener noreferrer"' in html
    picture = board.get("pictures/good/learning_curve.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    refused = board.get("api/runs/other/card")
    assert refused.status_code == 404
    assert "olhar card" in refused.json()["message"]


@pytest.mark.parametrize(
    "path",
    [
        "pictures/good/../../../secret.png",
        "pictures/good/%2e%2e/%2e%2e/secret.png",
        "pictures/good/..%2f..%2fsecret.png",
        "pictures/..%2fsecret.png/x",
        "pictures/good/config.toml",
        "pictures/good/%2fetc%2fpasswd",
        "pictures/good/%00.png",
        "api/runs/..",
        "api/runs/%252e%252e",
        "api/runs/no%20run",
        "../../etc/passwd",
        "docs",
    ],
)
def test_nothing_but_the_runs_is_served(board: Board, path: str) -> None:
    """The path goes out as written, over a socket: a client would tidy it up."""
    host, port = board.url.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port)), 10) as line:
        line.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404"), answer
    assert b"secret\r" not in answer


@posix_only
def test_links_that_lead_out_are_not_followed(runs: Path, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (runs / "outside").symlink_to(digits_run)
    (runs / "loop").symlink_to(runs)
    (runs / "good" / "leak.png").symlink_to(tmp_path / "secret.png")
    (runs / "good" / "README.md").unlink()
    (runs / "good" / "README.md").symlink_to(tmp_path / "secret.png")
    (runs / "other" / "metrics.json").unlink()
    (runs / "other" / "metrics.json").symlink_to(digits_run / "metrics.json")
    os.mkfifo(runs / "stopped" / "metrics.json")
    with showing(runs) as board:
        found = board.list()
        assert not {"outside", "loop"} & set(found)
        assert found["other"]["accuracy"] is None
        assert found["stopped"]["state"] == "cut_off"
        assert board.get("pictures/good/leak.png").status_code == 404
        assert board.get("api/runs/good/card").status_code == 404


def test_answers_are_safe_and_for_reading_only(board: Board) -> None:
    for path in ("", "api/runs", "nowhere"):
        headers = board.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
    assert httpx.post(board.url + "api/runs").status_code == 405
    assert httpx.delete(board.url + "api/runs/good").status_code == 405
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io:80", ""):
        assert board.get("api/runs", Host=host).status_code in {400, 421}, host
    for host in ("localhost", "127.0.0.1:8090", "LOCALHOST:1", "[::1]:8090"):
        assert board.get("api/runs", Host=host).status_code == 200, host


def test_the_page_speaks_the_language_of_the_browser(board: Board) -> None:
    def tag(path: str, accepted: str = "") -> str:
        return str(board.get(path, **{"Accept-Language": accepted}).json()["tag"])

    assert tag("api/texts", "pt-PT,en;q=0.8") == "pt-BR"
    assert tag("api/texts", "fr,en;q=0.3,pt;q=0.7") == "pt-BR"
    assert tag("api/texts", "de, pt;q=0, ;q=x,,en;q=0.1") == "en"
    assert tag("api/texts?lang=pt", "en") == "pt-BR"
    assert tag("api/texts?lang=klingon") == "en"


def test_damaged_files_are_said_and_spoil_nothing_else(runs: Path) -> None:
    tampered = json.loads((runs / "other" / "metrics.json").read_text()) | {"accuracy": 0.99}
    header, *rows = (runs / "other" / "history.csv").read_text().splitlines()
    bad = {
        "config.toml": [b"", b"\xff\xfe", b"format = 99", b"format = 1\ndata = 3\nnetwork = []"],
        "history.csv": [b"", b"\xff", b"a,b\n1,2\n", header.encode(), f"{header}\nx,y\n".encode()],
        "metrics.json": [
            b"",
            b"[]",
            b"[" * 9999,
            b'{"format": 1, "split": "test"}',
            b"\xff",
            json.dumps(tampered).encode(),
        ],
    }
    for name, contents in bad.items():
        for number, content in enumerate(contents):
            run = runs / f"{name}-{number}"
            shutil.copytree(runs / "other", run)
            (run / name).write_bytes(content)
    (runs / "other" / "metrics.json").unlink()
    text = "\n".join([header, rows[0], rows[1].replace(rows[1].split(",")[3], "nan"), rows[2][:20]])
    (runs / "other" / "history.csv").write_text(text)
    with showing(runs) as board:
        found = board.list()
        for key in found:
            assert board.get(f"api/runs/{quote(key, safe='')}").status_code == 200, key
        damaged = {key for key, run in found.items() if run["state"] == "damaged"}
        assert {f"config.toml-{i}" for i in range(3)} <= damaged
        assert {f"history.csv-{i}" for i in (1, 2, 4)} <= damaged
        assert {f"metrics.json-{i}" for i in range(6)} <= damaged
        assert found["good"]["state"] == "finished"
        # A value that is no number is null; a line that is still being written is left out.
        assert board.get("api/runs/other").json()["history"]["train_loss"][1] is None
        assert found["other"]["epochs"] == 2
        shutil.rmtree(runs / "good")
        assert board.get("api/runs/good").status_code == 404
        assert "good" not in board.list()


def test_a_run_is_training_until_it_is_silent(runs: Path) -> None:
    with showing(runs) as board:
        assert board.list()["stopped"]["state"] == "cut_off"
        age(runs / "stopped", 0)
        assert board.list()["stopped"]["state"] == "training"
        (runs / "stopped" / "history.csv").unlink()
        age(runs / "stopped", 600)  # the first epoch may take its time
        assert board.list()["stopped"]["state"] == "training"


def test_wrong_use_is_said_in_a_line(made: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = [
            (("--runs", tmp_path / "none"), 2, "olhar demo"),
            (("--runs", made / "good" / "config.toml"), 2, "no folder"),
            (("--runs", made / "good"), 2, "itself a run"),
            (("--runs", made, "--port", port), 1, f"port {port} of 127.0.0.1 is in use"),
            (("--runs", made, "--port", "eighty"), 2, "a whole number"),
            (("--runs", made, "--port", 70000), 2, "0 to 65535"),
            (("--runs", made, "--host", "no.such.host.invalid"), 2, "no.such.host.invalid"),
            (("--runs", made, "--host", "a..b"), 2, "a..b"),
        ]
        for words, status, text in cases:
            done = olhar("board", *words)
            assert (done.status, done.out) == (status, ""), words
            assert text in done.err
            assert "Traceback" not in done.err


def test_without_the_extra_it_says_what_to_install(made: Path) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from olhar.board.server import serve_board\n"
        "from olhar.errors import MissingExtraError\n"
        "try: serve_board(sys.argv[1])\n"
        "except MissingExtraError as error: print(error)\n"
        "assert 'torch' not in sys.modules and 'starlette' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, made], capture_output=True, text=True, check=True
    )
    assert "olhar[serve]" in done.stdout


@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_when_told_to(made: Path, number: int) -> None:
    with showing(made, cold=True) as board:
        with httpx.Client() as client:  # a connection that is kept open
            assert client.get(board.url).status_code == 200
            board.server.process.send_signal(number)
            assert board.server.process.wait(20) == 0
        assert board.url in board.server.log


# In a browser ----------------------------------------------------------------


@contextlib.contextmanager
def page_of(browser: Any, url: str, name: str, **options: Any) -> Iterator[Any]:
    """The board's page; kept as a picture at the end."""
    around = {"viewport": {"width": 1280, "height": 900}, **options}
    with watched(browser, (url,), **around) as page:
        page.goto(url)
        yield page
        keep(page, f"board-{name}")


def names(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("#body .name").all_inner_texts()]


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_runs_are_sorted_and_filtered(browser: Any, board: Board) -> None:
    with page_of(browser, board.url, "table") as page:
        page.locator("#chart svg").wait_for()
        header = page.locator("[data-column=accuracy]")
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == "descending"
        unknown_last = names(page)
        assert set(unknown_last[-2:]) == {"broken", "stopped"}
        assert unknown_last[-3] == "other"
        header.get_by_role("button").press("Enter")
        assert header.get_attribute("aria-sort") == "ascending"
        assert names(page)[0] == "other"
        page.get_by_role("combobox", name="State").first.select_option("damaged")
        assert names(page) == ["broken"]
        page.get_by_role("combobox", name="State").first.select_option("")
        page.get_by_role("searchbox").fill("TRIAL digits")
        assert names(page) == ["trial-1"]
        assert page.locator("#count").inner_text() == "1 of 7 runs"
        page.get_by_role("searchbox").fill("nothing like it")
        page.get_by_role("button", name="Clear the filters").click()
        assert len(names(page)) == 7
        assert fits(page)


def test_chosen_runs_are_compared(browser: Any, board: Board) -> None:
    with page_of(browser, board.url, "compare-dark", color_scheme="dark") as page:
        page.locator("#chart svg").wait_for()
        while page.locator("#body input:checked").count():
            page.locator("#body input:checked").first.uncheck()
        assert page.locator("#hint").is_visible()
        page.get_by_label("Compare good", exact=True).check()
        page.get_by_label("Compare other", exact=True).check()
        page.locator(".line.val").nth(1).wait_for()
        assert page.locator(".line.val").count() == 2
        assert page.locator(".ends text").all_text_contents() == ["A", "B"]
        page.get_by_label("training too").check()
        page.get_by_label("Loss", exact=True).check()
        assert page.locator(".line").count() == 4
        assert page.locator("#left-matrix .right").count() == 10
        assert page.locator("#right-matrix .right").count() == 10
        options = page.locator("#right option:checked").inner_text()
        assert options == "B · other"
        assert page.locator("#settings tbody th").all_inner_texts() == ["recipe.lr"]
        page.locator("#epoch").focus()
        page.keyboard.press("Home")
        assert page.locator("#figures th").first.inner_text() == "Epoch 1"
        page.reload()  # the choice is in the address
        page.locator(".line.val").nth(1).wait_for()
        assert page.locator("#chosen .clip").all_inner_texts() == ["good", "other"]


def test_a_card_opens_and_closes(browser: Any, board: Board) -> None:
    with page_of(browser, board.url, "card") as page:
        button = page.get_by_role("button", name="pictures of good", exact=False)
        button.click()
        page.locator("dialog .card h1").wait_for()
        assert page.locator("dialog .card h1").inner_text() == "Card of <script>alert(1)</script>"
        page.locator(".gallery img").first.scroll_into_view_if_needed()
        loaded = (
            "[...document.images].filter((one) => one.complete && one.naturalWidth > 300).length"
        )
        page.wait_for_function(f"() => {loaded} >= 2")  # a bare expression would be eval's
        page.screenshot(path=ARTEFACTS / "board-card-open.png")
        page.keyboard.press("Escape")
        assert not page.locator("dialog").is_visible()
        assert button.evaluate("(element) => element === document.activeElement")


def test_curves_grow_while_a_run_trains(browser: Any, runs: Path, digits_run: Path) -> None:
    lines = (digits_run / "history.csv").read_text().splitlines(keepends=True)
    live = runs / "stopped"
    age(live, 0)
    with showing(runs) as board, page_of(browser, board.url, "live") as page:
        row = page.locator("tr[data-run=stopped]")
        row.locator(".state.training").wait_for()
        line = page.locator("g[data-run=stopped] .line.val[data-points='3']")
        line.wait_for(state="attached")
        page.get_by_role("searchbox").focus()
        with (live / "history.csv").open("a") as history:
            history.write(lines[4])
        page.locator("g[data-run=stopped] .line.val[data-points='4']").wait_for(state="attached")
        assert row.locator(".column-epochs").inner_text().startswith("4 /")
        assert page.get_by_role("searchbox").evaluate("(one) => one === document.activeElement")
        (live / "metrics.json").write_bytes((digits_run / "metrics.json").read_bytes())
        row.locator(".state.finished").wait_for()
        assert page.locator("#said").inner_text() == "stopped is now: finished"
        shutil.rmtree(live)
        row.wait_for(state="detached")
        assert page.locator("#said").inner_text() == "stopped is no longer there"


def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, board: Board) -> None:
    size = {"width": 360, "height": 740}
    with page_of(browser, board.url, "phone", viewport=size, has_touch=True) as page:
        page.locator("#chart svg").wait_for()
        assert fits(page)
        page.locator("[data-run=good] .name").tap()
        page.locator("dialog .card h1").wait_for()
        assert fits(page)
        page.get_by_role("button", name="Close").tap()


def test_an_empty_folder_says_how_to_begin(browser: Any, tmp_path: Path) -> None:
    with (
        showing(tmp_path) as board,
        page_of(browser, board.url, "empty", locale="pt-BR") as page,
    ):
        page.get_by_text("olhar demo").wait_for()
        assert page.locator("html").get_attribute("lang") == "pt-BR"
        assert not page.locator("table").first.is_visible()
