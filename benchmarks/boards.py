"""olhar's C for a board beside other ways there: one lenet5 of MNIST, its flash, RAM, time and accuracy.

The others are emx-onnx-cgen, which makes C of model.onnx, and TensorFlow Lite for Microcontrollers, which
runs on this machine from its wheel. They have an environment of their own under .bench/ (by the pins of
benchmarks/peers/boards.txt); what is not installed here is left out, with the reason under the table.
Flash and RAM are of a Cortex-M4 with -Os, of what was linked; instructions are of one run under QEMU. A
time on this machine is processor time for one image, one thread, -O3 for each C: the median over parts of
the test images, one way after the other.

    OLHAR_DATA=FOLDER python benchmarks/boards.py [RUN] [--json | --markdown]
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import olhar
from here import describe_here
from olhar.datasets import spread
from olhar.native.host import SOURCES, load_library
from olhar.native.stripping import without_views
from olhar.pipeline.exported import CALIBRATION_IMAGES, Request, open_data
from olhar.progress import Progress
from peers import BENCH, SCRIPTS, PeerError, environment, run_command

Record = dict[str, Any]
COUNT = 500  # images that one time is measured over
_MACHINE = [
    "-std=c99",
    "-Os",
    "-mcpu=cortex-m4",
    "-mthumb",
    "-ffunction-sections",
    "-fdata-sections",
]
_FLOATS = ["-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
_LINK = ["-Wl,--gc-sections", "--specs=rdimon.specs", "-nostartfiles"]
# How many instructions a function takes on the emulated board, as native/c/board/count.c does it.
_COUNT_C = """#include <stdio.h>
#include <stdint.h>
void model(const uint8_t *images, float *probabilities, float *features);
static uint8_t images[784];
static float probabilities[10], features[84];
int main(void)
{
    volatile uint32_t *counter = (volatile uint32_t *)0x40028018;
    uint32_t before, after;
    counter[1] = 0;
    before = *counter;
    model(images, probabilities, features);
    after = *counter;
    printf("instructions: %lu thousand\\n", (unsigned long)(after - before) / 25);
    return 0;
}
"""
_BATCH_C = """#include <stdint.h>
void model(const uint8_t *images, float *probabilities, float *features);
void batch(const uint8_t *images, int count, float *out);
void batch(const uint8_t *images, int count, float *out)
{
    static float features[84];
    for (; count--; images += 784, out += 10)
        model(images, out, features);
}
"""


def timed(library: ctypes.CDLL, images: Any, kind: Any) -> tuple[Any, list[float]]:
    """Labels of images (n, 28, 28, 1) by a library's `batch`, and seconds an image of each part."""
    out = np.empty((len(images), 10), kind)
    times = []
    for start in range(0, len(images), COUNT):
        part = np.ascontiguousarray(images[start : start + COUNT])
        answers = np.empty((len(part), 10), kind)
        begun = time.process_time()
        library.batch(
            part.ctypes.data_as(ctypes.c_void_p), len(part), answers.ctypes.data_as(ctypes.c_void_p)
        )
        times.append((time.process_time() - begun) / len(part))
        out[start : start + COUNT] = answers
    return out.argmax(1), times


def measure_olhar(run: Path, precision: str, work: Path, images: Any) -> Record:
    """The folder that `olhar export --format c` writes."""
    folder = work / f"c-{precision}"
    said = olhar.export(run, folder, format="c", precision=precision, in_card=False).to_dict()
    sources = [folder / "src" / "model.c", folder / "src" / "olhar_nn.c"]
    library = load_library([*sources, SOURCES / "host" / "batch.c"], exact=precision == "fp32")
    kind = np.float32 if precision == "fp32" else np.uint16
    labels, times = timed(library, images, kind)
    counted = None
    if shutil.which("qemu-system-arm") and said["sizes_measured"]:
        counted = read_count(run_command(["make", "-s", "-C", folder, "count"]))
    flash, ram = (
        said[name] if said["sizes_measured"] else None for name in ("flash_bytes", "ram_bytes")
    )
    return {"flash": flash, "ram": ram, "instructions": counted, "labels": labels, "times": times}


def read_count(said: str) -> int:
    """Instructions, in thousands."""
    found = re.search(r"instructions: (\d+) thousand", said)
    assert found, said
    return int(found[1])


def measure_emx(python: Path, model: Path, work: Path, images: Any) -> Record:
    """C that emx-onnx-cgen makes of a model.onnx, without a heap and with the weights in the C."""
    work.mkdir()
    source = work / "emx.c"
    words = ["--large-temp-threshold", "0", "--large-weight-threshold", "0", "--input-dim", "N=1"]
    tool = python.with_name("emx-onnx-cgen")
    run_command([tool, "compile", *words, "--model-name", "model", model, source])
    wrapper = work / "batch.c"
    wrapper.write_text(_BATCH_C)
    library = work / "library.so"
    shared = ["cc", "-std=c99", "-O3", "-march=native", "-fPIC", "-shared"]
    run_command([*shared, source, wrapper, "-o", library, "-lm"])
    labels, times = timed(ctypes.CDLL(str(library)), images, np.float32)
    record: Record = {"flash": None, "ram": None, "instructions": None}
    if shutil.which("arm-none-eabi-gcc"):
        record |= sizes_of_emx(source, work)
    return record | {"labels": labels, "times": times}


