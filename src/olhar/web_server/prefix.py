"""The path under which a proxy shows a server, such as /olhar in https://example.org/olhar/.

Pages name their files and answers relative to where they are themselves, so that a proxy that takes the
path off again needs to say nothing. What must be said in full (in redirects, and in a page that is
opened without the slash at its end) is made of `--root-path`, or of the header X-Forwarded-Prefix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PREFIX = "olhar.prefix"  # key of the ASGI scope
_SANE = re.compile(r"(?:/[A-Za-z0-9._~@:=+-]+)+")


def clean_prefix(text: str) -> str:
    """A path without the slash at its end; "" for the root.

    Raises:
        ValueError: it is no plain path.
    """
    path = text.strip().rstrip("/")
    if path and (not _SANE.fullmatch(path) or {".", ".."} & set(path.split("/"))):
        raise ValueError
    return path


def without_prefix(scope: Mapping[str, Any], root_path: str) -> dict[str, Any]:
    """An ASGI scope whose path is that of the server itself; what was before it is kept as `PREFIX`.

    The proxy's header goes before `root_path`. A path that does not begin so was shortened by the proxy.
    """
    headers = dict(scope["headers"])
    try:
        given = headers.get(b"x-forwarded-prefix", b"").decode("latin-1").partition(",")[0]
        prefix = clean_prefix(given) or root_path
    except ValueError:
        prefix = root_path
    path: str = scope["path"]
    if prefix and path.startswith(f"{prefix}/"):
        path = path[len(prefix) :]
    return {**scope, "path": path, PREFIX: prefix}


def redirect_of(scope: Mapping[str, Any]) -> str | None:
    """Where to send a browser that asks for the prefix without the slash at its end."""
    prefix: str = scope[PREFIX]
    if not prefix or scope["path"] != prefix:
        return None
    query = scope["query_string"].decode("latin-1")
    return f"{prefix}/?{query}" if query else f"{prefix}/"


def place_page(content: bytes, prefix: str) -> bytes:
    """A page with its relative addresses made whole, where the prefix is known."""
    if not prefix:
        return content
    return re.sub(rb'(src|href)="(?![?#/]|https?:)', rb'\1="' + prefix.encode() + b"/", content)
