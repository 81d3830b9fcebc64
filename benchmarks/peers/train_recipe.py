"""olhar's network, first weights, optimiser, schedule and augmentation, in a plain PyTorch loop.

What is left of the difference to the tutorial's recipe is the recipe's share, and what is left of the
difference to olhar is the loop's: a DataLoader over a TensorDataset, fp32, channels first, crop by crop.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from tutorial import Record, read_arrays, read_task, to_torch, torch_accuracy

from olhar.networks.build import build_network
from olhar.networks.specs import NetworkSpec, resolve_network
from olhar.training.optimizers import build_optimizers, lr_at
from olhar.training.recipe import Recipe, kept_recipe

NETWORK = "cnn-32-64-64"


def augmented(x: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """A batch (N, C, H, W), half of it mirrored, each image moved by some pixels."""
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    side, reach = x.shape[3], round(recipe.translate * x.shape[3])
    padded = F.pad(x, [reach] * 4, mode="reflect")
    places = torch.randint(0, 2 * reach + 1, (len(x), 2)).tolist()
    return torch.stack(
        [one[:, i : i + side, j : j + side] for one, (i, j) in zip(padded, places, strict=True)]
    )


def main() -> None:
    task = read_task(__doc__ or "")
    canonical, settings, _typed = resolve_network(NETWORK)
    train_images, train_labels = read_arrays(task, "train")
    test_images, test_labels = read_arrays(task, "test")
    images, test = to_torch(train_images), to_torch(test_images)
    mean, std = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    train = TensorDataset((images - mean) / std, torch.from_numpy(train_labels))
    test = (test - mean) / std
    for epochs in range(1, task.epochs + 1):  # the schedule has a fixed length, so from the start
        torch.manual_seed(task.seed)
        recipe = Recipe(**{**kept_recipe(NETWORK, "cifar10"), "epochs": epochs})
        loader = DataLoader(train, batch_size=recipe.batch_size, shuffle=True, drop_last=True)
        network = build_network(NetworkSpec(canonical, settings, 32, 3, 10))
        optimizers = build_optimizers(network, recipe)
        record, step = Record(task, len(train)), 0
        for _epoch in range(epochs):
            record.begin_epoch()
            network.train()
            for x, y in loader:
                network.zero_grad()
                for optimizer in optimizers:
                    for group in optimizer.param_groups:
                        group["lr"] = lr_at(step, epochs * len(loader), recipe) * group["lr_share"]
                F.cross_entropy(network(augmented(x, recipe)), y).backward()
                for optimizer in optimizers:
                    optimizer.step()
                step += 1
            reached = record.add(record.end_epoch(), torch_accuracy(network, test, test_labels))
        if reached:
            break
    record.print("torch", "numpy")


if __name__ == "__main__":
    main()
