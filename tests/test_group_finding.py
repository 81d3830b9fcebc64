"""Which photos belong together: found in pixels, clocks and folders, or said by a user."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from conftest import DATA, needs_data, olhar
from olhar.classroom.gathering import gather_data
from olhar.data_settings import DataSettings
from olhar.datasets import (
    Groups,
    PhotoFolder,
    divide,
    find_groups,
    load_named,
    open_source,
    prepare_dataset,
    split_dataset,
)
from olhar.datasets.alike import copies_among_many, find_alike
from olhar.datasets.groups import find_leaks
from olhar.errors import ConfigError, DataError, OlharError
from olhar.pipeline.inputs import splits_of
from olhar.preprocess import Framing
from olhar.progress import Progress

EXIF, TAKEN, MODEL = 0x8769, 0x9003, 0x0110


class Notes(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: object) -> None:
        self.said.append(str(text))


def texture(seed: int, side: int = 80) -> NDArray[np.float64]:
    """A random picture (side, side, 3), smooth, so that shifted parts of it look alike."""
    rough = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    smooth = Image.fromarray(rough).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(smooth, np.float64)


def save(path: Path, seed: int, *, shift: int = 0, noise: int = 0, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = texture(seed)[shift : shift + 72, shift : shift + 72]
    pixels = pixels + np.random.default_rng(noise).normal(0, 3, pixels.shape)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, **options)  # type: ignore[arg-type]
    return path


def different(root: Path, per_class: int = 10, ending: str = "jpg") -> Path:
    """Photos of two classes, all different, numbered as cameras do."""
    for number in range(per_class):
        save(root / "cat" / f"IMG_{number:04}.{ending}", number)
        save(root / "dog" / f"IMG_{number:04}.{ending}", 1000 + number)
    return root


def meaningless(root: Path, pictures: int = 30, copies: int = 6) -> Path:
    """Random pictures under random labels, each several times, shifted and noisy."""
    generator = np.random.default_rng(1)
    for picture in range(pictures):
        label = "abc"[generator.integers(3)]
        for copy in range(copies):
            name = f"{generator.integers(10**9)}.png"
            save(root / label / name, 5000 + picture, shift=copy, noise=picture * copies + copy)
    return root


def source_of(root: Path) -> PhotoFolder:
    source = open_source(str(root))
    assert isinstance(source, PhotoFolder)
    return source


def groups_of(root: Path, **wanted: object) -> tuple[PhotoFolder, Groups]:
    source = source_of(root)
    return source, find_groups(source, DataSettings(str(root), **wanted), Progress())  # type: ignore[arg-type]


def together(source: PhotoFolder, groups: Groups) -> set[frozenset[str]]:
    """The groups of two and more, by names of files."""
    members: dict[int, set[str]] = {}
    for file, group in zip(source.files, groups.ids.tolist(), strict=True):
        members.setdefault(group, set()).add(file)
    return {frozenset(files) for files in members.values() if len(files) > 1}


def one_neighbour(root: Path, groups: NDArray[np.int64] | None) -> float:
    """How often the most similar photo of train has the label of a test photo."""
    source = source_of(root)
    dataset = prepare_dataset(source, Framing(16, 1, resize="squash"), Progress())
    splits = split_dataset(dataset, groups=groups)
    pixels = dataset.images.reshape(len(dataset), -1).astype(np.float64)
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    nearest = splits.train[(pixels[splits.test] @ pixels[splits.train].T).argmax(axis=1)]
    return float((dataset.labels[nearest] == dataset.labels[splits.test]).mean())


def test_copies_no_longer_answer_for_meaningless_labels(tmp_path: Path) -> None:
    root = meaningless(tmp_path / "noise")
    groups = groups_of(root)[1]
    assert Counter(Counter(groups.ids.tolist()).values()) == {6: 30}
    assert one_neighbour(root, None) > 0.95
    assert one_neighbour(root, groups.ids) < 0.6


@needs_data
def test_a_backbone_no_longer_learns_meaningless_labels(tmp_path: Path) -> None:
    root = meaningless(tmp_path / "noise")
    assert DATA
    weights = Path(DATA) / "weights" / "mobilenet_v2_imagenet.pth"
    words = ("train", "--data", root, "--backbone", "mobilenet_v2", "--weights", weights, "--json")
    whole = olhar(*words, "--run", tmp_path / "whole")
    assert "30 group(s) of near-duplicates (the largest of 6 photos) are kept together" in whole.err
    assert whole.json["accuracy"] < 0.6
    flattered = olhar(*words, "--run", tmp_path / "divided", "--no-groups")
    assert flattered.json["accuracy"] > 0.9


def test_ordinary_photos_are_no_groups(tmp_path: Path) -> None:
    source, groups = groups_of(different(tmp_path / "pets"))
    assert not together(source, groups)
    assert not groups.notes
    assert groups.digest() == ""
    dataset = prepare_dataset(source, Framing(16, 1), Progress())
    divided = divide(source, dataset, DataSettings(source.name), Progress())
    plain = split_dataset(dataset)
    assert np.array_equal(divided.train, plain.train)
    assert np.array_equal(divided.test, plain.test)
    assert not divided.facts


def test_sets_with_a_name_have_no_groups() -> None:
    digits = load_named("digits")
    groups = find_groups(digits, DataSettings("digits"), Progress())
    assert len(np.unique(groups.ids)) == len(digits)


def test_copies_in_two_classes_are_one_group(tmp_path: Path) -> None:
    root = different(tmp_path / "pets")
    (root / "dog" / "again.jpg").write_bytes((root / "cat" / "IMG_0003.jpg").read_bytes())
    source, groups = groups_of(root)
    assert together(source, groups) == {frozenset({"cat/IMG_0003.jpg", "dog/again.jpg"})}
    source, groups = groups_of(root, groups="none")
    assert not together(source, groups)


def test_photos_of_one_colour_are_no_copies(tmp_path: Path) -> None:
    for number in range(12):
        path = tmp_path / "plain" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (200 if number % 2 else 0, 0, 0)).save(path)
    source, groups = groups_of(tmp_path / "plain")
    assert not together(source, groups)


def test_a_burst_is_one_group(tmp_path: Path) -> None:
    root = different(tmp_path / "pets", per_class=6)

    def shot(name: str, seed: int, second: int, model: str = "Pixel 7") -> str:
        exif = Image.Exif()
        exif[MODEL] = model
        exif.get_ifd(EXIF)[TAKEN] = f"2024:05:01 10:00:{second:02}"
        save(root / name, seed, exif=exif)
        return name

    burst = {
        shot("cat/x.jpg", 50, 10),
        shot("cat/b.jpg", 51, 13),
        shot("dog/f.jpg", 52, 15),  # a burst may go on into another class
    }
    shot("cat/later.jpg", 53, 40)
    shot("cat/other-camera.jpg", 54, 11, "EOS 5D")
    source, groups = groups_of(root)
    assert together(source, groups) == {frozenset(burst)}
    assert "1 group(s) of photos taken one after another" in str(groups.notes[0])


def test_a_clock_that_stands_still_says_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[MODEL] = "Scanner"
    exif.get_ifd(EXIF)[TAKEN] = "2000:01:01 00:00:00"
    for number in range(40):
        save(tmp_path / "scans" / "ab"[number % 2] / f"{number}.jpg", number, exif=exif)
    source, groups = groups_of(tmp_path / "scans")
    assert not together(source, groups)


def film(root: Path, name: str, seed: int, frames: int) -> list[str]:
    """Frames that move slowly over a large picture: neighbours look alike, the ends do not."""
    large = texture(seed, side=220)
    names = []
    for frame in range(frames):
        path = root / f"{name}{frame:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = large[frame * 7 : frame * 7 + 72, frame * 7 : frame * 7 + 72]
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
        names.append(f"{root.name}/{path.name}")
    return names


def test_frames_of_a_film_are_one_group(tmp_path: Path) -> None:
    root = different(tmp_path / "films", per_class=12)
    films = [
        film(root / "cat", "video1_frame_", 70, 12),
        film(root / "cat", "video2_frame_", 71, 12),
    ]
    source, groups = groups_of(root)
    assert together(source, groups) == {frozenset(names) for names in films}


def test_a_class_that_is_one_film_is_said(tmp_path: Path) -> None:
    root = tmp_path / "films"
    for label, seed in (("cat", 80), ("dog", 81)):
        for number in range(10):
            save(root / label / f"{number * 7 % 10}x.png", seed, shift=number % 5, noise=number)
    source, groups = groups_of(root)
    assert not together(source, groups)
    assert "of cat, dog nearly all photos look like copies" in str(groups.notes[-1])
    dataset = prepare_dataset(source, Framing(16, 1), Progress())
    notes = Notes()
    splits = divide(source, dataset, DataSettings(source.name), notes)
    assert splits.facts["leaks"]["groups"] == 2
    assert "group(s) of near-duplicates lie in more than one split" in notes.said[-1]


def test_folders_below_those_of_the_classes(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    for pet in range(5):
        for number in range(4):
            save(root / "cat" / f"cat{pet}" / f"{number}.png", pet * 10 + number)
            save(root / "dog" / f"{pet}-{number}.png", 500 + pet * 10 + number)
    source, groups = groups_of(root)
    assert {len(group) for group in together(source, groups)} == {4}
    assert len(together(source, groups)) == 5
    assert "5 group(s) by the folders below those of the classes" in str(groups.notes[0])
    for pet in range(2, 5):
        for path in (root / "cat" / f"cat{pet}").iterdir():
            path.rename(root / "cat" / "cat1" / f"{pet}-{path.name}")
    source, groups = groups_of(root)
    assert not together(source, groups)
    assert "the folders below those of cat are too few or too large" in str(groups.notes[0])


def test_what_a_user_says_comes_first(tmp_path: Path) -> None:
    root = different(tmp_path / "pets", per_class=8)
    (root / "dog" / "again.jpg").write_bytes((root / "dog" / "IMG_0003.jpg").read_bytes())
    rows = ["file,group", "cat/IMG_0000.jpg,rex", ".\\cat\\IMG_0005.jpg,rex", "dog/gone.jpg,x"]
    (root / "groups.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    source, groups = groups_of(root)
    assert together(source, groups) == {frozenset({"cat/IMG_0000.jpg", "cat/IMG_0005.jpg"})}
    assert "1 group(s) by groups.csv (the largest of 2 photos)" in str(groups.notes[0])
    assert "15 of 17 photos have no group by groups.csv" in str(groups.notes[1])
    assert "data/pets/groups.csv" in gather_data(str(root), Progress(), download=False)[2]
    with pytest.raises(DataError, match="which photos belong together, and is no data"):
        open_source(str(root / "groups.csv"))
    source, groups = groups_of(root, group_by=r"IMG_000(\d)")
    assert {len(group) for group in together(source, groups)} == {2}
    assert len(together(source, groups)) == 8
    with pytest.raises(ConfigError, match=r"matches no path of .*, such as 'cat/IMG_0000\.jpg'"):
        groups_of(root, group_by="patient")
    with pytest.raises(ConfigError, match="is for a table of photos"):
        groups_of(root, group_column="patient")


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (["name,group", "cat/IMG_0000.jpg,a"], "needs the columns file"),
        (["file,group", "cat/IMG_0000.jpg,a", "cat/IMG_0000.jpg,b"], "line 3: .* groups a and b"),
        (["file,group", "pets/cat/IMG_0000.jpg,a"], "names no photo of .*, such as 'cat/IMG"),
        (["file,group", '"cat'], "cannot be read as a table"),
    ],
)
def test_groups_csv_that_cannot_be_meant(tmp_path: Path, rows: list[str], match: str) -> None:
    root = different(tmp_path / "pets", per_class=4)
    (root / "groups.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=match):
        groups_of(root)


def test_a_column_of_a_table(tmp_path: Path) -> None:
    root = different(tmp_path / "pets", per_class=9)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))
    rows = [f"{file},{file[:3]},{int(file[-5]) // 3}" for file in files]
    rows[0] = rows[0][:-1]
    (root / "table.csv").write_text("\n".join(["file_name,label,patient", *rows]))
    source, groups = groups_of(root / "table.csv", group_column="patient")
    assert sorted(len(group) for group in together(source, groups)) == [5, 6, 6]
    assert "1 of 18 photos have no group" in str(groups.notes[1])
    with pytest.raises(ConfigError, match="no such column; it has: file_name, label, patient"):
        groups_of(root / "table.csv", group_column="person")


def test_settings_that_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="both given"):
        DataSettings("pets", group_column="a", group_by="b")
    with pytest.raises(ConfigError, match="groups is none, but --group-by"):
        DataSettings("pets", groups="none", group_by="b")
    with pytest.raises(ConfigError, match="a regular expression"):
        DataSettings("pets", group_by="(")


def test_published_splits_stay_and_their_leaks_are_named(tmp_path: Path) -> None:
    for number in range(12):
        for part in ("train", "test"):
            seed = number + (100 if part == "test" and number >= 4 else 0)
            path = tmp_path / "set" / part / "ab"[number % 2] / f"{number}.png"
            save(path, seed, shift=1 if part == "test" else 0, noise=number)
    source = source_of(tmp_path / "set")
    dataset = prepare_dataset(source, Framing(16, 1), Progress())
    notes = Notes()
    splits = divide(source, dataset, DataSettings(source.name), notes)
    assert np.array_equal(splits.test, source.parts["test"])
    assert splits.facts["leaks"] == {"groups": 4, "test": 4}
    assert any("4 of 12 test photos have one in train or val" in said for said in notes.said)
    groups = find_groups(source, DataSettings(source.name), Progress())
    assert find_leaks(groups, splits) == splits.facts["leaks"]


def test_a_run_makes_the_same_split_again(tmp_path: Path) -> None:
    root = meaningless(tmp_path / "noise", pictures=12, copies=4)
    settings = ("--network", "lenet5", "--epochs", "1", "--run", tmp_path / "run", "--json")
    trained = olhar("train", "--data", root, *settings)
    assert trained.status == 0, trained.err
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert config["data"]["groups"] == "auto"
    assert config["data"]["grouped"]["near"] == {"groups": 12, "largest": 4}
    card = (tmp_path / "run" / "README.md").read_text()
    assert "Images that belong together" in card
    measured = olhar("evaluate", tmp_path / "run", "--json")
    assert measured.json["accuracy"] == trained.json["accuracy"]
    assert measured.json["n"] == trained.json["n"]
    (tmp_path / "run" / "metrics.json").unlink()  # as a kill leaves it
    assert olhar("resume", tmp_path / "run").status == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["n"] == trained.json["n"]
    (root / "groups.csv").write_text(f"file,group\n{next(root.rglob('*.png')).relative_to(root)},a")
    for command in ("evaluate", "resume"):
        (tmp_path / "run" / "metrics.json").unlink(missing_ok=True)
        refused = olhar(command, tmp_path / "run")
        assert refused.status != 0
        assert "are not what they were when the run began" in refused.err


def test_a_run_that_is_older_than_groups_is_divided_without(tmp_path: Path) -> None:
    root = meaningless(tmp_path / "noise", pictures=12, copies=4)
    source = source_of(root)
    dataset = prepare_dataset(source, Framing(16, 1), Progress())
    table: dict[str, Any] = {
        "name": source.name,
        "split_seed": 3,
        "test": 12,
        "resize": "crop",
        "fingerprint": dataset.fingerprint,
    }
    again = splits_of(source, dataset, table, Progress())
    assert np.array_equal(again.test, split_dataset(dataset, test=12, split_seed=3).test)
    table["groups"] = "auto"
    facts = divide(source, dataset, DataSettings.recorded(table), Progress()).facts
    newer = splits_of(source, dataset, {**table, "grouped": facts}, Progress())
    assert not np.array_equal(again.test, newer.test)


def test_broken_photos_belong_to_nothing(tmp_path: Path) -> None:
    root = meaningless(tmp_path / "noise", pictures=9, copies=3)
    (root / "a" / "broken.png").write_bytes(b"no photo")
    source = source_of(root)
    found = find_alike(source, Progress())
    dataset = prepare_dataset(source, Framing(16, 1), Progress())
    assert len(dataset) == len(source) - 1
    splits = divide(source, dataset, DataSettings(source.name), Progress())
    assert Counter(Counter(splits.groups.tolist()).values()) == {3: 9}
    assert len(found.near) == len(source)


def test_a_damaged_cache_is_made_anew(tmp_path: Path, own_cache: None) -> None:
    root = meaningless(tmp_path / "noise", pictures=9, copies=3)
    source, groups = groups_of(root)
    cached = list(tmp_path.rglob("groups/*.npy"))
    assert len(cached) == 1
    cached[0].write_bytes(b"x")
    again = find_groups(source, DataSettings(str(root)), Progress())
    assert np.array_equal(groups.ids, again.ids)
    assert cached[0].stat().st_size > 1


def test_arrays_have_groups_too(tmp_path: Path) -> None:
    images = np.stack([texture(k // 2, 40) for k in range(24)]).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(24) % 4 // 2)
    source = open_source(str(tmp_path / "a.npz"))
    groups = find_groups(source, DataSettings(source.name), Progress())
    assert len(np.unique(groups.ids)) == 12
    with pytest.raises(OlharError, match="is for photos that are files"):
        find_groups(source, DataSettings(source.name, group_by="x"), Progress())


def test_copies_among_many_are_the_same_by_kept_digests_as_by_files(tmp_path: Path) -> None:
    for label in "ab":
        for seed in range(4):
            save(tmp_path / "data" / label / f"{seed}.png", seed)
            save(tmp_path / "data" / label / f"more-{seed}.png", seed, noise=seed + ord(label))
    (tmp_path / "data" / "a" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    folder = open_source(str(tmp_path / "data"))
    assert isinstance(folder, PhotoFolder)
    decoded = prepare_dataset(folder, Framing(16, 3), Progress())
    assert len(decoded) == len(folder) - 1
    again = prepare_dataset(folder, Framing(16, 3), Progress())
    for dataset in (decoded, again):
        kept = copies_among_many(folder, dataset)
        assert kept.near.tolist() == copies_among_many(folder, None).near.tolist()
        groups = Counter(kept.near.tolist())
        assert sorted(groups.values(), reverse=True)[:4] == [2, 2, 2, 1]
