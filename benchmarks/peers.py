"""Peers and olhar side by side on this machine: the tutorial network on CIFAR-10.

Each runs in a process and a virtual environment of its own (made under .bench/ by the pins in
benchmarks/peers/*.txt, and kept), on the same images. Peer and olhar alternate, and which of them
goes first alternates too, so that a machine whose speed wanders slows both alike; the ratio is of
each round's pair. docs/benchmarks.md says what is counted.

    python benchmarks/peers.py [--peer keras --peer torch] [--rounds 3] [--json | --markdown]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from here import describe_here

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "benchmarks" / "peers"
BENCH = ROOT / ".bench"

POOL = 50_000  # images that CIFAR-10 gives for training
FEWEST_OLHAR_EPOCHS, MOST_OLHAR_EPOCHS = 1, 5

Record = dict[str, Any]
Pair = tuple[Record, Record]


@dataclass(frozen=True)
class Peer:
    """Another way to train the same network.

    Attributes:
        title: as shown.
        to_target: whether it stops at the target accuracy, so that its time to get there counts;
            else images a second count.
    """

    title: str
    to_target: bool


PEERS = {
    "keras": Peer("Keras, the tutorial's way", to_target=True),
    "torch": Peer("plain PyTorch loop", to_target=True),
    "recipe": Peer("plain PyTorch loop with olhar's recipe", to_target=True),
    "fastai": Peer("fastai `fit_one_cycle`", to_target=False),
    "timm": Peer("timm's train script parts", to_target=False),
}
RATE_EPOCHS = 2  # of a peer whose images a second count


class PeerError(Exception):
    """A peer or olhar could not run; the message says why."""


def run_command(command: Sequence[str | Path], **env: str) -> str:
    """Standard output of a process of its own.

    Raises:
        PeerError: it failed, with the end of what it said.
    """
    # Without thread limits: peers obey them, olhar does not, so they would slow the peers alone.
    without = {"PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**kept, "PYTHONUTF8": "1", **env},
        check=False,
    )
    if done.returncode:
        last = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][-3:]
        raise PeerError(f"{Path(command[0]).name} ended with {done.returncode}: {' / '.join(last)}")
    return done.stdout


def environment(name: str, scripts: Path = SCRIPTS, bench: Path = BENCH) -> Path:
    """The Python of a peer's virtual environment, made where it is absent or its pins changed.

    Raises:
        PeerError: it cannot be installed here.
    """
    folder, pins = bench / name, scripts / f"{name}.txt"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    installed = folder / "installed.txt"
    wanted = pins.read_text(encoding="utf-8")
    if python.exists() and installed.exists() and installed.read_text(encoding="utf-8") == wanted:
        return python
    say(f"{name}: installing into {folder}")
    run_command([sys.executable, "-m", "venv", "--clear", folder])
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    run_command([*pip, "-r", pins])
    installed.write_text(wanted, encoding="utf-8")
    return python


def export_arrays(images: int) -> Path:
    """The folder of the .npy files that peers read: olhar's own train split and the test set."""
    import numpy as np

    from olhar.datasets import load_named, split_dataset
    from olhar.files import folder_aside

    dataset = load_named("cifar10")
    splits = split_dataset(dataset, val=POOL - images)
    folder = BENCH / f"cifar10-{images}-{dataset.fingerprint[:12]}"
    if not folder.is_dir():
        with folder_aside(folder) as aside:
            for split in ("train", "test"):
                members = getattr(splits, split)
                np.save(aside / f"{split}_images.npy", dataset.images[members])
                np.save(aside / f"{split}_labels.npy", dataset.labels[members])
    return folder


def run_peer(name: str, python: Path, arrays: Path, args: argparse.Namespace, seed: int) -> Record:
    """One training of a peer in its own process."""
    epochs = args.epochs if PEERS[name].to_target else min(RATE_EPOCHS, args.epochs)
    command: list[str | Path] = [python, SCRIPTS / f"train_{name}.py", arrays]
    command += ["--epochs", str(epochs)]
    command += ["--target", str(args.target), "--seed", str(seed)]
    begun = time.perf_counter()
    env = {"PYTHONPATH": str(ROOT / "src")} if name == "recipe" else {}
    out = run_command(command, TF_CPP_MIN_LOG_LEVEL="3", **env)
    record: Record = json.loads(out.splitlines()[-1])
    return {**record, "wall_s": time.perf_counter() - begun}


