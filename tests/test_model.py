"""The model folder: what it holds, that it agrees with the network, and that damage is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from conftest import olhar
from olhar.classifier import load_classifier, open_session
from olhar.datasets import load_named, prepare_dataset, split_dataset
from olhar.errors import ChecksumError, MissingFileError, ModelError, OlharError
from olhar.export import Deployed
from olhar.networks.build import build_network
from olhar.networks.specs import NetworkSpec
from olhar.progress import Progress

FILES = ("config.json", "model.safetensors", "model.onnx", "labels.txt", "golden.safetensors")


def test_the_golden_probabilities_come_out_again(digits_run: Path) -> None:
    classifier = load_classifier(digits_run)
    golden = load_file(digits_run / "model" / "golden.safetensors")
    assert golden["images"].shape == (16, 1, 28, 28)
    assert golden["images"].dtype == np.uint8
    found = classifier.predict_probs(golden["images"])
    np.testing.assert_allclose(found, golden["probabilities"], atol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


def test_the_safetensors_and_the_onnx_are_the_same_network(digits_run: Path) -> None:
    classifier = load_classifier(digits_run / "model")
    facts = classifier.config.network
    spec = NetworkSpec(
        facts["name"], facts["settings"], facts["size"], facts["channels"], facts["num_classes"]
    )
    network = build_network(spec)
    weights = load_file(digits_run / "model" / "model.safetensors")
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    dataset = prepare_dataset(load_named("digits"), classifier.preprocess, Progress())
    inputs = dataset.images[split_dataset(dataset).test].transpose(0, 3, 1, 2)
    with torch.inference_mode():
        deployed = Deployed(
            network, classifier.preprocess, temperature=classifier.config.temperature
        ).eval()
        expected = deployed(torch.from_numpy(np.ascontiguousarray(inputs))).numpy()
    np.testing.assert_allclose(classifier.predict_probs(inputs), expected, atol=1e-4)


def test_the_onnx_file_carries_no_path_of_the_machine(digits_run: Path) -> None:
    content = (digits_run / "model" / "model.onnx").read_bytes()
    for trace in (b"/site-packages/", b".py", str(Path.home()).encode()):
        assert trace not in content
    session = open_session(content)
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("images", "tensor(uint8)", [1, 28, 28])
    assert session.get_outputs()[0].name == "probabilities"


def test_config_and_labels(digits_run: Path) -> None:
    config = json.loads((digits_run / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["format"] == 1
    assert config["class_names"] == list("0123456789")
    assert config["preprocess"]["mean"] == load_classifier(digits_run).preprocess.to_dict()["mean"]
    labels = (digits_run / "model" / "labels.txt").read_text(encoding="utf-8").split()
    assert labels == config["class_names"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0, 0.31, 0.5, 0.77, -1])
def test_a_changed_byte_anywhere_is_noticed(
    name: str, where: float, digits_run: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(digits_run / "model", model)
    content = bytearray((model / name).read_bytes())
    content[-1 if where == -1 else int(where * len(content))] ^= 1
    (model / name).write_bytes(content)
    with pytest.raises((ChecksumError, ModelError), match=name):
        load_classifier(model)
    if where == 0.5:
        done = olhar("predict", model, "x.png")
        assert done.status == 2
        assert name in done.err


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, digits_run: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(digits_run / "model", model)
    (model / name).unlink()
    with pytest.raises(MissingFileError, match=r"model" if name == "config.json" else name):
        load_classifier(model)


def test_a_newer_format_is_refused(digits_run: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(digits_run / "model", model)
    text = (model / "config.json").read_text(encoding="utf-8")
    (model / "config.json").write_text(text.replace('"format": 1', '"format": 2'), encoding="utf-8")
    with pytest.raises(ModelError, match="update olhar"):
        load_classifier(model)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"nonsense", b'{"format": 1}', b"\xff"])
def test_a_nonsense_config_is_refused(content: bytes, digits_run: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(digits_run / "model", model)
    (model / "config.json").write_bytes(content)
    with pytest.raises(OlharError, match=r"config\.json"):
        load_classifier(model)
