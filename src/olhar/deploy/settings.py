"""What is asked of SageMaker, checked before anything is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.settings import Number, OneOf
from olhar.stores import parse_store

MEMORY_MB = (1024, 2048, 3072, 4096, 5120, 6144)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]+", re.ASCII)
_NAME = re.compile(r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}")
_INSTANCE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
_IMAGE = re.compile(r"[a-z0-9][\w.:@/-]{0,254}", re.ASCII)


@dataclass(frozen=True)
class EndpointSettings:
    """An endpoint that is wanted.

    Attributes:
        name: of endpoint, configuration and model alike.
        region: of AWS.
        role: ARN of the role that SageMaker takes on.
        image: URI of the serving image.
        bucket: s3://bucket/prefix for the model; "" is the bucket that SageMaker's own tools use.
        instance: its type; None is serverless.
        memory_mb: of a serverless endpoint.
        concurrency: requests that a serverless endpoint answers at once.
    """

    name: str
    region: str
    role: str
    image: str
    bucket: str = ""
    instance: str | None = None
    memory_mb: int = 2048
    concurrency: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "bucket", _check_common(self))
        if self.instance is not None:
            _check(_("--instance"), self.instance, _INSTANCE, "ml.m5.large")
        else:
            memory_mb = OneOf(*MEMORY_MB).check(self.memory_mb, "--memory-mb")
            object.__setattr__(self, "memory_mb", memory_mb)


@dataclass(frozen=True)
class JobSettings:
    """A training that is wanted.

    Attributes:
        name: of the job.
        region: of AWS.
        role: ARN of the role that SageMaker takes on.
        image: URI of the training image.
        instance: its type.
        data: s3://bucket/prefix of photos in class folders, the address of a data set in a store, or
            the name of a set.
        bucket: s3://bucket/prefix for what comes out; "" is the bucket that SageMaker's own tools use.
        hyperparameters: settings of recipe, network and data, as text.
        hours: the longest that it may take.
        spot: whether it may be interrupted, for a lower price.
        volume_gb: disk for data and model.
    """

    name: str
    region: str
    role: str
    image: str
    instance: str
    data: str
    bucket: str = ""
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    hours: float = 24.0
    spot: bool = False
    volume_gb: int = 30

    def __post_init__(self) -> None:
        object.__setattr__(self, "bucket", _check_common(self))
        _check(_("--instance"), self.instance, _INSTANCE, "ml.m5.xlarge")
        hours = Number(0, 28 * 24, above=True).check(self.hours, "--hours")
        object.__setattr__(self, "hours", hours)


def default_name(stem: str) -> str:
    """A name that SageMaker allows, made from a model's or data set's."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", stem).strip("-")[:50].strip("-") or "olhar"


def check_name(name: str) -> str:
    """A name of an endpoint or a job.

    Raises:
        ConfigError: SageMaker does not allow it.
    """
    _check(_("--name"), name, _NAME, _("at most 63 letters, digits, and - between them"))
    return name


def _check_common(settings: Any) -> str:
    """What both kinds have; returns the bucket with its default filled in."""
    check_name(settings.name)
    _check(_("--role"), settings.role, _ROLE, "arn:aws:iam::123456789012:role/SageMaker")
    example = f"123456789012.dkr.ecr.{settings.region}.amazonaws.com/olhar:serve"
    _check(_("--image"), settings.image, _IMAGE, example)
    account = _ROLE.fullmatch(settings.role)
    assert account is not None
    bucket: str = settings.bucket or f"s3://sagemaker-{settings.region}-{account[1]}/olhar"
    if parse_store(bucket).kind != "s3":
        raise ConfigError(_("--bucket is '{given}'; allowed: s3://bucket/prefix", given=bucket))
    return bucket.rstrip("/")


def _check(flag: Text, given: str, form: re.Pattern[str], allowed: Text | str) -> None:
    if not form.fullmatch(given):
        raise ConfigError(
            _("{flag} is '{given}'; allowed: {allowed}", flag=flag, given=given, allowed=allowed)
        )
