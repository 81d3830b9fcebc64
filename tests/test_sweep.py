"""A sweep as a user runs it: trials, winner, refusals; and the rule by which trials go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import olhar, one_core
from olhar.errors import ConfigError, MissingFileError, StorageError
from olhar.i18n import Text
from olhar.locks import lock_folder
from olhar.run import RunFolder
from olhar.sweep import sweep
from olhar.sweep.baseline import baseline, list_trials
from olhar.sweep.engine import Ended, EpochDone
from olhar.sweep.local import LocalEngine
from olhar.sweep.records import SweepResult, TrialRecord
from olhar.sweep.rungs import Standing, allowed, rungs
from olhar.sweep.settings import SweepSettings
from olhar.sweep.study import Study, shown_url, storage_url
from olhar.sweep.table import Table
from olhar.sweep.task import Task


def settings(param: dict[str, Any], **others: Any) -> SweepSettings:
    values = {"data": "digits", "network": "lenet5", "method": "grid", **others}
    fixed = {"epochs": 3, "batch_size": 128, **values.pop("set", {})}
    return SweepSettings.from_dict({**values, "set": fixed, "param": param})


RACE = settings({"lr": [0.006, 0.003, 1e-6, 1e-7]}, finalists=2, extra_seeds=1)
TROUBLE = settings({"lr": [0.006, 100], "early_share": [0, 0.5]}, set={"optimizer": "sgd"})


class Watched(Table):
    """Keeps all that it is told."""

    def __init__(self) -> None:
        self.notes: list[Text] = []
        self.shown: list[list[TrialRecord]] = []

    def note(self, text: Text) -> None:
        self.notes.append(text)

    def show(self, trials: Any) -> None:
        self.shown.append(list(trials))


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepResult, Watched]:
    """Four trials, of which two are hopeless."""
    table = Watched()
    out = tmp_path_factory.mktemp("sweeps") / "race"
    return sweep(RACE, out, workers=2, progress=table, table=table), table


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """Four trials: one that learns, one that diverges, two that cannot be built."""
    return sweep(TROUBLE, tmp_path_factory.mktemp("sweeps") / "trouble", workers=2)


def test_the_best_go_on_and_the_others_stop_at_the_first_rung(race: Any) -> None:
    trials = race[0].trials
    assert [one.state for one in trials] == ["complete", "complete", "stopped", "stopped"]
    assert [one.epoch for one in trials] == [3, 3, 1, 1]
    assert all(one.reason for one in trials[2:])
    for one in trials:
        folder = RunFolder(race[0].out / one.folder)
        assert len(folder.read_history()) == one.epoch
        assert folder.model.is_dir() == (one.state == "complete")
        assert not folder.card.exists()
        assert not folder.learning_curve.exists()


def test_a_trial_holds_validation_figures_only(race: Any) -> None:
    for one in race[0].trials[:2]:
        folder = RunFolder(race[0].out / one.folder)
        metrics = folder.read_metrics()
        assert metrics["split"] == "val"
        assert metrics["n"] == 144
        assert one.val == {key: metrics[key] for key in one.val}
    with pytest.raises(MissingFileError):
        RunFolder(race[0].out / "trials" / "002").read_metrics()


def test_the_winner_is_a_whole_run_measured_on_the_test_split(race: Any) -> None:
    result = race[0]
    assert result.best is not None
    folder = RunFolder(result.best.run)
    metrics = folder.read_metrics()
    assert (metrics["split"], metrics["n"]) == ("test", 360)
    assert result.best.test["accuracy"] == metrics["accuracy"]
    won = result.trials[result.best.number]
    assert result.best.val == won.val
    trial = RunFolder(result.out / won.folder)
    weights = "model.safetensors"
    assert (folder.model / weights).read_bytes() == (trial.model / weights).read_bytes()
    command = folder.read_config()["command"]
    assert command.startswith("olhar train --data digits --network lenet5")
    assert f"--run {folder.path.as_posix()}" in command
    assert f"lr={result.best.params['lr']}" in command
    checked = olhar("card", "--check", folder.path)
    assert checked.status == 0, checked.out + checked.err


def test_finalists_are_trained_again_and_tested_in_pairs(race: Any) -> None:
    decision = race[0].best.decision
    assert [len(one.values) for one in decision.finalists] == [2, 2]
    first, second = decision.finalists
    assert first.mean >= second.mean
    assert first.p is None
    assert second.p is not None
    assert 0 <= second.p <= 1
    assert decision.trials == {"complete": 2, "stopped": 2}
    assert decision.rule in {"best", "simplicity"}
    told = json.loads((race[0].best.run / "search.json").read_text("utf-8"))
    assert told["winner"] == race[0].best.number
    assert {path.name for path in (race[0].out / "finals").iterdir()} == {"000-seed1", "001-seed1"}


def test_the_study_is_one_that_optuna_reads(race: Any) -> None:
    url = f"sqlite:///{race[0].out / 'study.db'}"
    study = optuna.load_study(study_name="race", storage=url)
    states = [one.state.name for one in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED"]
    assert study.trials[0].value == race[0].trials[0].val["accuracy"]
    assert len(study.trials[2].intermediate_values) == 1
    study._storage.remove_session()


def test_the_table_hears_of_every_state(race: Any) -> None:
    seen = {(one.number, one.state) for shown in race[1].shown for one in shown}
    assert {(3, "waiting"), (0, "running"), (0, "complete"), (3, "running"), (3, "stopped")} <= seen


def test_a_sweep_that_is_done_is_only_read(race: Any) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in race[0].out.rglob("*.json"))
    again = sweep(RACE, race[0].out)
    assert again.best == race[0].best
    assert again.trials == race[0].trials
    assert sorted((path, path.stat().st_mtime_ns) for path in race[0].out.rglob("*.json")) == before


def test_a_trial_that_fails_keeps_its_traceback_and_the_sweep_goes_on(trouble: SweepResult) -> None:
    states = {(one.params["lr"], one.params["early_share"]): one for one in trouble.trials}
    good, high = states[0.006, 0.0], states[100.0, 0.0]
    assert good.state == "complete"
    assert trouble.best is not None
    assert trouble.best.number == good.number
    assert trouble.best.decision.rule == "only"
    assert high.state == "stopped"
    assert "diverged" in high.reason or "chance" in high.reason
    for lr in (0.006, 100.0):
        failed = states[lr, 0.5]
        assert failed.state == "failed"
        assert "early_share" in failed.reason
        text = (trouble.out / failed.folder / "error.txt").read_text("utf-8")
        assert "Traceback" in text
        assert "ConfigError" in text


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"seed": 5}, "seed: 0 ≠ 5"),
        ({"metric": "loss"}, "metric"),
        ({"set": {"epochs": 2}}, "set.epochs: 3 ≠ 2"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(
    race: Any, others: dict[str, Any], named: str
) -> None:
    other = settings({"lr": [0.006, 0.003, 1e-6, 1e-7]}, **{"extra_seeds": 1, **others})
    with pytest.raises(ConfigError, match=named):
        sweep(other, race[0].out)


class Impatient(Table):
    """Presses Ctrl-C once a trial has ended."""

    def show(self, trials: Any) -> None:
        if any(one.state in {"complete", "stopped"} for one in trials):
            raise KeyboardInterrupt


def test_a_sweep_that_has_no_winner_yet_takes_more_trials(tmp_path: Path) -> None:
    def draws(trials: int, **others: Any) -> SweepSettings:
        space = {"lr": "log:0.001:0.01"}
        given = {"method": "random", "trials": trials, "set": {"epochs": 1}, **others}
        return settings(space, finalists=1, **given)

    out = tmp_path / "s"
    with one_core(), pytest.raises(KeyboardInterrupt):
        sweep(draws(2), out, workers=1, table=Impatient())
    with pytest.raises(ConfigError, match="seed: 0 ≠ 1"):
        sweep(draws(2, seed=1), out)
    with one_core():
        result = sweep(draws(3), out, workers=1)
    assert [one.params for one in result.trials] == list_trials(draws(3))
    assert [one.params for one in result.trials[:2]] == list_trials(draws(2))
    assert "trials = 3" in (out / "sweep.toml").read_text("utf-8")
    with pytest.raises(ConfigError, match="trials: 3 ≠ 2"):
        sweep(draws(2), out)
    with pytest.raises(ConfigError, match="has its winner"):
        sweep(draws(4), out)


def test_a_study_of_another_sweep_is_refused(race: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{race[0].out / 'study.db'}"
    with pytest.raises(ConfigError, match="another folder"):
        sweep(RACE, tmp_path / "race", storage=url, study="race")
    other = settings({"lr": [0.006, 0.003]})
    with pytest.raises(ConfigError, match="other settings"):
        sweep(other, tmp_path / "b", storage=url, study="race")


def test_a_folder_of_other_things_and_one_in_use_are_refused(race: Any, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"no sweep.*cat\.jpg"):
        sweep(RACE, tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]
    with lock_folder(race[0].out, str), pytest.raises(ConfigError, match=str(os.getpid())):
        sweep(RACE, race[0].out)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ana:s3cret@host:5/db?sslkey=k", "postgresql://host:5/db"),
        ("postgres://host/db", "postgresql://host/db"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str, tmp_path: Path) -> None:
    assert shown_url(storage_url(url, tmp_path)) == shown


def test_storages_that_cannot_be_used_are_refused_without_their_secrets(tmp_path: Path) -> None:
    for url in ("nosuch://ana:s3cret@host/db", "ana:s3cret@host"):
        with pytest.raises(ConfigError) as refused:
            sweep(RACE, tmp_path / "a", storage=url)
        assert "s3cret" not in str(refused.value)
        assert "sqlite:///FILE" in str(refused.value)
    with pytest.raises(StorageError) as refused:
        sweep(RACE, tmp_path / "b", storage="postgresql://ana:s3cret@127.0.0.1:9/db")
    assert "s3cret" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cret" not in written


def test_a_database_that_goes_away_is_tried_again(tmp_path: Path) -> None:
    url, notes = f"sqlite:///{tmp_path / 's.db'}", []
    study = Study(url, "s", RACE, "token", notes.append)
    # Another process holds the file; SQLite itself waits for five seconds.
    script = """
        import sqlite3, sys, time
        held = sqlite3.connect(sys.argv[1], isolation_level=None)
        held.execute("BEGIN EXCLUSIVE")
        print("held", flush=True)
        time.sleep(7)
        held.execute("ROLLBACK")
        held.close()
    """
    words = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "s.db")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        study.add(0, {"lr": 0.006})
        study.add(0, {"lr": 0.006})
    assert len(study.trials()) == 1
    assert len(notes) == 1
    assert "locked" in str(notes[0])


def test_tpe_draws_from_what_has_been_shown(tmp_path: Path) -> None:
    wanted = settings({"lr": "log:1e-5:1e-1"}, method="tpe", trials=40)
    study = Study(f"sqlite:///{tmp_path / 's.db'}", "s", wanted, "token", lambda _text: None)
    for number in range(40):
        params = study.suggest(number)
        assert params == study.suggest(number)  # nothing but the record decides
        study.add(number, params)
        study.report(number, 1, 1 - abs(np.log10(params["lr"]) + 2.5) / 4)
    late = [np.log10(one.params["lr"]) for one in study.trials()[25:]]
    assert np.median(np.abs(np.array(late) + 2.5)) < 0.7  # drawn evenly: 0.9


def test_a_worker_that_is_killed_is_told_and_replaced(tmp_path: Path) -> None:
    asked = {"epochs": 6, "batch_size": 128}
    task = Task(7, {"name": "digits"}, "lenet5", asked, str(tmp_path / "run"))
    engine = LocalEngine(1)
    try:
        engine.start(task)
        heard: list[Any] = []
        killed = False
        begun = time.monotonic()
        while not any(isinstance(one, Ended) for one in heard):
            assert time.monotonic() - begun < 240
            for event in engine.wait(1):
                heard.append(event)
                if isinstance(event, EpochDone) and event.row["epoch"] == 2 and not killed:
                    engine._workers[0].child.process.kill()
                    killed = True
                elif isinstance(event, EpochDone):
                    engine.answer(7, stop=event.row["epoch"] == 4)
                elif not isinstance(event, Ended):
                    engine.start(task)
        epochs = [int(one.row["epoch"]) for one in heard if isinstance(one, EpochDone)]
        assert epochs == [1, 2, 3, 4]  # the second is not done again
        assert heard[-1].result.state == "stopped"
    finally:
        engine.close()


def test_a_search_begins_with_what_is_known_to_work() -> None:
    param = {"lr": [0.1, 0.01, 0.001], "width": "int:64:512:64", "activation": ["tanh", "relu"]}
    others = {"network": "gmnet", "method": "random", "trials": 5}
    wanted = settings({**param, "zoom": "float:0.2:0.3"}, data="mnist", **others)
    first, *rest = list_trials(wanted)
    assert first == {"lr": 0.01, "width": 192, "activation": "relu", "zoom": 0.2}
    assert len(rest) == 4
    assert first not in rest
    assert list_trials(wanted)[1:] == rest
    many = settings({**param, "zoom": "float:0.2:0.3"}, data="mnist", **{**others, "trials": 9})
    assert list_trials(many)[:5] == [first, *rest]
    assert list_trials(RACE) == [{"lr": lr} for lr in (0.006, 0.003, 1e-6, 1e-7)]
    assert baseline(RACE) == {"lr": 0.006}


def _race(
    scores: list[list[float]], order: list[int], finalists: int, anchor: int | None
) -> dict[int, int]:
    """Epochs of each trial when they are trained an epoch at a time in some order."""
    epochs = len(scores[0])
    done = [0] * len(scores)
    for turn in range(10_000):
        group = [
            Standing(n, [(one, 0.0) for one in scores[n][: done[n]]], done[n] == epochs)
            for n in range(len(scores))
        ]
        may = [n for n in sorted(allowed(group, epochs, finalists, anchor)) if done[n] < epochs]
        if not may:
            return dict(enumerate(done))
        done[may[order[turn % len(order)] % len(may)]] += 1
    raise AssertionError("it never ends")


@given(st.data())
def test_who_goes_on_depends_on_the_trials_alone(data: st.DataObject) -> None:
    count, epochs = data.draw(st.integers(1, 27)), data.draw(st.integers(1, 30))
    score = st.integers(0, 20).map(float)
    scores = data.draw(
        st.lists(st.lists(score, min_size=epochs, max_size=epochs), min_size=count, max_size=count)
    )
    finalists = data.draw(st.integers(1, 4))
    orders = data.draw(st.lists(st.lists(st.integers(0, 99), min_size=1), min_size=2, max_size=2))
    anchor = data.draw(st.none() | st.integers(0, count - 1))
    first, second = (_race(scores, order, finalists, anchor) for order in orders)
    assert first == second
    whole = [n for n, done in first.items() if done == epochs]
    assert len(whole) >= min(count, finalists)
    assert anchor is None or anchor in whole
    assert set(first.values()) <= {*rungs(epochs), epochs}
    if count > 3 * finalists and rungs(epochs):
        assert len(whole) < count
