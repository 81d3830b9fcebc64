"""From a job to a trained model: the torch half of the pipeline, imported inside functions."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import SEEN, WEIGHTS, ModelConfig, load_classifier, save_classifier
from olhar.datasets import spread
from olhar.errors import MemoryLimitError
from olhar.evaluation.calibration import apply_temperature, choose_threshold, fit_temperature
from olhar.i18n import _, number
from olhar.networks.backbones import SMALL_SIZE, count_beside
from olhar.outliers import MOST_NEIGHBOURS, Neighbours, choose_neighbours, tells_apart
from olhar.pipeline.continuing import warns_of_outliers
from olhar.pipeline.inputs import Job
from olhar.pipeline.teaching import soft_labels
from olhar.pipeline.top import fit_top
from olhar.pipeline.transfer import (
    as_tensor,
    fit_head_epoch,
    frozen_features,
    head_probs,
    load_network,
)
from olhar.preprocess import batch_rows, input_batches, to_inputs
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.seen import Seen, remember
from olhar.training.trackers import Trackers

if TYPE_CHECKING:
    import torch

    from olhar.training.distributed import Share
    from olhar.training.fit import FitState, Training

_STRANGE = 200  # images that show nothing, of each kind
_WHITENED_FROM, _WHITENED_BYTES = 5000, 16 * 2**20  # training images, at most


def fit_job(
    job: Job,
    state: FitState | None,
    progress: Progress,
    trackers: Trackers,
    share: Share | None = None,
) -> FitState:
    """Train, from the beginning or from where it was cut off; a checkpoint after each epoch.

    With a `share` of the work, rank 0 alone writes.
    """
    import torch

    from olhar.training.checkpoint import save_checkpoint
    from olhar.training.fit import fit
    from olhar.training.validation import build_validation

    epochs = job.recipe.epochs

    def on_step(done: int, loss: float, accuracy: float) -> None:
        figures = _(
            "loss {loss}  accuracy {accuracy}", loss=number(loss, 3), accuracy=number(accuracy, 3)
        )
        progress.advance(done, str(figures))

    def on_epoch(state: FitState) -> None:
        if share is not None and share.rank:
            return
        save_checkpoint(job.folder.checkpoint, state)
        job.folder.write_history(state.history)
        trackers.epoch(state.history[-1])
        progress.epoch(state.history[-1], epochs)

    if job.mode.keeps_front:
        return fit_top(job, state, progress, on_step, on_epoch)
    if state is None and job.mode.uses_weights and not job.mode.continues:
        state = fit_head_epoch(job, progress)
        on_epoch(state)
    if state is not None and state.epoch >= epochs:
        return state
    training = build_training(job, share, soft_labels(job, progress))
    progress.start(_("training"), epochs * training.steps)
    val = torch.from_numpy(job.splits.val)
    own = val if share is None else share.rows(val)
    validate = build_validation(
        training.images,
        training.labels,
        own,
        job.machine,
        training.normalise,
        batch_size=2 * batch_rows(job.spec.size),
        shards=training.shards,
    )
    if share is not None:
        validate = share.validation(validate, len(own), len(val))
    return fit(training, validate=validate, on_step=on_step, on_epoch=on_epoch, state=state)


def predict_fold(job: Job) -> NDArray[np.bool_]:
    """Train as `fit_job` does, keep nothing, and label the validation images.

    Returns:
        (m,) whether each was labelled rightly.
    """
    from olhar.export import predict_network
    from olhar.networks.build import build_network

    with tempfile.TemporaryDirectory() as folder:
        aside = dataclasses.replace(job, folder=RunFolder(folder))
        state = fit_job(aside, None, Progress(), Trackers([], Progress().note))
    network = build_network(job.spec)
    network.load_state_dict(state.network)
    val = job.splits.val
    probs = predict_network(
        network, job.preprocess, job.dataset.images, val, views=job.recipe.views
    )
    right: NDArray[np.bool_] = probs.argmax(axis=1) == job.dataset.labels[val]
    return right


def epoch_seconds(job: Job) -> float:
    """Seconds that an epoch of a job takes on this machine at rest, from some steps that are thrown away.

    Where other work takes a part of the processor, the time is reduced to the part that was left.
    """
    from olhar.training.fit import measure_epoch_s

    training = build_training(job)
    begun, used = time.perf_counter(), time.process_time()
    epoch_s = measure_epoch_s(training, seconds=1.0)
    got = (time.process_time() - used) / (time.perf_counter() - begun) / job.machine.threads
    return epoch_s * min(1.0, got) if job.machine.device == "cpu" else epoch_s


@contextmanager
def explain_memory(job: Job) -> Iterator[None]:
    """Turn what torch and Python say of too little memory into MemoryLimitError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if "memory" in str(error) or isinstance(error, MemoryError):
            raise MemoryLimitError(
                _(
                    "this machine has too little memory for network {name} with batches of {batch}: "
                    "try a smaller --batch-size or another network",
                    name=job.spec.name,
                    batch=job.recipe.batch_size,
                )
            ) from error
        raise


