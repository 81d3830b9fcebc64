"""Networks that olhar did not build → ONNX by torch's exporter, then made simpler by onnxslim.

Does not know: normalisation, views, or what the numbers mean.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch
from torch import nn

from olhar.export.graph import OPSET
from olhar.export.layers import Foreign


def trace_network(network: nn.Module, shape: tuple[int, int, int]) -> Foreign:
    """A network that takes normalised images (N, *shape) float32 and gives (N, D), on the CPU."""
    sample = torch.zeros(2, *shape)
    with torch.inference_mode():
        width = network(sample).shape[1]
    with _quiet():
        import onnxslim

        program = torch.onnx.export(
            network,
            (sample,),
            dynamo=True,
            optimize=False,
            verbose=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
        )
        assert program is not None
        model = program.model_proto
        _fix_types(model.graph)
        model = onnxslim.slim(model)
    # What the exporter notes for its own debugging names this machine's folders.
    for part in (*model.graph.node, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for node in model.graph.node:
        node.name = node.name.rsplit("/", 1)[-1]
    # So that no name of theirs is one of olhar's.
    return Foreign(onnx.compose.add_prefix(model, "network.").graph, width)


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
