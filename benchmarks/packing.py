"""Trials an hour: a sweep's workers with a thread each, against a process of `olhar train` a trial.

Both train the same settings to their end (no early stopping, no finals), in turn, several times.
`olhar train` uses all cores for one trial, loads torch each time, draws its plots and writes a card;
a trial of a sweep is measured on the validation split and does neither. That is part of the gain.

    python benchmarks/packing.py [--data mnist] [--network gmnet] [--trials 4] [--epochs 2]
                                 [--repeats 3] [--json]
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
from pathlib import Path
from typing import Any

SWEEP = """
import json, sys
from olhar.sweep import sweep
from olhar.sweep.settings import SweepSettings
values, out = json.loads(sys.argv[1]), sys.argv[2]
result = sweep(SweepSettings.from_dict(values), out)
assert all(one.state == "complete" for one in result.trials), result.trials
"""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Both ways, `repeats` times in turn; the first, unmeasured, fills the data cache."""
    subprocess.run(
        [sys.executable, "-m", "olhar", "data", args.data], check=True, stdout=subprocess.DEVNULL
    )
    packed, naive = [], []
    for _repeat in range(args.repeats):
        with tempfile.TemporaryDirectory() as folder:
            packed.append(time_packed(args, Path(folder)))
            naive.append(time_naive(args, Path(folder)))
    hours = args.trials * 3600
    ratios = [slow / fast for slow, fast in zip(naive, packed, strict=True)]
    return {
        "data": args.data,
        "network": args.network,
        "epochs": args.epochs,
        "trials": args.trials,
        "repeats": args.repeats,
        "cores": os.cpu_count(),
        "packed_trials_an_hour": [round(hours / one, 1) for one in packed],
        "naive_trials_an_hour": [round(hours / one, 1) for one in naive],
        "ratio_mean": round(statistics.mean(ratios), 3),
        "ratio_sd": round(statistics.stdev(ratios), 3) if len(ratios) > 1 else None,
    }


def rates(args: argparse.Namespace) -> list[float]:
    """A learning rate for each trial."""
    return [round(0.001 * 1.2**number, 6) for number in range(args.trials)]


def time_packed(args: argparse.Namespace, folder: Path) -> float:
    """Seconds of a sweep, its winner's test and card included."""
    values = {
        "data": args.data,
        "network": args.network,
        "method": "grid",
        "pruner": "none",
        "finalists": 1,
        "set": {"epochs": args.epochs},
        "param": {"lr": rates(args)},
    }
    begun = time.perf_counter()
    words = [sys.executable, "-c", SWEEP, json.dumps(values), str(folder / "sweep")]
    subprocess.run(words, check=True)
    return time.perf_counter() - begun


def time_naive(args: argparse.Namespace, folder: Path) -> float:
    """Seconds of `olhar train` for each trial, one after the other."""
    begun = time.perf_counter()
    for number, lr in enumerate(rates(args)):
        words = ["train", "--data", args.data, "--network", args.network, "--epochs", args.epochs]
        words += ["--lr", lr, "--run", folder / f"naive-{number}", "--json"]
        subprocess.run(
            [sys.executable, "-m", "olhar", *map(str, words)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--network", default="gmnet")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args)
    if args.json:
        print(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        print(f"{key:24}{value}")


if __name__ == "__main__":
    main()
