"""From settings to a measured run: the rooms below, put in order."""

from olhar.pipeline.inputs import DataSettings, list_networks
from olhar.pipeline.measuring import Run, evaluate, load_run, save_sample
from olhar.pipeline.training import resume, train

__all__ = [
    "DataSettings",
    "Run",
    "evaluate",
    "list_networks",
    "load_run",
    "resume",
    "save_sample",
    "train",
]
