"""A sweep from beginning to end: what it stands on, search, finals, winner, results."""

from __future__ import annotations

import importlib.util
import json
import tomllib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from olhar.cores import count_cores
from olhar.datasets import open_source
from olhar.errors import ConfigError, MissingExtraError, ModelError, explain_os_errors
from olhar.files import write_atomic
from olhar.i18n import Text, _
from olhar.locks import lock_folder
from olhar.pipeline.inputs import open_inputs, require_training
from olhar.pipeline.trials import finish_winner, plan_trial
from olhar.progress import Progress
from olhar.run import Run, RunFolder
from olhar.sweep.baseline import list_trials
from olhar.sweep.choose import decide, plan_finals, train_finals
from olhar.sweep.engine import Engine
from olhar.sweep.ground import Clock, Ground, trial_settings
from olhar.sweep.records import Best, SweepResult, TrialRecord
from olhar.sweep.results import BEST_RECIPE, write_results
from olhar.sweep.search import Search
from olhar.sweep.settings import Place, SweepSettings
from olhar.sweep.study import Study, differing, is_longer, shown_url, storage_url
from olhar.sweep.table import Table
from olhar.sweep.task import val_figures

_FORMAT = 1


def run_sweep(
    settings: SweepSettings, place: Place, progress: Progress | None, table: Table | None
) -> SweepResult:
    """See `olhar.sweep.sweep`."""
    progress, table = progress or Progress(), table or Table()
    _check(place)
    out = place.out
    _check_folder(out)
    url = storage_url(place.storage, out)
    name = place.study or out.resolve().name
    ground = _survey(settings, place, progress)
    with lock_folder(out, partial(_busy, out)):
        token = _claim(out, settings, shown_url(url) if place.storage else "", name)
        study = Study(url, name, settings, token, progress.note)
        clock = Clock(out)
        search = Search(ground, study, clock, table.show)
        try:
            with _engine(place, ground) as engine:
                if not search.ended:
                    search.run(engine())
                trials = search.records()
                if not (out / "best").is_dir():
                    tasks = plan_finals(ground, trials, progress.note)
                    if tasks:
                        train_finals(engine(), tasks, progress.note)
        except KeyboardInterrupt:
            progress.note(_("stopped; the same command goes on where it was"))
            raise
        finally:
            clock.save()
        best = _finish(ground, trials, progress)
        clock.save()
        result = SweepResult(out, trials, best, clock.seconds())
        if best is None or not (out / BEST_RECIPE).is_file():
            write_results(settings, result)
        return result


def _busy(out: Path, pid: str) -> Text:
    return _(
        "'{path}' is in use: another sweep (process {pid}) works on it; wait for it, or choose "
        "another --out",
        path=out,
        pid=pid,
    )


def _check(place: Place) -> None:
    if place.address and place.engine != "ray":
        raise ConfigError(_("--address is of a Ray cluster; add --engine ray"))
    require_training()
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError(
            _('a sweep needs optuna, which is not installed: pip install "olhar[sweep]"')
        )


