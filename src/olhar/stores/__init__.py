"""Stores: where models and data sets are kept. A folder, S3, MongoDB: one contract for all.

    with open_store(parse_store("s3://bucket/models")) as store:
        manifest = publish.push_version(store, MODELS, "cifar", files, facts, progress)

Does not know: what a model or a data set is.
"""

from __future__ import annotations

from collections.abc import Callable

from olhar.errors import StoreError
from olhar.i18n import _
from olhar.stores.address import StoreUrl, parse_store
from olhar.stores.contract import CONNECT_S, PersistentStore, Store, within

__all__ = ["PersistentStore", "Store", "StoreUrl", "open_store", "parse_store"]


def open_store(url: StoreUrl | str) -> PersistentStore:
    """Open a store, and see that it answers; whatever is wrong is said within three seconds.

    Args:
        url: a folder, file:///…, s3://bucket/prefix, mongodb://host/database.

    Raises:
        ConfigError: no store can be called so.
        StoreError: it cannot be reached, refuses the login, or has no such bucket.
        NoPermissionError: it may not be read.
        MissingExtraError: the library for this kind of store is not installed.
    """
    place = parse_store(url) if isinstance(url, str) else url
    late = StoreError(
        _(
            "'{store}' does not answer in time; check the host's name, the port, and whether a "
            "firewall stands between",
            store=place.shown,
        )
    )

    build = _prepare(place)

    def connect() -> Store:
        store = build()
        try:
            store.read("olhar-store.json")
        except BaseException:
            store.close()
            raise
        return store

    return PersistentStore(within(CONNECT_S, connect, late))


def _prepare(url: StoreUrl) -> Callable[[], Store]:
    """What takes time on this computer alone, and is not to count as waiting for an answer."""
    if url.kind == "s3":
        from olhar.stores.s3 import S3Store
        from olhar.stores.s3_bucket import require_boto3

        require_boto3()
        client = S3Store(url)
        return lambda: client
    if url.kind == "mongodb":
        from olhar.stores.mongodb import MongoStore, require_pymongo

        require_pymongo()
        return lambda: MongoStore(url)
    from olhar.stores.folder import FolderStore

    return lambda: FolderStore(url)
