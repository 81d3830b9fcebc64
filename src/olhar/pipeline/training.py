"""The one place that orders fit → save → export → evaluate.

The run folder appears once settings, data and machine are accepted.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar.card import write_card
from olhar.data_settings import DATA, DataSettings
from olhar.datasets import open_source
from olhar.datasets.addresses import path_of, plain_name
from olhar.errors import ConfigError, explain_os_errors
from olhar.i18n import Text, _
from olhar.pipeline.auto import Auto, choose_plan, plan_auto, suits_auto
from olhar.pipeline.backbone import (
    AUTO,
    DEFAULTS,
    OpenData,
    Origin,
    default_backbone,
    default_mode,
    mode_of,
    open_backbone,
)
from olhar.pipeline.continuing import plan_continuing
from olhar.pipeline.estimating import estimate
from olhar.pipeline.fitting import explain_memory, preview_images, save_model
from olhar.pipeline.group import fit_in_group
from olhar.pipeline.inputs import Inputs, Job, require_training
from olhar.pipeline.jobs import describe_job, load_job, open_plan, prepare_job
from olhar.pipeline.launch import run_to_go_on_with
from olhar.pipeline.measuring import draw, measure
from olhar.pipeline.plan import Plan, plan_training
from olhar.pipeline.timing import fit_into_minutes
from olhar.progress import Progress
from olhar.run import (
    Run,
    RunFolder,
    check_run_path,
    create_run,
    free_run_path,
    hold,
    load_run,
    take_place,
)
from olhar.shown import quoted
from olhar.training.energy import EnergyMeter, measure_energy
from olhar.training.modes import HEAD
from olhar.training.trackers import Trackers, build_results, open_trackers, tracked_names

if TYPE_CHECKING:
    from olhar.training.fit import FitState


def train(
    data: str | None = None,
    network: str | None = None,
    *,
    from_run: Path | str | None = None,
    run: Path | str | None = None,
    recipe: Path | str | Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    track: Sequence[str] = (),
    energy: str | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    mode: str | None = None,
    **settings: Any,
) -> Run:
    """Train, save, export and evaluate a classifier; everything is in the run folder.

    Args:
        data: name of a data set, path of a folder of photos, or their address, s3://bucket/photos/.
        from_run: a run that has ended, whose weights are trained further: with the same network, classes
            and preprocess, and the same data and settings but for those that are given.
        network: name of a network; by default one is chosen, and the choice said.
        run: the folder to make; by default runs/DATA-NETWORK.
        recipe: a recipe file or its settings, instead of the kept ones for this network and data.
        overwrite: replace a run that is there, once the new one has ended.
        progress: hears of the progress.
        track: trackers that log the run too: tensorboard, wandb, mlflow.
        energy: estimate energy and CO2 for this country, three letters such as BRA.
        backbone: a network with weights to start from, instead of `network`: mobilenet_v2 and its
            like, a run or its address, timm:NAME, transformers:NAME (see pipeline.backbone); auto,
            which photos get where neither is named, is the best whose weights can be had.
        weights: the backbone's: a file, or "pretrained".
        mode: what is done with a backbone: head, top, finetune or scratch; by default head, of
            10,000 images and more top; with the backbone auto what is best in cross-validation.
        **settings: any setting of the data, the recipe, the network, and of how it runs, such as
            val, size, epochs, lr, width, device (see docs/training.md).

    Raises:
        ConfigError: a setting that does not exist or cannot be used.
        DataError: data that cannot be used.
        RunExistsError: the run folder exists.
        ConfigError: what is to be replaced holds other files than those of a run.
        DivergedError: the loss came to NaN.
    """
    progress = progress or Progress()
    run = None if run is None else Path(run).expanduser()
    begun = run_to_go_on_with(run)
    if begun is not None:
        return resume(begun, progress=progress)
    started = time.perf_counter()
    start = backbone, weights, mode
    open_data = functools.cache(partial(open_source, progress=progress))  # a folder is listed once
    if from_run is not None:
        _check_from(network, start, recipe)
        wanted, origin, chosen = plan_continuing(from_run, data, settings, progress)
        plan: Plan = plan_training(wanted, None, {}, chosen, progress, origin)
        auto: Auto | None = None
    elif data is None:
        raise ConfigError(
            _("say what to train on: --data DATA; or which run to go on with: --from RUN")
        )
    else:
        plan, auto = _plan(data, network, recipe, start, settings, open_data, progress)
    require_training()
    trackers = open_trackers(track, progress.note)
    meter = measure_energy(energy, progress.note)
    if run is not None and check_run_path(run, overwrite=overwrite):
        _check_apart(plan.data.name, run)
    again = _("stopped before the training began; give the same command again")
    with _said_when_stopped(again, progress):
        inputs = open_plan(plan, open_data(plan.data), progress)
        if auto and auto.chooses:
            plan, inputs = choose_plan(plan, inputs, auto, started, progress)
        path = run or free_run_path(f"{plain_name(plan.data.name)}-{plan.network}")
        plan, job = _prepare(plan, inputs, path, progress)
        folder = create_run(path, describe_job(plan, job), overwrite=overwrite)
    return _carry_out(dataclasses.replace(job, folder=folder), progress, trackers, meter)


def improve(
    data: str, run: Path, *, progress: Progress | None = None, **settings: Any
) -> Run | None:
    """Train what suits photos best, where that is more than the head; None where the head is best.

    Args:
        data: path of a folder of photos, whose head was trained already.
        run: the folder to make.
        progress: hears of what is tried.
        **settings: as `train` takes them.
    """
    progress = progress or Progress()
    started = time.perf_counter()
    open_data = partial(open_source, progress=progress)
    plan, auto = _plan(data, None, None, (AUTO, None, None), settings, open_data, progress)
    if auto is None:  # no backbone's weights can be had
        return None
    inputs = open_plan(plan, open_data(plan.data), progress)
    plan, inputs = choose_plan(plan, inputs, auto, started, progress)
    if mode_of(plan.transfer) is HEAD:
        return None
    plan, job = _prepare(plan, inputs, run, progress)
    folder = create_run(run, describe_job(plan, job))
    trackers, meter = open_trackers((), progress.note), measure_energy(None, progress.note)
    return _carry_out(dataclasses.replace(job, folder=folder), progress, trackers, meter)


def _prepare(plan: Plan, inputs: Inputs, path: Path, progress: Progress) -> tuple[Plan, Job]:
    """The job, with as many epochs as fit into its minutes; and the plan, which the minutes may change."""

    def prepare(plan: Plan) -> Job:
        return prepare_job(plan, inputs, path, progress)

    return fit_into_minutes(plan, prepare(plan), prepare, progress)


def _carry_out(job: Job, progress: Progress, trackers: Trackers, meter: EnergyMeter) -> Run:
    with hold(job.folder):
        _run(job, None, progress, trackers, meter)
    return _settle(job.folder, progress)


def _check_from(
    network: str | None, start: tuple[str | None, str | None, str | None], recipe: object
) -> None:
    """Refuse what a run that is gone on with has already."""
    names = ("--network", "--backbone", "--weights", "--mode", "--recipe")
    given = [name for name, one in zip(names, (network, *start, recipe), strict=True) if one]
    if given:
        raise ConfigError(
            _(
                "--from goes on with the network and the recipe of a run; leave {flags} out (single "
                "settings can be given: --epochs, --lr, --set KEY=VALUE)",
                flags=", ".join(given),
            )
        )


def _plan(
    data: str,
    network: str | None,
    recipe: Path | str | Mapping[str, Any] | None,
    start: tuple[str | None, str | None, str | None],
    settings: Mapping[str, Any],
    open_data: OpenData,
    progress: Progress,
) -> tuple[Plan, Auto | None]:
    """What was asked for, checked; and what is left to choose, where nobody named a network.

    `start` is the backbone, its weights and the mode, as they were given. The data is opened where
    they leave to it what is done.
    """
    backbone, weights, mode = start
    wanted = DataSettings.pick({**settings, "name": data})
    settings = {key: value for key, value in settings.items() if key not in DATA}
    auto = None
    if backbone == AUTO or (
        backbone is None and suits_auto(wanted, network, recipe, settings, open_data)
    ):
        backbone = default_backbone(progress) if weights is None else DEFAULTS[0]
        unbound = start[0] is None
        auto = plan_auto(mode, settings, progress, unbound=unbound) if backbone else None
    if auto:
        mode, settings = auto.mode.name, auto.settings
    origin = _origin(wanted, backbone, weights, mode, open_data, progress)
    return plan_training(wanted, network, recipe, settings, progress, origin), auto


def _check_apart(data: str, run: Path) -> None:
    """Refuse to replace a run where it and the photos that are to be trained on lie inside each other."""
    with explain_os_errors(data):
        photos, place = path_of(data).resolve(), run.resolve()
        inside = photos.exists() and (photos in (place, *place.parents) or place in photos.parents)
    if inside:
        raise ConfigError(
            _(
                "'{run}' will not be replaced: it and the data '{data}' lie inside each other; "
                "choose a --run outside of the data",
                run=run,
                data=data,
            )
        )


def _origin(
    data: DataSettings,
    backbone: str | None,
    weights: str | None,
    mode: str | None,
    open_data: OpenData,
    progress: Progress,
) -> Origin | None:
    """The backbone to start from, if one was named."""
    if backbone is None:
        if weights or mode:
            raise ConfigError(_("--weights and --mode belong to a backbone; add --backbone NAME"))
        return None
    require_training()  # other libraries' networks are described by torch
    mode = mode or default_mode(backbone, data, open_data)
    return open_backbone(backbone, weights, mode, progress)


def resume(run: Path | str, *, data: str | None = None, progress: Progress | None = None) -> Run:
    """Go on with a run that was cut off; it ends in the weights of one that was not.

    Args:
        run: the run folder.
        data: where its data is now, if not where it was; it must be the same.
        progress: hears of the progress.

    Raises:
        MissingFileError: this is no run folder.
        DataError: the data is not what it was.
    """
    progress = progress or Progress()
    folder = RunFolder(run)
    folder.read_config()
    with hold(folder):
        if folder.model.is_dir() and folder.metrics.is_file():
            progress.note(
                _(
                    "run '{path}' has ended already; to train it further: olhar train --from {run} "
                    "--epochs 10",
                    path=folder.path,
                    run=quoted(folder.path),
                )
            )
        else:
            require_training()
            trackers = open_trackers(tracked_names(folder.path), progress.note)
            job, state = load_job(folder, progress, data)
            _run(job, state, progress, trackers, measure_energy(None, progress.note))
    return _settle(folder, progress)


def _settle(folder: RunFolder, progress: Progress) -> Run:
    """A run that has ended, in its place: that of the run which it replaces, if any."""
    settled = take_place(folder)
    if settled.path != folder.path:
        progress.note(_("the new run has replaced the old one in '{path}'", path=settled.path))
    return load_run(settled.path)


def _run(
    job: Job, state: FitState | None, progress: Progress, trackers: Trackers, meter: EnergyMeter
) -> None:
    """Train, save, measure, draw, and write the card."""
    go_on = _("stopped; go on with: olhar resume {path}", path=quoted(job.folder.path))
    with _said_when_stopped(go_on, progress), trackers:
        config, history = job.folder.read_config(), state.history if state else []
        trackers.start(job.folder.path, config, history)
        with meter:
            state = _fit(job, state, progress, trackers)
        job.folder.write_history(state.history)  # its last row may be missing after a kill
        if not job.folder.model.is_dir():  # it is there where a run was cut off while measuring
            save_model(job, state)
        report, probs = measure(job, progress)
        draw(job, state, report, probs, preview_images(job), progress)
        estimates = estimate(job, state, report, progress)
        energy = {"energy": meter.result} if meter.result else {}
        # Last: a run that has it has ended.
        job.folder.write_metrics({**report.to_dict(), **estimates, **energy})
        write_card(job.folder)
        trackers.finish(build_results(Run(job.folder.path)))


def _fit(job: Job, state: FitState | None, progress: Progress, trackers: Trackers) -> FitState:
    """Train; what stops it is explained."""
    with explain_memory(job):
        return fit_in_group(job, state, progress, trackers)


@contextmanager
def _said_when_stopped(text: Text, progress: Progress) -> Iterator[None]:
    """Say how to go on where Ctrl-C, or a signal as good as that, ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        progress.note(text)
        raise