def _survey(settings: SweepSettings, place: Place, progress: Progress) -> Ground:
    """Open the data once, so that it is in the cache before the workers want it."""
    first = list_trials(settings)[0]
    plan = plan_trial(
        settings.data, settings.network, trial_settings(settings, first, settings.seed)
    )
    inputs = open_inputs(
        open_source(plan.data, progress),
        plan.data,
        plan.network,
        plan.network_settings,
        progress,
        plan.resources.workers,
    )
    splits = inputs.splits
    counts = np.bincount(inputs.dataset.labels[splits.val])
    cores = count_cores()
    threads = max(1, cores // (place.workers or cores)) if place.engine == "local" else 1
    chance = float(counts.max() / counts.sum())
    return Ground(settings, place.out, len(splits.val), chance, threads)


@contextmanager
def _engine(place: Place, ground: Ground) -> Iterator[Any]:
    """A callable that gives the engine, started when it is first asked for."""
    started: list[Engine] = []

    def engine() -> Engine:
        if not started:
            started.append(_open_engine(place, ground))
        return started[0]

    try:
        yield engine
    finally:
        for one in started:
            one.close()


def _open_engine(place: Place, ground: Ground) -> Engine:
    if place.engine == "ray":
        from olhar.sweep.ray_engine import RayEngine

        engine: Engine = RayEngine(place.address, place.workers)
        return engine
    from olhar.sweep.local import LocalEngine

    return LocalEngine(place.workers or min(count_cores(), ground.settings.trials), ground.threads)


def _check_folder(out: Path) -> None:
    """Refuse a folder of other things, before anything is written into it."""
    with explain_os_errors(out):
        if not out.exists() or (out / "sweep.toml").is_file():
            return
        others = [one.name for one in out.iterdir() if not one.name.startswith(".")]
    if others:
        raise ConfigError(
            _(
                "'{path}' is no sweep (it has no sweep.toml, but {name}); choose another --out",
                path=out,
                name=others[0],
            )
        )


def _claim(out: Path, settings: SweepSettings, storage: str, study: str) -> str:
    """Write sweep.toml and study.json, or see that they say the same; returns the folder's token.

    Raises:
        ConfigError: they are another sweep's.
        ModelError: they are damaged or made by a newer olhar.
    """
    path = out / "sweep.toml"
    wanted = json.loads(json.dumps(settings.to_dict()))  # lists for tuples, as TOML gives them
    with explain_os_errors(path):
        content = path.read_bytes() if path.is_file() else None
    if content is None:
        write_atomic(path, tomli_w.dumps({"format": _FORMAT, **wanted}))
    else:
        found = _parse(path, content, tomllib.loads)
        if is_longer(found, wanted):
            _check_goes_on(out, SweepSettings.from_dict(found), settings)
            write_atomic(path, tomli_w.dumps({"format": _FORMAT, **wanted}))
        else:
            _check_same(path, found, wanted)
    path = out / "study.json"
    wanted = {"study": study, "storage": storage}
    with explain_os_errors(path):
        content = path.read_bytes() if path.is_file() else None
    if content is None:
        token = uuid.uuid4().hex
        values = {"format": _FORMAT, "folder": token, **wanted}
        write_atomic(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
        return token
    found = _parse(path, content, json.loads)
    token = str(found.pop("folder", ""))
    _check_same(path, found, wanted)
    return token


def _check_goes_on(out: Path, before: SweepSettings, after: SweepSettings) -> None:
    """Refuse more trials where they would not go on with what is there."""
    if (out / "best").exists():
        raise ConfigError(
            _(
                "the sweep in '{path}' has its winner, measured once on the test split; "
                "choose another --out for one with {n} trials",
                path=out,
                n=after.trials,
            )
        )
    drawn = list_trials(before)
    if list_trials(after)[: len(drawn)] != drawn:
        raise ConfigError(
            _(
                "a whole grid has another order than a part of it: the sweep in '{path}' stays with "
                "{n} trials, or choose another --out",
                path=out,
                n=before.trials,
            )
        )


def _parse(path: Path, content: bytes, parse: Callable[[str], Any]) -> dict[str, Any]:
    """The content of a file of ours, without its format."""
    try:
        found = dict(parse(content.decode()))
        version = found.pop("format")
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(_("'{path}' is damaged: {reason}", path=path, reason=error)) from error
    if version != _FORMAT:
        raise ModelError(
            _(
                "'{path}' has format {version}; this olhar reads format {known}: update olhar",
                path=path,
                version=version,
                known=_FORMAT,
            )
        )
    return found


def _check_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    key = differing(found, wanted)
    if key:
        raise ConfigError(
            _(
                "'{path}' holds a sweep with other settings ({key}); choose another --out, or give "
                "the same settings to go on with it",
                path=path.parent,
                key=key,
            )
        )


def _finish(ground: Ground, trials: list[TrialRecord], progress: Progress) -> Best | None:
    """Make OUT/best of the winner, or read it where it is there."""
    best = ground.out / "best"
    decision = RunFolder(best).read_search() if best.is_dir() else decide(ground, trials)
    if decision is None:
        return None
    settings = ground.settings
    plan = plan_trial(
        settings.data, settings.network, trial_settings(settings, decision.params, settings.seed)
    )
    trial = ground.out / f"trials/{decision.winner:03}"
    run = finish_winner(trial, best, plan, decision, progress)
    return Best(
        number=decision.winner,
        params=decision.params,
        run=best,
        val=val_figures(Run(trial).report),
        test=val_figures(run.report),
        decision=decision,
    )
