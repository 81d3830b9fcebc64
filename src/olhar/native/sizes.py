"""What a model's C costs on a board: flash and RAM, compiled for a Cortex-M4 where that can be."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olhar.native.host import run_compiler

COMPILER = "arm-none-eabi-gcc"
# Where it is missing: what the operators and calls of a network were measured to need, in bytes.
_CODE_BYTES = {"fp32": 4096, "int8": 3072}
_STACK_BYTES = {"fp32": 512, "int8": 384}
_FRAME_BYTES = 8192


@dataclass(frozen=True)
class Sizes:
    """Bytes on a Cortex-M4.

    Attributes:
        flash: of the model: weights, graph, operators, softmax.
        ram: the arena, what is kept between calls, and the stack.
        arena: of the values alone, part of `ram`.
        stack: part of `ram`.
        frame_flash: of the conversion of frames, which is not part of `flash`.
        measured: compiled and counted here; else estimated.
    """

    flash: int
    ram: int
    arena: int
    stack: int
    frame_flash: int
    measured: bool


def measure_sizes(
    folder: Path, precision: str, arena: int, constant_bytes: int, kept: int
) -> Sizes:
    """The sizes of the C in a folder.

    Args:
        folder: with model.c, olhar_nn.c and olhar_frame.c.
        precision: fp32 or int8.
        arena: bytes of the arena.
        constant_bytes: of weights and tables.
        kept: bytes that are kept beside the arena.

    Raises:
        ExportError: the compiler refuses the C.
    """
    if shutil.which(COMPILER) is None:
        stack = _STACK_BYTES[precision]
        flash = constant_bytes + _CODE_BYTES[precision]
        return Sizes(flash, arena + kept + stack, arena, stack, _FRAME_BYTES, measured=False)
    with tempfile.TemporaryDirectory(prefix="olhar-") as work:
        own = [folder / name for name in ("model.c", "olhar_nn.c")]
        entries = (
            "model_run",
            "model_input",
            "model_probabilities",
            "model_label",
            "model_is_sure",
        )
        flash, ram = _link(own, entries, Path(work), precision)
        frame_flash, _none = _link(
            [folder / "olhar_frame.c"], ("olhar_frame",), Path(work), precision
        )
        stack = _stack(Path(work))
    return Sizes(flash, ram + stack, arena, stack, frame_flash, measured=True)


def _link(
    sources: Sequence[Path], entries: Sequence[str], work: Path, precision: str
) -> tuple[int, int]:
    """C files and what is called of them → bytes of flash, and of RAM without the stack."""
    floats = ["-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"] if precision == "fp32" else []
    machine = ["-mcpu=cortex-m4", "-mthumb", *floats]
    objects = []
    for source in sources:
        made = work / f"{source.stem}.o"
        flags = ["-std=c99", "-Os", "-ffunction-sections", "-fdata-sections", "-fstack-usage"]
        run_compiler([COMPILER, *machine, *flags, "-c", str(source), "-o", str(made)])
        objects.append(str(made))
    linked = work / "linked.elf"
    wanted = [f"-Wl,-u,{name}" for name in entries]
    # Startup and system calls belong to the program that the model becomes a part of.
    flags = ["-nostartfiles", "--specs=nosys.specs", "-Wl,--gc-sections", f"-Wl,-e,{entries[0]}"]
    run_compiler([COMPILER, *machine, *flags, *wanted, *objects, "-o", str(linked)])
    text, data, bss = map(
        int, run_compiler(["arm-none-eabi-size", str(linked)]).splitlines()[1].split()[:3]
    )
    return text + data, data + bss


def _stack(work: Path) -> int:
    """The deepest chain of calls: model_run, what it calls, an operator, and a function of its own."""
    used: dict[str, int] = {}
    for file in (work / "model.su", work / "olhar_nn.su"):
        for line in file.read_text(encoding="utf-8").splitlines():
            found = re.match(r".*:(\w+)\t(\d+)\t", line)
            if found:
                used[found[1]] = int(found[2])
    operators = [size for name, size in used.items() if name.startswith("nn_")]
    inner = [size for name, size in used.items() if not name.startswith(("nn_", "model_", "run_"))]
    inner += [used.get(name, 0) for name in ("nn_requantise", "nn_exp_f32")]
    outer = used.get("model_run", 0) + used.get("run_network", 0)
    return outer + max(operators) + 2 * max(inner)
