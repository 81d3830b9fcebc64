"""What is installed here, what works, how fast it is; each line with the next step.

Asks nobody: nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from olhar.classroom import checks
from olhar.classroom.leftovers import Leftover, find_leftovers
from olhar.classroom.libraries import Library, look_at_libraries
from olhar.classroom.requirements import check_extras, read_needs
from olhar.classroom.results import NOTE, OK, PROBLEM, Check
from olhar.classroom.speed_checks import check_speed
from olhar.i18n import Text, _, number
from olhar.progress import Progress

__all__ = ["Check", "Checkup", "examine"]


@dataclass(frozen=True)
class Checkup:
    """What was found.

    Attributes:
        checks: a line each.
        missing: requirements that a `--fix` would install.
        leftovers: in the cache, that a `--fix` would remove.
    """

    checks: tuple[Check, ...]
    missing: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return all(check.status != PROBLEM for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """As `doctor --json` prints it, in English whatever the language."""
        return {"ok": self.ok, "checks": [check.to_dict() for check in self.checks]}


def examine(
    extras: Sequence[str] = (), *, speed: bool = True, progress: Progress | None = None
) -> Checkup:
    """Look at everything.

    Args:
        extras: that are to be there, and the only ones looked at; by default all are looked at,
            and none has to be there.
        speed: measure, too, which takes some seconds.
        progress: hears of the stages.

    Raises:
        UnknownNameError: an extra that does not exist.
    """
    progress = progress or Progress()
    needs = read_needs()
    wanted = check_extras(extras, needs)
    progress.start(_("looking at libraries"), 3)
    libraries = look_at_libraries(needs, wanted or needs.extras)
    progress.advance(1)
    found = [checks.check_python(), checks.check_olhar()]
    missing: list[str] = []
    for extra, members in libraries.items():
        check = _check_libraries(extra, members, required=extra in {"", *wanted})
        found.append(check)
        if check.status == PROBLEM:
            missing += [library.wanted for library in members if not library.ok]
    found += checks.check_machine()
    leftovers = find_leftovers()
    found.append(_check_cache(leftovers))
    found += checks.check_data()
    progress.advance(2)
    if speed:
        works = {extra: all(library.ok for library in group) for extra, group in libraries.items()}
        found += check_speed(training=works.get("train", False), predicting=works[""])
    return Checkup(tuple(found), tuple(dict.fromkeys(missing)), tuple(leftovers))


def _check_libraries(extra: str, members: Sequence[Library], *, required: bool) -> Check:
    """A line for the core or an extra. One that is there in part is a problem: somebody wants it."""
    name = f"extra:{extra}" if extra else "core"
    facts = {
        library.name: {"version": library.version, "error": library.error} for library in members
    }
    shown = _("olhar itself") if not extra else f"olhar[{extra}]"
    bad = [library for library in members if not library.ok]
    if not bad:
        versions = ", ".join(f"{library.name} {library.version}" for library in members)
        text = _("{extra}: {versions}", extra=shown, versions=versions)
        return Check("installed", name, OK, text, None, facts)
    command = "pip install " + " ".join(f'"{library.wanted}"' for library in bad)
    step = _("{command}   (or: olhar doctor --fix)", command=command)
    if extra and not required and _is_absent(members):
        text = _("{extra}: not installed", extra=shown)
        return Check(
            "installed", name, NOTE, text, _("if you need it: {command}", command=command), facts
        )
    trouble = _trouble(bad[0])
    for library in bad[1:]:  # not joined as strings: a Text is translated when it is shown
        trouble = Text("{one}; {two}", {"one": trouble, "two": _trouble(library)})
    text = _("{extra}: {trouble}", extra=shown, trouble=trouble)
    return Check("installed", name, PROBLEM, text, step, facts)


def _is_absent(members: Sequence[Library]) -> bool:
    """Whether the first library, after which an extra is called, is not there, and none is broken."""
    return not members[0].version and not any(library.error for library in members)


def _trouble(library: Library) -> Text:
    if not library.version:
        return _("{name} is not installed", name=library.name)
    if not library.fits:
        return _(
            "{name} {version} is not among {wanted}",
            name=library.name,
            version=library.version,
            wanted=library.requirement.specifier,
        )
    return _(
        "{name} {version} cannot be imported ({error})",
        name=library.name,
        version=library.version,
        error=library.error,
    )


def _check_cache(leftovers: Sequence[Leftover]) -> Check:
    facts = {"leftovers": [str(leftover.path) for leftover in leftovers]}
    damaged = [leftover for leftover in leftovers if leftover.damaged]
    if not leftovers:
        return Check("works", "cache entries", OK, _("the cache is whole"), None, facts)
    size_mb = sum(leftover.size_bytes for leftover in leftovers) / 10**6
    if damaged:
        text = _(
            "{count} entries of the cache are damaged: {names}",
            count=len(damaged),
            names=", ".join(leftover.path.name for leftover in damaged),
        )
    else:
        text = _(
            "{count} leftovers of killed processes in the cache, {size} MB",
            count=len(leftovers),
            size=number(size_mb, 1),
        )
    step = _("olhar doctor --fix   (removes them; what is needed is made again)")
    return Check("works", "cache entries", PROBLEM if damaged else NOTE, text, step, facts)
