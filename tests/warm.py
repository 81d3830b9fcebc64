"""A process that is warm: it has imported the costly libraries, and forks itself for each command.

A cold `python -m olhar train` spends seconds on importing torch, matplotlib and their like. Here one
process a pytest process imports them once, in the background; `Warm.start` then has it fork, and the
child becomes what a new process would be: own session and process group, the caller's environment,
folder and streams, `-W error`, its own random numbers. olhar itself is imported by each child anew, so
that nothing of olhar's is carried from one command into the next.

A fork copies one thread only, so the warm process must have no other: it refuses to fork where it has,
and it runs nothing but imports. Libraries that read an environment variable while they are imported
have read the warm process's: a command whose environment differs from that in more than the variables
of `_READ_LATE` is not for it, nor is one of another user. `Warm.start` then gives None, as it does
before all is imported and on systems other than Linux, and the caller starts a cold process.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import re
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

# What commands import from elsewhere, the dearest ones; one that is not installed is passed over.
_LIBRARIES = (
    *(
        "numpy",
        "scipy.optimize",
        "sklearn.datasets",
        "sklearn.linear_model",
        "sklearn.model_selection",
    ),
    *("PIL.Image", "PIL.ImageOps", "onnxruntime", "onnx", "torch", "safetensors.torch"),
    *("matplotlib.pyplot", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
    *("rich.progress", "rich.table", "markdown_it", "packaging.version", "platformdirs", "tomli_w"),
    *("uvicorn", "httptools", "uvloop"),
    *("pyarrow.parquet", "optuna", "sqlalchemy", "boto3", "pymongo"),
)
# Threads that libraries start while they are imported: the warm process must have none. That of
# OpenBLAS is missing in its children too where OMP_NUM_THREADS, which is 1 in tests, asks for more.
_NO_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
# Variables that are read when a command wants to know them, not while a library is imported.
# So are those that libraries set when a test imports them.
_READ_LATE = re.compile(
    r"(OLHAR|AWS|SAGEMAKER|PYTEST|RAY|KMP|GOMP|TORCHINDUCTOR|_MLFLOW)_.*|ORT_DISABLE_TELEMETRY|COLUMNS|LINES|FORCE_COLOR|NO_COLOR|TERM"
)
_LARGEST_REQUEST = 200_000  # bytes; what a local socket takes at once


class Forked:
    """A command in a forked process; the part of `subprocess.Popen` that the tests use."""

    def __init__(self, report: int, pipes: Sequence[IO[bytes] | None]) -> None:
        self.stdin, self.stdout, self.stderr = pipes
        self.returncode: int | None = None
        self._report = os.fdopen(report, "rb", buffering=0)
        self.pid: int = self._read()["pid"]

    def _read(self) -> Any:
        line = self._report.readline()
        told = json.loads(line) if line else {"refused": "the warm process has ended"}
        if "refused" in told:
            for stream in filter(None, (self._report, self.stdin, self.stdout, self.stderr)):
                stream.close()
            raise RuntimeError(told["refused"])
        return told

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._report, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = int(self._read()["status"])
            self._report.close()
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Warm:
    """The caller's end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False

    def _begin(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._env, self._user = dict(os.environ), os.geteuid()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", __file__, str(theirs.fileno())],
                env={**os.environ, **_NO_THREADS},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def ready(self, timeout_s: float = 0) -> bool:
        """Whether all is imported; the first question begins it."""
        if sys.platform != "linux":
            return False
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._begin()
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            if not self._ready and selector.select(timeout_s):
                told = self._socket.recv(_LARGEST_REQUEST).decode()
                if told != "ready":
                    raise RuntimeError(f"the warm process has failed: {told}")
                self._ready = True
        return self._ready

    def start(
        self,
        module: str,
        words: Sequence[str],
        env: Mapping[str, str],
        *,
        stdin: int | IO[bytes] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> Forked | None:
        """`python -m MODULE WORDS`, or None where that must be a cold process.

        Args:
            module: its name.
            words: what follows it.
            env: the whole environment.
            stdin: as for `subprocess.Popen`: `PIPE`, `DEVNULL`, a file, or None for the caller's own.
            stdout: the same.
            stderr: the same, or `STDOUT`.
        """
        if not self.ready() or os.geteuid() != self._user:
            return None
        names = {*env, *self._env}
        if any(
            env.get(name) != self._env.get(name) and not _READ_LATE.fullmatch(name)
            for name in names
        ):
            return None
        asked = {
            "module": module,
            "words": list(words),
            "env": dict(env),
            "cwd": str(Path.cwd()),
            "cores": sorted(os.sched_getaffinity(0)),
        }
        request = json.dumps(asked).encode()
        if len(request) > _LARGEST_REQUEST:
            return None
        with contextlib.ExitStack() as theirs:
            ours: list[IO[bytes] | None] = []
            streams: list[int] = []
            for number, given in enumerate((stdin, stdout, stderr)):
                stream, pipe = _open_stream(number, given, streams, theirs)
                streams.append(stream)
                ours.append(pipe)
            report, theirs_too = os.pipe()
            theirs.callback(os.close, theirs_too)
            socket.send_fds(self._socket, [request], [*streams, theirs_too])
        return Forked(report, ours)

    def end(self) -> None:
        if self._process is not None:
            self._socket.close()
            self._process.kill()
            self._process.wait()
            self._process, self._ready = None, False


def _open_stream(
    number: int, given: int | IO[bytes] | None, before: list[int], theirs: contextlib.ExitStack
) -> tuple[int, IO[bytes] | None]:
    """(the descriptor that the command gets, our end of a pipe)."""
    if given == subprocess.PIPE:
        read, write = os.pipe()
        mine, its = (write, read) if number == 0 else (read, write)
        theirs.callback(os.close, its)
        return its, os.fdopen(mine, "wb" if number == 0 else "rb")
    if given == subprocess.DEVNULL:
        its = os.open(os.devnull, os.O_RDWR)
        theirs.callback(os.close, its)
        return its, None
    if given == subprocess.STDOUT:
        return before[1], None
    if given is None:
        return number, None
    return given if isinstance(given, int) else given.fileno(), None


# From here on: the warm process's own half.


def _import_libraries() -> dict[str, str]:
    """Import what is costly; gives the environment variables that the imports have set."""
    before = dict(os.environ)
    for name in _LIBRARIES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != name.partition(".")[0]:
                raise
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; a child returns with its request, the warm process with None."""
    running: dict[int, tuple[int, int]] = {}  # by the child's pidfd: its pid and its report
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _events in selector.select():
            if key.fileobj is not control:
                selector.unregister(key.fd)
                _report_end(key.fd, *running.pop(key.fd))
                continue
            request, fds, _flags, _sender = socket.recv_fds(
                control, _LARGEST_REQUEST, 4, socket.MSG_CMSG_CLOEXEC
            )
            if not request:
                return None
            *streams, report = fds
            pid = _fork_alone(report)
            if pid == 0:
                selector.close()
                for fd in (
                    control.detach(),
                    report,
                    *running,
                    *(r for _pid, r in running.values()),
                ):
                    os.close(fd)
                return {**json.loads(request), "streams": streams}
            for fd in streams:
                os.close(fd)
            if pid is not None:
                child = os.pidfd_open(pid)
                running[child] = (pid, report)
                selector.register(child, selectors.EVENT_READ)


def _fork_alone(report: int) -> int | None:
    """Fork, where this process has one thread; else say so, and None."""
    threads = list(Path("/proc/self/task").iterdir())
    if len(threads) > 1:
        names = [(thread / "comm").read_text().strip() for thread in threads]
        _tell(report, {"refused": f"the warm process has more than one thread: {names}"})
        os.close(report)
        return None
    pid = os.fork()
    if pid:
        _tell(report, {"pid": pid})
    return pid


def _report_end(child: int, pid: int, report: int) -> None:
    _tell(report, {"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})
    os.close(child)
    os.close(report)


def _tell(report: int, told: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever asked has gone
        os.write(report, json.dumps(told).encode() + b"\n")


def _become(request: dict[str, Any], set_by_imports: dict[str, str]) -> None:
    """Turn this child into what a new process would be."""
    os.setsid()
    for number, stream in enumerate(request["streams"]):
        os.dup2(stream, number)
        os.close(stream)
    for name in ("stdin", "stdout", "stderr"):
        _open_anew(name)
    os.chdir(request["cwd"])
    os.sched_setaffinity(0, request["cores"])
    os.environ.clear()
    os.environ.update({**set_by_imports, **request["env"]})
    sys.argv = ["", *request["words"]]
    sys.path[0] = request["cwd"]
    tempfile.tempdir = None
    sys.modules["numpy"].random.seed()


def _open_anew(name: str) -> None:
    """A standard stream on what its descriptor is now, as Python opens it."""
    before = getattr(sys, name)
    binary = open(before.fileno(), before.buffer.mode, closefd=False)  # noqa: SIM115
    stream = io.TextIOWrapper(
        binary,
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering or (binary.isatty() and not before.write_through),
        write_through=before.write_through,
    )
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    try:
        set_by_imports = _import_libraries()
    except BaseException:
        control.send(traceback.format_exc().encode())
        raise
    control.send(b"ready")
    with control:
        request = _serve(control)
    if request is not None:
        _become(request, set_by_imports)
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
