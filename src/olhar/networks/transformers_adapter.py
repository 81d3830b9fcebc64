"""Networks of transformers (Hugging Face); the only module that imports it.

Only safetensors are read, and no code that comes with a model is run. A network's configuration is
kept in the model, so that it can be built again when the folder it came from has gone.
"""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from olhar.errors import ConfigError, OlharError
from olhar.i18n import _
from olhar.networks.backbones import IMAGENET_MEAN, IMAGENET_STD, Described, require_adapter
from olhar.networks.torchvision_operators import declare_missing_operators
from olhar.networks.weights import Weights, count_body

# Of a configuration, what belongs to its old classes and its old place.
_LEFT_OUT = ("id2label", "label2id", "_name_or_path", "architectures", "num_labels")


class Logits(nn.Module):
    """A classifier of transformers that gives a tensor, as all networks here do."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, K)."""
        logits: torch.Tensor = self.model(pixel_values=x).logits
        return logits


def describe_transformers(name: str) -> Described:
    """What a folder, or a name on the Hugging Face hub, holds.

    Raises:
        ConfigError: no image classifier can be made of it.
        MissingExtraError: transformers is not installed.
    """
    transformers = import_transformers()
    try:
        config = transformers.AutoConfig.from_pretrained(name)
    except Exception as error:  # its errors share no base class
        raise _cannot(name, error) from error
    values = {k: v for k, v in json.loads(config.to_json_string()).items() if k not in _LEFT_OUT}
    text = json.dumps(values, sort_keys=True)
    model = build_transformers(text, 2)
    processor = _processor(transformers, name)
    size = _side(processor.get("crop_size") or processor.get("size") or values.get("image_size"))
    mean = tuple(processor.get("image_mean") or IMAGENET_MEAN)
    std = tuple(processor.get("image_std") or IMAGENET_STD)
    return Described({**count_body(model), "config": text}, size, mean, std)


def build_transformers(config: str, num_classes: int) -> nn.Module:
    """The untrained network of a configuration in JSON.

    Raises:
        ConfigError: no image classifier can be made of it.
    """
    transformers = import_transformers()
    values = json.loads(config)
    kind = values.pop("model_type", "")
    try:
        made = transformers.AutoConfig.for_model(kind, **values)
        made.num_labels = num_classes
        return Logits(transformers.AutoModelForImageClassification.from_config(made))
    except Exception as error:
        raise _cannot(kind, error) from error


def load_transformers(name: str) -> Weights:
    """The weights in a folder, or of a name on the hub, by the names of `build_transformers`'s."""
    transformers = import_transformers()
    try:
        model = transformers.AutoModelForImageClassification.from_pretrained(
            name, num_labels=2, ignore_mismatched_sizes=True, use_safetensors=True
        )
    except Exception as error:
        raise _cannot(name, error) from error
    return Logits(model).state_dict()


def _processor(transformers: Any, name: str) -> dict[str, Any]:
    """How its images are prepared; empty where nothing is said."""
    file = transformers.utils.cached_file(
        name,
        "preprocessor_config.json",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return dict(json.loads(Path(file).read_bytes())) if file else {}


def _side(size: Any) -> int:
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    if isinstance(size, list | tuple):
        size = size[0]
    return int(size or 224)


def _cannot(name: str, error: Exception) -> OlharError:
    if isinstance(error, OlharError):
        return error
    return ConfigError(
        _(
            "transformers cannot make an image classifier of '{name}': {reason}; give a folder that "
            "save_pretrained wrote, or a name on the Hugging Face hub",
            name=name,
            reason=str(error).splitlines()[0] if str(error) else repr(error),
        )
    )


def import_transformers() -> Any:
    """The library, quiet.

    Raises:
        MissingExtraError: it, or what exports its networks, is not installed.
    """
    require_adapter("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, at import
        declare_missing_operators()
        transformers: Any = importlib.import_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers
