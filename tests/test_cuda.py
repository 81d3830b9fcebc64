"""What holds where there is a CUDA GPU: the same commands, the same model on the processor afterwards."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import needs_data, olhar
from olhar.networks.build import Normalise, build_network
from olhar.networks.specs import NetworkSpec
from olhar.training.fit import FitState, Training, fit
from olhar.training.machine import choose_machine
from olhar.training.recipe import build_recipe
from olhar.training.validation import build_validation

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="PyTorch finds no CUDA GPU on this machine"
)


def trained(recipe: dict[str, object], state: FitState | None = None) -> list[FitState]:
    """olhar-small on 512 images of noise; the state after each epoch."""
    spec = NetworkSpec("olhar-small", {"width": 32}, 32, 3, 4)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (512, 32, 32, 3), dtype=torch.uint8)
    labels = torch.arange(512) % 4
    machine = choose_machine(spec, "cuda")
    normalise = Normalise([0.5] * 3, [0.25] * 3)
    training = Training(
        build_network(spec),
        images,
        labels,
        torch.arange(512),
        build_recipe({"epochs": 3, "batch_size": 64, "optimizer": "muon", **recipe}),
        machine,
        normalise,
    )
    validate = build_validation(training.images, labels, torch.arange(64), machine, normalise)
    states: list[FitState] = []
    fit(training, validate=validate, on_epoch=states.append, state=state)
    return states


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resumed_training_ends_in_the_same_weights(precision: str) -> None:
    recipe: dict[str, object] = {"precision": precision, "flip": True, "translate": 0.1}
    recipe |= {"early_share": 0.4, "cutout": 0.2, "colour": 0.1, "rotate": 5}
    whole = trained(recipe)
    again = trained(recipe, whole[0])
    for name, value in whole[-1].network.items():
        assert value.is_cuda
        assert torch.equal(value, again[-1].network[name]), name


def test_the_pool_goes_to_the_gpu_and_the_schedule_of_sizes_holds() -> None:
    sides: list[int] = []
    hook = nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: (
            sides.append(inputs[0].shape[3])
            if module.training and isinstance(module, nn.Conv2d) and not sides[7:]
            else None
        )
    )
    try:
        trained({"early_share": 0.5, "epochs": 1})
    finally:
        hook.remove()
    assert set(sides) <= {24, 23, 11, 5, 2}


def test_a_model_of_the_gpu_answers_alike_on_the_processor(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("--data", "digits", "--network", "lenet5", "--device", "cuda")
    done = olhar("train", *words, "--run", run, "--json", cold=True)
    assert done.status == 0, done.err
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["machine"]["device"].startswith("cuda")
    assert json.loads((run / "metrics.json").read_text())["accuracy"] > 0.9
    checked = olhar("verify", run, cold=True)  # training network, model files, command line, server
    assert checked.status == 0, checked.out


@needs_data
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="two processes over NCCL need two GPUs")
def test_two_processes_over_nccl(tmp_path: Path) -> None:
    from test_distributed import torchrun

    run = tmp_path / "two"
    done = torchrun("train", "--data", "digits", "--network", "lenet5", "--run", run)
    assert done.status == 0, done.err
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["machine"]["world_size"] == 2
