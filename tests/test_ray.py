"""A sweep on a real Ray cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import contextlib
import csv
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Done, olhar
from olhar._version import __version__
from olhar.cluster import find_head
from olhar.errors import ConfigError
from olhar.run import RunFolder
from olhar.sweep.ray_worker import Worker, change_config, read_files, write_files
from olhar.sweep.task import Task
from ray_cluster import Cluster, running_cluster

pytest.importorskip("ray")
pytest.importorskip("optuna")
SWEEP = ("sweep", "--data", "digits", "--network", "gmnet", "--trials", "4", "--set", "epochs=9")
SWEEP += ("--param", "lr=0.003,0.001", "--param", "batch_size=32,64", "--engine", "ray")
SWEEP += ("--finalists", "1")
SWEEP_S = 500


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as started:
        yield started


def sweep(cluster: Cluster, out: Path, **env: str) -> Done:
    env = {**cluster.env, **env}
    return olhar(*SWEEP, "--out", out, "--json", timeout_s=SWEEP_S, **env)


def sweep_until(cluster: Cluster, out: Path, rows: int) -> tuple[threading.Thread, list[Done]]:
    """A sweep under way that has written so many rows, and the list that its end comes into."""
    found: list[Done] = []
    driver = threading.Thread(target=lambda: found.append(sweep(cluster, out)))
    driver.start()
    limit = time.monotonic() + SWEEP_S
    while rows_written(out) < rows and driver.is_alive():
        assert time.monotonic() < limit
        time.sleep(0.1)
    return driver, found


def rows_written(out: Path) -> int:
    return sum(len(RunFolder(one).read_history()) for one in (out / "trials").glob("*"))


@pytest.mark.slow
def test_a_lost_node_costs_an_epoch_at_most(cluster: Cluster, tmp_path: Path) -> None:
    second = cluster.start("--address", cluster.address)
    out = tmp_path / "out"
    driver, found = sweep_until(cluster, out, 5)
    before = {one: (one / "history.csv").read_bytes() for one in (out / "trials").glob("*")}
    cluster.kill(second)
    driver.join()
    done = found[0]
    assert done.status == 0, done.err
    result = done.json  # standard output is the JSON alone
    assert [one["number"] for one in result["trials"]] == [0, 1, 2, 3]
    assert {one["state"] for one in result["trials"]} <= {"complete", "stopped"}
    assert result["best"]["test"]["accuracy"] > 0.9
    for path, content in before.items():  # what was there is there, and goes on
        assert (path / "history.csv").read_bytes().startswith(content)
    for one in result["trials"]:
        folder = RunFolder(out / "trials" / f"{one['number']:03}")
        with folder.history.open(encoding="utf-8", newline="") as file:
            epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
        assert epochs == list(range(1, one["epochs"] + 1))
        assert str(folder.path) in folder.read_config()["command"]
        if one["state"] == "complete":
            assert folder.read_metrics()["split"] == "val"
            assert (folder.model / "model.onnx").is_file()


@pytest.mark.slow
def test_a_wrong_token_is_refused_within_seconds(cluster: Cluster, tmp_path: Path) -> None:
    begun = time.monotonic()
    done = sweep(cluster, tmp_path / "out", RAY_AUTH_TOKEN=secrets.token_hex(32))
    assert done.status == 1
    assert "RAY_AUTH_TOKEN must be set" in done.err
    assert len(done.err.splitlines()) == 1
    assert time.monotonic() - begun < 60  # 15 s on a quiet machine


@pytest.mark.parametrize("kind", ["nothing there", "another service", "silent"])
def test_a_head_that_does_not_answer(tmp_path: Path, kind: str) -> None:
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        port = service.getsockname()[1]
        if kind != "nothing there":
            service.listen()
        if kind == "another service":
            threading.Thread(target=_hang_up, args=(service,), daemon=True).start()
        begun = time.monotonic()
        done = olhar(*SWEEP, "--out", tmp_path / "out", "--address", f"127.0.0.1:{port}")
        assert time.monotonic() - begun < 40  # 15 s on a quiet machine
    assert done.status == 1
    assert f"no Ray head answers at 127.0.0.1:{port}" in done.err
    assert len(done.err.splitlines()) == 1


def _hang_up(service: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection, _peer = service.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@given(st.text().filter(lambda text: text not in {"", "auto"}))
def test_an_address_is_a_host_and_a_port(text: str) -> None:
    if ":" in text:
        text = f"ray://{text}"
    with pytest.raises(ConfigError, match="HOST:PORT"):
        find_head(text)


NAMES = st.sampled_from(
    ["config.toml", "history.csv", "metrics.json", "model/model.onnx", "model/config.json", "a.png"]
)


@given(st.dictionaries(NAMES, st.binary(max_size=50)))
def test_a_run_folder_travels_whole_and_once(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder, seen = Path(place) / "run", {}
        write_files(folder, files)
        assert read_files(folder, seen) == files
        assert read_files(folder, seen) == {}
        if "history.csv" in files:
            (folder / "history.csv").write_bytes(files["history.csv"] + b"1,2\n")
            assert list(read_files(folder, seen)) == ["history.csv"]


def test_a_node_without_the_data_says_so(tmp_path: Path) -> None:
    worker = Worker()
    data = {"name": str(tmp_path / "photos")}
    worker.train(vars(Task(0, data, "lenet5", {}, "out")), {}, __version__)
    assert "photos" in worker.hear()["unfit"]
    worker.train(vars(Task(0, {"name": "digits"}, "lenet5", {}, "out")), {}, "0.0")
    assert "olhar" in worker.hear()["unfit"]


def test_a_worker_trains_what_it_was_sent(tmp_path: Path) -> None:
    """Paused after an epoch and sent to another worker, a task ends as it does in one piece."""
    settings = {"epochs": 2, "seed": 0}
    task = vars(Task(0, {"name": "digits"}, "lenet5", settings, "out/trials/000"))
    ended = []
    for stops in ([False, False], [True, False]):
        files: dict[str, bytes] = {}
        for stop in stops:
            worker = Worker()
            worker.train(task, files, __version__)
            said = worker.hear()
            while "row" in said:
                if "config.toml" in said["files"]:
                    written_as = said["folder"]
                files.update(said["files"])
                worker.answer(stop)
                said = worker.hear()
            files.update(said["files"])
            if said["result"]["state"] == "complete":
                break
        assert said["result"]["state"] == "complete", said
        ended.append(files["model/model.safetensors"])
    assert ended[0] == ended[1]
    moved = change_config(files["config.toml"], folders=(written_as, tmp_path / "a b"))
    write_files(tmp_path / "a b", {"config.toml": moved})
    assert f"'{tmp_path.as_posix()}/a b'" in RunFolder(tmp_path / "a b").read_config()["command"]


@pytest.mark.slow
def test_a_head_that_dies_is_said(cluster: Cluster, tmp_path: Path) -> None:
    """The last test of this file: the cluster is gone after it."""
    out = tmp_path / "out"
    driver, found = sweep_until(cluster, out, 2)
    assert cluster.head is not None
    cluster.kill(cluster.head)
    kept = rows_written(out)
    driver.join(55)  # Ray itself would end the driver after 60 s, without a word of ours
    assert not driver.is_alive()
    assert found[0].status == 1
    assert "has not answered for 15 seconds" in found[0].err
    assert "Traceback" not in found[0].err
    assert rows_written(out) >= kept >= 2
