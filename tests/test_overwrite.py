"""Nothing of olhar's removes or replaces a file that olhar did not write."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import olhar as library
from conftest import olhar
from olhar.card import write_card
from olhar.check import set_aside, undo
from olhar.check.finding import Finding
from olhar.classroom.leftovers import find_leftovers
from olhar.cli import main as run_command
from olhar.datasets import load_named
from olhar.errors import ConfigError, RunExistsError
from olhar.evaluation.plots import plot_curves, save_figure
from olhar.files import check_replaceable
from olhar.progress import Progress
from olhar.run import (
    HISTORY_COLUMNS,
    NEW,
    RunFolder,
    check_run_path,
    create_run,
    foreign_files,
    hold,
    take_place,
)
from olhar.stores import open_store
from olhar.stores.space import collect

CONFIG = {"olhar": "0.1.0", "data": {"name": "digits"}, "network": {"name": "lenet5"}}


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def photos(folder: Path, count: int = 12) -> None:
    for name, colour in (("cat", 200), ("dog", 40)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((16, 16, 3), (colour, number, 9), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture
def run(tmp_path: Path, digits_run: Path) -> Path:
    """A finished run of its own."""
    return shutil.copytree(digits_run, tmp_path / "runs" / "a")


def test_a_folder_with_somebodys_own_config_is_refused_and_stays(tmp_path: Path) -> None:
    site = tmp_path / "site"
    photos(site / "photos")
    (site / "thesis.tex").write_text("years of work", encoding="utf-8")
    for text in ('baseURL = "https://example.org"\n', "format = 1\n", "not toml at all"):
        (site / "config.toml").write_text(text, encoding="utf-8")
        before = content(site)
        with pytest.raises(ConfigError, match=r"will not be replaced.*config\.toml.*--run"):
            check_run_path(site, overwrite=True)
        assert content(site) == before


def test_the_command_refuses_a_run_with_other_files_in_it_and_says_which(run: Path) -> None:
    photos(run / "photos")
    before = content(run)
    words = ["--data", run / "photos", "--network", "lenet5", "--epochs", 1, "--run", run]
    done = olhar("train", *words, "--overwrite")
    assert done.status == 2
    assert "photos/cat/0.png" in done.err
    assert "Traceback" not in done.err
    assert content(run) == before


@pytest.mark.parametrize("name", ["notes.txt", "model/notes.txt", "tensorboard/cat.png", ".hidden"])
def test_whatever_is_not_a_runs_own_is_seen(run: Path, name: str) -> None:
    assert foreign_files(RunFolder(run)) == []
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_bytes(b"mine")
    assert name in foreign_files(RunFolder(run))
    with pytest.raises(ConfigError, match="will not be replaced"):
        create_run(run, CONFIG, overwrite=True)
    assert (run / name).read_bytes() == b"mine"


def test_links_are_nobodys_own(run: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (run / "tensorboard").symlink_to(tmp_path / "data")
    assert foreign_files(RunFolder(run)) == ["tensorboard"]


def test_a_finished_run_with_all_that_olhar_writes_can_be_replaced(run: Path) -> None:
    for name in ("sample.png", "card.toml", ".history.123.csv", "learning_curve.svg", "head.csv"):
        (run / name).write_bytes(b"x")
    (run / "tensorboard").mkdir()
    (run / "tensorboard" / "events.out.tfevents.1.host").write_bytes(b"x")
    assert check_run_path(run, overwrite=True)
    with pytest.raises(RunExistsError, match="--overwrite"):
        check_run_path(run, overwrite=False)


class Stop(Progress):
    """Interrupts the training after its first epoch, as Ctrl-C does."""

    def epoch(self, row: Any, epochs: int) -> None:
        raise KeyboardInterrupt


def test_the_old_run_stays_whole_until_the_new_one_has_ended(run: Path) -> None:
    (run / "card.toml").write_text('format = 1\npurpose = "mine"\n', encoding="utf-8")
    before = content(run)
    with pytest.raises(KeyboardInterrupt):
        library.train("digits", "lenet5", run=run, epochs=2, overwrite=True, progress=Stop())
    assert content(run) == before
    beside = run.with_name("a.new")
    assert RunFolder(beside).checkpoint.is_file()
    assert not RunFolder(beside).model.exists()

    done = library.resume(beside)
    assert done.path == run
    assert len(done.history) == 2
    assert sorted(path.name for path in run.parent.iterdir()) == ["a"]
    assert "replaces" not in RunFolder(run).read_config()
    assert f"--run {run.as_posix()} " in RunFolder(run).read_config()["command"] + " "
    assert "mine" in (run / "README.md").read_text(encoding="utf-8")
    assert foreign_files(RunFolder(run)) == []


def test_an_interrupted_replacement_is_begun_anew(run: Path) -> None:
    beside = create_run(run, CONFIG, overwrite=True)
    assert beside.path.name == f"a{NEW}"
    again = create_run(run, {**CONFIG, "command": "second"}, overwrite=True)
    assert again.read_config()["command"] == "second"
    (again.path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"a\.new.*photo\.jpg"):
        create_run(run, CONFIG, overwrite=True)


def test_what_came_into_the_old_run_meanwhile_is_kept(run: Path) -> None:
    beside = create_run(run, CONFIG, overwrite=True)
    (run / "late.txt").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"late\.txt"):
        take_place(beside)
    assert (run / "late.txt").read_bytes() == b"mine"
    assert beside.path.is_dir()


def test_a_kill_between_the_renames_loses_neither_run(run: Path) -> None:
    beside = create_run(run, CONFIG, overwrite=True)
    run.rename(run.with_name("a.old"))  # where a kill may leave it
    assert take_place(beside).path == run
    assert (run.with_name("a.old") / "model").is_dir()


def _hold(path: Path, held: Any, end: Any) -> None:
    with hold(RunFolder(path)):
        held.set()
        end.wait(60)


def test_a_run_that_another_process_trains_is_neither_resumed_nor_replaced(run: Path) -> None:
    beside = create_run(run, CONFIG, overwrite=True).path
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(beside, held, end))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(ConfigError, match=f"process {other.pid}"):
            library.resume(beside)
        with pytest.raises(ConfigError, match=f"process {other.pid}"):
            create_run(run, CONFIG, overwrite=True)
    finally:
        end.set()
        other.join()
    with hold(RunFolder(beside)):
        pass
    assert not (beside / ".lock").exists()


def test_data_and_a_run_to_be_replaced_must_lie_apart(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos(tmp_path / "runs" / "cats")  # the run lies in the data folder
    before = content(tmp_path)
    for data in (str(tmp_path / "runs"), "../runs/../runs"):
        monkeypatch.chdir(tmp_path / "runs")
        with pytest.raises(ConfigError, match="inside each other"):
            library.train(data, "lenet5", run=run, overwrite=True, epochs=1)
    assert content(tmp_path) == before


@pytest.mark.parametrize("path", [".", "..", "/", ""])
def test_a_run_needs_a_name(path: str) -> None:
    with pytest.raises(ConfigError, match="no name"):
        check_run_path(Path(path), overwrite=True)


def test_a_page_is_not_written_over_a_photo_but_over_a_page(tmp_path: Path) -> None:
    photos(tmp_path / "pets")
    photo, page = tmp_path / "pets" / "cat" / "0.png", tmp_path / "check.html"
    before = photo.read_bytes()
    assert run_command(["data", str(tmp_path / "pets"), "--html", str(photo)]) == 2
    assert photo.read_bytes() == before
    for _time in range(2):
        assert run_command(["data", str(tmp_path / "pets"), "--html", str(page), "--json"]) == 0
    page.write_text("<!doctype html><title>mine</title>", encoding="utf-8")
    assert run_command(["data", str(tmp_path / "pets"), "--html", str(page)]) == 2
    assert "mine" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_olhars_own_pictures_are_told_from_others(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curve{suffix}"
    row = dict.fromkeys(HISTORY_COLUMNS, 1.0)
    save_figure(plot_curves([("a", [row])]), path)
    check_replaceable(path)
    if suffix == ".png":
        Image.open(path).save(path)  # somebody has worked on it
    else:
        path.write_text("<svg/>", encoding="utf-8")
    with pytest.raises(RunExistsError, match="olhar did not write it"):
        check_replaceable(path)


def test_explain_and_compare_keep_a_photo(run: Path, tmp_path: Path) -> None:
    photos(tmp_path / "pets")
    photo = tmp_path / "pets" / "cat" / "0.png"
    before = photo.read_bytes()
    words = ["explain", str(run), str(photo), "--out", str(photo), "--overwrite"]
    assert run_command(words) == 2
    assert run_command(["compare", str(run), str(run), "--curves", str(photo)]) == 2
    assert photo.read_bytes() == before


def test_a_card_is_not_written_over_somebodys_readme(run: Path) -> None:
    write_card(RunFolder(run))
    (run / "README.md").write_text("# My notes\n", encoding="utf-8")
    with pytest.raises(RunExistsError, match=r"README\.md"):
        write_card(RunFolder(run))
    assert (run / "README.md").read_text(encoding="utf-8") == "# My notes\n"


def test_a_cache_that_is_somebodys_folder_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path))
    photos(tmp_path / "datasets" / "digits")
    photos(tmp_path / "datasets" / "pets")
    photos(tmp_path / "models" / "planes")
    for name in ("project/.git", "datasets/.venv", "notes/.old.abc"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_bytes(b"mine")
    long_ago = time.time() - 10**6
    for path in tmp_path.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    before = content(tmp_path)
    assert find_leftovers() == []
    with pytest.raises(ConfigError, match="OLHAR_CACHE"):
        load_named("digits")
    assert content(tmp_path) == before


def test_a_quarantine_takes_nobodys_log(tmp_path: Path) -> None:
    photos(tmp_path / "pets")
    other = tmp_path / "pets-quarantine"
    other.mkdir()
    (other / "log.jsonl").write_text('{"mine": 1}\n', encoding="utf-8")
    before = content(tmp_path)
    finding = Finding("exact_duplicate", "twice", ("cat/0.png",), moves=("cat/0.png",))
    with pytest.raises(ConfigError, match=r"log\.jsonl"):
        set_aside(tmp_path / "pets", [finding], ["exact_duplicate"])
    with pytest.raises(ConfigError, match=r"log\.jsonl"):
        undo(tmp_path / "pets")
    assert content(tmp_path) == before


def test_a_store_gives_back_only_its_own_space(tmp_path: Path) -> None:
    for name in ("files/taxes.pdf", "files/ab/cd", "incoming/letter.txt", "collecting/stamps"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"mine")
    orphan, left = tmp_path / "files" / "0a" / f"0a{'1' * 62}", tmp_path / "incoming" / ("f" * 32)
    for path in (orphan, left):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"olhar's")
    long_ago = time.time() - 10**6
    for path in tmp_path.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    with open_store(f"file://{tmp_path}") as store:
        assert collect(store) == 1
    assert not orphan.exists()
    assert not left.exists()
    mine = {name for name, data in content(tmp_path).items() if data == b"mine"}
    assert mine == {"files/taxes.pdf", "files/ab/cd", "incoming/letter.txt", "collecting/stamps"}
