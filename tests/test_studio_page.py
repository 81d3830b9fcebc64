"""The studio's page, as people have it: a real studio, real photos, a real browser, a mock camera."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import DATA, needs_data
from olhar import looks
from olhar.studio.texts import page_texts
from pages import keep, watched, weak_pairs
from serving_process import Server, serving

PAGE = Path(sys.modules["olhar"].__file__ or "").parent / "studio" / "page"
STEPS = ("Photos", "Train", "Try", "Share")


def insects(kind: str, count: int, part: str = "train") -> list[Path]:
    """Photos of ants or bees."""
    return sorted((Path(DATA) / "hymenoptera_data" / part / kind).iterdir())[:count]


def fill(folder: Path, photos: list[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        shutil.copy(photo, folder)


# Without a browser ------------------------------------------------------------


def test_the_page_has_the_texts_it_uses_and_no_others() -> None:
    shared = [looks.FOLDER / name for name in ("words.js", "draw.js")]
    sources = "".join(file.read_text() for file in (*PAGE.iterdir(), *shared))
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', sources))
    for call in re.findall(r"\bsay\(([^{}]*?)(?:, \{|\))", sources):
        used |= set(re.findall(r'"(\w+)"', call))
    texts = page_texts("en")
    assert used - texts.keys() == set()
    assert texts.keys() - used == {"tag", "title"}
    assert "http://" not in sources.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in sources


def test_what_the_page_fills_in_is_what_the_texts_want() -> None:
    texts = page_texts("en")
    for file in PAGE.glob("*.js"):
        source = file.read_text()
        for key in re.findall(r'\bsay\("(\w+)"\)', source):
            assert "{" not in texts[key], key
        for key, given in re.findall(r'\bsay\("(\w+)", \{ (.*?) \}\)', source):
            for name in re.findall(r"\{(\w+)\}", texts[key]):
                assert re.search(rf"\b{name}\b(?=[:,]|$)", given), (key, name)


def test_every_text_has_its_braces_in_portuguese_too() -> None:
    english, portuguese = page_texts("en"), page_texts("pt_BR")
    assert portuguese["tag"] == "pt-BR"
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", portuguese[key])), (
            key
        )


def test_colours_can_be_told_apart_by_weak_eyes() -> None:
    # WCAG 2.2, 1.4.3 and 1.4.11, level AA: text 4.5, edges of controls 3.
    css = (PAGE / "base.css").read_text()
    text = [("ink", "page panel sunk"), ("quiet", "page panel sunk line"), ("unsure", "panel")]
    text += [("accent", "panel page wash"), ("on-accent", "accent hover"), ("good", "panel")]
    assert weak_pairs(css, text, 4.5) == []
    assert weak_pairs(css, [("edge", "panel"), ("live", "panel")], 3) == []


# In a browser -----------------------------------------------------------------


@contextlib.contextmanager
def page_of(
    browser: Any, url: str, name: str, *, query: str = "", errors: bool = False, **options: Any
) -> Iterator[Any]:
    """The studio's page; kept as a picture at the end."""
    around = {"viewport": {"width": 1280, "height": 860}, "permissions": ["camera"], **options}
    around |= {"reduced_motion": "reduce", "patience_s": 60}
    with watched(browser, (url, "blob:", "data:image/"), errors=errors, **around) as page:
        page.goto(url + query)
        page.wait_for_selector("body:not(.waiting)")
        yield page
        keep(page, f"studio-{name}")


def serious(page: Any) -> list[str]:
    """What axe-core finds that keeps people out."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['id']}: {node['target']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def until(page: Any, condition: str) -> None:
    """Until it is true in the page, whose CSP keeps playwright's own function for that out."""
    end = time.monotonic() + 60
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def card(page: Any, name: str) -> Any:
    return page.get_by_role("region", name=name, exact=True)


