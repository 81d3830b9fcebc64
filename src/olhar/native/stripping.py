"""`model.onnx` without its views: what the C computes once a view, to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import open_session
from olhar.native.steps import Network


def without_views(content: bytes) -> Any:
    """The bytes of a `model.onnx` → an `onnx.ModelProto` of one view, with the same outputs."""
    import onnx

    model = onnx.load_from_string(content)
    graph = model.graph
    alias: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [alias.get(name, name) for name in node.input]
        if node.name == "views" or node.name.startswith("views."):
            alias |= dict.fromkeys(node.output, node.input[0])
        else:
            kept.append(node)
    names = [output.name for output in graph.output]
    for name in names:
        if name in alias:  # features that were a mean over views
            kept.append(onnx.helper.make_node("Identity", [alias[name]], [name], name))
    del graph.node[:]
    graph.node.extend(kept)
    return model


def open_one_view(content: bytes) -> Any:
    """An ONNX Runtime session of one view."""
    return open_session(without_views(content).SerializeToString())


def onnx_values(
    content: bytes, network: Network, pixels: NDArray[np.uint8]
) -> dict[str, NDArray[np.float64]]:
    """What ONNX Runtime gives for each step of a network by its output, (H, W, C), of one view."""
    import onnx

    model = without_views(content)
    computed = {name for node in model.graph.node for name in node.output}
    del model.graph.output[:]
    names = [step.output for step in network.steps if step.output in computed]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = open_session(model.SerializeToString())
    inputs = {"images": np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])}
    found = dict(zip(names, session.run(None, inputs), strict=True))
    values = {}
    for step in network.steps:
        if step.output in found:
            height, width, channels = step.out_shape
            array = found[step.output].reshape(channels, height, width)
            values[step.output] = array.transpose(1, 2, 0).astype(np.float64)
    return values
