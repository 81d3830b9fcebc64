"""`model.onnx` → the steps of one network."""

from __future__ import annotations

from typing import Any

from olhar.native.graph_reader import Reader
from olhar.native.operators import OPERATORS
from olhar.native.steps import Network


def read_network(content: bytes) -> Network:
    """The bytes of a `model.onnx` → its network.

    Raises:
        ConfigError: it has an operator that there is no C for; it is named with its layer.
        ModelError: it is no graph of olhar's.
    """
    import onnx

    graph = onnx.load_from_string(content).graph
    reader = Reader(graph, OPERATORS)
    for node in graph.node:
        _read(reader, node)
    return reader.network([output.name for output in graph.output])


def _read(reader: Reader, node: Any) -> None:
    if node.name == "views" or node.name.startswith("views."):
        for output in node.output:  # one view stands for all of them
            reader.alias[output] = node.input[0]
        return
    read = OPERATORS.get(node.op_type)
    if read is None:
        reader.refuse(node)
        return
    read(reader, node, _attributes(node))


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}
