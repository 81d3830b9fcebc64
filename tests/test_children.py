"""Child processes: what they are told, what counts as an answer, and what is left when they die."""

from __future__ import annotations

from pathlib import Path

import pytest

from olhar.children import Child, share_out
from olhar.i18n import using

_TOLD = """
import os, sys
from olhar.children import answer_rows, answering_stream, write_line
from olhar.i18n import language

def tell():
    answers = answering_stream()
    print("a library says something")
    os.system("echo and so does a program")
    threads = os.environ.get("OPENBLAS_NUM_THREADS")
    write_line(answers, {"language": language(), "threads": threads, "path": sys.path[0]})
    answers.write(b'{"cut": ')
    answers.flush()

def double():
    def answer(job, rows):
        for number, row in rows:
            if row == job["deadly"]:
                os._exit(9)
            yield number, row * 2
    answer_rows(answer)
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `told` that children find; and one of the current folder that they must not."""
    (tmp_path / "told.py").write_text(_TOLD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    here = tmp_path / "here"
    here.mkdir()
    (here / "json.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(here)


def test_what_is_said(told: None) -> None:
    with using("pt_BR"):
        child = Child("told:tell", threads=3)
    (said,) = child.hear()
    assert (said["language"], said["threads"]) == ("pt_BR", "3")
    assert child.kill() in {0, -9}
    child.say("nobody hears it")
    child.close()


def test_rows_of_a_child_that_dies_are_left(told: None) -> None:
    rows = [f"{number}é" for number in range(20)]
    assert dict(share_out("told:double", {"deadly": ""}, rows, 3)) == dict(
        enumerate(row * 2 for row in rows)
    )
    left = dict(share_out("told:double", {"deadly": "7é"}, rows, 2))
    assert set(range(0, 20, 2)) <= set(left) <= set(range(20)) - set(range(7, 20, 2))
    assert list(share_out("told:nothing", {}, rows, 2)) == []


def test_a_child_is_killed(told: None) -> None:
    child = Child("told:double")
    assert child.kill() != 0
    assert list(child.hear()) == []
    child.close()
