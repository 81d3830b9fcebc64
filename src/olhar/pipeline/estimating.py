"""What few photos can tell of a head on a backbone: cross-validation, and what more of them would bring.

All of it from frozen features, after the model is saved: nothing of it changes the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar.errors import ConfigError
from olhar.evaluation.estimates import measure_curve, measure_folds
from olhar.i18n import _, number
from olhar.pipeline.inputs import Job
from olhar.pipeline.transfer import frozen_features
from olhar.progress import Progress
from olhar.run import Report
from olhar.run.estimates import CrossValidation, PhotoCurve
from olhar.training.modes import HEAD, Mode

if TYPE_CHECKING:
    import torch

    from olhar.training.fit import FitState

CURVE_UP_TO = 5000  # training photos; with more it would take longer than it tells
FEW_TESTED = 200
_OFFERED = 5  # folds

Features = NDArray[np.float32]
Rows = NDArray[np.int64]


def check_folds(folds: int, mode: Mode) -> None:
    """Refuse folds where more than a head is trained: each of them would be a training of its own.

    Raises:
        ConfigError: as said.
    """
    if folds > 1 and mode is not HEAD:
        raise ConfigError(
            _(
                "--folds {folds} needs a backbone of which the last layer alone is solved for: add "
                "--backbone mobilenet_v2 --mode head, or leave --folds out",
                folds=folds,
            )
        )


def check_pool(job: Job, folds: int) -> None:
    """Refuse folds for which there are too few photos, or groups of photos that stay together.

    Raises:
        ConfigError: as said.
    """
    if folds == 1:
        return
    rows, _splits = pool(job)
    labels, groups = job.dataset.labels[rows], job.splits.groups[rows]
    count = len(np.unique(groups))
    if count < folds:
        raise ConfigError(
            _(
                "--folds {folds} is more than there are photos, or groups of photos that stay "
                "together: {count}; take fewer folds, or add photos",
                folds=folds,
                count=count,
            )
        )
    for label in np.unique(labels):
        if len(np.unique(groups[labels == label])) < 2:
            raise ConfigError(
                _(
                    "--folds {folds} cannot be done: the photos of class '{name}' stay together, so "
                    "they would be either learnt or predicted; leave --folds out, or add photos of "
                    "other objects or days",
                    folds=folds,
                    name=job.dataset.class_names[label],
                )
            )


def pool(job: Job) -> tuple[Rows, list[str]]:
    """Rows that cross-validation is over, and the splits that they are of.

    The test photos are among them where they were cut from the same photos; a test part that the
    data brings with it is kept apart.
    """
    names = ["train", "val"]
    if not {"test", "val"} & set(job.dataset.parts):
        names.append("test")
    return np.concatenate([getattr(job.splits, name) for name in names]), names


def estimate(job: Job, state: FitState, report: Report, progress: Progress) -> dict[str, Any]:
    """Measure what can be measured on features; draw it.

    Args:
        job: a training that has ended.
        state: where it ended.
        report: of the test split.
        progress: hears of the progress, and of folds where the test split is small.

    Returns:
        `cross_validation` and `learning_curve`, for metrics.json; without those that there are not.
    """
    if job.mode is not HEAD:
        return {}
    from olhar.evaluation import plots
    from olhar.networks.build import build_network

    network = build_network(job.spec)
    network.load_state_dict(state.best)
    folds = int(job.folder.read_config()["data"].get("folds", 1))
    found: dict[str, Any] = {}
    if folds > 1:
        found["cross_validation"] = _cross_validate(job, network, folds, progress).to_dict()
    else:
        _offer_folds(job, report, progress)
    curve = _curve(job, network)
    if curve is not None:
        found["learning_curve"] = curve.to_dict()
        path = job.folder.learning_curve_photos
        figure = plots.plot_photo_curve(curve)
        plots.save_figure(figure, path)
        plots.save_figure(figure, path.with_suffix(".svg"))
    return found


def _cross_validate(
    job: Job, network: torch.nn.Module, folds: int, progress: Progress
) -> CrossValidation:
    from olhar.training.estimates import cross_validate_head

    rows, splits = pool(job)
    features = frozen_features(job, network, progress)
    if "test" in splits:
        tested = frozen_features(job, network, progress, indices=job.splits.test)
        features = np.concatenate([features, tested])
    labels, groups = job.dataset.labels[rows], job.splits.groups[rows]
    progress.start(_("cross-validating"), folds)
    held_out = cross_validate_head(
        features,
        labels,
        groups,
        folds,
        job.recipe.seed,
        num_classes=job.spec.num_classes,
        balanced=_balanced(job),
        on_fold=progress.advance,
    )
    names = job.dataset.class_names
    return measure_folds(held_out.predicted, held_out.fold, labels, groups, names, splits)


def _curve(job: Job, network: torch.nn.Module) -> PhotoCurve | None:
    """For photos, where there are not too many, nor too few of a class."""
    from olhar.training.estimates import CURVE_FOLDS, head_curve
    from olhar.training.head import USUAL_METHOD, Method

    train = job.splits.train
    if not job.dataset.files or len(train) > CURVE_UP_TO:
        return None
    features = frozen_features(job, network, Progress())[: len(train)]
    labels, groups = job.dataset.labels[train], job.splits.groups[train]
    rows = job.folder.read_head()
    method = USUAL_METHOD
    if rows:
        best = min(rows, key=lambda row: row["log_loss"])
        method = Method(best["strength"], best.get("shrinkage", 0.0), best.get("factor", 1.0))
    points = head_curve(features, labels, groups, job.recipe.seed, method, balanced=_balanced(job))
    if not points:
        return None
    figures = [(point.photos, point.wrong) for point in points]
    return measure_curve(figures, labels, groups, job.dataset.class_names, CURVE_FOLDS)


def _balanced(job: Job) -> bool:
    return job.recipe.balance in {"weights", "sampling"}


def _offer_folds(job: Job, report: Report, progress: Progress) -> None:
    """Say that folds would measure on more photos, where the test split is small."""
    from olhar.training.head import fewest_groups

    rows, _splits = pool(job)
    labels, groups = job.dataset.labels[rows], job.splits.groups[rows]
    small = report.n < FEW_TESTED and report.n < len(rows) and bool(job.dataset.files)
    if not small or fewest_groups(labels, groups) < _OFFERED:
        return
    low, high = report.intervals["accuracy"]
    progress.note(
        _(
            "the test split has only {n} photos, so the accuracy is known to about ±{half} points; "
            "--folds {folds} measures by cross-validation on {pool} photos",
            n=report.n,
            half=number(50 * (high - low), 1),
            folds=_OFFERED,
            pool=len(rows),
        )
    )