def choose(page: Any, button: Any, files: list[Path]) -> None:
    with page.expect_file_chooser() as chooser:
        button.click()
    chooser.value.set_files([str(file) for file in files])


def drop(page: Any, where: Any, paths: list[Path]) -> None:
    """Files and folders, as from a file manager."""
    box = where.bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*/*.*") if file.name != "groups.csv")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    with serving(tmp_path / "project", command="studio") as server:
        yield server, tmp_path / "project" / "photos"


def test_a_class_is_added_named_recorded_renamed_and_deleted(
    browser: Any, empty: tuple[Server, Path]
) -> None:
    server, photos = empty
    with page_of(browser, server.url, "recorded", errors=True) as page:
        assert page.get_by_role("heading", level=1).first.is_visible()
        assert serious(page) == []
        keep(page, "studio-empty")
        page.get_by_role("button", name="Add class").click()
        page.locator(".class-name:focus").wait_for()
        page.keyboard.type("hand")
        page.keyboard.press("Enter")
        card(page, "hand").wait_for()
        record = card(page, "hand").get_by_role("button", name="Record")
        record.hover()
        page.mouse.down()
        until(page, "parseInt(document.querySelector('.over').textContent) >= 7")
        page.mouse.up()
        page.get_by_text("photos have come.").first.wait_for()
        until(page, "parseInt(document.querySelector('.count').textContent) >= 7")
        bursts = {line.split(",")[1] for line in (photos / "groups.csv").read_text().split()[1:]}
        assert len(bursts) == 1
        # By the keyboard, one photo; it is a recording of its own.
        before = len(files(photos))
        record.focus()
        page.keyboard.press("Space")
        until(page, f"parseInt(document.querySelector('.count').textContent) > {before}")
        assert serious(page) == []
        name = card(page, "hand").get_by_label("Name of the class")
        name.fill("my hand 🖐")
        name.press("Enter")
        card(page, "my hand 🖐").wait_for()
        page.get_by_role("button", name="Delete the class my hand 🖐").click()
        page.get_by_role("heading", name="Teach your computer").wait_for()
        page.locator("#toast").get_by_role("button", name="Undo").click()
        card(page, "my hand 🖐").wait_for()
    assert len(list((photos / "my hand 🖐").iterdir())) > before


@needs_data
def test_folders_become_classes_and_what_is_refused_is_named(
    browser: Any, empty: tuple[Server, Path], tmp_path: Path
) -> None:
    server, photos = empty
    given = tmp_path / "given"
    fill(given / "ants", insects("ants", 20))
    fill(given / "bees", insects("bees", 3))
    (given / "bees" / "broken.jpg").write_bytes(b"no photo")
    fill(given, insects("bees", 4)[3:])
    with page_of(browser, server.url, "dropped", errors=True) as page:
        drop(page, page.locator("#add"), [given])
        page.get_by_text("24 photos have come.").first.wait_for()
        assert "broken.jpg" in page.locator(".refused").inner_text()
        card(page, "ants").get_by_text("20 photos").wait_for()
        page.get_by_role("heading", name="Photos without a class").wait_for()
        # The photo that lay loose is answered by a key.
        page.get_by_text("What is this?").wait_for()
        page.locator("h2").first.click()
        page.keyboard.press("2")
        card(page, "bees").get_by_text("4 photos").wait_for()
        # The same again is not taken twice.
        choose(
            page, card(page, "bees").get_by_role("button", name="Choose photos"), insects("bees", 5)
        )
        page.get_by_text("Already there, and not taken twice: 4").wait_for()
        card(page, "bees").get_by_text("5 photos").wait_for()
        # Two are moved by hand, and taken back.
        page.get_by_role("button", name="Show all photos of ants").click()
        page.locator("#album .grid input").nth(1).check()
        page.locator("#album .grid input").nth(3).click(modifiers=["Shift"])
        page.get_by_text("3 of 20 selected").wait_for()
        assert serious(page) == []
        keep(page, "studio-album")
        page.get_by_role("button", name="Move", exact=True).click()
        page.get_by_text("17 photos").first.wait_for()
        page.keyboard.press("Escape")
        card(page, "bees").get_by_text("8 photos").wait_for()
        page.locator("#toast").get_by_role("button", name="Undo").click()
        card(page, "bees").get_by_text("5 photos").wait_for()
        # A name that is taken is refused, and the old one stays.
        name = card(page, "ants").get_by_label("Name of the class")
        name.fill("Bees")
        name.press("Enter")
        page.locator("#toast.bad").wait_for()
        assert name.input_value() == "ants"
    assert len(files(photos)) == 25


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Ants and bees, six of them in the tray, and a model that somebody trained in the browser."""
    project = tmp_path_factory.mktemp("studio") / "insects"
    for kind in ("ants", "bees"):
        fill(project / "photos" / kind, insects(kind, 8))
        fill(project / "tray", insects(kind, 3, "val"))
    with serving(project, command="studio") as server:
        yield server


def model_there(server: Server) -> bool:
    return any(one["has_model"] for one in server.get("api/state").json()["models"])


@needs_data
def test_the_whole_way_from_photos_to_a_file(browser: Any, trained: Server, tmp_path: Path) -> None:
    with page_of(browser, trained.url, "shared", query="?lang=en#train") as page:
        page.get_by_role("button", name="Train", exact=True).click()
        page.get_by_role("button", name="Stop").wait_for()
        page.reload()
        page.get_by_role("button", name="Stop").wait_for()
        keep(page, "studio-training")
        assert serious(page) == []
        page.get_by_role("button", name="Try Model 1").wait_for()
        until(page, "document.querySelector('.measured') !== null")
        if page.get_by_role(
            "button", name="Stop"
        ).is_visible():  # the model is there; no better one
            page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Train", exact=True).wait_for()
        keep(page, "studio-models")
        # A photo that it has never seen.
        page.get_by_role("tab", name="Try").click()
        page.get_by_role("radio", name="Photos").check()
        choose(page, page.get_by_role("button", name="Choose photos"), insects("bees", 9)[8:])
        page.locator(".answer .bars li").nth(1).wait_for()
        assert page.locator(".answer .label").inner_text().rstrip("?") in {"ants", "bees"}
        page.get_by_role("button", name="Where does it look?").click()
        page.locator(".heat:not([hidden])").wait_for()
        assert "new photos it should name" in page.locator(".sentence").inner_text()
        assert serious(page) == []
        keep(page, "studio-tried")
        page.locator(".counts .cell").first.click()
        page.locator("#album .grid img").first.wait_for()
        page.keyboard.press("Escape")
        # The camera: bars that move, one request at a time.
        page.get_by_role("radio", name="Camera").check()
        page.get_by_role("button", name="Start the camera").click()
        until(page, "document.querySelector('.answer').dataset.rate >= 1")
        keep(page, "studio-live")
        page.get_by_role("tab", name="Share").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        download.value.save_as(tmp_path / "model.html")
        assert (tmp_path / "model.html").read_bytes()[:15].lower() == b"<!doctype html>"
        assert serious(page) == []
        assert "olhar predict" in page.locator(".commands pre").inner_text()


@needs_data
def test_the_tray_asks_for_the_least_sure_first(browser: Any, trained: Server) -> None:
    with page_of(browser, trained.url, "tray", color_scheme="dark") as page:
        page.get_by_text("Is it ").wait_for()
        shares = [
            one["proposal"]["probability"]
            for one in trained.get("api/photos?tray=1").json()["photos"]
        ]
        assert shares == sorted(shares)
        assert serious(page) == []
        page.keyboard.press("Enter")
        page.get_by_text("1 photo is in").wait_for()
        page.locator("#tray").get_by_text("5 photos").wait_for()
        # What has changed makes the model older than its photos, and one press trains again.
        page.get_by_text("The photos have changed since the last training.").wait_for()
        assert page.get_by_role("button", name="Train", exact=True).count() == 1


@needs_data
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_in_portuguese_shows_every_step(browser: Any, trained: Server, scheme: str) -> None:
    small = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "locale": "pt-BR"}
    with page_of(browser, trained.url, f"360-{scheme}", color_scheme=scheme, **small) as page:
        texts = page_texts("pt_BR")
        for step in STEPS:
            tab = page.get_by_role("tab", name=texts[f"tab_{step.lower()}"], exact=True)
            tab.click()
            page.locator(f"#step-{step.lower()}:not([hidden])").wait_for()
            page.wait_for_timeout(300)
            keep(page, f"studio-360-{scheme}-{step.lower()}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), step
            assert serious(page) == []
        said = page.locator("body").inner_text()
        assert texts["share_lead"] in said
        assert page_texts("en")["share_lead"] not in said


@needs_data
def test_two_browsers_see_the_same_project(browser: Any, trained: Server) -> None:
    with (
        page_of(browser, trained.url, "first", errors=True) as first,
        page_of(browser, trained.url, "second") as second,
    ):
        first.get_by_role("button", name="Add class").click()
        card(second, "Class 1").wait_for()
        second.get_by_role("button", name="Delete the class Class 1").click()
        card(first, "Class 1").wait_for(state="detached")
        # Each takes back what it has done itself, also after it was loaded again.
        second.reload()
        second.wait_for_selector("body:not(.waiting)")
        first.keyboard.press("Control+z")
        first.get_by_text("cannot be taken back, since 'class 'Class 1' deleted'").wait_for()
        second.locator("#undo").filter(has_text="deleted").click()
        card(first, "Class 1").wait_for()
        until(second, "document.getElementById('undo').hidden")
        first.locator("#undo").click()
        card(second, "Class 1").wait_for(state="detached")
        # By the keyboard alone.
        first.get_by_role("tab", name="Photos").focus()
        first.keyboard.press("ArrowRight")
        assert first.get_by_role("tab", name="Train").get_attribute("aria-selected") == "true"
        assert first.get_by_role("heading", level=1).is_visible()


def test_a_digit_is_drawn_by_mouse_and_by_keys_and_taken_back(
    browser: Any, digits_run: Path, tmp_path: Path
) -> None:
    project = tmp_path / "digits"
    shutil.copytree(digits_run, project / "runs" / "1")
    for name in "01":
        (project / "photos" / name).mkdir(parents=True)
    with (
        serving(project, command="studio") as server,
        page_of(browser, server.url, "drawn", query="?lang=en#try", errors=True) as page,
    ):
        page.get_by_role("radio", name="Draw").check()
        pad = page.get_by_role("img", name="A pad to draw on")
        box = pad.bounding_box()
        across, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 5
        page.mouse.move(across, top)
        page.mouse.down()
        page.mouse.move(across, top + 0.6 * box["height"], steps=8)
        page.mouse.up()
        bars = page.locator(".answer .bars li")
        bars.first.wait_for()
        inks = """canvas => {
          const brush = new OffscreenCanvas(1, 1).getContext("2d");
          brush.drawImage(canvas, -canvas.width / 2, -canvas.height / 2);
          return [...brush.getImageData(0, 0, 1, 1).data];
        }"""
        assert pad.evaluate(inks) == [255, 255, 255, 255]
        page.get_by_role("button", name="Swap black and white").click()
        assert pad.evaluate(inks) == [0, 0, 0, 255]
        pad.focus()
        page.keyboard.press("Backspace")
        until(page, "document.querySelectorAll('.answer .bars li').length === 0")
        assert pad.evaluate(inks)[3] == 0
        for key in (" ", *["ArrowDown"] * 12, " "):
            page.keyboard.press(key)
        bars.first.wait_for()
