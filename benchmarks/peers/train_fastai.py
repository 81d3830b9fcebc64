"""The tutorial network in fastai's Learner: fit_one_cycle, batches of 128.

A one-cycle schedule has a fixed length, so the target cannot end it: all epochs are run.
"""

from __future__ import annotations

import torch
from tutorial import (
    Record,
    allow_torchvision,
    build_torch_network,
    read_arrays,
    read_task,
    to_torch,
    torch_accuracy,
)

torchvision_operators = allow_torchvision()

from fastai.callback.schedule import Learner  # noqa: E402
from fastai.data.core import DataLoaders  # noqa: E402
from fastai.learner import Callback  # noqa: E402
from fastai.losses import CrossEntropyLossFlat  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402


class Clock(Callback):
    """Times the training part of each epoch, then measures it on the test set."""

    def __init__(self, record: Record, images: torch.Tensor, labels: object) -> None:
        self.record, self.test_images, self.test_labels = record, images, labels

    def before_train(self) -> None:
        self.record.begin_epoch()

    def after_train(self) -> None:
        seconds = self.record.end_epoch()
        accuracy = torch_accuracy(self.learn.model, self.test_images, self.test_labels)
        self.record.add(seconds, accuracy)


def main() -> None:
    task = read_task(__doc__ or "")
    torch.manual_seed(task.seed)
    train_images, train_labels = read_arrays(task, "train")
    test_images, test_labels = read_arrays(task, "test")
    train = TensorDataset(to_torch(train_images), torch.from_numpy(train_labels))
    test = to_torch(test_images)
    valid = TensorDataset(test[:1000], torch.from_numpy(test_labels[:1000]))
    loaders = DataLoaders.from_dsets(
        train, valid, bs=128, num_workers=0, device=torch.device("cpu")
    )
    record = Record(task, len(train))
    learner = Learner(
        loaders,
        build_torch_network(),
        loss_func=CrossEntropyLossFlat(),
        cbs=Clock(record, test, test_labels),
    )
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(task.epochs, 3e-3)
    record.print("fastai", "torch", "torchvision", "numpy")


if __name__ == "__main__":
    main()
