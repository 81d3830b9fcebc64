"""The tutorial network in a plain PyTorch loop: Adam 1e-3, DataLoader, batches of 64, fp32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from tutorial import (
    Record,
    build_torch_network,
    read_arrays,
    read_task,
    to_torch,
    torch_accuracy,
)


def main() -> None:
    task = read_task(__doc__ or "")
    torch.manual_seed(task.seed)
    train_images, train_labels = read_arrays(task, "train")
    test_images, test_labels = read_arrays(task, "test")
    train = TensorDataset(to_torch(train_images), torch.from_numpy(train_labels))
    test = to_torch(test_images)
    loader = DataLoader(train, batch_size=64, shuffle=True)
    network = build_torch_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    record = Record(task, len(train))
    for _epoch in range(task.epochs):
        record.begin_epoch()
        network.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            optimizer.step()
        seconds = record.end_epoch()
        if record.add(seconds, torch_accuracy(network, test, test_labels)):
            break
    record.print("torch", "numpy")


if __name__ == "__main__":
    main()
