"""What the tests share: the data folder, a cache of their own, and the command line as a user has it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock

from olhar.cores import count_cores
from warm import Forked, Warm

pytest.register_assert_rewrite("pages")  # what it asserts is shown as that of a test

# Tests share the cores with each other and with other programs: a training whose threads are more
# than the cores that are free waits for itself (docs/experiments.md).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Files of tests that take minutes; they are begun first, so that no process ends long after another.
_LONG = ("studio", "train", "studio_page", "ray", "stores", "transfer", "tutorials", "sweep_kill")
_LONG += ("distributed", "deploy", "addresses", "boards", "sweep", "trackers", "objects", "onnx")
_LONG += ("web", "verify", "studio_class", "page", "no_network", "classroom", "studio_trouble")
_LONG += ("bulk", "auto", "datasets_named", "teacher", "bulk_ray", "serving_load", "studio_phones")
_LONG += ("benchmarks", "board", "check", "folders", "export")

# Machines differ, and the first example of a test may load a library: no deadlines.
hypothesis.settings.register_profile("olhar", deadline=None)
hypothesis.settings.load_profile("olhar")

# nohup and a shell's "&" have signals ignored, and so would the commands of the tests.
for _number in (signal.SIGHUP, signal.SIGQUIT) if os.name == "posix" else ():
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

WARM = Warm()

DATA = os.environ.get("OLHAR_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="OLHAR_DATA names no folder with real data")


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as cores: tests of servers, clusters and signals wait for much of their time."""
    return 3 * count_cores() // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, each whole; the others as they were."""
    places = {f"test_{stem}": place for place, stem in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_configure() -> None:
    """Where many tests will run, the warm process imports while these are collected."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        WARM.ready()


def pytest_unconfigure() -> None:
    WARM.end()


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes of a run of the tests have in common."""
    place = tmp_path_factory.getbasetemp()
    return place.parent if "PYTEST_XDIST_WORKER" in os.environ else place


@pytest.fixture(scope="session", autouse=True)
def _own_cache(common: Path) -> None:
    """One cache for all tests, apart from the user's."""
    os.environ["OLHAR_CACHE"] = str(common / "cache")
    os.environ["OLHAR_LANG"] = "en"


@dataclass
class Done:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def olhar(
    *words: object, stdin: bytes = b"", timeout_s: float = 300, cold: bool = False, **env: str
) -> Done:
    """Run the command line in a process of its own.

    Args:
        words: the command and its arguments.
        stdin: what it reads.
        timeout_s: after that it has hung, and is killed with all that it has started.
        cold: in a process that has imported nothing, as a user starts it. Without it the process may
            be forked from one that has imported the libraries (see `warm`).
        env: environment variables on top of the test's own.
    """
    pipe = subprocess.PIPE
    process = start(*words, stdin=pipe, stdout=pipe, stderr=pipe, cold=cold, **env)
    return finish(process, f"olhar {shlex.join(map(str, words))}", stdin, timeout_s)


def finish(
    process: subprocess.Popen[bytes] | Forked, name: str, stdin: bytes = b"", timeout_s: float = 300
) -> Done:
    """What a process leaves that `start` has begun, with pipes for some of its streams."""
    with ThreadPoolExecutor(3) as threads:
        out, err = threads.submit(_read, process.stdout), threads.submit(_read, process.stderr)
        threads.submit(_write, process.stdin, stdin)
        try:
            status = process.wait(timeout_s)
        except BaseException as failure:  # also Ctrl-C: nothing stays behind
            os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
            process.wait()
            if isinstance(failure, subprocess.TimeoutExpired):
                said = f"{out.result()[-2000:]}\n{err.result()[-2000:]}"
                pytest.fail(f"{name}: no end in {timeout_s} s\n{said}")
            raise
    return Done(status, out.result(), err.result())


def _read(stream: Any) -> str:
    if stream is None:
        return ""
    with stream:
        return str(stream.read().decode())


def _write(stream: Any, content: bytes) -> None:
    if stream is not None:
        with contextlib.suppress(BrokenPipeError), stream:
            stream.write(content)


def start(
    *words: object, module: str = "olhar", cold: bool = False, **options: Any
) -> subprocess.Popen[bytes] | Forked:
    """Start `python -m MODULE WORDS`.

    Args:
        words: its arguments.
        module: olhar, or one of its own modules.
        cold: see `olhar`.
        options: `stdin`, `stdout` and `stderr` as for `subprocess.Popen`, and environment variables.
    """
    streams = {name: options.pop(name, None) for name in ("stdin", "stdout", "stderr")}
    env = {**os.environ, **options}
    given = [str(word) for word in words]
    forked = None if cold else WARM.start(module, given, env, **streams)
    if forked is not None:
        return forked
    command = [sys.executable, "-W", "error", "-m", module, *given]
    return subprocess.Popen(command, env=env, start_new_session=True, **streams)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """The test runs as a user whom file permissions bind, also where the tests are run by root."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has other permissions")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Beside other tests, what is started inside the block has one core.

    A program that counts the cores takes a thread for each; where another process has one of them,
    these wait for each other and the program is many times slower (docs/experiments.md).
    """
    number = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if not number or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[int(number) % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.fixture(scope="session")
def digits_run(common: Path) -> Path:
    """A finished run on the embedded data set, made once; tests must not change it."""
    path = common / "digits-run" / "d"
    with FileLock(common / "digits-run.lock"):
        if not (path / "metrics.json").is_file():
            words = ["--data", "digits", "--network", "lenet5", "--run", path, "--json"]
            done = olhar("train", *words)
            assert done.status == 0, done.err
            assert done.json["accuracy"] >= 0.975
    return path


@pytest.fixture(scope="module")  # while it is open, its thread has an event loop that runs
def browser() -> Iterator[Any]:
    """Chromium with a camera, a model of one."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with api.sync_playwright() as playwright:
        args = ["--no-sandbox", *camera]
        chromium = playwright.chromium.launch(executable_path=path, args=args)
        yield chromium
        chromium.close()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that no test beside this one fills or removes."""
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path / "cache"))
