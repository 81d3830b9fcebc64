"""What is trained where nobody names a network: photos get a backbone, and what suits them is done with it.

Does not know: how anything is tried (choosing does).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.data_settings import DataSettings
from olhar.datasets import NAMED, PhotoFolder, mean_aspect, open_source
from olhar.i18n import _
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.pipeline.inputs import Job
from olhar.pipeline.jobs import Inputs, open_plan, prepare_job
from olhar.pipeline.plan import Plan
from olhar.preprocess import PHOTO_SIDE
from olhar.progress import Progress
from olhar.training.modes import FINETUNE, HEAD, MANY_IMAGES, MODES, TOP, Mode
from olhar.training.recipe import SETTINGS, Recipe

_FAR_FROM_SQUARE = 0.15  # the mean of |ln(width / height)|; photos of 4 to 3 have .29


@dataclass(frozen=True)
class Auto:
    """What is left to choose.

    Attributes:
        mode: to begin with.
        settings: of the training that were asked for.
        minutes: for all of it; 0 is the usual time.
        chooses: whether another mode may be taken.
    """

    mode: Mode
    settings: Mapping[str, Any]
    minutes: float
    chooses: bool = False


def suits_auto(
    wanted: DataSettings,
    network: str | None,
    recipe: object,
    settings: Mapping[str, Any],
    progress: Progress,
) -> bool:
    """Whether a training that names no backbone is to have one: on photos, if nothing speaks against it.

    Settings of a network, a recipe, grey images and several processes do. The data is opened, to look
    at its size.
    """
    if network is not None or recipe is not None or wanted.channels == 1:
        return False
    if settings.get("teacher"):  # which is for networks trained from scratch
        return False
    if wanted.name in NAMED or settings.keys() & NETWORK.keys():
        return False
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return False
    source = open_source(wanted, progress)
    return isinstance(source, PhotoFolder) and min(source.image_shape[1:]) >= PHOTO_SIDE


def plan_auto(mode: str | None, settings: Mapping[str, Any], progress: Progress) -> Auto:
    """What the backbone's training begins with.

    A mode that was named is taken; settings that a head does not have ask for one that has them.
    """
    given = dict(settings)
    minutes = float(SETTINGS["minutes"].read(given.pop("minutes", 0), "--minutes"))
    if mode is not None:
        return Auto(MODES.get(mode, HEAD), settings, minutes)
    assert HEAD.takes is not None
    trained = [key for key in given if key in SETTINGS and key not in HEAD.takes]
    if not trained:
        return Auto(HEAD, given, minutes, chooses=True)
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

    Where photos are far from square, how they are resized is chosen before.

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
        if plan.data.resize != inputs[3].resize:
            inputs = open_plan(plan, Progress())

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

    def job_for(mode: Mode, views: str) -> Job:
        return prepare_job(plan_for(mode, views), inputs, Path(), Progress())

    assert plan.origin is not None
    can_top = bool(plan.origin.front)
    if (
        len(inputs[0]) >= MANY_IMAGES
    ):  # there is enough to learn from, and a comparison takes too long
        return plan_for(TOP if can_top else HEAD), inputs
    modes = [TOP, FINETUNE] if can_top else [FINETUNE]
    choice = choose(job_for, modes, auto.minutes, begun, progress)
    return dataclasses.replace(plan_for(choice.mode, choice.views), choice=choice.story), inputs


def _choose_resize(plan: Plan, inputs: Inputs, progress: Progress) -> Plan:
    """The plan with how photos are resized: cut out where they are nearly square, else what is best."""
    from olhar.pipeline.choosing import choose_resize

    dataset = inputs[0]
    source = open_source(plan.data, progress)
    resize = "crop"
    if not dataset.files or not isinstance(source, PhotoFolder):
        pass  # arrays are framed by whoever made them
    elif mean_aspect(source.path, source.files) > _FAR_FROM_SQUARE:
        job = prepare_job(plan, inputs, Path(), Progress())
        resize = choose_resize(job, source.path, progress)
    return dataclasses.replace(plan, data=dataclasses.replace(plan.data, resize=resize))
