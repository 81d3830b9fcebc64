"""What a page says of its model behind a button: a model card in short, as HTML, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from olhar._version import __version__
from olhar.card.analyses import split_title
from olhar.card.data import SOURCES
from olhar.card.facts import Facts, read_facts
from olhar.card.markdown import (
    Block,
    bullets,
    interval,
    number,
    percent,
    plain,
    stated,
)
from olhar.classifier import Classifier
from olhar.i18n import Text, _, using
from olhar.native.page_texts import TAGS
from olhar.native.thinning import Thinned
from olhar.run import Run, RunFolder
from olhar.run.report import Report

_MOST_NAMES = 40


@dataclass(frozen=True)
class PageFacts:
    """What a page is, beside its model.

    Attributes:
        precision: of its weights.
        views: what its answers are a mean over.
        accuracy: measured on test images, where weights or views are not the model's own.
        accuracy_of_run: of the model with its own views, measured beside it.
        test_images: on how many.
        neighbours: training images that it compares photos with, where it warns.
    """

    precision: str
    views: str
    accuracy: float | None = None
    accuracy_of_run: float | None = None
    test_images: int | None = None
    neighbours: Thinned | None = None


def short_card(classifier: Classifier, page: PageFacts) -> dict[str, str]:
    """HTML by the page's languages."""
    folder = RunFolder(classifier.folder.parent)
    facts = read_facts(folder) if folder.config.is_file() else None
    report = facts.measured if facts else _measured_beside(classifier)
    cards = {}
    for language, tag in TAGS.items():
        with using(tag):
            cards[language] = _html("\n\n".join(map(str, _blocks(classifier, facts, report, page))))
    return cards


def _html(markdown: str) -> str:
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink"])
    rendered: str = renderer.render(markdown)
    return rendered


def _measured_beside(classifier: Classifier) -> Report | None:
    """What lies beside a model that came from a store: its figures, without the settings of its run."""
    report = Run(classifier.folder.parent, lenient=True).measured
    same = report is not None and tuple(report.class_names) == classifier.class_names
    return report if same else None


def _blocks(
    classifier: Classifier, facts: Facts | None, report: Report | None, page: PageFacts
) -> list[Block]:
    said: Mapping[str, str] = facts.details if facts else {}
    return [
        *stated(said, "purpose"),
        _title(_("What it was trained on")),
        *_trained_on(classifier, facts),
        _title(_("How well it does")),
        *_how_well(classifier, report, page),
        _title(_("What it is not for")),
        *stated(said, "out_of_scope"),
        *_not_for(classifier),
        *stated(said, "limits"),
        _title(_("This page")),
        *_page(classifier, page),
    ]


def _title(text: Text) -> str:
    return f"### {text}"


def _trained_on(classifier: Classifier, facts: Facts | None) -> list[Block]:
    config = classifier.config
    name = Path(str(config.data.get("name", "?"))).name
    sizes = config.data.get("sizes") or {}
    names = [plain(classifier.shown_name(label)) for label in classifier.class_names[:_MOST_NAMES]]
    more = len(classifier.class_names) - len(names)
    rest = [str(_("and {n} more", n=number(more)))] if more else []
    blocks: list[Block] = []
    if facts is not None and facts.data_name in SOURCES:
        blocks.append(SOURCES[facts.data_name])
    if sizes:
        blocks.append(
            _(
                "{train} images of {data} taught it, {val} helped to choose among its states, and {test} "
                "were kept for measuring.",
                data=plain(name),
                train=number(int(sizes["train"])),
                val=number(int(sizes["val"])),
                test=number(int(sizes["test"])),
            )
        )
    blocks.append(_("It knows these classes: {names}.", names=", ".join([*names, *rest])))
    return blocks


def _how_well(classifier: Classifier, report: Report | None, page: PageFacts) -> list[Block]:
    blocks: list[Block] = []
    if report is None:
        blocks.append(_("Nothing that came with this model says how well it does."))
    else:
        blocks.append(
            _(
                "It is right for **{accuracy}** of {n} images of the {split} (95% interval: {interval}).",
                accuracy=percent(report.accuracy),
                n=number(report.n),
                split=split_title(report.split),
                interval=interval(report.intervals["accuracy"]),
            )
        )
        scores = [k for k, one in enumerate(report.per_class) if one["support"]]
        if len(scores) > 1:
            worst = min(scores, key=lambda k: report.per_class[k]["recall"])
            best = max(scores, key=lambda k: report.per_class[k]["recall"])
            names = [classifier.shown_name(label) for label in classifier.class_names]
            blocks.append(
                _(
                    "Of “{best}” it finds {high}, of “{worst}” {low}.",
                    best=plain(names[best]),
                    high=percent(report.per_class[best]["recall"], 1),
                    worst=plain(names[worst]),
                    low=percent(report.per_class[worst]["recall"], 1),
                )
            )
    if page.accuracy is not None and page.accuracy_of_run is not None:
        blocks.append(
            _(
                "Measured on {n} test images, this page is right for **{after}**, the model for {before}.",
                n=number(page.test_images or 0),
                after=percent(page.accuracy),
                before=percent(page.accuracy_of_run),
            )
        )
    return blocks


def _not_for(classifier: Classifier) -> list[Block]:
    config = classifier.config
    items: list[Block] = [
        _(
            "It gives every image one of its classes, whatever the image shows. It says nothing of where "
            "a thing is in the image, nor how many there are."
        )
    ]
    if config.threshold > 0:
        items.append(
            _(
                "Where its highest probability is below {threshold}, it says that it is not sure.",
                threshold=percent(config.threshold, 1),
            )
        )
    else:
        items.append(_("It never says that it is not sure: its threshold is 0."))
    name = Path(str(config.data.get("name", "?"))).name
    items.append(
        _(
            "Its figures hold for images like those of {data}. Measure it on your own before you rely "
            "on it.",
            data=plain(name),
        )
    )
    return [bullets(items)]


_PRECISIONS = {
    "fp32": _("numbers of 32 bits, as the model has them"),
    "fp16": _("numbers of 16 bits"),
    "int8": _("numbers of 8 bits, with a scale for each output"),
}


def _page(classifier: Classifier, page: PageFacts) -> list[Block]:
    blocks: list[Block] = [
        _(
            "The network runs in this browser, in WebAssembly. Its weights are {precision}. Nothing is "
            "sent, and nothing is loaded from elsewhere.",
            precision=_PRECISIONS[page.precision],
        )
    ]
    if page.neighbours is not None:
        blocks.append(
            _(
                "To warn of photos that show none of its classes, it compares a photo with {kept} "
                "training images, in 8 bits. On {share} of {n} training images it says what the whole "
                "model says.",
                kept=number(len(page.neighbours.rows)),
                share=percent(page.neighbours.agreement, 1),
                n=number(page.neighbours.compared),
            )
        )
    if page.views != classifier.config.views:
        blocks.append(
            _(
                "It looks at a photo once, where the model looks at several views of it and takes the mean."
            )
        )
    blocks.append(
        _(
            "Network: {network}, {size} × {size} pixels. Made by olhar {version}.",
            network=plain(classifier.config.network.get("name", "?")),
            size=classifier.preprocess.size,
            version=plain(__version__),
        )
    )
    return blocks
