"""Data sets: by name, split, and brought to a network's input size."""

from olhar.datasets.dataset import Dataset
from olhar.datasets.named import NAMED, load_named
from olhar.datasets.prepare import prepare_dataset
from olhar.datasets.splits import Splits, describe_dataset, split_dataset

__all__ = [
    "NAMED",
    "Dataset",
    "Splits",
    "describe_dataset",
    "load_named",
    "prepare_dataset",
    "split_dataset",
]
