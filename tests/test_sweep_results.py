"""What a sweep tells: tables, files, picture and card name their split, their trials and their sweep."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import olhar
from olhar.card import check_card, write_card
from olhar.card.search import explain_choice
from olhar.cli.sweep_table import LineTable, LiveTable, final_text, table_rows
from olhar.errors import ModelError
from olhar.i18n import _, using
from olhar.run import Run, RunFolder
from olhar.run.search import Finalist, SearchRecord
from olhar.sweep.plots import plot_parallel_coordinates
from olhar.sweep.records import Best, SweepResult, TrialRecord
from olhar.sweep.results import (
    as_dict,
    chosen_because,
    compute_importance,
    read_importance,
    write_results,
    write_trials,
)
from olhar.sweep.settings import SweepSettings, draw_trials, parse_params

# As the published search, with a log range more; what each trial comes to follows from its lr.
SWEEP = SweepSettings.from_dict(
    {
        "data": "digits",
        "network": "gmnet",
        "trials": 8,
        "seed": 1,
        "set": {"epochs": 10},
        "param": parse_params(
            [
                *("activation=relu,tanh", "dropout=0.2,0.3,0.4,0.5", "lr=0.1,0.01,0.001"),
                "label_smoothing=log:1e-4:1e-1",
            ]
        ),
    }
)
AT_CHANCE = "validation accuracy 0.1135 after 2 epochs is that of the largest class"


def trial(number: int, params: dict[str, Any]) -> TrialRecord:
    folder = f"trials/{number:03}"
    if number == 5:
        return TrialRecord(
            number, params, "failed", 0, 10, None, 0.4, "MemoryError: no memory [1]", folder
        )
    if params["lr"] == 0.1:
        val = {"accuracy": 0.1135, "loss": 2.3}
        return TrialRecord(number, params, "stopped", 2, 10, val, 3.0, AT_CHANCE, folder)
    accuracy = 0.99 - 2 * abs(params["lr"] - 0.01) / 10 - number / 10_000
    val = {"accuracy": accuracy, "precision": accuracy, "recall": accuracy, "f1": accuracy}
    return TrialRecord(
        number, params, "complete", 10, 10, {**val, "loss": 1 - accuracy}, 12.3, "", folder
    )


TRIALS = [trial(number, params) for number, params in enumerate(draw_trials(SWEEP))]
COMPLETE = sorted(
    (one for one in TRIALS if one.state == "complete"), key=lambda one: -(one.val or {})["accuracy"]
)


def decision(rule: str = "simplicity", p: float = 0.31, metric: str = "accuracy") -> SearchRecord:
    first, second = COMPLETE[:2]
    finalists = [
        Finalist(first.number, first.params, [1, 2], [0.99, 0.991], 0.9905, None, 0.003, 81_000),
        Finalist(second.number, second.params, [1, 2], [0.989, 0.991], 0.99, p, 0.001, 61_000),
    ]
    winner, other = (second, first) if rule == "simplicity" else (first, second)
    states = [one.state for one in TRIALS]
    return SearchRecord(
        winner=winner.number,
        params=winner.params,
        method="random",
        metric=metric,
        searched={name: str(one) for name, one in SWEEP.space.items()},
        trials={state: states.count(state) for state in ("complete", "stopped", "failed")},
        n_val=180,
        rule=rule,
        finalists=finalists,
        runner_up=other.number,
        p=p,
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, digits_run: Path) -> SweepResult:
    """A sweep with a real run as its winner."""
    out = tmp_path_factory.mktemp("sweeps") / "gmnet-search"
    shutil.copytree(digits_run, out / "best")
    taken = decision()
    val = next(one.val for one in TRIALS if one.number == taken.winner) or {}
    test = RunFolder(out / "best").read_metrics()
    figures = {key: test[key] for key in ("accuracy", "precision", "recall", "f1", "loss")}
    RunFolder(out / "best").write_search(taken)
    best = Best(taken.winner, taken.params, out / "best", val, figures, taken)
    result = SweepResult(out, TRIALS, best, 71.23456)
    write_results(SWEEP, result)
    return result


def test_the_records_hold_every_state() -> None:
    assert {one.state for one in TRIALS} == {"complete", "stopped", "failed"}


# --- tables -------------------------------------------------------------------------------------


def test_the_table_says_validation_and_names_reasons(result: SweepResult) -> None:
    text = final_text(SWEEP, result)
    best = result.best
    assert best
    assert "validation accuracy" in text.splitlines()[2]
    assert f"test accuracy {best.test['accuracy']:.4f}, measured once" in text
    assert AT_CHANCE in text
    assert "trial 5, failed: MemoryError: no memory [1]" in text
    assert f"Winner: trial {best.number} " in text
    assert "lr" in text.partition("Importance")[2].partition("\n")[0]
    assert "hint" in text
    with using("pt_BR"):
        assert final_text(SWEEP, result)


def test_without_a_complete_trial_the_text_says_where_to_look(tmp_path: Path) -> None:
    none = SweepResult(tmp_path, [one for one in TRIALS if one.state == "failed"], None, 1.0)
    write_results(SWEEP, none)
    text = final_text(SWEEP, none)
    assert "no winner" in text
    assert "error.txt" in text
    assert "too few" in text
    assert as_dict(none)["best"] is None
    assert not (tmp_path / "best.toml").exists()


def test_lines_tell_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = [dataclasses.replace(one, state="waiting") for one in TRIALS]
    running = [dataclasses.replace(waiting[0], state="running"), *waiting[1:]]
    with LineTable(SWEEP) as table:
        for trials in (waiting, running, running, TRIALS, TRIALS):
            table.show(trials)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert not captured.out
    assert len(lines) == 1 + len(TRIALS)
    assert lines[0].startswith("[0/8] trial 0: running")
    assert all("validation accuracy" in line for line in lines[1:])


def test_the_live_table_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("LINES", "10")
    running = [*TRIALS[:7], dataclasses.replace(TRIALS[7], state="running", reason="")]
    with LiveTable(SWEEP) as table:
        table.show(running)
    shown = capsys.readouterr().err
    assert "validation accuracy" in shown
    rows = [line for line in shown.splitlines() if "10/10" in line or "2/10" in line]
    assert len({row.split()[0] for row in rows}) <= 4  # of ten lines, six are the table's frame
    assert any("running" in row for row in rows)


def test_a_stage_has_a_line_below_the_live_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    with LiveTable(SWEEP) as table:
        table.start(_("reading {file}, this once", file="a"), 5)
        table.advance(3)
        assert "reading a, this once  3/5" in capsys.readouterr().err
        table.show(TRIALS[:2])
        assert "reading a" not in capsys.readouterr().err
        table.start(_("downloading {file}", file="b"), 0)
        table.advance(2**20, "1.0 MB")
    shown = capsys.readouterr().err
    assert "validation accuracy" in shown
    assert "downloading b  1.0 MB" in shown


def test_a_loss_that_is_no_number_is_shown_and_is_null(tmp_path: Path) -> None:
    bad = TrialRecord(0, TRIALS[0].params, "failed", 1, 10, {"accuracy": 0.1, "loss": math.nan})
    rows = table_rows(dataclasses.replace(SWEEP, metric="loss"), [bad])
    assert rows[1][3] == "nan"
    text = json.dumps(as_dict(SweepResult(tmp_path, [bad], None, 0)), allow_nan=False)
    assert json.loads(text)["trials"][0]["val"] == {"accuracy": 0.1, "loss": None}


# --- files --------------------------------------------------------------------------------------


def test_json_has_what_is_promised(result: SweepResult) -> None:
    values = json.loads(json.dumps(as_dict(result), allow_nan=False))
    best = values["best"]
    assert [one["number"] for one in values["trials"]] == list(range(8))
    assert {one["state"] for one in values["trials"]} == {"complete", "stopped", "failed"}
    assert set(best) == {"number", "params", "run", "val", "test"}
    assert best["val"]["accuracy"] != best["test"]["accuracy"]
    assert values["trials"][best["number"]]["params"] == best["params"]
    assert values["chosen_because"] == chosen_because(result)
    assert max(values["importance"], key=values["importance"].get) == "lr"


def test_trials_csv_has_a_row_a_trial(result: SweepResult) -> None:
    text = (result.out / "trials.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 8
    for row, one in zip(rows, result.trials, strict=True):
        assert (int(row["number"]), row["state"], row["reason"]) == (
            one.number,
            one.state,
            one.reason,
        )
        assert float(row["params.lr"]) == one.params["lr"]
        assert row["val_accuracy"] == (str(one.val["accuracy"]) if one.val else "")


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
@settings(max_examples=30)
def test_any_reason_survives_csv_and_tables(
    tmp_path_factory: pytest.TempPathFactory, reasons: list[str]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "trials.csv"
    trials = [dataclasses.replace(TRIALS[0], number=n, reason=r) for n, r in enumerate(reasons)]
    write_trials(path, SWEEP, trials)
    with path.open(encoding="utf-8", newline="") as file:
        found = [row["reason"] for row in csv.DictReader(file)]
    assert found == reasons
    assert all(len(row) == len(table_rows(SWEEP, [])[0]) for row in table_rows(SWEEP, trials))


def test_importance_is_of_the_trials_and_sums_to_one(result: SweepResult) -> None:
    found = compute_importance(SWEEP, result.trials)
    assert sum(found.parameters.values()) == pytest.approx(1, abs=1e-3)
    assert found.trials == 7
    assert found.stopped == sum(one.state == "stopped" for one in TRIALS)
    assert compute_importance(SWEEP, result.trials) == found
    assert read_importance(result.out) == found
    same = [dataclasses.replace(one, val={"accuracy": 0.5}) for one in TRIALS]
    assert "same figure" in str(compute_importance(SWEEP, same).reason)
    assert "too few" in str(compute_importance(SWEEP, TRIALS[:2]).reason)


def test_the_best_recipe_is_taken_by_train(result: SweepResult, tmp_path: Path) -> None:
    path = result.out / "best.toml"
    recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    ran = RunFolder(result.out / "best").read_config()["recipe"]
    assert {key: recipe[key] for key in ("epochs", "lr", "seed")} == {
        key: ran[key] for key in ("epochs", "lr", "seed")
    }
    assert recipe["about"]["val"]["accuracy"] == result.best.val["accuracy"]
    run = tmp_path / "again"
    words = ("--data", "digits", "--recipe", path, "--set", "epochs=1", "--run", run, "--json")
    done = olhar("train", *words)
    assert done.status == 0, done.err
    again = RunFolder(run).read_config()
    assert again["recipe"] == {**ran, "epochs": 1}
    assert again["network"]["name"] == "lenet5"


# --- the picture --------------------------------------------------------------------------------


def test_the_plot_names_its_sweep_its_split_and_its_winner(result: SweepResult) -> None:
    figure = plot_parallel_coordinates(SWEEP, TRIALS, 2, "gmnet-search")
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert "gmnet-search" in axes.get_title(loc="left")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        *SWEEP.space,
        "validation accuracy",
    ]
    assert "trial 2" in texts
    lines = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    drawn = {f"trial-{one.number}" for one in TRIALS if one.val}
    assert set(lines) == drawn
    widest = max(lines.values(), key=lambda line: line.get_linewidth())
    assert widest.get_gid() == "trial-2"
    assert any(text.startswith("≤") for text in texts)  # trials at chance stand below the axis
    for suffix in (".png", ".svg"):
        assert (result.out / f"parallel_coordinates{suffix}").stat().st_size > 5000


@pytest.mark.parametrize("metric", ["accuracy", "f1", "loss"])
def test_better_is_always_higher(metric: str) -> None:
    sweep = dataclasses.replace(SWEEP, metric=metric)
    (axes,) = plot_parallel_coordinates(sweep, COMPLETE, None, "s").axes
    ends = {line.get_gid(): line.get_ydata()[-1] for line in axes.lines if line.get_gid()}
    best = COMPLETE[0].number
    assert max(ends, key=ends.__getitem__) == f"trial-{best}"


@given(st.lists(st.sampled_from(["waiting", "running", "stopped", "failed"]), max_size=4))
@settings(max_examples=10)
def test_any_mixture_of_trials_is_drawn(states: list[Any]) -> None:
    trials = [
        dataclasses.replace(
            TRIALS[n],
            state=state,
            val=None if state in {"waiting", "failed"} else {"accuracy": 0.3},
        )
        for n, state in enumerate(states)
    ]
    figure = plot_parallel_coordinates(SWEEP, trials, None, "$a_1$ [x]")
    figure.canvas.draw()


# --- the card -----------------------------------------------------------------------------------


def test_the_card_tells_the_search_and_stays_checked(result: SweepResult) -> None:
    folder = RunFolder(result.out / "best")
    write_card(folder)
    assert check_card(folder) == []
    card = folder.card.read_text(encoding="utf-8")
    best = result.best
    assert "How its settings were chosen" in card
    assert str(chosen_because(result)) in card
    assert f"| **{best.number}** | 99.00% |" in card
    assert "| lr | 0.1,0.01,0.001 |" in card
    assert "over 2 seeds the validation figure was from" in card
    assert "by how much was not measured" not in card
    changed = card.replace("trained 8 trials", "trained 9 trials")
    folder.card.write_text(changed, encoding="utf-8")
    assert check_card(folder)


@pytest.mark.parametrize(
    ("rule", "p", "said"),
    [
        ("best", 0.01, "beyond chance"),
        ("best", 0.4, "no simpler"),
        ("simplicity", 0.4, "so the simpler was taken"),
    ],
)
def test_the_choice_is_told_as_it_was(rule: str, p: float, said: str) -> None:
    search = SearchRecord.from_dict(json.loads(json.dumps(decision(rule, p).to_dict())))
    text = str(explain_choice(search))
    assert said in text
    assert f"{COMPLETE[0].number}" in text
    alone = dataclasses.replace(search, rule="only", runner_up=None, p=None, finalists=[])
    assert "only one" in str(explain_choice(alone))


def test_a_damaged_search_is_named(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    for content in ("", "[]", "{}", '{"format": 2}', '{"format": 1, "winner": "x"}', "\x00"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ModelError, match=r"search\.json"):
            _read = Run(tmp_path).search
    path.unlink()
    assert Run(tmp_path).search is None
