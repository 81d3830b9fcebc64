"""Hyperparameters, which are strings, become what `olhar.train` takes; every one is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from olhar.errors import ConfigError, unknown_name
from olhar.i18n import _
from olhar.networks.specs import resolve_network
from olhar.pipeline.inputs import DataSettings
from olhar.pipeline.jobs import DEFAULT_NETWORK, plan_training
from olhar.progress import Progress
from olhar.training.recipe import SETTINGS

_NUMBERS: Mapping[str, Callable[[str], Any]] = {
    "val": float,
    "test": float,
    "split_seed": int,
    "channels": int,
    "size": int,
}


@dataclass(frozen=True)
class Hyperparameters:
    """What was asked for.

    Attributes:
        data: a named set or a store's address; None means the job's channels.
        network: its name; None means the usual one.
        data_settings: val, test, split_seed, channels, size, resize, where given.
        settings: of the recipe and of the network, as text.
    """

    data: str | None
    network: str | None
    data_settings: Mapping[str, Any]
    settings: Mapping[str, str]


def read_hyperparameters(given: Mapping[str, Any]) -> Hyperparameters:
    """Check everything that can be checked without data and torch.

    Args:
        given: name → value, as hyperparameters.json has them.

    Raises:
        UnknownNameError: one that does not exist; the nearest are named.
        ConfigError: a value that cannot be used.
    """
    for key, value in given.items():
        if not isinstance(value, str):
            raise ConfigError(
                _("hyperparameter {key} is {given}; allowed: text", key=key, given=repr(value))
            )
    network = given.get("network")
    own = resolve_network(network or DEFAULT_NETWORK)[1]
    valid = {"data", "network", "resize", *_NUMBERS, *SETTINGS, *own}
    for key in given:
        if key not in valid:
            raise unknown_name(_("hyperparameter"), key, valid)
    data_settings = {key: _number(key, given[key]) for key in _NUMBERS if key in given}
    if "resize" in given:
        data_settings["resize"] = given["resize"]
    settings = {key: given[key] for key in given if key in SETTINGS or key in own}
    wanted = DataSettings(given.get("data") or "photos", **data_settings)
    plan_training(wanted, network, None, settings, Progress())
    return Hyperparameters(given.get("data"), network, data_settings, settings)


def _number(key: str, text: str) -> Any:
    try:
        return _NUMBERS[key](text)
    except ValueError:
        expected = _("a whole number") if _NUMBERS[key] is int else _("a number")
        raise ConfigError(
            _("{key} is '{given}'; allowed: {expected}", key=key, given=text, expected=expected)
        ) from None
