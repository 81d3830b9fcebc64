"""What people bring as folders of photos: other names, one level too high, files that are no photos."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import olhar
from olhar.data_settings import DataSettings, SourceSettings
from olhar.datasets import PhotoFolder, open_source
from olhar.datasets.forms import archives
from olhar.datasets.name_labels import guess_rule
from olhar.datasets.part_folders import find_parts, part_of
from olhar.datasets.photo_files import LeftOut, walk_photos
from olhar.errors import (
    ChecksumError,
    ConfigError,
    DataError,
    ImageError,
    MissingExtraError,
    MissingFileError,
)
from olhar.images import open_header, read_image
from olhar.pipeline.inputs import source_of
from olhar.signatures import HAS_HEIF, image_format, pointer_of

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(500)


def photo(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (shade % 256, (7 * shade) % 256, 120)
    content = io.BytesIO()
    Image.new("RGB", (12, 10), colour).save(content, "PNG")
    path.write_bytes(content.getvalue())
    return path


def make(root: Path, layout: dict[str, int]) -> Path:
    """Photos in each folder, all different."""
    shade = 0
    for folder, count in layout.items():
        for index in range(count):
            shade += 1
            photo(root / folder / f"{index}.png", shade)
    return root


def scan(root: Path, **reading: object) -> PhotoFolder:
    folder = open_source(SourceSettings(str(root), **reading))  # type: ignore[arg-type]
    assert isinstance(folder, PhotoFolder)
    return folder


def said(folder: PhotoFolder) -> str:
    return "\n".join(map(str, folder.notes))


# Parts by other names


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("Train_data", "Test_data"),
        ("train-images", "test-images"),
        ("TrainSet", "TestSet"),
        ("train2017", "test2017"),
        ("seg_train", "seg_test"),
        ("treino", "teste"),
    ],
)
def test_parts_by_other_names_are_read_as_parts_and_said(
    train: str, test: str, tmp_path: Path
) -> None:
    layout = {f"{train}/cat": 4, f"{train}/dog": 4, f"{test}/cat": 2, f"{test}/dog": 2}
    folder = scan(make(tmp_path, layout))
    assert folder.class_names == ("cat", "dog")
    assert {part: len(rows) for part, rows in folder.parts.items()} == {"train": 8, "test": 4}
    assert f"{train}/ → train, {test}/ → test" in said(folder)


@pytest.mark.parametrize("val", ["dev", "valid", "validation_set"])
def test_validation_by_other_names(val: str, tmp_path: Path) -> None:
    folder = scan(make(tmp_path, {"train/a": 4, "train/b": 4, f"{val}/a": 2, f"{val}/b": 2}))
    assert set(folder.parts) == {"train", "val"}


def test_words_that_only_hold_a_parts_name_are_none() -> None:
    for name in ("protest", "trainer", "contest", "latest", "toy train", "cat", "images", "12"):
        assert part_of(name) == ""
    assert find_parts(["toy_train", "toy_car"]) == []
    assert find_parts(["train", "train_images"]) == [("train", "train"), ("train", "train_images")]


@given(st.text(max_size=30))
def test_any_name_has_at_most_one_part(name: str) -> None:
    assert part_of(name) in {"", "train", "val", "test"}


def test_a_test_without_labels_beside_a_labelled_train_is_named(tmp_path: Path) -> None:
    folder = scan(make(tmp_path, {"train/a": 4, "train/b": 4, "test1": 5}))
    assert set(folder.parts) == {"train"}
    assert "test1/ has no class folders with photos and is not used" in said(folder)
    inner = scan(make(tmp_path / "tiny", {"train/a": 4, "train/b": 4, "val/images": 3}))
    assert set(inner.parts) == {"train"}


def test_a_test_beside_classes_is_a_question(tmp_path: Path) -> None:
    make(tmp_path, {"cat": 4, "dog": 4, "test": 4})
    with pytest.raises(
        DataError, match=r"test/ beside class folders .cat/, dog/.*a part of the data"
    ):
        scan(tmp_path)


def test_a_train_beside_cars_is_a_class_and_that_is_said(tmp_path: Path) -> None:
    folder = scan(make(tmp_path, {"bus": 3, "car": 3, "train": 3}))
    assert folder.class_names == ("bus", "car", "train")
    assert "train/ is read as a class" in said(folder)


# One level too high, and copies


def test_a_folder_that_holds_the_folder(tmp_path: Path) -> None:
    layout = {
        "seg_train/seg_train/sea": 4,
        "seg_train/seg_train/street": 4,
        "seg_test/seg_test/sea": 2,
        "seg_test/seg_test/street": 2,
        "seg_pred/seg_pred": 3,
    }
    folder = scan(make(tmp_path / "intel", layout))
    assert folder.class_names == ("sea", "street")
    assert set(folder.parts) == {"train", "test"}
    assert folder.files[0] == "seg_train/seg_train/sea/0.png"
    assert "not used: seg_pred" in said(folder)
    make(tmp_path / "zoo", {"archive/zoo/cat": 4, "archive/zoo/dog": 4})
    deep = scan(tmp_path / "zoo")
    assert deep.class_names == ("cat", "dog")
    assert deep.path == tmp_path / "zoo"
    assert "the data is read from it: archive/zoo/" in said(deep)


def test_a_table_in_the_one_inner_folder_is_read(tmp_path: Path) -> None:
    make(tmp_path, {"pets/img": 6})
    rows = "".join(f"img/{n}.png,{'cat' if n % 2 else 'dog'}\n" for n in range(6))
    (tmp_path / "pets/metadata.csv").write_text(f"file_name,label\n{rows}")
    assert scan(tmp_path).class_names == ("cat", "dog")
    with pytest.raises(ConfigError, match="--distinct-classes is for folders of photos"):
        scan(tmp_path, distinct_classes=True)


def test_copies_of_one_set_side_by_side_are_refused(tmp_path: Path) -> None:
    tops = ("color", "grayscale", "segmented")
    make(tmp_path, {f"{top}/{name}": 3 for top in tops for name in ("apple", "corn", "grape")})
    with pytest.raises(DataError, match=r"color/, grayscale/, segmented/.*give one of them"):
        scan(tmp_path)
    assert scan(tmp_path / "color").class_names == ("apple", "corn", "grape")


def test_folds_are_no_classes_nor_are_masks(tmp_path: Path) -> None:
    make(tmp_path / "folds", {f"fold{n}/{name}": 3 for n in range(3) for name in ("cat", "dog")})
    with pytest.raises(DataError, match="pieces of one data set"):
        scan(tmp_path / "folds")
    with pytest.raises(DataError, match=r"images/ and masks/: masks or boxes of photos"):
        scan(make(tmp_path / "cells", {"images": 4, "masks": 4}))
    folder = scan(make(tmp_path / "kinds", {"photos": 4, "drawings": 4}))
    assert "photos/ is read as a class, although" in said(folder)


def test_a_table_beside_photos_is_named(tmp_path: Path) -> None:
    make(tmp_path, {"train": 4, "test": 4})
    (tmp_path / "train.csv").write_text("id,label\n0,cat\n")
    with pytest.raises(DataError, match=r"can be found in several ways: .*--photos FOLDER"):
        scan(tmp_path)


def test_parts_whose_classes_lie_a_level_deeper(tmp_path: Path) -> None:
    layout = {f"{part}/images/{name}": 3 for part in ("train", "val") for name in ("a", "b")}
    folder = scan(make(tmp_path, layout))
    assert folder.class_names == ("a", "b")
    assert set(folder.parts) == {"train", "val"}


def test_classes_that_hold_the_same_folders_are_classes_and_that_is_said(tmp_path: Path) -> None:
    tops = ("cat", "dog")
    folder = scan(make(tmp_path, {f"{top}/{name}": 3 for top in tops for name in ("in", "out")}))
    assert folder.class_names == tops
    assert "each holds the same folders (in, out)" in said(folder)


# Labels in the names of files

NAMES: dict[str, Callable[[str, int], str]] = {
    "dots": lambda label, n: f"{label}.{n}.jpg",
    "underscores": lambda label, n: f"{label}_{n}.JPEG",
    "brackets": lambda label, n: f"{label} ({n}).png",
    "nothing between": lambda label, n: f"{label}{n}.png",
    "number first": lambda label, n: f"{n:04d}-{label}.png",
    "a camera's word": lambda label, n: f"IMG_{n:04d}_{label}.png",
}


@pytest.mark.parametrize("way", NAMES)
def test_labels_in_names(way: str) -> None:
    labels = ("cat", "great_pyrenees", "n01440764x")
    names = {NAMES[way](label, n): label for label in labels for n in range(5)}
    rule = guess_rule(list(names))
    assert rule is not None
    assert {name: rule(name) for name in names} == names


@pytest.mark.parametrize(
    "names",
    [
        [f"{n}.jpg" for n in range(20)],
        [f"IMG_{n:04d}.JPG" for n in range(20)],
        [f"IMG_2024010{n % 3}_{n:06d}.jpg" for n in range(20)],
        [f"WhatsApp Image 2024-01-0{n % 3} at 10.00.{n}.jpeg" for n in range(20)],
        [],
    ],
)
def test_names_without_labels(names: list[str]) -> None:
    assert guess_rule(names) is None


@given(st.lists(st.text(max_size=12), max_size=12))
def test_a_rule_gives_every_photo_a_label(names: list[str]) -> None:
    rule = guess_rule(names)
    assert rule is None or all(map(rule, names))


def test_cats_and_dogs_by_name(tmp_path: Path) -> None:
    for n in range(6):
        photo(tmp_path / f"dvc/train/cat.{n}.jpg", n)
        photo(tmp_path / f"dvc/train/dog.{n}.jpg", 50 + n)
        photo(tmp_path / f"dvc/test1/{n}.jpg", 90 + n)
    for root in ("dvc", "dvc/train"):
        with pytest.raises(DataError, match=r"'cat' 6, 'dog' 6.*--labels-from name"):
            scan(tmp_path / root)
    folder = scan(tmp_path / "dvc", labels_from="name")
    assert folder.class_names == ("cat", "dog")
    assert {part: len(rows) for part, rows in folder.parts.items()} == {"train": 12}
    assert "labels from the names of files in" in said(folder)
    assert "'cat' 6, 'dog' 6" in said(folder)
    assert "test1/ has photos whose names show no labels" in said(folder)
    plain = scan(tmp_path / "dvc/train", labels_from="name")
    assert plain.labels.tolist() == [0] * 6 + [1] * 6
    with pytest.raises(DataError, match="show no labels; allowed: a label and a number"):
        scan(tmp_path / "dvc/test1", labels_from="name")
    with pytest.raises(ConfigError, match="--labels-from is for folders of photos"):
        open_source(SourceSettings("digits", labels_from="name"))


def test_a_run_keeps_how_its_data_is_read(tmp_path: Path) -> None:
    for n in range(4):
        photo(tmp_path / f"pets/cat.{n}.jpg", n)
        photo(tmp_path / f"pets/dog.{n}.jpg", 50 + n)
    made = make(tmp_path / "made", {"cat": 3, "dog": 3})
    name = str(tmp_path / "pets")
    table = DataSettings(name, labels_from="name").to_dict()
    assert table["labels_from"] == "name"
    assert "labels_from" not in DataSettings(name).to_dict()  # as in older runs
    assert len(open_source(source_of(table))) == 8
    assert len(open_source(source_of(table, str(made)))) == 6
    assert len(open_source(source_of(table, name, labels_from="name"))) == 8


def test_labels_from_names_through_the_command_line(tmp_path: Path) -> None:
    for n in range(6):
        photo(tmp_path / f"pets/cat.{n}.jpg", n)
        photo(tmp_path / f"pets/dog.{n}.jpg", 50 + n)
    words = ("--labels-from", "name")
    done = olhar("data", tmp_path / "pets", "--no-labels", *words)
    assert done.status == 0, done.err
    assert "cat  6" in done.out
    assert olhar("data", tmp_path / "pets", "--labels-from", "nmae").status == 2
    out = tmp_path / "out"
    assert (
        olhar(
            "data", "export", tmp_path / "pets", "--format", "folder", "--out", out, *words
        ).status
        == 0
    )
    assert sorted(one.name for one in out.iterdir()) == ["cat", "dog"]


# What is not used


def test_what_olhar_made_is_no_class(tmp_path: Path) -> None:
    root = make(tmp_path / "pets", {"cat": 3, "dog": 3, "runs/a": 2, "quarantine/files/cat": 1})
    (root / "runs/a/config.toml").write_text('format = 1\nolhar = "0.1.0"\n')
    (root / "quarantine/log.jsonl").write_text('{"format": 1, "from": "x", "to": "y"}\n')
    (root / "check.html").write_text("<html>")
    folder = scan(root)
    assert folder.class_names == ("cat", "dog")
    assert "runs" in said(folder) or "quarantine" in said(folder)
    (root / "runs/a/config.toml").write_text("something = 1\n")  # another program's
    assert "runs" in scan(root).class_names


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", ".ipynb_checkpoints"],
)
def test_what_systems_keep_is_no_class(name: str, tmp_path: Path) -> None:
    make(tmp_path, {"cat": 3, "dog": 3, name: 2, f"cat/{name}": 2})
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    folder = scan(tmp_path)
    assert folder.class_names == ("cat", "dog")
    assert (len(folder), folder.skipped, folder.notes) == (6, {}, ())


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_links_to_nowhere(tmp_path: Path) -> None:
    root = make(tmp_path, {"cat": 3, "dog": 3})
    for n in range(8):
        (root / "cat" / f"lost{n}.png").symlink_to("/nowhere/x")
    folder = scan(root)
    assert len(folder) == 6
    assert "8 file(s) are links to what is not here" in said(folder)
    assert "dvc pull" in said(folder)
    with pytest.raises(MissingFileError, match="is a link to /nowhere/x"):
        read_image(root / "cat" / "lost0.png")
    for n in range(3):
        (root / "cat" / f"{n}.png").unlink()
    with pytest.raises(DataError, match=r"without photos in .*: cat;.*8 .*links"):
        scan(root)


def test_pointers_of_git_lfs(tmp_path: Path) -> None:
    root = make(tmp_path, {"cat": 3, "dog": 3})
    (root / "cat" / "big.png").write_bytes(POINTER)
    assert pointer_of(POINTER) == "lfs"
    folder = scan(root)
    assert len(folder) == 6
    assert "1 file(s) are pointers of Git LFS (such as cat/big.png)" in said(folder)


# By content


ODD = ("{}", "{}.png?w=500", "{}.jpe", "{}.jpg!d", "{}.JPG_large", "{}.png.1")


def test_photos_without_a_known_ending_are_judged_by_content(tmp_path: Path) -> None:
    root = make(tmp_path, {"cat": 12, "dog": 12})
    for n in range(12):
        (root / f"cat/{n}.png").rename(root / "cat" / ODD[n % 6].format(n))
    (root / "cat" / "notes").write_text("no photo")
    folder = scan(root)
    assert len(folder) == 24
    assert folder.skipped == {"notes": 1}
    left = LeftOut()
    assert len(list(walk_photos(str(root / "cat"), "", left))) == 12


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF"])
def test_first_bytes_tell_what_pillow_writes(kind: str) -> None:
    out = io.BytesIO()
    try:
        Image.new("RGB", (9, 9), (1, 2, 3)).save(out, kind)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {kind}")
    assert image_format(out.getvalue()[:64]) == kind


@given(st.binary(max_size=64))
def test_any_first_bytes(head: bytes) -> None:
    assert image_format(head) in {
        *("", "JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "HEIF"),
    }


def test_raw_files_of_cameras_are_no_tiffs(tmp_path: Path) -> None:
    root = make(tmp_path, {"cat": 3, "dog": 3})
    Image.new("RGB", (9, 9)).save(root / "cat" / "x.tif")
    (root / "cat" / "x.tif").rename(root / "cat" / "x.NEF")
    folder = scan(root)
    assert len(folder) == 6
    assert "1 raw file(s) of cameras" in said(folder)


def test_predict_says_what_it_leaves_out(digits_run: Path, tmp_path: Path) -> None:
    root = make(tmp_path, {"cat": 6})
    for n in range(3):
        (root / f"cat/{n}.png").rename(root / "cat" / ODD[n].format(n))
    (root / "cat/read.me").write_text("no photo")
    (root / "cat/big.png").write_bytes(POINTER)
    done = olhar("predict", digits_run, root / "cat")
    assert done.status == 0, done.err
    assert len(done.out.splitlines()) == 6
    assert "1 other file(s) are no photos" in done.err
    assert "pointers of Git LFS" in done.err


# HEIC


def test_heic_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from olhar import images, signatures, unreadable
    from olhar.datasets import photo_files

    known = photo_files.IMAGE_SUFFIXES - {".heic", ".heif", ".hif"}
    monkeypatch.setattr(photo_files, "IMAGE_SUFFIXES", known)
    for module in (images, signatures, unreadable):
        monkeypatch.setattr(module, "HAS_HEIF", False)
    root = make(tmp_path, {"cat": 3, "dog": 3})
    for n in range(20):
        (root / "cat" / f"IMG_{n}.HEIC").write_bytes(HEIC)
    (root / "cat" / "IMG_20").write_bytes(HEIC)
    folder = scan(root)
    assert (len(folder), folder.skipped) == (6, {})
    assert (
        '21 HEIC photo(s), as phones make them, are not read; to read them: pip install "olhar'
        in (said(folder))
    )
    with pytest.raises(ImageError, match=r"is a HEIC photo.*olhar\[photos\]"):
        read_image(root / "cat" / "IMG_0.HEIC")


@pytest.mark.skipif(not HAS_HEIF, reason="needs olhar[photos]")
def test_heic_is_read_and_turned_once(tmp_path: Path) -> None:
    import pillow_heif

    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :32] = (255, 0, 0)  # red at the top left
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    pillow_heif.register_heif_opener()
    image.save(tmp_path / "a.heic", exif=exif.tobytes(), quality=95)
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    heic, jpeg = read_image(tmp_path / "a.heic"), read_image(tmp_path / "a.jpg")
    assert heic.shape == jpeg.shape == (64, 48, 3)
    assert np.abs(heic.astype(int) - jpeg).mean() < 4
    with open_header(tmp_path / "a.heic") as header:
        assert header.format == "HEIF"
    root = make(tmp_path / "pets", {"cat": 3, "dog": 3})
    (root / "cat" / "IMG_1.HEIC").write_bytes((tmp_path / "a.heic").read_bytes())
    folder = scan(root)
    assert len(folder) == 7
    assert folder.notes == ()


# Bits, bands and pages


def png16(values: np.ndarray, extra: bytes = b"") -> bytes:
    """A 16-bit PNG, grey (H, W) or RGB (H, W, 3)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width = values.shape[:2]
    colour = 2 if values.ndim == 3 else 0
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + extra + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("highest", "shift"),
    [
        (200, 0),
        (255, 0),
        (256, 2),
        (1023, 2),
        (1024, 4),
        (4095, 4),
        (4096, 6),
        (16383, 6),
        (16384, 8),
    ],
)
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_sixteen_bits_of_which_fewer_are_used(
    highest: int, shift: int, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).integers(0, highest + 1, shape).astype(np.uint16)
    values[0, 0] = highest
    read = read_image(png16(values))
    np.testing.assert_array_equal(read.reshape(shape), values >> shift)
    if len(shape) == 2:
        out = io.BytesIO()
        Image.fromarray(values).save(out, "TIFF")
        np.testing.assert_array_equal(read_image(out.getvalue()), read)


