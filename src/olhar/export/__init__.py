"""A trained network → one ONNX file that takes pixels and gives probabilities, and proof of it.

Normalisation, test-time views and temperature are inside the graph, so whoever runs it cannot get
them wrong. olhar's own networks are drawn layer by layer (drawing, layers, folding, graph); those of
other libraries go through torch's exporter (foreign).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from olhar.classifier import GOLDEN_COUNT, open_many, open_session, run_session
from olhar.errors import ExportError
from olhar.export.deployed import Deployed, ViewFeatures, network_weights
from olhar.export.drawing import draw_deployed, draw_module
from olhar.i18n import _
from olhar.preprocess import Preprocess, compute_rows

__all__ = [
    "Deployed",
    "export_network",
    "network_weights",
    "open_features",
    "open_module",
    "open_outputs",
    "predict_network",
]
TOLERANCE = 1e-4


def export_network(
    network: nn.Module,
    preprocess: Preprocess,
    samples: NDArray[np.uint8],
    *,
    views: str = "none",
    temperature: float = 1.0,
    gives_features: bool = False,
) -> tuple[bytes, dict[str, NDArray[np.generic]]]:
    """A network on any device → (model.onnx, golden inputs and probabilities), in fp32.

    Args:
        network: trained; it is moved to the CPU and to evaluation mode.
        preprocess: its own.
        samples: (n, C, H, W) uint8 real inputs; up to 16 are kept as the golden ones.
        views: none, mirror, shift or mirror_shift: what the prediction is a mean over.
        temperature: divides the logits.
        gives_features: whether the graph has a second output, what the last layer takes.

    Raises:
        ExportError: the ONNX graph and the network differ by more than 1e-4 in a probability.
    """
    network.to("cpu", torch.float32)
    deployed = Deployed(network, preprocess, views=views, temperature=temperature).eval()
    golden = _golden_inputs(samples)
    inputs = torch.from_numpy(golden).contiguous(
        memory_format=torch.channels_last
    )  # faster by 3/10
    with torch.inference_mode():
        expected = deployed(inputs).numpy()  # (16, K) float32
    onnx = draw_deployed(deployed, _shape(preprocess), gives_features=gives_features)
    found = run_session(open_session(onnx), golden)
    worst = float(np.abs(found - expected).max())
    if not worst <= TOLERANCE:
        raise ExportError(
            _(
                "the exported model differs from the network by {worst} in a probability; "
                "at most {tolerance} is allowed. This is a fault of the export: please report it",
                worst=f"{worst:.1e}",
                tolerance=TOLERANCE,
            )
        )
    return onnx, {"images": golden, "probabilities": expected}


def predict_network(
    network: nn.Module,
    preprocess: Preprocess,
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    *,
    views: str = "none",
) -> NDArray[np.float32]:
    """Probabilities (n, K) at temperature 1 of rows of images (N, H, W, C), computed as its model is."""
    deployed = Deployed(network.to("cpu", torch.float32), preprocess, views=views).eval()
    compute = open_many(draw_deployed(deployed, _shape(preprocess)))
    return compute_rows(compute, images, rows)


def open_features(
    body: nn.Module, preprocess: Preprocess, views: str, device: str, threads: int
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A callable: network inputs (n, C, H, W) uint8 → features (n, F)."""
    module = ViewFeatures(body, preprocess, views)
    return open_module(module, _shape(preprocess), device, threads)


def open_module(
    module: nn.Module, shape: tuple[int, int, int], device: str, threads: int
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A callable: inputs (n, *shape) uint8 → what `module` gives for them, float32.

    On the CPU it is ONNX Runtime, as in predicting: several times as fast as torch there for a
    MobileNetV2, which pays for the export from some hundred images on.
    """
    module = module.to(device).eval()
    if device == "cpu":
        return open_many(draw_module(module, shape), threads)

    @torch.inference_mode()
    def compute(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        outputs: NDArray[np.float32] = module(pixels).cpu().numpy()
        return outputs

    return compute


def open_outputs(network: nn.Module, preprocess: Preprocess, views: str) -> Any:
    """An ONNX Runtime session that gives probabilities (N, K) and features (N, F)."""
    deployed = Deployed(network, preprocess, views=views).to("cpu").eval()
    return open_session(draw_deployed(deployed, _shape(preprocess), gives_features=True))


def _shape(preprocess: Preprocess) -> tuple[int, int, int]:
    """(C, H, W) of one input."""
    return preprocess.channels, preprocess.size, preprocess.size


def _golden_inputs(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """16 inputs: the samples, repeated where there are fewer."""
    return np.ascontiguousarray(samples[np.arange(GOLDEN_COUNT) % len(samples)])
