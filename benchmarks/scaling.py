"""One epoch of olhar's training on 1,000 to 1,000,000 images: does time grow linearly, is memory bounded?

The images are random, 32×32×3, in a memory-mapped file that olhar's own cache code makes; the
network is lenet5. Each size is trained in a process of its own. Memory is what the process holds
itself (anonymous pages); the pages of the map are the system's, which drops them when it needs room.

    python benchmarks/scaling.py [--sizes 1000,10000,100000,1000000] [--cold] [--json | --markdown]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from here import describe_here, machine_text

SIDE, CHANNELS, CLASSES = 32, 3, 10
SIZES = "1000,10000,100000,1000000"
FILLED_AT_ONCE = 10_000

Row = dict[str, Any]


def parse_sizes(text: str) -> list[int]:
    """Numbers of images, in the order given.

    Raises:
        argparse.ArgumentTypeError: something else was given.
    """
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < CLASSES:
        raise argparse.ArgumentTypeError(
            f"'{text}' given; allowed: whole numbers from {CLASSES} on, such as {SIZES}"
        )
    return sizes


def fill_images(folder: Path, count: int, *, cold: bool) -> None:
    """Random images in `folder`; where `cold`, none of them stays in the system's memory."""
    import numpy as np

    from olhar.datasets.cache import allocate_images

    generator = np.random.default_rng(0)
    images = allocate_images(folder, (count, SIDE, SIDE, CHANNELS))  # (N, H, W, C) uint8
    for start in range(0, count, FILLED_AT_ONCE):
        part = images[start : start + FILLED_AT_ONCE]
        part[:] = generator.integers(0, 256, part.shape, np.uint8)
    images.flush()
    del images, part
    if cold:
        with (folder / "images.npy").open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def memory_mib() -> dict[str, float]:
    """What this process holds now, MiB: its own pages, and those of mapped files.

    Where the system does not tell them apart, `anonymous` is the largest resident size so far, with
    the map's pages in it, and `mapped` is 0.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "RssAnon" in lines:
            names = {"anonymous": "RssAnon", "mapped": "RssFile"}
            return {name: int(lines[key].split()[0]) / 1024 for name, key in names.items()}
    try:
        import resource
    except ImportError:  # Windows
        return {"anonymous": float("nan"), "mapped": 0.0}
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"anonymous": largest / (2**20 if sys.platform == "darwin" else 1024), "mapped": 0.0}


def train_once(folder: Path) -> Row:
    """An epoch of lenet5 on the images in `folder`: seconds, and the highest memory seen."""
    import numpy as np
    import torch

    from olhar.networks.build import Normalise, build_network
    from olhar.networks.specs import NetworkSpec
    from olhar.training.fit import Training
    from olhar.training.machine import choose_machine
    from olhar.training.recipe import Recipe

    # Copy-on-write, so that torch takes the array for writable; nobody writes to it.
    images = torch.from_numpy(np.load(folder / "images.npy", mmap_mode="c"))
    count = len(images)
    labels = torch.randint(0, CLASSES, (count,), generator=torch.Generator().manual_seed(0))
    spec = NetworkSpec("lenet5", {}, SIDE, CHANNELS, CLASSES)
    recipe = Recipe(epochs=1, batch_size=128, flip=True, balance="none")
    normalise = Normalise((0.5,) * CHANNELS, (0.25,) * CHANNELS)
    torch.manual_seed(0)
    network, machine = build_network(spec), choose_machine(spec)
    training = Training(network, images, labels, torch.arange(count), recipe, machine, normalise)
    training.step(torch.arange(training.batch), torch.Generator().manual_seed(0))  # warm
    seen = [memory_mib()]
    begun = time.perf_counter()
    training.run_epoch(1, lambda *_: seen.append(memory_mib()))
    seconds = time.perf_counter() - begun
    seen.append(memory_mib())
    return {
        "images": count,
        "seconds": seconds,
        "images_per_s": training.steps * training.batch / seconds,
        "memory_mib": {name: max(row[name] for row in seen) for name in seen[0]},
        "map_mib": images.numel() / 2**20,
    }


def measure(count: int, *, cold: bool, folder: Path | None) -> Row:
    """Fill, then train in a fresh process."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        fill_images(Path(place), count, cold=cold)
        command = [sys.executable, str(Path(__file__).resolve()), "--train", place]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout)
    return row


def markdown(rows: Sequence[Row], machine: str) -> str:
    """The block of docs/benchmarks.md: a row a size, then where it was measured."""
    lines = [
        "| images | seconds an epoch | images/s | memory of its own, MiB | the map, MiB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['images']:,} | {row['seconds']:.2f} | {row['images_per_s']:,.0f} "
        f"| {row['memory_mib']['anonymous']:,.0f} | {row['map_mib']:,.0f} |"
        for row in rows
    ]
    return "\n".join([*lines, "", machine])


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=parse_sizes, default=parse_sizes(SIZES), help=f"default {SIZES}"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the images are written; default the temporary folder"
    )
    parser.add_argument(
        "--cold", action="store_true", help="the images begin on the disk, not in memory (Linux)"
    )
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="everything, for programs")
    shown.add_argument("--markdown", action="store_true", help="the table of docs/benchmarks.md")
    return parser


def main() -> None:
    parser = build_parser()
    args = parser.parse_args()
    if args.train:
        print(json.dumps(train_once(args.train)))
        return
    if args.cold and not hasattr(os, "posix_fadvise"):
        parser.error("--cold needs Linux")
    if args.folder and not args.folder.is_dir():
        parser.error(f"--folder {args.folder} is no folder")
    where = "not in the system's memory" if args.cold else "in the system's memory"
    machine = f"{machine_text(describe_here())} The file was {where}."
    rows = []
    for count in args.sizes:
        print(f"{count:,} images", file=sys.stderr, flush=True)
        rows.append(measure(count, cold=args.cold, folder=args.folder))
    if args.json:
        print(json.dumps({"machine": machine, "cold": args.cold, "rows": rows}, indent=2))
    else:
        print(markdown(rows, machine))


if __name__ == "__main__":
    main()
