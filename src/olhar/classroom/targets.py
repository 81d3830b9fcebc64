"""The computers that a pack is for: system, processor, and version of Python."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olhar.errors import ConfigError, unknown_name
from olhar.i18n import _

_GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def _linux(machine: str) -> tuple[tuple[str, ...], dict[str, str]]:
    tags = (*(f"{tag}_{machine}" for tag in _GLIBC), f"linux_{machine}")
    return tags, _markers("linux", "Linux", "posix", machine)


def _markers(sys_platform: str, system: str, os_name: str, machine: str) -> dict[str, str]:
    return {
        "sys_platform": sys_platform,
        "platform_system": system,
        "os_name": os_name,
        "platform_machine": machine,
    }


# pip's platform tags, and the marker variables of PEP 508.
_SYSTEMS: Mapping[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "linux": _linux("x86_64"),
    "linux-arm": _linux("aarch64"),
    "windows": (("win_amd64",), _markers("win32", "Windows", "nt", "AMD64")),
    "macos": (("macosx_15_0_arm64",), _markers("darwin", "Darwin", "posix", "arm64")),
    "macos-intel": (("macosx_15_0_x86_64",), _markers("darwin", "Darwin", "posix", "x86_64")),
}
SYSTEMS = tuple(_SYSTEMS)


@dataclass(frozen=True)
class Target:
    """One kind of computer.

    Attributes:
        system: one of `SYSTEMS`, or as `platform` calls this computer where it is another.
        python: such as 3.11.
        tags: pip's platform tags; none where pip is to look at this Python.
        environment: marker variables (PEP 508) that differ from this Python's.
    """

    system: str
    python: str
    tags: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """For people and the manifest: `linux 3.11`."""
        return f"{self.system} {self.python}"


def choose_targets(systems: Sequence[str], pythons: Sequence[str]) -> tuple[Target, ...]:
    """Each system with each version of Python; by default this computer's.

    Raises:
        UnknownNameError: a system that is not among `SYSTEMS`.
        ConfigError: a version of Python that olhar does not run on.
    """
    for system in systems:
        if system not in _SYSTEMS:
            raise unknown_name(_("platform"), system, SYSTEMS)
    for python in pythons:
        match = re.fullmatch(r"3\.(\d{1,2})", python)
        if match is None or int(match[1]) < 11:
            raise ConfigError(
                _("--python is '{given}'; allowed: 3.11 or later, such as 3.12", given=python)
            )
    return tuple(
        _target(system, python)
        for system in dict.fromkeys(systems or [_this_system()])
        for python in dict.fromkeys(pythons or [_HERE])
    )


def _target(system: str, python: str) -> Target:
    if (system, python) == (_this_system(), _HERE):
        return Target(system, python, (), {})
    if system not in _SYSTEMS:
        raise unknown_name(_("platform"), system, SYSTEMS)
    tags, markers = _SYSTEMS[system]
    versions = {"python_version": python, "python_full_version": f"{python}.0"}
    return Target(system, python, tags, {**markers, **versions})


def _this_system() -> str:
    for name, (_tags, markers) in _SYSTEMS.items():
        here = (platform.system(), platform.machine())
        if (markers["platform_system"], markers["platform_machine"]) == here:
            return name
    return f"{platform.system()} {platform.machine()}".lower()
