"""A backbone's features of a data set, for the check of its labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import batch_rows
from olhar.datasets import PhotoFolder, Source
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.networks.specs import NetworkSpec
from olhar.pipeline.backbone import PRETRAINED, open_backbone
from olhar.preprocess import Preprocess
from olhar.progress import Progress

Features = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def label_features(
    source: Source, backbone: str, weights: str | None, progress: Progress
) -> Features:
    """What `datasets.check.check_source` takes to check labels by.

    Args:
        source: the data.
        backbone: as `pipeline.backbone.open_backbone` takes it; not timm: or transformers: with
            published weights.
        weights: likewise.
        progress: hears of the progress.

    Returns:
        A callable: rows (n,) int64 → features (n, D) float32; photos are read as for training.

    Raises:
        ConfigError, MissingFileError, MissingExtraError, DownloadError: the backbone cannot be had.
    """
    origin = open_backbone(backbone, weights, "head", progress)
    file = origin.transfer.weights
    if file in {"", PRETRAINED}:
        raise ConfigError(
            _(
                "labels are checked with a backbone whose weights are in a file; give it with "
                "--weights FILE, or take mobilenet_v2"
            )
        )
    _channels, height, width = source.image_shape
    preprocess = origin.preprocess_for(None, "crop", min(height, width))
    settings = origin.settings
    spec = NetworkSpec(
        origin.network, settings, preprocess.size, preprocess.channels, source.num_classes
    )

    def compute(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return _compute(source, rows, spec, preprocess, Path(file), progress)

    return compute


def _compute(
    source: Source,
    rows: NDArray[np.int64],
    spec: NetworkSpec,
    preprocess: Preprocess,
    weights: Path,
    progress: Progress,
) -> NDArray[np.float32]:
    import torch

    from olhar.export import open_features
    from olhar.networks.build import build_network
    from olhar.networks.weights import find_head, load_body, read_weights
    from olhar.training.machine import count_threads

    network = build_network(spec)
    load_body(network, read_weights(weights), weights)
    network.set_submodule(find_head(network), torch.nn.Identity())
    body = open_features(network, preprocess, "none", "cpu", count_threads())
    progress.start(_("computing features"), len(rows))
    parts, done = [], 0
    for images in _batches(source, rows, preprocess):
        parts.append(body(images))
        done += len(images)
        progress.advance(done)
    return np.concatenate(parts)


def _batches(
    source: Source, rows: NDArray[np.int64], preprocess: Preprocess
) -> Iterator[NDArray[np.uint8]]:
    """(n, C, size, size) uint8, as many as are computed at once."""
    step = batch_rows(preprocess.size)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        if isinstance(source, PhotoFolder):
            yield np.stack([preprocess.read(source.path / source.files[row]) for row in some])
        else:
            yield np.stack([preprocess.image(np.asarray(source.images[row])) for row in some])
