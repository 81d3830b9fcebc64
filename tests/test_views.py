"""Test-time views inside the model, and early epochs on smaller images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conftest import olhar
from olhar.classifier import load_classifier, open_session, run_session
from olhar.export import Deployed, export_network
from olhar.networks.build import build_network
from olhar.networks.specs import NetworkSpec, resolve_network
from olhar.preprocess import Preprocess
from olhar.training.augment import shrink
from olhar.training.fit import FitState, Training, fit
from olhar.training.machine import Machine
from olhar.training.recipe import VIEWS, build_recipe, suited_recipe
from olhar.training.validation import build_validation

PREPROCESS = Preprocess(32, 3, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def small_network(width: int = 4) -> nn.Module:
    name, settings, _typed = resolve_network("olhar-small", {"width": width})
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name, settings, 32, 3, 5))
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.requires_grad:
            nn.init.normal_(module.weight, std=0.3)
    return network


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize("views", VIEWS)
def test_the_exported_graph_takes_the_views_itself(views: str) -> None:
    network = small_network()
    images = pixels(7)
    onnx, golden = export_network(network, PREPROCESS, images, views=views, temperature=0.5)
    found = run_session(open_session(onnx), images)
    np.testing.assert_allclose(found, golden["probabilities"][:7], atol=1e-5)
    mirrored = run_session(open_session(onnx), np.ascontiguousarray(images[:, :, :, ::-1]))
    same = np.abs(found - mirrored).max() < 1e-5
    assert same == (views == "mirror")


def test_views_are_the_mean_that_the_docs_say() -> None:
    network = small_network().eval()
    images = torch.from_numpy(pixels(4))
    with torch.inference_mode():
        deployed = Deployed(network, PREPROCESS, views="mirror_shift")
        x = deployed.normalise(images)
        padded = torch.nn.functional.pad(x, (1, 1, 1, 1), "reflect")
        total = torch.zeros(4, 5)
        for view, weight in (
            (x, 0.25),
            (padded[:, :, :32, :32], 0.125),
            (padded[:, :, 2:, 2:], 0.125),
        ):
            total += weight * (network(view) + network(view.flip(3)))
        torch.testing.assert_close(deployed(images), total.softmax(1), atol=1e-5, rtol=1e-4)


def test_views_of_grey_images_are_not_mirrored() -> None:
    kept = build_recipe({"views": "mirror_shift", "flip": True})
    assert suited_recipe(kept, set(), 50_000, 1).views == "shift"
    assert suited_recipe(kept, set(), 50_000, 3).views == "mirror_shift"
    assert suited_recipe(kept, {"views"}, 50_000, 1).views == "mirror_shift"
    assert suited_recipe(build_recipe({"views": "mirror"}), set(), 50_000, 1).views == "none"


def test_shrinking_keeps_type_and_mean() -> None:
    images = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    smaller = shrink(images)
    assert smaller.shape == (5, 24, 24, 3)
    assert smaller.dtype == torch.uint8
    assert abs(smaller.float().mean() - images.float().mean()) < 2


def train_states(
    network: nn.Module, settings: dict[str, object], state: FitState | None = None
) -> list[FitState]:
    """Train on 96 images, 3 steps an epoch; the state after each epoch."""
    images = torch.from_numpy(pixels(96)).permute(0, 2, 3, 1).contiguous()
    labels = torch.arange(96) % 5
    machine = Machine("cpu", "fp32", channels_last=True, threads=1)
    normalise = Deployed(network, PREPROCESS).normalise
    recipe = build_recipe({"epochs": 4, "batch_size": 32, **settings})
    training = Training(network, images, labels, torch.arange(96), recipe, machine, normalise)
    validate = build_validation(images, labels, torch.arange(10), machine, normalise)
    states: list[FitState] = []
    fit(training, validate=validate, on_epoch=states.append, state=state)
    return states


def test_early_steps_are_on_smaller_images_and_go_on_to_the_same_weights() -> None:
    settings: dict[str, object] = {"early_share": 0.5, "optimizer": "muon", "flip": True}
    sides: list[int] = []

    def watched() -> nn.Module:
        network = small_network()
        network.register_forward_pre_hook(
            lambda module, inputs: sides.append(inputs[0].shape[3]) if module.training else None
        )
        return network

    whole = train_states(watched(), settings)
    assert sides == [24] * 6 + [32] * 6
    again = train_states(watched(), settings, whole[0])
    assert_same_weights(whole[-1], again[-1])


def test_dropout_ends_when_the_recipe_says_and_a_resumed_training_knows() -> None:
    seen: list[float] = []

    def watched() -> nn.Module:
        network = nn.Sequential(nn.Flatten(), nn.Dropout(0.25), nn.Linear(3 * 32 * 32, 5))
        network[1].register_forward_pre_hook(
            lambda module, _inputs: seen.append(module.p) if module.training else None
        )
        return network

    whole = train_states(watched(), {"dropout_share": 0.5})
    assert seen == [0.25] * 6 + [0.0] * 6
    seen.clear()
    again = train_states(watched(), {"dropout_share": 0.5}, whole[2])
    assert seen == [0.0] * 3
    assert_same_weights(whole[-1], again[-1])


def assert_same_weights(one: FitState, other: FitState) -> None:
    for name, value in one.network.items():
        assert torch.equal(value, other.network[name]), name


def test_early_share_is_for_networks_that_take_any_size(tmp_path: Path) -> None:
    run = tmp_path / "r"
    done = olhar(
        "train", "--data", "digits", "--network", "lenet5", "--set", "early_share=0.5", "--run", run
    )
    assert done.status == 2
    assert "early_share" in done.err
    assert "lenet5" in done.err
    assert not run.exists()


def test_views_are_a_setting_of_the_command_line(tmp_path: Path) -> None:
    run = tmp_path / "r"
    done = olhar(
        *("train", "--data", "digits", "--network", "olhar-small", "--set", "width=4"),
        *("--epochs", 2, "--set", "views=shift", "--run", run, "--json"),
    )
    assert done.status == 0, done.err
    assert json.loads((run / "model" / "config.json").read_text())["views"] == "shift"
    golden = load_classifier(run)
    assert golden.config.views == "shift"
