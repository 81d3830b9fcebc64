"""A model as a folder of C: library, example, tests, and what the Arduino IDE wants."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import ModelConfig
from olhar.native.host import SOURCES
from olhar.native.model_c import ModelText, array_text, c_names, write_steps
from olhar.native.quantise import Quantised
from olhar.native.sizes import Sizes, measure_sizes
from olhar.native.steps import PIXELS, Network

TEMPLATES = SOURCES / "board"
ONE = 32768  # what 1 is among the probabilities in 8 bits
TOLERANCE = 1e-5  # of a probability at fp32
_GOLDEN_BYTES = 200_000  # of images in golden.h
_LIBRARY = ("olhar_nn.h", "olhar_nn.c", "olhar_frame.h", "olhar_frame.c")
# Moves down and right, mirrored, weight.
_VIEWS = {
    "mirror": ((0, 0, 0, 1), (0, 0, 1, 1)),
    "shift": ((0, 0, 0, 2), (-1, -1, 0, 1), (1, 1, 0, 1)),
    "mirror_shift": (
        (0, 0, 0, 2), (-1, -1, 0, 1), (1, 1, 0, 1), (0, 0, 1, 2), (-1, -1, 1, 1), (1, 1, 1, 1),
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Board:
    """What is to be written.

    Attributes:
        name: of the library.
        network: the steps.
        quantised: the same in 8 bits; None for fp32.
        config: of the model: class names, threshold, preprocess.
        views: over which an answer is a mean: none, mirror, shift or mirror_shift.
        origin: one line on where it comes from.
    """

    name: str
    network: Network
    quantised: Quantised | None
    config: ModelConfig
    views: str
    origin: str

    @property
    def precision(self) -> str:
        """fp32 or int8."""
        return "fp32" if self.quantised is None else "int8"


def library_name(text: str) -> str:
    """A name that a library of C may have."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    return f"olhar_{name}" if name else "olhar_model"


def write_code(board: Board, folder: Path) -> ModelText:
    """The C of a model into `folder`, whose model.h does not say yet what it costs."""
    folder.mkdir(parents=True, exist_ok=True)
    text = write_steps(board.network, board.quantised)
    for name in _LIBRARY:
        shutil.copyfile(SOURCES / name, folder / name)
    guard = '/* The weights and tables of the network. */\n#include <stdint.h>\n\n#include "olhar_nn.h"\n\n'
    (folder / "model_weights.h").write_text(guard + text.weights, encoding="utf-8")
    values = _values(board, text)
    _fill("model.c", values, folder / "model.c")
    _fill("model.h", values, folder / "model.h")
    return text


def add_sizes(board: Board, text: ModelText, folder: Path) -> Sizes:
    """What the C in `folder` costs, which is then in its model.h too."""
    kept = _kept_bytes(board)
    sizes = measure_sizes(folder, board.precision, text.arena.size, text.constant_bytes, kept)
    cost = (
        "Compiled for a Cortex-M4 with arm-none-eabi-gcc -Os." if sizes.measured else "Estimated."
    )
    values = _values(board, text) | {
        "FLASH": str(sizes.flash), "RAM": str(sizes.ram), "COST": cost,
    }  # fmt: skip
    _fill("model.h", values, folder / "model.h")
    return sizes


def write_around(board: Board, folder: Path) -> None:
    """What stands around the C of a model, but the golden outputs and the README."""
    values = _names(board)
    for name in ("example.c", "test_golden.c", "Makefile", "CMakeLists.txt", "library.properties"):
        _fill(name, values, folder / name)
    places = {"label.ino": "examples/label"}
    places |= dict.fromkeys(("start.c", "count.c", "memory.ld"), "emulator")
    for name, place in places.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        _fill(name, values, folder / place / name)


