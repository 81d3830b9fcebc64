"""Every photo looked at once, on all cores: can it be read, how large and how sharp is it.

Does not know: classes, splits, or what counts as a fault. Photos are read by processes, for the
reasons given in datasets.decode.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.children import answer_rows, share_out
from olhar.cores import count_cores
from olhar.errors import ImageError, ImageSizeError, OlharError, StorageError, explain_os_errors
from olhar.files import sha256_file
from olhar.i18n import _
from olhar.images import open_header, read_image, to_channels
from olhar.progress import Progress
from olhar.shown import readable_name

SIDE = 64  # of the small copy that photos are compared by
_LOOK = 256  # longest side at which sharpness is judged, the order of what networks see
_PHOTOS_PER_PROCESS = 100
_TILES = 5  # along each side, where sharpness is judged
_ORIENTATION_TAG = 0x0112
_ROW_BYTES = SIDE * SIDE * 3


@dataclass(frozen=True)
class Photo:
    """What is known of one photo.

    Attributes:
        problem: "" or the kind of finding that says why it cannot be used.
        reason: a sentence, where there is a problem.
        sha256: of the file; "" where it cannot be opened.
        format: as Pillow names it; "" where unknown.
        width, height: in pixels, as it is shown.
        orientation: EXIF's, 1 to 8.
        contrast: standard deviation of the greys, 0 to 128.
        sharpness: of its sharper parts (see `sharpness`).
    """

    problem: str = ""
    reason: str = ""
    sha256: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1
    contrast: float = 0.0
    sharpness: float = 1.0


def measure_photos(
    root: Path, files: Sequence[str], progress: Progress, workers: int = 0
) -> tuple[list[Photo], NDArray[np.uint8]]:
    """Look at every photo of a folder.

    Args:
        root: the folder.
        files: paths in it.
        progress: hears of the progress.
        workers: processes; 0 means one a core.

    Returns:
        What is known of each, and small copies (N, 64, 64, 3) uint8, squashed to a square, on the
        disk and memory-mapped; black where a photo cannot be read.

    Raises:
        StorageError: the disk that holds temporary files is full.
    """
    progress.start(_("looking at photos"), len(files))
    workers = min(workers or count_cores(), len(files) // _PHOTOS_PER_PROCESS)
    photos: dict[int, Photo] = {}
    with explain_os_errors(_("the folder for temporary files")), _scratch() as file:
        file.truncate(len(files) * _ROW_BYTES)

        def hear(found: Iterable[tuple[int, Photo, bytes]]) -> None:
            for row, photo, small in found:
                photos[row] = photo
                if small:
                    file.seek(row * _ROW_BYTES)
                    file.write(small)
                progress.advance(len(photos))

        if workers > 1 and sys.executable:
            job = {"root": str(root)}
            answers = share_out("olhar.check.measure:answer", job, files, workers)
            hear((row, Photo(**photo), base64.b64decode(small)) for row, photo, small in answers)
        hear(_measure_rows(root, (row for row in enumerate(files) if row[0] not in photos)))
        file.flush()
        shape = (len(files), SIDE, SIDE, 3)
        images = np.memmap(file, np.uint8, "r", shape=shape)  # (N, 64, 64, 3) uint8
    return [photos[row] for row in range(len(files))], images


def _measure_rows(
    root: Path, rows: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, Photo, bytes]]:
    for row, name in rows:
        photo, small = measure_photo(root / name, readable_name(name))
        yield row, photo, b"" if small is None else small.tobytes()


def measure_photo(path: Path, name: str) -> tuple[Photo, NDArray[np.uint8] | None]:
    """What is known of one photo, and its small copy (64, 64, 3) uint8, None where it has none.

    Args:
        path: the file.
        name: what sentences call it.
    """
    try:
        head = _read_header(path)
        image = read_image(path, name=name, shrink_to=_LOOK)  # (H, W, C) uint8
        sha256 = sha256_file(path)
    except ImageError as error:
        return Photo(problem=_problem(error), reason=str(error)), None
    except OlharError as error:
        return Photo(problem="no_access", reason=str(error)), None
    grey = _grey(image)
    photo = dataclasses.replace(
        head,
        sha256=sha256,
        contrast=round(float(grey.std()), 2),
        sharpness=round(sharpness(grey), 4),
    )
    colour = Image.fromarray(to_channels(image, 3))
    small = colour.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return photo, np.asarray(small)


def _problem(error: ImageError) -> str:
    if isinstance(error, ImageSizeError):
        return "too_large"
    cause = error.__cause__
    cut = isinstance(cause, EOFError) or "truncat" in str(cause).lower()
    return "truncated" if cut else "unreadable"


def _read_header(path: Path) -> Photo:
    """Format, size and orientation; empty where the header cannot be read."""
    try:
        with open_header(path) as image:
            turned = image.format in {"JPEG", "MPO", "WEBP", "PNG"}
            orientation = int(image.getexif().get(_ORIENTATION_TAG, 1)) if turned else 1
            width, height = image.size
            if orientation >= 5:
                width, height = height, width
            return Photo(
                format=image.format or "", width=width, height=height, orientation=orientation
            )
    except Exception:  # noqa: BLE001  hostile bytes make decoders raise nearly anything
        return Photo()


def _grey(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, C) uint8 → grey (h, w) float32, its longest side at most 256."""
    picture = Image.fromarray(to_channels(image, 1)[:, :, 0])
    picture.thumbnail((_LOOK, _LOOK), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(picture, np.float32)


def sharpness(grey: NDArray[np.float32]) -> float:
    """How sharp the sharper parts of an image are; below 0.33 it looks blurred.

    The standard deviation of the Laplacian over that of the greys, in each of 5×5 tiles, the third
    highest: a blurred background does not make a photo blurred. Source of the measure: Pech-Pacheco
    et al. 2000, "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR, LAPV,
    here relative to contrast, so that it does not depend on the light.

    Args:
        grey: (H, W) float32, 0 to 255; below 16 pixels a side the answer is 1.
    """
    if min(grey.shape) < 16:
        return 1.0
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    laplacian = 4 * middle - around  # (H - 2, W - 2) float32
    ratios = _tile_stds(laplacian) / (_tile_stds(middle) + 3)  # (5, 5) float64
    return float(np.sort(ratios, axis=None)[-3])


def _tile_stds(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(H, W) → the standard deviation in each of 5×5 tiles, (5, 5) float64."""
    down, along = map(_tile_means, values.shape)  # (5, H), (5, W) float64
    # In double precision, or a small spread of large values would be lost.
    precise = values.astype(np.float64)
    means = down @ precise @ along.T
    variances: NDArray[np.float64] = down @ np.square(precise) @ along.T - means**2
    stds: NDArray[np.float64] = np.sqrt(np.maximum(variances, 0))
    return stds


@functools.cache
def _tile_means(length: int) -> NDArray[np.float64]:
    """(5, length) float64: what a column is multiplied by for its means over five tiles."""
    sizes = [len(part) for part in np.array_split(np.arange(length), _TILES)]
    shares = np.eye(_TILES) / np.array(sizes)[:, None]
    means: NDArray[np.float64] = np.repeat(shares, sizes, axis=1)
    return means


def _scratch() -> IO[bytes]:
    """A file without a name, on the disk; in memory where no folder can be written to."""
    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError as error:  # none of those that Python knows
        if hasattr(os, "memfd_create"):
            return os.fdopen(os.memfd_create("olhar"), "w+b")
        raise StorageError(
            _("there is no folder for temporary files; name one that is writable in TMPDIR")
        ) from error


def answer() -> None:
    """What a measuring process does: rows from standard input, what is known of each to standard output."""
    answer_rows(
        lambda job, rows: (
            [row, dataclasses.asdict(photo), base64.b64encode(small).decode()]
            for row, photo, small in _measure_rows(Path(job["root"]), rows)
        )
    )
