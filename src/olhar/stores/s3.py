"""A store in a bucket: Amazon S3, or any server that speaks its protocol.

`If-None-Match: *` would make a claim one request, but not every server keeps it: some ignore it, and
OpenStack Swift looks before it writes, so that several of those who write at once succeed. Nothing
tells which server does. A claim is therefore a splitter, which needs only that a read gives what was
last written:

    write my token to x;  if y is written: lost;  write y;  mine if x still holds my token

At most one caller wins. Suppose two had: each found no y before it wrote y, so both had written x
before either wrote y; the one who wrote x first reads x last, and finds the other's token. Perhaps
nobody wins, and then nobody ever has the claim. A token is used for one attempt only, because a
request that was thought lost may still arrive. Sources: L. Lamport, "A fast mutual exclusion
algorithm", ACM TOCS 5(1), 1987; M. Moir, J. H. Anderson, "Wait-free algorithms for fast, long-lived
renaming", Science of Computer Programming 25(1), 1995.
"""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path

from olhar.errors import explain_os_errors
from olhar.stores.address import StoreUrl
from olhar.stores.contract import Report
from olhar.stores.s3_bucket import ABSENT, Bucket, error_code

_PIECE_BYTES = 4 * 2**20
_PART_BYTES = 32 * 2**20


class S3Store:
    """A bucket, or a prefix in one, as a `Store`."""

    def __init__(self, url: StoreUrl) -> None:
        self.shown = url.shown
        self._bucket = Bucket(url)

    def read(self, key: str) -> bytes | None:
        """See `Store`."""
        with self._bucket.explained():
            answer = self._bucket.get(self._bucket.prefix + key)
            if answer is None:
                return None
            with closing(answer["Body"]) as body:
                return bytes(body.read())

    def write(self, key: str, content: bytes) -> None:
        """See `Store`."""
        with self._bucket.explained():
            self._bucket.client.put_object(
                Bucket=self._bucket.name, Key=self._bucket.prefix + key, Body=content
            )

    def claim(self, key: str) -> bool:
        """See `Store`."""
        if self.read(f"{key}/y") is not None:
            return False  # so that those who come late do not spoil it for who is first
        token = uuid.uuid4().hex.encode()
        self.write(f"{key}/x", token)
        if self.read(f"{key}/y") is not None:
            return False
        self.write(f"{key}/y", token)
        return self.read(f"{key}/x") == token

    def has(self, key: str) -> bool:
        """See `Store`."""
        from botocore.exceptions import ClientError

        with self._bucket.explained():
            try:
                self._bucket.client.head_object(
                    Bucket=self._bucket.name, Key=self._bucket.prefix + key
                )
            except ClientError as error:
                if error_code(error) in ABSENT:
                    return False
                raise
            return True

    def upload(self, key: str, path: Path, report: Report) -> None:
        """See `Store`. Larger files go in parts, of which nothing is seen before the last."""
        from boto3.s3.transfer import TransferConfig

        parts = TransferConfig(multipart_threshold=2 * _PART_BYTES, multipart_chunksize=_PART_BYTES)
        with explain_os_errors(path), path.open("rb") as file, self._bucket.explained():
            self._bucket.client.upload_fileobj(
                file, self._bucket.name, self._bucket.prefix + key, Callback=report, Config=parts
            )

    def download(self, key: str, path: Path, report: Report) -> bool:
        """See `Store`."""
        with explain_os_errors(path), self._bucket.explained():
            answer = self._bucket.get(self._bucket.prefix + key)
            if answer is None:
                return False
            with closing(answer["Body"]) as body, path.open("wb") as file:
                for piece in body.iter_chunks(_PIECE_BYTES):
                    file.write(piece)
                    report(len(piece))
            return True

    def keys(self, prefix: str) -> list[str]:
        """See `Store`."""
        start = len(self._bucket.prefix)
        with self._bucket.explained():
            pages = self._bucket.client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name, Prefix=self._bucket.prefix + prefix
            )
            return sorted(
                item["Key"][start:] for page in pages for item in page.get("Contents", ())
            )

    def remove(self, key: str) -> None:
        """See `Store`."""
        with self._bucket.explained():
            self._bucket.client.delete_object(
                Bucket=self._bucket.name, Key=self._bucket.prefix + key
            )

    def tidy(self) -> None:
        """Parts of uploads that were killed are for the bucket's own life-cycle rule."""

    def close(self) -> None:
        """See `Store`."""
        self._bucket.close()
