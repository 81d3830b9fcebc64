"""`olhar verify`: every network agrees along the whole chain; what is planted is found where it is."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import onnx
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import load_file, save_file

from conftest import DATA, needs_data, olhar
from olhar.classifier import ModelConfig, save_classifier
from olhar.errors import ClusterError, ConfigError
from olhar.export import export_network, network_weights
from olhar.networks.build import build_network
from olhar.networks.specs import LISTED, NetworkSpec, native_size, resolve_network
from olhar.preprocess import Preprocess
from olhar.verify import TOLERANCE, Verification, chain, links, verify_model
from olhar.verify.endpoint import start_server
from olhar.verify.links import Answers, Item, answers_from_probs, answers_from_records, compare
from olhar.verify.protocols import PROTOCOLS
from serving_process import serving

NAMES = tuple(f"class {index}" for index in range(10))


def make_model(folder: Path, network: str, *, seed: int = 0, views: str = "none") -> Path:
    """A model of an untrained network, sharp enough that a fault shows in its probabilities."""
    name, settings, _typed = resolve_network(network)
    channels = 1 if native_size(name, 32) == 28 else 3
    spec = NetworkSpec(name, settings, native_size(name, 32), channels, len(NAMES))
    preprocess = Preprocess(spec.size, channels, (0.4,) * channels, (0.25,) * channels)
    torch.manual_seed(seed)
    network_built = build_network(spec)
    shape = (16, *spec.input_shape())
    samples = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    content, golden = export_network(
        network_built, preprocess, samples, views=views, temperature=0.2
    )
    config = ModelConfig(spec.to_dict(), NAMES, preprocess, {"name": "none"}, views=views,
                         temperature=0.2)  # fmt: skip
    save_classifier(folder, config, network_weights(network_built), content, golden)
    return folder


def reseal(folder: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """config.json as whoever plants a bug would leave it: changed, and all hashes made to fit."""
    values = json.loads((folder / "config.json").read_text())
    del values["sha256"]
    if change:
        change(values)
    for name in values["files"]:
        values["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    sealed = json.dumps({**values, "sha256": digest}, indent=2, ensure_ascii=False) + "\n"
    (folder / "config.json").write_text(sealed)


@pytest.fixture
def copied(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of a trained model, to plant something in."""
    return Path(shutil.copytree(digits_run / "model", tmp_path / "digits"))


@pytest.fixture(scope="module")
def all_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Path], str]]:
    """Every listed network as a model, and one server that has them all."""
    root = tmp_path_factory.mktemp("models")
    models = {
        name: make_model(root / name, name, views="mirror" if name == "olhar-small" else "none")
        for name in LISTED
    }
    with serving(*models.values()) as server:
        yield models, server.url


def broken_name(found: Verification) -> str | None:
    return found.broken.name if found.broken else None


# The whole chain agrees.


@pytest.mark.parametrize("name", LISTED)
def test_every_network_agrees_along_the_chain(
    all_served: tuple[dict[str, Path], str], name: str
) -> None:
    models, url = all_served
    found = verify_model(models[name], against=url)
    assert found.ok, found.to_dict()
    by_name = {link.name: link for link in found.links}
    assert list(by_name) == [
        *("golden", "torch", "onnx", "c", "web", "python", "cli", "server"),
        *(protocol.name for protocol in PROTOCOLS),
    ]
    assert {link.status for link in found.links} == {"ok"}
    assert all(link.inputs == 16 for name, link in by_name.items() if name != "server")
    assert max(link.largest or 0 for link in found.links) <= TOLERANCE


@needs_data
def test_thirty_photos_are_answered_alike_by_every_path(
    all_served: tuple[dict[str, Path], str],
) -> None:
    models, url = all_served
    photos = sorted(path for path in (Path(DATA) / "photos").glob("*/*") if path.is_file())[:30]
    assert len(photos) == 30
    found = verify_model(models["cnn-32-64-64"], photos, against=url)
    assert found.ok, found.to_dict()
    assert {
        link.inputs for link in found.links if link.name not in {"golden", "torch", "server"}
    } == {46}


def test_the_command_starts_a_server_of_its_own_and_prints_the_table(digits_run: Path) -> None:
    done = olhar("verify", digits_run)
    assert done.status == 0, done.out + done.err
    assert [line.split("  ")[0] for line in done.out.splitlines()[1:-1]] == [
        *("golden", "torch", "onnx", "c", "web", "python", "cli", "server"),
        *(protocol.name for protocol in PROTOCOLS),
    ]
    assert done.out.splitlines()[-1].startswith("All agree")


def test_json_is_for_programs(digits_run: Path) -> None:
    done = olhar("verify", digits_run, "--json", OLHAR_TOKEN="secret")
    assert done.status == 0, done.err
    assert done.json["ok"] is True
    assert done.json["broken"] is None
    assert done.json["tolerance"] == TOLERANCE
    assert {link["status"] for link in done.json["links"]} == {"ok"}


