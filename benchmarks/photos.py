"""A folder of photos in, a classifier out: olhar beside fastai and the PyTorch tutorial, whole processes.

Every tool gets the same train/ and test/ folders, and the same ImageNet weights of MobileNetV2; it
runs as its documentation shows it, in a virtual environment of its own. docs/benchmarks.md says what
is counted. A long measurement is made in parts: --json keeps what is there and adds to it.

    OLHAR_DATA=... python benchmarks/photos.py --json photos.json [--sets trash] [--tools fastai]
    python benchmarks/photos.py --json photos.json --markdown --tools none      # the table again
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from here import describe_here
from peers import BENCH, SCRIPTS, PeerError, environment, say
from photo_sets import SETS, find_set, fingerprint, list_photos
from photos_table import markdown, text

Record = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A way from a folder of photos to a classifier.

    Attributes:
        title: as shown.
        words: of the command: olhar's, or those after the peer's script and set.
        script: of a peer, in benchmarks/peers; "" for olhar.
        pins: of the peer's environment.
    """

    title: str
    words: tuple[str, ...] = ()
    script: str = ""
    pins: str = ""


TOOLS = {
    "olhar": Tool("olhar, nothing named"),
    "olhar-mobilenet": Tool("olhar `--backbone mobilenet_v2`", ("--backbone", "mobilenet_v2")),
    "fastai": Tool("fastai `fine_tune(4)`", (), "photos_fastai.py", "fastai"),
    "tutorial": Tool("PyTorch tutorial, all layers", (), "photos_tutorial.py", "torchvision"),
    "tutorial-frozen": Tool(
        "PyTorch tutorial, last layer", ("frozen",), "photos_tutorial.py", "torchvision"
    ),
}
WEIGHTS = "weights/mobilenet_v2_imagenet.pth"
# Names under which torchvision looks for MobileNetV2's weights before it downloads them.
TORCH_NAMES = ("mobilenet_v2-b0353104.pth", "mobilenet_v2-7ebf99e0.pth")


class StoppedError(Exception):
    """A tool took longer than the limit."""


def run_limited(
    command: Sequence[str | Path], limit_s: float, folder: Path, **env: str
) -> tuple[str, float]:
    """Standard output of a process in `folder`, and its seconds; the process and its children end here.

    Raises:
        PeerError: it failed, with the end of what it said.
        StoppedError: it was stopped at `limit_s`.
    """
    # Without thread limits: peers obey them, olhar does not, so they would slow the peers alone.
    without = {"PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    begun = time.perf_counter()
    with subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={**kept, "PYTHONUTF8": "1", **env},
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=limit_s)
            seconds = time.perf_counter() - begun
        except subprocess.TimeoutExpired:
            raise StoppedError from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        last = [line.strip() for line in (err or out).splitlines() if line.strip(" ^~")][-2:]
        raise PeerError(f"it ended with {process.returncode}: {' / '.join(last)}")
    return out, seconds


def run_olhar(tool: Tool, photos: Path, limit_s: float, folder: Path) -> Record:
    """`olhar train` with an empty cache: seconds, answers, note."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "olhar",
        "train",
        "--data",
        photos,
        "--run",
        "run",
        *tool.words,
    ]
    _out, seconds = run_limited(command, limit_s, folder, OLHAR_CACHE=str(folder / "cache"))
    with (folder / "run" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        answers = {
            row["file"].removeprefix("test/"): row["predicted"] for row in csv.DictReader(file)
        }
    return {"seconds": seconds, "answers": answers, "versions": {}, "note": ""}


def run_peer(tool: Tool, photos: Path, limit_s: float, folder: Path, envs: Path) -> Record:
    """A peer's script in its environment: seconds, answers, versions, note."""
    python, weights = environment(tool.pins, bench=envs), folder / "torch" / "hub" / "checkpoints"
    weights.mkdir(parents=True)
    for name in TORCH_NAMES:
        shutil.copyfile(data_folder() / WEIGHTS, weights / name)
    answers = folder / "answers.json"
    command: list[str | Path] = [
        python,
        SCRIPTS / "photos_run.py",
        answers,
        SCRIPTS / tool.script,
        photos,
        *tool.words,
    ]
    places = {"TORCH_HOME": str(folder / "torch"), "FASTAI_HOME": str(folder / "fastai")}
    out, seconds = run_limited(command, limit_s, folder, **places)
    told = json.loads(answers.read_text(encoding="utf-8"))
    return {"seconds": seconds, **told, "note": last_epoch(out)}


def last_epoch(out: str) -> str:
    """The tutorial keeps the epoch that is best on the test photos: what its last one had."""
    accuracies = re.findall(r"^test Loss: \S+ Acc: (\S+)", out, re.MULTILINE)
    if not accuracies:
        return ""
    return f"epoch chosen on the test photos; the last had {float(accuracies[-1]):.3f}"


def score(answers: dict[str, str], photos: Path) -> Record:
    """Right and n of all test photos; one without an answer is wrong.

    Raises:
        PeerError: answers to other photos than the test photos.
    """
    test = [path.relative_to(photos / "test").as_posix() for path in list_photos(photos / "test")]
    strange = sorted(answers.keys() - set(test))
    if strange:
        raise PeerError(f"it answered to '{strange[0]}', which is no test photo")
    wrong = [name for name in test if answers.get(name) != name.split("/")[0]]
    return {"n": len(test), "right": len(test) - len(wrong), "wrong": wrong}


