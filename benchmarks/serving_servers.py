"""The servers that benchmarks/serving.py compares: their commands, the photos, the load, their memory."""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import BENCH, ROOT, PeerError, run_command, say

SCRIPTS = ROOT / "benchmarks" / "serving"
PHOTOS = 256
BATCH, LATENCY_MS = 32, 5  # olhar's own defaults, given to every server that has such limits
START_S, STOP_S = 60, 10
ATTEMPT_S = 0.005
TOLERANCE = 1e-4  # of a probability
RAW = "image/jpeg"
FORM = "multipart/form-data; boundary=olhar-bench"

Record = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """A way to serve the model.

    Attributes:
        title: as shown.
        path: that photos are posted to.
        content_type: RAW, a photo as it is, or FORM.
        words: its command, after the Python that runs it; {port}, {workers}, {model}.
        pins: of its environment, in benchmarks/serving; None for this one.
    """

    title: str
    path: str
    content_type: str
    words: tuple[str, ...]
    pins: str | None


_UVICORN: tuple[str, ...] = (
    "-m",
    "uvicorn",
    "serve_fastapi:app",
    "--port",
    "{port}",
    "--workers",
    "{workers}",
)
_UVICORN += ("--no-access-log", "--log-level", "warning")
_BENTOML: tuple[str, ...] = (
    "-m",
    "bentoml",
    "serve",
    "serve_bentoml:Photos",
    "--host",
    "127.0.0.1",
)
_BENTOML += ("--port", "{port}")
_LITSERVE = ("serve_litserve.py", "--port", "{port}")
_OLHAR: tuple[str, ...] = (
    "-m",
    "olhar",
    "serve",
    "model={model}",
    "--port",
    "{port}",
    "--workers",
    "{workers}",
)
_OLHAR += ("--batch-size", str(BATCH), "--batch-latency", str(LATENCY_MS))

SERVERS = {
    "olhar": Server("olhar serve", "/predict", RAW, _OLHAR, None),
    "litserve": Server("LitServe", "/predict", RAW, _LITSERVE, "litserve"),
    "litserve-batched": Server(
        "LitServe, batching", "/predict", RAW, (*_LITSERVE, "--batched"), "litserve"
    ),
    "bentoml": Server("BentoML", "/predict", RAW, _BENTOML, "bentoml"),
    "bentoml-batched": Server(
        "BentoML, adaptive batching", "/predict-batched", FORM, _BENTOML, "bentoml"
    ),
    "fastapi-async": Server("FastAPI, `async def`", "/predict-async", RAW, _UVICORN, "fastapi"),
    "fastapi-def": Server("FastAPI, `def`", "/predict-def", RAW, _UVICORN, "fastapi"),
}


@dataclass(frozen=True)
class Photos:
    """Bodies of requests in files, `0.body` on: a folder by content type; and right answers."""

    folders: Mapping[str, Path]
    side: int  # pixels
    sizes_bytes: list[int]
    answers: list[tuple[str, float]]  # (label, probability) of the first ones


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int
    start_s: float  # from the command to the first answer


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def find_model(run: Path | None) -> Path:
    """The `model/` folder of `run`, or of one that is trained once: for speed, an epoch will do."""
    from olhar.classifier import model_folder

    if run:
        return model_folder(run)
    kept = BENCH / "serving-run"
    if not (kept / "model" / "config.json").is_file():
        say(f"training cnn-32-64-64 for an epoch into {kept}")
        command: list[str | Path] = [sys.executable, "-m", "olhar", "train", "--data", "cifar10"]
        command += ["--network", "cnn-32-64-64", "--epochs", "1", "--overwrite", "--run", kept]
        run_command(command)
    return model_folder(kept)


