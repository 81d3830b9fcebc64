"""What the machine lacks is said of the machine: never of the photo, and never with a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

httpx = pytest.importorskip("httpx", reason="the server's tests need httpx")
pytest.importorskip("resource", reason="Windows has no such limits")


def run(code: str, *words: object, **env: str) -> Any:
    """A Python process of its own, whose limits may be set."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=120, check=False
    )


TAKE_ALL = """
import os, resource
def take_all_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        while True:
            os.open(os.devnull, os.O_RDONLY)
    except OSError:
        pass
"""

FULL = """
import sys
from olhar import load
from olhar.errors import ImageError, OlharError
from olhar.images import read_image
path, content = sys.argv[1], open(sys.argv[1], "rb").read()
take_all_files()
for source in (path, content):
    try:
        print(read_image(source).shape)
    except OlharError as error:
        print(type(error).__name__, isinstance(error, ImageError), error)
"""


def test_too_few_open_files_are_not_the_photos_fault(tmp_path: Path) -> None:
    photo = tmp_path / "a.webp"  # whose decoder is loaded when it is first wanted
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(photo, lossless=True)
    by_path, by_content = run(TAKE_ALL + FULL, photo).stdout.splitlines()
    assert by_path.startswith("StorageError False")
    assert "ulimit -n" in by_path
    assert by_content == "(8, 8, 3)" or by_content.startswith("StorageError False")


SMALL = """
import resource, sys
import numpy, PIL.Image
from olhar.errors import ImageError, OlharError
from olhar.images import read_image
content = open(sys.argv[1], "rb").read()
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 40_000_000, -1))
try:
    read_image(content)
except OlharError as error:
    print(type(error).__name__, isinstance(error, ImageError), error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is that of Linux")
def test_too_little_memory_is_not_the_photos_fault(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    Image.new("RGB", (8000, 8000)).save(photo)
    done = run(SMALL, photo)
    assert done.stdout.startswith("MemoryLimitError False"), (done.stdout, done.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is that of Linux")
def test_a_server_with_too_few_open_files_blames_no_photo(digits_run: Path) -> None:
    """Every answer is that of the photo, or 503."""
    code = """
import asyncio, sys
import httpx, uvicorn
from olhar.serving.app import App
from olhar.serving.batching import Batcher
from olhar.serving.served import load_served
from olhar.serving.settings import ServeSettings, ServeState
app = App(ServeState({"d": load_served("d", __import__("pathlib").Path(sys.argv[1]), 1)},
    ServeSettings(), Batcher(1, 8, 0.005)))
async def ask():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    await client.get("/ping")  # what the client loads when it first asks
    take_all_files()
    answers = [await client.post("/predict", content=one) for one in photos]
    answers.append(await client.get("/"))
    print(*(answer.status_code for answer in answers))
photos = [open(path, "rb").read() for path in sys.argv[2:]]
asyncio.run(ask())
"""
    photos = []
    for kind in ("bmp", "png", "webp", "tif", "jpg", "gif"):
        photos.append(digits_run.parent / f"full.{kind}")
        Image.new("L", (8, 8), 90).convert("RGB").save(photos[-1])
    done = run(TAKE_ALL + code, digits_run, *photos)
    statuses = done.stdout.split()
    assert len(statuses) == len(photos) + 1, done.stderr
    assert set(statuses) <= {"200", "503"}, done.stdout
    assert statuses.count("200") >= len(photos) - 1


# As where every folder that Python tries is on a read-only disk.
NO_FOLDER = """
import tempfile
def no_folder(*words, **named):
    raise FileNotFoundError(2, "No usable temporary directory found")
tempfile._get_default_tempdir = no_folder
"""
SERVING = """
import os, sys
from pathlib import Path
from olhar.board.server import serve_board
from olhar.serving.server import serve
from olhar.serving.settings import ServeSettings
for number in (0, 1, 2):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
kind, run, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
if kind == "board":
    serve_board(run.parent, port=port)
else:
    serve({"d": run}, ServeSettings(port=port, workers=int(kind)))
"""


@pytest.mark.parametrize("kind", ["1", "2", "board"])
def test_a_server_without_standard_streams_serves_and_ends_well(
    digits_run: Path, kind: str, tmp_path: Path
) -> None:
    """And without a folder to write to, as in a container whose disk is read-only."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = tmp_path / "serving.py"
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    script.write_text(
        "if __name__ == '__main__':\n" + textwrap.indent(NO_FOLDER + SERVING, "    "), "utf-8"
    )
    process = subprocess.Popen([sys.executable, script, kind, digits_run, str(port)], env=env)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/")
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
        assert answer.status_code == 200
        if kind != "board":
            answer = httpx.post(f"http://127.0.0.1:{port}/predict", content=b"no photo")
            assert answer.status_code == 422
            assert "olhar_requests_total" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_photos_are_looked_at_without_a_folder_for_temporary_files(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for row in range(3):
            Image.new("RGB", (32, 32), (row * 40, 9, 9)).save(tmp_path / label / f"{row}.png")
    code = """
import sys
from pathlib import Path
from olhar.check.measure import measure_photos
from olhar.progress import Progress
print(measure_photos(Path(sys.argv[1]), ["cat/0.png", "dog/1.png"], Progress())[1].shape)
"""
    done = run(NO_FOLDER + code, tmp_path)
    assert done.stdout == "(2, 64, 64, 3)\n" or "TMPDIR" in done.stderr, done.stderr


def test_verify_says_what_it_could_not_try_without_such_a_folder(digits_run: Path) -> None:
    code = "import sys; from olhar.cli import main; sys.exit(main(['verify', sys.argv[1]]))"
    done = run(f"{NO_FOLDER}\n{code}", digits_run)
    assert done.returncode == 0, done.stderr
    assert "TMPDIR" in done.stdout
    assert "/v2 BYTES" in done.stdout
