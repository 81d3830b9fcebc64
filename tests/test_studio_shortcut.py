"""What a double click opens: the file is read and run as a desktop does it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import string
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import olhar
from olhar.errors import ConfigError
from olhar.studio.shortcut import shortcut_text, write_shortcut
from serving_process import httpx

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="this file is for Linux")


def words_of(text: str) -> list[str]:
    """The words of the Exec line, by the Desktop Entry Specification: unescaped, divided, unquoted."""
    [line] = re.findall("^Exec=(.*)$", text, re.MULTILINE)
    plain = re.sub(r"\\(.)", lambda found: {"s": " ", "n": "\n"}.get(found[1], found[1]), line)
    words = re.findall(r'"((?:[^"\\]|\\["`$\\])*)"(?: |$)', plain)
    assert " ".join(f'"{word}"' for word in words) == plain
    return [re.sub(r'\\(["`$\\])', r"\1", word).replace("%%", "%") for word in words]


@linux_only
def test_the_linux_shortcut_opens_the_studio(tmp_path: Path) -> None:
    project = tmp_path / 'a "class" of $5, 100% `à`'
    done = olhar("studio", project, "--port", 0, "--shortcut")
    assert done.status == 0, done.err
    shortcut = tmp_path / f"{project.name}.desktop"
    assert str(shortcut) in done.out
    assert not project.exists()
    assert os.access(shortcut, os.X_OK)
    command = words_of(shortcut.read_text(encoding="utf-8"))
    log = tmp_path / "log"
    environment = {**os.environ, "BROWSER": "true", "OLHAR_LANG": "en"}
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stderr=said, cwd="/", env=environment, start_new_session=True
        )
    try:
        end = time.monotonic() + 60
        while "Ctrl-C" not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        url = re.findall(r"http://\S+", log.read_text())[0]
        assert httpx.get(f"{url}api/state").json()["project"] == project.name
        assert (project / "photos").is_dir()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_a_shortcut_replaces_its_own_kind_alone(tmp_path: Path) -> None:
    path = write_shortcut(tmp_path / "p", [], "linux")
    assert write_shortcut(tmp_path / "p", ["--tls"], "linux") == path
    assert "--tls" in path.read_text()
    mine = tmp_path / "q.bat"
    mine.write_text("mine")
    with pytest.raises(FileExistsError):
        write_shortcut(tmp_path / "q", [], "win32")
    assert mine.read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError):
        write_shortcut(tmp_path / "file", [], "linux")


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1), min_size=1
    )
)
def test_whatever_the_words_are_linux_reads_them_back(command: list[str]) -> None:
    text = shortcut_text("p", command, "linux").decode()
    assert words_of(text)[3:] == command


def test_the_other_systems_files() -> None:
    command = ["C:\\Program Files\\python.exe", "-m", "olhar", "studio", "C:\\100% us"]
    text = shortcut_text("p", command, "win32").decode()
    assert '"C:\\Program Files\\python.exe" "-m" "olhar" "studio" "C:\\100%% us" || pause' in text
    assert "\n" not in text.replace("\r\n", "")
    text = shortcut_text("p", ["/usr/bin/python3", "it's", string.punctuation], "darwin").decode()
    ran = text.splitlines()[-1]
    assert shlex.split(ran)[1:] == ["/usr/bin/python3", "it's", string.punctuation]


@linux_only
def test_who_installs_a_pack_has_a_shortcut(tmp_path: Path) -> None:
    lines = [
        "from pathlib import Path; from olhar.classroom.installer import _unpack",
        "told = {'done': 'Done: {command}'}",
        "manifest = {'data': {}, 'weights': {}, 'extras': ['train', 'serve']}",
        f"raise SystemExit(_unpack(told, manifest, Path({sys.prefix!r})))",
    ]
    command = [sys.executable, "-c", "; ".join(lines)]
    for _time in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "my-project.desktop" in done.stdout
        assert "Done" in done.stdout
    assert [one.name for one in tmp_path.iterdir()] == ["my-project.desktop"]
