"""A torch module that takes pixels → the bytes of its ONNX file."""

from __future__ import annotations

import numpy as np
from torch import nn

from olhar.export.deployed import Deployed, ViewFeatures
from olhar.export.folding import fold
from olhar.export.foreign import trace_network
from olhar.export.graph import Graph
from olhar.export.layers import (
    Chain,
    Dense,
    Foreign,
    Mean,
    Operator,
    UnknownModuleError,
    Views,
    read_dense,
    read_layers,
)
from olhar.networks.weights import find_head

Shape = tuple[int, int, int]
_PIXELS = (Operator("pixels", "Cast", {"to": 1}),)  # to float32
_SOFTMAX = Operator("probabilities", "Softmax", {"axis": 1})


def draw_deployed(deployed: Deployed, shape: Shape, *, gives_features: bool = False) -> bytes:
    """Images (N, *shape) uint8 → probabilities (N, K), and features (N, F) where they are asked for.

    The features are what the last layer takes, a mean over the views.
    """
    body, head = _divide(deployed.network, shape, divides=gives_features)
    front = (*read_layers(deployed.normalise), *_over_views(body, deployed.views, shape))
    end: Chain = (_SOFTMAX,)
    if deployed.temperature != 1:
        value = {"temperature.value": np.array(deployed.temperature, np.float32)}
        end = (Operator("temperature", "Div", constants=value), _SOFTMAX)
    graph, outputs = Graph(), {"probabilities": _width((*body, *head))}
    if gives_features:
        graph.add((*_PIXELS, *fold(front)))
        graph.rename("features")
        graph.add((*head, *end))
        outputs["features"] = _width_taken(head)
    else:
        graph.add((*_PIXELS, *fold((*front, *head)), *end))
    return graph.to_bytes(shape, outputs)


def draw_module(module: nn.Module, shape: Shape) -> bytes:
    """Images (N, *shape) uint8 → what the module gives for them, as `outputs`."""
    if isinstance(module, ViewFeatures):
        body = _read_network(module.body, shape)
        chain = (*read_layers(module.normalise), *_over_views(body, module.views, shape))
    else:
        chain = _read_network(module, shape)
    graph = Graph()
    graph.add((*_PIXELS, *fold(chain)))
    graph.rename("outputs")
    return graph.to_bytes(shape, {"outputs": None})


def _over_views(body: Chain, views: str, shape: Shape) -> Chain:
    return body if views == "none" else (Views(views, shape[2]), *body, Mean(views))


def _divide(network: nn.Module, shape: Shape, *, divides: bool) -> tuple[Chain, Chain]:
    """A network as all but its last layer, and that layer.

    One of another library is whole, and the second part empty, unless it `divides`: its last dense
    layer by name need not be the last that computes.
    """
    try:
        layers = read_layers(network)
    except UnknownModuleError:
        if not divides:
            return (trace_network(network, shape),), ()
        name = find_head(network)
        head = network.get_submodule(name)
        network.set_submodule(name, nn.Identity())
        try:
            return (trace_network(network, shape),), read_dense(head, name)
        finally:
            network.set_submodule(name, head)
    return layers[:-1], layers[-1:]


def _read_network(network: nn.Module, shape: Shape) -> Chain:
    try:
        return read_layers(network)
    except UnknownModuleError:
        return (trace_network(network, shape),)


def _width(chain: Chain) -> int:
    """How many numbers the last layer gives."""
    last = chain[-1]
    if isinstance(last, Foreign):
        return last.width
    assert isinstance(last, Dense)
    return len(last.weight)


def _width_taken(head: Chain) -> int:
    (dense,) = head
    assert isinstance(dense, Dense)
    return int(dense.weight.shape[1])
