"""The container's two halves as processes in a folder laid out like /opt/ml; SageMaker as moto has it."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import Done, finish, olhar, start
from olhar import errors
from olhar.classifier import load_classifier
from olhar.cli import main
from olhar.datasets import load_named
from olhar.deploy import archive, container
from olhar.deploy.archive import pack_files, unpack_archive
from olhar.deploy.aws import find_region
from olhar.deploy.endpoint import deploy_model, undeploy
from olhar.deploy.hyperparameters import read_hyperparameters
from olhar.deploy.package import packed_model
from olhar.deploy.settings import EndpointSettings, default_name
from olhar.deploy.training_job import fetch_run
from olhar.i18n import Text
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.training.recipe import SETTINGS
from sagemaker_server import BUCKET, REGION, ROLE, SageMaker, refused, running_sagemaker
from stores_servers import environment, free_port, wait_for

httpx = pytest.importorskip("httpx", reason="the server's tests need httpx")
pytest.importorskip("boto3", reason="SageMaker needs olhar[s3]")

HYPERPARAMETERS = {"network": "lenet5", "epochs": "4", "batch_size": "16", "val": "0.2"}
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/olhar:serve"
COMMON = ("--role", ROLE, "--image", IMAGE, "--region", REGION)
QUIET = Progress()


class Heard(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: Text) -> None:
        self.lines.append(str(text))


def begin(root: Path, word: str, **env: str) -> Any:
    """The container's entry point."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    own = {"OMP_NUM_THREADS": "1", **env, "OLHAR_ML_ROOT": str(root)}
    return start(word, module="olhar.deploy", **streams, **own)


def ended(process: Any) -> Done:
    return finish(process, "olhar.deploy")


def lay_out(root: Path, hyperparameters: Any, channels: tuple[str, ...] = ("training",)) -> Path:
    """A folder as SageMaker prepares it."""
    config = root / "input/config"
    config.mkdir(parents=True)
    modes = {name: {"TrainingInputMode": "File"} for name in channels}
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    (config / "inputdataconfig.json").write_text(json.dumps(modes))
    (config / "resourceconfig.json").write_text('{"current_host": "a", "hosts": ["a"]}')
    for name in channels:
        (root / "input/data" / name).mkdir(parents=True)
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 of the digits, as photos in class folders."""
    folder, digits = tmp_path_factory.mktemp("photos"), load_named("digits")
    for index in range(400):
        path = folder / str(digits.labels[index]) / f"{index:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.asarray(digits.images[index, :, :, 0])).save(path)
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that was interrupted as spot instances are, and went on; tests must not change it."""
    root = lay_out(tmp_path_factory.mktemp("job") / "ml", HYPERPARAMETERS)
    shutil.copytree(photos, root / "input/data/training", dirs_exist_ok=True)
    first = begin(root, "train")
    assert first.stdout is not None
    said = b""
    while b"epoch=1/4" not in said:
        line = first.stdout.readline()
        assert line, said.decode()
        said += line
    first.send_signal(signal.SIGTERM)
    interrupted = ended(first)
    assert interrupted.status == 143, interrupted.out
    assert "checkpoints are kept" in interrupted.out
    assert not (root / "model").exists()
    again = ended(begin(root, "train"))
    assert again.status == 0, again.out
    assert "going on" in again.out
    assert "epoch=1/" not in again.out
    assert "epoch=4/4 train_loss=" in again.out
    return root


