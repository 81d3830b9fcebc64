"""A trained network → one ONNX file that takes pixels and gives probabilities, and proof of it.

Normalisation, test-time views and temperature are inside the graph, so whoever runs it cannot get
them wrong.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from olhar.classifier import GOLDEN_COUNT, open_session, run_session
from olhar.errors import ExportError
from olhar.i18n import _
from olhar.networks.build import Normalise
from olhar.networks.weights import find_head
from olhar.preprocess import Preprocess, compute_rows

TOLERANCE = 1e-4
_OPSET = 18
_WITH_FEATURES = ("probabilities", "features")


class Deployed(nn.Module):
    """uint8 images (N, C, H, W) → probabilities (N, K): normalise, views, network, temperature, softmax.

    The logits of an image are a mean over its views: itself, its mirror image, and both shifted by
    one pixel to the upper left and lower right, these at half the weight. With `gives_features`
    there is a second output, (N, F): what the network's last layer takes, likewise a mean.

    Sources: Guo et al. 2017, section 4.2 (temperature); Jordan 2024, arXiv 2404.00498, section 3.5
    (views).
    """

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        *,
        views: str = "none",
        temperature: float = 1.0,
        gives_features: bool = False,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess.mean, preprocess.std)
        self.head: nn.Module | None = None
        if gives_features:
            name = find_head(network)
            self.head = network.get_submodule(name)
            network = copy.deepcopy(network)
            network.set_submodule(name, nn.Identity())
        self.network = network
        self.temperature = temperature
        self.views = views

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(N, C, H, W) uint8 → (N, K) float32."""
        x = self.normalise(images)
        views = _views(x, self.views)
        if self.head is not None:
            features = self._mean(self.network(torch.cat(views)).float(), len(views))
            return torch.softmax(self.head(features) / self.temperature, 1), features
        logits = self.network(torch.cat(views)) if len(views) > 1 else self.network(x)
        return torch.softmax(self._mean(logits.float() / self.temperature, len(views)), 1)

    def _mean(self, outputs: torch.Tensor, views: int) -> torch.Tensor:
        """(V·N, D), view after view → (N, D)."""
        if views == 1:
            return outputs
        shape = (views, -1, outputs.shape[1])
        return torch.einsum("v,vnd->nd", _weights(self.views), outputs.reshape(shape))


def _views(x: torch.Tensor, views: str) -> list[torch.Tensor]:
    """Normalised images (N, C, H, W) → their views, each of that shape."""
    shown = [x]
    if views.endswith("shift"):
        height, width = x.shape[2:]
        padded = F.pad(x, (1, 1, 1, 1), "reflect")
        shown += [padded[:, :, :height, :width], padded[:, :, 2:, 2:]]
    if views.startswith("mirror"):
        shown += [view.flip(3) for view in shown]
    return shown


def _weights(views: str) -> torch.Tensor:
    """The share of each view in the mean, (V,) float32."""
    weights = torch.tensor([0.5, 0.25, 0.25] if views.endswith("shift") else [1.0])
    return torch.cat([weights, weights]) / 2 if views.startswith("mirror") else weights


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
    inputs = torch.from_numpy(golden)
    with torch.inference_mode():
        expected = deployed(inputs).numpy()  # (16, K) float32
    if gives_features:
        deployed = Deployed(
            network, preprocess, views=views, temperature=temperature, gives_features=True
        ).eval()
    names = _WITH_FEATURES if gives_features else _WITH_FEATURES[:1]
    onnx = _to_onnx(deployed, inputs, names)
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


@torch.inference_mode()
def predict_network(
    network: nn.Module,
    preprocess: Preprocess,
    images: NDArray[np.uint8],
    indices: NDArray[np.int64],
    *,
    views: str = "none",
) -> NDArray[np.float32]:
    """Probabilities (n, K) at temperature 1 of rows `indices` of images (N, H, W, C), before export."""
    network.to("cpu", torch.float32)
    deployed = Deployed(network, preprocess, views=views).eval()
    return compute_rows(lambda inputs: deployed(torch.from_numpy(inputs)).numpy(), images, indices)


