"""A saved model → a folder of C for a board, proved on this machine before it appears."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.card import write_card
from olhar.classifier import CONFIG, ONNX, Classifier, run_session
from olhar.datasets import Dataset, Splits, spread
from olhar.errors import ConfigError, ExportError, explain_os_errors
from olhar.files import folder_aside, sha256_file
from olhar.i18n import Text, _, in_english, number
from olhar.native.board import (
    TOLERANCE,
    Board,
    add_sizes,
    golden_count,
    library_name,
    write_around,
    write_code,
    write_golden,
)
from olhar.native.boards import BOARDS, check_fits, find_limits, fits
from olhar.native.equalise import correct_biases, equalise
from olhar.native.graph import read_network
from olhar.native.host import find_compiler, require_compiler
from olhar.native.instructions import instructions
from olhar.native.model_c import ModelText
from olhar.native.quantise import Seen, observe, quantise
from olhar.native.running import Program
from olhar.native.sizes import Sizes
from olhar.native.steps import Network
from olhar.native.stripping import open_one_view
from olhar.pipeline.exported import (
    CALIBRATION_IMAGES,
    Exported,
    Request,
    check_drop,
    measure_accuracy,
    open_data,
    share_right,
)
from olhar.pipeline.rebuilding import read_golden, require_libraries
from olhar.preprocess import compute_rows
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.run.exports import ExportRecord

VIEWS = ("none", "own")
# Of validation images, on which it is chosen what int8 takes.
_LEAST_IMAGES, _MOST_IMAGES, _MOST_MACS = 64, 1000, 10_000_000_000
_SMALL_DROP = 0.002
_MOST_WEIGHTS = 20_000_000


@dataclass(frozen=True)
class ExportedC(Exported):
    """A model as C.

    Attributes:
        views: over which an answer is a mean.
        flash_bytes: for a Cortex-M4: weights, tables, network, operators.
        ram_bytes: arena, what is kept, and stack.
        arena_bytes: of the values of the network, part of `ram_bytes`.
        stack_bytes: part of `ram_bytes`.
        frame_flash_bytes: of the conversion of frames, not part of `flash_bytes`.
        sizes_measured: compiled and counted; else estimated, since the compiler is not here.
        macs: multiply-adds for one image.
        accuracy: on the test split, by this very C compiled here; None where it was not measured.
        accuracy_of_run: on the same images, by the model.
        accuracy_one_view: by the model without its views, where they are off.
        calibration_images: how many validation images the scales come from.
        method: what int8 took: rounding, equalisation, or that and bias correction.
        golden_images: how many the test in the folder has.
        golden_tested: whether the C was compiled and tested here.
        boards: does it fit, by the board's name.
        notes: what the user should know.
    """

    views: str = "none"
    flash_bytes: int = 0
    ram_bytes: int = 0
    arena_bytes: int = 0
    stack_bytes: int = 0
    frame_flash_bytes: int = 0
    sizes_measured: bool = True
    macs: int = 0
    accuracy: float | None = None
    accuracy_of_run: float | None = None
    accuracy_one_view: float | None = None
    calibration_images: int | None = None
    method: str | None = None
    golden_images: int = 0
    golden_tested: bool = True
    boards: Mapping[str, bool] = field(default_factory=dict)
    notes: tuple[Text, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As `export --json` prints it."""
        values = super().to_dict()
        return values | {"notes": [in_english(note) for note in self.notes]}


def export_c(request: Request) -> Exported:
    """A folder of C; see `export_model`. A run that is here says it in its card."""
    made = _export(request)
    _say_in_card(request, made)
    return made


def _say_in_card(request: Request, made: ExportedC) -> None:
    run = RunFolder(request.classifier.folder.parent)
    if request.run != run.path or request.classifier.folder != run.model or not run.card.is_file():
        return
    record = ExportRecord(
        sha256_file(run.model / CONFIG), made.precision, made.views, made.flash_bytes,
        made.ram_bytes, made.macs, made.accuracy, made.test_images,
    )  # fmt: skip
    kept = run.read_exports() if run.exports.is_file() else ()
    others = [one for one in kept if one.model == record.model]
    others = [one for one in others if (one.precision, one.views) != (made.precision, made.views)]
    run.write_exports([*others, record])
    write_card(run)


