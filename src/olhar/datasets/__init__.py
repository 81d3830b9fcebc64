"""Data sets: by name or from a folder, split, and brought to a network's input size."""

from olhar.datasets.class_names import match_class_names
from olhar.datasets.dataset import Dataset
from olhar.datasets.describe import describe_dataset
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.folds import group_folds
from olhar.datasets.groups import Groups, divide, find_groups
from olhar.datasets.headers import mean_aspect
from olhar.datasets.named import NAMED, NAMED_SHAPES, load_named, named_files
from olhar.datasets.prepare import frame_lazily, prepare_dataset
from olhar.datasets.source import ALL_NAMES, Source, open_source
from olhar.datasets.splits import Splits, split_dataset, spread

__all__ = [
    "ALL_NAMES",
    "NAMED",
    "NAMED_SHAPES",
    "Dataset",
    "Groups",
    "PhotoFolder",
    "Source",
    "Splits",
    "describe_dataset",
    "divide",
    "find_groups",
    "frame_lazily",
    "group_folds",
    "load_named",
    "match_class_names",
    "mean_aspect",
    "named_files",
    "open_source",
    "prepare_dataset",
    "split_dataset",
    "spread",
]
