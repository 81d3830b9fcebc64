"""What olhar needs, by extra, as its own metadata says it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.errors import unknown_name
from olhar.i18n import _

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_NO_EXTRAS_OF_A_USER = frozenset({"all", "dev", "docs"})
SOURCE = Path(__file__).parents[3]  # where olhar runs from a checkout


@dataclass(frozen=True)
class Needs:
    """What olhar declares.

    Attributes:
        requires: PEP 508 requirements, those of extras with `extra == "name"` in their marker.
        extras: names of the extras that a user would ask for.
    """

    requires: tuple[str, ...]
    extras: tuple[str, ...]

    def of(
        self, extras: Iterable[str] = (), environment: Mapping[str, str] | None = None
    ) -> list[Requirement]:
        """The requirements of the core and of `extras`.

        Args:
            extras: their names.
            environment: marker variables that differ from this Python's.
        """
        return select(self.requires, ["", *extras], environment)

    def of_extra(self, extra: str) -> list[Requirement]:
        """The requirements that an extra adds here."""
        core = {str(need) for need in self.of()}
        return [need for need in self.of([extra]) if str(need) not in core]


def select(
    requires: Iterable[str], extras: Iterable[str], environment: Mapping[str, str] | None = None
) -> list[Requirement]:
    """The requirements that hold where one of `extras` is asked for ("" for none)."""
    from packaging.requirements import Requirement

    chosen, extras = [], list(extras)
    for text in requires:
        need = Requirement(text)
        marker = need.marker
        if marker is None or any(
            marker.evaluate({**(environment or {}), "extra": extra}) for extra in extras
        ):
            chosen.append(need)
    return chosen


def read_needs() -> Needs:
    """From the installed metadata, or from pyproject.toml where olhar runs from its source."""
    try:
        own = metadata.metadata("olhar")
    except metadata.PackageNotFoundError:
        return _needs_of_source()
    requires, extras = own.get_all("Requires-Dist") or [], own.get_all("Provides-Extra") or []
    return Needs(tuple(map(str, requires)), _for_users(map(str, extras)))


def _needs_of_source() -> Needs:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requires = list(project["dependencies"])
    for extra, needs in project["optional-dependencies"].items():
        for need in needs:
            head, _semicolon, marker = need.partition(";")
            condition = f"({marker}) and " if marker else ""
            requires.append(f'{head}; {condition}extra == "{extra}"')
    return Needs(tuple(requires), _for_users(project["optional-dependencies"]))


def _for_users(extras: Iterable[str]) -> tuple[str, ...]:
    return tuple(extra for extra in extras if extra not in _NO_EXTRAS_OF_A_USER)


def check_extras(extras: Iterable[str], needs: Needs) -> tuple[str, ...]:
    """The extras, each once.

    Raises:
        UnknownNameError: one does not exist.
    """
    chosen = tuple(dict.fromkeys(extras))
    for extra in chosen:
        if extra not in needs.extras:
            raise unknown_name(_("extra"), extra, needs.extras)
    return chosen
