"""Images and labels as NumPy arrays: an .npz file, or a folder with .npy files.

    images.npy, labels.npy                    one pool (as `olhar data pull` makes it, with meta.json)
    x_train, y_train, x_test, y_test          as Keras has it; also x_val, y_val
    train_images, train_labels, …             as MedMNIST has it
    class_names                               texts, in index order
    arr_0, arr_1                              one pool, as np.savez(FILE, images, labels) makes it

Also a folder of .npz files, whose names say what is in each (kmnist-train-imgs.npz).

No pickle is read: an array of Python objects is refused.
"""

from __future__ import annotations

import dataclasses
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.datasets.cache import CacheEntry, allocate_images, entry_of
from olhar.datasets.dataset import PARTS, Dataset
from olhar.datasets.forms.array_labels import index_labels, texts, wrong
from olhar.datasets.forms.rows import listed
from olhar.datasets.forms.shards import read_json
from olhar.datasets.layout import PART_NAMES, is_hidden, is_photo
from olhar.depth import spread_one_bit, uint16_to_uint8
from olhar.errors import DataError, OlharError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import _
from olhar.images import array_to_image
from olhar.progress import Progress

_IMAGES = ("x", "images", "image", "imgs", "img", "data")
_LABELS = ("y", "labels", "label", "targets", "target")
_CLASSES = ("class_names", "classes", "label_names", "names")
_PART = "|".join(PART_NAMES)
_KEY = re.compile(
    rf"(?:(?P<before>{_PART})_)?(?P<what>{'|'.join((*_IMAGES, *_LABELS))})(?:_(?P<after>{_PART}))?"
)
_META = "meta.json"
_MOST_NAMED = 5
_ROWS_AT_ONCE = 1024

Arrays = Mapping[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class _Pool:
    """Images and labels by part, "" where they are not divided, and class names, () if not given."""

    images: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[Any]]
    class_names: tuple[str, ...]


def holds_arrays(folder: Path) -> bool:
    """Whether a folder has .npy files by the names of images and of labels."""
    found = [_KEY.fullmatch(file.stem.lower()) for file in folder.glob("*.npy") if file.is_file()]
    kinds = {match["what"] in _IMAGES for match in found if match}
    return kinds == {True, False}


def open_npz(name: str, path: Path, progress: Progress) -> Dataset:
    """The images and labels of an .npz file, brought into the cache once.

    Pixels are whole numbers from 0 to 255, bool, uint16, or floats from 0 to 1 or 0 to 255; images
    (N, H, W), (N, H, W, C) or (N, C, H, W), C 1, 3 or 4. Labels are indices, texts, or one-hot rows.

    Args:
        name: what to call it.
        path: of the file.
        progress: hears that it is read.

    Raises:
        DataError: arrays are missing, hold Python objects, or do not fit each other.
        StorageError: the disk is full.
    """

    def read() -> Iterator[Arrays]:
        # Opened here: NumPy would leave a damaged file open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError(str(_("one array alone")))
            yield _named(file)

    return _open(name, path, [path], contextmanager(read), progress)


def holds_npz(folder: Path) -> bool:
    """Whether a folder has .npz files, and neither folders nor photos."""
    there = [path for path in folder.iterdir() if not is_hidden(path.name)]
    others = any(path.is_dir() or is_photo(path.name) for path in there)
    return not others and any(path.suffix.lower() == ".npz" for path in there)


def open_npz_folder(name: str, root: Path, progress: Progress) -> Dataset:
    """The same of a folder of .npz files, whose names say what is in them: kmnist-train-imgs.npz.

    A file has one array, or images and labels of a part (train.npz).

    Raises:
        DataError: names that do not say which array is what.
        StorageError: the disk is full.
    """
    files = sorted(file for file in root.iterdir() if file.suffix.lower() == ".npz")
    if len(files) == 1:
        return open_npz(name, files[0], progress)

    def read() -> Iterator[Arrays]:
        with ExitStack() as stack:
            found: dict[str, NDArray[Any]] = {}
            for file in files:
                opened = np.load(stack.enter_context(file.open("rb")), allow_pickle=False)
                arrays = _named(stack.enter_context(opened))
                for key in arrays:
                    called = _meaning(file.stem if len(arrays) == 1 else f"{file.stem}_{key}")
                    if called in found:
                        raise wrong(name, _("array {key} means the same as another", key=file.name))
                    if called:
                        found[called] = arrays[key]
            if not found:
                names = ", ".join(file.name for file in files[:_MOST_NAMED])
                raise wrong(
                    name, _("the names of its files do not say what they are: {names}", names=names)
                )
            yield found

    return _open(name, root, files, contextmanager(read), progress)


