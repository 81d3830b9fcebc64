"""olhar: from a data set or a folder of photos to a classifier that is trained, measured and stored.

    import olhar
    run = olhar.train("mnist", "lenet5", epochs=5)
    run.report                          # renders in a notebook
    olhar.load("runs/mnist-lenet5").predict("seven.png").label

Names are loaded when they are first used, so that importing olhar costs nothing.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from olhar._version import __version__
from olhar.cores import bound_waiting

if TYPE_CHECKING:
    from olhar.api import (
        card,
        check_card,
        check_data,
        deploy,
        export_data,
        push_data,
        reproduce,
        serve,
        sweep,
    )
    from olhar.bulk.predicting import Predicted, predict_many
    from olhar.classifier import Classifier, Prediction
    from olhar.classroom import pack, unpack
    from olhar.datasets import Dataset
    from olhar.datasets import load_named as load_dataset
    from olhar.datasets.stored import pull_dataset as pull_data
    from olhar.deploy.endpoint import undeploy
    from olhar.errors import OlharError
    from olhar.evaluation.compare import compare_runs as compare
    from olhar.evaluation.explain import explain
    from olhar.pipeline import evaluate, resume, train
    from olhar.pipeline import list_networks as networks
    from olhar.pipeline.exporting import export_model as export
    from olhar.registry import list_models as list  # noqa: A004, F401
    from olhar.registry import load, pull, push, tag
    from olhar.registry import remove as rm
    from olhar.run import Report, Run, load_run
    from olhar.verify import verify_model as verify

# ONNX Runtime reports to its makers from native code. Nothing is sent anywhere that the user did not
# ask for; its own switch of Python's does not stop it, this does.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
bound_waiting()

# olhar.list is left out: `from olhar import *` must not hide Python's own.
__all__ = [
    "Classifier",
    "Dataset",
    "OlharError",
    "Predicted",
    "Prediction",
    "Report",
    "Run",
    "__version__",
    "card",
    "check_card",
    "check_data",
    "compare",
    "deploy",
    "evaluate",
    "explain",
    "export",
    "export_data",
    "load",
    "load_dataset",
    "load_run",
    "networks",
    "pack",
    "predict_many",
    "pull",
    "pull_data",
    "push",
    "push_data",
    "reproduce",
    "resume",
    "rm",
    "serve",
    "sweep",
    "tag",
    "train",
    "undeploy",
    "unpack",
    "verify",
]

# Where each public name is; a function goes before the room of the same name.
_HOMES = {
    "Classifier": ("olhar.classifier", "Classifier"),
    "Dataset": ("olhar.datasets", "Dataset"),
    "OlharError": ("olhar.errors", "OlharError"),
    "Predicted": ("olhar.bulk.predicting", "Predicted"),
    "Prediction": ("olhar.classifier", "Prediction"),
    "Report": ("olhar.run", "Report"),
    "Run": ("olhar.run", "Run"),
    "card": ("olhar.api", "card"),
    "check_card": ("olhar.api", "check_card"),
    "check_data": ("olhar.api", "check_data"),
    "compare": ("olhar.evaluation.compare", "compare_runs"),
    "deploy": ("olhar.api", "deploy"),
    "evaluate": ("olhar.pipeline", "evaluate"),
    "explain": ("olhar.evaluation.explain", "explain"),
    "export": ("olhar.pipeline.exporting", "export_model"),
    "export_data": ("olhar.api", "export_data"),
    "list": ("olhar.registry", "list_models"),
    "load": ("olhar.registry", "load"),
    "load_dataset": ("olhar.datasets", "load_named"),
    "load_run": ("olhar.run", "load_run"),
    "networks": ("olhar.pipeline", "list_networks"),
    "pack": ("olhar.classroom", "pack"),
    "predict_many": ("olhar.bulk.predicting", "predict_many"),
    "pull": ("olhar.registry", "pull"),
    "pull_data": ("olhar.datasets.stored", "pull_dataset"),
    "push": ("olhar.registry", "push"),
    "push_data": ("olhar.api", "push_data"),
    "reproduce": ("olhar.api", "reproduce"),
    "resume": ("olhar.pipeline", "resume"),
    "rm": ("olhar.registry", "remove"),
    "serve": ("olhar.api", "serve"),
    "sweep": ("olhar.api", "sweep"),
    "tag": ("olhar.registry", "tag"),
    "train": ("olhar.pipeline", "train"),
    "undeploy": ("olhar.deploy.endpoint", "undeploy"),
    "unpack": ("olhar.classroom", "unpack"),
    "verify": ("olhar.verify", "verify_model"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'olhar' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


class _Public(types.ModuleType):
    """The package: `olhar.sweep` is the function, also once the room `olhar.sweep` was imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Public


def __dir__() -> Sequence[str]:
    return sorted(__all__)
