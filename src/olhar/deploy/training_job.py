"""A training on SageMaker: started, followed, and its run fetched.

Source of the calls: Amazon SageMaker AI API Reference, CreateTrainingJob, DescribeTrainingJob; Amazon
CloudWatch Logs API Reference, GetLogEvents.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from olhar._version import __version__
from olhar.classifier import load_classifier
from olhar.datasets import ALL_NAMES
from olhar.deploy.archive import unpack_archive
from olhar.deploy.aws import Aws, Call
from olhar.deploy.hyperparameters import read_hyperparameters
from olhar.deploy.settings import JobSettings
from olhar.errors import ConfigError, DeployError, ModelError, OlharError
from olhar.files import folder_aside
from olhar.i18n import _
from olhar.progress import Progress
from olhar.run import check_run_path
from olhar.stores import open_store, parse_store
from olhar.stores.address import is_url

_SAGEMAKER, _LOGS = "sagemaker", "logs"
_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_CHANNEL = "training"
_RUN = "run"  # in output.tar.gz; see job.py
_METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
_LINES_AT_ONCE = 1000


def plan_job(settings: JobSettings) -> Call:
    """The call that starts the training; every setting is checked here, not there.

    Raises:
        UnknownNameError: a hyperparameter that does not exist.
        ConfigError: one that cannot be used, or data that SageMaker cannot reach.
    """
    values, channels = dict(settings.hyperparameters), []
    if settings.data in ALL_NAMES or _is_address(settings.data):
        values["data"] = settings.data
    else:
        channels.append(_channel(settings.data))
    read_hyperparameters(values)
    stop = {"MaxRuntimeInSeconds": round(3600 * settings.hours)}
    if settings.spot:
        stop["MaxWaitTimeInSeconds"] = 2 * stop["MaxRuntimeInSeconds"]
    metrics = [{"Name": name, "Regex": rf"{name}=([0-9.]+)"} for name in _METRICS]
    parameters: dict[str, Any] = {
        "TrainingJobName": settings.name,
        "RoleArn": settings.role,
        "AlgorithmSpecification": {
            "TrainingImage": settings.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metrics,
        },
        "HyperParameters": values,
        "OutputDataConfig": {"S3OutputPath": settings.bucket},
        "CheckpointConfig": {"S3Uri": f"{settings.bucket}/{settings.name}/checkpoints"},
        "ResourceConfig": {
            "InstanceType": settings.instance,
            "InstanceCount": 1,
            "VolumeSizeInGB": settings.volume_gb,
        },
        "StoppingCondition": stop,
        "EnableManagedSpotTraining": settings.spot,
        "Tags": [{"Key": "olhar", "Value": __version__}],
    }
    if channels:
        parameters["InputDataConfig"] = channels
    return Call(_SAGEMAKER, "CreateTrainingJob", parameters)


def train_remotely(
    settings: JobSettings,
    run: Path,
    progress: Progress | None = None,
    *,
    follow: bool = False,
) -> Path:
    """Start a training there, follow it, and fetch its run folder.

    Args:
        settings: what to train, and where.
        run: the folder to make here.
        progress: hears of status and log.
        follow: do not start it: it was started before.

    Returns:
        The run folder.

    Raises:
        DeployError: a refusal, or a training that failed; its reason is in the message.
        StoreError: AWS is not reached, or refuses the login.
        RunExistsError: the folder is there.
    """
    progress = progress or Progress()
    call = plan_job(settings)
    check_run_path(run, overwrite=False)
    describe = Call(_SAGEMAKER, "DescribeTrainingJob", {"TrainingJobName": settings.name})
    with Aws(settings.region) as aws:
        found = aws.first(describe)
        if found is None and follow:
            raise DeployError(
                _(
                    "there is no training job '{name}' in {region} to follow",
                    name=settings.name,
                    region=settings.region,
                )
            )
        if found is not None and not follow:
            raise DeployError(
                _(
                    "there is a training job '{name}' in {region} already; choose another --name, "
                    "or follow it: --follow",
                    name=settings.name,
                    region=settings.region,
                )
            )
        if not follow:
            aws.make(call)
            progress.note(_("made {what}", what=f"TrainingJob {settings.name}"))
        job = _follow(aws, describe, settings.name, progress)
    if job["TrainingJobStatus"] != "Completed":
        raise DeployError(
            _(
                "training job '{name}' ended as {status}: {reason}",
                name=settings.name,
                status=job["TrainingJobStatus"],
                reason=job.get("FailureReason", "-"),
            )
        )
    return fetch_run(str(job["ModelArtifacts"]["S3ModelArtifacts"]), run, progress)


def fetch_run(artifacts: str, run: Path, progress: Progress) -> Path:
    """The run of a finished job, unpacked and checked.

    Args:
        artifacts: s3://…/output/model.tar.gz; output.tar.gz lies beside it.
        run: the folder to make.
        progress: hears of what is fetched.

    Raises:
        ModelError: there is no archive.
        DataError: it holds what it may not hold.
        ChecksumError: the model in it was changed.
    """
    place, _slash, model = artifacts.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="olhar-") as temporary, open_store(place) as store:
        for name, below in (("output.tar.gz", _RUN), (model, "")):
            archive = Path(temporary) / name
            if not store.download(name, archive, lambda _size: None):
                continue
            with folder_aside(run) as aside:
                count = unpack_archive(archive, aside, below=below)
                if not count:
                    continue
                load_classifier(aside)
                if run.is_dir():
                    run.rmdir()  # it is empty; a folder of this name would stop Windows
            progress.note(_("fetched {place} to {path}", place=f"{place}/{name}", path=run))
            return run
    raise ModelError(_("there is no run at '{place}'; did another image train?", place=artifacts))


def _is_address(data: str) -> bool:
    """Whether it is the address of a data set with its version: s3://bucket/store/birds@3."""
    return is_url(data) and "@" in data.partition("?")[0].rpartition("/")[2]


