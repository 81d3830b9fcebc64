"""From settings to a measured run: the rooms below, put in order."""

from olhar.data_settings import DataSettings
from olhar.pipeline.inputs import list_networks
from olhar.pipeline.measuring import evaluate, save_sample
from olhar.pipeline.training import resume, train

__all__ = [
    "DataSettings",
    "evaluate",
    "list_networks",
    "resume",
    "save_sample",
    "train",
]
