"""The tutorials: one code in both languages, and each runs from the first cell to the last."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import one_core
from olhar.cli import build_parser

nbclient = pytest.importorskip("nbclient", reason="tutorials are run by nbclient")
pytest.importorskip("ipykernel", reason="tutorials are run by ipykernel")

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tools"))

import notebooks  # noqa: E402

FOLDER = ROOT / "docs" / "tutorials"
MAKEFILE = ROOT / "src" / "olhar" / "native" / "c" / "board" / "Makefile"
TUTORIALS = sorted(path for path in FOLDER.glob("*.ipynb") if ".pt." not in path.name)
# What a tutorial looks for under OLHAR_DATA.
NEEDS = {"4": "weights", "7": "weights"}
EXTRAS = {"3": "optuna", "5": "boto3", "6": "uvicorn", "7": "uvicorn"}
PROGRAMS = {"8": ("cc", "make", "arm-none-eabi-gcc", "qemu-system-arm")}


def portuguese(path: Path) -> Path:
    return path.with_suffix(".pt.ipynb")


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def sources(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == kind]


def test_there_are_eight() -> None:
    assert [path.name[0] for path in TUTORIALS] == list("12345678")


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_code_is_equal_and_text_is_translated(path: Path) -> None:
    other = portuguese(path)
    assert sources(path, "code") == sources(other, "code")
    assert [c["cell_type"] for c in cells(path)] == [c["cell_type"] for c in cells(other)]
    for text, translated in zip(sources(path, "markdown"), sources(other, "markdown"), strict=True):
        assert text != translated
        assert re.findall(r"^(#+) ", text, re.MULTILINE) == re.findall(
            r"^(#+) ", translated, re.MULTILINE
        )


@pytest.mark.parametrize("path", [*TUTORIALS, *map(portuguese, TUTORIALS)], ids=lambda p: p.stem)
def test_every_command_parses(path: Path) -> None:
    found = [line for code in sources(path, "code") for line in re.findall(r"^!(.*)$", code, re.M)]
    for text in sources(path, "markdown"):
        for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S):
            found += block.splitlines()
    for line in found:
        words = shlex.split(line.partition(" > ")[0].replace("{trials}", "2"))
        if words[:4] == ["make", "-s", "-C", "board"]:
            assert re.search(rf"^{words[4]}:", MAKEFILE.read_text(encoding="utf-8"), re.M), line
            continue
        assert words[0] == "olhar", line
        build_parser().parse_args(words[1:])


def test_outputs_are_small_and_of_no_machine() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FOLDER.glob("*.ipynb")]
    assert sum(map(len, texts)) < 600_000
    for text in texts:
        assert not re.search(r"/(tmp|home|Users|root)/|C:\\\\", text)


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[[Path], Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLHAR_TUTORIAL_QUICK", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        with one_core(), notebooks.kernel("en", timeout_s=300) as run:
            yield run


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path: Path, run: Callable[[Path], Any]) -> None:
    number = path.name[0]
    if number in EXTRAS:
        pytest.importorskip(EXTRAS[number])
    for program in PROGRAMS.get(number, ()):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if number in NEEDS:
        place = Path(os.environ.get("OLHAR_DATA", "/nowhere")) / NEEDS[number]
        if not place.exists():
            pytest.skip(f"OLHAR_DATA has no {NEEDS[number]}")
    done = run(path)
    for cell in done.cells:
        for output in cell.get("outputs", []):
            text = notebooks.plain_text(output.get("text", ""))
            bad = r"^(error:|usage:|Traceback|make: \*\*\*)|not found"
            assert not re.search(bad, text, re.MULTILINE), text


@pytest.mark.parametrize("text", ["\x1b[1mbold\x1b[0m", "a\rb", "a\r\nb  \n", "plain"])
def test_outputs_read_as_on_a_terminal(text: str) -> None:
    shown = notebooks.plain_text(text)
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert notebooks.plain_text(shown) == shown
