"""A bucket: the client that reaches it, and sentences for what goes wrong.

Does not know: what is kept in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from olhar.errors import MissingExtraError, NoPermissionError, OlharError, StoreError
from olhar.i18n import Text, _
from olhar.shown import hide_secrets
from olhar.stores.address import StoreUrl
from olhar.stores.contract import CONNECT_S, TransientStoreError
from olhar.stores.trouble import explain_connection, is_clock, no_answer, wrong_clock

_READ_S = 120.0  # some servers put a large upload together before they answer
ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
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


class Bucket:
    """A bucket, or a prefix in one.

    Attributes:
        shown: its address, for messages.
        name: of the bucket.
        prefix: what all keys begin with: "" or a path that ends in a slash.
        client: of boto3; call it inside `explained()`.
    """

    def __init__(self, url: StoreUrl) -> None:
        self.shown = url.shown
        self.name = url.place
        self.prefix = f"{url.prefix}/" if url.prefix else ""
        with self.explained():
            self.client = _build_client()

    def get(self, key: str, **more: str) -> Any:
        """The answer to a request for the object at a key of the bucket; None where there is none."""
        from botocore.exceptions import ClientError

        try:
            return self.client.get_object(Bucket=self.name, Key=key, **more)
        except ClientError as error:
            if error_code(error) in ABSENT:
                return None
            raise

    def close(self) -> None:
        """Close connections."""
        self.client.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the errors of boto3 into ours."""
        from botocore import exceptions

        try:
            yield
        except OlharError:
            raise
        except exceptions.ClientError as error:
            raise self._refusal(error) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise StoreError(_no_login(self.shown)) from error
        except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
            raise no_answer(_place(), _advice()) from error
        except (exceptions.ProfileNotFound, exceptions.TokenRetrievalError) as error:
            raise StoreError(_no_login(self.shown)) from error
        except (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,
            exceptions.IncompleteReadError,
        ) as error:
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
        code = error_code(error)
        if code == "NoSuchBucket":
            return StoreError(
                _(
                    "there is no bucket '{bucket}' at {place}; check its name, or make it first",
                    bucket=self.name,
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
                    bucket=self.name,
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


def error_code(error: Any) -> str:
    """What the server calls an error."""
    return str(error.response.get("Error", {}).get("Code", ""))