def test_a_file_that_says_how_many_bits_it_has_is_believed() -> None:
    values = np.array([[100, 900]], np.uint16)
    body = b"sBIT" + bytes([12])
    significant = struct.pack(">I", 1) + body + struct.pack(">I", zlib.crc32(body))
    np.testing.assert_array_equal(read_image(png16(values, significant))[0, :, 0], [6, 56])
    out = io.BytesIO()
    Image.fromarray(values).save(out, "TIFF", tiffinfo={281: 4095})
    np.testing.assert_array_equal(read_image(out.getvalue())[0, :, 0], [6, 56])


def test_bits_and_pages_are_said_once(tmp_path: Path) -> None:
    for n in range(6):
        values = np.full((8, 8), 1000 + n, np.uint16)
        for name in "ab":
            path = tmp_path / name / f"{n}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(png16(values + ord(name)))
    assert "photos of 16 bits use 12 of them, and are read so (12 of 12 looked at)" in said(
        scan(tmp_path)
    )
    (tmp_path / "a" / "dark.png").write_bytes(png16(np.full((8, 8), 900, np.uint16)))
    assert "use different numbers of them" in said(scan(tmp_path))
    assert "10 bits: 1, 12 bits: 12, of 13" in said(scan(tmp_path))
    pages = [Image.new("L", (8, 8), shade) for shade in (10, 20, 30)]
    pages[0].save(tmp_path / "a" / "x.tif", save_all=True, append_images=pages[1:])
    assert "photos of several pages or frames, such as a/x.tif" in said(scan(tmp_path))


