"""An epoch of olhar's training on 1,000 to 1,000,000 decoded images, and on more than fit into memory.

The images are random, 32×32×3, in a memory-mapped file that olhar's own cache code makes; the
network is lenet5. Each size is trained in a process of its own. Memory is what the process holds
itself (anonymous pages); the pages of the map are the system's, which drops them when it needs room.

With bounded memory the process is in a control group that has a quarter of the map, which needs root
on Linux.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

SIDE, CHANNELS, CLASSES = 32, 3, 10
MEASURED = 100_000  # images, where memory is bounded, once all have been read
MOST_S = 300.0
FILLED_AT_ONCE = 10_000

Row = dict[str, Any]


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
        forget(folder)


def forget(folder: Path) -> None:
    """Let the system keep none of the images in its memory (Linux)."""
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


def read_bytes() -> float:
    """What this process has made the disk read so far, in bytes (Linux)."""
    counts = Path("/proc/self/io")
    lines = counts.read_text().splitlines() if counts.exists() else []
    found = [float(line.split()[1]) for line in lines if line.startswith("read_bytes:")]
    return found[0] if found else float("nan")


class EnoughError(Exception):
    """So many images were trained on as were to be."""


def train_once(folder: Path, most: int = 0, shuffle_mib: int | None = None) -> Row:
    """An epoch of lenet5 on the images in `folder`: its seconds, and the highest memory seen.

    Args:
        folder: of `fill_images`.
        most: images; where it is given, the whole file is read before, as by the epoch before.
        shuffle_mib: see the recipe; None leaves it to olhar.
    """
    import numpy as np
    import torch

    from olhar.datasets import Dataset
    from olhar.networks.build import Normalise, build_network
    from olhar.networks.specs import NetworkSpec
    from olhar.pipeline.suited import windowed_recipe
    from olhar.progress import Progress
    from olhar.training.fit import Training
    from olhar.training.machine import choose_machine
    from olhar.training.recipe import Recipe

    # Copy-on-write, so that torch takes the array for writable; nobody writes to it.
    pool = np.load(folder / "images.npy", mmap_mode="c")
    images, count = torch.from_numpy(pool), len(pool)
    labels = torch.randint(0, CLASSES, (count,), generator=torch.Generator().manual_seed(0))
    spec = NetworkSpec("lenet5", {}, SIDE, CHANNELS, CLASSES)
    recipe = Recipe(epochs=1, batch_size=128, flip=True, balance="none", shuffle_mib=shuffle_mib)
    dataset = Dataset("random", pool, labels.numpy(), tuple(map(str, range(CLASSES))), "")
    recipe = windowed_recipe(recipe, dataset, Progress())
    normalise = Normalise((0.5,) * CHANNELS, (0.25,) * CHANNELS)
    torch.manual_seed(0)
    network, machine = build_network(spec), choose_machine(spec)
    training = Training(network, images, labels, torch.arange(count), recipe, machine, normalise)
    training.step(torch.arange(training.batch), torch.Generator().manual_seed(0))  # warm
    seen, steps = [memory_mib()], 0

    def on_step(done: int, *_: float) -> None:
        nonlocal steps
        seen.append(memory_mib())
        steps = done
        over = time.perf_counter() - begun > MOST_S
        if most and (over or steps * training.batch >= most):
            raise EnoughError

    if most:
        for start in range(0, count, FILLED_AT_ONCE):
            pool[start : start + FILLED_AT_ONCE].max()
    begun, read_before = time.perf_counter(), read_bytes()
    try:
        with training.windows or nullcontext():
            training.run_epoch(1, on_step)
        steps = training.steps
    except EnoughError:
        pass
    seconds = time.perf_counter() - begun
    seen.append(memory_mib())
    return {
        "images": count,
        "seconds": seconds,
        "images_per_s": steps * training.batch / seconds,
        "read_kib": (read_bytes() - read_before) / 1024 / (steps * training.batch),
        "memory_mib": {name: max(row[name] for row in seen) for name in seen[0]},
        "map_mib": images.numel() / 2**20,
        "shuffle_mib": recipe.shuffle_mib or 0,
    }


def measure(count: int, *, cold: bool, folder: Path | None) -> Row:
    """Fill, then train in a fresh process."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        fill_images(Path(place), count, cold=cold)
        return _trained(Path(place), 0, None)


def measure_bounded(count: int, folder: Path | None) -> list[Row]:
    """An epoch's begin with enough memory, and with a quarter of the map: in windows, and all shuffled."""
    rows = []
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        fill_images(place, count, cold=True)
        limit = count * SIDE * SIDE * CHANNELS // 4
        for bound, shuffle_mib in ((None, None), (limit, None), (limit, 0)):
            forget(place)  # what another process has read is not charged to the group
            with _group(bound) as group:
                row = _trained(place, MEASURED, shuffle_mib, group)
            rows.append({**row, "limit_mib": bound and bound / 2**20})
    return rows


@contextmanager
def _group(limit: int | None) -> Iterator[Path | None]:
    """A control group with so many bytes of memory, of whichever version can be made here."""
    if limit is None:
        yield None
        return
    for root, file in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        group = Path("/sys/fs/cgroup", root, f"olhar-{uuid.uuid4().hex}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / file).write_text(str(limit))
            yield group
            return
        except OSError:
            continue
        finally:
            group.rmdir()
    raise SystemExit("no control group with a bound of memory can be made here: that needs root")


def _trained(folder: Path, most: int, shuffle_mib: int | None, group: Path | None = None) -> Row:
    """What `train_once` gives in a process of its own, which enters a control group first."""
    words = [sys.executable, str(Path(__file__).resolve()), str(folder), str(most)]
    command = shlex.join(words + ([] if shuffle_mib is None else [str(shuffle_mib)]))
    enter = f"echo $$ > {group}/cgroup.procs && " if group else ""
    done = subprocess.run(
        ["sh", "-c", f"{enter}exec {command}"], stdout=subprocess.PIPE, text=True, check=True
    )
    row: Row = json.loads(done.stdout)
    return row


def markdown(rows: Sequence[Row]) -> list[str]:
    """A row a size."""
    return [
        "| images | seconds an epoch | images/s | memory of its own, MiB | the map, MiB |",
        "|---|---|---|---|---|",
        *(
            f"| {row['images']:,} | {row['seconds']:.2f} | {row['images_per_s']:,.0f} "
            f"| {row['memory_mib']['anonymous']:,.0f} | {row['map_mib']:,.0f} |"
            for row in rows
        ),
    ]


def bounded_markdown(rows: Sequence[Row]) -> list[str]:
    """A row for each bound and order, with the share of the speed of the first."""
    return [
        "| the map, MiB | allowed, MiB | together, MiB | images/s | of the first | KiB read an image |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['map_mib']:,.0f} "
            f"| {'all' if row['limit_mib'] is None else format(row['limit_mib'], ',.0f')} "
            f"| {row['shuffle_mib'] or 'all'} | {row['images_per_s']:,.0f} "
            f"| {row['images_per_s'] / rows[0]['images_per_s']:.2f} | {row['read_kib']:,.1f} |"
            for row in rows
        ),
    ]


if __name__ == "__main__":
    place, most, *shuffle = sys.argv[1:]
    print(json.dumps(train_once(Path(place), int(most), *map(int, shuffle))))
