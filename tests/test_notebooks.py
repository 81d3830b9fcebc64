"""What draws itself in a notebook: whole HTML, nothing that could run."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

import olhar

NASTY = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Counts tags, and notices one that is not closed."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)
        if tag not in {"img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_run_shows_its_report_and_pictures(digits_run: Path) -> None:
    run = olhar.load_run(digits_run)
    shown = Tags(run._repr_html_())
    assert shown.found.count("img") == 3
    assert shown.found.count("tr") == 11
    assert not shown.open


def test_a_prediction_shows_bars_and_doubt(digits_run: Path) -> None:
    classifier = olhar.load(digits_run)
    found = classifier.predict(np.zeros((8, 8), np.uint8))
    shown = Tags(found._repr_html_())
    assert shown.found.count("tr") == 3
    assert not shown.open
    unsure = dataclasses.replace(found, sure=False, file=NASTY, shown_label=NASTY)
    content = unsure._repr_html_()
    assert "not sure" in content
    assert "script" not in Tags(content).found


def test_a_data_set_shows_each_class() -> None:
    dataset = olhar.load_dataset("digits")
    shown = Tags(dataset._repr_html_())
    assert shown.found.count("tr") == 11
    assert shown.found.count("img") == 60
    assert not shown.open
    many = dataclasses.replace(dataset, class_names=(NASTY, *map(str, range(1, 50))))
    content = many._repr_html_()
    assert "20 more classes" in content
    assert "script" not in Tags(content).found
