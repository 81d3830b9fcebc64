"""The long proof of stores, run by `make soak`: pushes killed at random moments, and many at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conftest import needs_data, olhar
from olhar import registry
from olhar.classifier import load_classifier
from olhar.datasets import load_named
from olhar.progress import Progress
from olhar.stores import PersistentStore, open_store, parse_store
from olhar.stores.address import parse_address
from olhar.stores.publish import push_version
from olhar.stores.space import collect
from olhar.stores.versions import (
    MODELS,
    fetch_files,
    find_version,
    list_versions,
    version_numbers,
)
from stores_servers import BACKENDS, Place, open_place

pytestmark = pytest.mark.soak

KILLS = int(os.environ.get("OLHAR_SOAK_KILLS", "100"))
_PUSH = """
import sys
from pathlib import Path
from olhar.progress import Progress
from olhar.stores import open_store
from olhar.stores.publish import push_version
from olhar.stores.versions import MODELS
with open_store(sys.argv[1]) as store:
    files = {path.name: path for path in sorted(Path(sys.argv[2]).iterdir())}
    print("begins", flush=True)
    push_version(store, MODELS, "soak", files, {}, Progress())
"""


@pytest.fixture(scope="module", params=BACKENDS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with open_place(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


def write_files(folder: Path, chance: random.Random, size: int) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("a.bin", "b.bin", "c.bin"):
        (folder / name).write_bytes(chance.randbytes(size))


def start_push(url: str, folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PUSH, url, str(folder)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def check_all(store: PersistentStore, folder: Path) -> None:
    """Every version that is listed is whole."""
    listed, _count = list_versions(store, parse_store(store.shown), MODELS)
    for entry in listed:
        assert entry.manifest is not None, entry.error
        target = folder / str(entry.version)
        fetch_files(store, entry.manifest, target, "soak", Progress())


def test_killed_at_random_moments(place: Place, tmp_path: Path) -> None:
    chance, url = random.Random(0), place.new_store()
    write_files(tmp_path / "files", chance, 400_000)
    start = time.monotonic()
    process = start_push(url, tmp_path / "files")
    process.communicate()
    assert process.returncode == 0
    whole_s, killed, begins = time.monotonic() - start, 0, 1
    for number in range(KILLS):
        write_files(tmp_path / "files", chance, chance.randrange(1, 800_000))
        process = start_push(url, tmp_path / "files")
        time.sleep(chance.uniform(0, whole_s / 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode != 0
        begins += 1
        if number % 25 == 24:
            with open_store(url) as store:
                check_all(store, tmp_path / f"out{number}")
    assert killed > KILLS / 5
    with open_store(url) as store:
        numbers = version_numbers(store, MODELS, "soak")
        assert len(numbers) <= begins
        files = {path.name: path for path in (tmp_path / "files").iterdir()}
        manifest = push_version(store, MODELS, "soak", files, {}, Progress())
        assert find_version(store, MODELS, parse_address(f"{store.shown}/soak")) == manifest
        for flag in store.keys("pushing/"):
            store.write(flag, b"2020-01-01T00:00:00Z")  # as if a day had passed
        collect(store)
        named = {f.sha256 for e in list_versions(store, parse_store(url), MODELS)[0] if e.manifest
                 for f in e.manifest.files.values()}  # fmt: skip
        assert {key[-64:] for key in store.keys("files/")} == named
        print(f"{killed} killed of {KILLS}, {len(numbers)} versions, all whole")


def test_eight_processes_at_once_many_times(place: Place, tmp_path: Path) -> None:
    url = place.new_store()
    write_files(tmp_path / "files", random.Random(1), 1000)
    for _ in range(5):
        running = [start_push(url, tmp_path / "files") for _ in range(8)]
        for process in running:
            process.communicate()
            assert process.returncode == 0
    with open_store(url) as store:
        assert len(version_numbers(store, MODELS, "soak")) == 40
        assert len(store.keys("files/")) == 3


def test_two_gigabytes(place: Place, tmp_path: Path) -> None:
    """Sparse here, whole in the store; larger than one PUT or one document may be."""
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(2**31 + 17)
        file.seek(2**30)
        file.write(b"in the middle")
    with open_store(place.new_store()) as store:
        manifest = push_version(store, MODELS, "large", {"large.bin": path}, {}, Progress())
        fetch_files(store, manifest, tmp_path / "out", "large", Progress())
    assert (tmp_path / "out/large.bin").stat().st_size == 2**31 + 17


@pytest.fixture(scope="module")
def cifar_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One epoch on CIFAR-10; OLHAR_SOAK_RUN names a run that is there already."""
    given = os.environ.get("OLHAR_SOAK_RUN")
    if given:
        return Path(given)
    path = tmp_path_factory.mktemp("runs") / "c10"
    words = ("--data", "cifar10", "--network", "cnn-32-64-64", "--epochs", "1")
    done = olhar("train", *words, "--run", path, timeout_s=1800)
    assert done.status == 0, done.err
    return path


@needs_data
def test_a_cifar10_model_predicts_the_same_to_the_last_bit(place: Place, cifar_run: Path) -> None:
    address = registry.push(cifar_run, place.new_store(), "cifar").address
    near, far = load_classifier(cifar_run), registry.load(address)
    test = load_named("cifar10").images[-2000:]  # (N, H, W, C) uint8
    images = np.ascontiguousarray(np.asarray(test).transpose(0, 3, 1, 2))
    assert np.array_equal(near.predict_probs(images), far.predict_probs(images))
    said = [
        olhar("predict", model, cifar_run / "samples.png", "--json").out
        for model in (cifar_run, address)
    ]
    assert said[0]
    assert said[0] == said[1]
