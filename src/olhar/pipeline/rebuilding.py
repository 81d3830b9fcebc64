"""What proves a saved model: its golden inputs, and its training network rebuilt from its files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import GOLDEN, WEIGHTS, Classifier
from olhar.errors import MissingExtraError, ModelError, explain_os_errors
from olhar.i18n import _
from olhar.networks.specs import NetworkSpec

_ROWS_AT_ONCE = 64

Probs = NDArray[np.float32]


def read_golden(classifier: Classifier) -> tuple[NDArray[np.uint8], Probs]:
    """The golden inputs (16, C, H, W) uint8 of a model and their stored probabilities (16, K).

    Raises:
        ModelError: they are not readable, or not of this model's shape.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path, preprocess = classifier.folder / GOLDEN, classifier.preprocess
    with explain_os_errors(path):
        content = path.read_bytes()
    try:
        arrays = load(content)
        images, probs = arrays["images"], arrays["probabilities"]
        shape = (len(images), preprocess.channels, preprocess.size, preprocess.size)
        whole = images.shape == shape and images.dtype == np.uint8 and len(images) > 0
        if not whole or probs.shape != (len(images), len(classifier.class_names)):
            raise ValueError(f"{images.dtype} {images.shape}, {probs.shape}")
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(_("'{path}' is damaged: {reason}", path=path, reason=error)) from error
    return images, probs.astype(np.float32)


def network_probs(classifier: Classifier, inputs: NDArray[np.uint8]) -> Probs:
    """Probabilities (N, K) of network inputs (N, C, H, W) uint8 by the training network, in torch.

    It is rebuilt from config.json (network, preprocess, views, temperature) and model.safetensors;
    model.onnx has no part in it.

    Raises:
        ModelError: the weights are not those of the network.
        MissingExtraError: torch is not installed.
    """
    require_libraries("torch")
    import torch
    from safetensors.numpy import load_file

    from olhar.export import Deployed
    from olhar.networks.build import build_network

    config, path = classifier.config, classifier.folder / WEIGHTS
    try:
        network = build_network(NetworkSpec(**config.network))
        weights = {name: torch.from_numpy(array) for name, array in load_file(path).items()}
        # Counters of batch normalisation are not kept, and not used.
        missing, unexpected = network.load_state_dict(weights, strict=False)
    except (RuntimeError, TypeError, KeyError) as error:
        raise _wrong_weights(path, str(error).splitlines()[0]) from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise _wrong_weights(path, ", ".join([*missing, *unexpected]))
    deployed = Deployed(
        network, config.preprocess, views=config.views, temperature=config.temperature
    ).eval()
    starts = range(0, len(inputs), _ROWS_AT_ONCE)
    batches = (np.ascontiguousarray(inputs[start : start + _ROWS_AT_ONCE]) for start in starts)
    with torch.inference_mode():
        return np.concatenate([deployed(torch.from_numpy(batch)).numpy() for batch in batches])


def _wrong_weights(path: Path, reason: str) -> ModelError:
    return ModelError(
        _(
            "'{path}' does not hold the weights of the network that config.json names: {reason}",
            path=path,
            reason=reason,
        )
    )


def require_libraries(*libraries: str) -> None:
    """Raise MissingExtraError, naming them, for those that are not installed."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            _(
                "this needs {libraries}, which this installation does not have: "
                'pip install "olhar[train]"',
                libraries=", ".join(missing),
            )
        )