# What is planted is found where it is, though every hash fits.


def plant_mean(folder: Path) -> None:
    def change(values: dict[str, Any]) -> None:
        values["preprocess"]["mean"] = [0.0]

    reseal(folder, change)


def plant_temperature(folder: Path) -> None:
    reseal(folder, lambda values: values.update(temperature=3.0))


def plant_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] * 1.5}, folder / "model.safetensors")
    reseal(folder)


def plant_other_network(folder: Path) -> None:
    reseal(folder, lambda values: values["network"].update(name="ivannet"))


def plant_constant(folder: Path) -> None:
    """The normalisation inside the graph: as though pixels were 0..1 already."""
    model = onnx.load(folder / "model.onnx")
    (scale,) = (part for part in model.graph.initializer if part.name == "normalise.scale")
    value = onnx.numpy_helper.to_array(scale) * 2
    scale.CopyFrom(onnx.numpy_helper.from_array(value, scale.name))
    onnx.save(model, folder / "model.onnx")
    reseal(folder)


def plant_golden_probabilities(folder: Path) -> None:
    golden = load_file(folder / "golden.safetensors")
    golden["probabilities"] = np.roll(golden["probabilities"], 1, axis=1)
    save_file(golden, folder / "golden.safetensors")
    reseal(folder)


def plant_golden_images(folder: Path) -> None:
    golden = load_file(folder / "golden.safetensors")
    golden["images"] = 255 - golden["images"]
    save_file(golden, folder / "golden.safetensors")
    reseal(folder)


@pytest.mark.parametrize(
    ("plant", "where"),
    [
        (plant_mean, "torch"),
        (plant_temperature, "torch"),
        (plant_weights, "torch"),
        (plant_other_network, "torch"),
        (plant_constant, "onnx"),
        (plant_golden_probabilities, "golden"),
        (plant_golden_images, "golden"),
    ],
)
def test_a_planted_bug_is_found_where_it_is(
    copied: Path, digits_url: str, plant: Callable[[Path], None], where: str
) -> None:
    plant(copied)
    found = verify_model(copied, against=digits_url)
    assert broken_name(found) == where, found.to_dict()
    link = found.broken
    assert link is not None
    assert (link.difference is None) == (link.status == "failed")
    if link.difference:
        assert link.difference.input.startswith("golden[")
        assert abs(link.difference.found - link.difference.expected) > TOLERANCE
        assert found.cause() is not None
    if where != "onnx":  # the server has the sound model.onnx, as this copy has
        broken = [where]
        if plant is plant_golden_images:  # the negative of a digit is read as the digit
            broken.append("python")
        assert [one.name for one in found.links if one.broken] == broken


@pytest.fixture(scope="module")
def digits_url(digits_run: Path) -> Iterator[str]:
    with serving(digits_run) as server:
        yield server.url


def test_the_command_exits_with_1_and_names_the_place(copied: Path) -> None:
    plant_constant(copied)
    assert olhar("predict", copied, make_photo(copied)).status == 0  # every hash fits
    done = olhar("verify", copied)
    assert done.status == 1, done.err
    (sentence,) = (line for line in done.out.splitlines() if "The chain breaks at" in line)
    assert sentence.startswith("The chain breaks at onnx: of golden[")
    assert "Traceback" not in done.err
    servers = [line for line in done.out.splitlines() if line.startswith(("server", "/"))]
    assert all(line.endswith("ok") for line in servers)  # they follow model.onnx, right or wrong


def make_photo(folder: Path) -> Path:
    """A photo made of a golden input."""
    path = folder.parent / "photo.png"
    path.write_bytes(chain._png(load_file(folder / "golden.safetensors")["images"][0]))
    return path


def test_a_damaged_model_is_refused_before_anything_is_compared(copied: Path) -> None:
    with (copied / "model.onnx").open("ab") as file:
        file.write(b"\0")
    done = olhar("verify", copied)
    assert done.status == 2
    assert "was changed after it was saved" in done.err


def test_a_server_with_another_model_is_at_fault_itself(
    all_served: tuple[dict[str, Path], str], tmp_path: Path
) -> None:
    models, url = all_served
    other = make_model(tmp_path / "cnn-32-64-64", "cnn-32-64-64", seed=5)
    found = verify_model(other, against=url)
    assert broken_name(found) == "server"
    assert "it serves version" in str(found.links[7].note)
    assert models["cnn-32-64-64"].name == other.name


def test_a_server_without_this_model_says_what_it_has(
    all_served: tuple[dict[str, Path], str], copied: Path
) -> None:
    found = verify_model(copied, against=all_served[1])
    assert found.broken is not None
    assert (found.broken.name, found.broken.status) == ("server", "failed")
    assert "cnn-32-64-64" in str(found.broken.note)


