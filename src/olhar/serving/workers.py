"""Several serving processes: started, watched, replaced where one dies, and ended together."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from olhar.cores import count_cores
from olhar.errors import OlharError
from olhar.i18n import _
from olhar.serving.settings import ServeSettings

log = logging.getLogger("olhar.serving")
_LOOK_S = 0.2  # between looks at a signal that has come
_QUICK_S, _MOST_QUICK = (
    5.0,
    5,
)  # a process that dies so young, so often in a row, will not do better


class _Worker:
    """A process and the connection to it."""

    def __init__(
        self, index: int, words: tuple[Any, ...], listening: Sequence[socket.socket]
    ) -> None:
        share, cores, counters = words
        context = multiprocessing.get_context("spawn")
        self.index = index
        self.started = time.monotonic()
        self.lifeline, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_work, args=(index, share, listening, cores, counters, theirs)
        )
        self.process.start()
        theirs.close()

    def end(self) -> None:
        """Ask it to answer what it has accepted, and to end."""
        with contextlib.suppress(OSError):
            self.lifeline.send("end")

    def close(self) -> None:
        """Wait for it, and forget it."""
        self.process.join()
        self.process.close()
        self.lifeline.close()


def _work(*args: Any) -> None:
    # Here, so that the parent loads neither NumPy nor the models.
    from olhar.serving.worker import work

    for number in (signal.SIGINT, signal.SIGTERM):
        # Ctrl-C reaches every process. The parent alone decides, or connections would queue up
        # at its sockets that nobody takes any more.
        signal.signal(number, signal.SIG_IGN)
    work(*args)


def serve_in_processes(
    models: Mapping[str, Path],
    settings: ServeSettings,
    local: bool,  # noqa: FBT001
    sockets: Sequence[Sequence[socket.socket]],
    count: int,
    ready: Callable[[], None],
) -> None:
    """Serve from `count` processes until a signal; see `serve`.

    Raises:
        OlharError: a model cannot be loaded, or processes die as soon as they start.
    """
    each = max(1, count_cores() // count)
    share = (models, _divided(settings, count), local)
    with _counters(count) as counters, _signals() as signalled:
        words = (share, each, counters)
        workers = [_Worker(index, words, sockets[index % len(sockets)]) for index in range(count)]
        try:
            _watch(workers, words, sockets, ready, signalled)
        finally:
            for group in sockets:  # nothing new may queue up here once they have gone
                for one in group:
                    one.close()
            for worker in workers:
                worker.end()
            for worker in workers:
                worker.close()


def _divided(settings: ServeSettings, count: int) -> ServeSettings:
    """Limits of the whole server, shared out."""
    from dataclasses import replace

    return replace(
        settings,
        concurrency=-(-settings.concurrency // count),
        rate=settings.rate / count,
    )


def _watch(
    workers: list[_Worker],
    words: tuple[Any, ...],
    sockets: Sequence[Sequence[socket.socket]],
    ready: Callable[[], None],
    signalled: list[int],
) -> None:
    """Until a signal: hear when all serve, and replace those that die."""
    not_ready = {worker.index for worker in workers}
    quick = 0
    while not signalled:
        places: dict[Any, _Worker] = {worker.lifeline: worker for worker in workers}
        for place in wait(list(places), timeout=_LOOK_S):
            worker = places[place]
            said, error = _hear(worker.lifeline)
            if said == "ready":
                not_ready.discard(worker.index)
                if not not_ready:
                    ready()
                    not_ready = {-1}  # said once
            elif said == "failed":
                raise error
            elif not signalled:
                worker.process.join()
                age = time.monotonic() - worker.started
                quick = quick + 1 if age < _QUICK_S else 0
                if quick > _MOST_QUICK:
                    raise OlharError(
                        _(
                            "serving processes end as soon as they start (exit status {status})",
                            status=worker.process.exitcode,
                        )
                    )
                print(
                    _(
                        "a serving process ended ({status}); another takes its place",
                        status=worker.process.exitcode,
                    ),
                    file=sys.stderr,
                )
                worker.close()
                listening = sockets[worker.index % len(sockets)]
                workers[workers.index(worker)] = _Worker(worker.index, words, listening)


def _hear(lifeline: Connection) -> tuple[str, Any]:
    try:
        said: tuple[str, Any] = lifeline.recv()
    except (EOFError, OSError):
        return "gone", None
    return said


@contextlib.contextmanager
def _counters(count: int) -> Iterator[Path]:
    """The file in which the processes count together: in memory where the system can, or on disk."""
    from olhar.serving.metrics import Metrics

    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        number = os.memfd_create("olhar-counters")
        try:
            os.truncate(number, Metrics.size_bytes(count))
            yield Path(f"/proc/{os.getpid()}/fd/{number}")
        finally:
            os.close(number)
        return
    with tempfile.TemporaryDirectory(prefix="olhar-serve-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "counters"
        file.write_bytes(bytes(Metrics.size_bytes(count)))
        yield file


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals to end that have come."""
    come: list[int] = []
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _frame: come.append(number)) for n in wanted}
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
