"""What leaves the studio: a model in other forms, its card, the project as a zip, a push into a store.

Does not know: HTTP.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from olhar import i18n, registry
from olhar.errors import MissingFileError, explain_os_errors, unknown_name
from olhar.i18n import _
from olhar.pipeline.exporting import export_model
from olhar.run import RunFolder
from olhar.studio.project import Project

_FILES = {"onnx": "model.onnx", "web": "model.html"}  # formats of `olhar export` that are one file
_FOLDERS = {"c": "board"}  # those that are a folder
KINDS = (*_FILES, *_FOLDERS, "card", "zip")


@dataclass(frozen=True)
class Download:
    """A file to be saved.

    Attributes:
        name: that it gets.
        file: read from its beginning; it is on no disk any more once it is closed.
        media_type: what it is.
    """

    name: str
    file: IO[bytes]
    media_type: str


def make(run: Path, kind: str) -> Download:
    """A run's model, or what is said of it, as one file.

    Raises:
        ConfigError: there is no such kind, or the model cannot be exported so.
        MissingFileError: the run has no model yet.
        StorageError: there is no room for it among the temporary files.
    """
    if kind not in KINDS:
        raise unknown_name(_("format"), kind, KINDS)
    if kind == "zip":
        return _zipped(f"model-{run.name}.zip", run, run.name)
    if kind == "card":
        folder = RunFolder(run)
        card = folder.card_pt_br if i18n.language() == "pt_BR" else folder.card
        if not card.is_file():
            raise MissingFileError(_("this model has no card yet; wait until it is measured"))
        return Download(f"model-{run.name}.md", _copied(card), "text/markdown; charset=utf-8")
    with tempfile.TemporaryDirectory(prefix="olhar-studio-") as place:
        out = Path(place) / (_FILES | _FOLDERS)[kind]
        export_model(run, out, format=kind)
        if kind in _FOLDERS:
            return _zipped(f"model-{run.name}-{kind}.zip", out, out.name)
        name = f"model-{run.name}{out.suffix}"
        return Download(name, _copied(out), "application/octet-stream")


def push(run: Path, address: str) -> dict[str, str]:
    """Store a run; the address of its version."""
    store, _slash, name = address.rstrip("/").rpartition("/")
    return {"address": registry.push(run, store, name).address}


def zip_project(project: Project) -> Download:
    """The photos, with their labels as folders, and the models."""
    name = project.path.resolve().name
    return _zipped(f"{name}.zip", project.path, name, [project.photos, project.runs])


def _zipped(
    download: str, folder: Path, name: str, parts: Sequence[Path] | None = None
) -> Download:
    """The archive `download` of a folder, or of `parts` of it, which is called `name` inside."""

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # photos are packed already
            for part in parts or [folder]:
                for path in sorted(part.rglob("*")):
                    if path.is_file() and not path.is_symlink() and path.name != ".lock":
                        archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")

    return Download(download, _kept(write), "application/zip")


def _copied(path: Path) -> IO[bytes]:
    def write(file: IO[bytes]) -> None:
        with path.open("rb") as source:
            shutil.copyfileobj(source, file)

    return _kept(write)


def _kept(write: Callable[[IO[bytes]], None]) -> IO[bytes]:
    """What `write` writes, as a file without a name; memory does not hold it."""
    with explain_os_errors(Path(tempfile.gettempdir())), ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(prefix="olhar-studio-"))
        write(file)
        file.seek(0)
        stack.pop_all()  # whoever has it closes it
    return file
