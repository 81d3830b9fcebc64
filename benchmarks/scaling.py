"""From 1,000 to 1,000,000 images: do time and disk grow linearly, is memory bounded?

photos: folders of JPEGs, listed, decoded, trained on, begun again (scaling_photos). epoch: an epoch on
decoded images (scaling_loop). memory: the same on the largest of them, with a quarter of the memory
that they take, in a control group, which needs root on Linux.

    python benchmarks/scaling.py [--count 1000,10000,100000,1000000] [--part photos,epoch,memory]
        [--cold] [--json | --markdown]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import scaling_loop
import scaling_photos
from here import describe_here, machine_text

COUNTS, PARTS, FEWEST = "1000,10000,100000,1000000", ("photos", "epoch", "memory"), 100


def parse_counts(text: str) -> list[int]:
    """Numbers of images, in the order given.

    Raises:
        argparse.ArgumentTypeError: something else was given.
    """
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < FEWEST:
        raise argparse.ArgumentTypeError(
            f"'{text}' given; allowed: whole numbers from {FEWEST} on, such as {COUNTS}"
        )
    return counts


def parse_parts(text: str) -> list[str]:
    """Names of parts.

    Raises:
        argparse.ArgumentTypeError: something else was given.
    """
    parts = text.split(",")
    if not set(parts) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"'{text}' given; allowed: some of {', '.join(PARTS)}")
    return parts


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--count", type=parse_counts, default=parse_counts(COUNTS), help=f"default {COUNTS}"
    )
    parser.add_argument(
        "--part", type=parse_parts, default=list(PARTS), help=f"default {','.join(PARTS)}"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the images are written; default the temporary folder"
    )
    parser.add_argument(
        "--cold", action="store_true", help="epoch: images begin on the disk, not in memory (Linux)"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="everything, for programs")
    shown.add_argument("--markdown", action="store_true", help="the tables of docs/benchmarks.md")
    return parser


def markdown(found: dict[str, Any]) -> str:
    """The blocks of docs/benchmarks.md: a table a part, then where it was measured."""
    tables = {
        "photos": scaling_photos.markdown,
        "epoch": scaling_loop.markdown,
        "memory": scaling_loop.bounded_markdown,
    }
    lines = []
    for part, table in tables.items():
        if part in found:
            lines += [*table(found[part]), ""]
    return "\n".join([*lines, found["machine"]])


def main() -> None:
    parser = build_parser()
    args = parser.parse_args()
    if args.cold and not hasattr(os, "posix_fadvise"):
        parser.error("--cold needs Linux")
    if args.folder and not args.folder.is_dir():
        parser.error(f"--folder {args.folder} is no folder")
    where = "not in the system's memory" if args.cold else "in the system's memory"
    machine = f"{machine_text(describe_here())} Decoded images were {where}."
    found: dict[str, Any] = {"machine": machine, "cold": args.cold}
    for part in args.part:
        found[part] = []
        for count in args.count if part != "memory" else args.count[-1:]:
            print(f"{part}: {count:,} images", file=sys.stderr, flush=True)
            if part == "photos":
                found[part].append(scaling_photos.measure(count, args.folder))
            elif part == "epoch":
                found[part].append(scaling_loop.measure(count, cold=args.cold, folder=args.folder))
            else:
                found[part] = scaling_loop.measure_bounded(count, args.folder)
    print(json.dumps(found, indent=2) if args.json else markdown(found))


if __name__ == "__main__":
    main()
