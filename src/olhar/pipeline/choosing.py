"""What is done with a backbone where nobody says, measured on the training images alone.

The head is solved for first, and is always an answer. What takes longer is tried where the head leaves
room and the time is there, on the same folds, and is taken where it is better by more than one standard
error.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar.datasets import spread
from olhar.given_images import to_image
from olhar.i18n import Text, _, number
from olhar.pipeline.fitting import epoch_seconds, predict_fold
from olhar.pipeline.inputs import Job
from olhar.pipeline.plan import DEFAULT_NETWORK
from olhar.pipeline.top import Top
from olhar.pipeline.transfer import (
    MIRRORED,
    compute_features,
    frozen_features,
    load_network,
    mean_of,
)
from olhar.preprocess import input_batches
from olhar.progress import Progress
from olhar.training.estimates import head_curve
from olhar.training.head import Trial, fit_at, row_losses, try_heads
from olhar.training.modes import HEAD, SCRATCH, Mode

if TYPE_CHECKING:
    import torch

MINUTES = 2.0  # for all that is tried, and the training that follows
AT_MOST = 4.0  # minutes, where one comparison takes longer
_ROOM = 0.01  # share of errors below which nothing more is tried
_AFTER_S = 14.0  # saving, measuring, drawing
_TIMED = 32  # images
# A network from scratch is tried with a third of its epochs: where it is the better one, it is so by far,
# and early (docs/transfer.md).
_SHORTER = 3
_WAYS = ("crop", "squash", "pad")
_RESIZED = 300  # photos that are looked at for how to resize all of them
# What a step takes, as multiples of the time that the whole network takes for an image when it only
# computes, on two cores (docs/experiments.md).
_TRAINED_TOP, _FRONT, _TRAINED_ALL = 0.8, 0.8, 8.0

Rows = NDArray[np.int64]
Right = NDArray[np.bool_]
JobFor = Callable[[Mode, str], Job]


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        mode: what is done with the backbone.
        views: what a prediction is a mean over.
        story: what was tried and what was taken, as plain values for config.toml.
    """

    mode: Mode
    views: str
    story: dict[str, Any]


@dataclass(frozen=True)
class _Head:
    """What heads did on images that they had not seen.

    Attributes:
        views: that were better.
        features: (n, F) of the training images, a mean over the views.
        trial: by which its regularisation was chosen.
        right: (m,) of the trial's rows, whether they were labelled rightly.
        has_room: whether anything better can be expected of more training.
    """

    views: str
    features: NDArray[np.float32]
    trial: Trial
    right: Right
    has_room: bool


@dataclass(frozen=True)
class _Tried:
    """What a mode did on some of the head's folds.

    Attributes:
        mode: which.
        rows: (r,) of the trial's rows, that it was measured on.
        right: (r,), whether they were labelled rightly.
    """

    mode: Mode
    rows: Rows
    right: Right


def choose(
    job_for: JobFor, modes: Sequence[Mode], minutes: float, begun: float, progress: Progress
) -> Choice:
    """Choose views and mode for a job.

    Args:
        job_for: a mode and views → the job with them; nothing of it is written.
        modes: that may be tried beside the head, in this order; `SCRATCH` is the usual network without
            a backbone.
        minutes: for all of it, the training that follows included; 0 is `MINUTES`, and `AT_MOST` where
            one comparison needs it.
        begun: when the command began, by time.perf_counter().
        progress: hears of what is tried, and in two lines of what was taken and why.
    """
    end, latest = (begun + 60 * (minutes or usual) - _AFTER_S for usual in (MINUTES, AT_MOST))
    job = job_for(HEAD, "mirror")
    network = load_network(job)
    head = _try_head(job, network, progress)
    tried: list[_Tried] = []
    mode, wanted_s = HEAD, 0.0
    image_s = _measure_image_s(job, network) if head.has_room and modes else 0.0
    for other in modes if head.has_room else ():
        candidate = job_for(other, head.views)
        needed_s = _needed_s(candidate, image_s)
        left_s = latest - time.perf_counter()
        if other is SCRATCH and not minutes:
            left_s = 60 * AT_MOST  # of its own, at rest: it is what drawings and digits need
        if needed_s > left_s:
            wanted_s = wanted_s or time.perf_counter() - begun + needed_s + _AFTER_S
            continue
        found = _try_mode(candidate, head, end, progress)
        tried.append(found)
        if _is_better(found.right, head.right[found.rows]):
            mode = other
            break
    _tell(head, tried, mode, wanted_s, progress)
    return Choice(mode, head.views, _story(head, tried, mode))


