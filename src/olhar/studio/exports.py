"""What leaves the studio: a model in other forms, its card, the project as a zip, a push into a store.

Does not know: HTTP.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from olhar import i18n, registry
from olhar.errors import MissingFileError, unknown_name
from olhar.i18n import _
from olhar.pipeline.exporting import export_model
from olhar.run import RunFolder
from olhar.studio.project import Project

_FILES = {"onnx": "model.onnx", "web": "model.html"}  # formats of `olhar export` that are one file
_FOLDERS = {"c": "board"}  # those that are a folder
KINDS = (*_FILES, *_FOLDERS, "card", "zip")


@dataclass(frozen=True)
class Download:
    """A file to be saved."""

    name: str
    content: bytes
    media_type: str


def make(run: Path, kind: str) -> Download:
    """A run's model, or what is said of it, as one file.

    Raises:
        ConfigError: there is no such kind, or the model cannot be exported so.
        MissingFileError: the run has no model yet.
    """
    if kind not in KINDS:
        raise unknown_name(_("format"), kind, KINDS)
    if kind == "zip":
        return Download(f"model-{run.name}.zip", _zip(run, run.name), "application/zip")
    if kind == "card":
        folder = RunFolder(run)
        card = folder.card_pt_br if i18n.language() == "pt_BR" else folder.card
        if not card.is_file():
            raise MissingFileError(_("this model has no card yet; wait until it is measured"))
        return Download(f"model-{run.name}.md", card.read_bytes(), "text/markdown; charset=utf-8")
    with tempfile.TemporaryDirectory(prefix="olhar-studio-") as place:
        out = Path(place) / (_FILES | _FOLDERS)[kind]
        export_model(run, out, format=kind)
        if kind in _FOLDERS:
            return Download(f"model-{run.name}-{kind}.zip", _zip(out, out.name), "application/zip")
        name = f"model-{run.name}{out.suffix}"
        return Download(name, out.read_bytes(), "application/octet-stream")


def push(run: Path, address: str) -> dict[str, str]:
    """Store a run; the address of its version."""
    store, _slash, name = address.rstrip("/").rpartition("/")
    return {"address": registry.push(run, store, name).address}


def zip_project(project: Project) -> Download:
    """The photos, with their labels as folders, and the models."""
    name = project.path.resolve().name
    parts = [project.photos, project.runs]
    return Download(f"{name}.zip", _zip(project.path, name, parts), "application/zip")


def _zip(folder: Path, name: str, parts: list[Path] | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # photos are packed already
        for part in parts or [folder]:
            for path in sorted(part.rglob("*")):
                if path.is_file() and not path.is_symlink() and path.name != ".lock":
                    archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")
    return file.getvalue()
