"""A store in a MongoDB database: small contents in one collection, files in GridFS.

    olhar.objects    {_id: key, content}: manifests, tags, claims; `_id` is unique, so that an insert
                     is a claim
    olhar.files      GridFS, named by key; a file appears with its last write, after all its chunks;
    olhar.chunks     a unique index on the name keeps one copy

Files are in GridFS because a document ends at 16 MB.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from olhar.errors import (
    ConfigError,
    MissingExtraError,
    NoPermissionError,
    OlharError,
    StorageError,
    StoreError,
    explain_os_errors,
)
from olhar.i18n import Text, _
from olhar.stores.address import StoreUrl
from olhar.stores.contract import Report, TransientStoreError
from olhar.stores.trouble import explain_connection, no_answer

_PIECE_BYTES = 4 * 2**20
_CHUNK_BYTES = 2**20
_CHUNKS_AT_ONCE = 8
_SELECT_S = 1.8  # within contract.CONNECT_S, so that the driver can say what it found
_SOCKET_S = 30.0
_LOGIN = frozenset({18, 8000, 4, 334})  # AuthenticationFailed, Atlas's own, UserNotFound…
_PERMISSION = frozenset({13, 31})
_NO_SPACE = frozenset({14031, 12501})  # OutOfDiskSpace, and a quota on Atlas


class MongoStore:
    """A database as a `Store`."""

    def __init__(self, url: StoreUrl) -> None:
        self.shown = url.shown
        with self._explained():
            self._client = _build_client(url.url)
            self._objects = self._client[url.place]["olhar.objects"]
            self._database = self._client[url.place]

    def read(self, key: str) -> bytes | None:
        """See `Store`."""
        with self._explained():
            found = self._objects.find_one({"_id": key})
            return None if found is None else bytes(found["content"])

    def write(self, key: str, content: bytes) -> None:
        """See `Store`."""
        from pymongo.errors import DuplicateKeyError

        with self._explained():
            try:
                self._objects.replace_one({"_id": key}, {"content": content}, upsert=True)
            except DuplicateKeyError:  # two made the document at once: now it is there
                self._objects.replace_one({"_id": key}, {"content": content})

    def claim(self, key: str) -> bool:
        """See `Store`."""
        from pymongo.errors import DuplicateKeyError

        with self._explained():
            try:
                self._objects.insert_one({"_id": key, "content": b""})
            except DuplicateKeyError:
                return False
            return True

    def has(self, key: str) -> bool:
        """See `Store`."""
        with self._explained():
            return self._database["olhar.files"].find_one({"filename": key}) is not None

    def upload(self, key: str, path: Path, report: Report) -> None:
        """See `Store`."""
        from gridfs.errors import FileExists

        with explain_os_errors(path), path.open("rb") as file, self._explained():
            self._database["olhar.files"].create_index("filename", unique=True)
            target = self._bucket().open_upload_stream(key)
            try:
                while piece := file.read(_PIECE_BYTES):
                    target.write(piece)
                    report(len(piece))
                target.close()
            except FileExists:  # another has uploaded the same file meanwhile
                target.abort()
            except BaseException:
                with suppress(Exception):  # the first error is the one to tell; see tidy()
                    target.abort()
                raise

    def download(self, key: str, path: Path, report: Report) -> bool:
        """See `Store`. A file that lacks chunks is as good as absent."""
        with explain_os_errors(path), self._explained():
            found = self._database["olhar.files"].find_one({"filename": key})
            if found is None:
                return False
            # GridFS itself asks for all chunks at once, and not every server splits so long an answer.
            chunks = self._database["olhar.chunks"].find(
                {"files_id": found["_id"]}, sort=[("n", 1)], batch_size=_CHUNKS_AT_ONCE
            )
            left = found["length"]
            with closing(chunks), path.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk["data"])
                    left -= len(chunk["data"])
                    report(len(chunk["data"]))
            return bool(left == 0)

    def keys(self, prefix: str) -> list[str]:
        """See `Store`."""
        # The first key that no longer begins with the prefix: "0" follows "/".
        span = {"$gte": prefix, "$lt": prefix[:-1] + "0"}
        with self._explained():
            small = [found["_id"] for found in self._objects.find({"_id": span}, {"_id": 1})]
            files = self._database["olhar.files"].find({"filename": span}, {"filename": 1})
            return sorted([*small, *(found["filename"] for found in files)])

    def remove(self, key: str) -> None:
        """See `Store`."""
        with self._explained():
            self._objects.delete_one({"_id": key})
            for found in list(self._database["olhar.files"].find({"filename": key}, {"_id": 1})):
                self._bucket().delete(found["_id"])

    def tidy(self) -> None:
        """See `Store`."""
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        with self._explained():
            named = set(self._database["olhar.files"].distinct("_id"))
            for owner in self._database["olhar.chunks"].distinct("files_id"):
                if owner not in named and owner.generation_time < yesterday:
                    self._database["olhar.chunks"].delete_many({"files_id": owner})

    def close(self) -> None:
        """See `Store`."""
        self._client.close()

    def _bucket(self) -> Any:
        from gridfs import GridFSBucket

        return GridFSBucket(self._database, bucket_name="olhar", chunk_size_bytes=_CHUNK_BYTES)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the errors of pymongo into ours."""
        from pymongo import errors

        try:
            yield
        except errors.ServerSelectionTimeoutError as error:
            raise self._unreachable() from error
        except errors.AutoReconnect as error:
            raise explain_connection(self.shown, error, _advice()) from error
        except errors.OperationFailure as error:
            raise self._refusal(error) from error
        except (errors.ConfigurationError, ValueError) as error:
            raise self._wrong_url(error) from error
        except errors.PyMongoError as error:
            raise StoreError(
                _(
                    "'{store}' cannot be used ({kind}); try again, or ask who runs the server",
                    store=self.shown,
                    kind=type(error).__name__,
                )
            ) from error

    def _unreachable(self) -> OlharError:
        """The cause that the driver found at each host, instead of its summary."""
        description = self._client.topology_description
        causes = [server.error for server in description.server_descriptions().values()]
        first = next((cause for cause in causes if cause is not None), None)
        if first is None:
            return no_answer(self.shown, _advice())
        return explain_connection(self.shown, first, _advice())

    def _wrong_url(self, error: Any) -> OlharError:
        """Names in DNS that mongodb+srv needs, or a URL that is none."""
        if type(error.__cause__).__module__.startswith("dns."):
            return explain_connection(self.shown, error, _advice())
        return ConfigError(
            _(
                "'{store}' is not a MongoDB address that the driver takes ({kind}); in a login "
                "write / ? @ : and % as %2F %3F %40 %3A and %25",
                store=self.shown,
                kind=type(error).__name__,
            )
        )

    def _refusal(self, error: Any) -> OlharError:
        if error.code in _LOGIN:
            return StoreError(
                _(
                    "'{store}' refuses the login; check the user name, the password and "
                    "?authSource=…; they come from the address or from OLHAR_MONGODB_USERNAME and "
                    "OLHAR_MONGODB_PASSWORD",
                    store=self.shown,
                )
            )
        if error.code in _PERMISSION:
            return NoPermissionError(
                _(
                    "no permission in '{store}'; the login needs the role read, and to push or "
                    "remove readWrite, on this database",
                    store=self.shown,
                )
            )
        if error.code in _NO_SPACE:
            return StorageError(
                _(
                    "'{store}' is full; remove versions with olhar rm, or make room",
                    store=self.shown,
                )
            )
        kind = TransientStoreError if error.has_error_label("RetryableWriteError") else StoreError
        return kind(
            _(
                "'{store}' answered with error {code}; try again later, or ask who runs the server",
                store=self.shown,
                code=error.code,
            )
        )


def require_pymongo() -> None:
    """Raise MissingExtraError where pymongo is not installed."""
    try:
        import pymongo  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            _(
                "mongodb:// addresses need {library}, which this installation does not have: "
                'pip install "olhar[{extra}]"',
                library="pymongo",
                extra="mongodb",
            )
        ) from error


def _build_client(url: str) -> Any:
    """A client that asks within limits; writes count when most of a replica set has them."""
    from pymongo import MongoClient

    login: dict[str, Any] = {
        "username": os.environ.get("OLHAR_MONGODB_USERNAME"),
        "password": os.environ.get("OLHAR_MONGODB_PASSWORD"),
    }
    return MongoClient(
        url,
        **{key: value for key, value in login.items() if value},
        appname="olhar",
        serverSelectionTimeoutMS=int(_SELECT_S * 1000),
        connectTimeoutMS=int(_SELECT_S * 1000),
        socketTimeoutMS=int(_SOCKET_S * 1000),
        w="majority",
    )


def _advice() -> Text:
    return _("the server's address is the part of the store's URL behind mongodb://")
