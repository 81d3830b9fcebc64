"""One process that serves: models, batch threads, the HTTP server, and the watch for new versions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from olhar.cores import count_cores
from olhar.errors import OlharError
from olhar.serving.app import App
from olhar.serving.batching import Batcher
from olhar.serving.metrics import Metrics
from olhar.serving.reload import reload_models
from olhar.serving.served import load_served
from olhar.serving.settings import ServeSettings, ServeState
from olhar.web_server.connection import Connection, Server, server_config

_IDLE_S = 0.3  # after SIGTERM, for requests that are on their way over open connections
_SPARE_S = 2.0  # beyond the longest time of one request, before connections are cut


def serve_here(
    models: Mapping[str, Path],
    settings: ServeSettings,
    local: bool,  # noqa: FBT001
    listening: Sequence[socket.socket],
    ready: Callable[[], None],
    *,
    cores: int | None = None,
    metrics: Metrics | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serve until a signal, or until `stop` is set; then answer what was accepted.

    Args:
        models: folder by name.
        settings: how to answer.
        local: whether only this machine reaches `listening`.
        listening: bound sockets.
        ready: called once requests are answered.
        cores: that this process may use; None for all.
        metrics: where to count.
        stop: ends it from outside.

    Raises:
        OlharError: a model cannot be loaded.
    """
    cores = cores or count_cores()
    loaded = {name: load_served(name, path, cores) for name, path in models.items()}
    batcher = Batcher(cores, settings.batch_size, settings.batch_latency / 1000)
    state = ServeState(loaded, settings, batcher)
    app = App(state, metrics, local=local)
    with _log_to_stderr():
        server = _Server(app, models, cores, ready, stop)
        server.run(sockets=list(listening))
    batcher.close()


class _Server(Server):
    """uvicorn, with an end at which nothing that was accepted is lost."""

    def __init__(
        self,
        app: App,
        paths: Mapping[str, Path],
        cores: int,
        ready: Callable[[], None],
        stop: threading.Event | None,
    ) -> None:
        super().__init__(
            server_config(
                app,
                date_header=False,
                timeout_keep_alive=60,
                timeout_graceful_shutdown=int(app.state.settings.timeout + _SPARE_S),
            )
        )
        self._app = app
        self._paths = paths
        self._cores = cores
        self._ready = ready
        self._stop = stop
        self.hears_signals = stop is None  # one of several processes is told by its parent
        self._watch: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it serves, then load what only the page needs."""
        await super().startup(sockets)
        if self._app.state.settings.reload > 0:
            task = reload_models(self._app.state, self._paths, self._cores)
            self._watch = asyncio.create_task(task)
        self._ready()
        await asyncio.to_thread(self._app.load_pages)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end."""
        return await super().on_tick(counter) or (self._stop is not None and self._stop.is_set())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, answer what comes over the open ones, then close them.

        Every answer now says that the connection closes. A client that has just sent its next
        request over a connection that is idle here would otherwise lose it.
        """
        self._app.draining = True
        if self._watch is not None:
            self._watch.cancel()
        loop = asyncio.get_running_loop()
        await self._stop_listening(sockets or [])
        end = loop.time() + _IDLE_S
        while self.server_state.connections and loop.time() < end:
            await asyncio.sleep(0.02)
        await super().shutdown([])

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        """Close the sockets that listen, after taking the connections that wait there.

        For their clients they stand already: closing would reset them, and under load there are
        always some.
        """
        waiting = [one.dup() for one in sockets]  # outlives what the event loop closes
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)
        taken = []
        for one in waiting:
            one.settimeout(0)
            with contextlib.suppress(OSError):  # there are no more
                while True:
                    taken.append(one.accept()[0])
            one.close()
        for one in sockets:
            one.close()
        loop = asyncio.get_running_loop()
        for connection in taken:
            await loop.connect_accepted_socket(self._connection, connection)

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)


@contextlib.contextmanager
def _log_to_stderr() -> Iterator[None]:
    """The server's log, and what uvicorn complains of, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours, theirs = logging.getLogger("olhar.serving"), logging.getLogger("uvicorn.error")
    levels = ((ours, logging.INFO), (theirs, logging.ERROR))
    for logger, level in levels:
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, _level in levels:
            logger.removeHandler(handler)


def work(
    index: int,
    share: tuple[Mapping[str, Path], ServeSettings, bool],
    listening: Sequence[socket.socket],
    cores: int,
    counters: Path,
    lifeline: Any,
) -> None:
    """The whole life of one of several processes; see `workers`.

    `lifeline` is a connection to the parent: it hears ("ready", None) or ("failed", OlharError),
    and when it breaks, the parent is gone and this process ends too.
    """
    stop = threading.Event()

    def watch() -> None:
        with contextlib.suppress(OSError, EOFError):
            lifeline.recv()
        stop.set()

    threading.Thread(target=watch, daemon=True, name="lifeline").start()
    try:
        serve_here(
            *share,
            listening,
            lambda: lifeline.send(("ready", None)),
            cores=cores,
            metrics=Metrics(counters, index),
            stop=stop,
        )
    except OlharError as error:
        lifeline.send(("failed", error))