def make_jpegs(model: Path, side: int | None, folder: Path | None) -> tuple[list[bytes], int]:
    """JPEGs of `side` × `side`, and that side: of `folder`, or of the model's own test images."""
    import numpy as np
    from PIL import Image

    from olhar.classifier import load_classifier
    from olhar.datasets import load_named, split_dataset
    from olhar.datasets.photo_files import is_photo
    from olhar.images import read_image

    config = load_classifier(model).config
    if folder:
        paths = sorted(path for path in folder.rglob("*") if is_photo(path.name))
        if not paths:
            raise PeerError(f"there are no photos in '{folder}'")
        arrays = [read_image(path) for path in paths[:PHOTOS]]
        side = side or 256
    else:
        dataset = load_named(str(config.data["name"]))
        members = split_dataset(dataset).test[:PHOTOS]
        arrays = [np.asarray(image) for image in dataset.images[members]]
        side = side or config.preprocess.size
    found = []
    for array in arrays:
        picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        short = min(picture.size)
        left, top = (picture.width - short) // 2, (picture.height - short) // 2
        box = (left, top, left + short, top + short)
        content = io.BytesIO()
        picture.resize((side, side), Image.Resampling.BICUBIC, box).save(
            content, "JPEG", quality=90
        )
        found.append(content.getvalue())
    return found, side


def write_photos(jpegs: Sequence[bytes], side: int, model: Path, place: Path) -> Photos:
    """The bodies of both kinds of request, and what the model says here of the first eight."""
    from olhar.classifier import load_classifier

    head = b'--olhar-bench\r\nContent-Disposition: form-data; name="photos"; filename="0.jpg"\r\n'
    head += b"Content-Type: image/jpeg\r\n\r\n"
    folders = {RAW: place / "raw", FORM: place / "form"}
    for content_type, folder in folders.items():
        folder.mkdir()
        for index, jpeg in enumerate(jpegs):
            form = head + jpeg + b"\r\n--olhar-bench--\r\n"
            (folder / f"{index}.body").write_bytes(jpeg if content_type == RAW else form)
    classifier = load_classifier(model)
    predictions = [classifier.predict(jpeg) for jpeg in jpegs[:8]]
    answers = [(prediction.label, prediction.probability) for prediction in predictions]
    return Photos(folders, side, [len(jpeg) for jpeg in jpegs], answers)


