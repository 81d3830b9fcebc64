"""Hyperparameters, which are strings, become what `olhar.train` takes; every one is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olhar.data_settings import DATA, DataSettings
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.networks.specs import resolve_network
from olhar.pipeline.plan import DEFAULT_NETWORK, plan_training
from olhar.progress import Progress
from olhar.settings import check_names
from olhar.training.recipe import SETTINGS


@dataclass(frozen=True)
class Hyperparameters:
    """What was asked for.

    Attributes:
        data: a named set or a store's address; None means the job's channels.
        network: its name; None means the usual one.
        data_settings: of the data, where given.
        settings: of the training and of the network, as text.
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
    check_names(given, {"data", "network", *DATA, *SETTINGS, *own}, _("hyperparameter"))
    data_settings = {key: DATA[key].check(given[key]) for key in DATA if key in given}
    settings = {key: given[key] for key in given if key in SETTINGS or key in own}
    wanted = DataSettings(given.get("data") or "photos", **data_settings)
    plan_training(wanted, network, None, settings, Progress())
    return Hyperparameters(given.get("data"), network, data_settings, settings)
