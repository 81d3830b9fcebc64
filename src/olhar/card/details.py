"""`card.toml`: what people say of a model, and no run can know.

It stands in the run folder, holds text by key, and survives every regeneration of the card.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from olhar.errors import ConfigError, explain_os_errors, unknown_name
from olhar.files import decode_text, write_atomic
from olhar.i18n import Text, _

if TYPE_CHECKING:
    from olhar.run import RunFolder

FORMAT = 1
DETAILS: Mapping[str, Text] = MappingProxyType(
    {
        "purpose": _("what the model is for"),
        "users": _("who is meant to use it"),
        "out_of_scope": _("what it must not be used for"),
        "factors": _("groups, cameras, places, light… that may change how well it works"),
        "data": _("where the photos come from, and who labelled them"),
        "ethics": _("people in the photos, consent, harm that errors may do"),
        "limits": _("known limits and advice"),
        "authors": _("who made it"),
        "contact": _("where questions go"),
        "licence": _("licence of the model, such as apache-2.0"),
        "citation": _("how to cite it"),
    }
)


def read_details(folder: RunFolder) -> dict[str, str]:
    """The content of card.toml by key; empty where there is none.

    Raises:
        ConfigError: it is no TOML, or a value is no text.
        UnknownNameError: a key that means nothing.
    """
    path = folder.card_details
    with explain_os_errors(path):
        if not path.exists():
            return {}
        content = path.read_bytes()
    try:
        values = tomllib.loads(decode_text(content))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            _("'{path}' is not valid TOML: {reason}", path=path, reason=error)
        ) from error
    if values.pop("format", FORMAT) != FORMAT:
        raise ConfigError(
            _("'{path}' is of a newer format; this olhar reads format 1: update olhar", path=path)
        )
    return {key: text for key, text in _checked(values).items() if text}


def write_details(folder: RunFolder, details: Mapping[str, str]) -> None:
    """Add to card.toml; an empty text takes a key away.

    Raises:
        ConfigError: as `read_details`, or a text that is no Unicode.
    """
    import tomli_w

    before = read_details(folder)
    after = {key: text for key, text in (before | _checked(details)).items() if text}
    if after != before:
        write_atomic(folder.card_details, tomli_w.dumps({"format": FORMAT, **after}))


def _checked(values: Mapping[str, object]) -> dict[str, str]:
    """The values as stripped text; a list of texts is joined."""
    found = {}
    for key, value in values.items():
        if key not in DETAILS:
            raise unknown_name(_("entry of card.toml"), key, DETAILS)
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, str) and _is_unicode(part) for part in parts):
            raise ConfigError(
                _(
                    "{key} of card.toml is {given}; allowed: a text, or a list of texts",
                    key=key,
                    given=ascii(value),
                )
            )
        found[key] = ", ".join(map(str, parts)).strip()
    return found


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