def choose_resize(job: Job, root: Path, progress: Progress) -> str:
    """crop, squash or pad, by the log loss of heads in cross-validation on some training photos.

    Another than crop is taken where it is better by more than one standard error.

    Args:
        job: of photos, in mode head.
        root: the folder that their paths begin in.
        progress: hears of what was tried and taken.
    """
    network = load_network(job)
    rows = spread(job.splits.train, _RESIZED)
    labels, groups = job.dataset.labels[rows], job.splits.groups[rows]
    losses: dict[str, NDArray[np.floating[Any]]] = {}
    for resize, images in _framed(job, root, rows).items():
        features = _features_of(job, network, images, progress)
        trial = try_heads(
            features, labels, job.spec.num_classes, seed=job.recipe.seed, groups=groups
        )
        if not trial.folds:
            return "crop"
        losses[resize] = row_losses(trial.logits, labels[trial.rows])
    best = min(losses, key=lambda resize: float(losses[resize].mean()))
    if best != "crop" and not exceeds_chance(losses["crop"] - losses[best]):
        best = "crop"
    progress.note(
        _(
            "photos are not square; log loss in cross-validation on {count} of them: {figures}; taking "
            "--resize {resize}",
            count=len(rows),
            figures=", ".join(f"{key} {number(float(v.mean()), 3)}" for key, v in losses.items()),
            resize=best,
        )
    )
    return best


def _framed(job: Job, root: Path, rows: Rows) -> dict[str, NDArray[np.uint8]]:
    """Some photos, each decoded once and resized in all ways: (r, size, size, C) uint8 by way."""
    ways = {way: dataclasses.replace(job.preprocess, resize=way) for way in _WAYS}

    def frame(row: int) -> list[NDArray[np.uint8]]:
        image = to_image(root / job.dataset.files[row], shrink_to=2 * job.preprocess.size)
        return [way.read_pixels(image) for way in ways.values()]

    with ThreadPoolExecutor(job.machine.threads) as threads:
        framed = zip(*threads.map(frame, rows.tolist()), strict=True)
    return {name: np.stack(images) for name, images in zip(ways, framed, strict=True)}


def _features_of(
    job: Job, network: torch.nn.Module, images: NDArray[np.uint8], progress: Progress
) -> NDArray[np.float32]:
    """What the network without its head gives for framed images, (n, F); nothing is kept."""
    pool = dataclasses.replace(job.dataset, images=images)
    return compute_features(
        dataclasses.replace(job, dataset=pool), network, np.arange(len(images)), "none", progress
    )


def _try_head(job: Job, network: torch.nn.Module, progress: Progress) -> _Head:
    """The head's cross-validation, with the mirror image and without, and its learning curve."""
    train = job.splits.train
    count, labels, groups = len(train), job.dataset.labels[train], job.splits.groups[train]
    plain, mirrored = (
        frozen_features(job, network, progress, views)[:count] for views in ("none", MIRRORED)
    )
    seen = {"mirror": mean_of([plain, mirrored]), "none": plain}
    balanced = job.recipe.balance in {"weights", "sampling"}
    trials = {
        views: try_heads(
            features,
            labels,
            job.spec.num_classes,
            seed=job.recipe.seed,
            balanced=balanced,
            groups=groups,
        )
        for views, features in seen.items()
    }
    labels_tried = labels[trials["mirror"].rows]
    views = "mirror"
    if trials["mirror"].folds:
        # Things that are told apart by left and right alone are one thing to a mean with the mirror image.
        losses = [row_losses(trials[v].logits, labels_tried) for v in ("mirror", "none")]
        views = "none" if exceeds_chance(losses[0] - losses[1]) else "mirror"
    trial = trials[views]
    if not trial.folds:
        return _Head(views, seen[views], trial, np.zeros(0, np.bool_), has_room=False)
    right = trial.logits.argmax(axis=1) == labels_tried
    return _Head(views, seen[views], trial, right, _has_room(job, seen[views], trial, right))


def _has_room(job: Job, features: NDArray[np.float32], trial: Trial, right: Right) -> bool:
    """Whether the head errs, and erred more when it was fitted on half of the images.

    A head that has learnt all that its features tell does not gain by more images; nor, as a rule, do
    features that are trained further.
    """
    if 1 - right.mean() < _ROOM:
        return False
    train = job.splits.train[trial.rows]
    labels, groups = job.dataset.labels[train], job.splits.groups[train]
    points = head_curve(features[trial.rows], labels, groups, job.recipe.seed, trial.method)
    return bool(points) and exceeds_chance(points[-2].wrong - points[-1].wrong)


def _measure_image_s(job: Job, network: torch.nn.Module) -> float:
    """Seconds that the whole network takes for an image."""
    from olhar.export import open_features

    compute = open_features(
        network, job.preprocess, "none", job.machine.device, job.machine.threads
    )
    inputs = next(input_batches(job.dataset.images, job.splits.train[:_TIMED]))
    compute(inputs)
    begun = time.perf_counter()
    compute(inputs)
    return (time.perf_counter() - begun) / len(inputs)


def _needed_s(job: Job, image_s: float) -> float:
    """Seconds for one fold and for the training after it, with what both need."""
    if not job.mode.uses_weights:
        return (1 + 0.8 / _SHORTER) * job.recipe.epochs * epoch_seconds(job)
    count, epochs = len(job.splits.train), job.recipe.epochs - 1
    if job.mode.keeps_front:
        copies = (job.recipe.copies or 1) * count
        return image_s * copies * (_FRONT + 1.8 * epochs * _TRAINED_TOP)
    return image_s * count * 1.8 * epochs * _TRAINED_ALL


