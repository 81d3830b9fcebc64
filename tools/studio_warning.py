"""Make the picture of the certificate warning in docs/studio.md anew, in the browser's English.

    python tools/studio_warning.py

Starts a studio by https, opens it with Chromium, which does not know its certificate, and keeps what that
shows.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from PIL import Image
from playwright.sync_api import Error, sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "studio-warning.png"


def main() -> None:
    """Keep the picture."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["studio", f"{folder}/project", "--tls", "--port", "0"]
        command = [sys.executable, "-m", "olhar", *words]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as studio:  # noqa: S603  our own words
            assert studio.stderr
            try:
                found = None
                while found is None:
                    found = re.search(r"https://\S+", studio.stderr.readline())
                warning_at(found[0]).save(PICTURE, optimize=True)
            finally:
                studio.terminate()


def warning_at(url: str) -> Image.Image:
    """What Chromium shows instead of the page, with what stands behind its button "Advanced"."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": 760, "height": 640})
        with suppress(Error):  # that it does not trust the certificate
            page.goto(url)
        page.wait_for_selector("#details-button")
        page.click("#details-button")
        page.wait_for_timeout(500)
        content = page.screenshot()
        chromium.close()
    return Image.open(io.BytesIO(content)).quantize(64)


if __name__ == "__main__":
    main()
