"""One call of an AWS service, and sentences for what goes wrong with it.

Does not know: which calls make an endpoint or a training.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from olhar.errors import (
    ConfigError,
    DeployError,
    MissingExtraError,
    NoPermissionError,
    OlharError,
    StoreError,
)
from olhar.i18n import Text, _
from olhar.shown import hide_secrets
from olhar.stores.contract import CONNECT_S, TransientStoreError, persist, within
from olhar.stores.trouble import explain_connection, is_clock, no_answer, wrong_clock

_READ_S = 70.0  # an endpoint may take 60 s for its answer
_LOGIN = re.compile("InvalidClientTokenId|UnrecognizedClient|Signature|Token|AuthFailure")
_DENIED = re.compile("AccessDenied|UnauthorizedOperation|NotAuthorized|^403$")
_PASSING = re.compile(
    "Throttl|TooManyRequests|ServiceUnavailable|InternalFailure|InternalError|SlowDown"
)
_ABSENT = re.compile("(?i)could not find|not found|does not exist")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class RefusalError(DeployError):
    """A service that was reached says no. `answer` is what it said, in its words."""

    def __init__(self, message: Text, answer: str) -> None:
        super().__init__(message)
        self.answer = answer

    @property
    def is_absent(self) -> bool:
        """Whether it says that there is no such thing."""
        return _ABSENT.search(self.answer) is not None

    @property
    def is_busy(self) -> bool:
        """Whether it says that the thing is still being made or changed."""
        return "in-progress" in self.answer.lower()


@dataclass(frozen=True)
class Call:
    """One call of a service, which can be shown before it is made.

    Attributes:
        service: as boto3 names it.
        operation: as the service's reference names it, such as CreateModel.
        parameters: by the names of that reference.
    """

    service: str
    operation: str
    parameters: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As `--dry-run --json` prints it."""
        return {
            "service": self.service,
            "operation": self.operation,
            "parameters": self.parameters,
        }


@dataclass
class Aws:
    """The services of one region."""

    region: str
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def first(self, call: Call) -> dict[str, Any] | None:
        """The answer to the first call of all; whatever is wrong is said within three seconds.

        None where there is no such thing.
        """
        self._client(call.service)  # what takes time here is not to count as waiting
        return within(CONNECT_S, lambda: self.find(call), _late(call.service))

    def find(self, call: Call) -> dict[str, Any] | None:
        """The answer, None where there is no such thing."""
        try:
            return self.make(call)
        except RefusalError as error:
            if error.is_absent:
                return None
            raise

    def ask(self, call: Call) -> dict[str, Any]:
        """The answer to a call that may be repeated: tried again after failures that may pass."""
        return persist(lambda: self.make(call))

    def make(self, call: Call) -> dict[str, Any]:
        """The answer to a call that is made once.

        Raises:
            RefusalError: the service says no.
            NoPermissionError: the login may not do it.
            StoreError: it is not reached, or refuses the login.
            ConfigError: a parameter is not of its form.
        """
        from botocore import xform_name

        client = self._client(call.service)
        with _explained(call):
            answer: dict[str, Any] = getattr(client, xform_name(call.operation))(**call.parameters)
            if hasattr(
                answer.get("Body"), "read"
            ):  # here, since the connection can break there too
                answer["Body"] = answer["Body"].read()
            return answer

    def close(self) -> None:
        """Close connections."""
        for client in self._clients.values():
            client.close()

    def __enter__(self) -> Aws:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            require_boto3()
            import boto3
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_S,
                read_timeout=_READ_S,
                retries={"total_max_attempts": 1},  # it is `persist` that tries again
            )
            with _explained(Call(service, "-", {})):
                session = boto3.session.Session(region_name=self.region)
                self._clients[service] = session.client(service, config=config)
        return self._clients[service]


def require_boto3() -> None:
    """Raise MissingExtraError where boto3 is not installed."""
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            _(
                "SageMaker needs {library}, which this installation does not have: "
                'pip install "olhar[{extra}]"',
                library="boto3",
                extra="s3",
            )
        ) from error


def find_region(asked: str | None) -> str:
    """The region asked for, else that of the environment or of the profile.

    Raises:
        ConfigError: there is none, or it is no region.
    """
    found = asked or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not found:
        require_boto3()
        import boto3

        with _explained(Call("sagemaker", "-", {})):
            found = boto3.session.Session().region_name
    if not found:
        raise ConfigError(
            _("no region is set; name one, such as --region eu-west-1, or set AWS_DEFAULT_REGION")
        )
    if not _REGION.fullmatch(found):
        raise ConfigError(
            _("'{given}' is no region of AWS; allowed: such as us-east-1, sa-east-1", given=found)
        )
    return found


@contextmanager
def _explained(call: Call) -> Iterator[None]:
    """Turn the errors of boto3 into ours."""
    from botocore import exceptions

    place = _place(call.service)
    try:
        yield
    except exceptions.ClientError as error:
        raise _refusal(call, error.response.get("Error", {}), place) from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.ProfileNotFound,
        exceptions.TokenRetrievalError,
    ) as error:
        raise StoreError(
            _(
                "there is no login for {place}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or AWS_PROFILE",
                place=place,
            )
        ) from error
    except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
        raise no_answer(place, _advice(call.service)) from error
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise explain_connection(place, error, _advice(call.service)) from error
    except (exceptions.BotoCoreError, ValueError) as error:
        raise ConfigError(
            _(
                "{operation} cannot be asked of {place}: {reason}",
                operation=call.operation,
                place=place,
                reason=_without_secrets(str(error)),
            )
        ) from error


def _refusal(call: Call, answer: dict[str, Any], place: str) -> OlharError:
    code, said = str(answer.get("Code", "")), _without_secrets(str(answer.get("Message", "")))
    if is_clock(code + said):
        return wrong_clock(place)
    if _LOGIN.search(code):
        return StoreError(
            _(
                "{place} refuses the login ({code}); check AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and that they are not out of date",
                place=place,
                code=code,
            )
        )
    if _DENIED.search(code):
        return NoPermissionError(
            _(
                "the login may not do this; it needs the permission {service}:{operation}: {said}",
                service=call.service.partition("-")[0],
                operation=call.operation,
                said=said,
            )
        )
    if _PASSING.search(code):
        return TransientStoreError(
            _("{place} is busy ({code}); try again later", place=place, code=code)
        )
    return RefusalError(
        _(
            "{operation} was refused ({code}): {said}",
            operation=call.operation,
            code=code,
            said=said,
        ),
        f"{code} {said}",
    )


def _place(service: str) -> str:
    name = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"
    endpoint = os.environ.get(name) or os.environ.get("AWS_ENDPOINT_URL") or ""
    return hide_secrets(endpoint) or f"AWS ({service})"


def _advice(service: str) -> Text:
    if _place(service).startswith("AWS "):
        return _("is the region right, and does this network reach AWS?")
    return _("the server's address comes from AWS_ENDPOINT_URL")


def _late(service: str) -> StoreError:
    return no_answer(_place(service), _advice(service))


def _without_secrets(text: str) -> str:
    for name in _SECRETS:
        secret = os.environ.get(name)
        text = text.replace(secret, "***") if secret else text
    return text
