"""A worker of the Ray engine, on whatever node Ray has put it, and how a run folder travels."""

from __future__ import annotations

import queue
import shlex
import socket
import tempfile
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import tomli_w

from olhar._version import __version__
from olhar.data_settings import SourceSettings
from olhar.datasets import open_source
from olhar.errors import ClusterError, OlharError
from olhar.files import change_mark, folder_aside, write_atomic
from olhar.i18n import _
from olhar.pipeline.inputs import require_training
from olhar.run import RunFolder
from olhar.sweep.task import Task, run_task

CONFIG = RunFolder("").config.name
Files = dict[str, bytes]  # path in the run folder → content
Stamp = tuple[int, int]  # of a file: when it was changed, and its size


class Worker:
    """A worker, on whatever node Ray has put it. It ends with its driver: Ray sees to that."""

    def __init__(self) -> None:
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._opened: set[SourceSettings] = set()

    def hear(self) -> dict[str, Any]:
        """What the worker says next."""
        return self._said.get()

    def answer(self, stop: bool) -> None:  # noqa: FBT001 - Ray's calls are positional
        """Whether the task stops after the epoch."""
        self._answers.put(stop)

    def train(self, task: dict[str, Any], files: Files, version: str) -> None:
        """Begin a task whose folder holds `files`; `hear` tells how it goes."""
        threading.Thread(
            target=self._train, args=(Task(**task), files, version), daemon=True
        ).start()

    def _train(self, task: Task, files: Files, version: str) -> None:
        host = socket.gethostname()
        try:
            self._check(SourceSettings.pick(task.data), version)
            with tempfile.TemporaryDirectory(prefix="olhar-") as place:
                self._train_in(Path(place) / "run", task, files, host)
        except Exception as error:  # noqa: BLE001 - the driver must hear of it, or it would wait
            known = isinstance(error, OlharError | OSError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            self._said.put({"unfit": reason, "host": host})

    def _train_in(self, folder: Path, task: Task, files: Files, host: str) -> None:
        write_files(folder, files)
        seen: dict[str, Stamp] = {}
        read_files(folder, seen)  # what the driver has

        def tell(**said: Any) -> None:
            sent = read_files(folder, seen)
            self._said.put({**said, "files": sent, "folder": folder.as_posix(), "host": host})

        def on_epoch(row: dict[str, float]) -> bool:
            tell(row=row)
            return self._answers.get()

        tell(result=asdict(run_task(replace(task, folder=str(folder)), on_epoch)))

    def _check(self, data: SourceSettings, version: str) -> None:
        """Raise OlharError where this node cannot train: a trial must not fail for it."""
        if version != __version__:
            raise ClusterError(
                _(
                    "it has olhar {found}, the driver {expected}",
                    found=__version__,
                    expected=version,
                )
            )
        require_training()
        if data not in self._opened:
            open_source(data)
            self._opened.add(data)


def _stamp(path: Path) -> Stamp:
    about = path.stat()
    return change_mark(about), about.st_size


def read_files(folder: Path, seen: dict[str, Stamp]) -> Files:
    """The files of a run folder that are not as `seen` says, which is brought up to date."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if path.is_file() and seen.get(name) != _stamp(path):
            seen[name] = _stamp(path)
            found[name] = path.read_bytes()
    return found


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write what `read_files` gave, in an order in which a kill leaves a run that can go on.

    config.toml comes first, then model/, whole, and metrics.json, which says that all is there, last.
    """
    model = {name: content for name, content in files.items() if name.startswith("model/")}
    others = [name for name in files if name not in model]
    run = RunFolder(folder)
    first, last = ({path.name} & set(others) for path in (run.config, run.metrics))
    for name in [*first, *sorted(set(others) - first - last)]:
        write_atomic(folder / name, files[name])
    if model:
        with folder_aside(folder / "model") as aside:
            for name, content in model.items():
                write_atomic(aside / name.removeprefix("model/"), content)
    for name in last:
        write_atomic(folder / name, files[name])


def change_config(
    content: bytes,
    *,
    data: Mapping[str, str] | None = None,
    folders: tuple[str, Path] | None = None,
) -> bytes:
    """A run's config.toml for another place.

    Args:
        content: of the file.
        data: entries of its [data] table there.
        folders: the run folder that its command names, and the one that it is to name.
    """
    config = tomllib.loads(content.decode())
    if data is not None:
        config["data"] |= data
    if folders is not None:
        before, after = shlex.quote(folders[0]), shlex.quote(folders[1].as_posix())
        config["command"] = config["command"].replace(before, after)
    return tomli_w.dumps(config).encode()
