"""One trial of a search: a training that is measured on the validation split alone.

A trial is a run folder. It goes on from its checkpoint wherever it was stopped, and ends in the
same weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from olhar.card import write_card
from olhar.data_settings import DataSettings
from olhar.datasets import open_source, prepare_dataset, spread
from olhar.files import folder_aside
from olhar.pipeline.fitting import explain_memory, fit_job, save_model
from olhar.pipeline.inputs import source_of, splits_of
from olhar.pipeline.jobs import describe_job, load_job, open_plan, prepare_job
from olhar.pipeline.measuring import measure, predict_split
from olhar.pipeline.plan import Plan, plan_training, repeating_command
from olhar.pipeline.training import resume
from olhar.progress import Progress
from olhar.run import Report, Run, RunFolder, create_run, load_run
from olhar.run.search import SearchRecord
from olhar.training.recipe import read_settings
from olhar.training.trackers import Trackers

OnEpoch = Callable[[dict[str, float]], bool]  # a row of history.csv → whether to stop


class _StopTraining(Exception):  # noqa: N818 - not an error: the driver has said so
    """Ends a training after an epoch whose checkpoint is written."""


class _Watch(Progress):
    def __init__(self, on_epoch: OnEpoch) -> None:
        self._on_epoch = on_epoch

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        del epochs
        if self._on_epoch(dict(row)):
            raise _StopTraining


def plan_trial(data: DataSettings, network: str, settings: Mapping[str, Any]) -> Plan:
    """What a trial with these settings is; its recipe is checked, its data not looked at.

    Raises:
        ConfigError: a setting that does not exist or cannot be used.
    """
    return plan_training(data, network, None, settings, Progress())


def run_trial(path: Path, plan: Plan, threads: int, on_epoch: OnEpoch) -> Report | None:
    """Train, save and measure on the validation split; test images are not looked at.

    Args:
        path: the run folder. One with a checkpoint goes on from it, and `on_epoch` hears only of
            further epochs; one that has ended is only read.
        plan: what to train.
        threads: of torch, on the CPU.
        on_epoch: hears each epoch's row once its checkpoint is written; True stops the training.

    Returns:
        The report; None where it was stopped.
    """
    folder = RunFolder(path)
    if folder.metrics.is_file():
        return load_run(path).report
    if folder.config.is_file():
        job, state = load_job(folder, Progress())
    else:
        inputs = open_plan(plan, open_source(plan.data), Progress())
        job, state = prepare_job(plan, inputs, path, Progress(), threads=threads), None
        create_run(path, describe_job(plan, job))
    try:
        with explain_memory(job):
            state = fit_job(job, state, _Watch(on_epoch), Trackers([], lambda _text: None))
    except _StopTraining:
        return None
    folder.write_history(state.history)  # its last row may be missing after a kill
    if not folder.model.is_dir():
        save_model(job, state)
    report, _probs = measure(job, Progress(), "val")
    folder.write_metrics(report.to_dict())  # last: a trial that has it has ended
    return report


def finish_winner(
    trial: Path, best: Path, plan: Plan, search: SearchRecord, progress: Progress
) -> Run:
    """Make a full run of a trial: its model, measured on the test split, with pictures and card.

    A folder that was cut off on the way goes on.

    Args:
        trial: its run folder; it stays as it is.
        best: the run folder to make.
        plan: what was trained.
        search: how it was chosen.
        progress: hears of the progress.
    """
    source = RunFolder(trial)
    if not best.is_dir():
        config = source.read_config()
        recipe, _resources = read_settings(config)
        with folder_aside(best) as aside:
            copy = RunFolder(aside)
            copy.write_config({**config, "command": repeating_command(plan, recipe, best)})
            copy.write_search(search)
            shutil.copyfile(source.history, copy.history)
            shutil.copyfile(source.checkpoint, copy.checkpoint)
            shutil.copytree(source.model, copy.model)
    if not RunFolder(best).metrics.is_file():
        return resume(best, progress=progress)
    run = load_run(best)
    if not run.folder.card_pt_br.is_file():  # killed between metrics.json and the card
        write_card(run.folder)
    return run


def measure_gap(trial: Run, most: int) -> float:
    """Accuracy on the training split less that on the validation split, by the saved model.

    Args:
        trial: a trial that has ended.
        most: training images are measured, evenly chosen.
    """
    classifier = trial.classifier
    table = classifier.config.data
    source = open_source(source_of(table))
    dataset = prepare_dataset(source, classifier.preprocess, Progress())
    train = splits_of(source, dataset, table, Progress()).train
    rows = spread(train, most)
    probs = predict_split(classifier, dataset, rows, Progress())
    on_train = float((probs.argmax(axis=1) == dataset.labels[rows]).mean())
    return on_train - trial.report.accuracy
