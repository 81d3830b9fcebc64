"""How much of its fair share olhar computes on a computer that does something else too.

Each case (three training loops, and the features of a head in ONNX Runtime) runs in a process of its
own, in rounds: alone; beside one busy process; beside two; beside the same case once more; with a
quota of one core. The fair share is what the system gives two threads on two cores then: 2/3, 1/2,
1/2 and 1/2 of what the case computes alone. Situations alternate within a round, so that a machine
whose speed wanders slows all alike.

    python benchmarks/contention.py [--rounds 3] [--seconds 4] [--json | --markdown]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

# olhar before torch: it decides how threads wait for each other before torch is loaded.
import olhar  # noqa: F401
from here import describe_here, kept_for, machine_text

TRAININGS = {
    "lenet5": (1, 28),
    "cnn-32-64-64": (3, 32),
    "olhar-small": (3, 32),
}
FEATURES = "features of mobilenet_v2"
CASES = (*TRAININGS, FEATURES)
QUOTA = "a quota of one core"
SITUATIONS = {
    "alone": 1.0,
    "one busy process": 2 / 3,
    "two busy processes": 1 / 2,
    "another training": 1 / 2,
    QUOTA: 1 / 2,
}
GROUPS = Path("/sys/fs/cgroup")
BUSY = "while True: pass"
LINGER = 1000.0  # seconds: as long as anybody may need it

Row: TypeAlias = dict[str, Any]


def training_step(name: str) -> tuple[Callable[[], None], int]:
    """One step of olhar's training loop, and how many images it takes."""
    import torch

    from olhar.networks.build import Normalise, build_network
    from olhar.networks.specs import NetworkSpec, resolve_network
    from olhar.training.fit import Training
    from olhar.training.machine import choose_machine

    channels, size = TRAININGS[name]
    canonical, settings, _typed = resolve_network(name)
    spec = NetworkSpec(canonical, settings, size, channels, 10)
    data = "mnist" if channels == 1 else "cifar10"
    recipe = kept_for(canonical, data)
    images = torch.randint(0, 256, (10_000, size, size, channels), dtype=torch.uint8)
    labels, indices = torch.randint(0, 10, (10_000,)), torch.arange(10_000)
    network = build_network(spec)
    normalise = Normalise((0.5,) * channels, (0.25,) * channels)
    machine = choose_machine(spec)
    training = Training(network, images, labels, indices, recipe, machine, normalise)
    network.train()
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        with training.shards.alone():
            training.step(torch.randint(0, 10_000, (training.batch,)), generator)

    return step, training.batch


def features_step() -> tuple[Callable[[], None], int]:
    """A batch of photos through a frozen MobileNetV2, as before a head is solved for."""
    import numpy as np
    import torch

    from olhar.cores import count_threads
    from olhar.export import open_features
    from olhar.networks.build import build_network
    from olhar.networks.specs import NetworkSpec
    from olhar.networks.weights import find_head
    from olhar.preprocess import Preprocess, batch_rows

    size = 224
    network = build_network(NetworkSpec("mobilenet_v2", {}, size, 3, 10)).eval()
    network.set_submodule(find_head(network), torch.nn.Identity())
    preprocess = Preprocess(size, 3, (0.5,) * 3, (0.25,) * 3)
    compute = open_features(network, preprocess, "none", "cpu", count_threads())
    batch = batch_rows(size)
    images = np.random.default_rng(0).integers(0, 256, (batch, 3, size, size), np.uint8)
    return lambda: void(compute(images)), batch


def void(_result: object) -> None:
    """A result that nobody needs."""


def work(case: str) -> None:
    """Answer lines of seconds on standard input with images a second, until it is closed."""
    step, images = features_step() if case == FEATURES else training_step(case)
    for _ in range(3):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        begun, steps = time.perf_counter(), 0
        while time.perf_counter() - begun < float(line):
            step()
            steps += 1
        print(images * steps / (time.perf_counter() - begun), flush=True)


class Worker:
    """A case in a process of its own, in a control group where one is given."""

    def __init__(self, case: str, group: Path | None = None) -> None:
        command = [sys.executable, __file__, "--work", case]
        if group is not None:
            enter = f"echo $$ > '{group}/cgroup.procs' && exec \"$@\""
            command = ["sh", "-c", enter, "sh", *command]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read()

    def begin(self, seconds: float) -> None:
        """Start computing for so long."""
        assert self._process.stdin is not None
        print(seconds, file=self._process.stdin, flush=True)

    def images_per_s(self, seconds: float) -> float:
        """Compute for so long."""
        self.begin(seconds)
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a case failed; its message is above")
        return line

    def end(self) -> None:
        """Kill it, whatever it does."""
        self._process.kill()
        self._process.wait()


