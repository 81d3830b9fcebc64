"""A photo as text is read strictly: damaged text is never another picture."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olhar.errors import ImageError
from olhar.serving.photo_text import photo_from_text


@given(st.binary(max_size=200))
def test_what_encoders_write_is_read(content: bytes) -> None:
    text, safe = base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()
    lines = base64.encodebytes(content).decode()
    urls = (f"data:image/png;base64,{text}", f"data:image/png;base64,{quote(text, safe='')}")
    for given_text in (
        *(text, safe, text.rstrip("="), safe.rstrip("="), lines, lines.replace("\n", "\r\n")),
        *urls,
        f" {text}\n",
    ):
        assert photo_from_text(given_text, "a") == content


@given(st.binary(min_size=3, max_size=200), st.data())
def test_damaged_text_is_refused(content: bytes, data: st.DataObject) -> None:
    text = base64.b64encode(content).decode()
    place = data.draw(st.integers(1, len(text.rstrip("=")) - 1))
    strange = data.draw(st.sampled_from(" %\t\0.,*é\u2212"))
    for damaged in (
        text[:place] + strange + text[place:],
        text[:place] + strange + text[place + 1 :],
    ):
        with pytest.raises(ImageError, match="not base64"):
            photo_from_text(damaged, "a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ab d", r"blanks.*%2B"),
        ("A", "cut off"),
        ("AAAAA", "cut off"),
        ("AAA==", "cut off"),
        ("AA=", "cut off"),
        ("A=AA", "before the end"),
        ("+_AA", "beside"),
        ("AA\u00e9A", "character 3"),
        ("data:image/svg+xml,<svg/>", "not of base64"),
    ],
)
def test_the_reason_is_named(text: str, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        photo_from_text(text, "a")
