"""A command that the warm process forks is what a process of its own would be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import conftest
import warm as warm_process
from conftest import olhar, start
from warm import Warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all processes are cold")

TELL = """
import json, os, random, subprocess, sys, tempfile, warnings
import numpy as np
told = {
    "argv": sys.argv[1:], "main": sys.modules["__main__"].__spec__.name, "path": sys.path[0],
    "env": {name: value for name, value in os.environ.items() if name[:4] != "KMP_"},  # of sklearn's import
    "cwd": os.getcwd(), "cores": sorted(os.sched_getaffinity(0)),
    "leads": os.getpgid(0) == os.getpid() == os.getsid(0),
    "stdin": sys.stdin.read(), "warnings": sys.warnoptions, "tmp": tempfile.gettempdir(),
    "random": [random.random(), float(np.random.random())], "threads": len(os.listdir("/proc/self/task")),
    "streams": [
        [stream.encoding, stream.errors, stream.line_buffering, stream.write_through, stream.isatty()]
        for stream in (sys.stdin, sys.stdout, sys.stderr)
    ],
    "files": sorted(int(f) for f in os.listdir("/proc/self/fd") if int(f) < 20)[:-1],
    "signals": [str(__import__("signal").getsignal(n)) for n in (2, 13, 15)],
    "own": sorted({name.partition(".")[0] for name in sys.modules} & {"olhar", "conftest", "pytest"}),
}
print(json.dumps(told))
print("and this", file=sys.stderr)
"""


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """One of these tests' own: what others have left in the environment would make all commands cold."""
    before, conftest.WARM = conftest.WARM, Warm()
    assert conftest.WARM.ready(120)
    yield conftest.WARM
    conftest.WARM.end()
    conftest.WARM = before


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that tells what it finds; it lies in the folder in which it is started."""
    (tmp_path / "tell.py").write_text(TELL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "tell"


def told(process: Any, stdin: bytes = b"") -> Any:
    with process.stdin as stream:
        stream.write(stdin)
    with process.stdout as out, process.stderr as err:
        answer, said = out.read(), err.read()
    assert (process.wait(), said) == (0, b"and this\n")
    return json.loads(answer)


def test_it_finds_what_a_cold_process_finds(warm: Warm, module: str) -> None:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    seen = {}
    for cold in (True, False, None):
        process = start("a", "-b", module=module, cold=bool(cold), OLHAR_X="1", **pipes)
        assert isinstance(process, subprocess.Popen) == bool(cold)
        seen[cold] = told(process, b"some bytes")
    numbers = [value for answer in seen.values() for value in answer.pop("random")]
    assert len(set(numbers)) == len(numbers)
    threads = {answer.pop("threads") for answer in seen.values()}
    assert threads == {1} or os.environ["OMP_NUM_THREADS"] != "1"  # a cold one has OpenBLAS's too
    assert seen[False] == seen[True]
    assert seen[False]["env"]["OLHAR_X"] == "1"
    assert seen[False]["leads"]
    assert not seen[False]["own"]


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('said')", 1, "said"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import warnings; warnings.warn('this')", 1, "UserWarning: this"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("raise KeyboardInterrupt", -2, "KeyboardInterrupt"),
    ],
)
def test_it_ends_as_a_cold_process_ends(
    warm: Warm, module: str, code: str, status: int, says: str
) -> None:
    Path("tell.py").write_text(code, encoding="utf-8")
    pipe = subprocess.PIPE
    for cold in (False, True):
        process = start(module=module, cold=cold, stderr=pipe, stdin=subprocess.DEVNULL)
        assert process.stderr is not None
        with process.stderr as err:
            assert says in err.read().decode()
        assert process.wait(20) == process.poll() == status


def test_signals_reach_it_and_others_run_beside_it(warm: Warm, module: str) -> None:
    Path("tell.py").write_text("import time; print('up', flush=True); time.sleep(60)", "utf-8")
    beside = [start(module=module, stdout=subprocess.PIPE) for _ in range(3)]
    for process in beside:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
    beside[1].terminate()
    assert beside[1].wait(10) == -15
    assert beside[0].poll() is None
    for process in beside[::2]:
        process.kill()
        assert process.wait(10) == -9
    for process in beside:
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("cold", [False, True])
def test_one_that_hangs_is_killed_with_what_it_started_and_named(
    warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cold: bool
) -> None:
    (tmp_path / "olhar").mkdir()
    (tmp_path / "olhar" / "__init__.py").touch()
    (tmp_path / "olhar" / "__main__.py").write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('started', child.pid, flush=True)\n"
        "time.sleep(60)\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)  # `-m olhar` finds this one
    with pytest.raises(pytest.fail.Exception, match="olhar train 'a b': no end in 2 s") as caught:
        olhar("train", "a b", timeout_s=2, cold=cold)
    child = int(str(caught.value).split("started ")[1].split()[0])
    end = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_it_has_read_already_makes_a_process_cold(warm: Warm, module: str) -> None:
    devnull = subprocess.DEVNULL
    for env, forked in (({}, True), ({"OLHAR_LANG": "pt"}, True), ({"OMP_NUM_THREADS": "7"}, False),
                        ({"HOME": "/nowhere"}, False), ({"PYTHONPATH": "/nowhere"}, False)):  # fmt: skip
        process = start(module="this", stdout=devnull, **env)
        assert isinstance(process, warm_process.Forked) == forked, env
        assert process.wait() == 0


BEGIN = """
import json, subprocess
from pathlib import Path
from olhar.children import Child
told = []
for own, threads in ((True, 0), (True, 1), (True, 7), (False, 0)):
    child = Child("code:interact", threads, own_session=own)
    child.questions.write(f"exec({Path('tell_child.py').read_text()!r})\\n".encode())
    child.questions.flush()
    found = json.loads(child.answers.readline().removeprefix(b">>> "))
    assert (found.pop("pid"), found.pop("leads")) == (child.process.pid, own)
    is_forked = not isinstance(child.process, subprocess.Popen)
    told.append([is_forked, found, child.kill(), child.process.poll()])
    child.close()