def _try_mode(job: Job, head: _Head, end: float, progress: Progress) -> _Tried:
    """Train on the head's folds: one at least, and more while they disagree and the time is there.

    Time is left for the training that may follow.
    """
    try_fold = _open_top(job, head, progress) if job.mode.keeps_front else _open_all(job)
    trial, rows, right = head.trial, np.zeros(0, np.int64), np.zeros(0, np.bool_)
    fold_s = 0.0
    for at, (train, held) in enumerate(trial.folds):
        gain = right.astype(np.float64) - head.right[rows]
        if at and (exceeds_chance(gain, 2) or exceeds_chance(-gain, 2)):
            break
        if at and end - time.perf_counter() < fold_s * (2 + 1 / len(trial.folds)):
            break
        progress.start(_("trying {mode}", mode=_called(job.mode)), len(trial.folds))
        progress.advance(at)
        begun = time.perf_counter()
        found = try_fold(trial.rows[train], trial.rows[held])
        rows, right = np.concatenate([rows, held]), np.concatenate([right, found])
        fold_s = time.perf_counter() - begun
    return _Tried(job.mode, rows, right)


def _open_top(job: Job, head: _Head, progress: Progress) -> Callable[[Rows, Rows], Right]:
    top = Top(job, progress)

    def try_fold(train: Rows, held: Rows) -> Right:
        layer = fit_at(
            head.features[train, -top.width :],  # without those of the taps, which come first
            job.dataset.labels[job.splits.train[train]],
            job.spec.num_classes,
            head.trial.regression,
        )
        return top.try_fold(layer, train, held)

    return try_fold


def _open_all(job: Job) -> Callable[[Rows, Rows], Right]:
    if not job.mode.uses_weights:
        epochs = max(1, job.recipe.epochs // _SHORTER)
        job = dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, epochs=epochs))

    def try_fold(train: Rows, held: Rows) -> Right:
        splits = dataclasses.replace(
            job.splits, train=job.splits.train[train], val=job.splits.train[held]
        )
        return predict_fold(dataclasses.replace(job, splits=splits))

    return try_fold


def exceeds_chance(differences: NDArray[np.floating[Any]], errors: float = 1) -> bool:
    """Whether the mean of some differences (n,) is greater than so many of its standard errors."""
    mean, error = differences.mean(), differences.std() / len(differences) ** 0.5
    return bool(mean > errors * error)


def _is_better(right: Right, than: Right) -> bool:
    return exceeds_chance(right.astype(np.float64) - than)


def _story(head: _Head, tried: Sequence[_Tried], mode: Mode) -> dict[str, Any]:
    rows = [{"mode": HEAD.name, "accuracy": _share(head.right), "images": len(head.right)}]
    for one in tried:
        accuracy, beside = _share(one.right), _share(head.right[one.rows])
        rows.append(
            {
                "mode": _called(one.mode),
                "accuracy": accuracy,
                "images": len(one.rows),
                "head": beside,
            }
        )
    views = {} if mode is SCRATCH else {"views": head.views}  # a network of its own has its own
    return {"taken": _called(mode), **views, "tried": rows}


def _called(mode: Mode) -> str:
    """A mode's name; that of the network where there is no backbone."""
    return DEFAULT_NETWORK if mode is SCRATCH else mode.name


def _share(right: Right) -> float:
    return round(float(right.mean()), 4) if len(right) else 0.0


def _tell(
    head: _Head, tried: Sequence[_Tried], mode: Mode, wanted_s: float, progress: Progress
) -> None:
    """In two lines what was tried, what was taken and why, and what more minutes would try."""
    if not len(head.right):
        progress.note(_("too few photos of a class to compare modes; taking the head"))
        return
    parts = [
        _(
            "head {accuracy} on {count} photos",
            accuracy=number(float(head.right.mean()), 3),
            count=len(head.right),
        ),
        *(
            _(
                "{mode} {accuracy} on {count} of them, where the head has {head}",
                mode=_called(one.mode),
                accuracy=number(float(one.right.mean()), 3),
                count=len(one.rows),
                head=number(float(head.right[one.rows].mean()), 3),
            )
            for one in tried
        ),
    ]
    progress.note(
        _(
            "tried by cross-validation on the training photos: {what}",
            what="; ".join(map(str, parts)),
        )
    )
    if mode is not HEAD:
        why: Text = _("better by more than one standard error")
    elif tried:
        why = _("nothing that was tried is better by more than one standard error")
    elif not head.has_room:
        why = _("it leaves no room that more training could be seen to fill")
    else:
        why = _("there is no time for more")
    more: Text | str = ""
    if wanted_s:
        more = _("; --minutes {minutes} would try more", minutes=math.ceil(wanted_s / 60))
    taken: Text | str = _("mode {mode}", mode=mode.name)
    if mode is SCRATCH:
        taken = _("network {network} from scratch", network=DEFAULT_NETWORK)
    progress.note(_("taking {what}: {why}{more}", what=taken, why=why, more=more))
