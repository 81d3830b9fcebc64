"""A batch in shards, each computed by a thread of its own.

Threads that share a layer wait for each other at its end, and inside oneDNN at full speed: beside other
work, which keeps one of them from its core for some ms, all are held up in each layer
(docs/experiments.md). Threads that have a shard each wait once a step. The arithmetic follows from the
number of shards, not from which thread has which.

Does not know: what is computed for a shard, or how weights are updated.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from olhar.networks.dropout import Dropout

_MOST = 4
_FEWEST_NORMED, _FEWEST = 16, 4  # images of a shard; the first where batch norms learn from them

In = TypeVar("In")
Out = TypeVar("Out")
# A shard's network, its images' rows, its generator → (loss, figures (f,) that are summed up).
Compute = Callable[[nn.Module, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]


class Shards:
    """A network as often as there are shards; all of them have the same weights.

    Batch norm normalises with the statistics of a shard; its running statistics are the means of the
    shards' (ghost batch norm, Hoffer et al. 2017, section 4).

    Attributes:
        networks: the first is the network itself; the others have buffers of their own.
        count: of shards.
    """

    def __init__(self, network: nn.Module, count: int, threads: int) -> None:
        """Make ready.

        Args:
            network: on the CPU if `count` is more than 1.
            count: see `count_shards`.
            threads: that this training may use.
        """
        self.count = count
        self.networks = [network, *(_replica(network) for _ in range(count - 1))]
        self._pool = _open_pool(count, threads) if count > 1 else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The calling thread computes alone in this block: others of its own would be in the way."""
        before = torch.get_num_threads()
        if self.count > 1:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def enter_epoch(self) -> None:
        """Give all shards the first one's running statistics, and its layers' state (train or eval)."""
        for other in self.networks[1:]:
            for own, theirs in zip(self.networks[0].modules(), other.modules(), strict=True):
                theirs.training = own.training
            for value, copied in zip(self._statistics(0), other.buffers(), strict=True):
                copied.copy_(value)

    @torch.no_grad()
    def leave_epoch(self) -> None:
        """Give the first network the mean of all running statistics."""
        for values in zip(*(self._statistics(at) for at in range(self.count)), strict=True):
            if self.count > 1 and values[0].is_floating_point():
                values[0].copy_(torch.stack(values).mean(0))

    def _statistics(self, at: int) -> Iterable[torch.Tensor]:
        return self.networks[at].buffers()

    def gradients(
        self, compute: Compute, rows: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Give each weight its gradient, the sum over all shards; returns their figures, summed up.

        Args:
            compute: the forward pass of a shard. Its loss is its part of the batch's.
            rows: (n,) of the batch, dealt out to the shards.
            generator: all random numbers follow from it, and from the shards' number.
        """
        weights = [weight for weight in self.networks[0].parameters() if weight.requires_grad]

        def part(given: tuple[nn.Module, torch.Tensor, torch.Generator]) -> list[torch.Tensor]:
            loss, figures = compute(*given)
            return [figures, *torch.autograd.grad(loss, weights, allow_unused=True)]

        parts = torch.tensor_split(rows, self.count)
        generators = self._generators(generator)
        done = list(self.map(part, zip(self.networks, parts, generators, strict=True)))
        for weight, *found in zip(weights, *(gradients for _f, *gradients in done), strict=True):
            weight.grad = _sum_like(weight, found)
        return torch.stack([figures for figures, *_gradients in done]).sum(0)

    def _generators(self, generator: torch.Generator) -> list[torch.Generator]:
        """One for each shard; the first of several draws dropout from torch's own."""
        if self.count == 1:
            return [generator]
        seed = int(torch.randint(2**62, (), generator=generator))
        generators = [torch.Generator().manual_seed(seed + at) for at in range(self.count)]
        for network, own in zip(self.networks[1:], generators[1:], strict=True):
            for module in network.modules():
                if isinstance(module, Dropout):
                    module.generator = own
        return generators

    def map(self, function: Callable[[In], Out], items: Iterable[In]) -> Iterable[Out]:
        """What a function gives for each item, in their order, by the shards' threads side by side."""
        if self._pool is None:
            return map(function, items)
        waiting: list[Future[Out]] = [self._pool.submit(function, item) for item in items]
        return (future.result() for future in waiting)


def count_shards(network: nn.Module, batch: int, threads: int, *, norms_learn: bool) -> int:
    """How many shards a batch is computed in: as many as there are threads, up to four.

    Fewer where a shard would have few images. One where some layer may draw random numbers that a seed
    would not decide, with several threads drawing: those of other libraries.

    Args:
        network: that is trained.
        batch: images a step.
        threads: that the training may use.
        norms_learn: whether batch norms normalise with the statistics of the batch.
    """
    if not all(_is_known(module) for module in network.modules()):
        return 1
    has_norms = any(isinstance(module, _BatchNorm) for module in network.modules())
    fewest = _FEWEST_NORMED if has_norms and norms_learn else _FEWEST
    most = min(_MOST, batch // fewest, threads)
    # Of five threads four are used, one a shard; of six all, two a shard.
    return max(range(2, most + 1), key=lambda n: (n * (threads // n), n), default=1)


def _is_known(module: nn.Module) -> bool:
    is_ours = type(module).__module__.startswith(("torch.nn.", "olhar."))
    return is_ours and (isinstance(module, Dropout) or not isinstance(module, _DropoutNd))


def _replica(network: nn.Module) -> nn.Module:
    """A network with the same weights, and buffers of its own."""
    return copy.deepcopy(network, {id(weight): weight for weight in network.parameters()})


def _open_pool(count: int, threads: int) -> ThreadPoolExecutor:
    """Threads that compute alone, or with as many others as there are more threads than shards."""
    before, met = torch.get_num_threads(), threading.Barrier(count)

    def begin() -> None:
        torch.set_num_threads(max(1, threads // count))
        torch.get_num_threads()  # until it is asked, a new thread takes the number that was set last
        met.wait()

    pool = ThreadPoolExecutor(count)
    for started in [pool.submit(begin) for _ in range(count)]:
        started.result()
    torch.set_num_threads(before)  # of this thread; the others keep theirs
    return pool


def _sum_like(weight: torch.Tensor, found: list[torch.Tensor | None]) -> torch.Tensor | None:
    """The sum, in the weight's memory format: torch's fused updates walk memory flat."""
    there = [gradient for gradient in found if gradient is not None]
    if not there:
        return None
    total = there[0]
    if total.stride() != weight.stride():
        total = torch.empty_like(weight).copy_(total)
    for other in there[1:]:
        total = total.add_(other)
    return total