def tiff(bands: int) -> bytes:
    """A TIFF of 4 × 4 grey pixels with other bands beside, uncompressed."""
    tags = {256: (1, 4), 257: (1, 4), 258: (2, 8 | 8 << 16), 259: (1, 1), 262: (1, 1)}
    tags |= {273: (1, 200), 277: (1, bands), 278: (1, 4), 279: (1, 16 * bands), 338: (1, 0)}
    entries = b"".join(struct.pack("<HHII", tag, 3, *value) for tag, value in sorted(tags.items()))
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + bytes(16 * bands)


@pytest.mark.parametrize("bands", [2, 13])
def test_bands_are_refused_as_bands(bands: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageError, match=f"has {bands} bands, and a photo has 1, 3 or 4"):
        read_image(tiff(bands), name="x.tif")
    assert capfd.readouterr().err == ""


# Archives


def zipped(path: Path, names: list[str], code_page: str = "") -> Path:
    class Info(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:
            if not code_page:
                return super()._encodeFilenameFlags()  # type: ignore[misc,no-any-return]
            return self.filename.encode(code_page), self.flag_bits

    with zipfile.ZipFile(path, "w") as archive:
        for n, name in enumerate(names):
            out = io.BytesIO()
            Image.new("RGB", (8, 8), (n, 9, 9)).save(out, "PNG")
            archive.writestr(Info(name), out.getvalue())
    return path


@pytest.mark.parametrize("code_page", ["cp850", "utf-8", "cp437", ""])
def test_accents_in_zips(code_page: str, tmp_path: Path) -> None:
    classes = ("açúcar", "über") if code_page == "cp437" else ("avião", "cão")
    names = [f"pets/{name}/{n}.png" for name in classes for n in range(3)]
    assert scan(zipped(tmp_path / "x.zip", names, code_page)).class_names == classes


def test_a_code_page_that_nobody_tells_is_refused(tmp_path: Path) -> None:
    names = [f"{name}/{n}.png" for name in ("собака", "кошка") for n in range(3)]
    with pytest.raises(DataError, match="code page that the archive does not tell"):
        scan(zipped(tmp_path / "x.zip", names, "cp866"))


def test_a_method_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", ["a/1.png", "b/1.png"])
    content = path.read_bytes()
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        parts = content.split(mark)
        content = mark.join(
            [parts[0], *(p[: place - 4] + b"\x62\0" + p[place - 2 :] for p in parts[1:])]
        )
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"PPMd.*7-Zip, and give the folder"):
        open_source(str(path))


