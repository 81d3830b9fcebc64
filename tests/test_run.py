"""A run as its folder tells it: strictly, leniently, and by no other room's hand."""

from __future__ import annotations

import ast
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import olhar
from conftest import olhar as command
from olhar import i18n
from olhar.board.folders import describe_run, list_runs
from olhar.card import check_card, write_card
from olhar.errors import DataError, MissingFileError, ModelError
from olhar.evaluation.compare import compare_runs
from olhar.run import HISTORY_COLUMNS, Row, Run, RunFolder, best_epoch, load_run
from olhar.training.trackers import build_results, tracked_names

KEPT = Path(__file__).parent / "data" / "runs"
SOURCE = Path(olhar.__file__).parent
NAMES = (
    *("config.toml", "history.csv", "metrics.json", "predictions.csv", "search.json"),
    *("trackers.json", "head.csv", "card.toml", "README.pt-BR.md"),
)
RUNS = ("digits-lenet5", "sweep/best", "sweep/trials/000", "sweep/trials/001")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A run to be changed."""
    return Path(shutil.copytree(KEPT / "digits-lenet5", tmp_path / "run"))


def row(epoch: int, accuracy: float, loss: float) -> Row:
    return {**dict.fromkeys(HISTORY_COLUMNS, 0.0), "epoch": epoch, "val_accuracy": accuracy} | {
        "val_loss": loss
    }


# Runs that the version before has written


@pytest.mark.parametrize("name", RUNS)
def test_runs_of_the_version_before_are_read(name: str) -> None:
    run = load_run(KEPT / name)
    record = json.loads((KEPT / name / "metrics.json").read_text())
    assert run.report.to_dict() == record
    assert run.report.fits()
    assert (len(run.history), run.network.name, run.parameters) == (2, "lenet5", 61706)
    assert sum(one.is_right for one in run.answers) / len(run.answers) == run.report.accuracy
    assert run.class_names == tuple(map(str, range(10)))
    assert (run.search is None) == (name != "sweep/best")
    assert run.to_dict()["best_epoch"] == 2
    assert run.to_dict()["seconds"] == round(run.seconds, 3)
    seen = Run(KEPT / name, lenient=True)
    assert (seen.problem, seen.report, seen.history) == (None, run.report, run.history)


@pytest.mark.parametrize("name", RUNS)
def test_their_cards_are_written(name: str, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(KEPT / name, tmp_path / "run"))
    write_card(folder)
    for path, language in ((folder.card, "en"), (folder.card_pt_br, "pt_BR")):
        with i18n.using(language):
            assert str(i18n.percent(Run(folder.path).report.accuracy, 2)) in path.read_text("utf-8")
    (weights,) = [str(text) for text in check_card(folder)]  # they are not kept
    assert "model" in weights


def test_they_are_on_the_board() -> None:
    found = {one["id"]: one for one in list_runs(KEPT)}
    assert set(found) == {"digits-lenet5", "sweep%2Fbest"}
    for key, one in found.items():
        path = KEPT / key.replace("%2F", "/")
        run = load_run(path)
        assert one["problem"] is None
        assert (one["state"], one["accuracy"]) == ("finished", run.report.accuracy)
        assert (one["epochs"], one["epochs_planned"], one["parameters"]) == (2, 2, 61706)
        told = describe_run(KEPT, key)
        assert told["best_epoch"] == 2
        assert told["history"]["val_loss"] == [each["val_loss"] for each in run.history]
        assert told["class_names"] == list(run.class_names)


def test_they_are_compared() -> None:
    found = compare_runs([KEPT / "digits-lenet5", KEPT / "sweep/best"])
    assert [one.accuracy for one in found.runs] == sorted(
        (load_run(KEPT / name).report.accuracy for name in RUNS[:2]), reverse=True
    )
    trials = compare_runs([KEPT / name for name in RUNS[2:]])
    assert (trials.split, trials.n, trials.settings) == ("val", 144, {"recipe.lr": [0.002, 0.0005]})


def test_the_search_and_the_memory_of_trackers_are_written_as_they_were(tmp_path: Path) -> None:
    ours = RunFolder(tmp_path)
    ours.write_search(RunFolder(KEPT / "sweep/best").read_search())
    ours.write_trackers(RunFolder(KEPT / "digits-lenet5").read_trackers())
    ours.write_history(Run(KEPT / "sweep/best").history)
    assert ours.search.read_text() == (KEPT / "sweep/best/search.json").read_text()
    assert ours.trackers.read_text() == (KEPT / "digits-lenet5/trackers.json").read_text()
    assert Run(tmp_path).history == Run(KEPT / "sweep/best").history
    assert tracked_names(tmp_path) == ["tensorboard"]


def test_trackers_hear_of_the_best_epoch() -> None:
    run = load_run(KEPT / "digits-lenet5")
    found = build_results(run)
    assert found.metrics["best_epoch"] == 2
    assert found.metrics["best_val_accuracy"] == max(row["val_accuracy"] for row in run.history)
    assert found.metrics["Count_Params"] == 61706
    assert sorted(found.files) == ["metrics.json"]


# The best epoch


def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss() -> None:
    assert best_epoch([]) is None
    rows = [row(1, 0.5, 2.0), row(2, 0.6, 3.0), row(3, 0.6, 1.0), row(4, 0.6, 1.0)]
    assert best_epoch(rows) is rows[2]
    for worse in (math.nan, math.inf):
        rows = [row(1, 0.6, worse), row(2, 0.6, 9.0), row(3, 0.6, worse)]
        assert best_epoch(rows) is rows[1]


figures = st.sampled_from([0.0, 0.25, 0.5, math.nan, math.inf])


@given(st.lists(st.tuples(figures, figures), min_size=1, max_size=8))
def test_choosing_epoch_by_epoch_comes_to_the_same(pairs: list[tuple[float, float]]) -> None:
    """As a training does, which keeps the weights of an epoch before it knows the next."""
    rows = [row(number + 1, *pair) for number, pair in enumerate(pairs)]
    kept = None
    for count, one in enumerate(rows, start=1):
        if best_epoch(rows[:count]) is one:
            kept = one
    assert kept is best_epoch(rows)


def test_the_weights_kept_are_of_the_epoch_that_is_said(digits_run: Path) -> None:
    from olhar.training.checkpoint import load_checkpoint

    best = Run(digits_run).best
    assert best
    assert load_checkpoint(RunFolder(digits_run).checkpoint).best_epoch == best["epoch"]


# Strictly and leniently


def test_what_is_not_there_is_empty_or_said(copied: Path) -> None:
    for name in ("history.csv", "metrics.json", "predictions.csv", "trackers.json"):
        (copied / name).unlink()
    shutil.rmtree(copied / "model")
    run = Run(copied)
    assert (run.history, run.answers, run.measured, run.model, run.search) == ([], [], *[None] * 3)
    assert (run.best, run.seconds, run.class_names, run.energy) == (None, 0, (), {})
    with pytest.raises(MissingFileError, match="olhar resume"):
        _read = run.report
    with pytest.raises(MissingFileError, match="olhar resume"):
        load_run(copied)
    with pytest.raises(DataError, match="olhar resume"):
        compare_runs([copied, copied])
    with pytest.raises(MissingFileError, match="no run folder"):
        load_run(copied.parent)
    assert "no run folder" in str(Run(copied.parent, lenient=True).problem)
    assert Run(copied, lenient=True).problem is None


DAMAGE = [
    *(("config.toml", text) for text in ("", "=", "format = 9")),
    *(("metrics.json", text) for text in ("", "[]", "null", "[" * 9999, '{"format": 1}', "{}")),
    *(("history.csv", text) for text in ("a,b\n1,2\n", "\x00\n", "epoch\n1\n")),
    *(("predictions.csv", text) for text in ("", "index,label\n1,2\n", "a,label\nx\n")),
    *(
        ("search.json", text)
        for text in ("", "[]", '{"format": 2}', '{"format": 1, "winner": "x"}')
    ),
    *(("model/config.json", text) for text in ("", "null", "{}", "[" * 9999)),
]


@pytest.mark.parametrize(("file", "content"), DAMAGE)
def test_damage_is_named_or_counts_as_missing(copied: Path, file: str, content: str) -> None:
    def read(run: Run) -> list[Any]:
        return [run.config, run.history, run.measured, run.answers, run.search, run.model]

    (copied / file).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError) as raised:
        read(Run(copied))
    seen = Run(copied, lenient=True)
    assert sum(not part for part in read(seen)) == (1 if file == "search.json" else 2)
    shown = file in {"config.toml", "history.csv", "metrics.json"}
    assert str(seen.problem) == (str(raised.value) if shown else "None")


def test_epochs_are_in_order_and_only_lenient_reading_waits_for_the_rest(copied: Path) -> None:
    head, first, second = (copied / "history.csv").read_text().splitlines()
    (copied / "history.csv").write_text(f"{head}\n{first}\n{second[:30]}")
    assert len(Run(copied, lenient=True).history) == 1
    with pytest.raises(ModelError, match=r"history\.csv"):
        _read = Run(copied).history
    (copied / "history.csv").write_text(f"{head}\n{second}\n{first}\n")
    assert "not in order" in str(Run(copied, lenient=True).problem)
    with pytest.raises(ModelError, match="not in order"):
        _read = Run(copied).history


def test_figures_that_do_not_fit_are_not_believed(copied: Path) -> None:
    record = json.loads((copied / "metrics.json").read_text())
    for wrong in ({"accuracy": 0.99}, {"n": 5}, {"f1": 2.0}, {"intervals": {}}, {"split": 1}):
        (copied / "metrics.json").write_text(json.dumps({**record, **wrong}))
        seen = Run(copied, lenient=True)
        assert seen.measured is None
        assert "metrics.json" in str(seen.problem)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such links")
def test_leniently_no_link_leads_out(copied: Path) -> None:
    for name in ("config.toml", "metrics.json", "predictions.csv"):
        (copied / name).unlink()
        (copied / name).symlink_to(KEPT / "digits-lenet5" / name)
    seen = Run(copied, lenient=True)
    assert (seen.config, seen.measured, seen.answers) == ({}, None, [])
    assert "link" in str(seen.problem)
    assert Run(copied).report == load_run(KEPT / "digits-lenet5").report


@pytest.mark.parametrize(
    ("name", "content"),
    [("history.csv", "epoch\nx\n"), ("metrics.json", "[" * 9999), ("metrics.json", "null")],
)
def test_going_on_with_a_damaged_run_is_refused_in_a_line(
    copied: Path, name: str, content: str
) -> None:
    (copied / name).write_text(content)
    done = command("resume", copied, "--json")
    assert (done.status, done.out) == (2, "")
    assert name in done.err
    assert "Traceback" not in done.err


def test_a_run_without_history_is_told_all_the_same(copied: Path) -> None:
    (copied / "history.csv").unlink()
    done = command("resume", copied, "--json")
    assert done.status == 0, done.err
    assert (done.json["epochs"], done.json["best_epoch"], done.json["n"]) == (0, None, 360)


# One room


RECOGNISES_RUNS = SOURCE / "datasets" / "photo_files.py"


def test_only_the_room_of_runs_names_their_files() -> None:
    """A file of a run has one name, and one place that opens it: `olhar.run`.

    But for runs that lie among photos: data sets, which know no runs, pass over them by how a file begins.
    """
    assert {path.name for path in vars(RunFolder("")).values()} >= set(NAMES)
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        if path.parent != SOURCE / "run" and path != RECOGNISES_RUNS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.replace("\\", "/").rpartition("/")[2] in NAMES
    ]
    assert found == []