def sizes_of_emx(source: Path, work: Path) -> Record:
    """Flash, RAM and instructions of its C on a Cortex-M4 with a floating-point unit."""
    compiler = ["arm-none-eabi-gcc", *_MACHINE, *_FLOATS]
    made = work / "emx.o"
    run_command([*compiler, "-fstack-usage", "-c", source, "-o", made])
    used = re.findall(r":(\w+)\t(\d+)\t", (work / "emx.su").read_text())
    stack = max(int(size) for name, size in used if name == "model")
    stack += max((int(size) for name, size in used if not name.startswith("model")), default=0)
    linked = work / "linked.elf"
    alone = ["--specs=nosys.specs", "-nostartfiles", "-Wl,--gc-sections", "-Wl,-e,model"]
    run_command([*compiler, *alone, made, "-o", linked, "-lm"])
    text, data, bss = run_command(["arm-none-eabi-size", linked]).splitlines()[1].split()[:3]
    record: Record = {"flash": int(text) + int(data), "ram": int(data) + int(bss) + stack}
    if shutil.which("qemu-system-arm"):
        board, count, program = SOURCES / "board", work / "count.c", work / "count.elf"
        count.write_text(_COUNT_C)
        around: list[str | Path] = [count, board / "start.c", f"-Wl,-T{board / 'memory.ld'}"]
        run_command([*compiler, made, *around, *_LINK, "-o", program, "-lm"])
        emulator = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none"]
        emulator += ["-serial", "none", "-icount", "shift=0", "-kernel", str(program)]
        emulator += ["-semihosting-config", "enable=on,target=native"]
        done = subprocess.run(emulator, capture_output=True, text=True, timeout=300, check=True)
        record["instructions"] = read_count(done.stdout + done.stderr)
    return record


def measure_tflite(python: Path, model: Path, work: Path, calibration: Any, images: Any) -> Record:
    """The same weights in a .tflite file, by the interpreter that boards run, in its own process."""
    work.mkdir()
    shutil.copy(model, work / "model.onnx")
    np.save(work / "calibration.npy", calibration)
    np.save(work / "test.npy", images)
    (work / "count.txt").write_text(str(COUNT))
    said = json.loads(run_command([python, SCRIPTS / "board_tflite.py", work]).splitlines()[-1])
    labels = np.load(work / "answers.npy")
    return {"file": said["file"], "ram": said["arena"], "labels": labels, "times": said["times"]}


def measure(run: Path, work: Path) -> tuple[list[Record], list[str]]:
    """All ways, and why some are left out."""
    request = Request(
        olhar.load(run), work / "none", "int8", None, 1.0, None, None, None, None, Progress(), None
    )
    dataset, splits = open_data(request)
    images, labels = dataset.images[splits.test], dataset.labels[splits.test]
    calibration = dataset.images[spread(splits.val, CALIBRATION_IMAGES)]
    one_view, quantised = work / "one_view.onnx", work / "int8"
    one_view.write_bytes(
        without_views((run / "model" / "model.onnx").read_bytes()).SerializeToString()
    )
    ways: dict[str, Callable[[], Record]] = {
        "olhar, int8": lambda: measure_olhar(run, "int8", work, images),
        "olhar, fp32": lambda: measure_olhar(run, "fp32", work, images),
    }
    left_out = []
    try:
        python = environment("boards")
        olhar.export(run, quantised, precision="int8", in_card=False)
        eight = quantised / "model.onnx"
        ways |= {
            "TensorFlow Lite Micro, int8": lambda: measure_tflite(
                python, one_view, work / "tflite", calibration, images
            ),
            "emx-onnx-cgen, fp32": lambda: measure_emx(python, one_view, work / "emx", images),
            "emx-onnx-cgen, int8 (QDQ)": lambda: measure_emx(python, eight, work / "emx8", images),
        }
    except PeerError as error:
        left_out.append(f"the others: {error}")
    records = []
    for name, way in ways.items():
        try:
            record = way()
        except PeerError as error:
            left_out.append(f"{name}: {error}")
            continue
        record["accuracy"] = float((record.pop("labels") == labels).mean())
        records.append({"way": name, "test_images": len(images), **record})
    return records, left_out


def markdown(records: list[Record], left_out: list[str], here: Record) -> str:
    """The table of docs/boards.md."""
    lines = [
        "| way | flash | RAM | million instructions | on this machine | accuracy |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in records:
        flash = f"file: {one['file']:,}" if "file" in one else shown(one["flash"], "{:,}")
        arena = "arena: " if "file" in one else ""
        counted = one.get("instructions")
        cells = [
            one["way"], flash, arena + shown(one["ram"], "{:,}"),
            "–" if counted is None else f"{counted / 1000:.2f}",
            f"{1e3 * statistics.median(one['times']):.3f} ms", f"{one['accuracy']:.4f}".lstrip("0"),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    first = records[0]
    where = ", ".join(here[name] for name in ("processor", "system"))
    said = (
        f"{first['test_images']:,} test images, one after the other, on one thread; a time is "
        f"processor time, the median of {len(first['times'])} parts. {where}, Python "
        f"{here['python']}, olhar {here['olhar']}; load average before {here['load_average']}."
    )
    return "\n".join([*lines, "", said, *(f"Left out: {one}." for one in left_out)])


def shown(value: int | None, form: str) -> str:
    """A number, or a dash where it was not measured."""
    return "–" if value is None else form.format(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "run", nargs="?", type=Path, help="a run of lenet5 on MNIST; without it one is trained"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    here = describe_here()
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        run = args.run or Path(place) / "run"
        if args.run is None:
            olhar.train("mnist", "lenet5", run=run, epochs=2)
        records, left_out = measure(run, Path(place))
    if args.json:
        print(json.dumps({"here": here, "records": records, "left_out": left_out}, indent=2))
    else:
        print(markdown(records, left_out, here))


if __name__ == "__main__":
    main()
