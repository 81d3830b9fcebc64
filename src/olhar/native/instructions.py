"""The README of a model's folder of C."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from olhar.i18n import _, number
from olhar.native.board import Board
from olhar.native.boards import BOARDS

_FENCE = "```"


def instructions(made: Mapping[str, Any], board: Board) -> str:
    """What the folder is, what it costs, and what to do with it, in the language in force.

    Args:
        made: the export, as `--json` prints it.
        board: what was written.
    """
    height, width, channels = board.network.shape
    lines = [
        f"# {board.name}",
        "",
        _(
            "{network} in C99, {precision}: an image of {height}x{width} pixels with {channels} "
            "channel(s) goes in, {classes} probabilities come out. It asks for no memory and needs no "
            "library but `stdint.h` and `string.h`.",
            network=board.config.network["name"],
            precision=board.precision,
            height=height,
            width=width,
            channels=channels,
            classes=board.network.classes,
        ),
        "",
        *_costs(made),
        "",
        _("## Try it"),
        "",
        f"{_FENCE}sh",
        "make test                     # " + str(_("golden outputs, on this machine")),
        "make && ./example < photo.ppm # " + str(_("a photo as PGM or PPM")),
        "make emulate CPU=cortex-m4    # "
        + str(_("the same test on an emulated processor (QEMU)")),
        _FENCE,
        "",
        _("## In a program"),
        "",
        f"{_FENCE}c",
        '#include "model.h"',
        "",
        "memcpy(model_input(), pixels, MODEL_INPUT_BYTES);",
        "model_run();",
        "puts(model_classes[model_label()]);",
        _FENCE,
        "",
        _(
            "`olhar_frame` makes the network's input from a camera's frame of any size (8-bit grey, "
            "RGB888, RGBA8888, RGB565), as the model was trained. For the Arduino IDE, pack this folder "
            "as a ZIP file and add it with Sketch, Include Library, Add .ZIP Library; the sketch is "
            "examples/label."
        ),
        "",
    ]
    return "\n".join(map(str, lines))


def _costs(made: Mapping[str, Any]) -> list[str]:
    rows: list[tuple[object, object]] = [
        (_("flash"), _("{n} bytes", n=number(made["flash_bytes"]))),
        (_("RAM, with the stack"), _("{n} bytes", n=number(made["ram_bytes"]))),
        (_("multiply-adds"), number(made["macs"])),
        (_("conversion of frames, flash"), _("{n} bytes", n=number(made["frame_flash_bytes"]))),
    ]
    if made.get("accuracy") is not None:
        rows += [
            (
                _("accuracy of this C on {n} test images", n=number(made["test_images"])),
                _("{share:.2%}", share=made["accuracy"]),
            ),
            (_("accuracy of the model"), _("{share:.2%}", share=made["accuracy_of_run"])),
            (_("validation images that its scales come from"), number(made["calibration_images"])),
        ]
    fitting = [BOARDS[name].name for name, does in made["boards"].items() if does]
    rows.append((_("fits on"), ", ".join(fitting) or "–"))
    table = [f"| {name} | {value} |" for name, value in rows]
    return ["| | |", "|---|---|", *table]