class TestTrain:
    def test_what_a_job_leaves(self, trained: Path) -> None:
        assert {path.name for path in (trained / "model").iterdir()} == {
            "model",
            "README.md",
            "README.pt-BR.md",
            "metrics.json",
        }
        classifier = load_classifier(trained / "model")
        assert classifier.class_names == tuple("0123456789")
        run = RunFolder(trained / "output/data/run")
        assert [row["epoch"] for row in run.read_history()] == [1, 2, 3, 4]
        assert run.read_metrics() == json.loads((trained / "model/metrics.json").read_text())
        assert not run.checkpoint.exists()
        assert not (trained / "output/failure").exists()

    def test_a_job_that_has_ended_delivers_again(self, trained: Path, tmp_path: Path) -> None:
        shutil.copytree(trained, tmp_path / "ml")
        shutil.rmtree(tmp_path / "ml/model")
        done = run_train(tmp_path / "ml")
        assert done == (0, "")
        assert load_classifier(tmp_path / "ml/model").class_names

    def test_the_checkpoints_of_another_training(self, trained: Path, tmp_path: Path) -> None:
        root = lay_out(tmp_path / "ml", {**HYPERPARAMETERS, "epochs": "5"})
        shutil.copytree(trained / "checkpoints", root / "checkpoints")
        status, failure = run_train(root)
        assert status == 1
        assert "of another training" in failure

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"epoch": "3"}, "unknown hyperparameter 'epoch'; did you mean epochs"),
            ({"netwrok": "lenet5"}, "did you mean network"),
            ({"epochs": "many"}, "epochs is 'many'; allowed: a whole number"),
            ({"epochs": "0"}, "epochs is '0'; allowed"),
            ({"channels": "1.5"}, "channels is '1.5'"),
            ({"epochs": 3}, "epochs is 3; allowed: text"),
            ({"network": "lenet6"}, "lenet5"),
            ([1], "no JSON object"),
        ],
    )
    def test_hyperparameters_that_cannot_be(self, tmp_path: Path, values: Any, words: str) -> None:
        status, failure = run_train(lay_out(tmp_path / "ml", values))
        assert status == 1
        assert words in failure
        assert not (tmp_path / "ml/checkpoints").exists()

    def test_other_jobs_that_cannot_be(self, tmp_path: Path) -> None:
        root = lay_out(tmp_path / "a", {}, ("one", "two"))
        assert "2 channels (one, two)" in run_train(root)[1]
        (root / "input/config/inputdataconfig.json").write_text(
            '{"one": {"TrainingInputMode": "Pipe"}}'
        )
        assert "input mode Pipe" in run_train(root)[1]
        (root / "input/config/resourceconfig.json").write_text('{"hosts": ["a", "b"]}')
        assert "2 instances" in run_train(root)[1]
        (root / "input/config/resourceconfig.json").write_text("{")
        assert "not readable as JSON" in run_train(root)[1]
        assert "0 channels (-)" in run_train(tmp_path / "empty")[1]
        assert "no photos" in run_train(lay_out(tmp_path / "b", {}))[1]

    def test_an_unknown_word(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert container.main(["tarin"]) == 2
        assert "allowed: train, serve" in capsys.readouterr().err

    def test_train_and_validation_channels_are_one_folder_of_photos(self, tmp_path: Path) -> None:
        from olhar.deploy.job import _find_data

        root = lay_out(tmp_path / "ml", {}, ("train", "validation"))
        folder = container.MlFolder(root)
        assert _find_data(folder, read_hyperparameters({})) == str(root / "input/data")

    def test_a_named_set_is_taken_from_the_channel(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from olhar.deploy.job import _find_data

        monkeypatch.setenv("OLHAR_DATA", "before")
        folder = container.MlFolder(lay_out(tmp_path / "ml", {}))
        assert _find_data(folder, read_hyperparameters({"data": "cifar10"})) == "cifar10"
        assert os.environ["OLHAR_DATA"] == str(folder.data / "training")

    @settings(max_examples=60)
    @given(
        st.dictionaries(
            st.sampled_from([*SETTINGS, "data", "network", "val", "size", "resize", "Epochs"]),
            st.one_of(st.text(max_size=8), st.integers().map(str), st.floats().map(str)),
            max_size=3,
        )
    )
    def test_any_strings_are_read_or_refused_in_a_sentence(self, values: dict[str, str]) -> None:
        try:
            found = read_hyperparameters(values)
        except errors.OlharError as error:
            assert str(error)
        else:
            kept = {*found.settings, *found.data_settings, "data", "network"}
            assert set(values) <= kept, "nothing is dropped"


def run_train(root: Path) -> tuple[int, str]:
    """The entry point in this process: exit status and failure file."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        with environment({"OLHAR_ML_ROOT": str(root)}):
            status = container.main(["train"])
    finally:
        signal.signal(signal.SIGTERM, before)
    failure = root / "output/failure"
    return status, failure.read_text() if failure.is_file() else ""


@contextmanager
def serving(root: Path, **env: str) -> Iterator[tuple[Any, Any]]:
    port = free_port()
    process = begin(root, "serve", SAGEMAKER_BIND_TO_PORT=str(port), **env)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_for(port)
            yield process, client
    finally:
        process.terminate()
        finish(process, "olhar.deploy serve", timeout_s=30)


class TestServe:
    def test_the_contract(self, trained: Path, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "torch.py").write_text("raise ImportError('serving needs no torch')")
        photo = photos / "3" / sorted(path.name for path in (photos / "3").iterdir())[0]
        expected = load_classifier(trained / "model").predict(photo)
        with serving(trained, PYTHONPATH=str(tmp_path)) as (process, client):
            begun = time.monotonic()
            assert client.get("/ping").status_code == 200
            assert time.monotonic() - begun < 2
            for path, kind in (
                ("/invocations", "image/png"),
                ("/invocations", "application/x-image"),
            ):
                answer = client.post(
                    path, content=photo.read_bytes(), headers={"Content-Type": kind}
                )
                assert answer.status_code == 200
                assert answer.json()[0]["label"] == expected.label
                assert answer.json()[0]["probability"] == expected.probability
            assert client.get("/models").json()[0]["name"] == "model"
            process.terminate()
            assert process.wait(30) == 0
            assert process.stdout is not None
            assert b"every request was answered" in process.stdout.read()

    def test_no_model_and_no_port(self, trained: Path, tmp_path: Path) -> None:
        done = ended(begin(tmp_path, "serve"))
        assert done.status == 2
        assert "error:" in done.out
        assert "Traceback" not in done.out
        done = ended(begin(trained, "serve", SAGEMAKER_BIND_TO_PORT="http"))
        assert (done.status, "SAGEMAKER_BIND_TO_PORT is 'http'" in done.out) == (2, True)


def tar_of(entries: list[tuple[tarfile.TarInfo, bytes]], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


class TestArchive:
    def test_equal_files_are_equal_archives(self, tmp_path: Path) -> None:
        names = ["b/x.txt", "a.txt"]
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(name)
        files = {name: tmp_path / name for name in names}
        pack_files(files, tmp_path / "1")
        os.utime(tmp_path / "a.txt", (1, 1))
        (tmp_path / "a.txt").chmod(0o600)
        pack_files(dict(reversed(files.items())), tmp_path / "2")
        assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
        assert unpack_archive(tmp_path / "1", tmp_path / "out") == 2
        assert (tmp_path / "out/b/x.txt").read_text() == "b/x.txt"
        assert unpack_archive(tmp_path / "1", tmp_path / "below", below="b") == 1
        assert (tmp_path / "below/x.txt").is_file()

    @pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE])
    def test_links_and_devices(self, tmp_path: Path, kind: bytes) -> None:
        entry = tarfile.TarInfo("run/a")
        entry.type, entry.linkname = kind, "/etc/passwd"
        path = tar_of([(entry, b"")], tmp_path / "x.tar.gz")
        with pytest.raises(errors.DataError, match="a link, a device"):
            unpack_archive(path, tmp_path / "out", below="run")

    @pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:/x", "a\\x", "nul", ".ssh/x"])
    def test_paths_outside(self, tmp_path: Path, name: str) -> None:
        path = tar_of([(tarfile.TarInfo(name), b"x")], tmp_path / "x.tar.gz")
        with pytest.raises(errors.DataError):
            unpack_archive(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @settings(max_examples=40)
    @given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), max_size=3))
    def test_nothing_is_written_outside(self, names: list[str]) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            entries = [(tarfile.TarInfo(one), b"x") for one in names]
            path = tar_of(entries, folder / "x.tar.gz")
            (folder / "in").mkdir()
            with suppress(errors.DataError):
                unpack_archive(path, folder / "in/out")
            assert {one.name for one in folder.iterdir()} == {"x.tar.gz", "in"}
            assert {one.name for one in (folder / "in").iterdir()} <= {"out"}

    def test_what_is_damaged_twice_there_or_too_much(self, tmp_path: Path) -> None:
        whole = tar_of([(tarfile.TarInfo("a"), b"x" * 5000)], tmp_path / "x.tar.gz")
        with pytest.raises(errors.DataError, match="more than can be meant"):
            unpack_archive(whole, tmp_path / "o1", most_bytes=4000)
        content = whole.read_bytes()
        for index, damaged in enumerate((content[:40], b"no", gzip.compress(b"no"), b"")):
            (tmp_path / "y").write_bytes(damaged)
            with pytest.raises(errors.DataError, match="no readable archive"):
                unpack_archive(tmp_path / "y", tmp_path / f"p{index}")
        twice = [(tarfile.TarInfo("a"), b"1"), (tarfile.TarInfo("a"), b"2")]
        with pytest.raises(errors.DataError, match="there twice"):
            unpack_archive(tar_of(twice, tmp_path / "z"), tmp_path / "o2")


@pytest.fixture(scope="module")
def sagemaker() -> Iterator[SageMaker]:
    with running_sagemaker() as found, environment(found.settings):
        yield found


@pytest.fixture(autouse=True)
def _everything_forgotten(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "sagemaker" in request.fixturenames:
        found: SageMaker = request.getfixturevalue("sagemaker")
        found.reset()


@pytest.fixture(scope="module")
def answer(trained: Path) -> str:
    """What the container answers to the question that a deployment asks."""
    with packed_model(trained / "model", QUIET) as package, serving(trained) as (_process, client):
        kind = {"Content-Type": "application/json"}
        found = client.post("/invocations", content=package.probe, headers=kind)
        assert found.status_code == 200
        return str(found.text)


def changed(answer: str, by: float) -> str:
    records = json.loads(answer)
    records[0]["top"][3]["probability"] += by
    return json.dumps(records)


def deploy(model: Path, name: str, progress: Progress = QUIET, **changes: Any) -> Any:
    values = {"instance": "ml.m5.large", "bucket": f"s3://{BUCKET}/olhar", **changes}
    wanted = EndpointSettings(name, REGION, ROLE, IMAGE, **values)
    with packed_model(model, progress) as package:
        return deploy_model(wanted, package, progress)


class TestEndpoint:
    def test_from_a_run_to_an_endpoint_and_back(
        self, sagemaker: SageMaker, trained: Path, answer: str
    ) -> None:
        before = sagemaker.there()
        sagemaker.plant_answer(changed(answer, 9e-5))
        words = ("--instance", "ml.m5.large", "--bucket", f"s3://{BUCKET}/olhar", "--name", "d1")
        done = olhar("deploy", "sagemaker", trained / "model", *COMMON, *words, "--json")
        assert done.status == 0, done.err
        assert done.json["name"] == "d1"
        assert done.json["largest_difference"] == pytest.approx(9e-5, rel=0.01)
        assert sagemaker.there() == tuple(count + 1 for count in before)
        model = sagemaker.client("sagemaker").describe_model(ModelName="d1")
        assert model["PrimaryContainer"]["ModelDataUrl"] == done.json["model_data"]
        self.unpacked_model_is_the_same(sagemaker, done.json["model_data"], trained)
        again = olhar("deploy", "sagemaker", trained / "model", *COMMON, *words)
        assert (again.status, "already" in again.err) == (1, True)
        gone = olhar("undeploy", "d1", "--region", REGION, "--json")
        assert gone.json["removed"] == ["endpoint", "configuration", "model"]
        assert sagemaker.there()[:3] == before[:3]
        twice = olhar("undeploy", "d1", "--region", REGION)
        assert (twice.status, "there is nothing called 'd1'" in twice.out) == (0, True)

    def unpacked_model_is_the_same(self, sagemaker: SageMaker, url: str, trained: Path) -> None:
        key = url.removeprefix(f"s3://{BUCKET}/")
        body = sagemaker.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            onnx = tar.extractfile("model/model.onnx")
            assert onnx is not None
            assert onnx.read() == (trained / "model/model/model.onnx").read_bytes()

    @pytest.mark.parametrize(
        ("planted", "words"),
        [("changed", "answers otherwise"), ("body", "no answer of olhar's"), ("[{}]", "no answer")],
    )
    def test_a_wrong_answer_undoes_everything(
        self, sagemaker: SageMaker, trained: Path, answer: str, planted: str, words: str
    ) -> None:
        before, heard = sagemaker.there(), Heard()
        sagemaker.plant_answer(changed(answer, 2e-4) if planted == "changed" else planted)
        with pytest.raises(errors.DeployError, match=words):
            deploy(trained / "model", default_name(f"wrong {words}"), heard, instance=None)
        assert sagemaker.there()[:3] == before[:3]
        assert [line.split()[1] for line in heard.lines if line.startswith("removed")][:3] == [
            "Endpoint",
            "EndpointConfig",
            "Model",
        ]

    def test_a_refusal_half_way_undoes_what_was_made(
        self, sagemaker: SageMaker, trained: Path
    ) -> None:
        before = sagemaker.there()
        sagemaker.answers["CreateEndpoint"] = [
            refused("ResourceLimitExceeded", "The account-level service limit is 0 instances.")
        ]
        with pytest.raises(errors.DeployError, match="limit is 0 instances"):
            deploy(trained / "model", "half-way")
        assert sagemaker.there()[:3] == before[:3]
        assert "DeleteEndpoint" not in sagemaker.asked, "it was refused, so it is not ours"

    def test_an_endpoint_that_does_not_come_up(self, sagemaker: SageMaker, trained: Path) -> None:
        before = sagemaker.there()
        failed = {"EndpointStatus": "Failed", "EndpointArn": "a", "FailureReason": "did not ping"}
        sagemaker.answers["DescribeEndpoint"] = [None, (200, failed)]
        with pytest.raises(errors.DeployError, match="is Failed: did not ping"):
            deploy(trained / "model", "not-up")
        assert sagemaker.there()[:3] == before[:3]

    def test_ctrl_c_while_it_is_made(self, sagemaker: SageMaker, trained: Path) -> None:
        before = sagemaker.there()
        creating = {"EndpointStatus": "Creating", "EndpointArn": "a"}
        sagemaker.answers["DescribeEndpoint"] = [None, (200, creating)]
        busy = refused("ValidationException", 'Cannot update in-progress endpoint "a".')
        sagemaker.answers["DeleteEndpoint"] = [busy, None]
        words = ("--serverless", "--bucket", f"s3://{BUCKET}/olhar", "--name", "ctrl-c")
        # A shell's background job ignores SIGINT, and so would what it starts.
        code = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
            "from olhar.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", code, "deploy", "sagemaker", trained / "model"]
        process = subprocess.Popen([*command, *COMMON, *words], stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = b""
        while b"Creating" not in said:
            line = process.stderr.readline()
            assert line, said.decode()
            said += line
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=60)[1]
        assert process.returncode == 130, said.decode()
        assert b"before that, AWS does not remove it" in said
        assert sagemaker.there()[:3] == before[:3]

    def test_a_dry_run_shows_every_call_and_makes_none(self, trained: Path) -> None:
        nowhere = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
        words = (trained / "model", *COMMON, "--serverless", "--memory-mb", "3072", "--dry-run")
        done = olhar("deploy", "sagemaker", *words, "--json", **nowhere)
        assert done.status == 0, done.err
        assert [call["operation"] for call in done.json] == [
            "PutObject",
            "CreateModel",
            "CreateEndpointConfig",
            "CreateEndpoint",
            "DescribeEndpoint",
            "InvokeEndpoint",
        ]
        assert done.json[0]["parameters"]["Bucket"] == f"sagemaker-{REGION}-123456789012"
        (variant,) = done.json[2]["parameters"]["ProductionVariants"]
        assert variant["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 5}
        again = olhar("deploy", "sagemaker", *words, "--json", **nowhere)
        assert again.out == done.out

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--serverless", "--memory-mb", "1000"), "allowed: 1024, 2048"),
            ((), "either --instance"),
            (("--instance", "m5"), "ml.m5.large"),
            (("--serverless", "--name", "a_b"), "at most 63 letters"),
            (("--serverless", "--bucket", "/tmp"), "allowed: s3://bucket/prefix"),
            (("--serverless", "--region", "here"), "no region of AWS"),
            (("--serverless", "--role", "me"), "arn:aws:iam::123456789012:role/"),
            (("--serverless", "--image", "no image"), "dkr.ecr"),
            (("--serverless", "--spot"), "add --train"),
            (("--train", "--data", "digits"), "--train does not go with MODEL"),
        ],
    )
    def test_wrong_usage(self, trained: Path, words: tuple[str, ...], message: str) -> None:
        done = in_process("deploy", "sagemaker", str(trained / "model"), *COMMON, *words)
        assert done.status == 2
        assert message in done.err


def in_process(*words: str) -> Done:
    """The command line without a process of its own, which costs half a second."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(words)
    return Done(status, out.getvalue(), err.getvalue())


def trouble(monkeypatch: pytest.MonkeyPatch, endpoint: str, trained: Path) -> str:
    """What is said within three seconds; the best of three tries, since machines are busy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    seconds = []
    with packed_model(trained / "model", QUIET) as package:
        wanted = EndpointSettings("t", REGION, ROLE, IMAGE, f"s3://{BUCKET}", "ml.m5.large")
        while len(seconds) < 3:
            begun = time.monotonic()
            with pytest.raises(errors.OlharError) as caught:
                deploy_model(wanted, package)
            seconds.append(time.monotonic() - begun)
            assert "hunter2" not in str(caught.value)
            if seconds[-1] < 3:
                return str(caught.value)
    pytest.fail(f"a message within three seconds; it took {seconds}")


class TestTrouble:
    def test_refused_silent_and_without_tls(
        self, monkeypatch: pytest.MonkeyPatch, trained: Path, sagemaker: SageMaker
    ) -> None:
        closed = f"http://127.0.0.1:{free_port()}"
        assert "the connection was refused" in trouble(monkeypatch, closed, trained)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            assert "does not answer in time" in trouble(monkeypatch, url, trained)
        https = sagemaker.url.replace("http:", "https:")
        assert "TLS" in trouble(monkeypatch, https, trained)

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("AccessDeniedException", "sagemaker:DescribeEndpoint"),
            ("UnrecognizedClientException", "refuses the login"),
            ("ExpiredTokenException", "refuses the login"),
            ("ThrottlingException", "is busy"),
            ("ValidationException", "was refused"),
        ],
    )
    def test_what_aws_refuses(
        self,
        monkeypatch: pytest.MonkeyPatch,
        trained: Path,
        sagemaker: SageMaker,
        code: str,
        words: str,
    ) -> None:
        sagemaker.answers["DescribeEndpoint"] = [refused(code, "no hunter2")]
        assert words in trouble(monkeypatch, sagemaker.url, trained)

    def test_without_login_and_region(
        self, monkeypatch: pytest.MonkeyPatch, trained: Path, sagemaker: SageMaker
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name)
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, os.devnull)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(errors.StoreError, match="there is no login"):
            deploy(trained / "model", "t")
        monkeypatch.delenv("AWS_REGION", raising=False)
        with pytest.raises(errors.ConfigError, match="no region"):
            find_region(None)

    def test_undeploy_what_is_being_made_by_somebody(self, sagemaker: SageMaker) -> None:
        sagemaker.answers["DeleteEndpoint"] = [refused("AccessDeniedException", "not you")]
        with pytest.raises(errors.NoPermissionError, match="sagemaker:DeleteEndpoint: not you"):
            undeploy("x", REGION)


def put_archive(sagemaker: SageMaker, key: str, folder: Path, *extra: tarfile.TarInfo) -> None:
    """As SageMaker packs what a job leaves."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
        for entry in extra:
            tar.addfile(entry)
    sagemaker.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content.getvalue())


TRAINING = ("--instance", "ml.m5.xlarge", "--bucket", f"s3://{BUCKET}/jobs")


class TestTrainingJob:
    def test_a_job_is_followed_and_its_run_fetched(
        self, sagemaker: SageMaker, trained: Path, tmp_path: Path
    ) -> None:
        put_archive(sagemaker, "jobs/j1/output/output.tar.gz", trained / "output/data")
        logs = sagemaker.client("logs")
        names = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
        logs.create_log_group(**names)
        names["logStreamName"] = "j1/algo-1-123"
        logs.create_log_stream(**names)
        event = {"timestamp": int(time.time() * 1000), "message": "epoch=1/4 val_accuracy=0.5"}
        logs.put_log_events(**names, logEvents=[event])
        words = ("--data", f"s3://{BUCKET}/photos", "--network", "lenet5", "--set", "epochs=4")
        run = tmp_path / "run"
        done = olhar(
            *("deploy", "sagemaker", "--train", *COMMON, *TRAINING, *words),
            *("--name", "j1", "--run", run, "--spot", "--hours", "2", "--json"),
        )
        assert done.status == 0, done.err
        assert done.json == {"name": "j1", "run": str(run)}
        assert done.err.count("epoch=1/4 val_accuracy=0.5") == 1
        job = sagemaker.client("sagemaker").describe_training_job(TrainingJobName="j1")
        assert job["HyperParameters"] == {"network": "lenet5", "epochs": "4"}
        assert job["StoppingCondition"] == {
            "MaxRuntimeInSeconds": 7200,
            "MaxWaitTimeInSeconds": 14400,
        }
        (channel,) = job["InputDataConfig"]
        assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/photos"
        images = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28), dtype=np.uint8)
        near, far = (load_classifier(path) for path in (trained / "model", run))
        assert np.array_equal(near.predict_probs(images), far.predict_probs(images))
        again = in_process("deploy", "sagemaker", "--train", *COMMON, *TRAINING, *words,
                           "--name", "j1", "--run", str(tmp_path / "r2"))  # fmt: skip
        assert (again.status, "--follow" in again.err) == (1, True)

    def test_a_job_that_fails(self, sagemaker: SageMaker, tmp_path: Path) -> None:
        running = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
        failed = {
            "TrainingJobStatus": "Failed",
            "FailureReason": "AlgorithmError: the folder has no photos",
        }
        sagemaker.answers["DescribeTrainingJob"] = [None, (200, running), (200, failed)]
        sagemaker.answers["DescribeLogStreams"] = [refused("AccessDeniedException", "no logs")]
        words = ("--data", "cifar10", "--name", "j2", "--run", str(tmp_path / "run"))
        done = in_process("deploy", "sagemaker", "--train", *COMMON, *TRAINING, *words)
        assert done.status == 1
        assert "ended as Failed: AlgorithmError: the folder has no photos" in done.err
        assert done.err.count("the job's log cannot be read") == 1
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--data", "digits", "--set", "epoch=3"), "did you mean epochs"),
            (("--data", "digits", "--set", "epochs=x"), "a whole number"),
            (("--data", "digits", "--network", "lenet6"), "lenet5"),
            (("--data", "digits", "--network", "lenet5", "--set", "network=x"), "given twice"),
            (("--data", "./photos"), "which SageMaker cannot reach"),
            (("--data", "digits", "--hours", "0"), "--hours is '0'"),
            (("--data", "digits", "--memory-mb", "1"), "does not go with --memory-mb"),
            ((), "--train needs --data"),
        ],
    )
    def test_settings_are_checked_before_anything_is_called(
        self, sagemaker: SageMaker, words: tuple[str, ...], message: str
    ) -> None:
        done = in_process("deploy", "sagemaker", "--train", *COMMON, *TRAINING, *words)
        assert done.status == 2
        assert message in done.err
        assert sagemaker.asked == []

    def test_a_dry_run(self, sagemaker: SageMaker) -> None:
        words = ("--data", f"s3://{BUCKET}/store/birds@3", "--dry-run", "--json")
        done = in_process("deploy", "sagemaker", "--train", *COMMON, *TRAINING, *words)
        (call,) = done.json
        assert call["operation"] == "CreateTrainingJob"
        assert call["parameters"]["HyperParameters"] == {"data": f"s3://{BUCKET}/store/birds@3"}
        assert "InputDataConfig" not in call["parameters"]
        assert sagemaker.asked == []

    def test_an_archive_that_is_refused_leaves_nothing(
        self, sagemaker: SageMaker, trained: Path, tmp_path: Path
    ) -> None:
        link = tarfile.TarInfo("run/model/extra")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        put_archive(sagemaker, "evil/output.tar.gz", trained / "output/data", link)
        with pytest.raises(errors.DataError, match="a link, a device"):
            fetch_run(f"s3://{BUCKET}/evil/model.tar.gz", tmp_path / "run", QUIET)
        put_archive(sagemaker, "short/model.tar.gz", trained / "model")
        fetch_run(f"s3://{BUCKET}/short/model.tar.gz", tmp_path / "only-model", QUIET)
        assert load_classifier(tmp_path / "only-model").class_names
        with pytest.raises(errors.ModelError, match="there is no run"):
            fetch_run(f"s3://{BUCKET}/nothing/model.tar.gz", tmp_path / "run", QUIET)
        assert [path.name for path in tmp_path.iterdir()] == ["only-model"]


def test_names_are_made_that_are_allowed() -> None:
    assert default_name("3cnn+512_50dropout") == "3cnn-512-50dropout"
    assert default_name("ação!") == "a-o"
    assert archive.MOST_BYTES > 2**32
