"""Objects in a bucket, or files below a folder: listed, read and fetched, behind one small contract.

    objects = open_objects("s3://bucket/photos/")
    for listed in objects.list():
        content = objects.read(listed.key)

An address without a slash at its end may also be that of one object; then it is the only one, and its
key is its name. Markers of folders, as consoles of buckets make them (keys that end in a slash), are
passed over.

Does not know: what is in an object, or where a fetched one belongs.
"""

from __future__ import annotations

from pathlib import Path

from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.objects.contract import ObjectChanged, Objects, StoredObject
from olhar.stores.address import parse_store

__all__ = ["ObjectChanged", "Objects", "StoredObject", "is_address", "open_objects"]

_SCHEMES = ("s3://", "file://")


def is_address(text: str) -> bool:
    """Whether a text has the form of an address of objects: s3://… or file://…"""
    return text.lower().startswith(_SCHEMES)


def open_objects(address: str) -> Objects:
    """The objects at an address; that it answers, and may be listed, is seen at once.

    Args:
        address: s3://bucket/prefix/, s3://bucket/key, file:///folder/, or the path of a folder.

    Raises:
        ConfigError: it is no such address.
        StoreError: the bucket is not there, cannot be reached, or refuses the login.
        NoPermissionError: it may not be listed.
        MissingFileError: there is no such folder.
        MissingExtraError: boto3 is not installed.
    """
    url = parse_store(address)
    if url.kind == "s3":
        from olhar.objects.bucket import open_bucket

        return open_bucket(url, is_folder=address.endswith("/"))
    if url.kind == "folder":
        from olhar.objects.folder import FolderObjects

        return FolderObjects(Path(url.place).absolute(), url.shown)
    raise ConfigError(
        _(
            "'{given}' has no objects to list; allowed: s3://bucket/prefix/, s3://bucket/key, "
            "file:///folder/",
            given=url.shown,
        )
    )
