"""Trackers: the same numbers in TensorBoard, W&B and MLflow as in the run; no failure stops a run."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from olhar.errors import ConfigError, MissingExtraError, ModelError, UnknownNameError
from olhar.run import Run, RunFolder
from olhar.training.trackers import Results, Trackers, build_results, open_trackers, tracked_names
from olhar.training.trackers.quiet import describe_failure, hide_secrets, quietly
from olhar.training.trackers.results import FIGURES, flat_settings

PARAMETERS = 61706
UNREACHABLE = "http://127.0.0.1:9"  # the discard port, where nothing listens


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("WANDB_", "MLFLOW_")):
            monkeypatch.delenv(name)


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> RunFolder:
    """A finished run of its own."""
    return RunFolder(shutil.copytree(digits_run, tmp_path / "digits run"))


@pytest.fixture
def notes() -> list[str]:
    return []


def results_of(run: RunFolder) -> Results:
    return build_results(Run(run.path))


def open_with(names: list[str], notes: list[str]) -> Trackers:
    return open_trackers(names, lambda text: notes.append(str(text)))


def track(run: RunFolder, names: list[str], notes: list[str]) -> Results:
    """What a training does, with a finished run."""
    results = results_of(run)
    with open_with(names, notes) as trackers:
        trackers.start(run.path, run.read_config())
        for row in run.read_history():
            trackers.epoch(row)
        trackers.finish(results)
    return results


def track_until_ctrl_c(
    run: RunFolder, names: list[str], notes: list[str], config: Any, rows: list[dict[str, float]]
) -> None:
    def until_ctrl_c() -> None:
        with open_with(names, notes) as trackers:
            trackers.start(run.path, config)
            for row in rows:
                trackers.epoch(row)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        until_ctrl_c()


# --- names, libraries, settings


def test_unknown_name_and_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="wandb"):
        open_with(["wandbb"], [])
    with pytest.raises(ConfigError, match="http://localhost:5000"):
        open_with(["mlflow"], [])
    code = (
        "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1] / 'src')!r})\n"
        f"sys.path += {[str(tmp_path)]!r}\n"
        "sys.modules['tomli_w'] = sys\n"  # the one library that the way there imports
        "from olhar.training.trackers import open_trackers\n"
        "try: open_trackers([sys.argv[1]], print)\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    (tmp_path / "wandb").mkdir()  # as W&B leaves one in the working directory
    for name in ("tensorboard", "wandb", "mlflow"):
        done = subprocess.run(
            [sys.executable, "-c", code, name], capture_output=True, text=True, check=False
        )
        assert "MissingExtraError" in done.stdout, done.stderr
        assert f"pip install 'olhar[{name}]'" in done.stdout
    assert issubclass(MissingExtraError, ImportError)


def test_no_tracker_does_nothing(run: RunFolder, notes: list[str]) -> None:
    before = sorted(run.path.rglob("*"))
    track(run, [], notes)
    assert notes == []
    assert sorted(run.path.rglob("*")) == before
    assert tracked_names(run.path) == []


def test_settings_are_flat_and_hold_no_secret(run: RunFolder) -> None:
    settings = flat_settings(run.read_config())
    assert settings["recipe.lr"] == run.read_config()["recipe"]["lr"]
    assert settings["data.sizes.train"] == 1293
    odd = {
        "data": {"name": "s3://user:pw@host/x", "set_aside": {"count": 1, "files": ["me.jpg"]}},
        "a": [1, 2],
        "b": None,
    }
    assert flat_settings(odd) == {
        "data.name": "s3://host/x",
        "data.set_aside.count": 1,
        "a": "[1, 2]",
        "b": "null",
    }


def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "abcdef123456")
    assert hide_secrets("key abcdef123456 http://me:pw@host/") == "key … http://host/"
    try:
        try:
            raise ConnectionRefusedError("no route")
        except OSError as inner:
            raise RuntimeError("x" * 999) from inner
    except RuntimeError as error:
        assert describe_failure(error) == "no route"
    assert describe_failure(ValueError()) == "ValueError"


def test_files_with_photos_are_not_among_the_results(run: RunFolder) -> None:
    assert sorted(results_of(run).files) == [
        "confusion_matrix.png",
        "learning_curve.png",
        "metrics.json",
    ]


# --- TensorBoard


def read_events(folder: Path) -> Any:
    with quietly():
        from tensorboard.backend.event_processing import event_accumulator

        events = event_accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0})
        return events.Reload()


def text_of(events: Any, tag: str) -> Any:
    block = events.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()
    return json.loads(block)


def test_tensorboard(run: RunFolder, notes: list[str]) -> None:
    results = track(run, ["tensorboard"], notes)
    assert len(notes) == 1
    assert "tensorboard --logdir" in notes[0]
    events = read_events(run.path / "tensorboard")
    history = run.read_history()
    for name in FIGURES:
        found = [(event.step, event.value) for event in events.Scalars(name)]
        wanted = [(row["epoch"], row[name]) for row in history]
        assert [step for step, _value in found] == [step for step, _value in wanted]
        assert [value for _step, value in found] == pytest.approx([v for _s, v in wanted], rel=1e-6)
    for name, value in results.metrics.items():
        assert events.Scalars(name)[-1].value == pytest.approx(value, rel=1e-6), name
    assert text_of(events, "metrics")["accuracy"] == run.read_metrics()["accuracy"]
    assert text_of(events, "metrics")["Count_Params"] == PARAMETERS
    matrix = text_of(events, "confusion_matrix")["confusion_matrix"]
    assert matrix == run.read_metrics()["confusion_matrix"]
    assert text_of(events, "settings")["recipe.seed"] == 0
    image = events.Images("confusion_matrix")[0]
    assert image.encoded_image_string == run.confusion_matrix.read_bytes()
    assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")


def test_a_resumed_run_logs_each_epoch_once(run: RunFolder, notes: list[str]) -> None:
    history = run.read_history()
    track_until_ctrl_c(run, ["tensorboard"], notes, run.read_config(), history[:3])
    assert tracked_names(run.path) == ["tensorboard"]
    with open_with(tracked_names(run.path), notes) as trackers:
        trackers.start(run.path, run.read_config(), history[:5])  # two were not logged
        for row in history[4:]:  # and one comes again
            trackers.epoch(row)
        trackers.finish(results_of(run))
    events = read_events(run.path / "tensorboard")
    assert [event.step for event in events.Scalars("lr")] == [int(r["epoch"]) for r in history]
    assert len(events.Tensors("settings/text_summary")) == 1


def test_a_disk_that_fails_warns_once(run: RunFolder, notes: list[str]) -> None:
    (run.path / "tensorboard").write_text("not a folder")
    track(run, ["tensorboard"], notes)
    assert len(notes) == 1
    assert "TensorBoard failed" in notes[0]
    assert "Traceback" not in notes[0]


def test_damaged_memory_is_an_error_with_a_next_step(run: RunFolder) -> None:
    for content in ("{", "[]", '{"trackers": 3}', '{"trackers": {"wandb": 3}}'):
        (run.path / "trackers.json").write_text(content)
        with pytest.raises(ModelError, match="remove it"):
            tracked_names(run.path)


# --- Weights & Biases


@pytest.fixture
def wandb_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """W&B as a new process has it: nobody is logged in."""
    import wandb

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.chdir(tmp_path)
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


def wandb_records(run: RunFolder) -> dict[str, list[Any]]:
    """The records of a run by kind, once W&B's own process has written the last."""
    until = time.monotonic() + 20
    while "exit" not in (found := read_wandb_logs(run)) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def read_wandb_logs(run: RunFolder) -> dict[str, list[Any]]:
    """What a run's transaction logs hold, which are in LevelDB's log format."""
    from wandb.proto import wandb_internal_pb2

    found: dict[str, list[Any]] = {}
    for path in sorted((run.path / "wandb").glob("*run-*/*.wandb")):
        data, at, parts = path.read_bytes(), 7, b""
        while at + 7 <= len(data):
            left = 32768 - at % 32768
            if left < 7:
                at += left
                continue
            _crc, length, kind = struct.unpack("<IHB", data[at : at + 7])
            parts += data[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in {1, 4}:  # whole, or the last part
                record = wandb_internal_pb2.Record.FromString(parts)
                kind_name = record.WhichOneof("record_type")
                found.setdefault(kind_name, []).append(getattr(record, kind_name))
                parts = b""
    return found


def items_of(entries: Any) -> dict[str, Any]:
    return {".".join(e.nested_key) or e.key: json.loads(e.value_json) for e in entries}


def test_wandb_offline(
    run: RunFolder, notes: list[str], wandb_session: pytest.MonkeyPatch, capfd: Any
) -> None:
    wandb_session.setenv("WANDB_MODE", "offline")
    home = {path.name for path in Path.home().iterdir()}
    results = track(run, ["wandb"], notes)
    assert len(notes) == 1
    assert "wandb sync" in notes[0]
    assert capfd.readouterr().out == ""
    records = wandb_records(run)
    rows = [items_of(record.item) for record in records["history"]]
    epochs = {int(row["epoch"]): row for row in rows if "epoch" in row}
    for row in run.read_history():
        assert {name: epochs[int(row["epoch"])][name] for name in FIGURES} == {
            name: row[name] for name in FIGURES
        }
    summary: dict[str, Any] = {}
    for record in records["summary"]:
        summary |= items_of(record.update)
    assert {name: summary[name] for name in results.metrics} == dict(results.metrics)
    assert summary["accuracy"] == run.read_metrics()["accuracy"]
    config = items_of(records["run"][0].config.update)
    assert config["recipe.lr"] == run.read_config()["recipe"]["lr"]
    artifacts = {one.type: one for one in records["artifact"]}
    sent = {Path(entry.local_path) for entry in artifacts["model"].manifest.contents}
    assert sent == set(run.model.resolve().iterdir())
    assert all(
        Path(entry.local_path).is_file()
        for one in artifacts.values()
        for entry in one.manifest.contents
    )
    assert list((run.path / "wandb").rglob("media/images/confusion_matrix*.png"))
    table = json.loads(next((run.path / "wandb").rglob("*.table.json")).read_text())
    assert sum(count for _true, _predicted, count in table["data"]) == run.read_metrics()["n"]
    assert {path.name for path in Path.home().iterdir()} - home <= {".cache"}  # not ./wandb


def test_wandb_resumed_is_the_same_run(
    run: RunFolder, notes: list[str], wandb_session: pytest.MonkeyPatch
) -> None:
    wandb_session.setenv("WANDB_MODE", "offline")
    history = run.read_history()
    track_until_ctrl_c(run, ["wandb"], notes, run.read_config(), history[:2])
    time.sleep(1)  # W&B's folders are named by the second
    with open_with(tracked_names(run.path), notes) as trackers:
        trackers.start(run.path, run.read_config(), history)
        trackers.finish(results_of(run))
    records = wandb_records(run)
    assert len({record.run_id for record in records["run"]}) == 1
    rows = [items_of(record.item) for record in records["history"]]
    assert [row["epoch"] for row in rows if "epoch" in row] == [r["epoch"] for r in history]


def test_wandb_disabled(
    run: RunFolder, notes: list[str], wandb_session: pytest.MonkeyPatch
) -> None:
    wandb_session.setenv("WANDB_MODE", "disabled")
    track(run, ["wandb"], notes)
    assert len(notes) == 1
    assert "disabled" in notes[0]
    assert not list(run.path.rglob("*.wandb"))


@pytest.mark.parametrize("key", ["", "a" * 40])
def test_wandb_without_login_or_network_records_offline(
    run: RunFolder, notes: list[str], wandb_session: pytest.MonkeyPatch, key: str
) -> None:
    wandb_session.setenv("WANDB_BASE_URL", UNREACHABLE)
    if key:
        wandb_session.setenv("WANDB_API_KEY", key)
        wandb_session.setenv("WANDB_INIT_TIMEOUT", "1")
    track(run, ["wandb"], notes)
    assert len(notes) == 1
    assert "recorded offline" in notes[0]
    assert not key or key not in notes[0]
    assert len(wandb_records(run)["history"]) >= len(run.read_history())


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_wandb_never_asks_at_a_terminal(tmp_path: Path) -> None:
    import pty

    parent, child = pty.openpty()
    code = (
        "from pathlib import Path\n"
        "from olhar.training.trackers import open_trackers\n"
        "with open_trackers(['wandb'], lambda text: None) as trackers:\n"
        "    trackers.start(Path('.'), {})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=child,
        stdout=child,
        stderr=child,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "WANDB_BASE_URL": UNREACHABLE},
        timeout=60,
        check=False,
    )
    os.close(child)
    try:
        said = os.read(parent, 10000).decode()
    except OSError:  # nothing was said, and the other side is closed
        said = ""
    os.close(parent)
    assert done.returncode == 0, said
    assert "W&B" not in said
    assert "wandb:" not in said