# A server that has a fault of its own: a real one behind a proxy that does something to answers.


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on; `change` may return another (status, body) for a path and an answer."""

    daemon_threads = True

    def __init__(self, url: str, change: Callable[[str, int, bytes], tuple[int, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind = urlsplit(url)
        self.change = change
        self.authorized: list[str] = []


class _Passing(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Proxy)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.authorized.append(self.headers.get("Authorization", ""))
        behind = self.server.behind
        connection = http.client.HTTPConnection(str(behind.hostname), behind.port, timeout=30)
        headers = {key: value for key, value in self.headers.items() if key != "Host"}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        status, content = self.server.change(self.path, answer.status, answer.read())
        connection.close()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_words: Any) -> None:
        pass


@contextmanager
def proxied(
    url: str, change: Callable[[str, int, bytes], tuple[int, bytes]]
) -> Iterator[tuple[str, Proxy]]:
    with Proxy(url, change) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}", proxy
        proxy.shutdown()
        thread.join()


def test_one_protocol_that_differs_is_named(digits_run: Path, digits_url: str) -> None:
    def change(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/infer" not in path:
            return status, body
        values = json.loads(body)
        values["outputs"][0]["data"][3] += 2e-4
        return status, json.dumps(values).encode()

    with proxied(digits_url, change) as (url, _proxy):
        found = verify_model(digits_run, against=url)
    assert [link.name for link in found.links if link.broken] == ["/v2 UINT8", "/v2 BYTES"]
    assert found.broken is not None
    difference = found.broken.difference
    assert difference is not None
    assert difference.class_name == "3"
    assert difference.found - difference.expected == pytest.approx(2e-4, rel=1e-3)


def test_another_label_is_a_difference_though_its_probability_is_the_same(
    digits_run: Path, digits_url: str
) -> None:
    def change(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if not path.startswith("/predict"):
            return status, body
        values = json.loads(body)
        for one in values:
            one["label"] = "9" if one["label"] != "9" else "0"
        return status, json.dumps(values).encode()

    with proxied(digits_url, change) as (url, _proxy):
        found = verify_model(digits_run, against=url)
    assert broken_name(found) == "/predict photo"
    assert found.broken is not None
    assert found.broken.difference is not None
    assert found.broken.difference.found_label != found.broken.difference.expected_label


def test_protocols_that_a_server_lacks_are_reported(digits_run: Path, digits_url: str) -> None:
    def change(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return (status, body) if path.startswith("/predict") else (404, b"not here")

    with proxied(digits_url, change) as (url, _proxy):
        done = olhar("verify", digits_run, "--against", url, "--json")
        assert done.status == 0, done.err
        status = {link["name"]: link["status"] for link in done.json["links"]}
        assert status["/predict JSON"] == "ok"
        assert status["/v2 UINT8"] == status["/invocations photo"] == "absent"
    with proxied(digits_url, lambda *_answer: (404, b"")) as (url, _proxy):
        found = verify_model(digits_run, against=url)
        assert broken_name(found) == "server"
        assert "none of the protocols" in str(found.broken and found.broken.note)


def test_an_answer_that_is_none_is_a_failure(digits_run: Path, digits_url: str) -> None:
    answers = {"/predict": b"<html>", "/invocations": b"[]", "/v2": b'{"outputs": []}'}

    def change(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if path == "/models":
            return status, body
        return 200, next(value for start, value in answers.items() if path.startswith(start))

    with proxied(digits_url, change) as (url, _proxy):
        found = verify_model(digits_run, against=url)
    assert broken_name(found) == "server"
    assert {link.status for link in found.links[7:]} == {"failed"}


def test_a_token_is_sent_and_asked_for(digits_run: Path) -> None:
    with serving(digits_run, OLHAR_TOKEN="open sesame"[:4]) as server:
        url = server.url
        with pytest.raises(ConfigError, match="--token-env"):
            verify_model(digits_run, against=url)
        words = ("verify", digits_run, "--against", url, "--token-env")
        assert olhar(*words, "NOT_SET").status == 2
        done = olhar(*words, "MY_TOKEN", MY_TOKEN="open")
        assert done.status == 0, done.out + done.err
        shut = olhar(*words, "MY_TOKEN", MY_TOKEN="shut")
        assert shut.status == 2
        assert "shut" not in shut.err


def test_a_server_that_cannot_be_reached_is_said_within_seconds(digits_run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(ClusterError, match=f"127.0.0.1:{port}"):
            verify_model(digits_run, against=f"http://127.0.0.1:{port}/base")
        assert time.monotonic() - started < 10
    done = olhar("verify", digits_run, "--against", f"http://127.0.0.1:{port}")
    assert done.status == 1
    assert "does not answer" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", "http://host:port"])
def test_what_is_no_address_is_refused(digits_run: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        verify_model(digits_run, against=url)


def test_a_server_that_does_not_start_is_the_link_that_breaks(
    digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONHOME", str(digits_run))  # no Python starts with this
    found = verify_model(digits_run)
    by_name = {link.name: link for link in found.links}
    assert by_name["cli"].status == by_name["server"].status == "failed"
    assert "did not start" in str(by_name["server"].note)


# What is not installed, and what cannot be read.


def test_without_torch_that_link_is_skipped_and_said(
    digits_run: Path, digits_url: str, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = verify_model(digits_run, against=digits_url)
    assert found.ok
    assert (found.links[1].name, found.links[1].status) == ("torch", "skipped")
    assert "pip install" in str(found.links[1].note)
    plant_constant(copied)
    found = verify_model(copied, against=digits_url)
    assert broken_name(found) == "onnx"
    assert "with PyTorch installed" in str(found.cause())


def test_without_a_web_server_that_link_is_skipped(
    digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    found = verify_model(digits_run)
    assert found.ok
    assert (found.links[-1].name, found.links[-1].status) == ("server", "skipped")


def test_photos_that_cannot_be_read_are_named(digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("no photo")
    for photo in ("note.jpg", "missing.jpg"):
        done = olhar("verify", digits_run, tmp_path / photo)
        assert done.status == 2
        assert photo in done.err
        assert "Traceback" not in done.err


def test_golden_inputs_of_another_shape_are_refused(copied: Path) -> None:
    golden = load_file(copied / "golden.safetensors")
    save_file({**golden, "images": golden["images"][:, :, :5]}, copied / "golden.safetensors")
    reseal(copied)
    done = olhar("verify", copied)
    assert done.status == 2
    assert "golden.safetensors' is damaged" in done.err


# How answers are compared.


def items(count: int) -> list[Item]:
    return [Item(f"golden[{row}]", b"", np.zeros((1, 1, 1), np.uint8)) for row in range(count)]


@given(st.data())
def test_a_difference_is_found_where_it_was_put(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 20), st.integers(2, 10)))
    rows = st.floats(0, 0.5, width=32)
    probs = data.draw(arrays(np.float64, shape, elements=rows))
    names = NAMES[: shape[1]]
    expected = answers_from_probs(probs, names)
    noise = data.draw(arrays(np.float64, shape, elements=st.floats(-9e-5, 9e-5)))
    same = Answers(expected.labels, probs + noise)
    assert compare("a", "b", same, expected, items(shape[0]), names).status == "ok"
    row, column = (data.draw(st.integers(0, side - 1)) for side in shape)
    change = data.draw(st.sampled_from([2e-4, -0.3, 0.5, np.nan, np.inf]))
    probs = probs + noise
    probs[row, column] += change
    link = compare("a", "b", Answers(expected.labels, probs), expected, items(shape[0]), names)
    assert link.status == "differs"
    assert link.difference is not None
    assert (link.difference.input, link.difference.class_name) == (f"golden[{row}]", names[column])
    json.dumps(link.to_dict(), allow_nan=False)


@given(
    arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=40)), st.booleans()
)
def test_a_golden_input_goes_through_a_png_unchanged(pixels: np.ndarray, grey: bool) -> None:
    side = min(pixels.shape[1:])
    channels = 1 if grey else 3
    square = np.resize(pixels, (channels, side, side))
    assume(square.max() != 1)  # where no pixel is above 1, a file's 1 is white
    preprocess = Preprocess(side, channels, (0.5,) * channels, (0.5,) * channels)
    np.testing.assert_array_equal(preprocess.read(chain._png(square)), square)


@pytest.mark.parametrize(
    "records",
    [
        None,
        [],
        [{"file": "-", "error": "no image"}],
        [{"label": "a", "top": [{"label": "a", "probability": 1.0}]}],
        [{"label": "a", "top": [{"label": "a"}]}],
        [["a"]],
    ],
)
def test_what_is_no_answer_is_said_to_be_none(records: Any) -> None:
    with pytest.raises(ValueError):
        answers_from_records(records, ("a", "b"), 1)


def test_the_server_ends_with_the_verification(digits_run: Path) -> None:
    with start_server(digits_run) as endpoint:
        assert endpoint.ask("/ping")[0] == 200
    with pytest.raises(ClusterError):
        endpoint.ask("/ping")
    assert links.TOLERANCE == TOLERANCE


def test_files_of_the_folder_one_stands_in_are_no_modules(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong random')\n")
    monkeypatch.chdir(tmp_path)
    own = Path(sys.executable).with_name("olhar")
    done = subprocess.run([own, "verify", digits_run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
