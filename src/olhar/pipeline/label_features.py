"""A backbone's features of a data set, for the check of its labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.cores import count_threads
from olhar.datasets import Source, frame_lazily
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.networks.backbones import with_taps
from olhar.networks.specs import NetworkSpec
from olhar.pipeline.backbone import PRETRAINED, open_backbone
from olhar.preprocess import Preprocess, compute_rows
from olhar.progress import Progress

Features = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def label_features(
    source: Source, backbone: str, weights: str | None, progress: Progress
) -> Features:
    """What `check.check_source` takes to check labels by.

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
    preprocess = origin.preprocess_for(None, "auto", min(height, width))
    size, channels = preprocess.size, preprocess.channels
    settings = with_taps(origin.network, origin.settings, taken=False)
    spec = NetworkSpec(origin.network, settings, size, channels, source.num_classes)
    return partial(_compute, source, spec, preprocess, Path(file), progress)


def _compute(
    source: Source,
    spec: NetworkSpec,
    preprocess: Preprocess,
    weights: Path,
    progress: Progress,
    rows: NDArray[np.int64],
) -> NDArray[np.float32]:
    import torch

    from olhar.export import open_features
    from olhar.networks.build import build_network
    from olhar.networks.weights import find_head, load_body, read_weights

    network = build_network(spec)
    load_body(network, read_weights(weights), weights)
    network.set_submodule(find_head(network), torch.nn.Identity())
    body = open_features(network, preprocess, "none", "cpu", count_threads())
    progress.start(_("computing features"), len(rows))
    return compute_rows(body, frame_lazily(source, preprocess), rows, progress)
