"""The benchmarks' parts that measure nothing: ratios, tables, arguments. Timings need a quiet machine."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / f"benchmarks/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


peers, scaling = load("peers"), load("scaling")


def record(seconds: float, accuracy: float = 0.7, *, epochs: Any = 2) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "images_per_s": 1000 / seconds,
        "epochs": epochs,
        "test_accuracy": accuracy,
        "reached": accuracy >= 0.68,
        "wall_s": seconds + 10,
        "versions": {"torch": "2.0"},
    }


def test_the_ratio_is_the_mean_of_the_pairs() -> None:
    pairs = [(record(80), record(10)), (record(120), record(10))]
    summary = peers.summarise(pairs, to_target=True)
    assert summary["ratio_mean"] == pytest.approx(10)
    assert summary["ratio_std"] == pytest.approx(8**0.5)
    assert peers.ratio_text(summary) == "10.00 ± 2.83 (n=2)"


def test_a_rate_is_compared_as_a_rate() -> None:
    summary = peers.summarise([(record(80, 0.5), record(10, 0.5))], to_target=False)
    assert peers.ratio_text(summary) == "8.00 (n=1)"


def test_a_peer_that_missed_the_target_gives_a_lower_bound() -> None:
    summary = peers.summarise([(record(80, 0.6), record(10))], to_target=True)
    assert peers.ratio_text(summary) == "≥ 8.00 (n=1)"


def test_a_miss_of_olhar_is_never_averaged_away() -> None:
    pairs = [(record(80), record(10)), (record(80), record(10, 0.6))]
    summary = peers.summarise(pairs, to_target=True)
    assert summary["ratio_mean"] is None
    assert peers.ratio_text(summary) == "olhar missed the target in 1 of 2"


def test_the_table_of_peers_is_square_and_names_what_was_left_out() -> None:
    pairs = [(record(80, epochs=[{}] * 7), record(10)), (record(90, epochs=[{}] * 8), record(10))]
    row = peers.summarise(pairs, to_target=True)
    machine = dict.fromkeys(
        ("processor", "threads", "precision", "system", "python", "olhar", "torch", "load_average"),
        "x",
    )
    result = {
        "machine": machine,
        "images": 44_000,
        "target": 0.68,
        "peers": {"torch": {**row, "pairs": [{"peer": p, "olhar": o} for p, o in pairs]}},
        "left_out": {"timm": "no wheel"},
    }
    lines = peers.markdown(result).splitlines()
    assert len({line.count("|") for line in lines[:3]}) == 1
    assert "| 7/8 and 2 |" in lines[2]
    assert "85.0 ± 7.1 s" in lines[2]
    assert lines[-1] == "Left out: timm (no wheel)."


def test_every_peer_has_pins_and_a_script() -> None:
    folder = ROOT / "benchmarks" / "peers"
    for name in peers.PEERS:
        assert (folder / f"train_{name}.py").is_file()
        pins = [
            line
            for line in (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        assert pins
        assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in pins)


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(peers.PeerError, match="no wheel here"):
        peers.run_command([sys.executable, "-c", "raise SystemExit('no wheel here')"])


def test_sizes() -> None:
    assert scaling.parse_sizes("1000,20") == [1000, 20]


def test_the_table_of_sizes_is_square() -> None:
    row = {
        "images": 1000,
        "seconds": 0.5,
        "images_per_s": 2000.0,
        "memory_mib": {"anonymous": 300.0, "mapped": 3.0},
        "map_mib": 3.0,
    }
    lines = scaling.markdown([row], "a machine").splitlines()
    assert len({line.count("|") for line in lines[:3]}) == 1
    assert lines[-1] == "a machine"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("peers", ["--peer", "caffe"]),
        ("peers", ["--rounds", "0"]),
        ("peers", ["--images", "3"]),
        ("scaling", ["--sizes", "many"]),
        ("scaling", ["--sizes", "5"]),
        ("scaling", ["--folder", "no such folder"]),
    ],
)
def test_bad_arguments_are_refused(name: str, words: list[str]) -> None:
    done = run(name, *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["peers", "scaling"])
def test_help(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "--markdown" in done.stdout


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", ROOT / f"benchmarks/{name}.py", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
    )


def test_the_page_has_the_marked_tables() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    marks = re.findall(r"^<!-- (?:table:(\w+)|/table) -->$", page, re.MULTILINE)
    assert marks == ["peers", "", "scaling", ""]
