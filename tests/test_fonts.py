"""Letters that Matplotlib's own font lacks, and a cache where nothing can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from olhar import cache_place
from olhar.evaluation import fonts


def test_common_letters_need_no_other_font() -> None:
    names = ("gato", "\u0441\u043e\u0431\u0430\u043a\u0430", "\u03b3\u03ac\u03c4\u03b1")
    assert fonts.families_for(names) == ["DejaVu Sans"]
    assert fonts.drawable_names(names) == (names, None)


def test_a_name_that_no_font_has_is_drawn_as_its_number() -> None:
    names = ("cat", "\U0010fffe\u732b", "\U0002ebef")
    shown, said = fonts.drawable_names(names)
    assert shown[0] == "cat"
    if shown != names:  # a computer may have fonts for all of them
        assert set(shown) & {"1", "2"}
        assert "Noto Sans CJK" in str(said)


def test_a_font_that_is_here_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """DejaVu Serif, which Matplotlib brings, is as good as any other."""
    letter = min(fonts._letters("DejaVu Sans Mono") - fonts._letters("DejaVu Sans"), default=None)
    if letter is None:
        letter = min(fonts._letters("STIXGeneral") - fonts._letters("DejaVu Sans"))
    monkeypatch.setattr(fonts, "_FAMILIES", ("No Such Font", "DejaVu Sans Mono", "STIXGeneral"))
    assert len(fonts.families_for([chr(letter)])) == 2
    assert fonts.drawable_names([chr(letter)]) == ((chr(letter),), None)


@pytest.mark.skipif(os.name == "nt", reason="another way of homes")
def test_a_home_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unprivileged: None
) -> None:
    monkeypatch.delenv("OLHAR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/1/nowhere")
    monkeypatch.setattr(cache_place.tempfile, "tempdir", "/tmp")
    cache_place._stand_in.cache_clear()
    cache_place.STANDING_IN.clear()
    folder = cache_place.cache_folder()
    assert folder == cache_place.cache_folder()
    assert [folder] == cache_place.STANDING_IN
    assert folder.stat().st_uid == os.geteuid()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    cache_place._stand_in.cache_clear()
    cache_place.STANDING_IN.clear()


@pytest.mark.skipif(os.name == "nt", reason="another way of homes")
def test_the_place_is_told(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": "/proc/1/nowhere", "TMPDIR": str(tmp_path)}
    words = [sys.executable, "-m", "olhar", "data", "digits"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if list(tmp_path.glob("olhar-cache-*")):  # a set that comes with a library may need no cache
        assert "OLHAR_CACHE=FOLDER" in done.stderr
