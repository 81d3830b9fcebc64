"""`olhar data FOLDER`: planted errors found, set aside and put back; hostile folders; the page."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from conftest import DATA, needs_data, olhar
from olhar import i18n
from olhar.check import (
    KINDS,
    CheckReport,
    Finding,
    check_page,
    check_source,
    parse_fixes,
    quarantine_folder,
    set_aside,
    undo,
)
from olhar.check.labels import check_labels
from olhar.datasets import PhotoFolder, load_named, open_source
from olhar.errors import ConfigError, NoPermissionError, OlharError, UnknownNameError
from olhar.progress import Progress

SAFE = parse_fixes("safe")
posix = pytest.mark.skipif(sys.platform == "win32", reason="other permissions and names there")


def tree(root: Path) -> dict[str, bytes]:
    """Every file's path and bytes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def checked(root: Path, *, labels: bool = False) -> CheckReport:
    return check_source(open_source(str(root)), Progress(), labels=labels, workers=1)


def of_kind(report: CheckReport, kind: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.kind == kind]


def files_of(report: CheckReport, kind: str) -> set[str]:
    return {file for finding in of_kind(report, kind) for file in finding.files}


def pattern(path: Path, seed: int, side: int = 48) -> Path:
    """A picture like no other: smooth colours from noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(path)
    return path


# Planted errors among real photos


class Planted:
    """Real photos with errors of every kind, and what was planted where."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.corrupt: dict[str, str] = {}
        self.exact: set[frozenset[str]] = set()
        self.leaks: set[frozenset[str]] = set()
        self.near: dict[str, frozenset[str]] = {}
        for part, count in (("train", 50), ("val", 20)):
            for name in ("ants", "bees"):
                folder = root / part / name
                folder.mkdir(parents=True)
                for source in sorted(Path(DATA, "hymenoptera_data", part, name).iterdir())[:count]:
                    with Image.open(source) as image:
                        image.thumbnail((320, 320))
                        image.convert("RGB").save(folder / source.name, quality=92)
        self.photos = {
            key: sorted((root / key).iterdir())
            for key in ("train/ants", "train/bees", "val/ants", "val/bees")
        }
        self._plant_corrupt()
        self._plant_copies()
        self._plant_near()
        self._plant_odd()

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _plant_corrupt(self) -> None:
        whole = self.photos["train/ants"][0].read_bytes()
        png = pattern(self.root / "train/bees/crc.png", 1).read_bytes()
        planted = {
            "train/ants/empty.jpg": (b"", "unreadable"),
            "train/ants/cut-early.jpg": (whole[:900], "truncated"),
            "train/ants/cut-half.jpg": (whole[: len(whole) // 2], "truncated"),
            "val/bees/cut-late.jpg": (whole[:-2500], "truncated"),
            "train/ants/page.jpg": (b"<html>404</html>", "unreadable"),
            "train/bees/head.jpg": (b"\0" * 200 + whole[200:], "unreadable"),
            "train/bees/crc.png": (png[:60] + b"\xff" * 30 + png[90:], "unreadable"),
            "val/ants/heic.jpg": (b"\0\0\0\x18ftypheic" + b"\0" * 90, "unreadable"),
        }
        for name, (content, kind) in planted.items():
            (self.root / name).write_bytes(content)
            self.corrupt[name] = kind

    def _plant_copies(self) -> None:
        ants, bees = self.photos["train/ants"], self.photos["train/bees"]
        for number, source in enumerate([*ants[40:43], *bees[40:42]]):
            copy = source.with_name(f"copy-{number}.jpg")
            shutil.copy(source, copy)
            self.exact.add(frozenset({self._name(source), self._name(copy)}))
        as_png = ants[43].with_name("same-pixels.png")
        with Image.open(ants[43]) as image:
            image.save(as_png)
        self.exact.add(frozenset({self._name(ants[43]), self._name(as_png)}))
        for source in (ants[44], bees[44]):
            copy = self.root / "val" / source.parent.name / f"leak-{source.name}"
            shutil.copy(source, copy)
            self.leaks.add(frozenset({self._name(source), self._name(copy)}))
        self.both = [bees[46], self.root / "train/ants/both.jpg"]
        shutil.copy(*self.both)

    def _plant_near(self) -> None:
        changes = np.random.default_rng(0)
        sources = [*self.photos["train/ants"][:30], *self.photos["train/bees"][:30]]
        for number, source in enumerate(sources):
            with Image.open(source) as image:
                changed, quality = alter(image, number % 6, changes)
            part = "val" if number % 2 else "train"
            path = self.root / part / source.parent.name / f"near-{number}.jpg"
            changed.save(path, quality=quality)
            self.near[f"{number % 6}: {path.name}"] = frozenset(
                {self._name(source), self._name(path)}
            )

    def _plant_odd(self) -> None:
        ants = self.photos["train/ants"]
        shutil.copy(self.photos["train/bees"][47], self.root / "train/bees/really-jpeg.png")
        (self.photos["train/bees"][47]).unlink()
        Image.new("RGB", (300, 200), (90, 91, 90)).save(self.root / "train/bees/blank.jpg")
        with Image.open(ants[47]) as image:
            image.filter(ImageFilter.GaussianBlur(9)).save(self.root / "train/ants/blurred.jpg")
            exif = image.getexif()
            exif[0x0112] = 6
            ImageOps.mirror(image).save(self.root / "train/ants/turned.jpg", exif=exif)
        ants[47].unlink()
        with Image.open(ants[49]) as image:
            image.resize((24, 18)).save(self.root / "train/ants/tiny.png")
        ants[49].unlink()
        with Image.open(ants[48]) as image:
            image.crop((0, 0, image.width, 40)).save(self.root / "train/ants/strip.jpg")
        ants[48].unlink()


def alter(image: Image.Image, way: int, changes: np.random.Generator) -> tuple[Image.Image, int]:
    """A changed copy and the JPEG quality to save it with."""
    width, height = image.size
    left, top, right, bottom = changes.uniform(0.01, 0.07, 4)
    cut = image.crop(
        (int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height))
    )
    if way == 0:
        return image, 35
    if way == 1:
        return image.resize((width // 2, height // 2)), 85
    if way == 2:
        return cut, 90
    if way == 3:
        return ImageEnhance.Brightness(image).enhance(1.3), 90
    if way == 4:
        return ImageEnhance.Brightness(image).enhance(0.7), 90
    smaller = cut.resize((cut.width * 2 // 3, cut.height * 2 // 3))
    return ImageEnhance.Brightness(smaller).enhance(1.15), 60


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    if not DATA:
        pytest.skip("OLHAR_DATA names no folder with real data")
    return Planted(tmp_path_factory.mktemp("planted") / "ants bees")


@pytest.fixture(scope="module")
def report(planted: Planted) -> dict[str, Any]:
    """The check as a user runs it; its page beside the data."""
    page = planted.root.with_name("check.html")
    done = olhar("data", planted.root, "--html", page, "--json")
    assert done.status == 0, done.err
    assert page.stat().st_size < 6e6
    return done.json


def found(report: dict[str, Any], *kinds: str) -> list[frozenset[str]]:
    return [frozenset(row["files"]) for row in report["findings"] if row["kind"] in kinds]


def test_all_corrupt_files_are_found_and_no_others(
    planted: Planted, report: dict[str, Any]
) -> None:
    kinds = ("unreadable", "truncated")
    rows = {r["files"][0]: r["kind"] for r in report["findings"] if r["kind"] in kinds}
    assert rows == planted.corrupt
    assert {row["file"] for row in report["set_aside"]} == set(planted.corrupt)
    assert report["format"] == 1
    assert report["images"] + len(planted.corrupt) == len(tree(planted.root))


def test_all_exact_duplicates_are_found(planted: Planted, report: dict[str, Any]) -> None:
    assert set(found(report, "exact_duplicate")) == planted.exact
    leaks = [row for row in report["findings"] if row["kind"] == "leak" and row["exact"]]
    assert {frozenset(row["files"]) for row in leaks} == planted.leaks
    assert all(name.startswith("train/") for row in leaks for name in row["fix"])
    assert found(report, "two_classes") == [
        frozenset(path.relative_to(planted.root).as_posix() for path in planted.both)
    ]


def test_nine_of_ten_near_duplicates_are_found_and_few_others(
    planted: Planted, report: dict[str, Any]
) -> None:
    groups = found(report, "near_duplicate", "leak")
    missed = [name for name, pair in planted.near.items() if not any(pair <= g for g in groups)]
    assert len(missed) <= 0.1 * len(planted.near), missed
    known = set().union(*planted.near.values(), *planted.leaks, *planted.exact)
    assert [group for group in groups if not group <= known] == []
    across = [pair for pair in planted.near.values() if len({n.split("/")[0] for n in pair}) == 2]
    leaks = found(report, "leak")
    assert sum(any(pair <= leak for leak in leaks) for pair in across) >= 0.9 * len(across)


def test_odd_photos_are_found(report: dict[str, Any]) -> None:
    for kind, name in {
        "wrong_extension": "train/bees/really-jpeg.png",
        "rotated": "train/ants/turned.jpg",
        "blank": "train/bees/blank.jpg",
        "blurred": "train/ants/blurred.jpg",
        "extreme_size": "train/ants/tiny.png",
        "extreme_aspect": "train/ants/strip.jpg",
    }.items():
        names = set().union(*found(report, kind))
        assert name in names, kind
        assert len(names) <= 4, (kind, names)
    assert report["counts"]["labels_unchecked"] == 1  # ants and bees, without a backbone
    assert set(report["counts"]) <= set(KINDS)


def test_fixing_leaves_a_folder_without_leaks_and_undoing_restores_it(
    planted: Planted, tmp_path: Path
) -> None:
    root = shutil.copytree(planted.root, tmp_path / "ants bees")
    before = tree(root)
    done = olhar("data", root, "--fix", "--no-labels")
    assert done.status == 0, done.err
    assert "put them back with" in done.out
    quarantine, away = quarantine_folder(root), len(before) - len(tree(root))
    assert len(tree(quarantine)) == away + 1  # the log
    left = checked(root)
    assert not set(left.counts()) & (SAFE | {"leak"})
    again = olhar("data", root, "--fix", "--no-labels")
    assert "Nothing was moved" in again.out
    undone = olhar("data", root, "--undo", "--json")
    assert undone.status == 0, undone.err
    assert len(undone.json["restored"]) == away
    assert tree(root) == before
    assert not quarantine.exists()
    assert olhar("data", root, "--undo").status == 2


# Labels


@needs_data
def test_flipped_labels_of_digits_are_found(tmp_path: Path) -> None:
    mnist, rng = load_named("mnist"), np.random.default_rng(3)
    flipped = set()
    for row in rng.choice(60_000, 1200, replace=False):
        label = given = int(mnist.labels[row])
        if rng.random() < 0.05:
            given = (label + int(rng.integers(1, 10))) % 10
            flipped.add(f"{given}/{row}.png")
        path = tmp_path / "digits" / str(given) / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mnist.images[row][:, :, 0]).save(path)
    before = tree(tmp_path / "digits")
    done = olhar("data", tmp_path / "digits", "--fix=labels", "--json")
    assert done.status == 0, done.err
    doubted = set().union(*found(done.json, "label_error"))
    hits = len(doubted & flipped)
    assert hits >= 0.7 * len(flipped), (hits, len(flipped))
    assert hits >= 0.5 * len(doubted), (hits, len(doubted))
    assert "near_duplicate" not in done.json["counts"]
    assert {row["from"] for row in done.json["moved"]} == doubted
    assert not doubted & tree(tmp_path / "digits").keys()
    undo(tmp_path / "digits")
    assert tree(tmp_path / "digits") == before


def test_features_handed_in_decide_about_labels(tmp_path: Path) -> None:
    for index in range(60):
        pattern(tmp_path / ("a" if index < 30 else "b") / f"{index}.png", index)
    bad = 7
    wanted = np.array([0] * 30 + [1] * 30)
    wanted[bad] = 1
    rng = np.random.default_rng(0)
    features = (wanted[:, None] + rng.normal(0, 0.2, (60, 4))).astype(np.float32)
    asked = []

    def hand_in(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return features[rows]

    report = check_source(open_source(str(tmp_path)), Progress(), features=hand_in)
    assert asked == list(range(60))
    assert files_of(report, "label_error") == {open_source(str(tmp_path)).files[bad]}


def test_confident_learning_on_labels_that_are_right() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 40)
    features = (np.eye(3)[labels] * 4 + rng.normal(0, 0.3, (120, 3))).astype(np.float32)
    check = check_labels(features, labels, seed=0)
    assert check.accuracy == 1
    assert len(check.suspects) == 0


def test_named_sets(tmp_path: Path) -> None:
    page = tmp_path / "digits.html"
    facts = olhar("data", "digits", "--html", page, "--json").json
    assert facts["images"] == 1797
    assert facts["counts"].get("label_error", 0) < 60
    assert "digits" in page.read_text(encoding="utf-8")
    digits = load_named("digits")
    wrong = dataclasses.replace(digits, labels=np.where(np.arange(1797) < 20, 3, digits.labels))
    report = check_source(wrong, Progress())
    assert len(files_of(report, "label_error") & set(map(str, range(20)))) >= 14
    assert "data:image/jpeg" in check_page(report)
    refused = olhar("data", "digits", "--fix")
    assert refused.status == 2
    assert "no folder of photos" in refused.err


# The quarantine


NAMES = st.text(
    st.characters(blacklist_characters="/\0\\", blacklist_categories=("Cs", "Cc")),
    min_size=1,
    max_size=12,
).filter(lambda name: not name.startswith(".") and name.strip() == name and name != "__MACOSX")
ODD = st.one_of(
    NAMES, st.sampled_from(["a\nb", "<img src=x>", "%s{}", "log.jsonl", "x~2", "--fix"])
)


@posix
@settings(max_examples=25)
@given(
    classes=st.lists(ODD, min_size=2, max_size=3, unique_by=str.casefold),
    states=st.lists(st.sampled_from(["good", "bad", "copy", "cut"]), min_size=2, max_size=6),
    part=st.sampled_from(["", "train/"]),
    killed=st.floats(0, 1),
    cut=st.integers(0, 60),
)
def test_what_is_set_aside_comes_back_whatever_a_kill_has_left(
    classes: list[str], states: list[str], part: str, killed: float, cut: int
) -> None:
    with TemporaryDirectory() as place:
        root = Path(place).resolve() / "data"
        for name in classes:
            for index, state in enumerate(["good", *states]):
                path = pattern(root / part / name / f"{index}.png", index, side=16)
                if state in {"bad", "cut"}:
                    path.write_bytes(path.read_bytes()[:50] if state == "cut" else b"")
        before = tree(root)
        try:
            report = checked(root)
        except OlharError:  # two names that mean the same
            return
        moves = set_aside(root, report.findings, SAFE)
        _as_killed(root, moves, int(killed * len(moves)), cut)
        if moves:
            undo(root)
        assert tree(root) == before
        assert not quarantine_folder(root).exists()


def _as_killed(root: Path, moves: list[Any], done: int, cut: int) -> None:
    """What a kill after `done` moves leaves: the next line of the log, perhaps a part of it only."""
    quarantine = quarantine_folder(root)
    for move in moves[done:]:
        (quarantine / move.target).rename(root / move.source)
    if moves[done:]:
        lines = (quarantine / "log.jsonl").read_text().splitlines(keepends=True)
        (quarantine / "log.jsonl").write_text("".join(lines[:done]) + lines[done][:cut])


@posix
def test_killed_in_the_middle(tmp_path: Path) -> None:
    root = tmp_path / "many"
    for index in range(1500):
        path = root / "ab"[index % 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not an image %d" % index)
    pattern(root / "a" / "good.png", 1)
    before = tree(root)
    words = [sys.executable, "-m", "olhar", "data", str(root), "--fix", "--no-labels"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        quarantine = quarantine_folder(root)
        while not (quarantine / "log.jsonl").exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    away = len(tree(quarantine)) - 1
    assert 0 <= away < 1500
    assert {**tree(root), **tree(quarantine / "files")}.keys() >= before.keys()
    undo(root)
    assert tree(root) == before
    assert not quarantine.exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for index in range(4):
        pattern(root / "ab"[index % 2] / f"{index}.png", index)
    (root / "a" / "bad.png").write_bytes(b"")
    set_aside(root, checked(root).findings, SAFE)
    (root / "a" / "bad.png").write_bytes(b"another")
    set_aside(root, checked(root).findings, SAFE)
    quarantine = quarantine_folder(root)
    assert (quarantine / "files" / "a" / "bad.png").read_bytes() == b""
    assert (quarantine / "files" / "a" / "bad~2.png").read_bytes() == b"another"
    done = olhar("data", root, "--undo")  # the latest first; the earlier one finds its place taken
    assert done.status == 1
    assert "1 file(s) stay" in done.out
    assert (root / "a" / "bad.png").read_bytes() == b"another"
    (root / "a" / "bad.png").unlink()
    assert undo(root).restored == ("a/bad.png",)
    assert (root / "a" / "bad.png").read_bytes() == b""
    assert not quarantine.exists()


def test_the_quarantine_is_no_class_and_training_does_not_see_it(tmp_path: Path) -> None:
    root = tmp_path / "pets" / "data"
    for index in range(8):
        pattern(root / "ab"[index % 2] / f"{index}.png", index)
    (root / "a" / "bad.png").write_bytes(b"")
    assert olhar("data", root, "--fix").status == 0
    assert len(open_source(str(root))) == 8
    assert olhar("data", root, "--json").json["set_aside"] == []


@posix
def test_a_folder_that_is_there_twice_through_a_link_is_not_moved(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for index in range(8):
        pattern(root / "train" / "ab"[index % 2] / f"{index}.png", index)
    (root / "val").mkdir()
    (root / "val" / "a").symlink_to(root / "train" / "a")
    pattern(root / "val" / "b" / "99.png", 99)
    (root / "train" / "b" / "loop").symlink_to(root)
    report = checked(root)
    assert len(of_kind(report, "leak")) == 4
    assert set_aside(root, report.findings, SAFE) == []


# Bad input


def test_folders_that_cannot_be_checked(tmp_path: Path) -> None:
    assert olhar("data", tmp_path, "--html", tmp_path / "x.html").status == 2
    assert not (tmp_path / "x.html").exists()
    for words in (["--html", "x.html"], ["--fix"], ["--undo"], ["push", "digits", "--undo"]):
        done = olhar("data", *words)
        assert done.status == 2
        assert "Traceback" not in done.err
    for index in range(4):
        pattern(tmp_path / "d" / "ab"[index % 2] / f"{index}.png", index)
    for words, said in (
        (["--fix=lables"], "labels"),
        (["--fix=labels", "--no-labels"], "exclude"),
        (["--undo"], "nothing to undo"),
    ):
        done = olhar("data", tmp_path / "d", *words)
        assert done.status == 2
        assert said in done.err
    with pytest.raises(UnknownNameError, match="safe"):
        parse_fixes("saef")
    with pytest.raises(ConfigError):
        undo(tmp_path / "nowhere")


def test_what_cannot_be_trained_with_is_still_checked(tmp_path: Path) -> None:
    for index in range(5):
        pattern(tmp_path / "data" / "a" / f"{index}.png", index)
    pattern(tmp_path / "data" / "b" / "only.png", 9)
    (tmp_path / "data" / "a" / "bad.png").write_bytes(b"")
    facts = olhar("data", tmp_path / "data", "--json").json
    assert facts["splits"] is None
    assert list(facts["counts"])[:2] == ["cannot_train", "unreadable"]
    assert "class 'b' has 1 image" in facts["findings"][0]["sentence"]


def test_a_photo_of_200_megapixels(tmp_path: Path) -> None:
    for index in range(6):
        pattern(tmp_path / "data" / "ab"[index % 2] / f"{index}.png", index)
    Image.new("1", (20_000, 10_000)).save(tmp_path / "data" / "a" / "huge.png")
    report = checked(tmp_path / "data")
    assert files_of(report, "too_large") == {"a/huge.png"}
    assert "too many pixels" in str(of_kind(report, "too_large")[0].sentence)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may reach, with good and bad photos."""
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        root = Path(place).resolve() / "data"
        for index in range(8):
            pattern(root / "ab"[index % 2] / f"{index}.png", index)
        (root / "a" / "bad.png").write_bytes(b"")
        yield root


@posix
def test_a_folder_that_may_not_be_written(open_folder: Path, unprivileged: None) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    before = tree(open_folder)
    with pytest.raises(NoPermissionError, match="quarantine"):
        set_aside(open_folder, checked(open_folder).findings, SAFE)
    assert tree(open_folder) == before


@posix
def test_a_photo_that_may_not_be_read(open_folder: Path, unprivileged: None) -> None:
    secret = open_folder / "b" / "1.png"
    user = os.geteuid()
    os.seteuid(0) if os.getuid() == 0 else None
    secret.chmod(0)
    os.seteuid(user)
    report = checked(open_folder)
    assert files_of(report, "no_access") == {"b/1.png"}
    assert of_kind(report, "no_access")[0].moves == ()


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from olhar.cli import main
sys.exit(main(sys.argv[2:]))
"""


@posix
def test_a_full_disk(open_folder: Path) -> None:
    for index in range(30):
        (open_folder / "a" / f"bad{index}.png").write_bytes(b"%d" % index)
    before = tree(open_folder)

    def run(limit: int, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", FULL, str(limit), "data", str(open_folder), *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
        )

    page = open_folder.with_name("check.html")
    full = run(600_000, "--fix", "--no-labels")  # room for the small copies
    assert full.returncode == 0, full.stderr
    assert undo(open_folder).taken == ()
    for limit, words in ((600, ["--fix"]), (500_000, ["--html", page, "--json"])):
        done = run(limit, *words, "--no-labels")
        if done.returncode:
            assert "is full" in done.stderr
            assert "Traceback" not in done.stderr
            assert list(open_folder.parent.glob("*check*")) == []
        if quarantine_folder(open_folder).exists():
            undo(open_folder)
        assert tree(open_folder) == before
    log = json.dumps({"format": 1, "from": "a/0.png", "to": "../../out.png", "kind": "leak"})
    quarantine_folder(open_folder).mkdir()
    (quarantine_folder(open_folder) / "log.jsonl").write_text(log + "\n")
    with pytest.raises(OlharError, match="by hand"):
        undo(open_folder)


# The page


@posix
@pytest.mark.parametrize("language", ["en", "pt_BR"])
def test_the_page_in_a_browser(language: str, tmp_path: Path, browser: Any) -> None:
    root = tmp_path / "data <script>document.title='x'</script>"
    for index in range(16):
        pattern(root / "ab"[index % 2] / f"{index}.png", index // 4, side=90)
    hostile = "<img src=x onerror=alert(1)>\n\"'&.png"
    (root / "a" / hostile).write_bytes(b"")
    pattern(root / "b" / ("long " * 40 + ".png"), 0, side=90)
    with i18n.using(language):
        page = tmp_path / "check.html"
        page.write_text(check_page(checked(root)), encoding="utf-8")
    asked, trouble = [], []
    for scheme, width in (("light", 360), ("dark", 1200)):
        view = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
        view.on("request", lambda request: asked.append(request.url))
        view.on("console", lambda message: trouble.append(message.text))
        view.on("pageerror", lambda error: trouble.append(str(error)))
        view.goto(page.as_uri())
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        assert view.locator("html").get_attribute("lang") == language.replace("_", "-")
        assert view.locator("img").count() > 10
        assert view.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert "onerror" in view.locator("#unreadable").inner_text()
        view.close()
    assert trouble == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}


def test_pictures_are_bounded_and_the_rest_is_counted(tmp_path: Path) -> None:
    for index in range(120):
        pattern(tmp_path / "data" / "ab"[index % 2] / f"{index}.png", index // 2, side=40)
    report = checked(tmp_path / "data")
    assert len(of_kind(report, "two_classes")) == 60
    page = check_page(report)
    assert page.count("<img ") <= 400
    assert "and 36 more" in page
    assert isinstance(report.source, PhotoFolder)
