"""Web addresses in the place of a file: olhar reads none, and says how to fetch what lies there."""

from __future__ import annotations

import re

from olhar.errors import ConfigError
from olhar.i18n import _

_WEB = re.compile(
    r"(?i)\W*((?:https?|ftps?):/{1,2}[^\s'\"]+)"
)  # one slash: a path has swallowed the other
_STORES = re.compile(r"(?i)(?:gs|gcs|az|abfss?|hf|dbfs|hdfs|kaggle)://\S+")


def refuse_web_address(text: str) -> None:
    """Refuse the address of a page or file of the web where a file of this computer is wanted.

    Raises:
        ConfigError: it is one.
    """
    found = _WEB.fullmatch(text.strip())
    if found:
        raise ConfigError(
            _(
                "'{address}' is a web address, and olhar reads files of this computer alone; download "
                "it first, curl -L -O ADDRESS, and give the file (unpack nothing: archives are read)",
                address=_whole(found[1]),
            )
        )
    if _STORES.fullmatch(text.strip()):
        raise ConfigError(
            _(
                "'{address}' lies in a place that olhar does not read; download it first with that "
                "place's own program, and give the file or folder",
                address=text.strip(),
            )
        )


def _whole(address: str) -> str:
    """With both slashes, which a path has not."""
    scheme, _colon, rest = address.partition(":")
    return f"{scheme}://{rest.lstrip('/')}"
