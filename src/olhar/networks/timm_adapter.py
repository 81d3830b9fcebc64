"""Networks of timm (PyTorch Image Models); the only module that imports it."""

from __future__ import annotations

import importlib
import warnings
from typing import Any, cast

from torch import nn

from olhar.errors import ConfigError, OlharError, nearest
from olhar.i18n import _
from olhar.networks.backbones import IMAGENET_MEAN, IMAGENET_STD, Described, require_adapter
from olhar.networks.torchvision_operators import declare_missing_operators
from olhar.networks.weights import Weights, count_body


def describe_timm(name: str) -> Described:
    """What timm says of its network `name`.

    Raises:
        ConfigError: timm has no such network.
        MissingExtraError: timm, or what exports its networks, is not installed.
    """
    model = _create(name, 2)
    config = _config(model)
    _channels, size, _width = config.get("input_size", (3, 224, 224))
    mean, std = config.get("mean", IMAGENET_MEAN), config.get("std", IMAGENET_STD)
    return Described(count_body(model), int(size), tuple(mean), tuple(std))


def build_timm(name: str, size: int, num_classes: int) -> nn.Module:
    """The untrained network: normalised images (N, 3, size, size) → logits (N, num_classes)."""
    model = _create(name, num_classes)
    config = _config(model)
    if config.get("fixed_input_size") and config["input_size"][1] != size:
        return _create(name, num_classes, img_size=size)
    return model


def _config(model: nn.Module) -> dict[str, Any]:
    """Sizes, mean and standard deviation of a network, as its makers trained it."""
    return dict(cast("Any", model).pretrained_cfg)


def load_timm(name: str) -> Weights:
    """timm's own weights of a network, which it downloads unless it has them already."""
    return _create(name, 2, pretrained=True).state_dict()


def _create(name: str, num_classes: int, **settings: Any) -> nn.Module:
    timm = _import_timm()
    try:
        model: nn.Module = timm.create_model(name, num_classes=num_classes, **settings)
    except OlharError:
        raise
    except Exception as error:  # timm's errors share no base class
        close = nearest(name, timm.list_models()) or timm.list_models(f"*{name}*")[:3]
        raise ConfigError(
            _(
                "timm cannot make the network '{name}': {reason}; like it are: {close}",
                name=name,
                reason=str(error).splitlines()[0] if str(error) else repr(error),
                close=", ".join(close) or "–",
            )
        ) from error
    return model


def _import_timm() -> Any:
    require_adapter("timm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, at import
        declare_missing_operators()
        return importlib.import_module("timm")