def _export(request: Request) -> ExportedC:
    require_libraries("onnx")
    classifier = request.classifier
    if request.views not in {None, *VIEWS}:
        raise ConfigError(
            _("--views is {given}; allowed: none, own (the model's)", given=request.views)
        )
    find_limits(request.board, request.max_flash, request.max_ram)
    if request.precision == "int8":
        require_compiler()
    path = classifier.folder / ONNX
    with explain_os_errors(path):
        content = path.read_bytes()
    network = read_network(content)
    _check_weights(network)
    views = classifier.config.views if request.views == "own" else "none"
    board = Board(
        library_name(_run_name(classifier.folder)), network, None, classifier.config, views,
        f"Written by olhar {classifier.config.olhar} from {_run_name(classifier.folder)}",
    )  # fmt: skip
    if request.precision == "int8":
        return _export_int8(request, board, content)
    with folder_aside(request.out) as aside:
        text = write_code(board, aside / "src")
        made = _describe(request, board, add_sizes(board, text, aside / "src"))
        images, expected = _golden(classifier, content, network, views)
        write_golden(aside, images, expected, "fp32")
        made = _test_floats(made, aside, board, images, expected)
        return _finish(aside, dataclasses.replace(made, golden_images=len(images)), board)


def _check_weights(network: Network) -> None:
    """Refuse what a C compiler would not read in minutes, nor a board hold."""
    count = sum(step.weight.size for step in network.steps if step.weight is not None)
    if count > _MOST_WEIGHTS:
        raise ConfigError(
            _(
                "the network has {count} weights; as C it may have {most}. Train a smaller one, such as "
                "mobilenet_v2, or one of olhar's own",
                count=number(count),
                most=number(_MOST_WEIGHTS),
            )
        )


def _run_name(folder: Path) -> str:
    resolved = folder.resolve()
    return resolved.parent.name if resolved.name == "model" else resolved.name


