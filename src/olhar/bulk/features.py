"""The features of a photo, what the last layer of a network takes, as an output of model.onnx.

Models that warn of images unlike their classes have that output already (see outliers); to the graphs
of others it is added here, in memory.

Does not know: photos, or how a network was trained.
"""

from __future__ import annotations

from typing import Any

from olhar.classifier import ONNX, Classifier
from olhar.errors import MissingExtraError, ModelError
from olhar.i18n import _

_LAST = frozenset({"Gemm", "MatMul"})
_BEHIND = frozenset({"Softmax", "Div", "Add"})  # the temperature; a bias that stands by itself


def graph_with_features(classifier: Classifier) -> bytes | None:
    """The classifier's graph with its features as a second output; None where it has them already.

    Raises:
        MissingExtraError: the output must be added, and onnx is not installed.
        ModelError: the graph does not end in one layer that takes features.
    """
    if classifier.gives_features:
        return None
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError(
            _(
                "--features of this model needs onnx, which this installation does not have: "
                'pip install "olhar[train]"'
            )
        ) from error
    model = onnx.load_model_from_string((classifier.folder / ONNX).read_bytes())
    taken = _taken_by_last_layer(model.graph)
    if taken is None:
        raise ModelError(
            _(
                "'{path}' has no layer at its end that takes features, or gives them for several views "
                "of a photo; leave out --features",
                path=classifier.folder / ONNX,
            )
        )
    given = onnx.helper.make_tensor_value_info(taken, onnx.TensorProto.FLOAT, ["N", None])
    model.graph.output.append(given)
    return bytes(model.SerializeToString())


def _taken_by_last_layer(graph: Any) -> str | None:
    """The name of what the last dense layer takes, found from the probabilities backwards."""
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(graph.output[0].name)
    while node is not None and node.op_type in _BEHIND:
        node = next((makers[name] for name in node.input if name in makers), None)
    return str(node.input[0]) if node is not None and node.op_type in _LAST else None
