"""Folders of 1,000 to 1,000,000 photos: listed, decoded, trained on for one epoch, and begun again.

The photos are JPEGs of 32×32 pixels in ten class folders, made here; above `ORIGINALS` of them the
rest are hard links. A process of its own runs `olhar.train` with lenet5, without groups, and another
begins the same again, until its training would start. Memory is sampled over each process and all
that it has started: their own pages, and not those of mapped files, which the system takes back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from olhar.i18n import Text
from olhar.progress import Progress

SIDE, CLASSES = 32, 10
ORIGINALS = 100_000
_EVERY_S = 0.05

Row = dict[str, Any]


def make_photos(folder: Path, count: int) -> None:
    """So many JPEGs in class folders: noise on a colour of the class and shapes of their own."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    colours = random.integers(40, 216, (CLASSES, 3))
    for label in range(CLASSES):
        (folder / f"class_{label}").mkdir(parents=True)
    for index in range(count):
        path = _photo(folder, index)
        if index >= ORIGINALS:
            os.link(_photo(folder, index % ORIGINALS), path)
            continue
        noise = random.integers(-40, 40, (8, 8, 3))
        pixels = np.clip(colours[index % CLASSES] + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).resize((SIDE, SIDE)).save(path, quality=90)


def _photo(folder: Path, index: int) -> Path:
    return folder / f"class_{index % CLASSES}" / f"{index:07}.jpg"


class BegunError(Exception):
    """The training would start now."""


class Stages(Progress):
    """When stages began and ended, in seconds; stops at the training where that is asked."""

    def __init__(self, *, stops: bool) -> None:
        self.stops = stops
        self.began, self.ended = dict[str, float](), dict[str, float]()
        self._title, self._total = "", 0
        self._zero = time.perf_counter()

    def seconds(self) -> float:
        """Since this was made."""
        return time.perf_counter() - self._zero

    def start(self, title: Text, total: int) -> None:
        """A stage begins."""
        self._title, self._total = title.literal, total
        self.began.setdefault(self._title, self.seconds())
        if self.stops and self._title == "training":
            raise BegunError

    def advance(self, done: int, text: str = "") -> None:  # noqa: ARG002
        """Of the stage so many parts are done."""
        if done == self._total:
            self.ended[self._title] = self.seconds()


def train_once(photos: Path, run: Path, *, stops: bool) -> Row:
    """Train as a user does: when stages began and ended, and the seconds of the epoch."""
    stages = Stages(stops=stops)
    import olhar

    row: Row = {}
    settings: Row = {"epochs": 1, "batch_size": 128, "groups": "none", "run": run}
    try:
        trained = olhar.train(str(photos), "lenet5", progress=stages, **settings)
        row = {"epoch": trained.history[-1]["seconds"], "total": stages.seconds()}
    except BegunError:
        pass
    return {**row, "began": stages.began, "ended": stages.ended}


def measure(count: int, folder: Path | None) -> Row:
    """Make the photos, then train and begin again, each in a fresh process."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        make_photos(place / "photos", count)
        first, second = _watched(place, "first"), _watched(place, "second", "--stops")
        began, decoded = first["began"]["decoding photos"], first["ended"]["decoding photos"]
        return {
            "images": count,
            "list_s": began,
            "decode_s": decoded - began,
            "divide_s": first["began"]["training"] - decoded,
            "second_s": second["began"]["training"],
            "epoch_s": first["epoch"],
            "total_s": first["total"],
            "memory_mib": max(first["memory_mib"], second["memory_mib"]),
            "second_memory_mib": second["memory_mib"],
            "cache_mib": _size_mib(place / "cache"),
            "run_mib": _size_mib(place / "first"),
        }


def _watched(place: Path, run: str, *words: str) -> Row:
    """Run `train_once` in a process, and sample what it and its children hold."""
    script = str(Path(__file__).resolve())
    most = 0.0
    with subprocess.Popen(
        [sys.executable, script, str(place / "photos"), str(place / run), *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OLHAR_CACHE": str(place / "cache")},
    ) as process:
        while process.poll() is None:
            most = max(most, tree_mib(process.pid))
            time.sleep(_EVERY_S)
        text = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(process.returncode)
    row: Row = json.loads(text)
    return {**row, "memory_mib": most}


def tree_mib(pid: int) -> float:
    """What a process and those that it has started hold now, MiB: pages of their own (Linux)."""
    held, pending = 0.0, [pid]
    while pending:
        one = Path("/proc", str(pending.pop()))
        with suppress(OSError):
            lines = (one / "status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            held += int(fields.get("RssAnon", "0").split()[0]) / 1024
            for thread in (one / "task").iterdir():
                pending += map(int, (thread / "children").read_text().split())
    return held


def _size_mib(folder: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*")) / 2**20


def markdown(rows: Sequence[Row]) -> list[str]:
    """A row a size."""
    return [
        "| photos | listed, s | decoded, s | divided, s | epoch, s | again, s | memory, MiB | cache, MiB |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['images']:,} | {row['list_s']:.2f} | {row['decode_s']:.1f} | {row['divide_s']:.1f} "
            f"| {row['epoch_s']:.1f} | {row['second_s']:.1f} | {row['memory_mib']:,.0f} "
            f"| {row['cache_mib']:,.0f} |"
            for row in rows
        ),
    ]


if __name__ == "__main__":
    photos, run, *more = sys.argv[1:]
    print(json.dumps(train_once(Path(photos), Path(run), stops="--stops" in more)))
