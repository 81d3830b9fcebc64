"""The photo sets that benchmarks/photos.py measures, each as train/CLASS/ and test/CLASS/."""

from __future__ import annotations

import hashlib
import random
import shutil
import tarfile
import tempfile
from pathlib import Path

from olhar.files import folder_aside

# Folders or tar files below OLHAR_DATA.
SETS = {
    "hymenoptera": "hymenoptera_data",
    "sign-digits": "sets/sign-digits.tar",
    "trash": "sets/trash.tar",
    "shapes": "sets/shapes.tar",
    "flowers5": "sets/flowers5.tar",
    "coil20-mini": "sets/coil20-mini.tar",
}
PHOTOS = {".jpg", ".jpeg", ".png"}
TRAIN_SHARE, SEED = 0.7, 0


def find_set(name: str, data: Path, work: Path) -> Path:
    """A set's folder: `name` itself where it has train/ and test/, else made once below `work`.

    Raises:
        FileNotFoundError: it is not there.
    """
    if name not in SETS:
        return Path(name)
    folder = work / "sets" / name
    if not folder.is_dir():
        source = data / SETS[name]
        if not source.exists():
            raise FileNotFoundError(f"{source} is not there; OLHAR_DATA names the folder of it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_aside(folder) as aside:
            if source.is_dir():
                lay_out(source, aside)
            else:
                with tempfile.TemporaryDirectory(dir=folder.parent) as unpacked:
                    with tarfile.open(source) as tar:
                        tar.extractall(unpacked, filter="data")
                    lay_out(Path(unpacked) / name, aside)
    return folder


def lay_out(source: Path, target: Path) -> None:
    """Copies photos to train/ and test/: as the set has it, its val/ for a test/, else divided."""
    if (source / "train").is_dir():
        test = source / ("test" if (source / "test").is_dir() else "val")
        parts = {"train": list_photos(source / "train"), "test": list_photos(test)}
    else:
        parts = divide(list_photos(source))
    for part, photos in parts.items():
        for photo in photos:
            place = target / part / photo.parent.name / photo.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, place)


def divide(photos: list[Path], seed: int = SEED) -> dict[str, list[Path]]:
    """Of every class the same share to train and to test on, drawn by the names alone."""
    parts: dict[str, list[Path]] = {"train": [], "test": []}
    for name in sorted({photo.parent.name for photo in photos}):
        members = sorted(photo for photo in photos if photo.parent.name == name)
        random.Random(f"{seed}/{name}").shuffle(members)  # the same on every machine
        count = round(TRAIN_SHARE * len(members))
        parts["train"] += members[:count]
        parts["test"] += members[count:]
    return parts


def list_photos(folder: Path) -> list[Path]:
    """The photos of CLASS/ folders, sorted."""
    return sorted(path for path in folder.glob("*/*") if path.suffix.lower() in PHOTOS)


def fingerprint(folder: Path) -> str:
    """Of the names and bytes of all photos: results of other photos are not put beside these."""
    whole = hashlib.sha256()
    for part in ("train", "test"):
        for photo in list_photos(folder / part):
            whole.update(f"{photo.relative_to(folder).as_posix()}\n".encode())
            whole.update(hashlib.sha256(photo.read_bytes()).digest())
    return whole.hexdigest()
