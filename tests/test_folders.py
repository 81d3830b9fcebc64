"""Folders of photos: layouts, decoding, bad input, and the whole way through training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import DATA, needs_data, olhar
from olhar.cache_place import cache_folder
from olhar.datasets import PhotoFolder, decode, describe_dataset, open_source, prepare_dataset
from olhar.datasets.part_folders import is_filler, part_of
from olhar.datasets.photo_files import is_hidden
from olhar.datasets.splits import split_dataset
from olhar.errors import DataError, MissingFileError, UnknownNameError
from olhar.i18n import Text
from olhar.preprocess import Preprocess
from olhar.progress import Progress

LOOK = Preprocess(16, 3, (0.0,) * 3, (1.0,) * 3)


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: Text) -> None:
        self.said.append(str(text))


def photo(path: Path, shade: int = 0, size: tuple[int, int] = (24, 20)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade % 256, 80, 120)).save(path)
    return path


def make(root: Path, layout: dict[str, int]) -> Path:
    """Photos in each class's folder, all different."""
    shade = 0
    for folder, count in layout.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            shade += 1
            photo(root / folder / f"{index}.png", shade)
    return root


def scan(root: Path) -> PhotoFolder:
    folder = open_source(str(root))
    assert isinstance(folder, PhotoFolder)
    return folder


# Layouts


def test_a_flat_folder(tmp_path: Path) -> None:
    folder = scan(make(tmp_path, {"dog": 4, "cat": 3, ".hidden": 2, "__MACOSX": 1}))
    assert folder.class_names == ("cat", "dog")
    assert folder.files[:4] == ("cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png")
    assert folder.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert folder.parts == {}
    assert folder.image_shape == (3, 20, 24)
    assert split_dataset(folder).sizes() == {"train": 3, "val": 2, "test": 2}


@pytest.mark.parametrize("val", ["val", "Valid", "VALIDATION"])
def test_three_parts_with_classes_matched_by_name(tmp_path: Path, val: str) -> None:
    layout = {"Train/cervo": 4, "Train/car": 3, f"{val}/automóvel": 2, f"{val}/veado": 1}
    folder = scan(make(tmp_path, {**layout, "test/Deer": 2, "test/CAR": 1}))
    assert folder.class_names == ("car", "cervo")
    assert {part: folder.labels[rows].tolist() for part, rows in folder.parts.items()} == {
        "train": [0, 0, 0, 1, 1, 1, 1],
        "val": [0, 0, 1],
        "test": [0, 1, 1],
    }
    dataset = prepare_dataset(folder, LOOK, Progress())
    assert split_dataset(dataset).sizes() == {"train": 7, "val": 3, "test": 3}
    assert dataset.item_name(0) == "Train/car/0.png"


def test_a_lone_val_is_the_test_and_one_sentence_says_so(tmp_path: Path) -> None:
    notes = Notes()
    root = make(tmp_path, {"train/a": 6, "train/b": 6, "valid/a": 2, "valid/b": 2})
    dataset = prepare_dataset(scan(root), LOOK, notes)
    assert [note for note in notes.said if "valid/ is the test split" in note]
    assert split_dataset(dataset).sizes() == {"train": 10, "val": 2, "test": 4}


def test_nested_folders_belong_to_the_class_and_other_files_are_counted(tmp_path: Path) -> None:
    make(tmp_path, {"cat": 3, "cat/siamese/old": 2, "dog": 3})
    (tmp_path / "cat" / "notes.TXT").write_text("not a photo")
    (tmp_path / "dog" / "other").write_text("no photo either")
    (tmp_path / "dog" / ".DS_Store").write_text("hidden")
    photo(tmp_path / "loose.jpg")
    folder = scan(tmp_path)
    assert len(folder) == 8
    assert "cat/siamese/old/1.png" in folder.files
    assert folder.skipped == {".txt": 1, "other": 1}
    said = " ".join(map(str, folder.notes))
    assert "2 file(s) skipped" in said
    assert "1 photo(s) directly in" in said