def build_training(
    job: Job, share: Share | None = None, soft: NDArray[np.float32] | None = None
) -> Training:
    """The untrained network with its images and recipe, on the machine's device.

    `soft` is what a teacher says of the training images, (n, K).
    """
    import torch

    from olhar.networks.build import Normalise
    from olhar.training.fit import Training
    from olhar.training.unfreezing import Stages

    images = as_tensor(job.dataset.images)
    network = _initial_network(job, images)
    return Training(
        network,
        images,
        torch.from_numpy(job.dataset.labels),
        torch.from_numpy(job.splits.train),
        job.recipe,
        job.machine,
        Normalise(job.preprocess.mean, job.preprocess.std),
        share,
        Stages(network) if job.mode.thaws else None,
        None if soft is None else torch.from_numpy(soft),
    )


def _initial_network(job: Job, images: torch.Tensor) -> torch.nn.Module:
    """The untrained network: random from the seed; whitening layers from the training images."""
    import torch

    from olhar.networks.build import Normalise, build_network, has_whitening, set_whitening

    if job.mode.continues:
        return load_network(job)
    torch.manual_seed(job.recipe.seed)
    network = build_network(job.spec)
    if has_whitening(network):
        count = max(1, min(_WHITENED_FROM, _WHITENED_BYTES // images[0].nbytes))
        chosen = torch.from_numpy(job.splits.train[:count])
        sample = images[chosen].permute(0, 3, 1, 2)  # (n, C, H, W) uint8
        set_whitening(network, Normalise(job.preprocess.mean, job.preprocess.std)(sample))
    return network


def save_model(job: Job, state: FitState) -> None:
    """Write model/ from the best weights, calibrated on the validation split."""
    from olhar.export import export_network, network_weights, predict_network
    from olhar.networks.build import build_network

    network = build_network(job.spec)
    network.load_state_dict(state.best)
    views, images = job.recipe.views, job.dataset.images
    labels, neighbours = job.dataset.labels[job.splits.val], None
    if _can_warn(job):
        probs, neighbours = _predict_and_compare(job, network)
    elif job.spec.channels == 1 and not job.mode.uses_weights:
        probs, neighbours = _predict_and_try(job, network)
    else:
        probs = predict_network(network, job.preprocess, images, job.splits.val, views=views)
    temperature = fit_temperature(probs, labels)
    threshold = choose_threshold(
        apply_temperature(probs, temperature), labels, job.recipe.sure_precision
    )
    onnx, golden = export_network(
        network,
        job.preprocess,
        to_inputs(images[spread(job.splits.train, 16)]),
        views=views,
        temperature=temperature,
        gives_features=neighbours is not None,
    )
    table = job.folder.read_config()
    config = ModelConfig(
        network=table["network"],
        class_names=job.dataset.class_names,
        translated_names=job.dataset.translated_names,
        preprocess=job.preprocess,
        data=table["data"],
        views=views,
        temperature=temperature,
        threshold=threshold,
        validation={"accuracy": float((probs.argmax(axis=1) == labels).mean()), "n": len(labels)},
    )
    weights = network_weights(network)
    save_classifier(job.folder.model, config, weights, onnx, golden, neighbours, _seen(job))


def _seen(job: Job) -> Seen:
    """What the model has seen, and the run before it whose weights it started from."""
    dataset, splits = job.dataset, job.splits
    seen = remember(dataset.images, splits.train, splits.val, dataset.side)
    transfer = job.transfer
    if transfer is None or Path(transfer.weights).name != WEIGHTS:
        return seen
    before = Path(transfer.weights).parent
    own = load_classifier(before).seen if (before / SEEN).is_file() else None
    return seen.joined(own) if own else seen


def _can_warn(job: Job) -> bool:
    """Whether a warning of outliers would be right more often than not.

    It is for photos with a backbone. Small images that were enlarged are so unlike any photo that
    three of four ordinary photos of their own classes would be outliers (docs/experiments.md).
    """
    if job.mode.continues:
        return warns_of_outliers(job)
    return job.mode.uses_weights and bool(job.dataset.files) and job.spec.size > SMALL_SIZE


def _predict_and_compare(
    job: Job, network: torch.nn.Module
) -> tuple[NDArray[np.float32], Neighbours | None]:
    """Probabilities (n, K) of the validation images, and what an outlier is measured by."""
    if not job.mode.has_steps:  # the features of its first epoch still hold
        features = frozen_features(job, network, Progress())
        count = len(job.splits.train)
        train = features[spread(np.arange(count), MOST_NEIGHBOURS), _beside(job) :]
        neighbours = choose_neighbours(train, features[count:], frozen=True)
        return head_probs(network, features[count:]), neighbours
    return _predict_anew(job, network)


def _predict_anew(
    job: Job, network: torch.nn.Module
) -> tuple[NDArray[np.float32], Neighbours | None]:
    """The same, where the network was trained further: by running it."""
    compute, images = _outputs(job, network), job.dataset.images
    _probs, train = compute(images, spread(job.splits.train, MOST_NEIGHBOURS))
    probs, val = compute(images, job.splits.val)
    return probs, choose_neighbours(train[:, _beside(job) :], val, frozen=False)


def _beside(job: Job) -> int:
    """How many features come first that are of earlier layers; neighbours are found without them."""
    return count_beside(job.spec.name, job.spec.settings)


def _predict_and_try(
    job: Job, network: torch.nn.Module
) -> tuple[NDArray[np.float32], Neighbours | None]:
    """The same of a grey network without a backbone, where the measure is good enough.

    That is tried on images that show nothing: noise, smooth blobs, and negatives of validation images.
    What this says of other images is in docs/experiments.md.
    """
    compute, images, val_rows = _outputs(job, network), job.dataset.images, job.splits.val
    _probs, train = compute(images, spread(job.splits.train, MOST_NEIGHBOURS))
    probs, val = compute(images, val_rows)
    neighbours = choose_neighbours(train, val, frozen=False)
    if neighbours is None:
        return probs, None
    random = np.random.Generator(np.random.PCG64(0))
    noise = random.integers(0, 256, (_STRANGE, *images.shape[1:]), np.uint8)
    coarse = random.integers(0, 256, (_STRANGE, 5, 5, 1), np.uint8)
    blobs = np.stack([job.preprocess.frame(one) for one in coarse])
    negatives = 255 - images[spread(val_rows, _STRANGE)]
    strange = [compute(some, np.arange(len(some)))[1] for some in (noise, blobs, negatives)]
    return probs, neighbours if tells_apart(neighbours, val, strange) else None


def _outputs(
    job: Job, network: torch.nn.Module
) -> Callable[[NDArray[np.uint8], NDArray[np.int64]], list[NDArray[np.float32]]]:
    """A callable: rows of images (N, H, W, C) → probabilities (n, K) and features (n, F)."""
    from olhar.export import open_outputs

    session = open_outputs(network, job.preprocess, job.recipe.views)

    def compute(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        batches = [session.run(None, {"images": inputs}) for inputs in input_batches(images, rows)]
        return [np.concatenate(part) for part in zip(*batches, strict=True)]

    return compute


def preview_images(job: Job, count: int = 8, rounds: int = 3) -> list[NDArray[np.uint8]]:
    """Some training images (n, H, W, C) uint8: as they are, then several times as augmented."""
    import torch

    from olhar.networks.build import Normalise
    from olhar.training.augment import preview_augmented

    images = job.dataset.images[spread(job.splits.train, count)]
    normalise = Normalise(job.preprocess.mean, job.preprocess.std)
    generator = torch.Generator().manual_seed(job.recipe.seed)
    seen = [
        preview_augmented(as_tensor(images), job.recipe, normalise, generator).numpy()
        for _round in range(rounds)
    ]
    return [images, *seen]