def _channel(data: str) -> dict[str, Any]:
    if not is_url(data) or parse_store(data).kind != "s3":
        raise ConfigError(
            _(
                "--data is '{given}', which SageMaker cannot reach; allowed: s3://bucket/prefix with "
                "a folder of photos for each class, a data set in a store (s3://bucket/store/name@1) "
                "or one of {names}",
                given=data,
                names=", ".join(ALL_NAMES),
            )
        )
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": data,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": _CHANNEL, "DataSource": {"S3DataSource": source}}


def _follow(aws: Aws, describe: Call, name: str, progress: Progress) -> dict[str, Any]:
    """The job's description, once it has ended."""
    log, pause, shown = _Log(aws, name, progress), _PAUSE_S, ""
    try:
        while True:
            job = aws.ask(describe)
            status = f"{job['TrainingJobStatus']}, {job.get('SecondaryStatus', '-')}"
            if status != shown:
                progress.note(_("training job {name}: {status}", name=name, status=status))
                shown, pause = status, _PAUSE_S
            log.show()
            if job["TrainingJobStatus"] in _ENDED:
                return job
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE_S)
    except KeyboardInterrupt:
        progress.note(
            _(
                "the training goes on there, and costs; see it again with --follow, or stop it: "
                "aws sagemaker stop-training-job --training-job-name {name}",
                name=name,
            )
        )
        raise


class _Log:
    """What the job has written, as far as the login may read it."""

    def __init__(self, aws: Aws, job: str, progress: Progress) -> None:
        self._aws, self._job, self._progress = aws, job, progress
        self._seen: dict[str, str] = {}  # stream → token of what comes next
        self._readable = True

    def show(self) -> None:
        """Pass on the lines that are new."""
        if not self._readable:
            return
        group = {"logGroupName": _LOG_GROUP}
        streams = {**group, "logStreamNamePrefix": f"{self._job}/"}
        try:
            found = self._aws.find(Call(_LOGS, "DescribeLogStreams", streams)) or {}
            for stream in found.get("logStreams", ()):
                self._show_stream({**group, "logStreamName": stream["logStreamName"]})
        except OlharError as error:
            self._readable = False
            self._progress.note(_("the job's log cannot be read: {reason}", reason=error))

    def _show_stream(self, names: dict[str, Any]) -> None:
        stream = names["logStreamName"]
        while True:
            token = self._seen.get(stream)
            asked = {**names, "startFromHead": True, "limit": _LINES_AT_ONCE}
            asked |= {"nextToken": token} if token else {}
            page = self._aws.make(Call(_LOGS, "GetLogEvents", asked))
            for event in page["events"]:
                line = "".join(c if c.isprintable() else " " for c in event["message"])
                self._progress.note(_("| {line}", line=line.rstrip()))
            self._seen[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == token or not page["events"]:
                return
