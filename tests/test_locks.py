"""Folders that one process holds, and work that one does while others wait."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.locks import is_held, lock_folder, one_at_a_time

CODE = """
import sys
from pathlib import Path
from olhar.locks import lock_folder, one_at_a_time

with {lock}:
    print("held", flush=True)
    sys.stdin.read()
"""
FOLDER = "lock_folder(Path(sys.argv[1]), str)"
FILE = "one_at_a_time(Path(sys.argv[1]))"


def busy(process: str) -> Text:
    return _("run '{path}' is in use by {process}", path="a", process=process)


@contextmanager
def holder(lock: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock until its input ends."""
    command = [sys.executable, "-c", CODE.format(lock=lock), str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_folder_that_another_process_holds_is_refused_with_its_number(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with holder(FOLDER, folder) as process:
        assert is_held(folder)
        for _again in range(2):  # who is refused leaves the number where it is
            with pytest.raises(ConfigError, match=f"in use by {process.pid}$"):
                lock_folder(folder, busy).__enter__()
        process.kill()  # the system lets go
        process.wait()
        assert (folder / ".lock").is_file()
        assert not is_held(folder)
        with lock_folder(folder, busy):
            assert (folder / ".lock").read_text() == f"{os.getpid()}\n"
            assert is_held(folder)
    assert not list(folder.iterdir())


def test_a_folder_that_nobody_made_is_held_by_nobody(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_others_wait_until_the_one_has_ended_or_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "file.lock"
    with holder(FILE, path) as first:
        command = [sys.executable, "-c", CODE.format(lock=FILE), str(path)]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as second:
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(1)
            first.kill()
            out, _error = second.communicate(timeout=60)
    assert (second.returncode, out) == (0, "held\n")
    assert path.is_file()


def test_a_lock_whose_file_was_removed_while_it_was_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "file.lock"
    with holder(FILE, path):
        path.unlink()
        with one_at_a_time(path):
            assert path.is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="replaces the lock of POSIX systems")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_stops_nobody(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    # No file system that lacks locks can be had in a test; this is how one answers.
    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock_folder(tmp_path, busy), one_at_a_time(tmp_path / "file.lock"):
        assert not is_held(tmp_path)
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file.lock"]
