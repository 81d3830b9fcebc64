"""`train`: one training of a SageMaker job, from its hyperparameters and channels to its model.

The run lies under /opt/ml/checkpoints, which SageMaker copies to S3 while the job runs and brings back
after a spot interruption; then the training goes on where it was, to the same weights.

Does not know: how a training works (see pipeline).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from olhar.datasets import ALL_NAMES
from olhar.deploy.hyperparameters import Hyperparameters, read_hyperparameters
from olhar.deploy.ml_folder import MlFolder
from olhar.errors import ConfigError, DataError, explain_os_errors
from olhar.files import folder_aside, write_atomic
from olhar.i18n import _
from olhar.progress import Progress
from olhar.run import RunFolder

RUN = "run"  # the run's folder in checkpoints, and in output.tar.gz
_JOB = "job.json"
_TRAIN = "train"
_PARTS = frozenset({_TRAIN, "val", "valid", "validation", "test"})  # as folders of photos have them


def train_job(folder: MlFolder, progress: Progress) -> None:
    """Train as the job says, or go on with what an interruption left.

    Raises:
        OlharError: anything that olhar raises on purpose.
    """
    given = _read_json(folder.hyperparameters)
    asked = read_hyperparameters(given)
    _check_hosts(_read_json(folder.resources))
    data = _find_data(folder, asked)
    from olhar.pipeline import resume, train

    run = RunFolder(folder.checkpoints / RUN)
    if _is_begun(folder.checkpoints, run, given):
        progress.note(_("going on with the training that was interrupted"))
        done = resume(run.path, progress=progress)
    else:
        done = train(
            data,
            asked.network,
            run=run.path,
            progress=progress,
            **{**asked.data_settings, **asked.settings},
        )
    _deliver(done.folder, folder)


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; nothing where there is no such file."""
    with explain_os_errors(path):
        if not path.is_file():
            return {}
        content = path.read_bytes()
    try:
        values = json.loads(content)
    except ValueError as error:
        raise ConfigError(
            _("'{path}' is not readable as JSON: {reason}", path=path, reason=error)
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(_("'{path}' holds no JSON object", path=path))
    return values


def _check_hosts(resources: Mapping[str, Any]) -> None:
    """Several hosts would each train the same model."""
    hosts = resources.get("hosts", [])
    if len(hosts) > 1:
        raise ConfigError(
            _(
                "the job has {count} instances, but this image trains on one; set InstanceCount "
                "to 1",
                count=len(hosts),
            )
        )


def _find_data(folder: MlFolder, asked: Hyperparameters) -> str:
    """What `olhar.train` takes as data."""
    config = _read_json(folder.channels)
    for name, channel in config.items():
        if isinstance(channel, dict) and channel.get("TrainingInputMode") == "Pipe":
            raise ConfigError(
                _("channel '{name}' has the input mode Pipe; allowed: File, FastFile", name=name)
            )
    with explain_os_errors(folder.data):
        there = folder.data.iterdir() if folder.data.is_dir() else ()
        names = sorted(config) or sorted(path.name for path in there if path.is_dir())
    if asked.data is not None:
        if asked.data in ALL_NAMES and len(names) == 1:
            os.environ["OLHAR_DATA"] = str(folder.data / names[0])  # its files, so no download
        return asked.data
    if len(names) == 1:
        return str(folder.data / names[0])
    if _TRAIN in names and _PARTS.issuperset(names):
        return str(folder.data)
    raise DataError(
        _(
            "the job has {count} channels ({names}); allowed: one with a folder of photos for each "
            "class, or train with validation or test, or the hyperparameter data",
            count=len(names),
            names=", ".join(names) or "-",
        )
    )


def _is_begun(checkpoints: Path, run: RunFolder, given: Mapping[str, Any]) -> bool:
    """Whether there is a run to go on with; remembers what the job asked for.

    Raises:
        ConfigError: the checkpoints are those of another training.
    """
    job = checkpoints / _JOB
    asked = json.dumps(given, sort_keys=True)
    with explain_os_errors(checkpoints):
        before = job.read_text(encoding="utf-8") if job.is_file() else asked
        begun = run.config.is_file()
        if begun and before != asked:
            raise ConfigError(
                _(
                    "the checkpoints are those of another training ({before}); give the job a "
                    "checkpoint folder of its own",
                    before=before[:300],
                )
            )
        if not begun and run.path.exists():  # S3 brought back a part of it
            shutil.rmtree(run.path)
    write_atomic(job, asked)
    return begun


def _deliver(run: RunFolder, folder: MlFolder) -> None:
    """The model, its card and scores, and the run without its checkpoint, where SageMaker looks."""
    _copy_folder(run.model, folder.model / run.model.name, run.model.iterdir())
    for file in (run.card, run.card_pt_br, run.metrics):
        if file.is_file():
            write_atomic(folder.model / file.name, file.read_bytes())
    kept = (path for path in run.path.iterdir() if path != run.checkpoint and path.name[0] != ".")
    _copy_folder(run.path, folder.output_data / RUN, kept)


def _copy_folder(source: Path, target: Path, content: Iterable[Path]) -> None:
    with explain_os_errors(target):
        shutil.rmtree(target, ignore_errors=True)  # of the same job, before it was interrupted
        with folder_aside(target) as aside:
            for path in content:
                if path.is_dir():
                    shutil.copytree(path, aside / path.relative_to(source))
                else:
                    shutil.copyfile(path, aside / path.relative_to(source))
