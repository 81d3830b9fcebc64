"""A saved model → one file for other programs, a smaller model of 8-bit numbers, C for a board, or a page.

Each is checked against the model's golden probabilities or on the test split before it appears.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import ONNX, WEIGHTS, ModelConfig, open_session, run_session
from olhar.errors import ConfigError, explain_os_errors, unknown_name
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.pipeline.exported import DEFAULT_MAX_DROP, Exported, Request, check_agrees
from olhar.pipeline.exporting_c import export_c
from olhar.pipeline.exporting_int8 import export_int8
from olhar.pipeline.exporting_web import export_web
from olhar.pipeline.rebuilding import network_probs, read_golden, require_libraries
from olhar.progress import Progress
from olhar.registry import load
from olhar.run import RunFolder

Probs = NDArray[np.float32]


def export_model(
    model: Path | str,
    out: Path | str,
    *,
    format: str = "onnx",  # noqa: A002  the flag's name
    precision: str | None = None,
    data: str | None = None,
    max_drop: float = DEFAULT_MAX_DROP,
    views: str | None = None,
    board: str | None = None,
    max_flash: int | None = None,
    max_ram: int | None = None,
    in_card: bool = True,
    progress: Progress | None = None,
) -> Exported:
    """Export a saved model.

    Args:
        model: a run folder or a model/ folder.
        out: the file to write, or the folder; it must not exist.
        format: onnx, safetensors, c or web.
        precision: fp32 or int8, by default fp32; for web that of the weights: fp16, its default, fp32 or
            int8. onnx in int8 is a model folder.
        data: what it is measured on, for int8, or a page of one view; by default the data set that it
            was trained on.
        max_drop: for int8: by how much the test accuracy may fall, 0 to 1.
        views: none, or own for the model's; by default none for C, own for a page.
        board: for C: the name of a board that it has to fit on.
        max_flash: for C: bytes of flash that it may need.
        max_ram: for C: bytes of RAM that it may need.
        in_card: for C: note what it costs in the run folder that was named, and in its card.
        progress: hears of the progress.

    Raises:
        ConfigError: no such format or precision, `out` exists, the model is int8 already, it has an
            operator that there is no C for, or it does not fit.
        ExportError: what was made differs from the model, or is less accurate than allowed;
            nothing is left of it.
        MissingExtraError: onnx, torch or a C compiler is needed and not installed.
    """
    out = Path(out)
    if format == "int8":
        raise ConfigError(_("--format int8 is now written --format onnx --precision int8"))
    if format not in FORMATS:
        raise unknown_name(_("format"), format, FORMATS)
    known = FORMATS[format]
    precision = known.precisions[0] if precision is None else precision
    if precision not in known.precisions:
        raise unknown_name(_("precision of {format}", format=format), precision, known.precisions)
    if not 0 <= max_drop <= 1:
        raise ConfigError(_("--max-drop is {given}; allowed: 0 to 1, such as 0.01", given=max_drop))
    classifier = load(model, progress)
    _check_out(out)
    if (format, precision) != ("onnx", "fp32") and classifier.config.precision != "fp32":
        raise ConfigError(
            _(
                "'{path}' is {precision} already; give the fp32 model that it was made from",
                path=classifier.folder,
                precision=classifier.config.precision,
            )
        )
    request = Request(
        classifier, out, precision, data, max_drop, views, board, max_flash, max_ram,
        progress or Progress(), _run_of(model) if in_card else None,
    )  # fmt: skip
    return known.export(request)


def _run_of(model: Path | str) -> Path | None:
    """The run folder that was named, which is neither an address nor a copy of a store's."""
    folder = Path(model)
    return folder if RunFolder(folder).config.is_file() else None


def _export_onnx(request: Request) -> Exported:
    return export_int8(request) if request.precision == "int8" else _export_graph(request)


def _check_out(out: Path) -> None:
    with explain_os_errors(out):
        taken = out.exists()
    if taken:
        raise ConfigError(_("'{path}' exists already; choose another --out", path=out))


def _metadata(config: ModelConfig) -> dict[str, str]:
    """What a program without olhar needs to know, as JSON.

    Under one key: safetensors writes several in an order that changes from one time to the next.
    """
    return {"config": json.dumps(config.to_dict(), ensure_ascii=False)}


def _export_graph(request: Request) -> Exported:
    """model.onnx with its metadata inside; pixels in, probabilities out."""
    require_libraries("onnx")
    import onnx

    classifier, out = request.classifier, request.out
    path = classifier.folder / ONNX
    with explain_os_errors(path):
        graph = onnx.load_from_string(path.read_bytes())
    onnx.helper.set_model_props(graph, _metadata(classifier.config))
    content = bytes(graph.SerializeToString(deterministic=True))
    images, expected = read_golden(classifier)
    worst = _largest(run_session(open_session(content), images), expected)
    check_agrees(worst)
    write_atomic(out, content)
    return Exported(out, "onnx", len(content), worst)


def _export_weights(request: Request) -> Exported:
    """model.safetensors with its metadata inside, proved to be the network's weights."""
    from safetensors.numpy import load_file, save

    classifier, out = request.classifier, request.out
    images, expected = read_golden(classifier)
    worst = _largest(network_probs(classifier, images), expected)
    check_agrees(worst)
    content = save(load_file(classifier.folder / WEIGHTS), metadata=_metadata(classifier.config))
    write_atomic(out, content)
    return Exported(out, "safetensors", len(content), worst)


def _largest(found: Probs, expected: Probs) -> float:
    return float(np.abs(found - expected).max())


@dataclass(frozen=True)
class Format:
    """What a model can be exported as: the precisions, the usual one first, and how."""

    precisions: tuple[str, ...]
    export: Callable[[Request], Exported]


FORMATS: Mapping[str, Format] = {
    "onnx": Format(("fp32", "int8"), _export_onnx),
    "safetensors": Format(("fp32",), _export_weights),
    "c": Format(("fp32", "int8"), export_c),
    "web": Format(("fp16", "fp32", "int8"), export_web),
}
