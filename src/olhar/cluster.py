"""A Ray cluster is found and joined, within limits of time and with errors that say what to do.

Does not know: what is done on it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import queue
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from olhar.errors import ClusterError, ConfigError, MissingExtraError
from olhar.i18n import Text, _
from olhar.training.trackers.quiet import environment_defaults, quietly

# Ray reports nothing home, and tries a head that refuses us for 8 s rather than 20.
_RAY_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_NUM_REDIS_GET_RETRIES": "8"}
_REACH_S, _JOIN_S = 5.0, 45.0
_CURRENT_CLUSTER = "ray/ray_current_cluster"  # where `ray start` notes the address
# What an HTTP/2 client says first, with empty settings; Ray's head answers with settings of its own.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_IS_SETTINGS = 4  # the type of a frame, in its byte 3
_LONGEST_REASON = 300


def find_head(address: str | None) -> str:
    """HOST:PORT of a Ray head that answers.

    Raises:
        ConfigError: the address is none.
        ClusterError: there is no cluster, or its head does not answer.
    """
    given = address if address not in {None, "auto"} else os.environ.get("RAY_ADDRESS", "")
    if not given or given == "auto":
        noted = _temporary_folder() / _CURRENT_CLUSTER
        if not noted.is_file():
            raise ClusterError(
                _(
                    "this machine belongs to no Ray cluster; start one with: ray start --head "
                    "--port 6379, or give the head's --address HOST:PORT"
                )
            )
        given = noted.read_text(encoding="utf-8").strip()
    host, _colon, port = given.rpartition(":")
    if not host or "/" in host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(
            _(
                "--address is '{given}'; allowed: HOST:PORT of the Ray head, without ray://",
                given=given,
            )
        )
    _reach(host.strip("[]"), int(port))
    return given


def _temporary_folder() -> Path:
    """Where Ray keeps its notes."""
    usual = "/tmp" if sys.platform == "darwin" else tempfile.gettempdir()  # noqa: S108
    return Path(os.environ.get("RAY_TMPDIR", usual))


def _reach(host: str, port: int) -> None:
    """Raise ClusterError unless a head answers: Ray itself would wait for minutes."""

    def greet() -> None:
        with socket.create_connection((host, port), timeout=_REACH_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                connection.sendall(_GREETING)
                if connection.recv(9)[3:4] != bytes((_IS_SETTINGS,)):
                    raise OSError(str(_("what answers there is no Ray head")))

    failure = _limited(greet, 2 * _REACH_S)
    if failure is not None:
        raise ClusterError(
            _(
                "no Ray head answers at {host}:{port} ({reason}); start it with: ray start --head "
                "--port {port}, and check --address and the firewall",
                host=host,
                port=port,
                reason=failure or _("no answer in time"),
            )
        )


def join_cluster(address: str) -> Any:
    """The ray module, connected to the cluster of a head.

    Raises:
        MissingExtraError: ray is not installed.
        ClusterError: the head does not let us in.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError(
            _('--engine ray needs ray, which is not installed: pip install "olhar[ray]"')
        )
    with quietly(), environment_defaults(_RAY_ENVIRONMENT), _silent_stderr():
        import ray
        import ray._private.worker as internals

        # What Ray says of nodes that die would go to standard output, where the result belongs.
        vars(internals)["print_to_stdstream"] = lambda *_said, **_how: None

        def join() -> None:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)

        failure = _limited(join, _JOIN_S)
    if failure is not None:
        raise ClusterError(
            _(
                "the Ray head at {address} does not let us in ({reason}). RAY_AUTH_MODE=token and one "
                "RAY_AUTH_TOKEN must be set for head, workers and here, and this machine must be a "
                "node: ray start --address {address} --num-cpus 0",
                address=address,
                reason=failure or _("no answer in time"),
            )
        )
    return ray


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """What Ray's C++ half says of each of its retries goes nowhere; the outcome is said once."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _limited(work: Callable[[], None], limit_s: float) -> str | Text | None:
    """Do something that may hang: None once it is done, else why not ("" if it took too long)."""
    outcome: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            work()
            outcome.put(None)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            outcome.put(" ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__)

    threading.Thread(target=run, daemon=True).start()
    try:
        return outcome.get(timeout=limit_s)
    except queue.Empty:
        return ""
