"""As many epochs as fit into the minutes that were asked for, measured by all who will train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from olhar.i18n import _, number, significant
from olhar.pipeline.group import measure_in_group
from olhar.pipeline.inputs import Job
from olhar.pipeline.jobs import describe_job
from olhar.pipeline.plan import Plan, shorten
from olhar.progress import Progress

_AFTER_TRAINING_S = 15.0  # saving, measuring and drawing
_MOST_EPOCHS = 300  # more of them teach a small network nothing


def fit_into_minutes(
    plan: Plan, job: Job, prepare: Callable[[Plan], Job], progress: Progress
) -> tuple[Plan, Job]:
    """The job with as many epochs as fit into its minutes; as it is where none were asked for.

    Args:
        plan: what was asked for.
        job: its job.
        prepare: makes the job of another plan: where fewer epochs fit than its recipe has, that of a
            shorter training is taken, if one is kept.
        progress: hears of what was chosen.

    Returns:
        The plan that is followed, and its job.
    """
    if not job.resources.minutes:
        return plan, job
    epochs, epoch_s = _epochs_that_fit(plan, job, progress)
    if plan.shorter and epochs < job.recipe.epochs:
        plan, settings = shorten(plan), plan.shorter
        progress.note(
            _(
                "the recipe's {epochs} epochs do not fit into {minutes} min; for so short a training "
                "{settings} is better, and is taken (--set decides)",
                epochs=job.recipe.epochs,
                minutes=significant(job.resources.minutes, 6),
                settings=", ".join(f"{key}={value}" for key, value in settings.items()),
            )
        )
        job = prepare(plan)
        epochs, epoch_s = _epochs_that_fit(plan, job, progress)
    progress.note(
        _(
            "epochs that fit into {minutes} min: {epochs}; one takes about {seconds} s here",
            epochs=epochs,
            minutes=significant(job.resources.minutes, 6),
            seconds=number(epoch_s, 2),
        )
    )
    return plan, dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, epochs=epochs))


def _epochs_that_fit(plan: Plan, job: Job, progress: Progress) -> tuple[int, float]:
    """How many, and the seconds that one takes."""
    epoch_s = measure_in_group(job, describe_job(plan, job), progress)
    available_s = 60 * job.resources.minutes - _AFTER_TRAINING_S
    return int(np.clip(available_s / epoch_s, 1, _MOST_EPOCHS)), epoch_s
