"""Features of photos before they are asked for: as photos come, so that a head is a matter of seconds.

Does not know: classes, or what the features are for. They are found again by `transfer.frozen_features`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.errors import OlharError
from olhar.networks.specs import NetworkSpec
from olhar.pipeline.backbone import default_backbone, open_backbone
from olhar.pipeline.feature_cache import cached_features
from olhar.pipeline.transfer import MIRRORED, Features, feature_key, mean_of, open_body, pixels_name
from olhar.preprocess import Pixels, to_inputs
from olhar.progress import Progress
from olhar.training.modes import HEAD

_AT_ONCE = 8


class Warmer:
    """The backbone that photos get by default, with what a head needs of each photo."""

    def __init__(self, name: str) -> None:
        """Load it.

        Args:
            name: of the backbone; `default_backbone` gives it.
        """
        import torch

        from olhar.networks.build import build_network
        from olhar.networks.weights import find_head, load_body, read_weights
        from olhar.training.machine import choose_machine

        origin = open_backbone(name, None, HEAD.name, Progress())
        self.preprocess = origin.preprocess
        size, channels = self.preprocess.size, self.preprocess.channels
        spec = NetworkSpec(origin.network, origin.settings, size, channels, 2)
        network = build_network(spec)
        load_body(network, read_weights(Path(origin.transfer.weights)), name)
        machine = choose_machine(spec, "auto", "fp32")
        views = ("none", MIRRORED)
        keys = [feature_key(spec, network, self.preprocess, view) for view in views]
        network.set_submodule(find_head(network), torch.nn.Identity())
        bodies = [open_body(network, self.preprocess, view, machine) for view in views]
        self._views = list(zip(keys, bodies, strict=True))

    @classmethod
    def default(cls, progress: Progress) -> Warmer | None:
        """That of the default backbone; None where its weights cannot be had, which is noted."""
        name = default_backbone(progress)
        return None if name is None else cls(name)

    def warm(self, photos: Sequence[Path]) -> None:
        """Compute what is not known yet of photos; those that cannot be read are passed over."""
        for start in range(0, len(photos), _AT_ONCE):
            pixels = []
            for path in photos[start : start + _AT_ONCE]:
                with suppress(OlharError):
                    pixels.append(self.preprocess.read_pixels(path))
            if pixels:
                self._compute(np.stack(pixels))

    def features(self, photos: Sequence[Path]) -> Features:
        """Features (n, F) of photos that can be read, a mean over photo and mirror image."""
        found = []
        for start in range(0, len(photos), _AT_ONCE):
            part = photos[start : start + _AT_ONCE]
            found.append(
                self._compute(np.stack([self.preprocess.read_pixels(one) for one in part]))
            )
        return np.concatenate(found)

    def _compute(self, pixels: Pixels) -> Features:
        """Features of framed photos (n, size, size, C)."""
        names = [pixels_name(one) for one in pixels]
        inputs = to_inputs(pixels)
        return mean_of(
            [
                cached_features(key, names, partial(_rows_of, body, inputs))
                for key, body in self._views
            ]
        )


def _rows_of(
    body: Callable[[Pixels], Features], inputs: Pixels, rows: NDArray[np.int64]
) -> Features:
    return body(inputs[rows])
