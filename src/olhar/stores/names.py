"""Names of models, data sets and tags: what every store, file system and URL can carry.

ASCII only, so that no two names look alike; the names that Windows keeps for devices are refused
everywhere, so that a store can be copied anywhere.
"""

from __future__ import annotations

import re
import unicodedata

from olhar.errors import ConfigError
from olhar.i18n import Text, _

LONGEST_NAME = 100
LATEST = "latest"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_DEVICES = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
_LONGEST_PATH, _LONGEST_PART, _DEEPEST = 400, 200, 20
_NOT_ON_WINDOWS = frozenset('\\:*?"<>|')
_DEVICE_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))}
)


def is_name(name: str) -> bool:
    """Whether a model, data set or file may be called so."""
    fits = len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None
    return fits and _DEVICES.fullmatch(name) is None


def check_name(name: str, what: Text) -> str:
    """The name itself, where it may be one.

    Raises:
        ConfigError: it may not.
    """
    if not is_name(name):
        near = suggest_name(name)
        raise ConfigError(
            _(
                "{given} cannot be {what}; allowed: letters a-z, digits, and . _ - between them, "
                "at most {longest} characters, such as {near}",
                given=_shown(name),
                what=what,
                longest=LONGEST_NAME,
                near=near,
            )
        )
    return name


def check_tag(tag: str) -> str:
    """The tag itself, where it may be one: a name that cannot be taken for a version.

    Raises:
        ConfigError: it may not.
    """
    check_name(tag, _("a tag"))
    if tag.isdigit() or tag == LATEST:
        raise ConfigError(
            _(
                "'{tag}' cannot be a tag, because @{tag} means a version; allowed: a name such as "
                "production",
                tag=tag,
            )
        )
    return tag


def suggest_name(name: str) -> str:
    """A name that is allowed and like the one given."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)[:LONGEST_NAME].strip("._-")
    return words if is_name(words) else "my-model"


def _shown(name: str) -> str:
    """As text on a terminal, short, with what cannot be seen made visible."""
    return ascii(name if len(name) <= 60 else name[:57] + "...")


def is_portable(path: str) -> bool:
    """Whether a relative path with slashes stays in its folder, on every system."""
    parts = path.split("/")
    fits = len(path) <= _LONGEST_PATH and len(parts) <= _DEEPEST
    return fits and all(_is_portable_part(part) for part in parts)


def _is_portable_part(part: str) -> bool:
    if not part or part.endswith((".", " ")) or len(part.encode(errors="replace")) > _LONGEST_PART:
        return False
    if any(letter in _NOT_ON_WINDOWS or not letter.isprintable() for letter in part):
        return False
    return part.split(".", maxsplit=1)[0].strip().lower() not in _DEVICE_NAMES


def portable_part(name: str) -> str:
    """A folder's or file's name that every system can have, as like to `name` as can be."""
    letters = (
        "_" if letter in _NOT_ON_WINDOWS or letter == "/" or not letter.isprintable() else letter
        for letter in name
    )
    near = "".join(letters).rstrip(". ")
    near = near.encode()[:_LONGEST_PART].decode(errors="ignore").rstrip(". ")
    if near.startswith(".") or not near:  # would be hidden
        near = f"_{near}"
    return near if _is_portable_part(near) else f"_{near}"[:_LONGEST_PART]
