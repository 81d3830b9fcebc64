"""Data in the forms that people have: tables, archives, arrays, Hugging Face's; and export to them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import DATA, needs_data, olhar
from olhar.cache_place import cache_folder
from olhar.data_settings import SourceSettings
from olhar.datasets import (
    Dataset,
    PhotoFolder,
    load_named,
    open_source,
    prepare_dataset,
    split_dataset,
)
from olhar.datasets.arrays import as_arrays
from olhar.datasets.forms import archives
from olhar.datasets.forms.export import FORMS, export_dataset
from olhar.datasets.named import cifar100
from olhar.errors import (
    ChecksumError,
    ConfigError,
    DataError,
    MissingExtraError,
    MissingFileError,
    OlharError,
    RunExistsError,
    StorageError,
    UnknownNameError,
)
from olhar.i18n import Text
from olhar.preprocess import Preprocess
from olhar.progress import Progress
from olhar.run import load_run

LOOK = Preprocess(16, 3, (0.0,) * 3, (1.0,) * 3)
QUIET = Progress()
PHOTO_FORMS = [form for form in FORMS if form not in {"npz", "npy"}]


def photo(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 20), (shade * 7 % 256, shade % 256, 120)).save(path)
    return path


def photos(root: Path, layout: dict[str, int]) -> Path:
    """Photos in folders, all different; one stands upright by EXIF only, one is cut off."""
    shade = 0
    for folder, count in layout.items():
        for index in range(count):
            shade += 1
            photo(root / folder / f"{index}.png", shade)
    first = root / next(iter(layout))
    turned = Image.radial_gradient("L").resize((30, 20)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(first / "turned.jpg", exif=exif)
    (first / "cut.jpg").write_bytes((first / "turned.jpg").read_bytes()[:500])
    return root


DIVIDED = {"train/cat": 4, "train/dog": 4, "val/cat": 2, "val/dog": 2, "test/cat": 2, "test/dog": 3}
FLAT = {"cat": 5, "dog": 4}


def opened(path: Path | str) -> PhotoFolder:
    source = open_source(str(path))
    assert isinstance(source, PhotoFolder)
    return source


def arrays(path: Path | str) -> Dataset:
    source = open_source(str(path))
    assert isinstance(source, Dataset)
    return source


def notes(source: PhotoFolder) -> str:
    return " ".join(map(str, source.notes))


def decoded(source: Dataset | PhotoFolder) -> Dataset:
    return prepare_dataset(source, LOOK, QUIET)


# Export, and back


@pytest.mark.parametrize("layout", [DIVIDED, FLAT], ids=["divided", "flat"])
@pytest.mark.parametrize("form", PHOTO_FORMS)
def test_photos_come_back_as_the_same_data(
    form: str, layout: dict[str, int], tmp_path: Path
) -> None:
    first = opened(photos(tmp_path / "pets", layout))
    out = tmp_path / f"out.{form}"
    done = export_dataset(first, form, out, None, QUIET)
    assert done.images == len(first)
    source, before, after = opened(out), decoded(first), decoded(opened(out))
    assert after.fingerprint == before.fingerprint
    assert np.array_equal(after.images, before.images)
    assert (after.files, after.class_names) == (before.files, before.class_names)
    assert [file for file, _reason in after.set_aside] == [
        file for file, _reason in before.set_aside
    ]
    assert split_dataset(source).sizes() == split_dataset(first).sizes()
    for part, rows in first.parts.items():
        assert np.array_equal(source.parts[part], rows)


@pytest.mark.parametrize("form", ["npz", "npy"])
@pytest.mark.parametrize("layout", [DIVIDED, FLAT], ids=["divided", "flat"])
def test_photos_come_back_as_arrays(form: str, layout: dict[str, int], tmp_path: Path) -> None:
    first = opened(photos(tmp_path / "pets", layout))
    out = tmp_path / ("out.npz" if form == "npz" else "out")
    export_dataset(first, form, out, 16, QUIET)
    made, back = as_arrays(first, 16, QUIET), arrays(out)
    assert back.fingerprint == made.fingerprint
    assert np.array_equal(back.images, made.images)
    assert back.class_names == ("cat", "dog")
    assert {p: r.tolist() for p, r in back.parts.items()} == {
        p: r.tolist() for p, r in made.parts.items()
    }


@pytest.mark.parametrize("form", FORMS)
def test_arrays_in_every_form(form: str, tmp_path: Path) -> None:
    digits = load_named("digits")
    rows = np.arange(60)
    first = Dataset("few", digits.images[rows], digits.labels[rows], digits.class_names, "f" * 64)
    out = tmp_path / f"out.{form}"
    export_dataset(first, form, out, None, QUIET)
    source = open_source(str(out))
    back = source if isinstance(source, Dataset) else as_arrays(source, 8, QUIET)
    assert back.class_names == digits.class_names
    order = np.argsort(first.labels, kind="stable") if isinstance(source, PhotoFolder) else rows
    assert np.array_equal(back.labels, first.labels[order])
    assert np.array_equal(back.images, first.images[order])


def test_class_names_that_are_no_names_of_folders(tmp_path: Path) -> None:
    names = ("T-shirt/top", "con", "..", "a:b", "a*b")
    images = np.arange(15 * 64, dtype=np.uint8).reshape(15, 8, 8, 1)
    data = Dataset("odd", images, np.arange(15) % 5, names, "f" * 64)
    export_dataset(data, "folder", tmp_path / "out", None, QUIET)
    found = opened(tmp_path / "out").class_names
    assert len(found) == 5
    assert "T-shirt_top" in found
    export_dataset(data, "parquet", tmp_path / "table", None, QUIET)
    assert opened(tmp_path / "table").class_names == tuple(sorted(names))


def test_export_refuses(tmp_path: Path) -> None:
    source = open_source(str(photos(tmp_path / "pets", FLAT)))
    with pytest.raises(UnknownNameError, match="did you mean parquet"):
        export_dataset(source, "parket", tmp_path / "x", None, QUIET)
    with pytest.raises(ConfigError, match="keep their sizes"):
        export_dataset(source, "zip", tmp_path / "x.zip", 32, QUIET)
    with pytest.raises(RunExistsError):
        export_dataset(source, "zip", tmp_path / "pets", None, QUIET)
    (tmp_path / "pets" / "dog" / "0.png").unlink()
    for form in ("zip", "folder", "parquet"):
        with pytest.raises(OlharError, match=r"0\.png"):
            export_dataset(source, form, tmp_path / f"x.{form}", None, QUIET)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pets"]


# Tables


def table(root: Path, text: str | bytes, name: str = "list.csv") -> Path:
    for index in range(6):
        photo(root / "img" / f"{index}.png", index)
    path = root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


ROWS = "".join(f"img/{index}.png,{'cãoo'[:3] if index % 2 else 'gato'}\n" for index in range(6))
GOOD = {
    "plain": "file_name,label\n" + ROWS,
    "BOM": "\ufefffile_name,label\n" + ROWS,
    "semicolons": ("file_name,label\n" + ROWS).replace(",", ";"),
    "tabs, Windows": ("path,class\n" + ROWS).replace(",", "\t").replace("\n", "\r\n"),
    "Excel's Unicode text": ("file_name,label\n" + ROWS).replace(",", "\t").encode("utf-16"),
    "other names, backslashes": ("note,Filename,CATEGORY\n" + ROWS.replace("img", "x,img")).replace(
        "/", "\\"
    ),
    "standard names win": "label,class,file_name,path\n"
    + "".join(
        f"{'cão' if index % 2 else 'gato'},7,./img/../img/{index}.png,9\n" for index in range(6)
    ),
    "quoted": '"file_name","label"\n' + ROWS.replace("gato", '"gato"'),
    "a comma in a quoted column": '"file_name";"label, in words"\n'.replace(
        '"label, in words"', "label"
    )
    + ROWS.replace(",", ";"),
    "rows of separators": "file_name;label;\n"
    + ROWS.replace(",", ";").replace("\n", ";\n")
    + ";;\n;;\n",
    "sep=;": "sep=;\nfile_name;label\n" + ROWS.replace(",", ";"),
    "sep=; with BOM, Windows": ("\ufeffsep=;\nfile_name;label\n" + ROWS.replace(",", ";")).replace(
        "\n", "\r\n"
    ),
    "sep=tab": "sep=\t\nfile_name\tlabel\n" + ROWS.replace(",", "\t"),
    "Windows-1252": ("file_name,label\n" + ROWS).encode("cp1252"),
    "names of its own": "id,diagnosis\n" + ROWS,
    "names of its own, no endings": "id,diagnosis,place\n"
    + "".join(f"img/{i},{'cão' if i % 2 else 'gato'},place {i}\n" for i in range(6)),
    "the table's folder in the names": "Path,Label\n" + ROWS,  # see test_tables
    "photos in another folder": "id_code,diagnosis\n"
    + ROWS.replace("img/", "").replace(".png", ""),
}


@pytest.mark.parametrize("kind", GOOD)
def test_tables(kind: str, tmp_path: Path) -> None:
    text = GOOD[kind]
    if kind == "the table's folder in the names":
        text = text.replace("img/", f"{tmp_path.name}/img/")
        assert opened(table(tmp_path, text)).path == tmp_path.parent
        return
    source = opened(table(tmp_path, text))
    assert source.class_names == ("cão", "gato")
    assert source.files == tuple(f"img/{index}.png" for index in (1, 3, 5, 0, 2, 4))
    assert source.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(decoded(source)) == 6


def test_absolute_paths_in_the_folder_and_numbers_as_labels(tmp_path: Path) -> None:
    rows = "".join(f"{tmp_path / 'img'}/{index}.png,{index % 3}\n" for index in range(6))
    assert opened(table(tmp_path, "file,target\n" + rows)).class_names == ("0", "1", "2")


def test_what_is_guessed_is_said(tmp_path: Path) -> None:
    ids = "".join(f"{i},{i % 2}\n" for i in range(6))
    source = opened(table(tmp_path, "id_code,diagnosis\n" + ids))
    assert source.class_names == ("0", "1")
    assert source.files[0] == "img/0.png"
    assert "img/NAME.png, their names from the column id_code" in notes(source)
    assert "classes are those of the column diagnosis" in notes(source)
    said = notes(opened(table(tmp_path, GOOD["Windows-1252"])))
    assert "read as Windows-1252 (is 'cão' right?)" in said


def test_photos_are_found_by_name_in_several_folders(tmp_path: Path) -> None:
    path = table(
        tmp_path, "image_id,dx\n" + "".join(f"{i},{'nv' if i % 2 else 'mel'}\n" for i in range(6))
    )
    (tmp_path / "more").mkdir()
    for index in range(3):
        (tmp_path / "img" / f"{index}.png").rename(tmp_path / "more" / f"{index}.png")
    source = opened(path)
    assert set(source.files) == {
        *(f"more/{i}.png" for i in range(3)),
        *(f"img/{i}.png" for i in range(3, 6)),
    }
    assert "anywhere below" in notes(source)


def test_photos_that_may_be_in_several_places_are_asked_for(tmp_path: Path) -> None:
    ids = "".join(f"{i},{'nv' if i % 2 else 'mel'},{i % 3}\n" for i in range(6))
    path = table(tmp_path, "id,dx,sex\n" + ids)
    shutil.copytree(tmp_path / "img", tmp_path / "masks")
    with pytest.raises(
        DataError, match=r"several ways: id \(img/….png\), id \(masks/….png\).*--photos"
    ):
        open_source(str(path))
    with pytest.raises(DataError, match=r"it has: id, dx, sex; .*--label-column"):
        open_source(SourceSettings(str(path), photos="img"))
    for folder in ("img", str(tmp_path / "img")):
        source = open_source(SourceSettings(str(path), photos=folder, label_column="sex"))
        assert isinstance(source, PhotoFolder)
        assert source.class_names == ("0", "1", "2")
        assert source.files[0] == "img/0.png"
    outside = tmp_path / "tables"
    outside.mkdir()
    moved = path.rename(outside / "list.csv")
    source = open_source(SourceSettings(str(moved), "id", "dx", str(tmp_path / "img"), ".png"))
    assert isinstance(source, PhotoFolder)
    assert source.path == tmp_path / "img"
    assert len(decoded(source)) == 6
    with pytest.raises(DataError, match=r"no column name \(--file-column\); it has: id, dx, sex"):
        open_source(SourceSettings(str(moved), file_column="name"))
    for other in ("digits", str(tmp_path / "img")):
        with pytest.raises(ConfigError, match="--label-column is for a table that names files"):
            open_source(SourceSettings(other, label_column="dx"))
    with pytest.raises(MissingFileError, match="no folder 'nowhere'"):
        open_source(SourceSettings(str(moved), photos="nowhere"))
    with pytest.raises(DataError, match=r"there is no file '0\.jpg'"):
        open_source(SourceSettings(str(moved), "id", "dx", str(tmp_path / "img"), ".jpg"))


def test_how_a_table_is_read_goes_with_the_run(tmp_path: Path) -> None:
    rows = [f"{i},{'nv' if i % 2 else 'mel'},{i % 3}\n" for i in range(24)]
    path = table(tmp_path, "id,dx,sex\n" + "".join(rows))
    for index in range(24):
        photo(tmp_path / "img" / f"{index}.png", index)
    shutil.copytree(tmp_path / "img", tmp_path / "masks")
    flags = ["--label-column", "sex", "--photos", "img", "--ending", ".png"]
    refused = olhar("train", "--data", path, "--network", "lenet5", "--run", tmp_path / "r")
    assert "several ways" in refused.err
    done = olhar(
        *("train", "--data", path, "--network", "lenet5", "--epochs", "1", *flags),
        *("--run", tmp_path / "r"),
    )
    assert done.status == 0, done.err
    run = load_run(tmp_path / "r")
    assert " ".join(flags) in run.config["command"]
    assert " ".join(flags) in (tmp_path / "r" / "README.md").read_text()
    assert run.classifier.class_names == ("0", "1", "2")
    assert olhar("evaluate", tmp_path / "r", "--json").json["n"] == run.report.n
    for name in ("model", "metrics.json"):
        target = tmp_path / "r" / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert olhar("resume", tmp_path / "r", "--json").json["n"] == run.report.n


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (("0", "0.0", "1"), ("0", "1")),
        (("1.0", "2.0", "2.00"), ("1", "2")),
        (("0.5", "0.50", "1"), ("0.5", "1")),
        (("001", "002", "010"), ("001", "002", "010")),
        (("1", "cat", "2"), ("1", "2", "cat")),
    ],
)
def test_numbers_as_labels(
    labels: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path
) -> None:
    rows = "".join(f"img/{i}.png,{labels[i % len(labels)]}\n" for i in range(6))
    source = opened(table(tmp_path, "file_name,label\n" + rows))
    assert source.class_names == classes
    assert ("same number" in notes(source)) == (len(set(labels)) > len(classes))


def test_splits_of_a_table(tmp_path: Path) -> None:
    names = ("train", "Train", "valid", "train", "train", "VAL")
    rows = [f"img/{i}.png,{'ab'[i % 2]},{split}\n" for i, split in enumerate(names)]
    source = opened(table(tmp_path, "file_name,label,split\n" + "".join(rows)))
    assert source.files[:4] == ("img/0.png", "img/4.png", "img/1.png", "img/3.png")
    assert {part: len(rows) for part, rows in source.parts.items()} == {"train": 4, "val": 2}
    assert "val is the test split" in notes(source)


BAD = {
    "a missing column": (
        "file_name,animal\nimg/0.png,cat\n",
        "column label.*has: file_name, animal.*--label-column",
    ),
    "no header": (ROWS, r"first line .* names a photo \(img/0\.png\).*such as file_name,label"),
    "no photos in any column": (
        "name,kind\nx.png,cat\n",
        "column file_name.*has: name, kind.*--file-column.*--photos",
    ),
    "a column twice": ("file_name,label,Label\nimg/0.png,cat,dog\n", "column label twice"),
    "two that may be it": (
        "file_name,class,category\nimg/0.png,1,cat\n",
        "several columns that may be the label: class, category; call the right one label",
    ),
    "no rows": ("file_name,label\n", "no rows"),
    "no label": ("file_name,label\nimg/0.png,\n", r"list\.csv:2: 'img/0\.png' has no label"),
    "no file name": ("file_name,label\n,cat\n", "no file name"),
    "outside": ("file_name,label\n../secret.png,cat\n", "outside of the table's folder"),
    "far outside": ("file_name,label\n/etc/passwd,cat\n", "outside of the table's folder"),
    "another drive": ("file_name,label\nC:\\x.png,cat\n", "outside of the table's folder"),
    "a folder": ("file_name,label\nimg,cat\n", "there is no file 'img'"),
    "no split": ("file_name,label,split\nimg/0.png,cat,holdout\n", "'holdout' is no split"),
    "no train": ("file_name,label,split\nimg/0.png,cat,test\n", "rows of test only"),
    "two labels": ("file_name,label\nimg/0.png,cat\nimg/0.png,dog\n", "there twice.*cat and dog"),
    "a value without end": (f"file_name,label\n{'a' * 2000},cat\n", "a value of 2000 characters"),
    "too many values": ("file_name,label\nimg/0.png,cat,1,2\n", "more values than"),
    "an unknown encoding": (b"file_name,label\nimg/0.png,c\x8do\n", "save it as CSV in UTF-8"),
    "zeros, no text": (("file_name,label\n" + ROWS).encode("utf-16-le"), "save it as CSV in UTF-8"),
    "one number in two spellings, among words": (
        "file_name,label\nimg/0.png,1\nimg/1.png,1.0\nimg/2.png,cat\n",
        "labels '1' and '1.0', which are the same number",
    ),
    "no number among numbers": (
        "file_name,label\nimg/0.png,1.0\nimg/1.png,2.0\nimg/2.png,nan\n",
        "label 'nan' among numbers",
    ),
    "files by other paths than theirs": (
        "file_name,label\nelsewhere/0.png,1\nelsewhere/1.png,2\n",
        "there is no file 'elsewhere/0.png'",
    ),
    "one number, once with a zero before": (
        "file_name,label\nimg/0.png,1\nimg/1.png,01\nimg/2.png,2\n",
        "labels '1' and '01', which are the same number",
    ),
    "no text": (b"\0\1\2\3", "no rows|cannot be read"),
    "an open quote": ('file_name,label\n"img/0.png,cat\n', "cannot be read as a table"),
    "other classes in test": (
        "file_name,label,split\nimg/0.png,a,train\nimg/1.png,b,train\nimg/2.png,c,test\n",
        "classes of test/.*test/ has c",
    ),
    "one meaning": (
        "file_name,label\nimg/0.png,car\nimg/1.png,carro\nimg/2.png,cat\n",
        "'car' and 'carro'",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_tables(kind: str, tmp_path: Path) -> None:
    text, message = BAD[kind]
    with pytest.raises(DataError, match=message):
        open_source(str(table(tmp_path, text)))


def test_missing_files_are_counted_and_five_are_named(tmp_path: Path) -> None:
    rows = "".join(f"img/{index}.png,cat\n" for index in range(20))
    with pytest.raises(DataError) as caught:
        open_source(str(table(tmp_path, "file_name,label\n" + rows)))
    message = str(caught.value)
    assert message.startswith("14 row(s)")
    assert message.count("there is no file") == 5
    assert "img/10.png" in message
    assert "img/11.png" not in message


def test_metadata_in_a_folder_and_in_its_splits(tmp_path: Path) -> None:
    pool = table(tmp_path / "one", "file_name,label\n" + ROWS, "metadata.csv").parent
    photo(pool / "img" / "more.png", 9)
    source = opened(pool)
    assert source.class_names == ("cão", "gato")
    assert "1 photo(s) that the table does not list" in notes(source)
    assert "mean the same" not in notes(source)
    for part in ("train", "test"):
        lines = [{"file_name": f"img/{i}.png", "label": i % 2} for i in range(6)]
        text = "\n".join(map(json.dumps, lines)) + "\n"
        table(tmp_path / "two" / part, text, "metadata.jsonl")
    divided = opened(tmp_path / "two")
    assert {part: len(rows) for part, rows in divided.parts.items()} == {"train": 6, "test": 6}
    assert divided.files[0] == "train/img/0.png"
    plain = photos(tmp_path / "three", FLAT)
    (plain / "metadata.csv").write_text("file_name,width\ncat/0.png,24\n")
    assert "folders are taken for classes" in notes(opened(plain))


def test_plain_parquet(tmp_path: Path) -> None:
    table(tmp_path, "")
    columns = {
        "path": [f"img/{i}.png" for i in range(6)],
        "label": [0.0, 1.0] * 3,
        "split": ["train"] * 6,
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert opened(tmp_path / "t.parquet").class_names == ("0", "1")
    pq.write_table(pa.table({"path": ["a"], "width": [1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="it has: path, width"):
        open_source(str(tmp_path / "t.parquet"))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(DataError, match="Parquet or Arrow"):
        open_source(str(tmp_path / "t.parquet"))


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path, GOOD["plain"])
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"olhar\[parquet\]"):
        open_source(str(tmp_path / "t.parquet"))
    assert len(opened(path)) == 6


def tiny_imagenet(root: Path) -> Path:
    for number, wnid in enumerate(("n01443537", "n01629819", "n02012849", "n03126707")):
        for index in range(4):
            photo(root / "train" / wnid / "images" / f"{wnid}_{index}.JPEG", 10 * number + index)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("x\t0\t0\t9\t9\n")
    for index in range(4):
        photo(root / "val" / "images" / f"val_{index}.JPEG", 100 + index)
        photo(root / "test" / "images" / f"test_{index}.JPEG", 200 + index)
    (root / "val" / "val_annotations.txt").write_text(
        "val_0.JPEG\tn01443537\t0\t0\t9\t9\nval_2.JPEG\tn02012849\t0\t0\t9\t9\n"
    )
    return root


def test_tiny_imagenet(tmp_path: Path) -> None:
    root = tiny_imagenet(tmp_path / "tiny")
    source = opened(root)
    assert source.class_names == ("n01443537", "n01629819", "n02012849", "n03126707")
    assert {part: len(rows) for part, rows in source.parts.items()} == {"train": 16, "val": 2}
    assert source.files[-1] == "val/images/val_2.JPEG"
    assert source.labels[-2:].tolist() == [0, 2]
    assert "test/ has no class folders" in notes(source)
    assert "val/ is the test split" in notes(source)
    assert "2 photo(s) that the table does not list" in notes(source)
    assert len(decoded(source)) == 18
    words = ("goldfish, Carassius auratus", "salamander", "crane", "crane, lift", "none")
    wnids = ("n01443537", "n01629819", "n02012849", "n03126707", "n99999999")
    lines = [f"{wnid}\t{word}\n" for wnid, word in zip(wnids, words, strict=True)]
    (root / "words.txt").write_text("".join(lines))
    named = ("crane (n02012849)", "crane (n03126707)", "goldfish", "salamander")
    assert opened(root).class_names == named
    with (root / "val" / "val_annotations.txt").open("a") as file:
        file.write("val_9.JPEG\tn01443537\t0\t0\t9\t9\n")
    with pytest.raises(DataError, match=r"val_annotations\.txt:3: there is no file 'val_9\.JPEG'"):
        open_source(str(root))
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn00000000\t0\t0\t9\t9\n")
    with pytest.raises(DataError, match=r"classes of val/.*val/ has n00000000"):
        open_source(str(root))


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)


@settings(max_examples=60)
@given(st.lists(TEXT, min_size=3, max_size=6), st.sampled_from(",;\t"))
def test_any_labels_come_through_a_table(labels: list[str], delimiter: str) -> None:
    with TemporaryDirectory() as place:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter)
        writer.writerows(
            [("file_name", "label"), *((f"img/{i}.png", x) for i, x in enumerate(labels))]
        )
        path = table(Path(place), text.getvalue())
        try:
            source = opened(path)
        except DataError as error:
            refusals = ("mean the same", "are the same number", "among numbers")
            assert any(words in str(error) for words in refusals), error
            return
        given_labels = {f"img/{i}.png": label for i, label in enumerate(labels)}
        for file, label in zip(source.files, source.labels, strict=True):
            found = source.class_names[label]
            assert found in {given_labels[file], *map(str, source.class_names)}
        assert len(source) == len(labels)


# Hugging Face's folders


FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def rows_of(count: int, start: int = 0, path: str | None = None) -> dict[str, list[Any]]:
    """Columns as `datasets` has them."""
    found: dict[str, list[Any]] = {"image": [], "label": []}
    for index in range(start, start + count):
        content = io.BytesIO()
        Image.new("RGB", (12, 10), (index * 9 % 256, 50, 90)).save(content, "PNG")
        found["image"].append({"bytes": content.getvalue(), "path": path})
        found["label"].append(index % 2)
    return found


def hf_table(columns: dict[str, list[Any]], features: dict[str, Any] | None = FEATURES) -> pa.Table:
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if features else None
    schema = pa.schema([("image", IMAGE), ("label", pa.int64())], metadata=metadata)
    return pa.table(columns, schema=schema)


def saved(folder: Path, columns: dict[str, list[Any]]) -> Path:
    """As Dataset.save_to_disk writes it: Arrow streams, state.json, dataset_info.json."""
    folder.mkdir(parents=True)
    half = len(columns["label"]) // 2
    files = [f"data-0000{index}-of-00002.arrow" for index in range(2)]
    for file, rows in zip(files, (slice(half), slice(half, None)), strict=True):
        part = hf_table({key: values[rows] for key, values in columns.items()}, None)
        with (
            pa.OSFile(str(folder / file), "wb") as out,
            pa.ipc.new_stream(out, part.schema) as writer,
        ):
            writer.write_table(part, max_chunksize=3)
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": f} for f in files]})
    )
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return folder


def test_what_save_to_disk_writes(tmp_path: Path) -> None:
    source = opened(saved(tmp_path / "one", rows_of(9)))
    assert source.class_names == ("cat", "dog")
    assert np.bincount(source.labels).tolist() == [4, 5]
    assert len(decoded(source)) == 9
    for split, count in (("train", 8), ("validation", 4), ("test", 4), ("extra", 2)):
        saved(tmp_path / "dict" / split, rows_of(count, path="same.png"))
    listed = {"splits": ["train", "validation", "test", "extra"]}
    (tmp_path / "dict" / "dataset_dict.json").write_text(json.dumps(listed))
    divided = opened(tmp_path / "dict")
    assert split_dataset(divided).sizes() == {"train": 8, "val": 4, "test": 4}
    assert "not used: extra" in notes(divided)
    assert "train-000001.png" in divided.files
    (tmp_path / "one" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(DataError, match=r"data-00001-of-00002\.arrow is missing"):
        open_source(str(tmp_path / "one"))
    (tmp_path / "one" / "state.json").write_text('{"_data_files": [{"filename": "../../x"}]}')
    with pytest.raises(DataError, match="damaged or missing"):
        open_source(str(tmp_path / "one"))


def test_what_push_to_hub_writes(tmp_path: Path) -> None:
    data = tmp_path / "hub" / "data"
    data.mkdir(parents=True)
    columns = rows_of(8)
    columns["image"][3] = {"bytes": columns["image"][3]["bytes"][:45], "path": None}
    columns["image"][4] = None
    pq.write_table(hf_table(columns), data / "train-00000-of-00002.parquet")
    pq.write_table(hf_table(rows_of(8, 20)), data / "train-00001-of-00002.parquet")
    unlabelled = rows_of(5, 50)
    unlabelled["label"][4] = -1
    pq.write_table(hf_table(unlabelled), data / "test-00000-of-00001.parquet")
    source = opened(data.parent)
    assert {part: len(rows) for part, rows in source.parts.items()} == {"train": 16, "test": 4}
    assert "1 photo(s) of test have no label" in notes(source)
    assert len(decoded(source).set_aside) == 2
    again = opened(data.parent)
    assert (again.path, notes(again)) == (source.path, notes(source))
    pq.write_table(hf_table(rows_of(3, 70)), data / "test-00000-of-00001.parquet")
    assert opened(data.parent).path != source.path
    assert not source.path.exists()


@pytest.mark.parametrize("inner", ["plain_text", "default/train", "data", "train"])
def test_parquet_in_one_folder(inner: str, tmp_path: Path) -> None:
    folder, first = tmp_path / "hub" / inner, Path(inner).parts[0]
    folder.mkdir(parents=True)
    (tmp_path / "hub" / ".cache").mkdir()
    pq.write_table(hf_table(rows_of(8)), folder / "train-00000-of-00001.parquet")
    assert list(opened(tmp_path / "hub").parts) == ["train"]
    photo(tmp_path / "hub" / "cat" / "0.png", 1)
    assert len(opened(tmp_path / "hub")) == 8
    (tmp_path / "hub" / "small").mkdir()
    pq.write_table(hf_table(rows_of(8)), tmp_path / "hub" / "small" / "train.parquet")
    if inner == "train":
        assert len(opened(tmp_path / "hub")) == 8
        return
    with pytest.raises(DataError, match=rf"in {first}/, small/; give one of them"):
        open_source(str(tmp_path / "hub"))


def test_bad_tables_of_photos(tmp_path: Path) -> None:
    def refused(columns: dict[str, list[Any]], message: str, features: Any = FEATURES) -> None:
        pq.write_table(hf_table(columns, features), tmp_path / "t.parquet")
        with pytest.raises(DataError, match=message):
            open_source(str(tmp_path / "t.parquet"))

    refused({**rows_of(3), "label": [0, 1, 2]}, "label 2 in .* has no name.*0 to 1")
    refused({**rows_of(3), "label": [-1, None, -1]}, "no rows with a photo and a label")
    refused({**rows_of(1), "image": [{"bytes": None, "path": "/x/1.png"}]}, "lie elsewhere")
    two = {"label": {"_type": "ClassLabel", "names": ["a"]}, "image": {"_type": "Image"}}
    refused(rows_of(3), "label 1 in", two)
    both = pa.table({"img": [b"x"], "fine_label": [0], "coarse_label": [0]})
    names = {f"{k}_label": {"_type": "ClassLabel", "names": ["a"]} for k in ("fine", "coarse")}
    metadata = {"huggingface": json.dumps({"info": {"features": names}})}
    pq.write_table(both.replace_schema_metadata(metadata), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="it has: img, fine_label, coarse_label"):
        open_source(str(tmp_path / "t.parquet"))
    bytes_of = rows_of(1)["image"][0]["bytes"]
    for column, label in (("fine_label", "a"), ("coarse_label", "a"), ("n", "7")):
        numbered = both.set_column(0, "img", pa.array([bytes_of])).append_column("n", pa.array([7]))
        numbered = numbered.replace_schema_metadata(metadata)
        pq.write_table(numbered, tmp_path / "t.parquet")
        source = open_source(SourceSettings(str(tmp_path / "t.parquet"), label_column=column))
        assert source.class_names == (label,)
    with pytest.raises(ConfigError, match="--photos is for a table that names files"):
        open_source(SourceSettings(str(tmp_path / "t.parquet"), label_column="n", photos="x"))
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as out:
        out.write(b"\xff\xff\xff\xff not arrow at all")
    with pytest.raises(DataError, match="Parquet or Arrow"):
        open_source(str(tmp_path / "t.arrow"))
    assert not list((cache_folder() / "unpacked").glob(".*"))


def test_hostile_names_in_a_table_of_photos(tmp_path: Path) -> None:
    columns = rows_of(6)
    names = ["../../x.png", "/etc/x.png", "metadata.csv", "a/b.png", "a", "A/B.png"]
    for value, path in zip(columns["image"], names, strict=True):
        value["path"] = path
    pq.write_table(hf_table(columns), tmp_path / "t.parquet")
    source = opened(tmp_path / "t.parquet")
    assert sorted(source.files) == sorted(
        [
            "photo-000000.png",
            "x.png",
            "photo-000002.png",
            "a/b.png",
            "photo-000004.png",
            "photo-000005.png",
        ]
    )
    assert len(decoded(source)) == 6
    assert not (cache_folder() / "x.png").exists()


# Archives


def zipped(path: Path, root: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, prefix + file.relative_to(root).as_posix())
    return path


@pytest.mark.usefixtures("own_cache")
def test_a_zip_with_a_folder_in_it(tmp_path: Path) -> None:
    root = photos(tmp_path / "pets", DIVIDED)
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "._0.png").write_bytes(b"x")
    (root / "train" / "cat" / "notes.txt").write_text("x")
    source = opened(zipped(tmp_path / "pets.zip", root, "my pets/"))
    plain = opened(root)
    assert source.files == plain.files
    assert source.skipped == plain.skipped == {".txt": 1}
    assert decoded(source).fingerprint == decoded(plain).fingerprint
    assert opened(tmp_path / "pets.zip").path == source.path
    shutil.rmtree(cache_folder() / "unpacked")
    assert opened(tmp_path / "pets.zip").files == source.files


@pytest.mark.usefixtures("own_cache")
def test_what_is_read_once_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []

    class Listening(Progress):
        def start(self, title: Text, total: int) -> None:
            told.append(f"{title} {total}")

    archive = zipped(tmp_path / "pets.zip", photos(tmp_path / "pets", DIVIDED))
    images = np.zeros((4, 8, 8), np.uint8)
    made = npz(tmp_path / "a.npz", images=images, labels=np.array([0, 1, 0, 1]))
    for path in (archive, made, archive, made):
        open_source(str(path), Listening())
    assert told == ["reading pets.zip, this once 0", "reading a.npz, this once 0"]


@pytest.mark.parametrize("end", ["tar", "tar.gz", "tgz", "tar.xz", "tar.bz2"])
def test_tars(end: str, tmp_path: Path) -> None:
    root = photos(tmp_path / "pets", FLAT)
    mode = {"tar": "w", "tgz": "w:gz"}.get(end, f"w:{end[4:]}")
    with tarfile.open(tmp_path / f"pets.{end}", mode) as archive:
        archive.add(root, "./pets")
    assert (
        decoded(opened(tmp_path / f"pets.{end}")).fingerprint == decoded(opened(root)).fingerprint
    )


def test_a_zip_of_a_table_and_one_of_arrays(tmp_path: Path) -> None:
    table(tmp_path / "t", GOOD["plain"], "metadata.csv")
    assert opened(zipped(tmp_path / "t.zip", tmp_path / "t")).class_names == ("cão", "gato")
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "x_train.npy", np.zeros((6, 4, 4), np.uint8))
    np.save(tmp_path / "a" / "y_train.npy", np.arange(6) % 2)
    assert len(arrays(zipped(tmp_path / "a.zip", tmp_path / "a"))) == 6


def tar_with(path: Path, change: Callable[[tarfile.TarInfo], None]) -> Path:
    info = tarfile.TarInfo("cat/1.png")
    change(info)
    with tarfile.open(path, "w") as archive:
        archive.addfile(info, io.BytesIO(b"x" * info.size) if info.isreg() else None)
    return path


HOSTILE = {
    "leaves the folder": {"name": "cat/../../x.png"},
    "absolute": {"name": "/tmp/x.png"},
    "a drive": {"name": "C:\\x.png"},
    "a link": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "a hard link": {"type": tarfile.LNKTYPE, "linkname": "cat/0.png"},
    "a device": {"type": tarfile.CHRTYPE},
    "a control character": {"name": "cat\x1b[31m/1.png"},
    "too long": {"name": f"cat/{'é' * 200}.png"},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives(
    kind: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path_factory.mktemp("cache")))  # nobody else's

    def change(info: tarfile.TarInfo) -> None:
        for key, value in HOSTILE[kind].items():
            setattr(info, key, value)

    with pytest.raises(DataError, match="not unpacked for"):
        open_source(str(tar_with(tmp_path / "x.tar", change)))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo(str(HOSTILE[kind].get("name", "cat/1.png")))
        if "type" in HOSTILE[kind]:
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")
    with pytest.raises(DataError, match="not unpacked for"):
        open_source(str(tmp_path / "x.zip"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar", "x.zip"]
    assert not list((cache_folder() / "unpacked").glob(".*"))


def test_bombs_and_full_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/1.png", bytes(10**6))
    monkeypatch.setattr(archives, "_ALWAYS_BYTES", 0)
    with pytest.raises(DataError, match="no archive of photos"):
        open_source(str(tmp_path / "x.zip"))
    monkeypatch.undo()
    monkeypatch.setattr(archives, "_SPARE_BYTES", 2**62)
    with pytest.raises(StorageError, match="free in the cache"):
        open_source(str(tmp_path / "x.zip"))


def test_a_tar_that_is_damaged_in_its_middle(tmp_path: Path) -> None:
    photos(tmp_path / "pets", FLAT)
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "pets", "pets")
    with tarfile.open(tmp_path / "x.tar") as archive:
        middle = archive.getmembers()[5].offset
    content = bytearray((tmp_path / "x.tar").read_bytes())
    content[middle] ^= 0xFF
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(ChecksumError, match=f"damaged at byte {middle}"):
        open_source(str(tmp_path / "x.tar"))


def test_damaged_archives(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", photos(tmp_path / "pets", FLAT)).read_bytes()
    with tarfile.open(tmp_path / "whole.tgz", "w:gz") as archive:
        archive.add(tmp_path / "pets", "pets")
    packed = (tmp_path / "whole.tgz").read_bytes()
    generator = np.random.default_rng(0)
    for content, name in ((whole, "x.zip"), (packed, "x.tgz")):
        for cut in (0, 10, len(content) // 2, len(content) - 5):
            (tmp_path / name).write_bytes(content[:cut])
            with pytest.raises((ChecksumError, DataError)):
                open_source(str(tmp_path / name))
        for _round in range(30):  # bytes changed at random: told, or harmless
            changed = bytearray(content)
            for place in generator.integers(len(content), size=3):
                changed[place] ^= 0x5A
            (tmp_path / name).write_bytes(changed)
            try:
                open_source(str(tmp_path / name))
            except OlharError as error:
                assert error.exit_status == 2, error
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as empty:
        empty.writestr("readme.txt", "x")
    with pytest.raises(DataError, match="there are no photos in"):
        open_source(str(tmp_path / "x.zip"))


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", photos(tmp_path / "pets", FLAT))
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        if content[place : place + 4] == b"PK\x01\x02":
            content[place + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        open_source(str(path))


# Arrays


def npz(path: Path, **values: Any) -> Path:
    np.savez(path, **values)
    return path


PIXELS = np.random.default_rng(0).integers(0, 256, (12, 5, 6, 3), np.uint8)
LABELS = np.arange(12) % 3


def test_arrays_of_all_kinds_mean_the_same(tmp_path: Path) -> None:
    ways = {
        "uint8": PIXELS,
        "int64": PIXELS.astype(np.int64),
        "floats to 255": PIXELS.astype(np.float32),
        "floats to 1": PIXELS.astype(np.float64) / 255,
        "channels first": PIXELS.transpose(0, 3, 1, 2),
        "uint16": PIXELS.astype(np.uint16) << 8,
        "RGBA": np.concatenate([PIXELS, np.full((12, 5, 6, 1), 255, np.uint8)], axis=3),
    }
    found = {
        way: arrays(npz(tmp_path / f"{way}.npz", images=images, labels=LABELS))
        for way, images in ways.items()
    }
    for way, dataset in found.items():
        assert np.array_equal(dataset.images, PIXELS), way
        assert dataset.class_names == ("0", "1", "2")
    assert len({dataset.fingerprint for dataset in found.values()}) == 1
    grey = arrays(npz(tmp_path / "grey.npz", X=PIXELS[..., 0] > 127, y=LABELS[:, None]))
    assert grey.images.shape == (12, 5, 6, 1)
    assert set(np.unique(grey.images)) == {0, 255}


def test_labels_of_all_kinds(tmp_path: Path) -> None:
    names = np.array(["ant", "bee", "cat"])
    ways = {
        "names": {"labels": names[LABELS]},
        "bytes": {"labels": names[LABELS].astype("S")},
        "one-hot": {"labels": np.eye(3)[LABELS], "class_names": names},
        "floats": {"labels": LABELS.astype(np.float32), "class_names": names},
    }
    for way, values in ways.items():
        dataset = arrays(npz(tmp_path / f"{way}.npz", images=PIXELS, **values))
        assert dataset.class_names == ("ant", "bee", "cat"), way
        assert np.array_equal(dataset.labels, LABELS), way
    from_one = arrays(npz(tmp_path / "one.npz", images=PIXELS, labels=LABELS * 5 + 5))
    assert from_one.class_names == ("5", "10", "15")


@pytest.mark.parametrize(
    "keys",
    ["x_train y_train x_test y_test", "train_images train_labels test_images test_labels"],
)
def test_parts_of_arrays(keys: str, tmp_path: Path) -> None:
    values = dict(zip(keys.split(), (PIXELS[:9], LABELS[:9], PIXELS[9:], LABELS[9:]), strict=True))
    dataset = arrays(npz(tmp_path / "k.npz", **values))
    assert {part: len(rows) for part, rows in dataset.parts.items()} == {"train": 9, "test": 3}
    assert split_dataset(dataset, val=3).sizes() == {"train": 6, "val": 3, "test": 3}
    for key, value in values.items():
        np.save(tmp_path / f"{key}.npy", value)
    assert arrays(tmp_path).fingerprint == dataset.fingerprint


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "objects": ({"images": np.array([1, "a"], object), "labels": LABELS}, "Python objects"),
    "lengths": ({"images": PIXELS, "labels": LABELS[:5]}, "12 images and 5 labels"),
    "no labels": ({"images": PIXELS}, "it has the arrays images; allowed"),
    "other names": ({"a": PIXELS, "b": LABELS}, "it has the arrays a, b"),
    "normalised": ({"x": PIXELS / 127.5 - 1, "y": LABELS}, "go from -1.0 to 1.0"),
    "not a number": ({"x": np.full((12, 4, 4), np.nan), "y": LABELS}, "go from nan"),
    "too large": ({"x": PIXELS.astype(int) + 1000, "y": LABELS}, "go from 1000"),
    "flat": ({"x": PIXELS.reshape(12, -1), "y": LABELS}, r"shape \(12, 90\)"),
    "two channels": ({"x": PIXELS[..., :2], "y": LABELS}, r"shape \(12, 5, 6, 2\)"),
    "no pixels": ({"x": PIXELS[:, :0], "y": LABELS}, "cannot be used"),
    "texts": ({"x": np.full((12, 4, 4), "x"), "y": LABELS}, "pixels of type"),
    "out of range": (
        {"x": PIXELS, "y": LABELS, "class_names": np.array(["a", "b"])},
        "go from 0 to 2; allowed: 0 to 1",
    ),
    "negative": ({"x": PIXELS, "y": LABELS - 1}, "go from -1 to 1"),
    "halves": ({"x": PIXELS, "y": LABELS / 2}, "no whole numbers"),
    "rows": ({"x": PIXELS, "y": np.ones((12, 3))}, "one-hot"),
    "one name twice": (
        {"x": PIXELS, "y": LABELS, "classes": np.array(["a", "a", "b"])},
        "same name",
    ),
    "new in test": (
        {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:1], "y_test": np.array([7])},
        "not among its classes: 7",
    ),
    "two pools": ({"x": PIXELS, "images": PIXELS, "y": LABELS}, "means the same"),
    "no train": ({"x_test": PIXELS, "y_test": LABELS}, "no train"),
    "sizes": (
        {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:, :3], "y_test": LABELS},
        "several sizes",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arrays(kind: str, tmp_path: Path) -> None:
    values, message = WRONG[kind]
    with pytest.raises(DataError, match=message):
        open_source(str(npz(tmp_path / "w.npz", **values)))


POOL = np.arange(12 * 16, dtype=np.uint8).reshape(12, 4, 4)


def test_arrays_without_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", POOL, np.arange(12) % 3)
    np.savez(tmp_path / "b.npz", np.eye(3)[np.arange(12) % 3], POOL)
    plain = arrays(npz(tmp_path / "c.npz", images=POOL, labels=np.arange(12) % 3)).fingerprint
    assert arrays(tmp_path / "a.npz").fingerprint == plain
    assert arrays(tmp_path / "b.npz").fingerprint == plain
    for some in (
        (POOL, np.arange(11)),
        (POOL, POOL),
        (POOL, np.arange(12), POOL, np.arange(12)),
        (POOL,),
    ):
        np.savez(tmp_path / "d.npz", *some)
        with pytest.raises(DataError, match=r"it has the arrays arr_0.*np\.savez"):
            open_source(str(tmp_path / "d.npz"))


def test_a_folder_of_npz_files(tmp_path: Path) -> None:
    root = tmp_path / "km"
    root.mkdir()
    for part, count in (("train", 9), ("test", 3)):
        np.savez(root / f"kmnist-{part}-imgs.npz", POOL[:count])
        np.savez(root / f"kmnist-{part}-labels.npz", np.arange(count) % 3)
    source = arrays(root)
    assert {part: len(rows) for part, rows in source.parts.items()} == {"train": 9, "test": 3}
    assert np.array_equal(source.images[:9, ..., 0], POOL[:9])
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    npz(pairs / "train.npz", x=POOL[:9], y=np.arange(9) % 3)
    np.savez(pairs / "test.npz", POOL[:3], np.arange(3) % 3)
    assert arrays(pairs).fingerprint == source.fingerprint
    (root / "kmnist-train-imgs.npz").rename(root / "part-one.npz")
    with pytest.raises(DataError, match="it has the arrays x_test, y_test, y_train"):
        open_source(str(root))
    npz(pairs / "k49-train.npz", x=POOL[:9], y=np.arange(9) % 3)
    with pytest.raises(DataError, match="means the same as another"):
        open_source(str(pairs))
    other = tmp_path / "other"
    other.mkdir()
    npz(other / "1.npz", a=POOL)
    npz(other / "2.npz", a=POOL)
    with pytest.raises(DataError, match=r"names of its files do not say .*: 1\.npz, 2\.npz"):
        open_source(str(other))


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ("a.mat", r"MATLAB.*scipy\.io\.loadmat\('.*a\.mat'\).*savez\('.*a\.npz'"),
        ("a.h5", r"HDF5.*h5py\.File\('.*a\.h5'\).*savez"),
        ("a.hdf5", "HDF5"),
        ("a.pkl", r"pickle, which can run programs and is never opened.*savez"),
        ("a.xlsx", "spreadsheet; save it as CSV"),
        ("a.npy", r"images\.npy and labels\.npy, into one folder"),
        ("a.json", "JSON lines"),
        ("a.pt", "PyTorch"),
    ],
)
def test_files_of_other_kinds_say_what_to_do(file: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / file
    path.write_bytes(b"\x80\x04.")
    for place in (path, path.parent):
        with pytest.raises(DataError, match=advice):
            open_source(str(place))


def test_a_folder_whose_files_are_the_data(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("label,pixel0\n")
    (tmp_path / "test.csv").write_text("pixel0\n")
    with pytest.raises(DataError, match=r"it holds test\.csv, train\.csv: give one of them"):
        open_source(str(tmp_path))
    zipped(tmp_path / "x.zip", tmp_path)
    with pytest.raises(DataError, match=r"unpack it first"):
        open_source(str(tmp_path / "x.zip"))


def test_a_table_beside_folders_that_are_no_classes(tmp_path: Path) -> None:
    root = tmp_path / "aptos"
    for index in range(6):
        photo(root / "train_images" / f"a{index}.png", index)
        photo(root / "test_images" / f"b{index}.png", 50 + index)
    rows = "".join(f"a{index},{index % 2},{index % 3}\n" for index in range(6))
    (root / "train.csv").write_text("id_code,diagnosis,eye\n" + rows)
    (root / "sample_submission.csv").write_text("id_code,diagnosis\nb1,0\nb2,0\n")
    with pytest.raises(DataError, match=r"it has: id_code, diagnosis, eye; .*--label-column"):
        open_source(str(root))
    source = open_source(SourceSettings(str(root), label_column="eye"))
    assert isinstance(source, PhotoFolder)
    assert source.class_names == ("0", "1", "2")
    assert source.files[0] == "train_images/a0.png"
    (root / "train.csv").write_text(
        "id_code,diagnosis\n" + "".join(f"a{index},{index % 2}\n" for index in range(6))
    )
    for place in (root, zipped(tmp_path / "aptos.zip", root)):
        assert opened(place).class_names == ("0", "1")
        assert "table train.csv says which class" in notes(opened(place))
    (root / "more.csv").write_text("id_code,diagnosis\nb1,0\nb2,1\nb3,1\nb4,0\n")
    with pytest.raises(DataError, match=r"several tables .*: more\.csv, train\.csv"):
        open_source(str(root))


def test_a_table_beside_folders_that_are_classes(tmp_path: Path) -> None:
    plain = photos(tmp_path / "plain", {"cat": 4, "dog": 4})
    lines = "".join(f"{kind}/{i}.png,{kind}\n" for kind in ("cat", "dog") for i in range(3))
    (plain / "list.csv").write_text("file_name,label\n" + lines)
    (plain / "sizes.csv").write_text("what,how many\nx,1\n")
    assert opened(plain).class_names == ("cat", "dog")
    assert len(opened(plain)) == 10
    (plain / "list.csv").write_text(
        "file_name,blurred\n" + "".join(f"cat/{i}.png,{i % 2}\n" for i in range(4))
    )
    with pytest.raises(
        DataError, match=r"list\.csv says that photos of the folder cat are of several"
    ):
        open_source(str(plain))
    divided = photos(tmp_path / "divided", DIVIDED)
    lines = "".join(f"train/cat/{i}.png,{i % 2}\n" for i in range(4))
    (divided / "list.csv").write_text("file_name,blurred\n" + lines)
    assert opened(divided).class_names == ("cat", "dog")


def test_damaged_arrays(tmp_path: Path) -> None:
    whole = npz(tmp_path / "w.npz", images=PIXELS, labels=LABELS).read_bytes()
    for content in (b"", b"x", whole[:100], whole[: len(whole) // 2], b"\x80\x04\x95"):
        (tmp_path / "w.npz").write_bytes(content)
        with pytest.raises(DataError):
            open_source(str(tmp_path / "w.npz"))


@settings(max_examples=25)
@given(
    st.integers(3, 9),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([1, 3]),
    st.sampled_from([np.uint8, np.int32, np.float32]),
)
def test_any_arrays_keep_their_pixels(
    n: int, height: int, width: int, channels: int, kind: Any
) -> None:
    images = np.random.default_rng(n).integers(0, 256, (n, height, width, channels)).astype(kind)
    images.flat[0] = 255
    labels = np.arange(n) % 3
    with TemporaryDirectory() as place:
        dataset = arrays(npz(Path(place) / "a.npz", images=images, labels=labels))
        assert np.array_equal(dataset.images, images.astype(np.uint8))
        assert np.array_equal(dataset.labels, labels)


# By name: in the exact format of their makers, but small, for the files themselves are not at hand


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLHAR_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def cifar100_files(folder: Path, train: int = 2, test: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for name, each in (("train.bin", train), ("test.bin", test)):
        fine = np.tile(np.arange(100, dtype=np.uint8), each)
        pixels = generator.integers(0, 256, (len(fine), 3072), np.uint8)
        records = np.concatenate([fine[:, None] // 5, fine[:, None], pixels], axis=1)
        (folder / name).write_bytes(records.tobytes())


def few_of_cifar100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar100, "_PER_CLASS", {"train.bin": 2, "test.bin": 1})
    monkeypatch.setitem(cifar100.CIFAR100.parts, "train", 200)  # type: ignore[arg-type]
    monkeypatch.setitem(cifar100.CIFAR100.parts, "test", 100)  # type: ignore[arg-type]


@pytest.mark.parametrize("packed", [False, True])
def test_cifar100(packed: bool, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_of_cifar100(monkeypatch)
    folder = place / "cifar-100-binary"
    cifar100_files(folder)
    raw = np.frombuffer((folder / "test.bin").read_bytes(), np.uint8).reshape(-1, 3074)
    if packed:
        with tarfile.open(place / "cifar-100-binary.tar.gz", "w:gz") as archive:
            archive.add(folder, "cifar-100-binary")
        shutil.rmtree(folder)
    dataset = arrays("cifar100")
    assert dataset.images.shape == (300, 32, 32, 3)
    assert dataset.class_names[:3] == ("apple", "aquarium_fish", "baby")
    assert {part: len(rows) for part, rows in dataset.parts.items()} == {"train": 200, "test": 100}
    assert dataset.labels[200:].tolist() == list(range(100))
    assert np.array_equal(dataset.images[201, 0, :, 0], raw[1, 2:34])  # the first row, in red
    assert np.array_equal(dataset.images[201, 31, :, 2], raw[1, -32:])  # the last, in blue


def test_cifar100_that_is_not(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_of_cifar100(monkeypatch)
    folder = place / "cifar-100-binary"
    cifar100_files(folder, train=3)
    with pytest.raises(ChecksumError, match=r"not the train\.bin of CIFAR-100"):
        open_source("cifar100")
    cifar100_files(folder)
    (folder / "test.bin").unlink()
    with pytest.raises(ChecksumError, match=r"test\.bin is missing"):
        open_source("cifar100")


@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
def test_caltech101(form: str, place: Path, tmp_path: Path) -> None:
    root = tmp_path / "src" / "101_ObjectCategories"
    photos(root, {"accordion": 4, "airplanes": 4, "ant": 3, "BACKGROUND_Google": 2})
    if form == "folder":
        shutil.copytree(root, place / "caltech" / root.name)
    else:
        inner = tmp_path / "101_ObjectCategories.tar.gz"
        with tarfile.open(inner, "w:gz") as archive:
            archive.add(root, root.name)
        if form == "tar":
            shutil.copy(inner, place)
        else:
            with zipfile.ZipFile(place / "caltech-101.zip", "w") as outer:
                outer.write(inner, f"caltech-101/{inner.name}")
                outer.writestr("__MACOSX/caltech-101/._x", b"x")
    source = opened("caltech101")
    assert source.class_names == ("accordion", "airplanes", "ant")
    assert "BACKGROUND_Google shows no object" in notes(source)
    assert len(decoded(source)) == 12


# Through the command line


def test_the_commands(tmp_path: Path) -> None:
    root = photos(tmp_path / "pets", FLAT)
    out = tmp_path / "pets.zip"
    done = olhar("data", "export", root, "--format", "zip", "--out", out, "--json")
    assert done.status == 0, done.err
    assert done.json == {"format": 1, "path": str(out), "form": "zip", "images": 11, "parts": {}}
    facts = olhar("data", out, "--json")
    assert facts.status == 0, facts.err
    assert facts.json["images"] == 10
    refused = olhar("data", out, "--fix")
    assert refused.status == 2
    assert "is no folder of photos" in refused.err
    for words, message in (
        (("data", "export", root), "--format"),
        (("data", root, "--format", "zip"), "--format"),
        (("data", "export", root, "--format", "zip", "--out", out), "exists already"),
        (("data", photo(tmp_path / "a.png", 1)), "not read as data"),
    ):
        wrong = olhar(*words)
        assert wrong.status == 2
        assert message in wrong.err


@needs_data
def test_training_with_broken_photos_asks_nothing(tmp_path: Path) -> None:
    """One photo in twenty is broken; a model comes out all the same, also from a zip."""
    root = tmp_path / "ants-bees"
    for kind in ("ants", "bees"):
        for index, file in enumerate(
            sorted(Path(DATA, "hymenoptera_data/train", kind).iterdir())[:30]
        ):
            (root / kind).mkdir(parents=True, exist_ok=True)
            content = file.read_bytes()
            broken = {7: content[: len(content) // 3], 14: b"", 21: b"<html>404</html>"}
            (root / kind / f"{index}.jpg").write_bytes(broken.get(index, content))
    path = zipped(tmp_path / "ants-bees.zip", root)
    run = tmp_path / "run"
    words = ("--network", "cnn-32-64-64", "--epochs", 1, "--run", run, "--json")
    done = olhar("train", "--data", path, *words, OMP_NUM_THREADS="1")
    assert done.status == 0, done.err
    assert "6 of 60 photos cannot be read" in done.err
    assert (run / "model" / "model.onnx").is_file()
    assert "count = 6" in (run / "config.toml").read_text(encoding="utf-8")
    assert os.fspath(path) in (run / "config.toml").read_text(encoding="utf-8")
