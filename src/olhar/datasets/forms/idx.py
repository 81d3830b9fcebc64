"""IDX files, the form of MNIST, EMNIST and their like: images and labels in files of their own.

    train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-…     also with a dot, or unpacked
    emnist-letters-train-images-idx3-ubyte.gz, …, emnist-letters-mapping.txt

What is in a file is told by its first bytes, whatever it is called; which images belong to which labels, by
the rest of their names. Source: LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import lzma
import math
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.cache import CacheEntry, allocate_images, entry_of
from olhar.datasets.dataset import PARTS, Dataset
from olhar.datasets.fetch import md5_bytes
from olhar.datasets.forms.array_labels import index_labels
from olhar.datasets.forms.tables import SPLIT_NAMES
from olhar.datasets.layout import is_hidden, is_photo
from olhar.datasets.named.idx_sets import known_class_names
from olhar.datasets.places import explain_damage, open_packed
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import Text, _
from olhar.progress import Progress

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PARTS = {**SPLIT_NAMES, "t10k": "test"}
_NO_NAMES = re.compile(r"idx\d?|ubyte|images?|imgs?|labels?|gz|xz|bin|\d*")
_MOST_FILES, _DEPTH = 100, 2
_MOST_NAMED = 8
_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class _File:
    """An IDX file: its shape, and by its name which data it is of, and which part."""

    path: Path
    shape: tuple[int, ...]
    name: str
    part: str


def is_idx(path: Path) -> bool:
    """Whether a file, packed or not, begins as IDX files do."""
    return _shape(path) is not None


def _shape(path: Path) -> tuple[int, ...] | None:
    try:
        with open_packed(path) as file:
            head = file.read(4)
            if (
                len(head) < 4
                or head[:2] != b"\0\0"
                or head[2] not in _TYPES
                or not 1 <= head[3] <= 4
            ):
                return None
            sizes = file.read(4 * head[3])
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return None
    return tuple(np.frombuffer(sizes, ">u4").tolist()) if len(sizes) == 4 * head[3] else None


def find_idx(root: Path) -> list[Path]:
    """The IDX files of a folder, or, where there are none, of those below; [] where there are photos."""
    for depth in range(_DEPTH + 1):
        files = _files(root, depth)
        found = [] if files is None else [path for path in files[:_MOST_FILES] if is_idx(path)]
        if found or files is None:
            return found
    return []


def _files(root: Path, depth: int) -> list[Path] | None:
    """The files so many folders below; None where photos lie beside them."""
    folders = [root]
    for _level in range(depth):
        folders = [
            Path(entry.path)
            for folder in folders
            for entry in os.scandir(folder)
            if entry.is_dir() and not is_hidden(entry.name)
        ][:_MOST_FILES]
    files = []
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_photo(entry.name):
                    return None
                if entry.is_file() and not is_hidden(entry.name):
                    files.append(Path(entry.path))
    return sorted(files)


def open_idx(name: str, root: Path, paths: Sequence[Path], progress: Progress) -> Dataset:
    """The images and labels of IDX files, brought into the cache once.

    Args:
        name: what to call it.
        root: the folder.
        paths: as `find_idx` gives them.
        progress: hears that it is read.

    Raises:
        DataError: images and labels cannot be paired, or do not fit each other.
        ChecksumError: a file is damaged.
        StorageError: the disk is full.
    """
    mappings = sorted({f for path in paths for f in path.parent.glob("*mapping.txt")})
    with explain_os_errors(name):
        facts = [(str(path), path.stat()) for path in [*paths, *mappings]]
    stamps = [(f, s.st_size, change_mark(s)) for f, s in facts]
    pairs = _pairs(name, [_describe(path) for path in paths])
    entry = entry_of("idx", root, stamps, partial(_fill, name, pairs, mappings), progress)
    turned = _("EMNIST's images lie on their side in its files; they are turned upright")
    return entry.as_dataset(name, (turned,) if _is_turned(pairs) else ())


def _describe(path: Path) -> _File:
    words = [word for word in re.split(r"[-_. ()]+", path.name.lower()) if word]
    parts = [_PARTS[word] for word in words if word in _PARTS]
    rest = [word for word in words if word not in _PARTS and not _NO_NAMES.fullmatch(word)]
    return _File(path, _shape(path) or (), "-".join(rest), parts[0] if len(parts) == 1 else "")


def _pairs(name: str, files: Sequence[_File]) -> dict[str, tuple[_File, _File]]:
    """Images and labels by part, "" where there is one pool."""
    images = _by_name([file for file in files if len(file.shape) > 2])
    labels = _by_name([file for file in files if len(file.shape) <= 2])
    if len(images) == len(labels) == 1:  # whatever they are called
        return {"": (next(iter(images.values())), next(iter(labels.values())))}
    sets = sorted({key[0] for key in images})
    if len(sets) > 1 and set(images) == set(labels):
        raise DataError(
            _(
                "'{path}' holds several data sets: {names}; put the files of one into a folder of its own",
                path=name,
                names=", ".join(sets[:_MOST_NAMED]),
            )
        )
    parts = {part for _name, part in images}
    if set(images) != set(labels) or len(sets) != 1 or "train" not in parts or "" in parts:
        shown = [f"{f.path.name} ({'×'.join(map(str, f.shape))})" for f in files[:_MOST_NAMED]]
        raise DataError(
            _(
                "the IDX files of '{path}' cannot be paired by their names: {files}; each file of images "
                "needs one of labels, as in train-images-idx3-ubyte and train-labels-idx1-ubyte, then "
                "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte",
                path=name,
                files=", ".join(shown) + (", …" if len(files) > _MOST_NAMED else ""),
            )
        )
    return {key[1]: (images[key], labels[key]) for key in images}


def _by_name(files: Sequence[_File]) -> dict[tuple[str, str], _File]:
    """By data and part; of a file that is there packed and unpacked, the unpacked one."""
    found: dict[tuple[str, str], _File] = {}
    for file in sorted(files, key=lambda file: file.path.suffix in {".gz", ".xz"}):
        first = found.setdefault((file.name, file.part), file)
        if first is not file and first.shape != file.shape:
            found[f"{file.name}-{file.path.name}", file.part] = file
    return found


def _is_turned(pairs: Mapping[str, tuple[_File, _File]]) -> bool:
    return any("emnist" in file.name.split("-") for pair in pairs.values() for file in pair)


def read_idx(path: Path) -> tuple[NDArray[Any], str]:
    """The array of an IDX file, packed or not, and the md5 of its content.

    Raises:
        ChecksumError: it is damaged.
        DataError: its size is not what it says.
    """
    with explain_damage(path), open_packed(path) as file:
        shape = _shape(path) or ()
        kind = np.dtype(_TYPES[file.read(4)[2]])
        file.seek(0)
        start, size = 4 + 4 * len(shape), math.prod(shape) * kind.itemsize
        content = bytearray()
        # Piece by piece: what a damaged file promises may be more than there is memory.
        while piece := file.read(min(_PIECE_BYTES, start + size + 1 - len(content))):
            content += piece
    if len(content) != start + size:
        raise DataError(
            _(
                "'{path}' is cut off, or longer than it says: its beginning promises {wanted} bytes; copy "
                "or download it again",
                path=path,
                wanted=start + size,
            )
        )
    return np.frombuffer(content, kind, offset=start).reshape(shape), md5_bytes(bytes(content))


def _fill(
    name: str,
    pairs: Mapping[str, tuple[_File, _File]],
    mappings: Sequence[Path],
    folder: Path,
) -> CacheEntry:
    parts = [part for part in ("", *PARTS) if part in pairs]
    shapes = {pairs[part][0].shape[1:] for part in parts}
    for part in parts:
        images, labels = pairs[part]
        _check(name, images, labels, shapes)
    read = [read_idx(pairs[part][0].path) for part in parts]  # before space is taken for it
    pools = [pixels.transpose(0, 2, 1) if _is_turned(pairs) else pixels for pixels, _md5 in read]
    sizes = {part: len(pool) for part, pool in zip(parts, pools, strict=True)}
    height, width = pools[0].shape[1:]
    out = allocate_images(folder, (sum(sizes.values()), height, width, 1))
    np.concatenate(pools, out=out[..., 0])
    known = next(filter(None, (known_class_names(md5) for _pixels, md5 in read)), ())
    given = [read_idx(pairs[part][1].path)[0] for part in parts]
    names = known
    if mappings and not known:
        given, names = _called(name, given, mappings)
    class_names, indices = index_labels(name, given, names)
    return CacheEntry(out, indices, class_names, {} if parts == [""] else sizes)


def _check(name: str, images: _File, labels: _File, shapes: set[tuple[int, ...]]) -> None:
    problem: Text | None = None
    if len(images.shape) != 3:
        problem = _("its images are in colour, of shape {shape}", shape=images.shape)
    elif len(shapes) > 1:
        problem = _("its images are of several sizes, {sizes}", sizes=shapes)
    elif images.shape[0] != labels.shape[0] or not images.shape[0]:
        problem = _(
            "{first} has {images} images and {second} {labels} labels",
            first=images.path.name,
            images=images.shape[0],
            second=labels.path.name,
            labels=labels.shape[0],
        )
    elif read_head(images.path) != 0x08:
        problem = _("the pixels of {first} are no bytes", first=images.path.name)
    if problem is not None:
        raise DataError(
            _(
                "the IDX files of '{path}' cannot be used: {problem}; save them as .npz (see docs/data.md)",
                path=name,
                problem=problem,
            )
        )


def read_head(path: Path) -> int:
    """The byte of an IDX file that says what kind its numbers are of."""
    with open_packed(path) as file:
        return file.read(4)[2]


def _called(
    name: str, given: Sequence[NDArray[Any]], mappings: Sequence[Path]
) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    """Labels as texts by EMNIST's mapping, lines of a label and the codes of its characters."""
    if len(mappings) > 1:
        raise DataError(
            _(
                "'{path}' holds several files of class names: {names}; keep the one of its images",
                path=name,
                names=", ".join(path.name for path in mappings[:_MOST_NAMED]),
            )
        )
    with explain_os_errors(mappings[0]):
        lines = mappings[0].read_bytes().decode("ascii", "replace").splitlines()
    try:
        rows = [list(map(int, line.split())) for line in lines if line.strip()]
        called = {row[0]: chr(row[1]) for row in rows}
        texts = [np.array([called[label] for label in some.tolist()]) for some in given]
    except (ValueError, LookupError, OverflowError, TypeError) as error:
        raise DataError(
            _(
                "'{path}' does not fit the labels beside it: it needs a line for each label, with the "
                "codes of its characters; mend or remove it",
                path=mappings[0],
            )
        ) from error
    return texts, tuple(called.values())
