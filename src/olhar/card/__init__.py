"""The model card of a run: `README.md` and `README.pt-BR.md`, made from the run alone.

The nine sections are those of Mitchell et al., "Model cards for model reporting", FAT* 2019. Does
not know: the images of a data set, or how a run is made. A card holds nothing that is not in the
run folder: what nobody has said is called not stated, with the way to state it (card.toml).

    details       card.toml: what people say of a model
    facts         everything a card is made of, read from the run folder and checked
    verdicts      convergence and overfitting, by written rules
    markdown      text, numbers and tables that no class name can break
    front_matter  the YAML that the Hugging Face Hub reads
    data          the sections on evaluation and training data
    search        how a sweep chose the run's settings
    analyses      the section of quantitative analyses
    sections      the other sections, and the order of all nine
    write         puts a card together and writes it
    check         does a card, and metrics.json, still say what the run says?
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from olhar.i18n import Text
    from olhar.run import RunFolder

__all__ = ["check_card", "write_card"]


def write_card(folder: RunFolder, *, details: Mapping[str, str] | None = None) -> list[Path]:
    """Write the cards of a run, finished or cut off.

    Args:
        folder: the run.
        details: what to add to card.toml first, by key (see `details.DETAILS`); an empty text takes
            a key away.

    Returns:
        The paths written: README.md, README.pt-BR.md.

    Raises:
        MissingFileError: this is no run folder.
        ModelError: a file of the run is damaged.
        ConfigError, UnknownNameError: card.toml or `details` hold what they may not.
    """
    from olhar.card.write import write

    return write(folder, details or {})


def check_card(folder: RunFolder) -> list[Text]:
    """What in a run's cards, metrics.json and model/ does not match the rest of the run.

    Nothing is written.

    Returns:
        A sentence for each difference, with what was found and expected; none if all is well.

    Raises:
        MissingFileError: this is no run folder.
    """
    from olhar.card.check import check

    return check(folder)
