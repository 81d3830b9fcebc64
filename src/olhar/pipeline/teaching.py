"""Training on what another model says of the images, beside their labels: distillation.

Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531,
section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import CONFIG, load_classifier, model_folder
from olhar.data_settings import DataSettings
from olhar.datasets import open_source, prepare_dataset
from olhar.errors import ConfigError, DataError, ModelError
from olhar.files import sha256_file
from olhar.i18n import _
from olhar.pipeline.feature_cache import cached_features
from olhar.pipeline.inputs import Job, Teacher, class_order
from olhar.pipeline.measuring import predict_split
from olhar.pipeline.transfer import image_names
from olhar.progress import Progress
from olhar.training.modes import SCRATCH, Mode


def find_teacher(
    given: str | None, mode: Mode, data: DataSettings, class_names: Sequence[str]
) -> Teacher | None:
    """The teacher that was asked for, checked; None where none was.

    Args:
        given: a run folder or a `model/` folder, None for none.
        mode: how the network is trained.
        data: what is trained on.
        class_names: of the data.

    Raises:
        ConfigError: a backbone learns from labels alone.
        DataError: the teacher does not know the classes of the data, or knows more.
        MissingFileError, ModelError: there is no model, or it is damaged.
    """
    if not given:
        return None
    if mode is not SCRATCH:
        raise ConfigError(
            _(
                "--teacher is for a network that is trained from scratch; name one with --network, or "
                "leave --teacher out"
            )
        )
    known = load_classifier(given).class_names
    if len(known) != len(class_names):
        raise DataError(
            _(
                "the teacher '{path}' knows {count} classes ({known}), the data has {given}: they must be "
                "the same",
                path=given,
                count=len(known),
                known=", ".join(known[:10]),
                given=len(class_names),
            )
        )
    return open_teacher(given, data)


def open_teacher(path: str, data: DataSettings, expected: str | None = None) -> Teacher:
    """The model at a path as a teacher.

    Args:
        path: a run folder, or a `model/` folder.
        data: what is trained on.
        expected: its sha256 when the run began.

    Raises:
        ModelError: it is another model by now.
    """
    found = sha256_file(model_folder(Path(path)) / CONFIG)
    if expected not in {None, found}:
        raise ModelError(
            _(
                "the teacher '{path}' is not the model that it was when the run began; bring the old one "
                "back or start a new run",
                path=path,
            )
        )
    return Teacher(path, found, data)


def soft_labels(job: Job, progress: Progress) -> NDArray[np.float32] | None:
    """What the teacher of a job says of its training images, (n, K) in the data's order of classes.

    What it said before is found again in the cache, image by image.
    """
    teacher = job.teacher
    if teacher is None:
        return None
    classifier = load_classifier(teacher.model)
    source = open_source(teacher.data)
    dataset = prepare_dataset(source, classifier.preprocess, progress, lazily=True)
    order = class_order(source, classifier.class_names)
    rows = job.splits.train
    probs = cached_features(
        f"answers-{teacher.sha256[:32]}",
        image_names(dataset, rows),
        lambda some: predict_split(classifier, dataset, rows[some], progress),
    )
    return np.ascontiguousarray(probs[:, order])
