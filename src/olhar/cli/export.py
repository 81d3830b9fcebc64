"""`olhar export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.cli.options import Subparsers, add_json, add_model, print_json
from olhar.cli.progress import build_progress
from olhar.i18n import _, localise
from olhar.settings import Number

if TYPE_CHECKING:
    from olhar.pipeline.exporting import Exported


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("write a model for other programs, or a smaller one of 8-bit numbers"))
    parser = commands.add_parser("export", help=text, description=text)
    add_model(parser)
    parser.add_argument(
        "--format",
        default="onnx",
        metavar="FORMAT",
        help=str(
            _(
                "onnx (the whole model in one file; default), safetensors (the weights), or int8 "
                "(a model/ folder that computes in 8 bits)"
            )
        ),
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help=str(_("the file to write, or for int8 the folder; it must not exist")),
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help=str(_("for int8: the data to measure it on; default what it was trained on")),
    )
    parser.add_argument(
        "--max-drop",
        metavar="SHARE",
        help=str(
            _("for int8: refuse it if its test accuracy falls by more than this; default 0.01")
        ),
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Export, and say what was made."""
    from olhar.pipeline.exporting import DEFAULT_MAX_DROP, export_model

    given = DEFAULT_MAX_DROP if args.max_drop is None else args.max_drop
    max_drop = Number(0, 1).check(given, "--max-drop")
    with build_progress() as progress:
        exported = export_model(
            args.model,
            args.out,
            format=args.format,
            data=args.data,
            max_drop=max_drop,
            progress=progress,
        )
    if args.json:
        print_json(exported.to_dict())
    else:
        _show(exported)
    return 0


def _show(exported: Exported) -> None:
    before, after = exported.before, exported.after
    if before is None or after is None:
        print(
            _(
                "Written: {path}, {size} KiB. Its golden probabilities come out within {worst}.",
                path=exported.path,
                size=_kib(exported.size_bytes),
                worst=localise(f"{exported.largest_difference:.1e}"),
            )
        )
        return
    print(_("Written: {path}. Measured on {n} test images, in one run:", path=exported.path,
            n=exported.test_images))  # fmt: skip
    for name, one in (("fp32", before), ("int8", after)):
        print(
            _(
                "{name}: accuracy {accuracy:.2%}, model.onnx {size} KiB, {speed:.0f} images/s",
                name=name,
                accuracy=one.accuracy,
                size=_kib(one.size_bytes),
                speed=one.images_per_s,
            )
        )
    if after.images_per_s <= before.images_per_s:
        print(_("On this machine int8 is no faster for this network; it is only smaller."))


def _kib(size_bytes: int) -> int:
    return round(size_bytes / 1024)
