"""Objects below a prefix of a bucket, or one object."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from olhar.errors import ChecksumError, StoreError, explain_os_errors
from olhar.i18n import _
from olhar.objects.contract import StoredObject, changed
from olhar.objects.listing import list_parallel
from olhar.shown import readable_name
from olhar.stores.address import StoreUrl
from olhar.stores.contract import CONNECT_S, Report, TransientStoreError, persist, within
from olhar.stores.s3_bucket import Bucket, require_boto3

_PIECE_BYTES = 2**20
_MD5 = re.compile(r"[0-9a-f]{32}")


def open_bucket(url: StoreUrl, *, is_folder: bool) -> BucketObjects:
    """The objects below a prefix, or the one object that is called so.

    Args:
        url: bucket and prefix.
        is_folder: the address ended in a slash, and is that of no object.
    """
    require_boto3()
    bucket = Bucket(url)
    late = StoreError(
        _(
            "'{store}' does not answer in time; check the host's name, the port, and whether a "
            "firewall stands between",
            store=url.shown,
        )
    )
    try:
        only = within(
            CONNECT_S, lambda: _find_object(bucket, "" if is_folder else url.prefix), late
        )
    except BaseException:
        bucket.close()
        raise
    return BucketObjects(bucket, only)


def _find_object(bucket: Bucket, key: str) -> StoredObject | None:
    """The object at a key of the bucket, if there is one; an empty one marks a folder.

    It is asked for by a listing, where the key itself comes first: other than the object's own request, it
    says whether there is such a bucket, and whether it may be listed.
    """
    with bucket.explained():
        answer = bucket.client.list_objects_v2(
            Bucket=bucket.name, Prefix=key or bucket.prefix, MaxKeys=1
        )
    found = [_object(item, "") for item in answer.get("Contents", ())]
    return found[0] if key and found and found[0].key == key and found[0].size else None


class BucketObjects:
    """Objects below a prefix of a bucket, as `Objects`.

    Args:
        bucket: its prefix ends in a slash, or is "".
        only: the one object whose address was given, None where it is that of a prefix.
    """

    def __init__(self, bucket: Bucket, only: StoredObject | None = None) -> None:
        self.shown = bucket.shown
        self._bucket = bucket
        self._prefix = bucket.prefix
        self._only = None
        if only is not None:
            self._prefix = only.key[: only.key.rfind("/") + 1]
            self._only = replace(only, key=only.key[len(self._prefix) :])

    def list(self) -> Iterator[StoredObject]:
        """See `Objects`."""
        if self._only is not None:
            yield self._only
            return
        yield from list_parallel("", self._level, self._pages)

    def _level(self, folder: str) -> Sequence[StoredObject | str] | None:
        answer = self._page(Prefix=self._prefix + folder, Delimiter="/")
        if answer["IsTruncated"]:
            return None
        start = len(self._prefix)
        folders = [item["Prefix"][start:] for item in answer.get("CommonPrefixes", ())]
        entries: Sequence[StoredObject | str] = [*self._objects(answer), *folders]
        return sorted(entries, key=lambda one: one if isinstance(one, str) else one.key)

    def _pages(self, folder: str) -> Iterator[Sequence[StoredObject]]:
        more: dict[str, str] = {}
        while True:
            answer = self._page(Prefix=self._prefix + folder, **more)
            yield self._objects(answer)
            if not answer["IsTruncated"]:
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def _page(self, **wanted: str) -> Any:
        def ask() -> Any:
            with self._bucket.explained():
                return self._bucket.client.list_objects_v2(Bucket=self._bucket.name, **wanted)

        return persist(ask)

    def _objects(self, answer: Any) -> Sequence[StoredObject]:
        found = (_object(item, self._prefix) for item in answer.get("Contents", ()))
        return [one for one in found if one.key and not one.key.endswith("/")]

    def read(self, key: str) -> bytes:
        """See `Objects`."""

        def ask() -> bytes:
            with self._bucket.explained():
                answer = self._bucket.get(self._prefix + key)
                if answer is None:
                    raise changed(self.shown, key)
                with closing(answer["Body"]) as body:
                    return bytes(body.read())

        return persist(ask)

    def fetch(
        self, key: str, path: Path, listed: StoredObject | None = None, report: Report | None = None
    ) -> None:
        """See `Objects`."""
        content = f"{key}\n{listed.etag}" if listed else uuid.uuid4().hex
        name = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:24]
        part = path.with_name(f".{name}.part")
        with explain_os_errors(path):
            try:
                self._receive_all(key, part, listed, report or (lambda _bytes: None))
                part.replace(path)
            finally:
                if listed is None:
                    part.unlink(missing_ok=True)

    def _receive_all(
        self, key: str, part: Path, listed: StoredObject | None, report: Report
    ) -> None:
        """Fill `part`, going on after each cut as long as it grows."""
        told = 0

        def tell(here: int) -> None:
            nonlocal told
            report(here - told)
            told = here

        while True:
            before = _size_bytes(part)
            try:
                persist(lambda: self._receive(key, part, listed, tell))
            except TransientStoreError:
                if _size_bytes(part) <= before:
                    raise
            else:
                return

    def _receive(self, key: str, part: Path, listed: StoredObject | None, tell: Report) -> None:
        start = _size_bytes(part) if listed else 0
        more = {"Range": f"bytes={start}-"} if listed and 0 < start < listed.size else {}
        with self._bucket.explained():
            answer = self._bucket.get(self._prefix + key, **more)
            if answer is None:
                raise changed(self.shown, key)
            with closing(answer["Body"]) as body:
                if not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
                    start = 0  # from its beginning, whatever was asked for
                is_other = listed is not None and (
                    _etag(answer),
                    start + answer["ContentLength"],
                ) != (
                    listed.etag,
                    listed.size,
                )
                if is_other:
                    part.unlink(missing_ok=True)
                    raise changed(self.shown, key)
                _write_pieces(body, part, start, tell)
        self._check(key, part, answer)

    def _check(self, key: str, part: Path, answer: Any) -> None:
        """Compare what came with its md5, where the ETag is one.

        It is none for what came in parts (`abc-3`), nor where a key of the customer's encrypts it.
        Source: Amazon S3 API Reference, "Object", ETag.
        """
        is_md5 = _MD5.fullmatch(_etag(answer)) and "SSECustomerAlgorithm" not in answer
        if not is_md5 or answer.get("ServerSideEncryption", "AES256") != "AES256":
            return
        with part.open("rb") as file:
            found = hashlib.file_digest(
                file, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
        if found != _etag(answer):
            part.unlink(missing_ok=True)
            raise ChecksumError(
                _(
                    "'{key}' in '{store}' came damaged: its md5 is {found}, the server says {expected}; "
                    "try again, and if it comes again put the object there anew",
                    key=readable_name(key),
                    store=self.shown,
                    found=found,
                    expected=_etag(answer),
                )
            )

    def close(self) -> None:
        """See `Objects`."""
        self._bucket.close()


def _write_pieces(body: Any, part: Path, start: int, tell: Report) -> None:
    with part.open("ab") as file:
        file.truncate(start)
        tell(start)
        for piece in body.iter_chunks(_PIECE_BYTES):
            file.write(piece)
            start += len(piece)
            tell(start)


def _object(item: Any, prefix: str) -> StoredObject:
    etag = str(item.get("ETag", "")).strip('"')
    return StoredObject(
        item["Key"][len(prefix) :], item["Size"], etag, item["LastModified"].timestamp()
    )


def _etag(answer: Any) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