def golden_count(network: Network) -> int:
    """How many golden images a board's flash has room for, at most 16."""
    height, width, channels = network.shape
    return max(1, min(16, _GOLDEN_BYTES // (height * width * channels)))


def write_golden(
    folder: Path, images: NDArray[np.uint8], probabilities: NDArray[np.generic], precision: str
) -> None:
    """`golden.h`: images (n, H, W, C) uint8 and what is expected of them.

    Args:
        folder: where.
        images: as the network takes them.
        probabilities: (n, K): float32, or uint16 in units of 1/32768.
        precision: fp32 or int8.
    """
    number = "float" if precision == "fp32" else "uint16_t"
    parts = [
        '/* Images, and the probabilities that are expected of them. */\n#include "model.h"\n',
        f"#define GOLDEN_COUNT {len(images)}",
        f"#define GOLDEN_TOLERANCE {f'{TOLERANCE:g}f' if precision == 'fp32' else 0}\n",
        array_text("uint8_t", "golden_images", images.ravel()),
        array_text(number, "golden_probabilities", probabilities.ravel()),
    ]
    (folder / "golden.h").write_text("\n".join(parts), encoding="utf-8")


def _fill(name: str, values: Mapping[str, str], target: Path) -> None:
    """A template with its @NAMES@ replaced."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    filled = re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text)
    target.write_text(filled, encoding="utf-8")


def _names(board: Board) -> dict[str, str]:
    return {
        "NAME": board.name,
        "NETWORK": _plain(str(board.config.network["name"])),
        "CLASSES": str(board.network.classes),
    }


def _plain(text: str) -> str:
    """Text that ends no comment and no line."""
    return re.sub(r"[^\w .,:;()+/-]", "_", text).replace("*/", "_")


def _kept_bytes(board: Board) -> int:
    """Bytes beside the arena: the probabilities, and with views the image and the sums."""
    own = board.network.classes * (4 if board.quantised is None else 2)
    if board.views == "none":
        return own
    height, width, channels = board.network.shape
    return own + height * width * channels + 4 * board.network.classes


def _values(board: Board, text: ModelText) -> dict[str, str]:
    height, width, channels = board.network.shape
    is_float = board.quantised is None
    threshold = board.config.threshold
    names = c_names(board.network)
    return _names(board) | {
        "PRECISION": board.precision,
        "ORIGIN": _plain(board.origin),
        "HEIGHT": str(height),
        "WIDTH": str(width),
        "CHANNELS": str(channels),
        "INPUT_BYTES": str(height * width * channels),
        "RESIZE": {"crop": "0", "squash": "1", "pad": "2"}[board.config.preprocess.resize],
        "COST": "Not measured.",
        "FLASH": "0",
        "RAM": "0",
        "MACS": str(board.network.macs * len(_VIEWS.get(board.views, (0,)))),
        "NUMBER": "float" if is_float else "uint16_t",
        "ONE": "1.0f" if is_float else str(ONE),
        "THRESHOLD": f"{threshold:.6f}f" if is_float else str(round(threshold * ONE)),
        "SURE": "probabilities[model_label()] >= MODEL_THRESHOLD" if threshold > 0 else "1",
        "CLASS_NAMES": ",\n".join(f"    {_string(name)}" for name in board.config.class_names),
        "ARENA_BYTES": str(text.arena.size),
        "VALUE": "float" if is_float else "int8_t",
        "RUN": text.run,
        "LOGITS": names[board.network.logits],
        "MODEL_RUN": _run_text(board, text.arena.offsets[PIXELS]),
    }


def _string(text: str) -> str:
    """A string of C."""
    escaped = "".join(
        f"\\{char}" if char in '\\"?' else char if char.isprintable() else " " for char in text
    )
    return f'"{escaped}"'


def _run_text(board: Board, pixels: int) -> str:
    """`model_input` and `model_run`."""
    if board.quantised is None:
        softmax = (
            f"nn_softmax_f32({{}}, MODEL_CLASSES, {board.network.temperature:.9g}f, probabilities);"
        )
        softmax = softmax.replace("1f,", "1.0f,") if board.network.temperature == 1 else softmax
    else:
        softmax = "nn_softmax_i8({}, MODEL_CLASSES, softmax_table, probabilities);"
    if board.views == "none":
        return _ONE_VIEW.format(pixels=pixels, softmax=softmax.format("run_network()"))
    views = _VIEWS[board.views]
    number = "float" if board.quantised is None else "int32_t"
    total = sum(view[3] for view in views)
    mean = f"mean[i] = sums[i] / {total}.0f;"
    if board.quantised is not None:  # rounded, halves upwards
        mean = f"mean[i] = (int8_t)((2 * sums[i] + 512 * {total} + {total}) / {2 * total} - 256);"
    return _SEVERAL_VIEWS.format(
        count=len(views),
        views=", ".join(f"{{{', '.join(map(str, view))}}}" for view in views),
        pixels=pixels,
        number=number,
        value="float" if board.quantised is None else "int8_t",
        mean=mean,
        softmax=softmax.format("mean"),
    )


_ONE_VIEW = """\
uint8_t *model_input(void)
{{
    return arena.bytes + {pixels};
}}

void model_run(void)
{{
    {softmax}
}}
"""
_SEVERAL_VIEWS = """\
/* The answer is a mean over views of the image: moved down and right, mirrored, weight. */
static const int views[{count}][4] = {{{views}}};
static uint8_t image[MODEL_INPUT_BYTES];

uint8_t *model_input(void)
{{
    return image;
}}

void model_run(void)
{{
    {number} sums[MODEL_CLASSES] = {{0}};
    {value} mean[MODEL_CLASSES];
    int view, i;
    for (view = 0; view < {count}; view++) {{
        const {value} *logits;
        nn_view_u8(image, MODEL_HEIGHT, MODEL_WIDTH, MODEL_CHANNELS, views[view][0], views[view][1],
                   views[view][2], arena.bytes + {pixels});
        logits = run_network();
        for (i = 0; i < MODEL_CLASSES; i++)
            sums[i] += logits[i] * views[view][3];
    }}
    for (i = 0; i < MODEL_CLASSES; i++)
        {mean}
    {softmax}
}}
"""