def run_olhar(epochs: int, args: argparse.Namespace, seed: int) -> Record:
    """One training of olhar, by its command, in its own process."""
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        command: list[str | Path] = [sys.executable, "-m", "olhar", "train", "--data", "cifar10"]
        command += ["--network", "cnn-32-64-64", "--epochs", str(epochs), "--seed", str(seed)]
        command += ["--val", str(POOL - args.images), "--run", Path(folder) / "run", "--json"]
        begun = time.perf_counter()
        result = json.loads(run_command(command))
        wall_s = time.perf_counter() - begun
    return {
        "seconds": result["seconds"],
        "images_per_s": args.images * epochs / result["seconds"],
        "epochs": epochs,
        "test_accuracy": result["accuracy"],
        "reached": result["accuracy"] >= args.target,
        "wall_s": wall_s,
    }


def run_olhar_to_target(fewest: int, args: argparse.Namespace, seed: int) -> Record:
    """olhar with the least number of epochs, from `fewest` on, that reaches the target.

    olhar's schedule has a fixed length, so each number of epochs is a training from the start.
    Those that missed are in the record under "missed".
    """
    missed: list[Record] = []
    for epochs in range(fewest, max(fewest, min(MOST_OLHAR_EPOCHS, args.epochs)) + 1):
        record = run_olhar(epochs, args, seed)
        say(f"  olhar  {describe(record)}")
        if record["reached"]:
            break
        missed.append(record)
    return {**record, "missed": missed if record["reached"] else missed[:-1]}


def compare(name: str, arrays: Path, args: argparse.Namespace) -> list[Pair]:
    """Rounds of (peer, olhar)."""
    python, fewest = environment(name), min(FEWEST_OLHAR_EPOCHS, args.epochs)
    pairs: list[Pair] = []
    for number in range(args.rounds):
        say(f"{name}: round {number + 1} of {args.rounds}")
        if number % 2:
            ours = run_olhar_to_target(fewest, args, seed=number)
        theirs = run_peer(name, python, arrays, args, seed=number)
        say(f"  {name}  {describe(theirs)}")
        if not number % 2:
            ours = run_olhar_to_target(fewest, args, seed=number)
        fewest = ours["epochs"]
        pairs.append((theirs, ours))
    return pairs


def describe(record: Record) -> str:
    """A record in a line."""
    return (
        f"{record['seconds']:.1f} s of training, {count_epochs(record)} epochs, "
        f"{record['images_per_s']:,.0f} images/s, test {record['test_accuracy']:.3f}, "
        f"process {record['wall_s']:.1f} s"
    )


def count_epochs(record: Record) -> int:
    """How many epochs a record is of: a peer lists them, olhar counts them."""
    epochs = record["epochs"]
    return epochs if isinstance(epochs, int) else len(epochs)


def pair_ratio(pair: Pair, *, to_target: bool) -> float | None:
    """How many times as fast olhar is; None where it did not reach the target that counts.

    Where the peer did not reach it, its time so far counts: the ratio is then at least this.
    """
    peer, ours = pair
    if not to_target:
        return float(ours["images_per_s"] / peer["images_per_s"])
    return float(peer["seconds"] / ours["seconds"]) if ours["reached"] else None


def summarise(pairs: Sequence[Pair], *, to_target: bool) -> dict[str, Any]:
    """The ratios of all pairs: ratio_mean, ratio_std (None for a single one), n, and at_least."""
    ratios = [pair_ratio(pair, to_target=to_target) for pair in pairs]
    known = [ratio for ratio in ratios if ratio is not None]
    whole = len(known) == len(ratios) > 0  # a mean over the lucky rounds would flatter
    return {
        "n": len(ratios),
        "ratio_mean": statistics.mean(known) if whole else None,
        "ratio_std": statistics.stdev(known) if whole and len(known) > 1 else None,
        "at_least": to_target and any(not peer["reached"] for peer, _ours in pairs),
        "olhar_missed": len(ratios) - len(known),
    }


def ratio_text(summary: dict[str, Any]) -> str:
    """A ratio with n and spread."""
    n = summary["n"]
    if summary["ratio_mean"] is None:
        return f"olhar missed the target in {summary['olhar_missed']} of {n}"
    spread = "" if summary["ratio_std"] is None else f" ± {summary['ratio_std']:.2f}"
    return f"{'≥ ' if summary['at_least'] else ''}{summary['ratio_mean']:.2f}{spread} (n={n})"


