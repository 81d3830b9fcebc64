"""As many epochs as fit into the minutes that were asked for, measured by all who will train."""

from __future__ import annotations

import dataclasses

import numpy as np

from olhar.i18n import _, number, significant
from olhar.pipeline.group import measure_in_group
from olhar.pipeline.inputs import Job
from olhar.pipeline.jobs import describe_job
from olhar.pipeline.plan import Plan
from olhar.progress import Progress

_AFTER_TRAINING_S = 15.0  # saving, measuring and drawing
_MOST_EPOCHS = 300  # more of them teach a small network nothing


def fit_into_minutes(plan: Plan, job: Job, progress: Progress) -> Job:
    """The job with as many epochs as fit into its minutes; as it is where none were asked for."""
    if not job.resources.minutes:
        return job
    epoch_s = measure_in_group(job, describe_job(plan, job), progress)
    available_s = 60 * job.resources.minutes - _AFTER_TRAINING_S
    epochs = int(np.clip(available_s / epoch_s, 1, _MOST_EPOCHS))
    progress.note(
        _(
            "epochs that fit into {minutes} min: {epochs}; one takes about {seconds} s here",
            epochs=epochs,
            minutes=significant(job.resources.minutes, 6),
            seconds=number(epoch_s, 2),
        )
    )
    return dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, epochs=epochs))
