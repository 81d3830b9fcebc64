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

What a forked command starts by `olhar.children` as the leader of a session of its own, as a studio its
workers, is forked in the same way: the command asks the warm process for it by a socket.
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
import threading
import time
import traceback
import types
import warnings
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
        self._report, self._lock = os.fdopen(report, "rb", buffering=0), threading.Lock()
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
            with self._lock:  # another thread that waits, too, may have read it
                if self.returncode is None:
                    self.returncode = int(self._read()["status"])
        return self.returncode

    def __del__(self) -> None:
        self._report.close()  # not before: who waits in another thread would never hear of it

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
                [sys.executable, "-W", "error", __file__, str(theirs.fileno()), _address()],
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
        if not _reads_the_same(env, self._env):
            return None
        asked = {"module": module, "words": list(words), "env": dict(env)}
        return _ask(self._socket, asked, stdin, stdout, stderr)

    def end(self) -> None:
        if self._process is not None:
            self._socket.close()
            self._process.kill()
            self._process.wait()
            self._process, self._ready = None, False


def _address() -> str:
    """Where the warm process of this process listens for what its children ask: an abstract socket."""
    return f"olhar-warm-{os.getpid()}-{time.monotonic_ns()}"


def _reads_the_same(env: Mapping[str, str], before: Mapping[str, str]) -> bool:
    """Whether libraries that were imported with `before` have read what `env` says."""
    names = {*env, *before}
    return not any(
        env.get(name) != before.get(name) and not _READ_LATE.fullmatch(name) for name in names
    )


def _ask(
    control: socket.socket,
    asked: dict[str, Any],
    stdin: int | IO[bytes] | None,
    stdout: int | IO[bytes] | None,
    stderr: int | IO[bytes] | None,
) -> Forked | None:
    """Send a request, with the streams of the process that it is to become."""
    asked |= {"cwd": str(Path.cwd()), "cores": sorted(os.sched_getaffinity(0))}
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
        socket.send_fds(control, [request], [*streams, theirs_too])
    return Forked(report, ours)


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


def _serve(control: socket.socket, listener: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; a child returns with its request, the warm process with None."""
    running: dict[int, tuple[int, int]] = {}  # by the child's pidfd: its pid and its report
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _events in selector.select():
            if key.fileobj not in {control, listener}:
                selector.unregister(key.fd)
                _report_end(key.fd, *running.pop(key.fd))
                continue
            if key.fileobj is control:
                request, fds = _receive(control)
                if not request:
                    return None
            else:
                with listener.accept()[0] as asking:
                    request, fds = _receive(asking)
                if not request:
                    continue
            *streams, report = fds
            pid = _fork_alone(report)
            if pid == 0:
                selector.close()
                others = (*running, *(r for _pid, r in running.values()))
                for fd in (control.detach(), listener.detach(), report, *others):
                    os.close(fd)
                return {**json.loads(request), "streams": streams}
            for fd in streams:
                os.close(fd)
            if pid is not None:
                child = os.pidfd_open(pid)
                running[child] = (pid, report)
                selector.register(child, selectors.EVENT_READ)


def _receive(stream: socket.socket) -> tuple[bytes, list[int]]:
    """A request and its descriptors; nothing where whoever asks has gone."""
    try:
        request, fds, _flags, _sender = socket.recv_fds(
            stream, _LARGEST_REQUEST, 4, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError:
        return b"", []
    return request, fds


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
    sys.argv = ["", *request.get("words", ())]
    sys.path[0] = request["cwd"]
    tempfile.tempdir = None
    if "code" in request:
        _become_child(request["env"])
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


def _become_child(env: Mapping[str, str]) -> None:
    """What `python -P -c` has: no folder of its own among the paths, warnings that are no errors."""
    sys.argv = ["-c"]
    sys.path[:1] = env["PYTHONPATH"].split(os.pathsep)
    sys.warnoptions.clear()
    warnings.resetwarnings()
    for kind in (ResourceWarning, ImportWarning, PendingDeprecationWarning, DeprecationWarning):
        warnings.simplefilter("ignore", kind)


def _fork_children(address: str, before: Mapping[str, str]) -> None:
    """From now on what this command starts by `olhar.children` in a session of its own is forked."""
    threads = {"MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"}

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __new__(cls, args: Any, *rest: Any, **options: Any) -> Any:
            is_ours = isinstance(args, list) and args[:3] == [sys.executable, "-P", "-c"]
            if not is_ours or not options.get("start_new_session"):
                return super().__new__(cls)
            env = dict(options["env"])
            read = {**env, "PYTHONPATH": before.get("PYTHONPATH")}
            for name in threads & env.keys():  # no more than OpenMP's, which they follow
                if env[name] == env.get("OMP_NUM_THREADS"):
                    read[name] = before.get(name)
            given = {name: value for name, value in read.items() if value is not None}
            if not _reads_the_same(given, before):
                return super().__new__(cls)
            streams = [options.get(name) for name in ("stdin", "stdout", "stderr")]
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
                try:
                    control.connect(f"\0{address}")
                except OSError:  # the tests have ended, or it is another network's
                    return super().__new__(cls)
                return _ask(control, {"code": args[3], "env": env}, *streams)

    subprocess.Popen = Popen  # type: ignore[misc]


def _main() -> None:
    control, address = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    before = {name: value for name, value in os.environ.items() if name not in _NO_THREADS}
    try:
        set_by_imports = _import_libraries()
    except BaseException:
        control.send(traceback.format_exc().encode())
        raise
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"\0{address}")
    listener.listen()
    control.send(b"ready")
    with control, listener:
        request = _serve(control, listener)
    if request is None:
        return
    _become(request, set_by_imports)
    if "code" in request:
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(request["code"], main.__dict__)
        return
    _fork_children(address, before)
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
