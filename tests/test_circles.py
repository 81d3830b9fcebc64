"""No two modules import each other in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest

from circles import find_circles


def test_there_is_none_in_olhar() -> None:
    assert find_circles() == []


def test_one_is_found_also_inside_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = tmp_path / "wrong_house"
    house.mkdir()
    for name, text in (
        ("__init__", ""),
        ("a", "from wrong_house import b\n"),
        ("b", "def f():\n    from wrong_house.c import x\n"),
        ("c", "import wrong_house.a\nx = 1\n"),
        ("d", "import wrong_house.a\n"),
    ):
        (house / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_circles("wrong_house") == [["wrong_house.a", "wrong_house.b", "wrong_house.c"]]
