"""What the peers share: the arrays, the record that each prints, and the tutorial network in torch.

Imported by the peers' scripts in their own environments: NumPy is all that it needs at import.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Task:
    """What a peer is asked for: train on `folder`'s arrays until `target` or `epochs` is reached."""

    folder: Path
    epochs: int
    target: float
    seed: int


def read_task(description: str) -> Task:
    """The task that the command line gives."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="train_images.npy and the like")
    parser.add_argument("--epochs", type=int, default=15, help="at most")
    parser.add_argument("--target", type=float, default=0.68, help="test accuracy to stop at")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    return Task(args.folder, args.epochs, args.target, args.seed)


def read_arrays(task: Task, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 32, 32, 3) uint8 and labels (N,) int64 of "train" or "test"."""
    images = np.load(task.folder / f"{split}_images.npy")
    return images, np.load(task.folder / f"{split}_labels.npy")


class Record:
    """The seconds and the test accuracy of each epoch; measuring the accuracy is not timed."""

    def __init__(self, task: Task, images: int) -> None:
        self.task, self.images = task, images
        self.epochs: list[dict[str, float]] = []
        self.begun = 0.0

    def begin_epoch(self) -> None:
        self.begun = time.perf_counter()

    def end_epoch(self) -> float:
        """Stop the clock; the epoch's seconds."""
        return time.perf_counter() - self.begun

    def add(self, seconds: float, test_accuracy: float) -> bool:
        """Note an epoch; True where the target is reached."""
        self.epochs.append({"seconds": seconds, "test_accuracy": test_accuracy})
        return test_accuracy >= self.task.target

    def print(self, *libraries: str) -> None:
        """The record, as the last line of standard output."""
        seconds = sum(epoch["seconds"] for epoch in self.epochs)
        accuracy = self.epochs[-1]["test_accuracy"]
        record: dict[str, Any] = {
            "seconds": seconds,
            "images_per_s": self.images * len(self.epochs) / seconds,
            "epochs": self.epochs,
            "test_accuracy": accuracy,
            "reached": accuracy >= self.task.target,
            "versions": {name: version(name) for name in libraries},
        }
        print(json.dumps(record), flush=True)


def build_torch_network() -> torch.nn.Module:
    """The tutorial network: (N, 3, 32, 32) float32 → logits (N, 10); torch's own first weights."""
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def to_torch(images: NDArray[np.uint8]) -> torch.Tensor:
    """(N, H, W, C) uint8 → (N, C, H, W) float32 in 0..1, as torchvision's ToTensor gives it."""
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255


def torch_accuracy(
    network: torch.nn.Module, images: torch.Tensor, labels: NDArray[np.int64]
) -> float:
    """The share of images (N, C, H, W) whose largest logit is at their label."""
    import torch

    network.eval()
    with torch.inference_mode():
        found = torch.cat([network(x).argmax(1) for x in images.split(1000)])
    return float((found.numpy() == labels).mean())


def allow_torchvision() -> object:
    """Let torchvision be imported beside a CPU-only torch, whose wheel lacks two of its operators.

    Returns:
        What must be kept alive as long as torchvision is used.
    """
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