def deflate64(path: Path, files: dict[str, bytes]) -> Path:
    """A zip as Windows makes it of more than 2 GB."""
    from inflate64 import Deflater

    body, directory = b"", b""
    for name, content in files.items():
        deflater = Deflater()
        packed = deflater.deflate(content) + deflater.flush()
        sizes = (zlib.crc32(content), len(packed), len(content), len(name), 0)
        made = (21, 0, 9, 0, 33)  # version, flags, method, time, date
        directory += b"PK\1\2" + struct.pack("<6H3I5H2I", 21, *made, *sizes, 0, 0, 0, 0, len(body))
        directory += name.encode()
        body += b"PK\3\4" + struct.pack("<5H3I2H", *made, *sizes) + name.encode() + packed
    end = struct.pack("<4H2IH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + end)
    return path


def test_what_windows_packs_by_deflate64_is_read(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files, pixels = {}, []
    for n in range(4):
        image = random.integers(0, 256, (60, 60, 3), np.uint8).repeat(3, axis=1)
        out = io.BytesIO()
        Image.fromarray(image).save(out, "BMP")
        files[f"pets/{'ab'[n // 2]}/{n}.bmp"] = out.getvalue()
        pixels.append(image)
    photos = scan(deflate64(tmp_path / "x.zip", files))
    assert photos.class_names == ("a", "b")
    for file, image in zip(photos.files, pixels, strict=True):
        assert np.array_equal(read_image(photos.path / file), image)
    damaged = bytearray((tmp_path / "x.zip").read_bytes())
    damaged[len(damaged) // 3] ^= 1
    (tmp_path / "y.zip").write_bytes(damaged)
    with pytest.raises(ChecksumError, match="copy or download it again"):
        open_source(str(tmp_path / "y.zip"))


def test_without_the_library_deflate64_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = deflate64(tmp_path / "x.zip", {"a/1.png": b"1", "b/1.png": b"2"})
    monkeypatch.setattr(archives, "_METHODS", archives._METHODS - {9})
    with pytest.raises(MissingExtraError, match=r"olhar\[photos\].*7-Zip, and give the folder"):
        open_source(str(path))


@pytest.mark.skipif(sys.platform != "linux", reason="such names are not possible there")
def test_names_that_windows_forbids_are_read_as_in_a_folder(tmp_path: Path) -> None:
    for classes in (
        ("Acer rubrum", "Acer sp."),
        ("Tomato: healthy", "Tomato: ill"),
        ("aux", "con"),
    ):
        names = [f"plants/{name}/{n}.png" for name in classes for n in range(3)]
        assert scan(zipped(tmp_path / f"{classes[1][:3]}.zip", names)).class_names == classes
    both = [f"{name}/{one}" for name in "ab" for one in ("IMG_1.png", "img_1.png", "2.png")]
    assert len(scan(zipped(tmp_path / "case.zip", both))) == 6
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(tmp_path / "twice.zip", ["a/1.png", "a/1.png", "b/1.png"])
    with pytest.raises(DataError, match="it is there twice"):
        scan(twice)
    for names in (["a", "a/1.png"], ["a/1.png", "a"]):
        with pytest.raises(DataError, match="another file or folder has that name"):
            scan(zipped(tmp_path / f"{names[0][:1]}{len(names[0])}.zip", names))


# Classes that differ by case only


def test_classes_that_differ_by_case_may_be_two(tmp_path: Path) -> None:
    layout = {"train/A": 4, "train/a": 4, "test/A": 2, "test/a": 2}
    make(tmp_path, layout)
    if len(list((tmp_path / "train").iterdir())) < 2:
        pytest.skip("this file system does not tell case apart")
    with pytest.raises(DataError, match=r"'A' and 'a'.*--distinct-classes"):
        scan(tmp_path)
    folder = scan(tmp_path, distinct_classes=True)
    assert folder.class_names == ("A", "a")
    assert np.bincount(folder.labels).tolist() == [6, 6]
    table = DataSettings(str(tmp_path), distinct_classes=True).to_dict()
    other = make(tmp_path / "other", {"A": 3, "a": 3})
    assert open_source(source_of(table, str(other))).class_names == ("A", "a")