class ViewFeatures(nn.Module):
    """uint8 images (N, C, H, W) → what a network without its head gives, as a mean over views: (N, F).

    A dense layer on them gives the logits of the deployed network with these views.
    """

    def __init__(self, body: nn.Module, preprocess: Preprocess, views: str) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess.mean, preprocess.std)
        self.body = body
        self.views = views

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) uint8 → (N, F) float32."""
        views = _views(self.normalise(images), self.views)
        features = self.body(torch.cat(views)).float().unflatten(0, (len(views), -1))  # (V, N, F)
        return torch.einsum("v,vnf->nf", _weights(self.views).to(features.device), features)


def open_features(
    body: nn.Module, preprocess: Preprocess, views: str, device: str, threads: int
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A callable: network inputs (n, C, H, W) uint8 → features (n, F)."""
    shape = (preprocess.channels, preprocess.size, preprocess.size)
    return open_module(ViewFeatures(body, preprocess, views), shape, device, threads)


def open_module(
    module: nn.Module, shape: tuple[int, int, int], device: str, threads: int
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A callable: inputs (n, *shape) uint8 → what `module` gives for them, float32.

    On the CPU it is ONNX Runtime, as in predicting: several times as fast as torch there for a
    MobileNetV2, which pays for the export from some hundred images on.
    """
    module = module.to(device).eval()
    if device == "cpu":
        sample = torch.zeros(2, *shape, dtype=torch.uint8)
        session = open_session(_to_onnx(module, sample), threads, alone=True)
        return lambda images: run_session(session, np.ascontiguousarray(images))

    @torch.inference_mode()
    def compute(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        outputs: NDArray[np.float32] = module(pixels).cpu().numpy()
        return outputs

    return compute


def open_outputs(deployed: Deployed, preprocess: Preprocess, threads: int | None = None) -> Any:
    """An ONNX Runtime session that gives probabilities (N, K) and features (N, F)."""
    deployed = deployed.to("cpu").eval()
    sample = torch.zeros(2, preprocess.channels, preprocess.size, preprocess.size)
    return open_session(_to_onnx(deployed, sample.to(torch.uint8), _WITH_FEATURES), threads)


def _golden_inputs(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """16 inputs: the samples, repeated where there are fewer."""
    return np.ascontiguousarray(samples[np.arange(GOLDEN_COUNT) % len(samples)])


def _fix_types(graph: onnx.GraphProto) -> None:
    """Say which type a CastLike means, as a Cast.

    ONNX Runtime folds no constant behind a CastLike, and fuses nothing that takes such a constant: a
    convolution without bias and its batch norm stayed apart, three times as slow.
    """
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    types |= {value.name: value.type.tensor_type.elem_type for value in graph.input}
    types |= {value.name: value.data_type for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "CastLike" and node.input[1] in types:
            to = onnx.helper.make_attribute("to", types[node.input.pop(1)])
            node.op_type = "Cast"
            node.attribute.append(to)


def _to_onnx(
    deployed: nn.Module, inputs: torch.Tensor, outputs: Sequence[str] = ("outputs",)
) -> bytes:
    with _quiet():
        program = torch.onnx.export(
            deployed,
            (inputs,),
            dynamo=True,
            optimize=False,
            verbose=False,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("N")},),
        )
    assert program is not None
    model = program.model_proto
    # What the exporter notes for its own debugging names this machine's folders.
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for node in model.graph.node:
        node.name = node.name.rsplit("/", 1)[-1]
    _fix_types(model.graph)
    return bytes(model.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes on libraries that it would use if they were there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def network_weights(network: nn.Module) -> dict[str, NDArray[np.generic]]:
    """The network's weights and running statistics as fp32 arrays, by name."""
    return {
        name: np.ascontiguousarray(value.detach().cpu().float().numpy())
        for name, value in network.state_dict().items()
        if value.dim() > 0
    }
