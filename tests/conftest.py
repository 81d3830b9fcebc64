"""What the tests share: the data folder, a cache of their own, and the command line as a user has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock

# Tests that run side by side share the cores: two trainings with a thread a core each wait for
# each other (docs/experiments.md).
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Files of tests that take minutes; they are begun first, so that no process ends long after another.
_LONG = ("train", "tutorials", "sweep_kill", "sweep", "distributed", "ray", "page", "no_network")

# Machines differ, and the first example of a test may load a library: no deadlines.
hypothesis.settings.register_profile("olhar", deadline=None)
hypothesis.settings.load_profile("olhar")

DATA = os.environ.get("OLHAR_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="OLHAR_DATA names no folder with real data")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, each whole; the others as they were."""
    places = {f"test_{stem}": place for place, stem in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


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


def olhar(*words: object, stdin: bytes | None = None, timeout_s: float = 300, **env: str) -> Done:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "olhar", *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        env={**os.environ, **env},
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


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


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that no test beside this one fills or removes."""
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path / "cache"))