def spread_text(values: Sequence[float], digits: int) -> str:
    """Mean ± standard deviation; the mean alone for a single value."""
    mean = f"{statistics.mean(values):,.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):,.{digits}f}"


def markdown(result: dict[str, Any]) -> str:
    """The block of docs/benchmarks.md: a row a peer, then where it was measured."""
    lines = [
        "| peer | what counts | peer | olhar | speed-up | epochs | test accuracy | process |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result["peers"].items():
        peer = PEERS[name]
        key, digits, unit = (
            ("seconds", 1, "s") if peer.to_target else ("images_per_s", 0, "images/s")
        )
        what = f"training to {result['target']:g}" if peer.to_target else "images a second"
        sides = [[pair[side] for pair in row["pairs"]] for side in ("peer", "olhar")]
        figures = [f"{spread_text([r[key] for r in side], digits)} {unit}" for side in sides]
        epochs = " and ".join(
            "/".join(map(str, sorted({count_epochs(r) for r in side}))) for side in sides
        )
        tests = " and ".join(spread_text([r["test_accuracy"] for r in side], 3) for side in sides)
        walls = " and ".join(f"{spread_text([r['wall_s'] for r in side], 0)} s" for side in sides)
        cells = [peer.title, what, *figures, ratio_text(row), epochs, tests, walls]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", machine_text(result)]
    lines += [f"Left out: {name} ({why})." for name, why in result["left_out"].items()]
    return "\n".join(lines)


def machine_text(result: dict[str, Any]) -> str:
    """Hardware and versions in a sentence."""
    machine = result["machine"]
    versions = {
        library: number
        for row in result["peers"].values()
        for library, number in row["pairs"][0]["peer"]["versions"].items()
    }
    shown = ", ".join(f"{library} {number}" for library, number in versions.items())
    return (
        f"{machine['processor']}, {machine['threads']} cores, {machine['precision']} for olhar and "
        f"fp32 for the peers, {machine['system']}, Python {machine['python']}; "
        f"olhar {machine['olhar']} with torch {machine['torch']}; peers with {shown}; "
        f"{result['images']:,} training images; load average before {machine['load_average']}."
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rounds of all peers; one that cannot run is left out, and why is told."""
    result: dict[str, Any] = {
        "machine": describe_here(),
        "images": args.images,
        "target": args.target,
        "peers": {},
        "left_out": {},
    }
    arrays = export_arrays(args.images)
    for name in args.peer or PEERS:
        try:
            pairs = compare(name, arrays, args)
        except PeerError as error:
            say(f"{name}: left out: {error}")
            result["left_out"][name] = str(error)
            continue
        summary = summarise(pairs, to_target=PEERS[name].to_target)
        shown = [{"peer": peer, "olhar": ours} for peer, ours in pairs]
        result["peers"][name] = {**summary, "pairs": shown}
    return result


def say(text: str) -> None:
    """What happens, beside the result."""
    print(text, file=sys.stderr, flush=True)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", action="append", choices=PEERS, help="default: all")
    parser.add_argument("--rounds", type=int, default=3, help="pairs a peer; default 3")
    parser.add_argument("--target", type=float, default=0.68, help="test accuracy; default 0.68")
    parser.add_argument("--epochs", type=int, default=15, help="of a training at most; default 15")
    parser.add_argument(
        "--images", type=int, default=44_000, help="to train on; default 44000, as the tutorial's"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="everything, for programs")
    shown.add_argument("--markdown", action="store_true", help="the table of docs/benchmarks.md")
    return parser


def main() -> int:
    parser = build_parser()
    args = parser.parse_args()
    if args.rounds < 1 or args.epochs < 1 or not 10 <= args.images <= POOL - 10:
        parser.error(f"--rounds and --epochs: 1 and more; --images: 10 to {POOL - 10}")
    from olhar.errors import OlharError

    try:
        result = measure(args)
    except OlharError as error:
        say(f"olhar: {error}")
        return error.exit_status
    if args.json:
        print(json.dumps(result, indent=2))
    elif args.markdown:
        print(markdown(result))
    else:
        print(machine_text(result))
        for name, row in result["peers"].items():
            print(f"{name:<7} olhar is {ratio_text(row)} times as fast")
        for name, why in result["left_out"].items():
            print(f"{name:<7} left out: {why}")
    return 0 if result["peers"] else 1


if __name__ == "__main__":
    sys.exit(main())
