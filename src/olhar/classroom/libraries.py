"""Which libraries are installed, in which version, and whether they can be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from olhar.classroom.requirements import Needs

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_IMPORT_S = 180
# Where the name to import is not that of the distribution.
_MODULES = {
    "markdown-it-py": "markdown_it",
    "mlflow-skinny": "mlflow",
    "pillow": "PIL",
    "psycopg2-binary": "psycopg2",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}


@dataclass(frozen=True)
class Library:
    """What is known of one.

    Attributes:
        requirement: as olhar declares it.
        version: that is installed; "" where it is not.
        fits: whether that version is one that olhar allows.
        error: what its import ends with; "" where it succeeds or was not tried.
    """

    requirement: Requirement
    version: str
    fits: bool
    error: str = ""

    @property
    def name(self) -> str:
        """Of the distribution."""
        return self.requirement.name

    @property
    def wanted(self) -> str:
        """For pip: the requirement without its marker, which would say that the extra is not asked for."""
        extras = f"[{','.join(sorted(self.requirement.extras))}]" if self.requirement.extras else ""
        return f"{self.name}{extras}{self.requirement.specifier}"

    @property
    def ok(self) -> bool:
        """Whether it can be used."""
        return bool(self.version) and self.fits and not self.error


def look_at_libraries(needs: Needs, extras: Sequence[str]) -> dict[str, list[Library]]:
    """The libraries of the core ("") and of extras; those that are installed are imported, elsewhere."""
    groups = {"": needs.of(), **{extra: needs.of_extra(extra) for extra in extras}}
    versions = {need.name: _version(need.name) for found in groups.values() for need in found}
    modules = {name: _module(name) for name, version in versions.items() if version}
    errors = try_imports(list(dict.fromkeys(modules.values())))
    return {
        extra: [
            Library(
                need,
                versions[need.name],
                need.specifier.contains(versions[need.name] or "0", prereleases=True),
                errors.get(modules.get(need.name, ""), ""),
            )
            for need in found
        ]
        for extra, found in groups.items()
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _module(name: str) -> str:
    return _MODULES.get(name.lower(), name.replace("-", "_"))


def try_imports(modules: Sequence[str]) -> dict[str, str]:
    """The error of each module's import, "" where there is none.

    They are imported in one process, and in another where one of them has ended it.
    """
    errors: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        ended = _import(waiting, errors)
        left = [name for name in waiting if name not in errors]
        if left:  # the first of these ended the process
            errors[left[0]] = ended
        waiting = left[1:]
    return errors


def _import(modules: Sequence[str], errors: dict[str, str]) -> str:
    """Fill `errors` as far as one process gets; returns how it ended."""
    command = [sys.executable, "-P", "-m", "olhar.classroom.probe", *modules]
    try:
        done = subprocess.run(  # noqa: S603  this Python itself
            command, capture_output=True, timeout=_IMPORT_S, check=False
        )
        said, ended = done.stdout, f"exit status {done.returncode}"
    except subprocess.TimeoutExpired as error:
        said, ended = error.stdout or b"", f"more than {_IMPORT_S} s"
    for line in said.decode(errors="replace").splitlines():
        row = json.loads(line) if line.endswith("}") else {}
        if "name" in row:
            errors[row["name"]] = row["error"]
    return ended