def count_lines(tool: Tool) -> int:
    """Lines of code that a user writes: without blank ones and comments; a command is one."""
    if not tool.script:
        return 1
    lines = (SCRIPTS / tool.script).read_text(encoding="utf-8").splitlines()
    return sum(1 for line in lines if line.strip() and not line.lstrip().startswith("#"))


def measure(name: str, photos: Path, args: argparse.Namespace) -> Record:
    """One tool on one set: a row; "stopped_s" or "failed" where it did not get to the end."""
    tool = TOOLS[name]
    row: Record = {
        "set": photos.name,
        "tool": name,
        "title": tool.title,
        "lines": count_lines(tool),
        "fingerprint": fingerprint(photos),
        "machine": describe_here(),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    limit_s = 60 * args.limit
    try:
        with tempfile.TemporaryDirectory(dir=args.work) as place:
            folder = Path(place)
            if tool.script:
                told = run_peer(tool, photos, limit_s, folder, args.envs)
            else:
                told = run_olhar(tool, photos, limit_s, folder)
        return row | score(told.pop("answers"), photos) | told
    except StoppedError:
        return row | {"stopped_s": limit_s}
    except PeerError as error:
        return row | {"failed": str(error)}


def is_done(row: Record, args: argparse.Namespace) -> bool:
    """Whether a kept row stands: it ended, or was stopped at no lower limit."""
    return not args.again and ("right" in row or row.get("stopped_s", 0) >= 60 * args.limit)


def measure_all(rows: list[Record], folders: list[Path], args: argparse.Namespace) -> list[Record]:
    """Kept rows and new ones, in the order of sets and tools; kept in the file after each.

    Raises:
        PeerError: a kept row is of other photos.
    """
    table = {(row["set"], row["tool"]): row for row in rows}
    for photos in folders:
        here = fingerprint(photos)
        if any(row["set"] == photos.name and row["fingerprint"] != here for row in rows):
            raise PeerError(f"{args.json} has '{photos.name}' with other photos; name another file")
    for photos in folders:
        for name in args.tools:
            if (key := (photos.name, name)) in table and is_done(table[key], args):
                continue
            say(f"{photos.name}: {TOOLS[name].title}")
            table[key] = measure(name, photos, args)
            say(f"  {brief(table[key])}")
            if args.json:
                keep(args.json, in_order(table))
    return in_order(table)


def in_order(table: dict[tuple[str, str], Record]) -> list[Record]:
    """Rows by set, as they were first measured, then by tool."""
    sets, tools = list(dict.fromkeys(key[0] for key in table)), list(TOOLS)
    return sorted(table.values(), key=lambda r: (sets.index(r["set"]), tools.index(r["tool"])))


def brief(row: Record) -> str:
    if "failed" in row:
        return f"failed: {row['failed']}"
    if "stopped_s" in row:
        return f"stopped after {row['stopped_s'] / 60:g} minutes"
    return f"{row['right']}/{row['n']} right, {row['seconds']:.1f} s"


def keep(path: Path, rows: list[Record]) -> None:
    from olhar.files import write_atomic

    write_atomic(path, json.dumps({"results": rows}, indent=1))


def read_kept(path: Path | None) -> list[Record]:
    """Rows of a file of before; none where there is no file."""
    if path is None or not path.exists():
        return []
    rows: list[Record] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return rows


def data_folder() -> Path:
    return Path(os.environ.get("OLHAR_DATA", ""))


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sets",
        default=",".join(SETS),
        help="by commas; default all. A folder with train/ and test/ is a set too",
    )
    parser.add_argument("--tools", default=",".join(TOOLS), help="by commas, or none; default all")
    parser.add_argument("--limit", type=float, default=30, help="minutes a tool; default 30")
    parser.add_argument("--envs", type=Path, default=BENCH, help="environments; default .bench")
    parser.add_argument("--work", type=Path, default=BENCH / "photos", help="sets and runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="results, kept and added to")
    parser.add_argument("--again", action="store_true", help="measure what is kept once more")
    parser.add_argument("--markdown", action="store_true", help="the tables of docs/benchmarks.md")
    return parser


def main() -> int:
    parser = build_parser()
    args = parser.parse_args()
    args.tools = [] if args.tools == "none" else args.tools.split(",")
    unknown = sorted(set(args.tools) - set(TOOLS))
    if unknown:
        parser.error(f"--tools: {', '.join(unknown)}; there are {', '.join(TOOLS)}, none")
    if args.limit <= 0:
        parser.error("--limit: more than 0 minutes")
    folders = []
    if args.tools:
        if not (data_folder() / WEIGHTS).is_file():
            parser.error(f"OLHAR_DATA names no folder with {WEIGHTS}")
        args.work, args.envs = args.work.resolve(), args.envs.resolve()
        args.work.mkdir(parents=True, exist_ok=True)
        for name in args.sets.split(","):
            if name not in SETS and not (Path(name) / "test").is_dir():
                parser.error(f"--sets: {name}; there are {', '.join(SETS)}, or a folder with test/")
        try:
            folders = [
                find_set(n, data_folder(), args.work).resolve() for n in args.sets.split(",")
            ]
        except FileNotFoundError as error:
            parser.error(str(error))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs ends with this
    try:
        rows = measure_all(read_kept(args.json), folders, args)
    except (PeerError, ValueError, KeyError) as error:
        parser.error(str(error))
    print((markdown if args.markdown else text)(rows))
    return 0 if any("right" in row for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
