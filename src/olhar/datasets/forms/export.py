"""A data set written in another form. Photos keep their bytes; arrays become PNG.

    folder    PART/CLASS/photo             what olhar, Keras and torchvision read
    csv       photos, and metadata.csv     Hugging Face's imagefolder
    zip, tar  the folder, packed
    parquet   data/PART-00000-of-00001.parquet, photos inside      datasets.load_dataset(PATH)
    arrow     as save_to_disk writes it, photos inside             datasets.load_from_disk(PATH)
    npz, npy  images of one size, as arrays

What olhar exports, olhar reads again as the same data: equal fingerprints, save where photos become
arrays, or arrays photos.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from olhar.archives import write_tar, write_zip
from olhar.datasets.arrays import as_arrays
from olhar.datasets.dataset import Dataset
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.forms.write_arrow import Item, write_parquet, write_saved
from olhar.datasets.layout import METADATA
from olhar.datasets.source import Source
from olhar.datasets.stored import write_arrays
from olhar.errors import ConfigError, RunExistsError, explain_os_errors, unknown_name
from olhar.files import csv_text, folder_aside, write_atomic_with
from olhar.i18n import _
from olhar.images import encode_png
from olhar.progress import Progress
from olhar.shown import readable_name
from olhar.signatures import IMAGE_SUFFIXES
from olhar.stores.names import is_portable, portable_part

ARRAY_FORMS = ("npy", "npz")
FORMS = ("arrow", "csv", "folder", "npy", "npz", "parquet", "tar", "zip")
_EVERY = 100


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    form: str
    images: int
    parts: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As `data export --json` prints it."""
        return {"format": 1, "path": str(self.path), "form": self.form, "images": self.images} | {
            "parts": self.parts
        }


def export_dataset(
    source: Source, form: str, out: Path, size: int | None, progress: Progress
) -> Exported:
    """Write a data set in one of `FORMS`; nothing is there until all of it is.

    Args:
        source: as open_source gives it. Files that are no readable photos are copied as they are,
            and left out where images become arrays.
        form: one of `FORMS`.
        out: the file or folder to make.
        size: side of the images of npz and npy; by default arrays as they are, photos at 224.
        progress: hears of the progress.

    Raises:
        UnknownNameError: there is no such form.
        ConfigError: a size where photos keep theirs.
        RunExistsError: something is there already.
        MissingExtraError: pyarrow, for Parquet and Arrow, is not installed.
        StorageError: the disk is full.
    """
    if form not in FORMS:
        raise unknown_name(_("form of data"), form, FORMS)
    if size is not None and form not in ARRAY_FORMS:
        raise ConfigError(
            _("--size is for npz and npy; photos keep their sizes in {form}", form=form)
        )
    with explain_os_errors(out):
        if out.exists():
            raise RunExistsError(
                _("'{path}' exists already; choose another --out, or remove it", path=out)
            )
    if form in ARRAY_FORMS:
        dataset = as_arrays(source, size, progress)
        _write_arrays(dataset, form, out)
        return Exported(out, form, len(dataset), _sizes(dataset))
    if isinstance(source, PhotoFolder):
        for note in source.notes:
            progress.note(note)
    progress.start(_("writing {path}", path=out.name), len(source))
    if form in {"zip", "tar"}:
        items = _in_folders(source, _items(source, progress))
        write_atomic_with(out, partial(_write_packed, form, items))
    else:
        with folder_aside(out) as aside:
            _write_folder(source, form, aside, _items(source, progress))
    return Exported(out, form, len(source), _sizes(source))


def _sizes(source: Source) -> dict[str, int]:
    return {part: len(rows) for part, rows in source.parts.items()}


def _items(source: Source, progress: Progress) -> Iterator[Item]:
    """Every image, in pool order."""
    part_of = [""] * len(source)
    for part, rows in source.parts.items():
        for row in rows.tolist():
            part_of[row] = part
    for row, label in enumerate(source.labels.tolist()):
        if isinstance(source, PhotoFolder):
            file = readable_name(source.files[row])
            read = (source.path / source.files[row]).read_bytes
        else:
            file = "/".join(filter(None, (part_of[row], f"{row:06d}.png")))
            read = partial(_png, source, row)
        yield Item(file, source.class_names[label], part_of[row], read)
        if row % _EVERY == 0:
            progress.advance(row)
    progress.advance(len(source))


def _png(dataset: Dataset, row: int) -> bytes:
    return encode_png(dataset.images[row])


def _in_folders(source: Source, items: Iterator[Item]) -> Iterator[Item]:
    """The items with paths that say their part and class; a plain folder's say so already."""
    if isinstance(source, PhotoFolder) and source.origin is None:
        for item in items:
            parts = item.file.split("/")
            place = item.file if is_portable(item.file) else "/".join(map(portable_part, parts))
            yield dataclasses.replace(item, file=place)
        return
    folders = _class_folders(source.class_names)
    taken: set[str] = set()
    for row, item in enumerate(items):
        name = portable_part(item.file.replace("/", "-"))
        if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES:
            name = f"{name}.jpg"  # what it is, its content says
        place = "/".join(filter(None, (item.part, folders[item.label], name)))
        if place.casefold() in taken:
            place = "/".join(filter(None, (item.part, folders[item.label], f"{row}-{name}")))
        taken.add(place.casefold())
        yield dataclasses.replace(item, file=place)


def _class_folders(class_names: tuple[str, ...]) -> dict[str, str]:
    """A folder's name for each class, all different on every system."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for index, name in enumerate(class_names):
        folder = portable_part(name)
        if folder.casefold() in taken:
            folder = f"{folder[:180]}-{index}"
        taken.add(folder.casefold())
        folders[name] = folder
    return folders


def _write_folder(source: Source, form: str, folder: Path, items: Iterator[Item]) -> None:
    if form == "parquet":
        write_parquet(folder, items, source.class_names)
        return
    if form == "arrow":
        write_saved(folder, items, source.class_names)
        return
    rows = []
    for item in _in_folders(source, items) if form == "folder" else items:
        target = folder / item.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(item.read())
        rows.append((item.file, item.label, item.part))
    if form == "csv":
        columns = 3 if source.parts else 2
        table = [("file_name", "label", "split")[:columns], *(row[:columns] for row in rows)]
        (folder / METADATA[0]).write_text(csv_text(table), encoding="utf-8")


def _write_packed(form: str, items: Iterator[Item], path: Path) -> None:
    write = write_zip if form == "zip" else write_tar
    with path.open("wb") as file:
        write(file, ((item.file, item.read()) for item in items))


def _write_arrays(dataset: Dataset, form: str, out: Path) -> None:
    if form == "npy":
        with folder_aside(out) as aside:
            write_arrays(aside, dataset)
        return
    arrays = {"class_names": np.array(dataset.class_names)}
    if dataset.parts:
        for part, rows in dataset.parts.items():
            arrays[f"x_{part}"], arrays[f"y_{part}"] = dataset.images[rows], dataset.labels[rows]
    else:
        arrays["images"], arrays["labels"] = dataset.images, dataset.labels
    write_atomic_with(out, lambda aside: _save(aside, arrays))


def _save(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:  # given a name, NumPy would add a suffix to some
        np.savez(file, **arrays)