@contextlib.contextmanager
def running(
    name: str, python: Path, model: Path, photos: Photos, workers: int
) -> Iterator[Running]:
    """A server from its command on; at the end all its processes are gone.

    Raises:
        PeerError: it does not answer within a minute.
    """
    server, port = SERVERS[name], free_port()
    words = [word.format(port=port, workers=workers, model=model) for word in server.words]
    cores = available_cores()
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("OMP_")},
        "PYTHONUTF8": "1",
        "BENCH_MODEL": str(model),
        "BENCH_WORKERS": str(workers),
        "BENCH_THREADS": str(max(1, cores // workers)),
        "BENCH_BATCH": str(BATCH),
        "BENCH_LATENCY_MS": str(LATENCY_MS),
        "BENTOML_HOME": str(BENCH / "bentoml-home"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    env.pop("PYTHONPATH", None)
    with tempfile.TemporaryFile() as log:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [str(python), *words],
            cwd=SCRIPTS,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_for_answer(process, name, port, photos)
            yield Running(process, port, time.perf_counter() - begun)
        except PeerError as error:
            log.seek(0)
            said = log.read().decode(errors="replace").splitlines()
            raise PeerError(f"{error} {' / '.join(said[-3:])}".strip()) from error
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then an end for all of them: some servers' children outlive their parent."""
    started = [pid for pid, _rss in family(process.pid)]
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    for pid in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def family(leader: int) -> list[tuple[int, int]]:
    """(id, resident KiB) of a process and all that descend from it, whatever their groups."""
    rows = run_command(["ps", "-A", "-o", "pid=,ppid=,rss="]).splitlines()
    children: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for pid, parent, rss in (map(int, row.split()) for row in rows):
        children.setdefault(parent, []).append(pid)
        sizes[pid] = rss
    found = [leader] if leader in sizes else []
    for pid in found:  # it grows meanwhile
        found += children.get(pid, [])
    return [(pid, sizes[pid]) for pid in found]


def wait_for_answer(process: subprocess.Popen[bytes], name: str, port: int, photos: Photos) -> None:
    """Until a photo is answered."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise PeerError(f"{SERVERS[name].title} ended with {process.returncode}.")
        with contextlib.suppress(OSError, http.client.HTTPException):
            if post(name, port, photos, 0)[0] == 200:
                return
        time.sleep(ATTEMPT_S)
    raise PeerError(f"{SERVERS[name].title} did not answer within {START_S} s.")


def post(name: str, port: int, photos: Photos, index: int) -> tuple[int, bytes]:
    """Status and body of the answer to one photo."""
    server = SERVERS[name]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
    with contextlib.closing(connection):
        body = (photos.folders[server.content_type] / f"{index}.body").read_bytes()
        connection.request("POST", server.path, body, {"Content-Type": server.content_type})
        answer = connection.getresponse()
        return answer.status, answer.read()


def check_answers(name: str, port: int, photos: Photos) -> None:
    """Whether it says of the first photos what the model says; or its figures mean nothing.

    Raises:
        PeerError: it says something else.
    """
    for index, (label, probability) in enumerate(photos.answers):
        status, body = post(name, port, photos, index)
        if status != 200:
            raise PeerError(f"photo {index}: {SERVERS[name].title} said {status}: {body!r}.")
        said: Any = json.loads(body)
        one = said[0] if isinstance(said, list) else said
        if one["label"] != label or abs(one["probability"] - probability) > TOLERANCE:
            raise PeerError(f"photo {index} is {label} ({probability}), not {one}.")


def put_load(name: str, port: int, photos: Photos, connections: int, seconds: int) -> Record:
    """So many connections for so long: requests a second, latencies, and what asking took."""
    import resource

    server = SERVERS[name]
    url = f"http://127.0.0.1:{port}{server.path}"
    source = [str(photos.folders[server.content_type]), server.content_type]
    source.append(str(len(photos.sizes_bytes)))
    if wrk := shutil.which("wrk"):
        command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        command += ["-s", str(SCRIPTS / "post.lua"), url, "--", *source]
    else:
        command = [sys.executable, str(SCRIPTS / "load.py"), url, *source]
        command += ["--connections", str(connections), "--seconds", str(seconds)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = run_command(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # only the load has ended in between
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    record: Record = json.loads(out.splitlines()[-1])
    rate = record["requests"] / record["seconds"]
    return {**record, "requests_per_s": rate, "load_cores": used_s / record["seconds"]}


def memory_mib(leader: int) -> tuple[float, int]:
    """Resident memory of a process and its descendants, MiB, and how many they are.

    Pages that several of them share count for each.
    """
    sizes = [rss for _pid, rss in family(leader)]
    return sum(sizes) / 1024, len(sizes)


def used_s(leader: int) -> float:
    """Processor seconds of a process and its descendants so far; nan where there is no /proc."""
    ticks = 0
    for pid, _rss in family(leader):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ps itself has ended
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
            user, system = stat.rpartition(")")[2].split()[11:13]
            ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK") if Path("/proc/self/stat").exists() else float("nan")


def count_batches(port: int) -> tuple[float, float]:
    """Runs of the network and photos in them so far, as olhar's /metrics has them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return float(values["olhar_batches_total"]), float(values["olhar_batch_photos_total"])


def describe_load() -> str:
    """What puts the load."""
    if not (wrk := shutil.which("wrk")):
        return "benchmarks/serving/load.py"
    done = subprocess.run([wrk, "-v"], capture_output=True, text=True, check=False)
    words = (done.stdout or done.stderr).split()
    return " ".join(words[:2])


def describe_versions() -> dict[str, str]:
    """The libraries that olhar serves with, and those of the peers' pins."""
    ours = ("onnxruntime", "pillow", "numpy", "uvicorn", "httptools", "uvloop")
    found = {f"olhar's {name}": _version(name) for name in ours}
    for path in sorted(SCRIPTS.glob("*.txt")):
        pins = path.read_text(encoding="utf-8").splitlines()
        found |= dict(line.split("==") for line in pins if line.startswith(path.stem))
    return found


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
