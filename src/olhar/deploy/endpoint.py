"""A model becomes a SageMaker endpoint that answers as it does here; otherwise nothing is left.

Source of the calls: Amazon SageMaker AI API Reference, CreateModel, CreateEndpointConfig,
CreateEndpoint; and InvokeEndpoint of the SageMaker runtime.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from olhar._version import __version__
from olhar.deploy.aws import Aws, Call, RefusalError
from olhar.deploy.package import ARCHIVE, Package
from olhar.deploy.settings import EndpointSettings
from olhar.errors import DeployError, NoPermissionError, OlharError
from olhar.i18n import _
from olhar.progress import Progress, byte_count
from olhar.stores import open_store, parse_store

TOLERANCE = 1e-4  # in a probability
_SAGEMAKER, _RUNTIME = "sagemaker", "sagemaker-runtime"
_VARIANT = "AllTraffic"
_LONGEST_S = 3600.0
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
_BEING_MADE = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})


@dataclass(frozen=True)
class Deployment:
    """An endpoint that answers as the model does here."""

    name: str
    region: str
    arn: str
    model_data: str
    sha256: str
    largest_difference: float

    def to_dict(self) -> dict[str, Any]:
        """As `deploy --json` prints it."""
        return dict(vars(self))


def plan_calls(settings: EndpointSettings, package: Package) -> list[Call]:
    """Every call that `deploy_model` makes, with its parameters; nothing is called."""
    place = parse_store(settings.bucket)
    key = "/".join(part for part in (place.prefix, _key(settings, package)) if part)
    size_bytes = package.archive.stat().st_size
    upload = {"Bucket": place.place, "Key": key, "Body": f"{ARCHIVE}, {size_bytes} bytes"}
    named = {"EndpointName": settings.name}
    probe = package.probe.decode()
    asked = {**named, "ContentType": "application/json", "Body": f"{probe[:60]}…"}
    return [
        Call("s3", "PutObject", upload),
        *_makes(settings, f"s3://{place.place}/{key}"),
        Call(_SAGEMAKER, "DescribeEndpoint", named),
        Call(_RUNTIME, "InvokeEndpoint", asked),
    ]


def deploy_model(
    settings: EndpointSettings, package: Package, progress: Progress | None = None
) -> Deployment:
    """Upload, create, wait, and ask for one prediction; undo everything if anything fails.

    Args:
        settings: what to make.
        package: of `packed_model`.
        progress: hears of the progress.

    Raises:
        DeployError: a refusal, an endpoint that does not come up, an answer that differs.
        StoreError: AWS is not reached, or refuses the login.
        NoPermissionError: the login may not do it.
    """
    progress = progress or Progress()
    made: list[Call] = []
    with Aws(settings.region) as aws, open_aws_store(aws, settings) as store:
        key = _key(settings, package)
        data = f"{settings.bucket.rstrip('/')}/{key}"
        is_there = store.has(key)
        try:
            if not is_there:
                size_bytes = package.archive.stat().st_size
                report = byte_count(progress, _("files"), size_bytes)
                store.upload(key, package.archive, report)
            for call in _makes(settings, data):
                _make(aws, call, made, progress)
            arn = _wait(aws, settings.name, progress)
            largest = _ask(aws, settings.name, package, progress)
        except BaseException:
            _undo(aws, made, progress)
            if not is_there:
                store.remove(key)
                progress.note(_("removed {what}", what=data))
            raise
    return Deployment(settings.name, settings.region, arn, data, package.sha256, largest)


@contextmanager
def open_aws_store(aws: Aws, settings: EndpointSettings) -> Iterator[Any]:
    """The bucket, once SageMaker has answered that the name is free."""
    for index, call in enumerate(_describes(settings.name)):
        found = aws.first(call) if index == 0 else aws.find(call)
        if found is not None:
            status = found.get("EndpointStatus", "-")
            raise DeployError(
                _(
                    "there is something called '{name}' in {region} already ({operation}, status "
                    "{status}); choose another --name, or remove it: olhar undeploy {name}",
                    name=settings.name,
                    region=settings.region,
                    operation=call.operation,
                    status=status,
                )
            )
    with open_store(settings.bucket) as store:
        yield store


def undeploy(name: str, region: str, progress: Progress | None = None) -> list[str]:
    """Remove an endpoint, its configuration and its model, as far as they are there.

    Args:
        name: as it was given to `deploy_model`.
        region: where.
        progress: hears of what is removed.

    Returns:
        What was removed: "endpoint", "configuration", "model".
    """
    progress = progress or Progress()
    kinds = ("endpoint", "configuration", "model")
    removed = []
    with Aws(region) as aws:
        aws.first(_describes(name)[0])
        for kind, call in zip(kinds, _removals(name), strict=True):
            if _remove(aws, call, progress):
                removed.append(kind)
                progress.note(_("removed {what}", what=f"{kind} {name}"))
    return removed


def _key(settings: EndpointSettings, package: Package) -> str:
    return f"{settings.name}/{package.sha256[:16]}/{ARCHIVE}"


def _makes(settings: EndpointSettings, model_data: str) -> list[Call]:
    """The calls that make something, in order."""
    name, tags = settings.name, [{"Key": "olhar", "Value": __version__}]
    container = {
        "Image": settings.image,
        "ModelDataUrl": model_data,
        "Environment": {"OLHAR_LANG": "en"},
    }
    model = {
        "ModelName": name,
        "ExecutionRoleArn": settings.role,
        "PrimaryContainer": container,
        "Tags": tags,
    }
    variant: dict[str, Any] = {"VariantName": _VARIANT, "ModelName": name}
    if settings.instance is None:
        limits = {"MemorySizeInMB": settings.memory_mb, "MaxConcurrency": settings.concurrency}
        variant["ServerlessConfig"] = limits
    else:
        variant |= {"InitialInstanceCount": 1, "InstanceType": settings.instance}
    config = {"EndpointConfigName": name, "ProductionVariants": [variant], "Tags": tags}
    endpoint = {"EndpointName": name, "EndpointConfigName": name, "Tags": tags}
    return [
        Call(_SAGEMAKER, "CreateModel", model),
        Call(_SAGEMAKER, "CreateEndpointConfig", config),
        Call(_SAGEMAKER, "CreateEndpoint", endpoint),
    ]


def _removals(name: str) -> list[Call]:
    """In the order in which they go: what is made last goes first."""
    return [
        Call(_SAGEMAKER, "DeleteEndpoint", {"EndpointName": name}),
        Call(_SAGEMAKER, "DeleteEndpointConfig", {"EndpointConfigName": name}),
        Call(_SAGEMAKER, "DeleteModel", {"ModelName": name}),
    ]


def _describes(name: str) -> list[Call]:
    return [
        Call(_SAGEMAKER, "DescribeEndpoint", {"EndpointName": name}),
        Call(_SAGEMAKER, "DescribeEndpointConfig", {"EndpointConfigName": name}),
        Call(_SAGEMAKER, "DescribeModel", {"ModelName": name}),
    ]


def _make(aws: Aws, call: Call, made: list[Call], progress: Progress) -> None:
    """Make one thing; what undoes it is kept first, since the answer may be lost on its way."""
    kind = call.operation.removeprefix("Create")
    name = call.parameters[f"{kind}Name"]
    made.append(Call(_SAGEMAKER, f"Delete{kind}", {f"{kind}Name": name}))
    try:
        aws.make(call)
    except (RefusalError, NoPermissionError):
        made.pop()  # it was not made, and one of that name is somebody else's
        raise
    progress.note(_("made {what}", what=f"{kind} {name}"))


def _undo(aws: Aws, made: list[Call], progress: Progress) -> None:
    """Remove what was made, in reverse; what cannot be removed is said."""
    for call in reversed(made):
        name = next(iter(call.parameters.values()))
        what = f"{call.operation.removeprefix('Delete')} {name}"
        try:
            if _remove(aws, call, progress):
                progress.note(_("removed {what}", what=what))
        except OlharError as error:
            progress.note(
                _(
                    "{what} could not be removed: {reason}; try later: olhar undeploy {name}",
                    what=what,
                    reason=error,
                    name=name,
                )
            )


def _remove(aws: Aws, call: Call, progress: Progress) -> bool:
    """Whether it was there; one that is still being made is waited for."""
    end, said = time.monotonic() + _LONGEST_S, False
    while True:
        try:
            aws.ask(call)
        except RefusalError as error:
            if error.is_absent:
                return False
            if not error.is_busy or time.monotonic() > end:
                raise
        else:
            return True
        if not said:
            progress.note(
                _("waiting until the endpoint is made: before that, AWS does not remove it")
            )
            said = True
        time.sleep(_LONGEST_PAUSE_S if time.monotonic() > end - _LONGEST_S + 5 else _PAUSE_S)


def _wait(aws: Aws, name: str, progress: Progress) -> str:
    """The endpoint's ARN, once it is in service."""
    end, pause, shown = time.monotonic() + _LONGEST_S, _PAUSE_S, ""
    call = Call(_SAGEMAKER, "DescribeEndpoint", {"EndpointName": name})
    while True:
        found = aws.ask(call)
        status = str(found["EndpointStatus"])
        if status != shown:
            progress.note(_("endpoint {name}: {status}", name=name, status=status))
            shown = status
        if status == "InService":
            return str(found["EndpointArn"])
        if status not in _BEING_MADE or time.monotonic() > end:
            raise DeployError(
                _(
                    "endpoint '{name}' is {status}: {reason}; its log is in CloudWatch under "
                    "/aws/sagemaker/Endpoints/{name}",
                    name=name,
                    status=status,
                    reason=found.get("FailureReason", "-"),
                )
            )
        time.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE_S)


