"""A saved model → one HTML file that shows it anywhere, proved before it appears."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from olhar.classifier import ONNX, Classifier
from olhar.datasets import spread
from olhar.errors import ConfigError, ExportError, explain_os_errors, unknown_name
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.native.answers import views_of
from olhar.native.engine import Engine, has_engine
from olhar.native.graph import read_network
from olhar.native.packing import pack_network
from olhar.native.steps import Network
from olhar.native.stripping import without_views
from olhar.native.thinning import thin
from olhar.native.web import WebModel, write_page
from olhar.pipeline.exported import (
    Exported,
    Request,
    check_drop,
    measure_accuracy,
    open_data,
    share_right,
)
from olhar.pipeline.measuring import predict_split
from olhar.pipeline.rebuilding import read_golden, require_libraries
from olhar.pipeline.web_card import PageFacts, short_card
from olhar.preprocess import compute_rows

TOLERANCES = {"fp32": 1e-4, "fp16": 5e-3}  # in a golden probability
VIEWS = ("own", "none")
_MOST_MACS, _FEWEST = 60_000_000_000, 100


@dataclass(frozen=True)
class ExportedWeb(Exported):
    """A model as a page; `largest_difference` is None where wasmtime is not installed to run its engine.

    Attributes:
        views: over which an answer is a mean.
        accuracy: on test images, where the weights are int8 or the views not the model's own.
        accuracy_of_run: of the model as it is, measured beside it.
        neighbours: training images that photos are compared with, where the model warns.
        agreement: on what share of the model's training images they warn as all of them do.
    """

    views: str = "none"
    accuracy: float | None = None
    accuracy_of_run: float | None = None
    neighbours: int | None = None
    agreement: float | None = None


def export_web(request: Request) -> ExportedWeb:
    """One HTML file; see `export_model`.

    Raises:
        ConfigError: no such views, or an operator that the page's engine has not.
        ExportError: the golden probabilities come out otherwise, or int8 is right too rarely.
        MissingExtraError: onnx is not installed, or for int8 wasmtime.
    """
    content, made = build_page(request)
    write_atomic(request.out, content)
    return made


def build_page(request: Request) -> tuple[bytes, ExportedWeb]:
    """The bytes of a page, and what is said of it."""
    require_libraries("onnx")
    classifier, precision = request.classifier, request.precision
    if request.views not in {None, *VIEWS}:
        raise unknown_name(_("views"), str(request.views), VIEWS)
    path = classifier.folder / ONNX
    with explain_os_errors(path):
        content = path.read_bytes()
    network = read_network(content)
    packed = pack_network(network, precision)
    reduced = precision == "int8"
    worst = None if reduced else _prove(classifier, network, packed, precision)
    own = classifier.config.views
    shown = "none" if request.views == "none" else own
    full = None if network.features is None else classifier.neighbours
    neighbours = None if full is None else thin(full)
    facts = PageFacts(precision, shown, neighbours=neighbours)
    if reduced:
        facts = _measured_here(request, network, packed, facts)
    elif shown != own:
        facts = _measured(request, content, facts)
    card = short_card(classifier, facts)
    model = WebModel(classifier, packed, shown, network.temperature, neighbours, card)
    page = write_page(model)
    return page, ExportedWeb(
        request.out,
        "web",
        len(page),
        worst,
        test_images=facts.test_images,
        precision=precision,
        views=shown,
        accuracy=facts.accuracy,
        accuracy_of_run=facts.accuracy_of_run,
        neighbours=None if neighbours is None else len(neighbours.rows),
        agreement=None if neighbours is None else neighbours.agreement,
    )


def _prove(classifier: Classifier, network: Network, packed: bytes, precision: str) -> float | None:
    """How far the engine's golden probabilities are off, run by wasmtime; None where that is missing."""
    if not has_engine():
        return None
    images, expected = read_golden(classifier)
    found = Engine(packed).probabilities(images, network, classifier.config.views)
    worst = float(np.abs(found - expected).max())
    same = bool((found.argmax(1) == expected.argmax(1)).all())
    if worst <= TOLERANCES[precision] and same:
        return worst
    if precision == "fp16":
        raise ExportError(
            _(
                "with weights of 16 bits, golden probabilities come out otherwise by {worst}; at most "
                "{tolerance} and no other class is allowed. Give --precision fp32",
                worst=f"{worst:.1e}",
                tolerance=TOLERANCES[precision],
            )
        )
    raise ExportError(
        _(
            "the page differs from the model's golden probabilities by {worst}; at most {tolerance} is "
            "allowed. See where with: olhar verify",
            worst=f"{worst:.1e}",
            tolerance=TOLERANCES[precision],
        )
    )


def _measured(request: Request, content: bytes, facts: PageFacts) -> PageFacts:
    """With one view instead of the model's own, on the test images."""
    classifier, progress = request.classifier, request.progress
    dataset, splits = open_data(request)
    once = Classifier(
        classifier.folder,
        classifier.config,
        without_views(content).SerializeToString(),
        neighbours=classifier.neighbours,
    )
    accuracies = [measure_accuracy(one, dataset, splits, progress) for one in (classifier, once)]
    return dataclasses.replace(
        facts, accuracy=accuracies[1], accuracy_of_run=accuracies[0], test_images=len(splits.test)
    )


def _measured_here(
    request: Request, network: Network, packed: bytes, facts: PageFacts
) -> PageFacts:
    """The page's own engine on test images, as many as it computes in about half a minute."""
    engine = Engine(packed)
    dataset, splits = open_data(request)
    views = len(views_of(dataset.images[0], facts.views))
    count = min(max(_MOST_MACS // (network.macs * views), _FEWEST), len(splits.test))
    rows = spread(splits.test, count)
    if not len(rows):
        raise ConfigError(
            _(
                "int8 is measured on test images, and {data} has none. Give other data with --data",
                data=dataset.name,
            )
        )
    request.progress.start(_("measuring the page"), len(rows))
    probs = compute_rows(
        lambda inputs: engine.probabilities(inputs, network, facts.views).astype(np.float32),
        dataset.images,
        rows,
        request.progress,
    )
    after = share_right(probs, dataset, rows)
    model = predict_split(request.classifier, dataset, rows, request.progress)
    before = share_right(model, dataset, rows)
    check_drop("int8", after, before, len(rows), request.max_drop)
    return dataclasses.replace(facts, accuracy=after, accuracy_of_run=before, test_images=len(rows))
