"""`olhar export`: files that others can use without olhar, and int8 models that stay accurate."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from conftest import olhar
from olhar.classifier import load_classifier, save_classifier
from olhar.datasets import load_named, prepare_dataset, split_dataset
from olhar.errors import ConfigError, ExportError, MissingExtraError
from olhar.export import export_network
from olhar.networks.build import build_network
from olhar.networks.specs import NetworkSpec
from olhar.pipeline.exporting import export_model
from olhar.pipeline.exporting_int8 import quantise
from olhar.pipeline.rebuilding import network_probs
from olhar.progress import Progress
from test_verify import make_model, plant_golden_probabilities, reseal

DOCS = Path(__file__).parents[1] / "docs" / "verify.md"


@pytest.fixture(scope="module")
def int8(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An int8 model of the digits run, and what the command said."""
    out = tmp_path_factory.mktemp("int8") / "digits-int8"
    done = olhar("export", digits_run, "--precision", "int8", "--out", out, "--json")
    assert done.status == 0, done.err
    return out, done.json


def test_onnx_runtime_makes_one_step_of_a_convolution_and_its_relu(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", "cnn-32-64-64")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3
    graph = (model / "model.onnx").read_bytes()
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    before, after = (
        [node.op_type for node in onnx.load(path).graph.node]
        for path in (model / "model.onnx", tmp_path / "fused.onnx")
    )
    assert before.count("Relu") == 4
    assert after.count("Relu") == 0


# Files for other programs.


def test_the_onnx_file_is_enough_by_itself(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = olhar("export", digits_run, "--out", tmp_path / "pets.onnx")
    assert done.status == 0, done.err
    assert "golden probabilities come out within" in done.out
    rng = np.random.default_rng(3)
    classifier = load_classifier(digits_run)
    images = load_file(digits_run / "model" / "golden.safetensors")["images"]
    (code,) = re.findall(r"```python\n(import json\n.*?)```", DOCS.read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    for number, image in enumerate(images[:4]):
        large = Image.fromarray(image[0]).resize((90 + 7 * number, 64), Image.Resampling.BICUBIC)
        noise = rng.integers(0, 20, (64, 90 + 7 * number), dtype=np.uint8)
        Image.fromarray(np.maximum(np.asarray(large), noise)).save("photo.png")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, "docs/verify.md", "exec"), {})
        expected = classifier.predict("photo.png")
        label, probability, sure = said.getvalue().split()
        assert (label, sure) == (expected.label, str(expected.sure))
        assert float(probability) == pytest.approx(expected.probability, abs=1e-6)


def test_the_metadata_is_what_config_json_says(digits_run: Path, tmp_path: Path) -> None:
    export_model(digits_run, tmp_path / "a.onnx")
    export_model(digits_run, tmp_path / "a.safetensors", format="safetensors")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    with safe_open(tmp_path / "a.safetensors", "np") as file:
        found = [session.get_modelmeta().custom_metadata_map, file.metadata()]
    config = load_classifier(digits_run).config.to_dict()
    assert {"class_names", "preprocess", "network", "temperature", "threshold"} <= set(config)
    for metadata in found:
        assert json.loads(metadata["config"]) == config


def test_the_safetensors_file_has_the_weights_of_the_model(
    digits_run: Path, tmp_path: Path
) -> None:
    done = olhar("export", digits_run, "--format", "safetensors", "--out", tmp_path / "a", "--json")
    assert done.status == 0, done.err
    assert done.json["largest_difference"] <= 1e-4
    assert done.json["size_bytes"] == (tmp_path / "a").stat().st_size
    weights, expected = load_file(tmp_path / "a"), load_file(digits_run / "model/model.safetensors")
    assert weights.keys() == expected.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(array, expected[name])


def test_equal_models_are_exported_as_equal_files(digits_run: Path, tmp_path: Path) -> None:
    for kind in ("onnx", "safetensors"):
        export_model(digits_run, tmp_path / f"1.{kind}", format=kind)
        export_model(digits_run / "model", tmp_path / f"2.{kind}", format=kind)
        first, second = (tmp_path / f"{number}.{kind}" for number in (1, 2))
        assert first.read_bytes() == second.read_bytes()
        assert str(digits_run).encode() not in first.read_bytes()


# int8.


def test_an_int8_model_is_measured_beside_the_one_it_came_from(
    digits_run: Path, int8: tuple[Path, dict[str, Any]]
) -> None:
    out, said = int8
    before, after = said["before"], said["after"]
    metrics = json.loads((digits_run / "metrics.json").read_text())
    assert before["accuracy"] == pytest.approx(metrics["accuracy"])
    assert before["accuracy"] - after["accuracy"] <= 0.01
    assert said["test_images"] == metrics["n"]
    assert after["size_bytes"] == (out / "model.onnx").stat().st_size < before["size_bytes"] / 2
    assert after["images_per_s"] > 0


def test_an_int8_model_is_a_model_like_any_other(
    digits_run: Path, int8: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, said = int8
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json", "golden.safetensors", "labels.txt", "model.onnx", "model.safetensors",
        "seen.safetensors",
    ]  # fmt: skip
    classifier = load_classifier(out)
    assert classifier.config.precision == "int8"
    kinds = {array.dtype for array in load_file(out / "model.safetensors").values()}
    assert np.dtype(np.int8) in kinds
    dataset = prepare_dataset(load_named("digits"), classifier.preprocess, Progress())
    test = split_dataset(dataset).test
    probs = classifier.predict_probs(dataset.images[test].transpose(0, 3, 1, 2))
    assert float((probs.argmax(1) == dataset.labels[test]).mean()) == said["after"]["accuracy"]
    fp32 = load_classifier(digits_run).predict_probs(dataset.images[test].transpose(0, 3, 1, 2))
    assert np.abs(probs - fp32).max() > 1e-4  # it is another network indeed
    done = olhar("verify", out, "--json")
    assert done.status == 0, done.out
    assert {link["name"]: link["status"] for link in done.json["links"]}["torch"] == "skipped"
    for words in (("--precision", "int8"), ("--format", "safetensors"), ("--format", "c")):
        done = olhar("export", out, *words, "--out", tmp_path / "x")
        assert (done.status, (tmp_path / "x").exists()) == (2, False)
        assert "is int8 already" in done.err
    assert export_model(out, tmp_path / "int8.onnx").largest_difference == 0


def test_the_command_prints_both_models(digits_run: Path, tmp_path: Path) -> None:
    done = olhar("export", digits_run, "--precision", "int8", "--out", tmp_path / "m")
    assert done.status == 0, done.err
    head, fp32, quantised = done.out.splitlines()[:3]
    assert "360 test images" in head
    for name, line in (("fp32", fp32), ("int8", quantised)):
        assert re.fullmatch(
            rf"{name}: accuracy \d\d\.\d\d%, model.onnx \d+ KiB, \d+ images/s", line
        )


def test_an_int8_model_that_loses_too_much_is_not_written(digits_run: Path, tmp_path: Path) -> None:
    """One channel of great values leaves the others of its layer a step or two of 8 bits."""
    outlier = plant_outlier(digits_run, tmp_path / "outlier")
    (tmp_path / "made").mkdir()
    words = ("export", outlier, "--precision", "int8", "--out", tmp_path / "made" / "m")
    done = olhar(*words)
    assert done.status == 1, done.out
    assert re.search(r"right on \d+\.\d+% of 360 test images, the fp32 model on \d+", done.err)
    assert list((tmp_path / "made").iterdir()) == []
    done = olhar(*words, "--max-drop", "1")
    assert done.status == 0, done.err
    assert load_classifier(tmp_path / "made" / "m").config.precision == "int8"


def plant_outlier(run: Path, folder: Path) -> Path:
    """The run's network with the first channel of its first layer a hundred thousand times as large."""
    classifier = load_classifier(run)
    weights = load_file(run / "model" / "model.safetensors")
    weights["0.weight"], weights["0.bias"] = weights["0.weight"].copy(), weights["0.bias"].copy()
    weights["0.weight"][0] *= 1e5
    weights["0.bias"][0] *= 1e5
    network = build_network(NetworkSpec(**classifier.config.network))
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    samples = load_file(run / "model" / "golden.safetensors")["images"]
    config = classifier.config
    onnx, golden = export_network(
        network, config.preprocess, samples, temperature=config.temperature
    )
    save_classifier(folder, config, weights, onnx, golden)
    return folder


@pytest.mark.parametrize("network", ["gmnet", "olhar-small", "resnet8", "2cnn+512_10dropout"])
def test_every_family_can_be_quantised(network: str, tmp_path: Path) -> None:
    model = make_model(
        tmp_path / "m", network, views="mirror" if network == "olhar-small" else "none"
    )
    classifier = load_classifier(model)
    images = load_file(model / "golden.safetensors")["images"]
    content = quantise((model / "model.onnx").read_bytes(), iter([images]))
    session = onnxruntime.InferenceSession(content)
    (probs,) = session.run(None, {"images": images})
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)
    expected = classifier.predict_probs(images)
    assert np.abs(probs - expected).mean() < 0.05
    assert len(content) < (model / "model.onnx").stat().st_size
    (one,) = session.run(None, {"images": images[:1]})  # the number of images is still free
    np.testing.assert_allclose(one, probs[:1], atol=1e-5)