def _ask(aws: Aws, name: str, package: Package, progress: Progress) -> float:
    """The largest difference between the endpoint's answer and the one here.

    Raises:
        DeployError: it is more than a rounding, or no answer.
    """
    parameters = {
        "EndpointName": name,
        "ContentType": "application/json",
        "Accept": "application/json",
        "Body": package.probe,
    }
    content = aws.ask(Call(_RUNTIME, "InvokeEndpoint", parameters))["Body"]
    expected = package.expected
    try:
        (record,) = json.loads(content)
        found = {str(one["label"]): float(one["probability"]) for one in record["top"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DeployError(
            _(
                "endpoint '{name}' gives no answer of olhar's: {answer}; is --image the serving "
                "image?",
                name=name,
                answer=ascii(content[:200].decode(errors="replace")),
            )
        ) from error
    largest = max(
        (abs(found.get(label, math.inf) - share) for label, share in expected.items()),
        default=math.inf,
    )
    if not largest <= TOLERANCE or found.keys() != expected.keys():
        raise DeployError(
            _(
                "endpoint '{name}' answers otherwise than the model does here: {found}, here "
                "{expected}; the image holds another olhar, or another model was taken",
                name=name,
                found=_shown(found),
                expected=_shown(expected),
            )
        )
    progress.note(
        _("the endpoint's answer is the one here (difference {largest})", largest=f"{largest:.1e}")
    )
    return largest


def _shown(probs: dict[str, float]) -> str:
    best = sorted(probs.items(), key=lambda one: -one[1])[:3]
    return ", ".join(f"{label} {share:.4f}" for label, share in best)
