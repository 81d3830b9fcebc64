"""What is trained where nobody names a network: photos get a backbone, and what suits them is done with it.

Does not know: how anything is tried (choosing does).
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from olhar.data_settings import DataSettings
from olhar.datasets import NAMED, PhotoFolder, Source, mean_aspect
from olhar.i18n import _
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.pipeline.backbone import OpenData
from olhar.pipeline.inputs import Inputs, Job
from olhar.pipeline.jobs import open_plan, prepare_job
from olhar.pipeline.plan import DEFAULT_NETWORK, Plan, plan_training
from olhar.preprocess import PHOTO_SIDE
from olhar.progress import Progress
from olhar.training.modes import FINETUNE, HEAD, MANY_IMAGES, MODES, SCRATCH, TOP, Mode
from olhar.training.recipe import SETTINGS, Recipe

_SMALLEST_SIDE = 24  # pixels; below, there is little that a network of photos could know again
_FAR_FROM_SQUARE = 0.15  # the mean of |ln(width / height)|; photos of 4 to 3 have .29


@dataclass(frozen=True)
class Auto:
    """What is left to choose.

    Attributes:
        mode: to begin with.
        settings: of the training that were asked for.
        minutes: for all of it; 0 is the usual time.
        chooses: whether another mode may be taken.
        unbound: whether a network without a backbone may be taken, too.
    """

    mode: Mode
    settings: Mapping[str, Any]
    minutes: float
    chooses: bool = False
    unbound: bool = False


def suits_auto(
    wanted: DataSettings,
    network: str | None,
    recipe: object,
    settings: Mapping[str, Any],
    open_data: OpenData,
) -> bool:
    """Whether a training that names no backbone is to have one: on photos, if nothing speaks against it.

    Settings of a network, a recipe, grey input and several processes do. The data is opened, to look
    at how large the images are, and how many.
    """
    if network is not None or recipe is not None or wanted.channels == 1:
        return False
    if settings.get("teacher"):  # which is for networks trained from scratch
        return False
    if wanted.name in NAMED or settings.keys() & NETWORK.keys():
        return False
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return False
    source = open_data(wanted)
    return isinstance(source, PhotoFolder) and _gains(source)


def _gains(photos: PhotoFolder) -> bool:
    """Whether a backbone may do better on these than a network from scratch (docs/transfer.md)."""
    side, few = _side(photos), len(photos) < MANY_IMAGES
    return side >= PHOTO_SIDE or (few and side >= _SMALLEST_SIDE)


def plan_auto(
    mode: str | None, settings: Mapping[str, Any], progress: Progress, *, unbound: bool = False
) -> Auto:
    """What the backbone's training begins with.

    A mode that was named is taken; settings that a head does not have ask for one that has them.
    `unbound` is as in `Auto`.
    """
    given = dict(settings)
    minutes = float(SETTINGS["minutes"].read(given.pop("minutes", 0), "--minutes"))
    if mode is not None:
        return Auto(MODES.get(mode, HEAD), settings, minutes)
    assert HEAD.takes is not None
    trained = [key for key in given if key in SETTINGS and key not in HEAD.takes]
    if not trained:
        return Auto(HEAD, given, minutes, chooses=True, unbound=unbound)
    suited = FINETUNE if TOP.refuses & set(trained) else TOP
    progress.note(
        _(
            "{settings} belong(s) to a training of more than the last layer: taking --mode {mode} "
            "(--network NAME trains one from scratch)",
            settings=", ".join(trained),
            mode=suited.name,
        )
    )
    return Auto(suited, given, minutes)


def choose_plan(
    plan: Plan, inputs: Inputs, auto: Auto, begun: float, progress: Progress
) -> tuple[Plan, Inputs]:
    """The plan with the mode and the views that are best in cross-validation, and its inputs.

    Where photos are far from square, how they are resized is chosen before. Small images may get a
    network from scratch.

    Args:
        plan: in mode head.
        inputs: its own, of `jobs.open_plan`.
        auto: what is left to choose.
        begun: when the command began, by time.perf_counter().
        progress: hears of what was tried and taken.
    """
    from olhar.pipeline.choosing import choose

    if plan.data.resize == "auto":
        plan = _choose_resize(plan, inputs, progress)
        if plan.data.resize != inputs.preprocess.resize:
            inputs = open_plan(plan, inputs.source, Progress())

    def plan_for(mode: Mode, views: str = "") -> Plan:
        assert plan.origin is not None
        changes: dict[str, Any] = {"views": views} if views else {}
        if views == "none":
            changes["flip"] = False
        changes = {key: value for key, value in changes.items() if key not in plan.asked}
        origin = plan.origin.in_mode(mode)
        recipe = Recipe.pick({**(mode.recipe or {}), **plan.asked, **changes})
        return dataclasses.replace(
            plan,
            network_settings=origin.settings,
            origin=origin,
            recipe=recipe,
            asked={**plan.asked, **changes},
        )

    scratch = functools.cache(partial(_from_scratch, plan, inputs))

    def job_for(mode: Mode, views: str) -> Job:
        if mode is SCRATCH:
            own, opened = scratch()
            return prepare_job(own, opened._replace(splits=inputs.splits), Path(), Progress())
        return prepare_job(plan_for(mode, views), inputs, Path(), Progress())

    assert plan.origin is not None
    can_top = bool(plan.origin.front)
    # Of many there is enough to learn from, and a comparison takes too long.
    if len(inputs.dataset) >= MANY_IMAGES:
        return plan_for(TOP if can_top else HEAD), inputs
    modes = [TOP, FINETUNE] if can_top else [FINETUNE]
    # Folds are of a head alone (estimating.check_folds).
    if auto.unbound and _side(inputs.source) < PHOTO_SIDE and (plan.data.folds or 1) == 1:
        modes = [SCRATCH, *modes]
    choice = choose(job_for, modes, auto.minutes, begun, progress)
    if choice.mode is SCRATCH:
        plan, inputs = scratch()
    else:
        plan = plan_for(choice.mode, choice.views)
    return dataclasses.replace(plan, choice=choice.story), inputs


def _from_scratch(plan: Plan, inputs: Inputs) -> tuple[Plan, Inputs]:
    """The same data, and what was asked for, for the usual network without a backbone."""
    scratch = plan_training(plan.data, DEFAULT_NETWORK, None, plan.asked, Progress())
    return scratch, open_plan(scratch, inputs.source, Progress())


def _side(source: Source) -> int:
    """The shorter side of the images, in pixels."""
    return min(source.image_shape[1:])


def _choose_resize(plan: Plan, inputs: Inputs, progress: Progress) -> Plan:
    """The plan with how photos are resized: cut out where they are nearly square, else what is best."""
    from olhar.pipeline.choosing import choose_resize

    source, resize = inputs.source, "crop"
    if not isinstance(source, PhotoFolder):
        pass  # arrays are framed by whoever made them
    elif mean_aspect(source.path, source.files) > _FAR_FROM_SQUARE:
        job = prepare_job(plan, inputs, Path(), Progress())
        resize = choose_resize(job, source.path, progress)
    return dataclasses.replace(plan, data=dataclasses.replace(plan.data, resize=resize))
