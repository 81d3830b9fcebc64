"""The wheels of olhar and of all that it needs, for each target, at the versions installed here.

What a wheel needs is read in its own metadata, with the marker variables of the target: pip would
evaluate them for the Python that it runs in, and leave out what only Windows needs.
"""

from __future__ import annotations

import email
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.classroom.own_wheel import build_own_wheel
from olhar.classroom.pip import run_pip
from olhar.classroom.requirements import Needs, select
from olhar.classroom.targets import Target
from olhar.errors import ConfigError, explain_os_errors
from olhar.i18n import _
from olhar.progress import Progress

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_CPU = "+cpu"


def pinned_versions(target: Target) -> dict[str, str]:
    """The versions installed here, by normalised name, as the target can have them.

    PyTorch is always the build for the processor alone: on Linux that is the one labelled +cpu,
    elsewhere the one without a label.
    """
    from packaging.utils import canonicalize_name

    pins = {}
    for found in metadata.distributions():
        if found.name and found.version:
            pins[str(canonicalize_name(found.name))] = found.version
    pins.pop("olhar", None)
    if "torch" in pins:
        plain = pins["torch"].partition("+")[0]
        pins["torch"] = plain + _CPU if target.system == "linux" else plain
    return pins


def installed_closure(needs: Needs, extras: Sequence[str], target: Target) -> dict[str, str]:
    """What a pack would hold, as far as it is installed here: version by name. Asks nobody.

    A library that is needed and not installed here has the version "".
    """
    from packaging.utils import canonicalize_name

    pins, found = pinned_versions(target), {}
    waiting = [(need, "") for need in needs.of(extras, target.environment)]
    seen: set[str] = set()
    while waiting:
        need, _parent = waiting.pop()
        key = f"{canonicalize_name(need.name)}[{','.join(sorted(need.extras))}]"
        if key in seen:
            continue
        seen.add(key)
        name = str(canonicalize_name(need.name))
        found[name] = pins.get(name, "")
        if name in pins:
            inner = select(metadata.requires(name) or [], ["", *need.extras], target.environment)
            waiting += [(other, name) for other in inner]
    return dict(sorted(found.items()))


@dataclass
class _Collection:
    """The wheels of one target that are there, and what of each has been followed."""

    folder: Path
    wheels: dict[str, Path] = field(default_factory=dict)
    followed: set[tuple[str, str]] = field(default_factory=set)

    def refresh(self) -> None:
        from packaging.utils import parse_wheel_filename

        for path in self.folder.glob("*.whl"):
            self.wheels[str(parse_wheel_filename(path.name)[0])] = path


def collect_wheels(
    folder: Path, needs: Needs, extras: Sequence[str], targets: Sequence[Target], progress: Progress
) -> list[Path]:
    """Fetch all wheels into `folder`, which exists and is empty.

    Raises:
        DownloadError: pip cannot get one.
        ConfigError: no wheel can be made of olhar itself.
    """
    own = build_own_wheel(folder)
    for target in targets:
        with explain_os_errors(folder), tempfile.TemporaryDirectory(dir=folder) as aside:
            there = _Collection(Path(aside))
            level = needs.of(extras, target.environment)
            while level:
                _fetch(level, there, target, progress)
                level = _next_level(level, there, target)
            for path in there.wheels.values():
                path.replace(folder / path.name)
    return [own, *sorted(path for path in folder.glob("*.whl") if path != own)]


def _fetch(
    level: Iterable[Requirement], there: _Collection, target: Target, progress: Progress
) -> None:
    from packaging.utils import canonicalize_name

    wanted: dict[str, str] = {}
    for need in level:
        name = str(canonicalize_name(need.name))
        if name not in there.wheels:
            wanted[name] = ",".join(filter(None, (wanted.get(name, ""), str(need.specifier))))
    if not wanted:
        return
    progress.note(
        _("fetching for {target}: {names}", target=target.name, names=", ".join(sorted(wanted)))
    )
    requirements, constraints = there.folder / "wanted.txt", there.folder / "constraints.txt"
    pins = pinned_versions(target)
    requirements.write_text("".join(f"{n}{spec}\n" for n, spec in wanted.items()), encoding="utf-8")
    constraints.write_text("".join(f"{n}=={v}\n" for n, v in pins.items()), encoding="utf-8")
    files = ["--requirement", str(requirements), "--constraint", str(constraints)]
    words = ["wheel", "--no-deps", "--wheel-dir", str(there.folder), *files]
    if target.tags:
        tags = [word for tag in target.tags for word in ("--platform", tag)]
        python = ["--python-version", target.python, "--implementation", "cp"]
        words = ["download", "--no-deps", "--only-binary=:all:", "--dest", str(there.folder)]
        words += [*tags, *python, *files]
    run_pip(words, _what(wanted, pins, target))
    there.refresh()


def _what(wanted: Iterable[str], pins: Mapping[str, str], target: Target) -> str:
    named = ", ".join(f"{name} {pins[name]}" if name in pins else name for name in sorted(wanted))
    return f"{named} ({target.name})"


def _next_level(
    level: Iterable[Requirement], there: _Collection, target: Target
) -> list[Requirement]:
    """What the wheels of this level need in their turn."""
    from packaging.utils import canonicalize_name

    found = []
    for need in level:
        name = str(canonicalize_name(need.name))
        for extra in ("", *need.extras):
            if (name, extra) not in there.followed:
                there.followed.add((name, extra))
                found += select(_requires(there.wheels[name]), [extra], target.environment)
    return found


def _requires(wheel: Path) -> list[str]:
    """The Requires-Dist lines of a wheel."""
    try:
        with explain_os_errors(wheel), zipfile.ZipFile(wheel) as archive:
            inside = next(
                name
                for name in archive.namelist()
                if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
            )
            head = email.message_from_bytes(archive.read(inside))
    except (zipfile.BadZipFile, StopIteration) as error:
        raise ConfigError(
            _("the wheel {file} that pip brought is damaged; try again", file=wheel.name)
        ) from error
    return [str(line) for line in head.get_all("Requires-Dist") or []]