def _named(file: Mapping[str, NDArray[Any]]) -> Arrays:
    """The arrays of an .npz file; of np.savez(FILE, images, labels) with their names.

    Unnamed are exactly two arrays, of which one has three or four dimensions, the other one or two, and
    both the same length.
    """
    if set(file) != {"arr_0", "arr_1"}:
        return file
    images, labels = sorted((file["arr_0"], file["arr_1"]), key=lambda array: -array.ndim)
    fit = images.ndim in {3, 4} and labels.ndim in {1, 2} and len(images) == len(labels)
    return {"images": images, "labels": labels} if fit else file


def _meaning(name: str) -> str:
    """What an array is by the name of its file, as a key: "x_train"; "" where it does not say.

    What stands before is the name of the data: kmnist-train-imgs.
    """
    words = re.split(r"[-_. ]+", name.lower())
    known = [word in _IMAGES or word in _LABELS or word in PART_NAMES for word in words]
    said = words[known.index(True) :] if True in known else []
    what = [word for word in said if word in _IMAGES or word in _LABELS]
    part = [PART_NAMES[word] for word in said if word in PART_NAMES]
    if len(what) != 1 or len(part) > 1 or len(said) != len(what) + len(part):
        return ""
    return "_".join(["x" if what[0] in _IMAGES else "y", *part])


def open_array_folder(name: str, root: Path, progress: Progress) -> Dataset:
    """The same of a folder with a .npy file for each array; they are read as memory maps.

    Raises:
        DataError: arrays are missing, hold Python objects, or do not fit each other.
        StorageError: the disk is full.
    """
    files = sorted(file for file in root.glob("*.npy") if _is_wanted(file.stem) and file.is_file())
    meta = [root / _META] if (root / _META).is_file() else []

    def read() -> Iterator[Arrays]:
        arrays = {file.stem: np.load(file, mmap_mode="r", allow_pickle=False) for file in files}
        yield _divided(arrays, read_json(meta[0])) if meta else arrays

    return _open(name, root, [*files, *meta], contextmanager(read), progress)


def _divided(arrays: dict[str, NDArray[Any]], meta: Mapping[str, Any]) -> Arrays:
    """The pool that `olhar data pull` makes, cut into its parts."""
    found = {**arrays, "class_names": np.array(list(map(str, meta["class_names"])))}
    images, labels, start = found.pop("images"), found.pop("labels"), 0
    if sum(meta["parts"].values()) not in {0, len(labels)}:
        raise ValueError(_META)
    for part, size in (meta["parts"] or {"": len(labels)}).items():
        end = f"_{part}" if part else ""
        found[f"x{end}"], found[f"y{end}"] = (
            images[start : start + size],
            labels[start : start + size],
        )
        start += size
    return found


def _is_wanted(key: str) -> bool:
    return key.lower() in _CLASSES or _KEY.fullmatch(key.lower()) is not None


def _open(name: str, place: Path, files: Sequence[Path], read: Any, progress: Progress) -> Dataset:
    """The data set, from the cache or through it."""
    with explain_os_errors(name):
        facts = [(str(file), file.stat()) for file in files]
    stamps = [(f, s.st_size, change_mark(s)) for f, s in facts]

    def fill(folder: Path) -> CacheEntry:
        with read() as arrays:
            return _fill(name, _sort_out(name, arrays), folder)

    with _explain(name):
        return entry_of("arrays", place, stamps, fill, progress).as_dataset(name)


@contextmanager
def _explain(name: str) -> Iterator[None]:
    """Tell what NumPy raises about its files."""
    with explain_os_errors(name):
        try:
            yield
        except OlharError:
            raise
        except (
            *(ValueError, TypeError, LookupError, AttributeError, EOFError, SyntaxError),
            *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, NotImplementedError),
            MemoryError,
        ) as error:
            if "allow_pickle" in str(error) or "Object arrays" in str(error):
                raise DataError(
                    _(
                        "'{path}' holds Python objects, which are not read, for they can run programs; "
                        "save images of one size as an array of numbers",
                        path=name,
                    )
                ) from error
            raise DataError(
                _(
                    "'{path}' cannot be read as NumPy arrays ({reason}); save it again",
                    path=name,
                    reason=str(error).partition("\n")[0] or type(error).__name__,
                )
            ) from error


