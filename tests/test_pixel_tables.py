"""Images as rows of CSV files: a column for each pixel, or one with all of them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from olhar.data_settings import SourceSettings
from olhar.datasets import Dataset, open_source, split_dataset
from olhar.errors import ConfigError, DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 6)).astype(np.uint8)  # (N, H, W)
LABELS = [3, 1, 2] * 10


def written(
    path: Path,
    images: NDArray[np.generic] = IMAGES,
    *,
    names: list[str] | None = None,
    head: str = "label",
    labels: list[str] | None = None,
    separator: str = ",",
) -> Path:
    """A table with a column for each pixel."""
    flat = images.reshape(len(images), -1)
    names = names or [f"pixel{index}" for index in range(flat.shape[1])]
    given = map(str, LABELS) if labels is None else labels
    rows = [[label, *map(str, row)] for label, row in zip(given, flat.tolist(), strict=False)]
    lines = [separator.join(row) for row in [[head, *names], *rows]]
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path, **settings: str) -> Dataset:
    source = open_source(SourceSettings(str(path), **settings))
    assert isinstance(source, Dataset)
    return source


NAMES = {
    "from 1": [f"pixel{index}" for index in range(1, 37)],
    "with zeros": [f"pixel{index:04}" for index in range(36)],
    "grid": [f"{row}x{column}" for row in range(1, 7) for column in range(1, 7)],
    "grid of scikit-learn": [f"pixel_{row}_{column}" for row in range(6) for column in range(6)],
    "numbers": [str(index) for index in range(36)],
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_column_for_each_pixel(kind: str, tmp_path: Path) -> None:
    source = read(written(tmp_path / "t.csv", names=NAMES[kind]))
    assert source.class_names == ("1", "2", "3")
    assert np.array_equal(source.images[..., 0], IMAGES)
    assert [source.class_names[label] for label in source.labels] == list(map(str, LABELS))
    again = read(tmp_path / "t.csv")
    assert again.fingerprint == source.fingerprint
    assert np.array_equal(again.images, source.images)


def test_any_kind_of_pixels_means_the_same(tmp_path: Path) -> None:
    plain = read(written(tmp_path / "a.csv")).fingerprint
    shares = IMAGES.astype(np.float64) / 255
    assert read(written(tmp_path / "b.csv", shares)).fingerprint == plain
    assert read(written(tmp_path / "c.csv", IMAGES.astype(np.float64))).fingerprint == plain
    assert read(written(tmp_path / "d.csv", separator=";")).fingerprint == plain
    binary = (IMAGES > 128).astype(np.uint8)
    assert read(written(tmp_path / "e.csv", binary)).images.max() == 255


@settings(max_examples=25, deadline=None)
@given(
    hnp.arrays(
        np.uint8, st.tuples(st.just(6), st.just(4), st.just(4)), elements=st.integers(0, 255)
    ),
    st.sampled_from(",;\t"),
)
def test_any_pixels_come_back(images: NDArray[np.uint8], separator: str) -> None:
    with TemporaryDirectory() as place:
        path = written(Path(place) / "t.csv", images, separator=separator)
        factor = 255 if images.max() <= 1 else 1
        assert np.array_equal(read(path).images[..., 0], images * factor)


def test_labels(tmp_path: Path) -> None:
    many = [f"{index % 12}.0" if index % 2 else str(index % 12) for index in range(30)]
    source = read(written(tmp_path / "a.csv", labels=many))
    assert source.class_names == tuple(map(str, range(12)))
    words = read(written(tmp_path / "b.csv", labels=["b", "a", "c"] * 10, head="letter"))
    assert words.class_names == ("a", "b", "c")
    text = (tmp_path / "b.csv").read_text().replace("letter", "letter,id", 1)
    text = text.replace("\nb,", "\nb,7,").replace("\na,", "\na,7,").replace("\nc,", "\nc,7,")
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(DataError, match=r"several columns .*: letter, id; .*--label-column"):
        read(tmp_path / "c.csv")
    named = read(tmp_path / "c.csv", label_column="letter")
    assert named.fingerprint == words.fingerprint


def faces(path: Path, usages: list[str], head: str = "emotion,pixels,Usage") -> Path:
    rows = [
        f"{label},{' '.join(map(str, image.ravel().tolist()))},{usage}"
        for label, image, usage in zip(LABELS, IMAGES, usages, strict=False)
    ]
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


@pytest.mark.parametrize("head", ["emotion,pixels,Usage", "emotion, pixels, Usage"])
def test_all_pixels_in_one_column(head: str, tmp_path: Path) -> None:
    usages = ["PrivateTest", "Training", "PublicTest", "Training", "Training"] * 6
    source = read(faces(tmp_path / "fer.csv", usages, head))
    assert split_dataset(source).sizes() == {"train": 18, "val": 6, "test": 6}
    order = [i for part in ("Tr", "Pu", "Pr") for i in range(30) if usages[i].startswith(part)]
    assert np.array_equal(source.images[..., 0], IMAGES[order])
    assert [int(source.class_names[label]) for label in source.labels] == [
        LABELS[index] for index in order
    ]
    with pytest.raises(DataError, match=r"line 2 .*'Other' is no split"):
        read(faces(tmp_path / "fer.csv", ["Other"] * 30))
    with pytest.raises(DataError, match="rows of test only"):
        read(faces(tmp_path / "fer.csv", ["PrivateTest"] * 30))


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"

    def refused(message: str, **settings: str) -> None:
        with pytest.raises(DataError, match=message) as caught:
            read(path, **settings)
        assert len(str(caught.value)) < 700

    written(path, IMAGES[:, :, :5])
    refused(r"the 30 pixels of a row .* no square grey image.*\.npz")
    path.write_text(
        "\n".join(line.split(",", 1)[1] for line in written(path).read_text().splitlines())
    )
    refused("pixels but no column of labels.*often train")
    written(path, np.zeros((30, 20, 20), np.uint8), names=[f"f{index}" for index in range(400)])
    refused(r"401 columns, label, f0, f1.*\(401\); allowed: .*label,pixel0")
    path.write_text("\n".join(",".join(["7", *["0"] * 784]) for _row in range(3)))
    refused(r"no names of columns but 785 numbers.*label,pixel0.*range\(784\)")
    written(path)
    text = path.read_text()
    for change, message in (
        (("\n3,", "\n,"), "line 2 .* no label"),
        (("\n3,", "\n3,4,"), "line 2 .*38 values, not 37"),
        (("\n3,", "\n3,-"), "line 2 .*0 to 255"),
        (("\n3,", "\n3,9999"), "line 2 .*0 to 255"),
        (("\n3,", "\n3,x"), "line 2 .*no number"),
        (("\n3,", "\n-3,"), "allowed: 0 to"),
    ):
        path.write_text(text.replace(*change, 1))
        refused(message)
    with pytest.raises(ConfigError, match="--photos is for a table that names files"):
        read(written(path), photos=str(tmp_path))


def test_a_folder_of_tables(tmp_path: Path) -> None:
    whole = written(tmp_path / "train.csv").read_text()
    written(tmp_path / "test.csv", IMAGES[:10])
    unlabelled = [
        line.partition(",")[2] for line in (tmp_path / "test.csv").read_text().splitlines()
    ]
    (tmp_path / "test.csv").write_text("\n".join(unlabelled))
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    source = read(tmp_path)
    assert (len(source), dict(source.parts)) == (30, {})
    assert "read from: train.csv" in str(source.notes[0])
    written(tmp_path / "test.csv", IMAGES[:12])
    both = read(tmp_path)
    assert {part: len(rows) for part, rows in both.parts.items()} == {"train": 30, "test": 12}
    assert np.array_equal(both.images[30:, ..., 0], IMAGES[:12])
    (tmp_path / "other.csv").write_text(whole)
    with pytest.raises(DataError, match=r"it holds other\.csv, .* give one of them"):
        open_source(str(tmp_path))


def test_a_list_of_photos_that_counts_their_pixels(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file_name,label,pixels\na.png,cat,400\n")
    with pytest.raises(DataError, match=r"there is no file 'a\.png'"):
        open_source(str(tmp_path / "t.csv"))
