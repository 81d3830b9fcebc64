"""Exports that travel with a model to a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olhar.errors import unknown_name
from olhar.i18n import _
from olhar.pipeline.exporting import export_model
from olhar.progress import Progress

FORMATS = {"web": "web/model.html", "c": "c"}  # what is made, and where it lies in the version


def export_along(
    model: Path | str, formats: Sequence[str], folder: Path, progress: Progress | None = None
) -> dict[str, Path]:
    """Make a model's exports, each with what is usual for it.

    Args:
        model: a run folder or a `model/` folder, or an address.
        formats: some of web and c.
        folder: an empty folder to make them in.
        progress: hears of the progress.

    Returns:
        The files by their paths in the version, for `registry.push`.

    Raises:
        UnknownNameError: no such format.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown_name(_("format"), name, FORMATS)
    for name in dict.fromkeys(formats):
        (folder / FORMATS[name]).parent.mkdir(parents=True, exist_ok=True)
        export_model(model, folder / FORMATS[name], format=name, in_card=False, progress=progress)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in files}
