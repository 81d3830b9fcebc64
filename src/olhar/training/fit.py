"""The one training loop.

Does not know: files, data sets, run folders, or how validation is done (it is handed in). Every
epoch's order, augmentation and dropout follow from (seed, epoch) alone, so a training that goes on
from a checkpoint ends in the same weights, bit for bit, on the same machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from olhar.errors import DivergedError
from olhar.i18n import _
from olhar.run.history import Row, best_epoch
from olhar.training.augment import augment_normalised, augment_pixels, shrink
from olhar.training.distillation import Taught
from olhar.training.machine import Machine, keep_freed_memory
from olhar.training.optimizers import (
    build_optimizers,
    lr_at,
    optimizer_tensors,
    restore_optimizers,
)
from olhar.training.recipe import Recipe
from olhar.training.shards import Shards, count_shards
from olhar.training.unfreezing import Stages
from olhar.training.validation import Validate
from olhar.training.windows import Windows

if TYPE_CHECKING:
    from olhar.training.distributed import Share

Weights = dict[str, torch.Tensor]
OnStep = Callable[[int, float, float], None]

_SECONDS_BETWEEN_STEPS_SHOWN = 0.2
_SEED_OF_RANK = 104_729  # so far apart that ranks do not meet the seeds that people choose


@dataclass
class FitState:
    """Everything that a training needs to go on after an epoch.

    Attributes:
        epoch: epochs done.
        network: weights after that epoch.
        optimizer: tensors by "optimiser.parameter.name".
        best: weights of the epoch with the highest validation accuracy (of equals: lower loss).
        best_epoch: which epoch that was, counted from 1.
        history: one row an epoch.
    """

    epoch: int = 0
    network: Weights = field(default_factory=dict)
    optimizer: Weights = field(default_factory=dict)
    best: Weights = field(default_factory=dict)
    best_epoch: int = 0
    history: list[Row] = field(default_factory=list)


def fit(
    training: Training,
    *,
    validate: Validate,
    on_step: OnStep = lambda *_: None,
    on_epoch: Callable[[FitState], None] = lambda _: None,
    state: FitState | None = None,
) -> FitState:
    """Train `training.network` in place; returns the last state, whose `best` weights are to keep.

    Args:
        training: the network, the images and what to do with them.
        validate: network → (loss, accuracy) on the validation split.
        on_step: hears (steps done in all epochs, the epoch's mean loss and accuracy so far), a few
            times a second.
        on_epoch: hears the state after each epoch.
        state: where an earlier training ended.

    Raises:
        DivergedError: the loss is no number any more.
    """
    recipe = training.recipe
    state = state or FitState()
    if state.epoch:
        training.network.load_state_dict(state.network)
        restore_optimizers(training.optimizers, state.optimizer)
    if training.share is not None:
        training.share.align(training.network)
    with training.windows or nullcontext(), training.shards.alone():
        for epoch in range(state.epoch + 1, recipe.epochs + 1):
            if recipe.patience and state.epoch - state.best_epoch >= recipe.patience:
                break
            state = _after_epoch(state, training, _train_epoch(training, epoch, validate, on_step))
            on_epoch(state)
    return state


def _train_epoch(training: Training, epoch: int, validate: Validate, on_step: OnStep) -> Row:
    """An epoch and its validation."""
    started = time.perf_counter()
    train_loss, train_accuracy = training.run_epoch(epoch, on_step)
    val_loss, val_accuracy = validate(training.network)
    return {
        "epoch": epoch,
        "step": epoch * training.steps,
        "lr": training.lr,
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "val_loss": val_loss,
        "val_accuracy": val_accuracy,
        "seconds": time.perf_counter() - started,
    }


class Training:
    """A network, its training images, and what to do: all that stays the same from step to step.

    Attributes:
        network: normalised images (N, C, H, W) → logits (N, K); moved to the machine's device.
        recipe: what to do.
        machine: how to compute it.
        batch: images a step.
        steps: of an epoch.
        lr: learning rate of the last step.
        small: whether the last step is one of the early ones, on smaller images.
        shown: when `on_step` last heard, by time.perf_counter().
        share: this process's share of every batch; None where it has all of it.
        stages: which parts are trained in which epoch; None where all are in every one.
        windows: which images are shuffled together; None where all are.
    """

    def __init__(
        self,
        network: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        indices: torch.Tensor,
        recipe: Recipe,
        machine: Machine,
        normalise: nn.Module,
        share: Share | None = None,
        stages: Stages | None = None,
        soft: torch.Tensor | None = None,
    ) -> None:
        """Make ready.

        Args:
            network: normalised images (N, C, H, W) float32 → logits (N, K).
            images: (N, H, W, C) uint8, the whole pool; may be memory-mapped.
            labels: (N,) int64.
            indices: (n,) int64, which of the pool train.
            recipe: what to do.
            machine: how to compute it.
            normalise: uint8 (N, C, H, W) → float32 network input.
            share: this process's share of a training over several processes.
            stages: which parts are trained in which epoch.
            soft: (n, K) float32, what a teacher says of the images of `indices`.
        """
        torch.set_num_threads(machine.threads)
        keep_freed_memory()
        self.device = torch.device(machine.device)
        # Of cuDNN's algorithms only those that repeat; nothing is chosen by timing.
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        self.network = network.to(self.device)
        if machine.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.normalise = normalise.to(self.device)
        self.images, self.labels = _on_device(images, self.device), labels.to(self.device)
        self.indices = indices
        self.recipe, self.machine = recipe, machine
        self.windows = Windows(self.images, recipe.shuffle_mib) if recipe.shuffle_mib else None
        self.stages = stages
        self.optimizers = build_optimizers(network, recipe, stages.lr_shares() if stages else None)
        self.batch = min(recipe.batch_size, len(indices))
        own = self.batch if share is None else self.batch // share.size
        self.shards = _open_shards(network, own, machine, norms_learn=stages is None)
        self.steps = len(indices) // self.batch
        self.lr = 0.0
        self.small = False
        self.shown = 0.0
        modules = [module for each in self.shards.networks for module in each.modules()]
        self.dropouts = [(m, m.p) for m in modules if isinstance(m, nn.Dropout)]
        self.share = share
        shares = class_shares(labels[indices])  # (K,)
        self.taught = (
            None if soft is None else Taught(soft, indices, len(labels), recipe, self.device)
        )
        self.class_weights = (1 / shares).to(self.device) if recipe.balance == "weights" else None
        self.image_weights = (
            1 / shares[labels[indices]].double() if recipe.balance == "sampling" else None
        )

    def run_epoch(self, epoch: int, on_step: OnStep) -> tuple[float, float]:
        """One pass; returns the mean (loss, accuracy) of its batches."""
        generator = _seed_epoch(self.recipe.seed, epoch)
        order = self.order(generator)
        if self.share is not None:  # from here on other random numbers on every rank
            generator = _seed_epoch(self.recipe.seed + _SEED_OF_RANK * self.share.rank, epoch)
        self.enter_epoch(epoch)
        totals = torch.zeros(2, device=self.device)  # summed loss, correct
        # A rank that stopped at its own time would keep the others from saying why.
        leads = self.share is None or self.share.rank == 0
        for step in range(self.steps):
            if self.windows is not None:
                self.windows.read_until((step + 1) * self.batch)
            self.enter((epoch - 1) * self.steps + step)
            totals += self.step(order[step * self.batch : (step + 1) * self.batch], generator)
            if leads and time.perf_counter() - self.shown > _SECONDS_BETWEEN_STEPS_SHOWN:
                loss, correct = (totals / (step + 1)).tolist()
                _check_finite(loss, epoch, step + 1, self.recipe)
                on_step((epoch - 1) * self.steps + step + 1, loss, correct / self.batch)
                self.shown = time.perf_counter()
        loss, correct = (totals / self.steps).tolist()
        _check_finite(loss, epoch, self.steps, self.recipe)
        self.shards.leave_epoch()
        if self.share is not None:
            self.share.align(self.network)
        return loss, correct / self.batch

    def enter_epoch(self, epoch: int) -> None:
        """Set the network to training, or those of its parts that this epoch trains."""
        self.network.train()
        if self.stages is not None:
            self.stages.enter(epoch)
        self.shards.enter_epoch()

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """An epoch's rows of the pool, (n,) int64."""
        if self.image_weights is not None:
            count = len(self.indices)
            drawn = torch.multinomial(self.image_weights, count, True, generator=generator)  # noqa: FBT003
        else:
            drawn = torch.randperm(len(self.indices), generator=generator)
        rows = self.indices[drawn]
        return rows if self.windows is None else self.windows.order(rows, generator)

    def enter(self, step: int) -> None:
        """Set learning rate, image size and dropout for a step, counted over all epochs."""
        total = self.recipe.epochs * self.steps
        self.small = step < self.recipe.early_share * total
        for dropout, rate in self.dropouts:
            dropout.p = rate if step < self.recipe.dropout_share * total else 0.0
        self.lr = lr_at(step, total, self.recipe)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * group["lr_share"]

    def step(self, members: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One step on rows `members`; returns (loss, correct) without waiting for the device."""
        rows = members if self.share is None else self.share.rows(members)
        count, total = len(members), self._total(members)

        def compute(
            network: nn.Module, part: torch.Tensor, generator: torch.Generator
        ) -> tuple[torch.Tensor, torch.Tensor]:
            x, y = self._inputs(part, generator)
            with self.machine.autocast():
                logits = network(x)
            return self._loss(logits.float(), y, part, count, total)

        figures = self.shards.gradients(compute, rows, generator)
        if self.share is not None:
            self.share.sum_gradients(self.network, figures)
        for optimizer in self.optimizers:
            optimizer.step(self.shards.map)
        return figures

    def _inputs(
        self, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented, normalised images (n, C, H, W) of some rows, and their labels (n,)."""
        pixels = self.images[rows.to(self.images.device)]  # (n, H, W, C) uint8
        pixels = augment_pixels(pixels, self.recipe, generator)
        pixels = (shrink(pixels) if self.small else pixels).to(self.device)
        x = self.normalise(pixels.permute(0, 3, 1, 2))  # in channels-last order
        if not self.machine.channels_last:
            x = x.contiguous()
        x = augment_normalised(x, self.recipe, generator)
        return x, self.labels[rows.to(self.device)]

    def _loss(
        self,
        logits: torch.Tensor,
        y: torch.Tensor,
        rows: torch.Tensor,
        count: int,
        total: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Some images' part of the mean over a batch of `count`, and (loss, correct) of them."""
        smoothing = self.recipe.label_smoothing
        loss = F.cross_entropy(
            logits, y, self.class_weights, reduction="sum", label_smoothing=smoothing
        )
        loss = loss / total
        if self.taught is not None:
            loss = self.taught.mixed(loss, logits, rows.to(self.device), count)
        return loss, torch.stack([loss.detach(), (logits.argmax(1) == y).sum().float()])

    def _total(self, members: torch.Tensor) -> torch.Tensor:
        """What the sum of a batch's losses is divided by: its images, or their classes' weights."""
        if self.class_weights is None:
            return torch.tensor(float(len(members)), device=self.device)
        return self.class_weights[self.labels[members.to(self.device)]].sum()


def _open_shards(network: nn.Module, batch: int, machine: Machine, *, norms_learn: bool) -> Shards:
    """Shards for a batch of this process; one on a GPU."""
    threads = machine.threads if torch.device(machine.device).type == "cpu" else 1
    return Shards(network, count_shards(network, batch, threads, norms_learn=norms_learn), threads)


def measure_epoch_s(training: Training, seconds: float = 3.0, steps: int | None = None) -> float:
    """Seconds that an epoch takes on this machine, from some steps, which change the network.

    Validation, which is a forward pass over a tenth of the images, is in a surcharge of a tenth. An
    early epoch, on smaller images, takes as much less as it has fewer pixels.

    Args:
        training: that is thrown away.
        seconds: to measure for.
        steps: to measure instead; several processes must agree on how many.
    """
    training.enter_epoch(training.recipe.epochs)
    generator = _seed_epoch(training.recipe.seed, 0)
    order = training.order(generator)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < steps if steps else len(times) < 4 or time.perf_counter() - begun < seconds:
        step = len(times) % training.steps
        step_begun = time.perf_counter()
        training.enter(step)
        training.small = False
        training.step(
            order[step * training.batch : (step + 1) * training.batch], generator
        ).tolist()
        times.append(time.perf_counter() - step_begun)
    warm = times[2:]
    saved = training.recipe.early_share * (1 - 0.75**2)
    return 1.1 * training.steps * sum(warm) / len(warm) * (1 - saved)


def class_shares(labels: torch.Tensor) -> torch.Tensor:
    """How often each class is among `labels` (n,), relative to the mean of all: (K,) float32."""
    counts = torch.bincount(labels).float()
    present = counts > 0
    shares = torch.where(present, counts, 1) / counts[present].mean()
    return torch.where(present, shares, 1)


def _seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Seed dropout, and a generator for order and augmentation, from (seed, epoch)."""
    number = seed * 1_000_003 + epoch
    torch.manual_seed(number)
    return torch.Generator().manual_seed(number)


def _on_device(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The pool on the device if less than half of its free memory is enough, else where it is."""
    if device.type != "cuda":
        return images
    free, _total = torch.cuda.mem_get_info(device)
    return images.to(device) if images.numel() < free / 2 else images


def _check_finite(loss: float, epoch: int, step: int, recipe: Recipe) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            _(
                "training diverged: the loss is {loss} in epoch {epoch}, step {step}. "
                "The learning rate {lr} is probably too high: try --lr {lower}",
                loss=loss,
                epoch=epoch,
                step=step,
                lr=recipe.lr,
                lower=f"{recipe.lr / 10:g}",
            )
        )


def _after_epoch(state: FitState, training: Training, row: Row) -> FitState:
    network = training.network.state_dict()
    weights = {name: value.detach().clone() for name, value in network.items()}
    history = [*state.history, row]
    better = best_epoch(history) is row
    return FitState(
        epoch=int(row["epoch"]),
        network=weights,
        optimizer=optimizer_tensors(training.optimizers),
        best=weights if better else state.best,
        best_epoch=int(row["epoch"]) if better else state.best_epoch,
        history=history,
    )
