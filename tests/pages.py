"""Pages in a browser, for the tests: what they complain of, how they look, how their colours differ."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ARTEFACTS = Path(__file__).parent / "artefacts"
_REFUSED = "Failed to load resource"  # what Chromium says of a 4xx that the page shows well


@contextlib.contextmanager
def watched(
    browser: Any,
    own: tuple[str, ...],
    *,
    errors: bool = False,
    patience_s: float = 30,
    **options: Any,
) -> Iterator[Any]:
    """A page that must not complain, nor ask any other host, nor be wider than its window at the end.

    Args:
        browser: of the fixture.
        own: how addresses begin that it may ask for.
        errors: whether an answer may be an error.
        patience_s: how long it may take to do anything.
        options: of the browser's context.
    """
    around = {"viewport": {"width": 1200, "height": 900}, "locale": "en-GB", **options}
    context = browser.new_context(**around)
    page = context.new_page()
    page.set_default_timeout(1000 * patience_s)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda one: one.url.startswith(own) or complaints.append(one.url))
    try:
        yield page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        context.close()
    assert [text for text in complaints if not (errors and _REFUSED in text)] == []


def keep(page: Any, name: str) -> None:
    """A picture of the whole page among the artefacts, once its bars have grown."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.wait_for_timeout(300)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


def weak_pairs(
    css: str, pairs: list[tuple[str, str]], least: float
) -> list[tuple[str, str, float]]:
    """Pairs of colours whose contrast (WCAG 2.2, 1.4.3) is below `least`, of the light or the dark theme.

    Args:
        css: with two rules `:root`, first the light one.
        pairs: (name in front, names behind) each.
        least: ratio.
    """
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    found = []
    for theme in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#\w+)", theme))
        for front, backs in pairs:
            for back in backs.split():
                first, second = _luminance(colours[front]), _luminance(colours[back])
                ratio = (max(first, second) + 0.05) / (min(first, second) + 0.05)
                if ratio < least:
                    found.append((front, back, ratio))
    return found


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
