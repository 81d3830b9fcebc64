"""Make the pictures of docs/tutorials/studio.md anew, in English and in Portuguese.

    python tools/studio_tutorial.py

Goes the way of that page: a new project, a camera that sees drawn apples, drawn photos of bananas, a
training, a photo that it tries, and the exported page in a browser.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import drawn_fruit
from olhar.studio.texts import page_texts

IMAGES = Path(__file__).parents[1] / "docs" / "images"
LANGUAGES = {
    "en": (IMAGES, "en-GB", ("apple", "banana")),
    "pt_BR": (IMAGES / "pt", "pt-BR", ("maçã", "banana")),
}
_RECORDINGS, _RECORD_S = 3, 4
_PHOTOS = 24
_PATIENCE_S = 300


def main() -> None:
    """Keep all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "apple.mjpeg")
        drawn_fruit.film(film)
        photos = Path(folder, "photos")
        photos.mkdir()
        for kind in ("apple", "banana"):
            for number in range(_PHOTOS + 1):
                path = photos / f"{kind}-{number:02}.jpg"
                path.write_bytes(drawn_fruit.photo(kind, number))
        for language, (images, locale, classes) in LANGUAGES.items():
            project = Path(folder, language, "fruit")
            project.parent.mkdir()
            with studio(project) as url, browser(film) as chromium:
                context = chromium.new_context(
                    viewport={"width": 1040, "height": 680},
                    locale=locale,
                    permissions=["camera"],
                    reduced_motion="reduce",
                )
                context.set_default_timeout(1000 * _PATIENCE_S)
                way = Way(context, images, page_texts(language))
                way.go(url, classes, photos)


@contextmanager
def studio(project: Path) -> Iterator[str]:
    """A studio; its address."""
    command = [sys.executable, "-m", "olhar", "studio", project.name, "--port", "0"]
    with subprocess.Popen(  # noqa: S603  our own words
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project.parent,  # so that no path of this computer is in a picture
        env={**os.environ, "OLHAR_LANG": "en"},
    ) as process:
        assert process.stderr
        try:
            found = None
            while found is None:
                found = re.search(r"http://\S+", process.stderr.readline())
            yield found[0]
        finally:
            process.terminate()


@contextmanager
def browser(film: Path) -> Iterator[Any]:
    """Chromium whose camera shows a film."""
    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
    ]
    arguments.append(f"--use-file-for-fake-video-capture={film}")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        yield chromium
        chromium.close()


class Way:
    """The way through the page, and its pictures."""

    def __init__(self, context: Any, images: Path, texts: dict[str, str]) -> None:
        self._context, self._images, self._texts = context, images, texts
        self._page = context.new_page()

    def go(self, url: str, classes: tuple[str, str], photos: Path) -> None:
        """Go it from the empty project to the exported page."""
        self._page.goto(url)
        self._page.wait_for_selector("body:not(.waiting)")
        self._keep("1-begin")
        self._record(classes[0])
        self._add(classes[1])
        for name, kind in zip(classes, ("apple", "banana"), strict=True):
            card = self._page.get_by_role("region", name=name, exact=True)
            given = sorted(photos.glob(f"{kind}-*"))[:_PHOTOS]
            self._choose(card.get_by_role("button", name=self._texts["choose"]), given)
            self._page.locator("#arrivals").wait_for(state="hidden")
        self._keep("3-photos")
        self._train()
        new = [photos / f"{kind}-{_PHOTOS:02}.jpg" for kind in ("apple", "banana")]
        self._try(new[0])
        self._hand_on(photos / "fruit.html", new)

    def _record(self, name: str) -> None:
        self._add(name)
        record = self._page.get_by_role("button", name=self._texts["record"])
        for number in range(_RECORDINGS):
            record.hover()
            self._page.mouse.down()
            self._page.locator(".over.recording").wait_for()
            self._page.wait_for_timeout(1000 * _RECORD_S)
            if number == _RECORDINGS - 1:
                self._keep("2-record")
            self._page.mouse.up()
            self._page.locator(".over.recording").wait_for(state="hidden")
        self._page.get_by_role("button", name=self._texts["close_camera"]).click()

    def _add(self, name: str) -> None:
        self._tab("photos")
        self._page.get_by_role("button", name=self._texts["add_class"]).click()
        self._page.locator(".class-name:focus").wait_for()
        self._page.keyboard.type(name)
        self._page.keyboard.press("Enter")
        self._page.get_by_role("region", name=name, exact=True).wait_for()

    def _train(self) -> None:
        self._tab("train")
        self._page.get_by_role("button", name=self._texts["train"], exact=True).click()
        self._page.locator(".measured").wait_for()
        stop = self._page.get_by_role("button", name=self._texts["stop"])
        if stop.is_visible():  # it looks for a better one, which may take minutes
            stop.click()
        stop.wait_for(state="hidden")
        self._page.evaluate("scrollTo(0, 0)")
        self._keep("4-train")

    def _try(self, photo: Path) -> None:
        self._tab("try")
        self._page.get_by_role("radio", name=self._texts["tab_photos"]).check()
        self._choose(self._page.locator(".zone button"), [photo])
        self._page.get_by_role("button", name=self._texts["look_where"]).click()
        self._page.locator(".heat:not([hidden])").wait_for()
        self._keep("5-try")

    def _hand_on(self, exported: Path, photos: list[Path]) -> None:
        self._tab("share")
        self._keep("6-share")
        with self._page.expect_download() as download:
            self._page.get_by_role("button", name=self._texts["export"]).click()
        download.value.save_as(exported)
        self._page = self._context.new_page()
        self._page.goto(exported.as_uri())
        self._page.wait_for_selector("body.ready")
        self._page.set_input_files("#files", [str(photo) for photo in photos])
        self._page.locator(".card[data-state=done]").nth(1).wait_for()
        self._keep("7-page")

    def _tab(self, step: str) -> None:
        self._page.get_by_role("tab", name=self._texts[f"tab_{step}"], exact=True).click()
        self._page.locator(f"#step-{step}:not([hidden])").wait_for()

    def _choose(self, button: Any, files: list[Path]) -> None:
        with self._page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files([str(file) for file in files])

    def _keep(self, name: str) -> None:
        self._page.wait_for_timeout(600)  # until bars have grown
        image = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
        image.quantize(256, Image.Quantize.MEDIANCUT).save(
            self._images / f"studio-{name}.png", optimize=True
        )


if __name__ == "__main__":
    main()