def test_train_may_be_a_class_and_folders_beside_train_are_named(tmp_path: Path) -> None:
    vehicles = scan(make(tmp_path / "vehicles", {"bus": 3, "car": 3, "train": 3}))
    assert vehicles.class_names == ("bus", "car", "train")
    beside = make(tmp_path / "beside", {"train/a": 3, "train/b": 3, "raw": 3, "test": 2})
    folder = scan(beside)
    assert folder.class_names == ("a", "b")
    said = " ".join(map(str, folder.notes))
    assert "not used: raw" in said
    assert "test/ has no class folders" in said
    assert set(folder.parts) == {"train"}


def test_a_part_may_lack_a_class_and_says_so(tmp_path: Path) -> None:
    folder = scan(make(tmp_path, {"train/a": 4, "train/b": 4, "test/a": 2}))
    assert "test/ has no photos of: b" in map(str, folder.notes)


# Decoding


def test_photos_are_decoded_once_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "pets", {"cat": 3, "dog": 3})
    Image.new("L", (5, 7), 200).save(root / "cat" / "grey.png")
    first = prepare_dataset(scan(root), LOOK, Progress())
    assert first.images.shape == (7, 16, 16, 3)
    for row, file in enumerate(first.files):
        assert np.array_equal(first.images[row], LOOK.read(root / file).transpose(1, 2, 0))

    monkeypatch.setattr(decode, "_fill", None)  # would be called if anything were decoded
    again = prepare_dataset(scan(root), LOOK, Progress())
    assert again.fingerprint == first.fingerprint
    assert isinstance(again.images.base, np.memmap)
    monkeypatch.undo()

    larger = Preprocess(20, 1, (0.0,), (1.0,), resize="squash")
    assert prepare_dataset(scan(root), larger, Progress()).fingerprint == first.fingerprint
    moved = shutil.copytree(root, tmp_path / "moved")
    assert prepare_dataset(scan(moved), LOOK, Progress()).fingerprint == first.fingerprint
    photo(root / "cat" / "0.png", 222)
    assert prepare_dataset(scan(root), LOOK, Progress()).fingerprint != first.fingerprint


@pytest.mark.usefixtures("own_cache")
def test_a_changed_folder_leaves_no_old_entry(tmp_path: Path) -> None:
    root = make(tmp_path / "pets", {"cat": 3, "dog": 3})
    before = set((cache_folder() / "datasets").glob("*"))
    for index in range(3):
        photo(root / "cat" / f"new{index}.png", 200 + index)
        assert len(prepare_dataset(scan(root), LOOK, Progress())) == 7 + index
    assert len(set((cache_folder() / "datasets").glob("*")) - before) == 1


@pytest.mark.usefixtures("own_cache")
def test_many_processes_do_as_one(tmp_path: Path) -> None:
    root = make(tmp_path / "many", {"a": 240, "b": 240})
    for index in (0, 77, 239):
        (root / "a" / f"{index}.png").write_bytes(b"GIF89a")
    one = prepare_dataset(scan(root), LOOK, Progress(), workers=1)
    images = np.array(one.images)
    shutil.rmtree(cache_folder() / "datasets")
    many = prepare_dataset(scan(root), LOOK, Progress(), workers=2)
    assert np.array_equal(images, many.images)
    assert (many.fingerprint, many.files, many.set_aside) == (
        one.fingerprint,
        one.files,
        one.set_aside,
    )
    assert [file for file, _reason in many.set_aside] == ["a/0.png", "a/239.png", "a/77.png"]


def test_what_a_dead_process_leaves_is_done_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("true") or "/bin/true")
    root = make(tmp_path / "many", {"a": 240, "b": 240})
    dataset = prepare_dataset(scan(root), LOOK, Progress(), workers=2)
    assert len(dataset) == 480
    assert np.array_equal(dataset.images[479], LOOK.read(root / "b/99.png").transpose(1, 2, 0))


