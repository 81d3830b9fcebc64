"""olhar's training loop beside a bare forward-backward loop on the same network and batch.

The bare loop reuses one batch that lies ready in memory: no gathering, no augmentation, no
optimiser. It is what the arithmetic alone costs in torch. Rounds of both alternate, so that a
machine whose speed wanders slows both alike; the ratio is of each round's pair.

    python benchmarks/training_loop.py [--rounds 7] [--seconds 2] [--json | --markdown]
"""

# ruff: noqa: I001 - olhar before torch: it decides how threads wait for each other before torch is loaded.
from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import olhar  # noqa: F401
import torch
import torch.nn.functional as F
from here import describe_here, kept_for, machine_text
from olhar.networks.build import Normalise, build_network
from olhar.networks.specs import NetworkSpec, resolve_network
from olhar.training.fit import Training
from olhar.training.machine import choose_machine

CASES = (
    ("lenet5", "mnist", 1, 28),
    ("gmnet", "mnist", 1, 28),
    ("cnn-32-64-64", "cifar10", 3, 32),
    ("3cnn+512_50dropout", "cifar10", 3, 32),
    ("olhar-small", "cifar10", 3, 32),
)

Row = dict[str, Any]


def images_per_s(step: Callable[[], None], batch: int, seconds: float) -> float:
    step()
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        step()
        steps += 1
    return batch * steps / (time.perf_counter() - begun)


def measure(case: tuple[str, str, int, int], rounds: int, seconds: float) -> Row:
    """Pairs of (olhar, bare) in images a second."""
    name, data, channels, size = case
    canonical, settings, _typed = resolve_network(name)
    spec = NetworkSpec(canonical, settings, size, channels, 10)
    recipe = kept_for(canonical, data)
    machine = choose_machine(spec)
    torch.set_num_threads(machine.threads)
    images = torch.randint(0, 256, (50_000, size, size, channels), dtype=torch.uint8)
    labels = torch.randint(0, 10, (50_000,))
    indices = torch.arange(50_000)
    normalise = Normalise((0.5,) * channels, (0.25,) * channels)
    network = build_network(spec)
    training = Training(network, images, labels, indices, recipe, machine, normalise)
    network.train()
    generator = torch.Generator().manual_seed(0)
    batch = training.batch
    ready = normalise(images[:batch].permute(0, 3, 1, 2))
    if not machine.channels_last:
        ready = ready.contiguous()

    def bare() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=machine.precision == "bf16"):
            logits = network(ready)
        torch.autograd.backward(F.cross_entropy(logits.float(), labels[:batch]))

    def ours() -> None:
        with training.shards.alone():
            training.step(torch.randint(0, 50_000, (batch,)), generator)

    pairs = [
        (images_per_s(ours, batch, seconds), images_per_s(bare, batch, seconds))
        for _ in range(rounds)
    ]
    return {"network": name, "data": data, "batch": batch, "pairs": pairs}


def markdown(rows: Sequence[Row], machine: str) -> str:
    """The block of docs/benchmarks.md: a row a network, then where it was measured."""
    lines = [
        "| network | images of | batch | olhar, images/s | bare, images/s | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, bare = (statistics.median(side) for side in zip(*row["pairs"], strict=True))
        ratios = [mine / limit for mine, limit in row["pairs"]]
        spread = f" ± {statistics.stdev(ratios):.2f}" if len(ratios) > 1 else ""
        lines.append(
            f"| `{row['network']}` | {row['data']} | {row['batch']} | {ours:,.0f} | {bare:,.0f} "
            f"| {statistics.mean(ratios):.2f}{spread} (n={len(ratios)}) |"
        )
    return "\n".join([*lines, "", machine])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each loop in each round")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="everything, for programs")
    shown.add_argument("--markdown", action="store_true", help="the table of docs/benchmarks.md")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds} is less than 1")
    machine = describe_here()
    rows = []
    for case in CASES:
        print(case[0], file=sys.stderr, flush=True)
        rows.append(measure(case, args.rounds, args.seconds))
    if args.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))
    else:
        print(markdown(rows, machine_text(machine)))


if __name__ == "__main__":
    main()