print(json.dumps(told))
"""
TELL_CHILD = """
import json, os, sys, warnings
warnings.warn("no error")
told = {"argv": sys.argv, "path": sys.path[:2], "options": sys.warnoptions, "pid": os.getpid()}
told |= {"leads": os.getsid(0) == os.getpid(), "file": hasattr(sys.modules["__main__"], "__file__")}
told["env"] = {name: value for name, value in os.environ.items() if name[:4] != "KMP_"}
print(json.dumps(told), flush=True)
"""


def test_what_a_command_starts_in_a_session_of_its_own_is_forked_too(
    warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "begin.py").write_text(BEGIN, encoding="utf-8")
    (tmp_path / "tell_child.py").write_text(TELL_CHILD, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    seen = {}
    for cold in (True, False):
        process = start(module="begin", cold=cold, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as out:
            seen[cold] = json.loads(out.read())
        assert process.wait(20) == 0
    assert [one[0] for one in seen[True]] == [False, False, False, False]
    assert [one[0] for one in seen[False]] == [True, True, False, False]
    assert [one[1:] for one in seen[False]] == [one[1:] for one in seen[True]]
    assert all(one[2:] == [-9, -9] for one in seen[False])


def test_another_user_gets_a_cold_process(warm: Warm, unprivileged: None) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    assert warm.start("this", [], os.environ, stdout=subprocess.DEVNULL) is None


def test_it_does_not_fork_beside_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    (tmp_path / "tomli_w.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(warm_process, "__file__", _with_one_library(tmp_path))
    other = Warm()
    try:
        assert other.ready(60)
        with pytest.raises(RuntimeError, match="more than one thread"):
            other.start("this", [], os.environ, stdout=subprocess.DEVNULL)
    finally:
        other.end()


def test_libraries_that_cannot_be_imported_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tomli_w.py").write_text("import nothing_like_it", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(warm_process, "__file__", _with_one_library(tmp_path))
    other = Warm()
    try:
        with pytest.raises(RuntimeError, match="nothing_like_it"):
            other.ready(60)
    finally:
        other.end()


def _with_one_library(folder: Path) -> str:
    """The module as it is, save that it imports tomli_w alone."""
    code = Path(warm_process.__file__).read_text(encoding="utf-8")
    start, end = code.index("_LIBRARIES = ("), code.index("# Threads that")
    path = folder / "few.py"
    path.write_text(f'{code[:start]}_LIBRARIES = ("tomli_w",)\n{code[end:]}', encoding="utf-8")
    return str(path)
