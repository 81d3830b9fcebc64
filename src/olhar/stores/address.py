"""Addresses: which store, which name in it, which version.

    ./store/cifar@3                       a folder
    file:///srv/models/cifar@3
    s3://bucket/prefix/cifar@production
    mongodb://host/database/cifar@3?tls=true

An address is the store's URL, a slash, `name[@version]`; a query stays at the end. A version is a
number, a tag or `latest`, which is also what no version means. Login data may stand in a MongoDB
URL; what is shown to anybody, or written anywhere, is never the URL but `shown`.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.shown import hide_secrets, is_hidden, is_misspelt_address
from olhar.stores.names import LATEST, check_name, check_tag

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:/ is a drive
_FORMS = "./folder, file:///folder, s3://bucket/prefix, mongodb://host/database"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True)
class StoreUrl:
    """Where a store is.

    Attributes:
        kind: "folder", "s3" or "mongodb".
        url: as given, login data included; for the store itself only.
        shown: without login data; for messages, results and files.
        place: the folder, the bucket or the database.
        prefix: where in the bucket; "" elsewhere.
    """

    kind: str
    url: str
    shown: str
    place: str
    prefix: str = ""

    def __repr__(self) -> str:
        return f"StoreUrl({self.shown!r})"

    def address(self, name: str, version: int | str) -> str:
        """The address of a version in this store."""
        body, mark, query = self.shown, "", ""
        if self.kind == "mongodb":
            body, mark, query = self.shown.partition("?")
        return f"{body.removesuffix('/')}/{name}@{version}{mark}{query}"


@dataclass(frozen=True)
class Address:
    """A name in a store, and perhaps a version; None means the latest."""

    store: StoreUrl
    name: str
    version: str | None = None

    @property
    def shown(self) -> str:
        """Without login data."""
        return self.store.address(self.name, self.version or LATEST)


def parse_store(text: str) -> StoreUrl:
    """The store that a URL or path names; nothing is opened.

    Raises:
        ConfigError: no store can be called so.
    """
    _require_certain(text)
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else "file"
    if not found:
        return _folder(text, text)
    if scheme == "file":
        return _folder(_path_of(text), text)
    if scheme == "s3":
        return _s3(text)
    if scheme in {"mongodb", "mongodb+srv"}:
        return _mongodb(text)
    raise ConfigError(
        _(
            "there is no kind of store called '{scheme}'; allowed: {forms}",
            scheme=scheme,
            forms=_FORMS,
        )
    )


def parse_address(text: str) -> Address:
    """The parts of an address; nothing is opened.

    Raises:
        ConfigError: it is no address.
    """
    _require_certain(text)
    body, mark, query = text, "", ""
    if re.match(r"mongodb(\+srv)?://", text, re.IGNORECASE):
        body, mark, query = text.partition("?")
    if _SCHEME.match(text):
        head, _slash, tail = body.rstrip("/").rpartition("/")
        head = f"{head}/" if head.lower() == "file://" else head
    else:
        head, tail = str(Path(text).parent), Path(text).name
    name, at, version = tail.rpartition("@")
    if not at:
        name, version = tail, ""
    is_short = is_url(text) and not is_url(head)  # a bucket or a host alone
    if is_short or not name or (at and not version) or (is_url(text) and "?" in body):
        raise _malformed(text)
    store = parse_store(head + mark + query)
    check_name(name, _("the name of a model or data set"))
    if at and not version.isdecimal() and version != LATEST:
        check_tag(version)
    return Address(store, name, version if at and version != LATEST else None)


def is_url(text: str) -> bool:
    """Whether a text has the form scheme://…"""
    return _SCHEME.match(text) is not None


def _folder(path: str, text: str) -> StoreUrl:
    if not path.strip() or "\0" in path:
        raise _malformed(text)
    return StoreUrl("folder", text, text, str(Path(path).expanduser()))


def _path_of(text: str) -> str:
    host, slash, path = text[len("file://") :].partition("/")
    if host not in {"", "localhost"} or not slash:
        raise _malformed(text)
    from urllib.request import url2pathname  # brings http.client and email: costly to import

    return url2pathname(f"/{path}")


def _s3(text: str) -> StoreUrl:
    body = text[len("s3://") :]
    bucket, _slash, prefix = body.partition("/")
    parts = [part for part in prefix.split("/") if part]
    if not _BUCKET.fullmatch(bucket) or any(part in {".", ".."} for part in parts):
        raise _malformed(text)
    prefix = "/".join(parts)
    shown = f"s3://{bucket}/{prefix}".rstrip("/")
    return StoreUrl("s3", shown, shown, bucket, prefix)


def _mongodb(text: str) -> StoreUrl:
    body = text.partition("?")[0]
    hosts, _slash, database = body.partition("://")[2].rstrip("/").partition("/")
    database = urllib.parse.unquote(database)
    if not hosts or not database or re.search(r'[/\\. "$*<>:|?\0@]', database):
        raise _malformed(text)
    return StoreUrl("mongodb", text, hide_secrets(text), database)


def _require_certain(text: str) -> None:
    """Refuse an address whose login cannot be told from the rest, and what only looks like an address."""
    if is_misspelt_address(text):
        raise _malformed(text)
    if not is_hidden(text):
        return
    if text.lower().startswith("s3:"):
        raise ConfigError(
            _(
                "login data does not belong into an s3:// address, because addresses are shown; set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and write s3://bucket/prefix"
            )
        )
    raise ConfigError(
        _(
            "'{given}': it cannot be told where the login ends in this address; escape its letters: in "
            "a user name or password write / ? # @ : and % as %2F %3F %23 %40 %3A and %25, and behind "
            "a host without a point its port; or leave the login out and set OLHAR_MONGODB_USERNAME "
            "and OLHAR_MONGODB_PASSWORD; a store is {forms}",
            given=hide_secrets(text),
            forms=_FORMS,
        )
    )


def _malformed(text: str) -> ConfigError:
    return ConfigError(
        _(
            "'{given}' is no address of a store; a store is {forms}; a model in it has /name or "
            "/name@version behind that",
            given=hide_secrets(text).replace("\0", "\\0"),
            forms=_FORMS,
        )
    )
