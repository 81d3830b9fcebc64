"""Links of the chain outside of Python: the C of `olhar export --format c`, and the engine of a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import ONNX, Classifier
from olhar.errors import OlharError
from olhar.i18n import Text, _
from olhar.native.answers import mean_over_views, probabilities, views_of
from olhar.native.engine import Engine
from olhar.native.graph import read_network
from olhar.native.host import require_compiler
from olhar.native.packing import pack_network
from olhar.native.stepping import compute_values, operators
from olhar.native.steps import Network
from olhar.native.stripping import onnx_values
from olhar.pipeline.rebuilding import require_libraries
from olhar.verify.links import DIFFERS, SKIPPED, Answers, Item, Link, answers_from_probs, compare

_LAYER_TOLERANCE = 1e-3  # of the greatest number of a layer
_MOST_MACS = 20_000_000_000  # multiply-adds in all, about ten seconds

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Compute = Callable[[Pixels], Floats]  # (H, W, C) uint8 -> logits
Values = Callable[[Pixels], Mapping[str, Floats]]


def c_link(classifier: Classifier, items: Sequence[Item], onnx: Answers) -> Link:
    """The operators in C, compiled on this machine and called step by step, against `model.onnx`."""

    def open_c(network: Network) -> tuple[Compute, Values]:
        require_compiler()
        operators()  # compiled here, so that a machine that cannot is told once

        def values(pixels: Pixels) -> Mapping[str, Floats]:
            return compute_values(network, pixels)

        return lambda pixels: values(pixels)[network.logits], values

    return _engine_link("c", open_c, classifier, items, onnx)


def web_link(classifier: Classifier, items: Sequence[Item], onnx: Answers) -> Link:
    """The engine of the page, `olhar.wasm`, run by wasmtime, against `model.onnx`."""

    def open_web(network: Network) -> tuple[Compute, Values]:
        engine = Engine(pack_network(network, "fp32"))

        def values(pixels: Pixels) -> Mapping[str, Floats]:
            steps = range(1, len(network.steps) + 1)
            return {
                network.steps[count - 1].output: engine.value(pixels, network, count)
                for count in steps
            }

        return engine.logits, values

    return _engine_link("web", open_web, classifier, items, onnx)


def _engine_link(
    name: str,
    open_engine: Callable[[Network], tuple[Compute, Values]],
    classifier: Classifier,
    items: Sequence[Item],
    onnx: Answers,
) -> Link:
    link = Link(name, "onnx", SKIPPED)
    if classifier.config.precision != "fp32":
        note = _("an {precision} model has no C", precision=classifier.config.precision)
        return dataclasses.replace(link, note=note)
    try:
        require_libraries("onnx")
        content = (classifier.folder / ONNX).read_bytes()
        network = read_network(content)
        compute, values = open_engine(network)
    except OlharError as error:  # no compiler, no wasmtime, or an operator without C
        return dataclasses.replace(link, note=error.message)
    views, answers = classifier.config.views, []
    one = network.macs * len(views_of(items[0].pixels.transpose(1, 2, 0), views))
    items = items[: max(1, _MOST_MACS // one)]
    for item in items:
        pixels = np.ascontiguousarray(item.pixels.transpose(1, 2, 0))
        answers.append(probabilities(mean_over_views(compute, pixels, views), network))
    found = answers_from_probs(np.stack(answers), classifier.class_names)
    expected = onnx.first(len(items))
    made = compare(name, "onnx", found, expected, items, classifier.class_names)
    if made.status == DIFFERS:
        note = _first_layer(content, network, made, items, values)
        made = dataclasses.replace(made, note=note)
    return made


def _first_layer(
    content: bytes, network: Network, link: Link, items: Sequence[Item], values: Values
) -> Text:
    """The first layer whose numbers are others, for the input that differs most."""
    assert link.difference is not None
    item = next(item for item in items if item.name == link.difference.input)
    pixels = np.ascontiguousarray(item.pixels.transpose(1, 2, 0))
    layer = first_difference(content, network, pixels, values)
    if layer is None:
        return _("no layer differs; views, temperature or softmax do")
    return _("the first layer that differs is {layer}", layer=layer)


def first_difference(
    content: bytes, network: Network, pixels: Pixels, values: Values | None = None
) -> str | None:
    """The first layer where an engine and ONNX Runtime part, by its name in `model.onnx`.

    Args:
        content: `model.onnx`.
        network: what was read from it.
        pixels: (H, W, C) uint8.
        values: gives what the engine computes for each step, by its output; by default the C does.
    """
    found = values(pixels) if values else compute_values(network, pixels)
    expected = onnx_values(content, network, pixels)
    for step in network.steps:
        if step.output not in expected:
            continue
        # What clips may stand behind the layer in the graph, and in the layer here.
        wanted = np.clip(expected[step.output], step.low, step.high)
        most = max(1.0, float(np.abs(wanted).max()))
        if not np.abs(found[step.output] - wanted).max() <= _LAYER_TOLERANCE * most:
            return step.name
    return None
