"""A batch in shards: what they compute together, and that no run depends on which thread had which."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from olhar.networks.build import Normalise, build_network
from olhar.networks.dropout import Dropout
from olhar.networks.specs import NetworkSpec, resolve_network
from olhar.training.fit import Training
from olhar.training.machine import Machine
from olhar.training.recipe import Recipe
from olhar.training.shards import Shards, count_shards


def make(name: str) -> nn.Module:
    canonical, settings, _typed = resolve_network(name)
    torch.manual_seed(0)
    return build_network(NetworkSpec(canonical, settings, 32, 3, 10))


def forward(
    network: nn.Module, rows: torch.Tensor, _generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.linspace(-1, 1, 64 * 3 * 32 * 32).view(64, 3, 32, 32)[rows]
    loss = nn.functional.cross_entropy(network(images), rows % 10, reduction="sum") / 64
    return loss, torch.stack([loss.detach(), torch.tensor(float(len(rows)))])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_shards_have_the_gradient_of_the_whole_batch(count: int) -> None:
    network = make("lenet5")
    rows, generator = torch.arange(64), torch.Generator().manual_seed(0)
    whole = Shards(network, 1, 1).gradients(forward, rows, generator)
    expected = [weight.grad for weight in network.parameters()]
    figures = Shards(network, count, count).gradients(forward, rows, generator)
    torch.testing.assert_close(figures, whole)
    for weight, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-4, atol=1e-6)


def test_threads_of_shards_compute_alone_and_the_caller_as_before() -> None:
    before = torch.get_num_threads()
    shards = Shards(make("lenet5"), 2, 2)
    assert list(shards.map(lambda _item: torch.get_num_threads(), range(8))) == [1] * 8
    assert torch.get_num_threads() == before
    four = Shards(make("lenet5"), 2, 4)
    assert list(four.map(lambda _item: torch.get_num_threads(), range(8))) == [2] * 8


def test_weights_are_one_and_running_statistics_the_mean() -> None:
    network = make("olhar-small").train()
    shards = Shards(network, 2, 2)
    for own, other in zip(*(each.parameters() for each in shards.networks), strict=True):
        assert own is other
    shards.enter_epoch()
    shards.gradients(forward, torch.arange(64), torch.Generator().manual_seed(0))
    norms = [
        [module for module in each.modules() if isinstance(module, nn.BatchNorm2d)]
        for each in shards.networks
    ]
    means = [torch.stack([norm.running_mean for norm in each]) for each in zip(*norms, strict=True)]
    assert any(not torch.equal(one[0], one[1]) for one in means)
    shards.leave_epoch()
    for norm, both in zip(norms[0], means, strict=True):
        torch.testing.assert_close(norm.running_mean, both.mean(0))
    shards.enter_epoch()
    for one, other in zip(*norms, strict=True):
        assert torch.equal(one.running_mean, other.running_mean)


@pytest.mark.parametrize("name", ["3cnn+128_50dropout", "olhar-small"])
def test_a_training_repeats_bit_for_bit(name: str) -> None:
    def train() -> dict[str, torch.Tensor]:
        network = make(name)
        generator = torch.Generator().manual_seed(1)
        images = torch.randint(0, 256, (256, 32, 32, 3), dtype=torch.uint8, generator=generator)
        recipe = Recipe(batch_size=64, flip=True, zoom=0.1, cutout=0.2, optimizer="muon")
        machine = Machine("cpu", "fp32", channels_last=True, threads=2)
        normalise = Normalise((0.5,) * 3, (0.3,) * 3)
        rows = torch.arange(256)
        training = Training(network, images, rows % 10, rows, recipe, machine, normalise)
        assert training.shards.count == 2
        for epoch in (1, 2):
            training.run_epoch(epoch, lambda *_: None)
        return copy.deepcopy(network.state_dict())

    first, second = train(), train()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_dropout_of_each_shard_is_its_own_and_ends_where_the_recipe_says() -> None:
    network = make("3cnn+128_50dropout")
    images = torch.zeros(64, 32, 32, 3, dtype=torch.uint8)
    rows = torch.arange(64)
    training = Training(
        network,
        images,
        rows % 10,
        rows,
        Recipe(epochs=2, batch_size=64, dropout_share=0.5),
        Machine("cpu", "fp32", channels_last=True, threads=2),
        Normalise((0.5,) * 3, (0.3,) * 3),
    )
    drops = [
        [module for module in each.modules() if isinstance(module, nn.Dropout)]
        for each in training.shards.networks
    ]
    ones = torch.ones(1, 1000)
    training.enter_epoch(1)
    training.enter(0)
    torch.manual_seed(0)
    training.step(rows, torch.Generator().manual_seed(0))
    first, second = (each[0](ones) for each in drops)
    assert not torch.equal(first, second)
    assert set(second.unique().tolist()) == {0.0, 2.0}
    training.enter(1)
    assert torch.equal(drops[1][0](ones), ones)


@given(st.integers(1, 300), st.integers(1, 64), st.booleans())
def test_a_shard_has_images_enough_and_threads_are_not_more_than_there_are(
    batch: int, threads: int, norms_learn: bool
) -> None:
    for network, fewest in ((nn.BatchNorm2d(1), 16 if norms_learn else 4), (nn.ReLU(), 4)):
        whole = nn.Sequential(nn.Conv2d(1, 1, 1), network)
        count = count_shards(whole, batch, threads, norms_learn=norms_learn)
        assert 1 <= count <= min(4, threads)
        assert count == 1 or batch // count >= fewest
        assert count > 1 or threads == 1 or batch < 2 * fewest


def test_layers_of_other_libraries_are_not_computed_side_by_side() -> None:
    foreign = type("DropPath", (nn.Identity,), {"__module__": "timm.layers"})()
    ours = nn.Sequential(nn.Linear(4, 2), Dropout(0.5))
    assert count_shards(ours, 64, 2, norms_learn=True) == 2
    assert count_shards(nn.Sequential(ours, foreign), 64, 2, norms_learn=True) == 1
    assert count_shards(nn.Sequential(ours, nn.Dropout2d(0.5)), 64, 2, norms_learn=True) == 1


def test_the_caller_computes_alone_while_shards_do() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        shards = Shards(make("lenet5"), 2, 2)
        with pytest.raises(ValueError), shards.alone():  # noqa: PT012
            assert torch.get_num_threads() == 1
            raise ValueError
        assert torch.get_num_threads() == 2
        with Shards(make("lenet5"), 1, 2).alone():
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
