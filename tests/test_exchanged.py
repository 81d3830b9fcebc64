"""Files whose content was exchanged while size and time stayed are read anew."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import olhar as package
from olhar.datasets import open_source, prepare_dataset
from olhar.files import change_mark
from olhar.preprocess import Framing
from olhar.progress import Progress

COUNT = 4

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows notes no change")


def save(path: Path, shade: int) -> None:
    """A photo of one shade; files of one form are equally large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (shade, shade, shade)).save(path)


def folder(root: Path, bright: int) -> Path:
    """Class a is as bright as is said, b the opposite."""
    for number in range(COUNT):
        save(root / "a" / f"{number}.bmp", bright)
        save(root / "b" / f"{number}.bmp", 250 - bright)
    return root


def table(root: Path, bright: int) -> Path:
    """The same photos, listed."""
    folder(root / "photos", bright)
    rows = [f"photos/{label}/{number}.bmp,{label}" for label in "ab" for number in range(COUNT)]
    (root / "list.csv").write_text("\n".join(["file,label", *rows]))
    return root / "list.csv"


def archive(root: Path, bright: int) -> Path:
    """The same photos, packed but not made smaller."""
    folder(root / "photos", bright)
    with zipfile.ZipFile(root / "photos.zip", "w") as packed:
        for photo in sorted((root / "photos").rglob("*.bmp")):
            packed.write(photo, photo.relative_to(root / "photos"))
    shutil.rmtree(root / "photos")
    return root / "photos.zip"


def arrays(root: Path, bright: int) -> Path:
    """The same as arrays."""
    root.mkdir(parents=True, exist_ok=True)
    labels = np.arange(2 * COUNT) % 2
    shades = np.where(labels == 0, bright, 250 - bright).astype(np.uint8)
    images = np.repeat(shades, 32 * 32 * 3).reshape(-1, 32, 32, 3)
    np.savez(root / "data.npz", images=images, labels=labels)
    return root / "data.npz"


def content(data: Path) -> tuple[str, float]:
    """The fingerprint, and how bright class a is."""
    dataset = prepare_dataset(open_source(str(data)), Framing(32, 1), Progress())
    return dataset.fingerprint, float(dataset.images[dataset.labels == 0].mean())


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("make", [folder, table, archive, arrays])
@pytest.mark.parametrize("by_name", [False, True])
def test_what_was_exchanged_with_its_times_kept_is_read_anew(
    tmp_path: Path, make: Callable[[Path, int], Path], by_name: bool
) -> None:
    data, other = make(tmp_path / "data", 200), make(tmp_path / "other", 50)
    before, bright = content(data)
    assert content(data) == (before, bright)
    pairs = [(data, other)]
    if make is folder or make is table:
        root, elsewhere = tmp_path / "data", tmp_path / "other"
        photos = sorted(root.rglob("*.bmp"))
        pairs = [(photo, elsewhere / photo.relative_to(root)) for photo in photos]
    for mine, theirs in pairs:
        kept = mine.stat()
        os.utime(theirs, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        if by_name:
            theirs.rename(mine)
        else:
            mine.write_bytes(theirs.read_bytes())
        os.utime(mine, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        assert (mine.stat().st_size, mine.stat().st_mtime_ns) == (kept.st_size, kept.st_mtime_ns)
    after, dark = content(data)
    assert after != before
    assert (bright, dark) == pytest.approx((200, 50), abs=1)


def test_a_copy_that_keeps_its_time_is_another_change(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    shutil.copy2(tmp_path / "a", tmp_path / "b")
    marks = {change_mark((tmp_path / name).stat()) for name in "ab"}
    assert len(marks) == 2
    assert all(0 <= mark < 2**63 for mark in marks)


def test_a_served_model_that_was_exchanged_is_noticed(digits_run: Path, tmp_path: Path) -> None:
    from olhar.serving.reload import folder_signature

    shutil.copytree(digits_run / "model", tmp_path / "model")
    before = folder_signature(tmp_path / "model")
    shutil.copy2(digits_run / "model" / "model.onnx", tmp_path / "model" / "model.onnx")
    assert folder_signature(tmp_path / "model") != before
    assert package.load(tmp_path / "model").class_names
