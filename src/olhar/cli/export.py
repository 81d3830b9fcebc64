"""`olhar export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.cli.options import Subparsers, add_json, add_model, print_json
from olhar.cli.progress import build_progress
from olhar.i18n import _, localise, number
from olhar.settings import Number, Whole

if TYPE_CHECKING:
    from olhar.pipeline.exported import Exported
    from olhar.pipeline.exporting_c import ExportedC
    from olhar.pipeline.exporting_web import ExportedWeb


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(
        _(
            "write a model for other programs, a smaller one of 8-bit numbers, C for a board, or a page "
            "that shows it anywhere"
        )
    )
    parser = commands.add_parser("export", help=text, description=text)
    add_model(parser)
    parser.add_argument(
        "--format",
        default="onnx",
        metavar="FORMAT",
        help=str(
            _(
                "onnx (the whole model in one file; default), safetensors (the weights), c (a folder of "
                "C99 for a board), or web (one HTML file that needs no server and no network)"
            )
        ),
    )
    parser.add_argument(
        "--precision",
        metavar="PRECISION",
        help=str(
            _(
                "fp32 (default) or int8: it computes in 8 bits; onnx becomes a model/ folder then; for "
                "web the weights: fp16 (default), fp32 or int8"
            )
        ),
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help=str(_("the file or folder to write; it must not exist")),
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help=str(
            _("the data to measure it on, where that is done; default what it was trained on")
        ),
    )
    parser.add_argument(
        "--max-drop",
        metavar="SHARE",
        help=str(
            _("for int8: refuse it if its test accuracy falls by more than this; default 0.01")
        ),
    )
    parser.add_argument(
        "--views",
        metavar="VIEWS",
        help=str(
            _(
                "for c and web: own, an answer is a mean over the model's views, each a run (web's "
                "default), or none (c's)"
            )
        ),
    )
    board = parser.add_argument_group(str(_("C for a board")))
    board.add_argument(
        "--board",
        metavar="BOARD",
        help=str(
            _("refuse a model that does not fit: nano33ble, pico, pico2, esp32, esp32s3 or stm32f4")
        ),
    )
    for flag, kind in (("--max-flash", "flash"), ("--max-ram", "RAM")):
        board.add_argument(
            flag,
            metavar="BYTES",
            help=str(_("refuse a model that needs more {kind} than this", kind=kind)),
        )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Export, and say what was made."""
    from olhar.pipeline.exported import DEFAULT_MAX_DROP
    from olhar.pipeline.exporting import export_model

    given = DEFAULT_MAX_DROP if args.max_drop is None else args.max_drop
    max_drop = Number(0, 1).check(given, "--max-drop")
    bytes_allowed = Whole(1, 2**40)
    flash, ram = (
        None if value is None else bytes_allowed.check(value, flag)
        for flag, value in (("--max-flash", args.max_flash), ("--max-ram", args.max_ram))
    )
    with build_progress() as progress:
        exported = export_model(
            args.model,
            args.out,
            format=args.format,
            precision=args.precision,
            data=args.data,
            max_drop=max_drop,
            views=args.views,
            board=args.board,
            max_flash=flash,
            max_ram=ram,
            progress=progress,
        )
    if args.json:
        print_json(exported.to_dict())
    else:
        _show(exported)
    return 0


def _show(exported: Exported) -> None:
    from olhar.pipeline.exporting_c import ExportedC
    from olhar.pipeline.exporting_web import ExportedWeb

    if isinstance(exported, ExportedC):
        _show_c(exported)
        return
    if isinstance(exported, ExportedWeb):
        _show_web(exported)
        return
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


def _show_c(exported: ExportedC) -> None:
    from olhar.native.boards import BOARDS

    print(_("Written: {path}/, C99 in {precision}. Test it with: make -C {path} test",
            path=exported.path, precision=exported.precision))  # fmt: skip
    print(
        _(
            "On a Cortex-M4: {flash} bytes of flash, {ram} bytes of RAM ({arena} of them the arena, "
            "{stack} the stack), {macs} multiply-adds; the conversion of frames takes {frame} bytes "
            "of flash more",
            flash=number(exported.flash_bytes),
            ram=number(exported.ram_bytes),
            arena=number(exported.arena_bytes),
            stack=number(exported.stack_bytes),
            macs=number(exported.macs),
            frame=number(exported.frame_flash_bytes),
        )
    )
    if exported.accuracy is not None and exported.accuracy_of_run is not None:
        print(
            _(
                "This C, compiled here, is right on {after:.2%} of {n} test images, the model on "
                "{before:.2%}; its scales come from {images} validation images",
                after=exported.accuracy,
                before=exported.accuracy_of_run,
                n=number(exported.test_images or 0),
                images=exported.calibration_images,
            )
        )
    elif exported.largest_difference is not None:
        print(_("Compiled here, it gives the probabilities of model.onnx within {worst}",
                worst=localise(f"{exported.largest_difference:.1e}")))  # fmt: skip
    fitting = [BOARDS[name].name for name, does in exported.boards.items() if does]
    others = [BOARDS[name].name for name, does in exported.boards.items() if not does]
    if fitting:
        print(_("It fits on: {boards}", boards=", ".join(fitting)))
    if others:
        print(_("It does not fit on: {boards}", boards=", ".join(others)))
    for note in exported.notes:
        print(_("Note: {note}", note=note))


def _show_web(exported: ExportedWeb) -> None:
    print(
        _(
            "Written: {path}, {size} KiB, weights in {precision}. It opens by double click, and needs no "
            "network",
            path=exported.path,
            size=number(_kib(exported.size_bytes)),
            precision=exported.precision,
        )
    )
    if exported.precision == "int8" and exported.accuracy is not None:
        print(
            _(
                "The page, run here, is right on {after:.2%} of {n} test images, the model on {before:.2%}",
                after=exported.accuracy,
                before=exported.accuracy_of_run or 0.0,
                n=number(exported.test_images or 0),
            )
        )
    elif exported.largest_difference is None:
        print(_("Its answers were not checked here: pip install wasmtime"))
    else:
        print(_("Its engine, run here, gives the golden probabilities within {worst}",
                worst=localise(f"{exported.largest_difference:.1e}")))  # fmt: skip
    if exported.precision != "int8" and exported.accuracy is not None:
        print(
            _(
                "With one look at each photo it is right on {after:.2%} of {n} test images, the model with "
                "its own views on {before:.2%}",
                after=exported.accuracy,
                before=exported.accuracy_of_run or 0.0,
                n=number(exported.test_images or 0),
            )
        )
    if exported.agreement is not None:
        print(
            _(
                "It keeps {n} training images to warn of photos of none of its classes; on {share:.1%} of "
                "the model's own they say what all of them say",
                n=exported.neighbours,
                share=exported.agreement,
            )
        )


def _kib(size_bytes: int) -> int:
    return round(size_bytes / 1024)