# What is refused.


def test_what_cannot_be_done_is_refused_with_a_way_out(digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    out = ("--out", tmp_path / "m")
    for words, message in (
        (("--out", tmp_path / "taken"), "exists already; choose another --out"),
        (("--format", "onxn", *out), "did you mean onnx"),
        (("--format", "int8", *out), "--format onnx --precision int8"),
        (("--precision", "int9", *out), "did you mean int8"),
        (("--format", "safetensors", "--precision", "int8", *out), "allowed: fp32"),
        (("--precision", "int8", "--max-drop", "2", *out), "a number from 0 to 1"),
        (("--precision", "int8", "--max-drop", "nan", *out), "a number from 0 to 1"),
        (("--precision", "int8", "--max-drop", "low", *out), "allowed: a number"),
        (("--precision", "int8", "--data", tmp_path, *out), "error:"),
    ):
        done = olhar("export", digits_run, *words)
        assert done.status == 2, (words, done.err)
        assert message in done.err
        assert "Traceback" not in done.err
    assert (tmp_path / "taken").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_a_model_that_contradicts_its_golden_probabilities_is_not_exported(
    digits_run: Path, tmp_path: Path, kind: str
) -> None:
    model = Path(shutil.copytree(digits_run / "model", tmp_path / "m"))
    plant_golden_probabilities(model)
    with pytest.raises(ExportError, match="olhar verify"):
        export_model(model, tmp_path / "out", format=kind)
    assert not (tmp_path / "out").exists()


def test_weights_of_another_network_are_refused(digits_run: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(digits_run / "model", tmp_path / "m"))
    weights = load_file(model / "model.safetensors")
    weights["extra"] = np.zeros(3, np.float32)
    save_file(weights, model / "model.safetensors")
    reseal(model)
    done = olhar("export", model, "--format", "safetensors", "--out", tmp_path / "out")
    assert done.status == 2
    assert "does not hold the weights of the network" in done.err
    assert not (tmp_path / "out").exists()


def test_what_is_not_installed_is_named(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library, kind, precision in (
        ("onnx", "onnx", "fp32"),
        ("onnx", "onnx", "int8"),
        ("onnx", "c", "fp32"),
        ("torch", "safetensors", "fp32"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            with pytest.raises(MissingExtraError, match=library):
                export_model(digits_run, tmp_path / "out", format=kind, precision=precision)
    with pytest.raises(ConfigError):
        export_model(digits_run, tmp_path / "out", format="pickle")
    assert not list(tmp_path.iterdir())


def test_a_full_or_forbidden_place_is_an_error_of_one_line(
    digits_run: Path, tmp_path: Path, unprivileged: None
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    with pytest.raises(Exception, match="permission"):
        export_model(digits_run, Path("/proc/olhar.onnx"))


def test_the_network_rebuilt_from_its_files_is_the_one_that_was_trained(digits_run: Path) -> None:
    golden = load_file(digits_run / "model" / "golden.safetensors")
    found = network_probs(load_classifier(digits_run), golden["images"])
    np.testing.assert_allclose(found, golden["probabilities"], atol=1e-5)