def bad_files(folder: Path) -> list[str]:
    """Every kind of file that is no readable photo; returns their names, sorted."""
    whole = photo(folder / "0.png").read_bytes()
    Image.effect_noise((64, 64), 90).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:700])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>404</html>")
    (folder / "corrupt.png").write_bytes(whole[:40] + b"\xff" * 40 + whole[80:])
    bomb = bytearray(whole)  # 60,000 × 60,000 pixels by its header
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    (folder / "bomb.png").write_bytes(bomb)
    return ["bomb.png", "corrupt.png", "cut.jpg", "empty.jpg", "page.jpg"]


def test_bad_photos_are_named_set_aside_and_counted(tmp_path: Path) -> None:
    root = make(tmp_path, {"cat": 5, "dog": 5})
    names = [f"cat/{name}" for name in bad_files(root / "cat")]
    shutil.copy(root / "dog" / "0.png", root / "dog" / "really_a_png.jpg")  # is read
    notes = Notes()
    dataset = prepare_dataset(scan(root), LOOK, notes)
    assert [file for file, _reason in dataset.set_aside] == names
    assert len(dataset) == 11
    assert not set(names) & set(dataset.files)
    said = notes.said[-1]
    assert "5 of 16 photos" in said
    assert all(name in said for name in names)
    assert str(root) not in said
    again = Notes()
    assert prepare_dataset(scan(root), LOOK, again).set_aside == dataset.set_aside
    assert again.said == notes.said
    for row, file in enumerate(dataset.files):
        assert np.array_equal(dataset.images[row], LOOK.read(root / file).transpose(1, 2, 0))


def test_images_of_one_pixel(tmp_path: Path) -> None:
    for index in range(6):
        photo(tmp_path / "ab"[index % 2] / f"{index}.png", index, size=(1, 1))
    dataset = prepare_dataset(scan(tmp_path), LOOK, Progress())
    assert dataset.images[0, :, :, 0].max() == dataset.images[0, :, :, 0].min() == 0


def test_two_hundred_classes_of_three(tmp_path: Path) -> None:
    root = make(tmp_path, {f"class {index}": 3 for index in range(200)})
    facts = describe_dataset(open_source(str(root)), Progress())
    assert facts["splits"] == {"train": 200, "val": 200, "test": 200}


ODD_NAMES = st.lists(
    st.one_of(
        st.sampled_from(
            ["😀", "a\nb", "c " * 5, " ", "x" * 200, "é" * 120, ".hidden", "日本", "%s{}"]
        ),
        st.text(
            st.characters(blacklist_characters="/\0\\", blacklist_categories=("Cs",)),
            min_size=1,
            max_size=60,
        ),
    ).filter(lambda name: name not in {".", ".."}),
    min_size=2,
    max_size=5,
    unique=True,
)