def _sort_out(name: str, arrays: Arrays) -> _Pool:
    """Which array is what."""
    pool = _Pool({}, {}, texts(next((arrays[k] for k in arrays if k.lower() in _CLASSES), None)))
    for key in arrays:
        match = _KEY.fullmatch(key.lower())
        if match is None:
            continue
        part = PART_NAMES.get(match["before"] or match["after"] or "", "")
        slot = pool.images if match["what"] in _IMAGES else pool.labels
        if part in slot or (match["before"] and match["after"]):
            raise wrong(name, _("array {key} means the same as another", key=key))
        slot[part] = arrays[key]
    parts = set(pool.images)
    if not parts or parts != set(pool.labels):
        raise wrong(name, _("it has the arrays {given}", given=listed(arrays) or "-"))
    if parts != {""} and ("train" not in parts or "" in parts):
        raise wrong(name, _("it has parts, but not all with their names, or no train"))
    return pool


def _fill(name: str, pool: _Pool, folder: Path) -> CacheEntry:
    """Fill a cache entry: images to (N, H, W, C) uint8, labels to indices."""
    parts = [part for part in ("", *PARTS) if part in pool.images]
    images = {part: _channels_last(name, pool.images[part]) for part in parts}
    shapes = {array.shape[1:] for array in images.values()}
    if len(shapes) > 1:
        raise wrong(name, _("its images are of several sizes, {sizes}", sizes=shapes))
    for part in parts:
        if len(images[part]) != len(pool.labels[part]):
            problem = _(
                "it has {images} images and {labels} labels{part}",
                images=len(images[part]),
                labels=len(pool.labels[part]),
                part=f" ({part})" if part else "",
            )
            raise wrong(name, problem)
    class_names, labels = index_labels(
        name, [pool.labels[part] for part in parts], pool.class_names
    )
    scale = _scale(name, list(images.values()))
    height, width, channels = next(iter(shapes))
    shape = (len(labels), height, width, 3 if channels == 4 else channels)
    out, row = allocate_images(folder, shape), 0
    for array in images.values():
        for start in range(0, len(array), _ROWS_AT_ONCE):
            some = _to_uint8(array[start : start + _ROWS_AT_ONCE], scale)  # (n, H, W, C) uint8
            out[row : row + len(some)] = _on_white(some) if channels == 4 else some
            row += len(some)
    sizes = {} if parts == [""] else {part: len(images[part]) for part in parts}
    return CacheEntry(out, labels, class_names, sizes)


def _channels_last(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W), (N, C, H, W) or (N, H, W, C) → (N, H, W, C)."""
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim == 4 and array.shape[3] not in {1, 3, 4} and array.shape[1] in {1, 3, 4}:
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in {1, 3, 4} or not array.size:
        raise DataError(
            _(
                "images of shape {shape} in '{path}' cannot be used; allowed: (images, height, width), "
                "or with 1, 3 or 4 channels after that, or before height",
                shape=array.shape,
                path=name,
            )
        )
    return array


def _scale(name: str, arrays: Sequence[NDArray[Any]]) -> float:
    """What brings the pixels of all parts to 0..255: 1 or 255; 1 too where each image tells (depth)."""
    kind = {array.dtype.kind for array in arrays}
    if kind == {"b"}:
        return 255.0
    if not kind <= set("uif") or len(kind) > 1:
        raise _no_pixels(name, arrays[0].dtype)
    if all(array.dtype.kind == "u" and array.dtype.itemsize <= 2 for array in arrays):
        return 1.0
    low = min(_extreme(array, np.min) for array in arrays)
    high = max(_extreme(array, np.max) for array in arrays)
    if low >= 0 and high <= 1:
        return 255.0
    if low >= 0 and high <= 255:
        return 1.0
    raise DataError(
        _(
            "pixels in '{path}' go from {low} to {high}; allowed: 0 to 255, or floats from 0 to 1: undo "
            "what was done to them (such as normalisation), olhar does it by itself",
            path=name,
            low=low,
            high=high,
        )
    )


def _no_pixels(name: str, kind: np.dtype[Any]) -> DataError:
    return DataError(
        _(
            "pixels of type {given} in '{path}' cannot be used; allowed: whole numbers from 0 to 255, "
            "floats from 0 to 1 or 0 to 255",
            given=str(kind),
            path=name,
        )
    )


def _extreme(array: NDArray[Any], which: Any) -> float:
    """The least or greatest pixel, read in pieces; NaN where there is one."""
    rows = range(0, len(array), _ROWS_AT_ONCE)
    return float(which([which(array[start : start + _ROWS_AT_ONCE]) for start in rows]))


def _to_uint8(some: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    if some.dtype.kind == "u" and some.dtype.itemsize == 2:
        return np.stack([uint16_to_uint8(image) for image in some])
    if scale != 1 or some.dtype.kind == "f":
        some = np.rint(some.astype(np.float32) * scale)
    return np.stack([spread_one_bit(image) for image in some.astype(np.uint8)])


def _on_white(some: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA → RGB, as images.read_image does it."""
    made: NDArray[np.uint8] = np.stack([array_to_image(image) for image in some])
    return made
