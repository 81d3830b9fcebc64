"""The tutorial network in the parts of timm's train script: create_loader, create_optimizer_v2,
create_scheduler_v2; AdamW with a cosine schedule, batches of 128, no augmentation.

The schedule has a fixed length, so the target cannot end it: all epochs are run.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from tutorial import (
    Record,
    allow_torchvision,
    build_torch_network,
    read_arrays,
    read_task,
)

torchvision_operators = allow_torchvision()

from timm.data import create_loader  # noqa: E402
from timm.optim import create_optimizer_v2  # noqa: E402
from timm.scheduler import create_scheduler_v2  # noqa: E402
from timm.utils import AverageMeter  # noqa: E402


class Pictures(torch.utils.data.Dataset[Any]):
    """Arrays as PIL images, which timm's transforms take; create_loader sets `transform`."""

    transform: Any = None

    def __init__(self, images: NDArray[Any], labels: NDArray[Any]) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def build_loader(data: Pictures, *, training: bool) -> Any:
    return create_loader(
        data,
        input_size=(3, 32, 32),
        batch_size=128,
        is_training=training,
        no_aug=training,
        crop_pct=1.0,
        num_workers=os.cpu_count() or 1,
        use_prefetcher=False,
        persistent_workers=True,
        device=torch.device("cpu"),
    )


def train_epoch(network: torch.nn.Module, loader: Any, optimizer: Any, schedule: Any) -> None:
    network.train()
    losses = AverageMeter()
    for x, y in loader:
        loss = F.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.update(loss.item(), len(y))
    schedule(losses.avg)


def accuracy(network: torch.nn.Module, loader: Any) -> float:
    network.eval()
    with torch.inference_mode():
        right = sum(int((network(x).argmax(1) == y).sum()) for x, y in loader)
    return right / len(loader.dataset)


def main() -> None:
    task = read_task(__doc__ or "")
    torch.manual_seed(task.seed)
    train = Pictures(*read_arrays(task, "train"))
    loader = build_loader(train, training=True)
    test = build_loader(Pictures(*read_arrays(task, "test")), training=False)
    network = build_torch_network()
    optimizer = create_optimizer_v2(network, opt="adamw", lr=1e-3, weight_decay=0.01)
    scheduler, _epochs = create_scheduler_v2(optimizer, sched="cosine", num_epochs=task.epochs)
    record = Record(task, len(train))
    for epoch in range(task.epochs):
        record.begin_epoch()
        train_epoch(
            network, loader, optimizer, lambda loss, done=epoch + 1: scheduler.step(done, loss)
        )
        seconds = record.end_epoch()
        record.add(seconds, accuracy(network, test))
    record.print("timm", "torch", "torchvision", "numpy")


if __name__ == "__main__":
    main()
