"""A card put together, in each language, and written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from olhar.card.analyses import split_title
from olhar.card.details import write_details
from olhar.card.facts import Facts, read_facts
from olhar.card.front_matter import front_matter
from olhar.card.markdown import Block, interval, number, percent, plain
from olhar.card.sections import SECTIONS
from olhar.files import check_replaceable, write_atomic
from olhar.i18n import Text, _, using
from olhar.run import RunFolder

# File, language of olhar, language tag of the front matter.
CARDS = (
    (RunFolder("").card.name, "en", "en"),
    (RunFolder("").card_pt_br.name, "pt_BR", "pt"),
)


def write(folder: RunFolder, details: Mapping[str, str]) -> list[Path]:
    """See `olhar.card.write_card`."""
    read_facts(folder)  # refuses before anything is written
    for name, _language, _tag in CARDS:
        check_replaceable(folder.path / name)
    if details:
        write_details(folder, details)
    cards = render_cards(read_facts(folder))
    for path, text in cards.items():
        write_atomic(path, text)
    return list(cards)


def render_cards(facts: Facts) -> dict[Path, str]:
    """The text of each card by its path."""
    cards = {}
    for name, language, tag in CARDS:
        with using(language):
            cards[facts.folder.path / name] = _render(facts, tag)
    return cards


def _render(facts: Facts, tag: str) -> str:
    blocks: list[Block] = [front_matter(facts, tag), *_head(facts)]
    for title, section in SECTIONS:
        blocks += [f"## {title}", *section(facts)]
    return "\n\n".join(map(str, blocks)) + "\n"


def _head(facts: Facts) -> list[Block]:
    title = _(
        "# Image classifier: {data}, {network}",
        data=plain(facts.data_name),
        network=plain(facts.network.name),
    )
    made = _(
        "*Made by olhar from the files of this run alone. Do not edit it: say what only you know "
        "with `olhar card . --purpose TEXT` (see `olhar card --help`). `olhar card --check .` finds "
        "whatever does not match the run.*"
    )
    return [title, _("[Em português](README.pt-BR.md)"), _lead(facts), made]


def _lead(facts: Facts) -> Text:
    report = facts.measured
    if report:
        return _(
            "This model looks at an image and says which of {k} classes it shows. It is right for "
            "**{accuracy}** of {n} images of the {split} (95% interval: {interval}).",
            k=facts.network.num_classes,
            accuracy=percent(report.accuracy),
            n=number(report.n),
            split=split_title(report.split),
            interval=interval(report.intervals["accuracy"]),
        )
    if facts.model:
        return _(
            "> **This run was cut off before it was measured.** The model is there, its figures are "
            "not. Go on, in this folder, with: `olhar resume .`"
        )
    return _(
        "> **This run was cut off after {done} of {planned} epochs.** There is no model yet, and "
        "nothing was measured. Go on, in this folder, with: `olhar resume .`",
        done=len(facts.history),
        planned=facts.epochs,
    )