@contextmanager
def quota_group() -> Iterator[Path]:
    """A control group that grants one core; PermissionError and its like where none can be made."""
    mounted = next((place for place in (GROUPS / "cpu", GROUPS) if place.is_dir()), GROUPS)
    group = mounted / f"olhar-contention-{os.getpid()}"
    group.mkdir()
    try:
        if (group / "cpu.cfs_quota_us").exists():
            (group / "cpu.cfs_quota_us").write_text("100000")
        else:
            (group / "cpu.max").write_text("100000 100000")
        yield group
    finally:
        with suppress(OSError):
            group.rmdir()


@contextmanager
def beside(situation: str, case: str, seconds: float) -> Iterator[None]:
    """What else the machine does meanwhile."""
    with ExitStack() as stack:
        if situation == "another training":
            other = Worker(case)
            stack.callback(other.end)
            other.begin(LINGER)
        count = {"one busy process": 1, "two busy processes": 2}.get(situation, 0)
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", BUSY])
            stack.callback(process.wait)
            stack.callback(process.kill)
        time.sleep(min(1.0, seconds))  # until all of them are at it
        yield


def measure(case: str, rounds: int, seconds: float, situations: Sequence[str]) -> Row:
    """Images a second of one case in each situation, a list with a number a round."""
    found: dict[str, list[float]] = {situation: [] for situation in situations}
    missing = ""
    with ExitStack() as stack:
        free = Worker(case)
        stack.callback(free.end)
        bounded = None
        if QUOTA in situations:
            try:
                group = stack.enter_context(quota_group())
                bounded = Worker(case, group)
                stack.callback(bounded.end)
            except OSError as error:
                missing = f"no control group with a quota can be made here: {error}"
                del found[QUOTA]
        for _ in range(rounds):
            for situation, speeds in found.items():
                worker = bounded if situation == QUOTA and bounded is not None else free
                with beside(situation, case, seconds):
                    speeds.append(worker.images_per_s(seconds))
    return {"case": case, "images_per_s": found, "missing": missing}


def markdown(rows: Sequence[Row], machine: str) -> str:
    """The block of docs/benchmarks.md: a row a case; images a second, and their part of the fair share."""
    names = [name for name in SITUATIONS if any(name in row["images_per_s"] for row in rows)]
    shares = [f"{name} (fair: {SITUATIONS[name]:.2f})" for name in names[1:]]
    lines = [
        f"| case | {' | '.join(['alone, images/s', *shares])} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for row in rows:
        speeds = row["images_per_s"]
        cells = [f"{statistics.median(speeds['alone']):,.0f}"]
        for name in names[1:]:
            if name not in speeds:
                cells.append("–")
                continue
            parts = [
                got / alone / SITUATIONS[name]
                for got, alone in zip(speeds[name], speeds["alone"], strict=True)
            ]
            cells.append(f"{statistics.median(parts):.2f} ({min(parts):.2f} to {max(parts):.2f})")
        lines.append(f"| {row['case']} | {' | '.join(cells)} |")
    reasons = sorted({row["missing"] for row in rows if row["missing"]})
    rounds = len(next(iter(rows[0]["images_per_s"].values())))
    text = (
        f"A cell is the part of the fair share that was reached: median of n={rounds}, and range. "
    )
    return "\n".join([*lines, "", *reasons, text + machine])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--case", action="append", choices=CASES, help="these alone")
    parser.add_argument("--situation", action="append", choices=list(SITUATIONS)[1:])
    parser.add_argument("--work", choices=CASES, help=argparse.SUPPRESS)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="everything, for programs")
    shown.add_argument("--markdown", action="store_true", help="the table of docs/benchmarks.md")
    args = parser.parse_args()
    if args.work:
        work(args.work)
        return
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds} is less than 1")
    machine = describe_here()
    situations = ["alone", *(args.situation or list(SITUATIONS)[1:])]
    rows = []
    for case in args.case or CASES:
        print(case, file=sys.stderr, flush=True)
        rows.append(measure(case, args.rounds, args.seconds, situations))
    if args.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))
    else:
        print(markdown(rows, machine_text(machine)))


if __name__ == "__main__":
    main()