@pytest.mark.skipif(sys.platform == "win32", reason="such names are not possible there")
@settings(max_examples=40)
@given(names=ODD_NAMES)
def test_odd_class_names(names: list[str]) -> None:
    with TemporaryDirectory() as place:
        for index, name in enumerate(names):
            photo(Path(place) / name / "1.png", index)
        try:
            folder = scan(Path(place))
            dataset = prepare_dataset(folder, LOOK, Progress())
        except DataError as error:  # all hidden, two that mean the same, or called like parts
            odd = all(map(is_hidden, names)) or any(part_of(n) or is_filler(n) for n in names)
            assert "mean the same" in str(error) or odd
            return
        shown = [name for name in names if not is_hidden(name)]
        assert len(dataset.class_names) == len(shown)
        assert dataset.class_names == folder.class_names
        assert dataset.labels.tolist() == list(range(len(shown)))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    root = make(tmp_path, {"a": 3, "b": 3})
    (root / "a" / "0.png").rename(os.fsdecode(os.fsencode(root / "a") + b"/\xff\xfe.png"))
    dataset = prepare_dataset(scan(root), LOOK, Progress())
    assert r"a/\xff\xfe.png" in dataset.files
    with pytest.raises(DataError, match="UTF-8"):
        open_source(str(make(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")), {"a": 1})))


# Bad input: each a message on standard error and exit status 2

BAD = {
    "empty": ({}, "no photos"),
    "no photo in any class": ({"a": 0, "b": 0}, "no photos"),
    "one class empty": ({"a": 3, "b": 0}, r"without photos in .*: b;"),
    "a single class": ({"cat": 5}, "a single class, 'cat'"),
    "a class with one image": ({"cat": 5, "dog": 1}, r"class 'dog' has 1 image.*at least 3"),
    "a class with two images": ({"cat": 5, "dog": 2}, r"class 'dog' has 2 image"),
    "case only": ({"cat": 4, "Cat": 4}, "'Cat' and 'cat'"),
    "synonyms": ({"veado": 4, "cervo": 4}, "'cervo' and 'veado'"),
    "other classes in val": (
        {"train/ants": 4, "train/bees": 4, "val/ants": 2, "val/wasps": 2},
        r"val/ has ants, wasps; train/ has ants, bees",
    ),
    "no train": ({"val/a": 3, "test/a": 3}, "no train/"),
    "two vals": ({"train/a": 3, "val/a": 3, "valid/a": 3}, "both val/ and valid/"),
    "photos in train": ({"train": 3, "val": 3}, r"3 photo\(s\) in .*train' lie in no class"),
    "photos in no class": ({".": 4}, r"4 photo\(s\) in .* lie in no class folder"),
    "one training image": (
        {"train/a": 4, "train/b": 1, "test/a": 2, "test/b": 2},
        r"class 'b' has 1 image.*at least 2",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_folders(kind: str, tmp_path: Path) -> None:
    layout, message = BAD[kind]
    if kind == "case only" and (tmp_path / "X").mkdir() is None and (tmp_path / "x").exists():
        pytest.skip("this file system does not tell case apart")
    shutil.rmtree(tmp_path / "X", ignore_errors=True)
    with pytest.raises(DataError, match=message):
        describe_dataset(open_source(str(make(tmp_path, layout))), Progress())


def test_files_that_are_no_images(tmp_path: Path) -> None:
    root = make(tmp_path, {"a": 3, "b": 3})
    for file in root.glob("*/*.png"):
        file.write_text("text")
    with pytest.raises(DataError, match=r"none of the 6 file.*looks like text"):
        open_source(str(root))
    for file in root.glob("*/*.png"):
        file.rename(file.with_suffix(".doc"))
    with pytest.raises(DataError, match="other files: 6"):
        open_source(str(root))


def test_a_class_that_is_unreadable_is_named(tmp_path: Path) -> None:
    root = make(tmp_path, {"a": 4, "b": 4})
    for file in (root / "b").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match=r"class 'b' has 0 image.*\(4 of all cannot be read\)"):
        describe_dataset(open_source(str(root)), Progress())


def test_what_is_no_folder(tmp_path: Path) -> None:
    for name in (str(tmp_path / "misspelt"), "", "cifar-10", "a\0b"):
        with pytest.raises(UnknownNameError, match="nor is there a folder or file"):
            open_source(name)
    with pytest.raises(DataError, match="is a file"):
        open_source(str(photo(tmp_path / "a.png")))


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
@pytest.mark.parametrize("closed", ["b", "b/0.png"])
def test_what_may_not_be_read(closed: str, tmp_path: Path) -> None:
    root = make(tmp_path, {"a": 3, "b": 3})
    command = [sys.executable, "-m", "olhar", "train", "--data", str(root), "--epochs", "1"]
    if os.geteuid() == 0:  # root without the power to pass by permissions
        os.chown(root / closed, 65534, 65534)
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    (root / closed).chmod(0)
    done = subprocess.run(
        [*command, "--run", str(tmp_path / "run")], capture_output=True, check=False
    )
    (root / closed).chmod(0o700)
    assert done.returncode == 2, done.stderr
    assert b"permission" in done.stderr
    assert closed.encode() in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_photo_that_has_gone_since(tmp_path: Path) -> None:
    root = make(tmp_path, {"a": 3, "b": 3})
    folder = scan(root)
    (root / "b" / "1.png").unlink()
    with pytest.raises(MissingFileError, match=r"1\.png"):
        prepare_dataset(folder, LOOK, Progress())


# Through the command line


def test_bad_folders_leave_no_run(tmp_path: Path) -> None:
    root = make(tmp_path / "pets", {"cat": 5, "dog": 1})
    done = olhar("train", "--data", root, "--run", tmp_path / "run")
    assert done.status == 2
    assert "class 'dog' has 1 image(s)" in done.err
    assert not (tmp_path / "run").exists()
    assert olhar("data", tmp_path / "nothing").status == 2


@needs_data
def test_data_describes_real_photos() -> None:
    facts = olhar("data", f"{DATA}/hymenoptera_data", "--json").json
    assert facts["images"] == 397
    assert facts["parts"] == {"train": 244, "val": 153}
    assert facts["classes"][1]["parts"] == {"train": 121, "val": 83}
    assert facts["splits"] == {"train": 219, "val": 25, "test": 153}
    assert facts["set_aside"] == []
    shown = olhar("data", f"{DATA}/hymenoptera_data")
    assert "bees  204  train/ 121  val/ 83" in shown.out
    assert "val/ is the test split" in shown.err
    rows = olhar("networks", "--data", f"{DATA}/photos", "--json").json
    assert {row["name"]: row["parameters"] for row in rows}["cnn-32-64-64"] == 122_570


@needs_data
def test_the_whole_way_with_real_photos(tmp_path: Path) -> None:
    root = shutil.copytree(Path(DATA) / "photos", tmp_path / "photos", copy_function=shutil.copy)
    for folder in (root, *root.iterdir()):
        folder.chmod(0o755)
    (root / "cat" / "broken.jpg").write_bytes(b"")
    run = tmp_path / "run"
    words = ("--network", "cnn-32-64-64", "--epochs", 1, "--run", run, "--json")
    done = olhar("train", "--data", root, *words)
    assert done.status == 0, done.err
    assert "cat/broken.jpg" in done.err
    assert "photos: 10 to train, 10 to validate, 10 to test" in done.err
    config = (run / "config.toml").read_text(encoding="utf-8")
    assert "[data.set_aside]\ncount = 1" in config
    accuracy = done.json["accuracy"]
    assert (run / "predictions.csv").read_text(encoding="utf-8").count("airplane/") == 1

    same = olhar("evaluate", run, "--json")
    assert json.loads(same.out)["accuracy"] == accuracy
    translated = tmp_path / "fotos"  # other photos, classes in Portuguese, no cars at all
    shutil.copytree(root / "deer", translated / "veado")
    shutil.copytree(root / "airplane", translated / "Avião")
    other = olhar("evaluate", run, "--data", translated, "--split", "all", "--json")
    assert other.status == 0, other.err
    support = {row["name"]: row["support"] for row in other.json["per_class"]}
    assert (support["deer"], support["airplane"], support["automobile"]) == (
        1,
        1,
        0,
    )  # others are seen
    words = ("--data", translated, "--split", "all", "--keep-seen", "--json")
    support = {
        row["name"]: row["support"] for row in olhar("evaluate", run, *words).json["per_class"]
    }
    assert (support["deer"], support["airplane"], support["automobile"]) == (3, 3, 0)
    (translated / "veado").rename(translated / "okapi")
    refused = olhar("evaluate", run, "--data", translated, "--split", "all")
    assert refused.status == 2
    assert "okapi" in refused.err

    shutil.rmtree(root / "cat")
    (run / "metrics.json").unlink()
    changed = olhar("resume", run)
    assert changed.status == 2
    assert "is not what it was" in changed.err
