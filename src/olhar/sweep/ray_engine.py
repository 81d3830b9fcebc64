"""The engine of a Ray cluster: workers wherever Ray has a core free.

A worker trains in a folder of its own machine. After each epoch it sends what has changed there
(checkpoint and history), and the driver writes it into the trial's folder, so that nodes need not
share a disk, and a lost node costs the epoch under way.

Does not know: the study, or how a trial is trained.
"""

from __future__ import annotations

import contextlib
import socket
import time
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from olhar._version import __version__
from olhar.cluster import find_head, join_cluster
from olhar.datasets import ALL_NAMES
from olhar.datasets.stored import is_stored
from olhar.errors import ClusterError
from olhar.i18n import Text, _
from olhar.sweep.engine import Ended, EpochDone, Event, Lost
from olhar.sweep.ray_worker import CONFIG, Files, Worker, change_config, read_files, write_files
from olhar.sweep.task import Task, TaskResult
from olhar.training.trackers.quiet import quietly

_COUNT_EVERY_S = 3.0
_LOST_AFTER_S = 15.0  # a head that is silent for so long is gone; Ray would end us after 60
_LONGEST_REASON = 300


class RayEngine:
    """Workers of a Ray cluster, one a core; nodes may come and go."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """Join the cluster.

        Args:
            address: HOST:PORT of its head; None or "auto" is $RAY_ADDRESS, else the cluster that
                this machine belongs to.
            workers: tasks at once, at most; None is one a core of the cluster.

        Raises:
            ClusterError: the head cannot be reached, or does not let us in.
            MissingExtraError: ray is not installed.
        """
        self._head = find_head(address)
        self._ray = join_cluster(self._head)
        self._heard = time.monotonic()
        self._most = workers
        self._workers: list[_Remote] = []
        self._fingerprint = ""
        self._counted = 0.0
        self.slots = 1
        self._count()

    def start(self, task: Task) -> None:
        """Give a task to a worker that has none, or to a new one.

        Raises:
            ClusterError: the head is gone.
        """
        while not self._head_answers():  # without it Ray would wait for ever, deaf to everything
            time.sleep(1)
        idle = [one for one in self._workers if one.task is None]
        if not idle:
            idle = [_Remote(self._ray)]
            self._workers += idle
        idle[0].start(task)

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What workers have said, oldest first; what they have sent is in the trials' folders.

        Raises:
            ClusterError: a node cannot train, or the head is gone.
        """
        self._count()
        busy = {one.hears: one for one in self._workers if one.task is not None}
        if not busy:
            time.sleep(timeout_s)
            return []
        ready, waiting = self._ray.wait(list(busy), timeout=timeout_s)
        if waiting:
            ready += self._ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        return [self._event(busy[ref]) for ref in ready]

    def answer(self, number: int, *, stop: bool) -> None:
        """Tell the worker of a task to go on or to stop."""
        for worker in self._workers:
            if worker.task is not None and worker.task.number == number:
                worker.actor.answer.remote(stop)

    def close(self) -> None:
        """End all workers and leave the cluster; what has been sent stays."""
        workers, self._workers = self._workers, []
        if time.monotonic() - self._heard > _LOST_AFTER_S:
            return  # nobody is there to be told; workers end with their driver
        for worker in workers:
            self._end(worker)
        with quietly():
            self._ray.shutdown()

    def _count(self) -> None:
        """Follow the cluster: as many slots as it has cores now."""
        if time.monotonic() - self._counted < _COUNT_EVERY_S:
            return
        self._counted = time.monotonic()
        if not self._head_answers():
            return
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        self.slots = max(1, min(cores, self._most or cores))
        idle = [one for one in self._workers if one.task is None]
        for worker in idle[: max(0, len(self._workers) - self.slots)]:
            self._workers.remove(worker)
            self._end(worker)

    def _head_answers(self) -> bool:
        """Whether it does; ClusterError once it has not for a while."""
        host, _colon, port = self._head.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
        except OSError as error:
            if time.monotonic() - self._heard > _LOST_AFTER_S:
                raise ClusterError(
                    _(
                        "the Ray head at {address} has not answered for {seconds} seconds; start it "
                        "again, and the same command goes on",
                        address=self._head,
                        seconds=round(_LOST_AFTER_S),
                    )
                ) from error
            return False
        self._heard = time.monotonic()
        return True

    def _event(self, worker: _Remote) -> Event:
        assert worker.task is not None
        number, folder = worker.task.number, Path(worker.task.folder)
        try:
            said: dict[str, Any] = self._ray.get(worker.hears)
        except self._ray.exceptions.RayActorError as error:
            self._workers.remove(worker)
            self._end(worker)
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            if error.actor_init_failed:
                raise ClusterError(_unfit(_("a node"), reason)) from error
            return Lost(number, reason)
        if "unfit" in said:
            raise ClusterError(_unfit(said["host"], said["unfit"]))
        self._check_data(said["files"], said["host"])
        files = said["files"]
        if CONFIG in files:
            folders = (said["folder"], folder)
            files[CONFIG] = change_config(files[CONFIG], folders=folders)
        write_files(folder, files)
        if "row" in said:
            worker.hear()
            return EpochDone(number, said["row"])
        worker.task = None
        return Ended(number, TaskResult(**said["result"]))

    def _check_data(self, files: Files, host: str) -> None:
        """Refuse a node whose data is not what the others have."""
        if CONFIG not in files:
            return
        found = str(tomllib.loads(files[CONFIG].decode())["data"]["fingerprint"])
        self._fingerprint = self._fingerprint or found
        if found != self._fingerprint:
            raise ClusterError(
                _(
                    "node {host} has other data under the same name (fingerprint {found}…, others "
                    "{expected}…); give every node the same data",
                    host=host,
                    found=found[:12],
                    expected=self._fingerprint[:12],
                )
            )

    def _end(self, worker: _Remote) -> None:
        with contextlib.suppress(Exception):  # it may be gone, and so may the cluster
            self._ray.kill(worker.actor)


class _Remote:
    """A worker as the driver sees it: what it trains, and what it will say next."""

    def __init__(self, ray: Any) -> None:
        # Several calls at once: one listens while another answers.
        actor = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=4)(Worker)
        self.actor: Any = actor.remote()
        self.task: Task | None = None
        self.hears: Any = None

    def start(self, task: Task) -> None:
        self.task = task
        files, data = read_files(Path(task.folder), {}), dict(task.data)
        named = data["name"] in ALL_NAMES or is_stored(data["name"])
        if not named:  # on its node it runs in another folder
            places = {"name": str(Path(data["name"]).resolve())}
            if data.get("photos") and Path(data["photos"]).is_dir():
                places["photos"] = str(Path(data["photos"]).resolve())
            data |= places
            if CONFIG in files:
                files[CONFIG] = change_config(files[CONFIG], data=places)
        self.actor.train.remote(asdict(replace(task, data=data)), files, __version__)
        self.hear()

    def hear(self) -> None:
        self.hears = self.actor.hear.remote()


def _unfit(host: str | Text, reason: str) -> Text:
    return _(
        "{host} cannot train: {reason}. Every node needs this version of olhar with olhar[train], "
        "and the data: a folder of photos at the same path, a data set by name in its $OLHAR_DATA. "
        "Then the same command goes on",
        host=host,
        reason=reason,
    )
