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

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from olhar.errors import (
    MissingExtraError,
    NoPermissionError,
    OlharError,
    StoreError,
    explain_os_errors,
)
from olhar.i18n import Text, _
from olhar.shown import hide_secrets
from olhar.stores.address import StoreUrl
from olhar.stores.contract import CONNECT_S, Report, TransientStoreError
from olhar.stores.trouble import explain_connection, is_clock, no_answer, wrong_clock

_PIECE_BYTES = 4 * 2**20
_PART_BYTES = 32 * 2**20
_READ_S = 120.0  # some servers put a large upload together before they answer
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_TRANSIENT = frozenset(
    {"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "503"}
    | {"ThrottlingException", "500", "502", "504", "OperationAborted", "BadGateway"}
)
_LOGIN = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "InvalidClientTokenId",
    }
    | {"TokenRefreshRequired", "AuthFailure", "401"}
)
_ELSEWHERE = frozenset(
    {
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "301",
        "IllegalLocationConstraintException",
    }
)


class S3Store:
    """A bucket, or a prefix in one, as a `Store`."""

    def __init__(self, url: StoreUrl) -> None:
        self.shown = url.shown
        self._bucket = url.place
        self._prefix = f"{url.prefix}/" if url.prefix else ""
        with self._explained():
            self._client = _build_client()

    def read(self, key: str) -> bytes | None:
        """See `Store`."""
        with self._explained():
            answer = self._get(key)
            if answer is None:
                return None
            with closing(answer["Body"]) as body:
                return bytes(body.read())

    def write(self, key: str, content: bytes) -> None:
        """See `Store`."""
        with self._explained():
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content)

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

        with self._explained():
            try:
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return False
                raise
            return True

    def upload(self, key: str, path: Path, report: Report) -> None:
        """See `Store`. Larger files go in parts, of which nothing is seen before the last."""
        from boto3.s3.transfer import TransferConfig

        parts = TransferConfig(multipart_threshold=2 * _PART_BYTES, multipart_chunksize=_PART_BYTES)
        with explain_os_errors(path), path.open("rb") as file, self._explained():
            self._client.upload_fileobj(
                file, self._bucket, self._prefix + key, Callback=report, Config=parts
            )

    def download(self, key: str, path: Path, report: Report) -> bool:
        """See `Store`."""
        with explain_os_errors(path), self._explained():
            answer = self._get(key)
            if answer is None:
                return False
            with closing(answer["Body"]) as body, path.open("wb") as file:
                for piece in body.iter_chunks(_PIECE_BYTES):
                    file.write(piece)
                    report(len(piece))
            return True

    def keys(self, prefix: str) -> list[str]:
        """See `Store`."""
        start = len(self._prefix)
        with self._explained():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            return sorted(
                item["Key"][start:] for page in pages for item in page.get("Contents", ())
            )

    def remove(self, key: str) -> None:
        """See `Store`."""
        with self._explained():
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def tidy(self) -> None:
        """Parts of uploads that were killed are for the bucket's own life-cycle rule."""

    def close(self) -> None:
        """See `Store`."""
        self._client.close()

    def _get(self, key: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        except ClientError as error:
            if _code(error) in _ABSENT:
                return None
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the errors of boto3 into ours."""
        from botocore import exceptions

        try:
            yield
        except exceptions.ClientError as error:
            raise self._refusal(error) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise StoreError(_no_login(self.shown)) from error
        except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
            raise no_answer(_place(), _advice()) from error
        except (exceptions.ProfileNotFound, exceptions.TokenRetrievalError) as error:
            raise StoreError(_no_login(self.shown)) from error
        except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
            raise explain_connection(_place(), error, _advice()) from error
        except (exceptions.BotoCoreError, ValueError) as error:
            raise StoreError(
                _(
                    "'{store}' cannot be used: {reason}; check AWS_ENDPOINT_URL_S3 and the other "
                    "AWS_ settings",
                    store=self.shown,
                    reason=_without_key(str(error)),
                )
            ) from error

    def _refusal(self, error: Any) -> OlharError:
        code = _code(error)
        if code == "NoSuchBucket":
            return StoreError(
                _(
                    "there is no bucket '{bucket}' at {place}; check its name, or make it first",
                    bucket=self._bucket,
                    place=_place(),
                )
            )
        if is_clock(code):
            return wrong_clock(_place())
        if code in _LOGIN:
            return StoreError(
                _(
                    "{place} refuses the login ({code}); check AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and that they are not out of date",
                    place=_place(),
                    code=code,
                )
            )
        if code in {"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}:
            return NoPermissionError(
                _(
                    "no permission for '{store}' at {place} ({operation}); the login needs "
                    "s3:ListBucket, s3:GetObject, and to push s3:PutObject, to remove "
                    "s3:DeleteObject",
                    store=self.shown,
                    place=_place(),
                    operation=error.operation_name,
                )
            )
        if code in _ELSEWHERE:
            return StoreError(
                _(
                    "bucket '{bucket}' is in another region; set AWS_DEFAULT_REGION to it",
                    bucket=self._bucket,
                )
            )
        kind = TransientStoreError if code in _TRANSIENT else StoreError
        return kind(
            _(
                "{place} answered {code} to {operation} for '{store}'; try again later, or ask who "
                "runs the server",
                place=_place(),
                code=code,
                operation=error.operation_name,
                store=self.shown,
            )
        )


def require_boto3() -> None:
    """Raise MissingExtraError where boto3 is not installed."""
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            _(
                "s3:// addresses need {library}, which this installation does not have: "
                'pip install "olhar[{extra}]"',
                library="boto3",
                extra="s3",
            )
        ) from error


def _build_client() -> Any:
    """A client that asks once and within limits; it is `PersistentStore` that tries again."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=_READ_S,
        retries={"total_max_attempts": 1},
        max_pool_connections=32,
        # Amazon finds a bucket by its host's name; most other servers have only one name.
        s3={"addressing_style": "path" if _endpoint() else "auto"},
        # Checksums in a trailer, boto3's default, are refused by most other servers. Every file is
        # checked against the manifest's sha256 in any case.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client("s3", config=config)


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _place() -> str:
    return hide_secrets(_endpoint()) or "Amazon S3"


def _advice() -> Text:
    if _endpoint():
        return _("the server's address comes from AWS_ENDPOINT_URL_S3")
    return _("for another server than Amazon's set AWS_ENDPOINT_URL_S3")


def _no_login(shown: str) -> Text:
    return _(
        "there is no login for '{store}'; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE",
        store=shown,
    )


def _without_key(text: str) -> str:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        secret = os.environ.get(name)
        text = text.replace(secret, "***") if secret else text
    return text


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
