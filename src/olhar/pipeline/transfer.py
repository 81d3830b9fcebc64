"""The torch half of transfer learning: weights into a network, features out of it, its head solved for.

The head's epoch is the first of a training. With --mode head it is the only one; with --mode finetune
the one loop (training.fit) goes on from it, as a resumed run goes on from its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from olhar.datasets import Dataset
from olhar.errors import ConfigError, ModelError, OlharError
from olhar.files import sha256_file
from olhar.i18n import Text, _, number
from olhar.networks.backbones import split_adapter
from olhar.networks.specs import NetworkSpec
from olhar.pipeline.backbone import PRETRAINED, Transfer, no_front
from olhar.pipeline.feature_cache import cached_features
from olhar.pipeline.inputs import Job
from olhar.preprocess import Preprocess, batch_rows, compute_rows
from olhar.progress import Progress
from olhar.training.modes import HEAD

if TYPE_CHECKING:
    import torch

    from olhar.training.fit import FitState
    from olhar.training.head import Head, Method
    from olhar.training.machine import Machine


MIRRORED = "mirrored"  # the mirror image alone; the view "mirror" is the mean with it

Features = NDArray[np.float32]


def check_backbone(job: Job) -> None:
    """Build the network and give it its weights once, so that what is wrong with them shows early.

    Raises:
        ModelError: the weights do not fit.
        ConfigError: the network does not take images of this size, or cannot be divided as its mode
            needs.
    """
    import torch

    from olhar.networks.fronts import find_front

    network = load_network(job).eval()
    try:
        with torch.inference_mode():
            network(torch.zeros(1, *job.spec.input_shape()))
    except OlharError:
        raise
    except Exception as error:  # whatever a library's network says of a size it cannot take
        raise ConfigError(
            _(
                "{network} cannot take images of {size}x{size} pixels: {reason}; leave --size out "
                "for its own",
                network=job.spec.name,
                size=job.spec.size,
                reason=str(error).splitlines()[0] if str(error) else repr(error),
            )
        ) from error
    assert job.transfer is not None
    shape = job.spec.input_shape()
    if job.transfer.mode.keeps_front and not find_front(network, job.spec.name, shape):
        raise no_front(job.transfer.backbone)


def load_network(job: Job) -> torch.nn.Module:
    """The network of a job with its backbone's weights, its head random from the seed."""
    import torch

    from olhar.networks.build import build_network
    from olhar.networks.weights import load_body

    torch.manual_seed(job.recipe.seed)
    network = build_network(job.spec)
    transfer = job.transfer
    if transfer is not None and transfer.mode.continues:
        network.load_state_dict(_weights(transfer))
    elif transfer is not None and transfer.mode.uses_weights:
        load_body(network, _weights(transfer), transfer.weights or transfer.backbone)
    return network


def _weights(transfer: Transfer) -> dict[str, torch.Tensor]:
    from olhar.networks.weights import read_weights

    library, name = split_adapter(transfer.backbone)
    if transfer.weights and transfer.weights != PRETRAINED:
        path = Path(transfer.weights)
        found = read_weights(path)
        if sha256_file(path) != transfer.sha256:
            raise ModelError(
                _(
                    "'{path}' is not the file of weights that it was when the run began; bring the "
                    "old one back or start a new run",
                    path=path,
                )
            )
        return found
    if library == "timm":
        from olhar.networks.timm_adapter import load_timm

        return dict(load_timm(name))
    from olhar.networks.transformers_adapter import load_transformers

    return dict(load_transformers(name))


def fit_head_epoch(job: Job, progress: Progress) -> FitState:
    """The first epoch of a training with a backbone: the head, solved for on frozen features."""
    import torch

    begun = time.perf_counter()
    torch.set_num_threads(job.machine.threads)
    network = load_network(job)
    features = frozen_features(job, network, progress)
    state = solve_head(job, network, features, progress)
    row = state.history[0]
    if job.recipe.epochs > 1:
        row |= _validated(job, network)
    row["seconds"] = time.perf_counter() - begun
    return state


