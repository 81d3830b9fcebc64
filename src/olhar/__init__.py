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
from typing import TYPE_CHECKING, Any

from olhar._version import __version__

if TYPE_CHECKING:
    from olhar.classifier import Classifier, Prediction
    from olhar.datasets import Dataset
    from olhar.datasets import load_named as load_dataset
    from olhar.errors import OlharError
    from olhar.evaluation.compare import compare_runs as compare
    from olhar.evaluation.explain import explain
    from olhar.pipeline import evaluate, resume, train
    from olhar.registry import load, pull, push
    from olhar.run import Report, Run, load_run
    from olhar.sweep import sweep

# ONNX Runtime reports to its makers from native code. Nothing is sent anywhere that the user did not
# ask for; its own switch of Python's does not stop it, this does.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Classifier",
    "Dataset",
    "OlharError",
    "Prediction",
    "Report",
    "Run",
    "__version__",
    "compare",
    "evaluate",
    "explain",
    "load",
    "load_dataset",
    "load_run",
    "pull",
    "push",
    "resume",
    "sweep",
    "train",
]

_HOMES = {
    "Classifier": ("olhar.classifier", "Classifier"),
    "Dataset": ("olhar.datasets", "Dataset"),
    "OlharError": ("olhar.errors", "OlharError"),
    "Prediction": ("olhar.classifier", "Prediction"),
    "Report": ("olhar.run", "Report"),
    "Run": ("olhar.run", "Run"),
    "compare": ("olhar.evaluation.compare", "compare_runs"),
    "evaluate": ("olhar.pipeline", "evaluate"),
    "explain": ("olhar.evaluation.explain", "explain"),
    "load": ("olhar.registry", "load"),
    "load_dataset": ("olhar.datasets", "load_named"),
    "load_run": ("olhar.run", "load_run"),
    "pull": ("olhar.registry", "pull"),
    "push": ("olhar.registry", "push"),
    "resume": ("olhar.pipeline", "resume"),
    "sweep": ("olhar.sweep", "sweep"),
    "train": ("olhar.pipeline", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'olhar' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