# --- MLflow


_NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes that nobody asks


class Server:
    """A real MLflow server on a free port, with its database and artifacts in a folder."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        self._log = (folder / "log.txt").open("w")
        store, artifacts = folder / "mlflow.db", folder / "artifacts"
        words = ["--backend-store-uri", f"sqlite:///{store}", "--workers", "1"]
        words += ["--artifacts-destination", artifacts.as_uri(), "--port", str(port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words],
            cwd=folder,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **_NO_JOBS},
            start_new_session=True,
        )
        self._wait(folder / "log.txt")

    def _wait(self, log: Path) -> None:
        until = time.monotonic() + 180
        while time.monotonic() < until and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
            except OSError:
                time.sleep(0.5)
            else:
                return
        self.signal(signal.SIGKILL)
        pytest.fail(log.read_text())

    def signal(self, number: int) -> None:
        """To the server and its children."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Kill the server and its children; the second time does nothing."""
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if sys.platform == "win32":
        pytest.skip("the server is stopped by process group")
    pytest.importorskip("mlflow.server", reason="mlflow-skinny has no server", exc_type=ImportError)
    server = Server(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.kill()


def mlflow_run(uri: str, run: RunFolder) -> tuple[Any, Any]:
    """A client, and the run that was logged."""
    with quietly({"MLFLOW_DISABLE_TELEMETRY": "true"}):
        from mlflow import MlflowClient
    client = MlflowClient(uri)
    record = json.loads((run.path / "trackers.json").read_text())
    return client, client.get_run(record["trackers"]["mlflow"]["run_id"])


@pytest.mark.slow
def test_mlflow_server_holds_the_numbers_of_the_run(
    run: RunFolder,
    notes: list[str],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: Any,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    results = track(run, ["mlflow"], notes)
    assert len(notes) == 1
    assert server.uri in notes[0]
    assert capfd.readouterr() == ("", "")
    client, found = mlflow_run(server.uri, run)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "digits run"
    last = run.read_history()[-1]
    figures = {name: last[name] for name in FIGURES}
    assert found.data.metrics == {**figures, **results.metrics}
    assert found.data.metrics["accuracy"] == run.read_metrics()["accuracy"]
    settings = flat_settings(run.read_config())
    assert found.data.params == {key: str(value) for key, value in settings.items()}
    history = client.get_metric_history(found.info.run_id, "val_accuracy")
    assert [(one.step, one.value) for one in history] == [
        (row["epoch"], row["val_accuracy"]) for row in run.read_history()
    ]
    names = {one.path for one in client.list_artifacts(found.info.run_id)}
    assert names == {*results.files, "confusion_matrix.json", "model"}
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    folder = Path(client.download_artifacts(found.info.run_id, "", str(tmp_path)))
    for path in run.model.iterdir():
        assert (folder / "model" / path.name).read_bytes() == path.read_bytes()
    table = json.loads((folder / "confusion_matrix.json").read_text())
    assert table["confusion_matrix"] == run.read_metrics()["confusion_matrix"]


@pytest.mark.slow
def test_mlflow_takes_odd_settings_and_resumes(
    run: RunFolder, notes: list[str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "odd")
    odd = {
        "long": "ã" * 9000,
        "empty": "",
        "none": None,
        "list": [1, [2]],
        "nan": math.nan,
        "infinite": math.inf,
        "<script>|🙂\n": "<script>|🙂\n",
        "k" * 400: 1,
        "../up": 2,
        ".": 3,
        "nested": {"deep": {"a b": True}},
        "many": {str(number): number for number in range(250)},
    }
    history = run.read_history()
    first = {**history[0], "train_loss": math.nan}
    track_until_ctrl_c(run, ["mlflow", "tensorboard"], notes, odd, [first])
    _client, found = mlflow_run(server.uri, run)
    assert found.info.status == "KILLED"
    assert len(found.data.params) == 10 + 1 + 250
    assert found.data.params["long"] == "ã" * 6000
    assert found.data.params["nested.deep.a b"] == "True"
    with open_with(tracked_names(run.path), notes) as trackers:
        trackers.start(run.path, {**odd, "long": "other"}, history)
        trackers.finish(results_of(run))
    assert [note for note in notes if "failed" in note] == []
    client, found = mlflow_run(server.uri, run)
    assert found.info.status == "FINISHED"
    steps = [one.step for one in client.get_metric_history(found.info.run_id, "lr")]
    assert steps == [row["epoch"] for row in history]


def test_mlflow_unreachable_warns_once_and_soon(
    run: RunFolder, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNREACHABLE.replace("//", "//me:sesame@"))
    with quietly():
        import mlflow  # noqa: F401 - its import is not what is timed
    start = time.monotonic()
    track(run, ["mlflow"], notes)
    assert time.monotonic() - start < 5
    assert len(notes) == 1
    assert "MLflow failed" in notes[0]
    assert UNREACHABLE in notes[0]
    assert "sesame" not in notes[0]
    assert tracked_names(run.path) == ["mlflow"]


def test_mlflow_that_never_answers_warns_once_and_soon(
    run: RunFolder, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with quietly():
        import mlflow  # noqa: F401
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        track(run, ["mlflow"], notes)
    assert time.monotonic() - start < 6
    assert len(notes) == 1
    assert "timed out" in notes[0].lower()


def test_ctrl_c_passes_through_a_tracker(
    run: RunFolder, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with quietly():
        import mlflow  # noqa: F401
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        timer = threading.Timer(1, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt), open_with(["mlflow"], notes) as trackers:
            trackers.start(run.path, {})
        timer.join()
    assert notes == []


@pytest.mark.slow
def test_mlflow_server_killed_half_way(  # the last test: it kills the server of the others
    run: RunFolder, notes: list[str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    history = run.read_history()
    with open_with(["mlflow", "tensorboard"], notes) as trackers:
        trackers.start(run.path, run.read_config())
        trackers.epoch(history[0])
        server.kill()
        start = time.monotonic()
        for row in history[1:]:
            trackers.epoch(row)
        trackers.finish(results_of(run))
    assert time.monotonic() - start < 5
    failures = [note for note in notes if "failed" in note]
    assert len(failures) == 1
    assert "MLflow" in failures[0]
    events = read_events(run.path / "tensorboard")  # the other tracker went on
    assert len(events.Scalars("val_loss")) == len(history)
