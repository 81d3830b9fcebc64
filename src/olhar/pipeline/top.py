"""The last blocks of a backbone, trained on what the blocks before them give.

The front is frozen, so what it gives for an image is computed once, and kept in the cache as 8-bit
numbers; the one loop (training.fit) trains the rest on them as it would on images. Images are
augmented once, before the front.

Does not know: how a run goes on. `fit_top` hands back the weights of the whole network.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from olhar.cache_place import cache_folder
from olhar.datasets.cache import (
    CacheEntry,
    allocate_images,
    load_cached,
    save_cached,
)
from olhar.files import write_atomic_with
from olhar.i18n import _
from olhar.pipeline.inputs import Job
from olhar.pipeline.transfer import (
    as_tensor,
    load_network,
    mirror,
    put_head,
    solve_head,
)
from olhar.preprocess import compute_rows, input_batches
from olhar.progress import Progress

if TYPE_CHECKING:
    import torch

    from olhar.networks.build import Normalise
    from olhar.training.fit import FitState, Training
    from olhar.training.head import Head
    from olhar.training.recipe import Recipe

_RANGE_FROM = 512  # training images
_AT_ONCE = 256  # images that are labelled at once

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
OnStep = Callable[[int, float, float], None]
OnEpoch = Callable[["FitState"], None]


@dataclass(frozen=True)
class _Pool:
    """What the front gives: the training images, in each of their copies, then the validation images.

    Attributes:
        images: (copies · n + m, H, W, C) uint8, memory-mapped.
        labels: (copies · n + m,) int64.
        normalise: uint8 (n, C, H, W) → the float32 numbers that they stand for.
        count: n, of the training images.
        copies: of each of them.
    """

    images: torch.Tensor
    labels: torch.Tensor
    normalise: Normalise
    count: int
    copies: int

    def copies_of(self, rows: Rows) -> torch.Tensor:
        """Rows of the pool that are copies of some training images, one copy behind the other."""
        import torch

        return torch.from_numpy(np.concatenate([rows + c * self.count for c in range(self.copies)]))

    @property
    def val(self) -> Rows:
        """Rows of the validation images."""
        return np.arange(self.copies * self.count, len(self.labels))


class Top:
    """The last blocks of a backbone, and what the first give for its images.

    Attributes:
        job: its mode keeps the front.
        network: without its front.
        whole: the weights of all of it, as they came.
        pool: what it is trained on.
    """

    def __init__(self, job: Job, progress: Progress) -> None:
        """Load the network, and find the pool in the cache or compute it."""
        import torch

        from olhar.networks.fronts import find_front

        torch.set_num_threads(job.machine.threads)
        self.job = job
        self.network = load_network(job)
        state = self.network.state_dict()
        self.whole = {name: value.detach().clone() for name, value in state.items()}
        front = find_front(self.network, job.spec.name, job.spec.input_shape())
        self.pool = _build_pool(job, self.network, front, progress)
        for name in front:
            self.network.set_submodule(name, torch.nn.Identity())

    @property
    def width(self) -> int:
        """How many numbers the last layer takes."""
        from olhar.networks.weights import count_body

        return count_body(self.network)["features"]

    def features(self, rows: Rows) -> Floats:
        """What the last layer takes, (n, F), of rows of the pool."""
        import torch

        from olhar.export import open_module
        from olhar.networks.weights import find_head

        network, pool, machine = self.network, self.pool, self.job.machine
        name = find_head(network)
        head = network.get_submodule(name)
        network.set_submodule(name, torch.nn.Identity())
        _n, height, width, channels = pool.images.shape
        shape = (channels, height, width)
        module = torch.nn.Sequential(pool.normalise, network)
        rest = open_module(module, shape, machine.device, machine.threads)
        features = compute_rows(rest, pool.images.numpy(), rows)
        network.set_submodule(name, head)
        return features

    def training(self, rows: Rows) -> Training:
        """Ready to train on the copies of some of the training images."""
        from olhar.training.fit import Training
        from olhar.training.unfreezing import Stages

        return Training(
            self.network,
            self.pool.images,
            self.pool.labels,
            self.pool.copies_of(rows),
            _without_augmentation(self.job.recipe),
            self.job.machine,
            self.pool.normalise,
            None,
            Stages(self.network, body_stages=1),
        )

    def try_fold(self, head: Head, train: Rows, held: Rows) -> NDArray[np.bool_]:
        """Train on some of the training images, from a head that was solved on them, and label others.

        Args:
            head: its last layer to begin with.
            train: (t,) positions among the training images.
            held: (m,) likewise.

        Returns:
            (m,) whether each was labelled rightly.
        """
        import torch

        from olhar.training.fit import FitState, fit

        own = self.network.state_dict()
        self.network.load_state_dict({key: self.whole[key] for key in own})
        put_head(self.network, head)
        weights = {name: value.detach().clone() for name, value in own.items()}
        state = FitState(epoch=1, network=weights, history=[])
        fit(self.training(train), validate=lambda _network: (0.0, 0.0), state=state)
        pool, copies = self.pool, 2 if self.job.recipe.views == "mirror" else 1
        rows = torch.from_numpy(held)
        probs = sum(self._probs(rows + copy * pool.count) for copy in range(copies))
        assert isinstance(probs, torch.Tensor)
        right: NDArray[np.bool_] = (probs.argmax(1) == pool.labels[rows]).numpy()
        return right

    def _probs(self, rows: torch.Tensor) -> torch.Tensor:
        """Probabilities (n, K) of rows of the pool."""
        import torch

        device = self.job.machine.device
        self.network.eval()
        found = []
        with torch.inference_mode():
            for part in torch.split(rows, _AT_ONCE):
                pixels = self.pool.images[part].permute(0, 3, 1, 2).to(device)
                found.append(torch.softmax(self.network(self.pool.normalise(pixels)), 1).cpu())
        return torch.cat(found)


def fit_top(
    job: Job, state: FitState | None, progress: Progress, on_step: OnStep, on_epoch: OnEpoch
) -> FitState:
    """Train the last blocks of a backbone; the first epoch solves for its head alone.

    Args:
        job: its mode keeps the front.
        state: where it was cut off, of the last blocks only; None at the beginning.
        progress: hears of the progress.
        on_step: as `training.fit.fit` takes it.
        on_epoch: likewise; its states hold the last blocks only.

    Returns:
        The last state, with the weights of the whole network.
    """
    import torch

    from olhar.training.fit import fit
    from olhar.training.validation import build_validation

    begun = time.perf_counter()
    top = Top(job, progress)
    pool, rows = top.pool, np.arange(top.pool.count)
    if state is None:
        features = top.features(np.concatenate([rows, pool.val]))
        state = solve_head(job, top.network, features, progress)
        state.history[0]["seconds"] = time.perf_counter() - begun
        on_epoch(state)
    training = top.training(rows)
    progress.start(_("training"), job.recipe.epochs * training.steps)
    validate = build_validation(
        training.images,
        training.labels,
        torch.from_numpy(pool.val),
        job.machine,
        training.normalise,
        shards=training.shards,
    )
    state = fit(training, validate=validate, on_step=on_step, on_epoch=on_epoch, state=state)
    return dataclasses.replace(
        state, network={**top.whole, **state.network}, best={**top.whole, **state.best}
    )


def _without_augmentation(recipe: Recipe) -> Recipe:
    return dataclasses.replace(
        recipe,
        flip=False,
        translate=0.0,
        rotate=0.0,
        zoom=0.0,
        shear=0.0,
        cutout=0.0,
        colour=0.0,
        early_share=0.0,
    )


def _build_pool(
    job: Job, network: torch.nn.Module, front: Sequence[str], progress: Progress
) -> _Pool:
    """Found in the cache, or computed."""
    import torch

    from olhar.networks.build import Normalise

    key = _key(job, network)
    open_front = functools.cache(functools.partial(_open_front, job, network, front))
    low, high = _range(job, open_front, cache_folder() / "features" / f"{key}.npy")
    copies, train = job.recipe.copies or 1, job.splits.train
    # Other ranges would give the same codes another meaning.
    key = f"front-{hashlib.sha256(key.encode() + low.tobytes() + high.tobytes()).hexdigest()[:32]}"
    indices = np.concatenate([*[train] * copies, job.splits.val])

    def fill(folder: Path) -> CacheEntry:
        progress.start(_("computing what the first blocks give"), len(indices))
        codes, done = None, 0
        for inputs in _inputs(job):
            values = open_front()(inputs).transpose(0, 2, 3, 1)  # (n, H, W, C) float32
            if codes is None:
                codes = allocate_images(folder, (len(indices), *values.shape[1:]))
            scaled = (values - low) / (high - low) * 255 + 0.5
            codes[done : done + len(values)] = np.clip(scaled, 0, 255).astype(np.uint8)
            done += len(values)
            progress.advance(done)
        assert codes is not None
        labels = job.dataset.labels[indices]
        return CacheEntry(codes, labels, job.dataset.class_names, fingerprint=key)

    entry = load_cached(key) or save_cached(key, fill)
    scale = 1 / (high - low)  # code / 255 · (high - low) + low, as Normalise has it
    normalise = Normalise(tuple((-low * scale).tolist()), tuple(scale.tolist()))
    labels = torch.from_numpy(entry.labels)
    return _Pool(as_tensor(entry.images), labels, normalise, len(train), copies)


def _key(job: Job, network: torch.nn.Module) -> str:
    """Names all that the numbers depend on."""
    from olhar.networks.weights import hash_body

    recipe, still = job.recipe.to_dict(), _without_augmentation(job.recipe).to_dict()
    what = [
        job.dataset.fingerprint,
        hashlib.sha256(job.splits.train.tobytes() + job.splits.val.tobytes()).hexdigest(),
        job.spec.to_dict() | {"num_classes": 0},
        hash_body(network),
        job.preprocess.to_dict(),
        {name: value for name, value in recipe.items() if value != still[name]},
        job.recipe.copies or 1,
        job.recipe.seed,
    ]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _open_front(
    job: Job, network: torch.nn.Module, front: Sequence[str]
) -> Callable[[NDArray[np.uint8]], Floats]:
    """Network inputs (n, C, size, size) uint8 → what the front gives, (n, C, H, W)."""
    import torch

    from olhar.export import open_module
    from olhar.networks.build import Normalise

    module = torch.nn.Sequential(
        Normalise(job.preprocess.mean, job.preprocess.std),
        *(network.get_submodule(name) for name in front),
    )
    return open_module(module, job.spec.input_shape(), job.machine.device, job.machine.threads)


def _range(
    job: Job, open_front: Callable[[], Callable[[NDArray[np.uint8]], Floats]], path: Path
) -> tuple[Floats, Floats]:
    """The least and the greatest value of each channel over some training images, (C,) each."""
    found = _load_range(path)
    if found is None:
        rows = job.splits.train[:: max(1, len(job.splits.train) // _RANGE_FROM)]
        parts = []
        for inputs in input_batches(job.dataset.images, rows):
            values = open_front()(inputs)
            parts.append([values.min((0, 2, 3)), values.max((0, 2, 3))])
        low, high = np.min(parts, axis=0)[0], np.max(parts, axis=0)[1]
        found = np.stack([low, np.maximum(high, low + 1e-3)]).astype(np.float32)
        write_atomic_with(path, lambda aside: np.save(aside, found))
    return found[0], found[1]


def _load_range(path: Path) -> Floats | None:
    """Two rows of float32 from the cache; None where they are absent or damaged."""
    try:
        found: Floats = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.dtype == np.float32 and len(found) == 2 else None


def _inputs(job: Job) -> Iterator[NDArray[np.uint8]]:
    """Network inputs (n, C, size, size) uint8: training images in their copies, then validation images.

    A single copy is augmented. Of several the first is the image as it is, and the second its mirror
    image where the recipe mirrors; the others are augmented.
    """
    import torch

    from olhar.networks.build import Normalise
    from olhar.training.augment import preview_augmented

    images, train, recipe = job.dataset.images, job.splits.train, job.recipe
    normalise = Normalise(job.preprocess.mean, job.preprocess.std)
    generator = torch.Generator().manual_seed(recipe.seed)

    def augment(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels = torch.from_numpy(images)
        return preview_augmented(pixels, recipe, normalise, generator).numpy()

    changes: list[Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None] = [augment]
    copies = recipe.copies or 1
    if copies > 1:
        changes = [None, mirror if recipe.flip else augment, *[augment] * (copies - 2)]
    for change in changes:
        yield from input_batches(images, train, change)
    yield from input_batches(images, job.splits.val)
