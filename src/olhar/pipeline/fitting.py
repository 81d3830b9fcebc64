"""From a job to a trained model: the torch half of the pipeline, imported inside functions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import ModelConfig, batch_rows, save_classifier
from olhar.errors import MemoryLimitError
from olhar.evaluation.calibration import apply_temperature, choose_threshold, fit_temperature
from olhar.i18n import _, number
from olhar.pipeline.inputs import Job
from olhar.progress import Progress

if TYPE_CHECKING:
    import torch

    from olhar.training.distributed import Share
    from olhar.training.fit import FitState, Training
    from olhar.training.trackers import Trackers

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
    from olhar.training.fit import build_validation, fit

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

    if state is None and job.transfer is not None and job.transfer.mode != "scratch":
        from olhar.pipeline.transfer import fit_head_epoch

        state = fit_head_epoch(job, progress)
        on_epoch(state)
    if state is not None and state.epoch >= epochs:
        return state
    training = build_training(job, share)
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
    )
    if share is not None:
        validate = share.validation(validate, len(own), len(val))
    return fit(training, validate=validate, on_step=on_step, on_epoch=on_epoch, state=state)


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


def build_training(job: Job, share: Share | None = None) -> Training:
    """The untrained network with its images and recipe, on the machine's device."""
    import torch

    from olhar.networks.build import Normalise
    from olhar.training.fit import Training
    from olhar.training.unfreezing import Stages

    images = _tensor(job.dataset.images)
    network = _initial_network(job, images)
    thaws = job.transfer is not None and job.transfer.mode == "finetune"
    return Training(
        network,
        images,
        torch.from_numpy(job.dataset.labels),
        torch.from_numpy(job.splits.train),
        job.recipe,
        job.machine,
        Normalise(job.preprocess.mean, job.preprocess.std),
        share,
        Stages(network) if thaws else None,
    )


def _initial_network(job: Job, images: torch.Tensor) -> torch.nn.Module:
    """The untrained network: random from the seed; whitening layers from the training images."""
    import torch

    from olhar.networks.build import Normalise, build_network, has_whitening, set_whitening

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
    labels = job.dataset.labels[job.splits.val]
    probs = predict_network(network, job.preprocess, images, job.splits.val, views=views)
    temperature = fit_temperature(probs, labels)
    threshold = choose_threshold(
        apply_temperature(probs, temperature), labels, job.recipe.sure_precision
    )
    chosen = job.splits.train[np.linspace(0, len(job.splits.train) - 1, 16).astype(int)]
    samples = images[np.unique(chosen)].transpose(0, 3, 1, 2)
    onnx, golden = export_network(
        network, job.preprocess, samples, views=views, temperature=temperature
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
    )
    save_classifier(job.folder.model, config, network_weights(network), onnx, golden)


def preview_images(job: Job, count: int = 8, rounds: int = 3) -> list[NDArray[np.uint8]]:
    """Some training images (n, H, W, C) uint8: as they are, then several times as augmented."""
    import torch

    from olhar.networks.build import Normalise
    from olhar.training.augment import preview_augmented

    rows = job.splits.train[np.linspace(0, len(job.splits.train) - 1, count).astype(int)]
    images = job.dataset.images[np.unique(rows)]
    normalise = Normalise(job.preprocess.mean, job.preprocess.std)
    generator = torch.Generator().manual_seed(job.recipe.seed)
    seen = [
        preview_augmented(_tensor(images), job.recipe, normalise, generator).numpy()
        for _round in range(rounds)
    ]
    return [images, *seen]


def _tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """The pool as a tensor over the same memory; nobody writes to it."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(images)