def solve_head(
    job: Job, network: torch.nn.Module, features: Features, progress: Progress
) -> FitState:
    """The last layer of `network`, solved for and put in its place.

    Args:
        job: its training labels count.
        network: whose last layer takes such features.
        features: (n, F) of the training images, then of the validation images.
        progress: hears of how the last layer is fitted.

    Returns:
        The state after a first epoch; `seconds` of its row is 0.
    """

    from olhar.training.fit import FitState
    from olhar.training.head import fit_head

    labels, splits = job.dataset.labels, job.splits
    train, val = features[: len(splits.train)], features[len(splits.train) :]
    balanced = job.recipe.balance in {"weights", "sampling"}
    head = fit_head(
        train,
        labels[splits.train],
        job.spec.num_classes,
        seed=job.recipe.seed,
        balanced=balanced,
        groups=splits.groups[splits.train],
        trained_further=job.mode is not HEAD,
    )
    _tell(job, head, progress)
    put_head(network, head)
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    row = {
        "epoch": 1,
        "step": max(1, len(splits.train) // job.recipe.batch_size),
        "lr": 0.0,
        **_scores(head, train, labels[splits.train], "train"),
        **_scores(head, val, labels[splits.val], "val"),
        "seconds": 0.0,
    }
    return FitState(epoch=1, network=weights, best=weights, best_epoch=1, history=[row])


def put_head(network: torch.nn.Module, head: Head) -> None:
    """Give a network's last layer the weights of a head."""
    import torch

    from olhar.networks.weights import find_head

    layer = network.get_submodule(find_head(network))
    assert isinstance(layer, torch.nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        layer.bias.copy_(torch.from_numpy(head.bias))


def _scores(
    head: Head, features: Features, labels: NDArray[np.int64], split: str
) -> dict[str, float]:
    from olhar.training.head import apply_head, log_loss

    logits = apply_head(head, features)
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    return {f"{split}_loss": log_loss(logits, labels), f"{split}_accuracy": accuracy}


def _validated(job: Job, network: torch.nn.Module) -> dict[str, float]:
    """val_loss and val_accuracy without views, as of the epochs that follow."""
    import torch

    from olhar.networks.build import Normalise
    from olhar.training.validation import build_validation

    images = np.ascontiguousarray(job.dataset.images[job.splits.val])
    device = torch.device(job.machine.device)
    validate = build_validation(
        torch.from_numpy(images),
        torch.from_numpy(job.dataset.labels[job.splits.val]),
        torch.arange(len(images)),
        job.machine,
        Normalise(job.preprocess.mean, job.preprocess.std).to(device),
        batch_size=2 * batch_rows(job.spec.size),
    )
    loss, accuracy = validate(network.to(device))
    return {"val_loss": loss, "val_accuracy": accuracy}


def _tell(job: Job, head: Head, progress: Progress) -> None:
    """What was chosen, to the user and in head.csv."""
    names = [field.name for field in fields(head.method)]
    rows: list[tuple[object, ...]] = [(*names, "log_loss", "accuracy")]
    for one in head.candidates:
        rows.append((*astuple(one.method), one.log_loss, one.accuracy))
    job.folder.write_head(rows)
    chosen = next((one for one in head.candidates if one.method == head.method), None)
    if chosen is None:
        progress.note(_("too few images of a class to cross-validate; regularisation as usual"))
        return
    progress.note(
        _(
            "last layer: {method} has the lowest log loss of {count} ways in cross-validation, {loss}, "
            "with an accuracy of {accuracy}",
            method=describe_method(head.method),
            count=len(head.candidates),
            loss=number(chosen.log_loss, 3),
            accuracy=number(chosen.accuracy, 3),
        )
    )


def describe_method(method: Method) -> Text:
    """How a head is fitted, in words."""
    parts = {"strength": f"{method.strength:g}", "shrinkage": f"{method.shrinkage:g}"}
    if not method.shrinkage:
        return _("logistic regression with C = {strength}", **parts)
    if not method.strength:
        return _("discriminant analysis with a shrinkage of {shrinkage}", **parts)
    return _(
        "the mean of logistic regression with C = {strength} and discriminant analysis with a shrinkage "
        "of {shrinkage}",
        **parts,
    )


def frozen_features(
    job: Job,
    network: torch.nn.Module,
    progress: Progress,
    views: str | None = None,
    indices: NDArray[np.int64] | None = None,
) -> Features:
    """What a network without its head gives for the training, then the validation images, (n, F).

    What was computed before is found again in the cache, image by image.

    Args:
        job: whose images.
        network: with its weights.
        progress: hears how many images are done.
        views: that it is a mean over; by default the recipe's.
        indices: rows of the pool instead of these.
    """
    views = job.recipe.views if views is None else views
    if indices is None:
        indices = np.concatenate([job.splits.train, job.splits.val])
    if views == "mirror":  # in two halves, which are of use alone too
        halves = ("none", MIRRORED)
        return mean_of([frozen_features(job, network, progress, v, indices) for v in halves])
    return cached_features(
        feature_key(job.spec, network, job.preprocess, views),
        image_names(job.dataset, indices),
        lambda rows: compute_features(job, network, indices[rows], views, progress),
    )


def feature_key(
    spec: NetworkSpec, network: torch.nn.Module, preprocess: Preprocess, views: str
) -> str:
    """What features depend on beside the image, for `feature_cache.cached_features`."""
    from olhar.networks.weights import hash_body

    what = [
        spec.to_dict() | {"num_classes": 0},
        hash_body(network),
        preprocess.to_dict(),
        views,
    ]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def pixels_name(pixels: NDArray[np.uint8]) -> bytes:
    """What a photo is known by in the cache of features: its framed pixels (size, size, C)."""
    return hashlib.sha256(pixels.tobytes()).digest()[:16]


def image_names(dataset: Dataset, indices: NDArray[np.int64]) -> list[bytes]:
    """What images of a pool are known by in the cache of features; those of arrays by their places."""
    if dataset.files:
        return [pixels_name(dataset.images[row]) for row in indices]
    return [f"{dataset.fingerprint[:32]}:{row}".encode() for row in indices]


def mean_of(views: list[Features]) -> Features:
    """The mean of several views, as the model computes it."""
    total = views[0].copy()
    for view in views[1:]:
        total += view
    return total / np.float32(len(views))


def head_probs(network: torch.nn.Module, features: Features) -> Features:
    """Probabilities (n, K) at temperature 1 of features (n, F), by a network's last layer."""
    import torch

    from olhar.networks.weights import find_head

    layer = network.get_submodule(find_head(network)).to("cpu")
    with torch.inference_mode():
        probs: Features = torch.softmax(layer(torch.from_numpy(features)), 1).numpy()
    return probs


def compute_features(
    job: Job, network: torch.nn.Module, indices: NDArray[np.int64], views: str, progress: Progress
) -> Features:
    """`frozen_features` of some rows of the pool, without the cache."""
    import torch

    from olhar.networks.weights import find_head

    name = find_head(network)
    head = network.get_submodule(name)
    network.set_submodule(name, torch.nn.Identity())
    compute = open_body(network, job.preprocess, views, job.machine)
    progress.start(_("computing features"), len(indices))
    features = compute_rows(compute, job.dataset.images, indices, progress)
    network.to("cpu")
    network.set_submodule(name, head)
    return features


def open_body(
    body: torch.nn.Module, preprocess: Preprocess, views: str, machine: Machine
) -> Callable[[NDArray[np.uint8]], Features]:
    """Network inputs (n, C, size, size) uint8 → what a network that has no head gives, (n, F)."""
    from olhar.export import open_features

    if views != MIRRORED:
        return open_features(body, preprocess, views, machine.device, machine.threads)
    compute = open_features(body, preprocess, "none", machine.device, machine.threads)
    return lambda inputs: compute(inputs[..., ::-1])


def mirror(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (n, H, W, C), left to right."""
    return pixels[:, :, ::-1]


def as_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """The pool as a tensor over the same memory; nobody writes to it."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(images)