def _golden(
    classifier: Classifier, content: bytes, network: Network, views: str
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Golden images (n, H, W, C), and what `model.onnx` gives for them with these views."""
    images, stored = read_golden(classifier)
    count = golden_count(network)
    images, stored = images[:count], stored[:count]
    if views != classifier.config.views:
        stored = run_session(open_one_view(content), np.ascontiguousarray(images))
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)), stored


def _describe(request: Request, board: Board, sizes: Sizes) -> ExportedC:
    """What is known once the C is written; too large a model is refused here."""
    limits = find_limits(request.board, request.max_flash, request.max_ram)
    check_fits(sizes, limits, board.config.network, board.precision)
    times = _view_count(board.views)
    notes = []
    if not sizes.measured:
        notes.append(_("flash and RAM are estimated: arm-none-eabi-gcc is not installed here"))
    if board.config.views != board.views:
        notes.append(_("the model's views ({views}) are off: an answer takes one run of the network; "
                       "--views own has them", views=board.config.views))  # fmt: skip
    if board.config.outlier is not None:
        notes.append(_("the C does not warn of photos that are none of the model's classes"))
    return ExportedC(
        request.out, "c", sizes.flash, precision=board.precision, views=board.views,
        flash_bytes=sizes.flash, ram_bytes=sizes.ram, arena_bytes=sizes.arena,
        stack_bytes=sizes.stack, frame_flash_bytes=sizes.frame_flash,
        sizes_measured=sizes.measured, macs=board.network.macs * times,
        boards={name: fits(sizes.flash, sizes.ram, one) for name, one in BOARDS.items()},
        notes=tuple(notes),
    )  # fmt: skip


def _view_count(views: str) -> int:
    return {"none": 1, "mirror": 2, "shift": 3, "mirror_shift": 6}[views]


def _test_floats(
    made: ExportedC,
    folder: Path,
    board: Board,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
) -> ExportedC:
    """Compile the C and compare with `model.onnx`, where there is a compiler."""
    if find_compiler() is None:
        note = _("its golden test was not run: there is no C compiler here (pip install ziglang)")
        return dataclasses.replace(made, golden_tested=False, notes=(*made.notes, note))
    found = Program(folder / "src", board).probabilities(images)
    worst = float(np.abs(found - expected).max())
    if not worst <= TOLERANCE:
        raise ExportError(
            _(
                "the C differs from model.onnx by {worst} in a probability; at most {tolerance} is "
                "allowed. See where with: olhar verify",
                worst=f"{worst:.1e}",
                tolerance=TOLERANCE,
            )
        )
    return dataclasses.replace(made, largest_difference=worst)


def _export_int8(request: Request, board: Board, content: bytes) -> ExportedC:
    """Scales from validation images, and the accuracy of the compiled C on the test split."""
    classifier, progress = request.classifier, request.progress
    dataset, splits = open_data(request)
    rows = spread(splits.val, CALIBRATION_IMAGES)
    if not len(rows) or not len(splits.test):
        raise ConfigError(
            _(
                "int8 needs validation images to choose its scales by, and test images to be measured "
                "on; {data} has {val} and {test} of them. Give other data with --data",
                data=dataset.name,
                val=len(splits.val),
                test=len(splits.test),
            )
        )
    progress.start(_("choosing scales"), len(rows))
    images = dataset.images[rows]
    with folder_aside(request.out) as aside:
        board, text, program, method = _choose(
            board, images, dataset, splits, aside / "src", content
        )
        made = _describe(request, board, add_sizes(board, text, aside / "src"))
        before = measure_accuracy(classifier, dataset, splits, progress)
        progress.start(_("measuring the C"), len(splits.test))
        after = _accuracy(program, dataset, splits.test, progress)
        alone: float | None = None
        because: Text | str = ""
        if board.views != classifier.config.views:
            alone = share_right(_one_view(content, dataset, splits.test), dataset, splits.test)
            because = _("the model's views are off, and without them it is right on {share:.2%} at fp32: "
                        "try --views own", share=alone)  # fmt: skip
        check_drop("int8", after, before, len(splits.test), request.max_drop, because)
        golden = read_golden(classifier)[0][: golden_count(board.network)].transpose(0, 2, 3, 1)
        write_golden(aside, golden, program.run(golden), "int8")
        made = dataclasses.replace(
            made, accuracy=after, accuracy_of_run=before, accuracy_one_view=alone,
            test_images=len(splits.test), calibration_images=len(rows),
            golden_images=len(golden), method=method,
        )  # fmt: skip
        return _finish(aside, made, board)


def _choose(
    board: Board,
    images: NDArray[np.uint8],
    dataset: Dataset,
    splits: Splits,
    folder: Path,
    content: bytes,
) -> tuple[Board, ModelText, Program, str]:
    """The 8-bit network that validation images ask for, its C in `folder`, compiled, and how it was made.

    What is done beyond rounding is tried in turn, until it is right on as many as at fp32.
    """
    count = max(_LEAST_IMAGES, min(_MOST_IMAGES, _MOST_MACS // board.network.macs))
    rows = spread(splits.val, count)
    wanted = share_right(_one_view(content, dataset, rows), dataset, rows)
    best, found = board, -1.0
    text: ModelText | None = None
    program: Program | None = None
    method = last = ""
    for last, network, seen in _methods(board.network, images):
        tried = dataclasses.replace(board, network=network, quantised=quantise(network, seen))
        own = write_code(tried, folder)
        compiled = Program(folder, tried)  # of a large network many seconds: once is enough
        share = _accuracy(compiled, dataset, rows, Progress())
        if share > found:
            best, found, text, program, method = tried, share, own, compiled, last
        if wanted - found <= _SMALL_DROP:
            break
    assert text is not None
    assert program is not None
    if method != last:
        text = write_code(best, folder)
    return best, text, program, method


def _one_view(content: bytes, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Probabilities (n, K) at fp32, of the images as they are."""
    session = open_one_view(content)
    return compute_rows(lambda inputs: run_session(session, inputs), dataset.images, rows)


def _methods(
    network: Network, images: NDArray[np.uint8]
) -> Iterator[tuple[str, Network, Mapping[str, Seen]]]:
    """Ways to a network in 8 bits, the simple one first."""
    seen = observe(network, images)
    yield "rounding", network, seen
    equal = equalise(network, seen)
    seen = observe(equal, images)
    yield "equalisation", equal, seen
    yield (
        "equalisation and bias correction",
        correct_biases(equal, seen, quantise(equal, seen)),
        seen,
    )


def _accuracy(
    program: Program, dataset: Dataset, rows: NDArray[np.int64], progress: Progress
) -> float:
    probs = compute_rows(
        lambda inputs: program.probabilities(inputs.transpose(0, 2, 3, 1)),
        dataset.images,
        rows,
        progress,
    )
    return share_right(probs, dataset, rows)


def _finish(aside: Path, made: ExportedC, board: Board) -> ExportedC:
    """What was made, for people and for programs."""
    write_around(board, aside)
    (aside / "README.md").write_text(instructions(made.to_dict(), board), encoding="utf-8")
    own = {key: value for key, value in made.to_dict().items() if key != "path"}
    text = json.dumps(own, indent=2, ensure_ascii=False) + "\n"
    (aside / "export.json").write_text(text, encoding="utf-8")
    return made
