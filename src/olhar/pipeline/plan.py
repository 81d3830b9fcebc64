"""From what was asked for to a plan: its settings checked, before any data is read or torch is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from olhar.data_settings import DATA, DataSettings
from olhar.datasets import NAMED
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.networks.backbones import split_adapter
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.networks.specs import resolve_network
from olhar.pipeline.backbone import Origin, Transfer, mode_of
from olhar.pipeline.estimating import check_folds
from olhar.progress import Progress
from olhar.settings import YesNo
from olhar.shown import hide_secrets
from olhar.training.recipe import (
    SETTINGS,
    Recipe,
    Resources,
    build_recipe,
    build_settings,
    divide_settings,
    kept_recipe,
    load_recipe_file,
    shorter_recipe,
)

DEFAULT_NETWORK = "olhar-small"


@dataclass(frozen=True)
class Plan:
    """What was asked for, checked, before any data was read.

    Attributes:
        data: which data, and how it is divided.
        network: canonical name.
        network_settings: every setting of the network with its value.
        recipe: what it does, with what was asked for.
        resources: how it runs.
        asked: settings of recipe and resources that were asked for.
        own: settings of the network that were asked for.
        origin: the backbone, where there is one.
        choice: how the mode was chosen, for config.toml; empty where it was named.
        shorter: settings for minutes into which the recipe's epochs do not fit.
    """

    data: DataSettings
    network: str
    network_settings: Mapping[str, Any]
    recipe: Recipe
    resources: Resources
    asked: Mapping[str, Any]
    own: Mapping[str, Any]
    origin: Origin | None = None
    choice: Mapping[str, Any] = field(default_factory=dict)
    shorter: Mapping[str, Any] = field(default_factory=dict)

    @property
    def transfer(self) -> Transfer | None:
        """What config.toml says of the backbone."""
        return self.origin.transfer if self.origin else None


def plan_training(
    data: DataSettings,
    network: str | None,
    recipe: Path | str | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    progress: Progress,
    origin: Origin | None = None,
) -> Plan:
    """Check what was asked for.

    Args:
        data: which data; it is not looked at.
        network: a name as typed; None takes the recipe's, else the usual one.
        recipe: a recipe file or its settings, instead of the kept ones for this network and data.
        settings: of recipe and network; they beat those of `recipe`.
        progress: hears of what was chosen.
        origin: a backbone, instead of a network.

    Raises:
        ConfigError: a setting that does not exist or cannot be used.
    """
    chosen, asked = _asked(network, recipe, settings, progress, origin)
    if origin is None:
        canonical, network_settings = _resolve(chosen, asked, progress)
    else:
        canonical, network_settings = origin.network, dict(origin.settings)
    wanted, own = divide_settings(asked, () if origin else network_settings, canonical)
    kept: dict[str, Any] = {}
    shorter: dict[str, Any] = {}
    if origin is not None:
        kept = _kept_for(canonical, data.name, origin.transfer)
        origin.transfer.mode.check_settings(wanted)
    elif recipe is None:
        kept, kept_own = _kept(canonical, data.name)
        network_settings = resolve_network(canonical, {**kept_own, **own})[1]
        shorter = shorter_recipe(canonical, data.name)
    check_folds(data.folds or 1, mode_of(origin.transfer if origin else None))
    final, resources = build_settings({**kept, **wanted})
    if resources.minutes and "epochs" in wanted:
        raise ConfigError(
            _("epochs and minutes cannot both be given: minutes chooses the epochs that fit")
        )
    if any(key in asked for key in shorter):
        shorter = {}
    return Plan(
        data, canonical, network_settings, final, resources, wanted, own, origin, shorter=shorter
    )


def shorten(plan: Plan) -> Plan:
    """The plan with what is better in a short training, as if it had been asked for."""
    wanted, own = divide_settings(plan.shorter, plan.network_settings, plan.network)
    return replace(
        plan,
        network_settings=resolve_network(plan.network, {**plan.network_settings, **own})[1],
        recipe=replace(plan.recipe, **wanted),
        asked={**plan.asked, **wanted},
        own={**plan.own, **own},
        shorter={},
    )


def repeating_command(plan: Plan, recipe: Recipe, run: Path) -> str:
    """The command that repeats a run, with this version of olhar and this data.

    Every setting is in it that was asked for, or that is not what the kept recipe says; of the
    minutes the epochs that they have come to.
    """
    data, network = plan.data, plan.network
    words = ["olhar", "train", "--data", hide_secrets(data.name)]
    words += plan.transfer.words() if plan.transfer else ["--network", network]
    words += ["--run", run.as_posix()]
    for one in DATA.values():
        value = getattr(data, one.name)
        if value != one.default:
            words += [one.flag, *([] if isinstance(one.kind, YesNo) else [one.write(value)])]
    kept = build_recipe(_kept_for(network, data.name, plan.transfer)).to_dict()
    used = {**recipe.to_dict(), **plan.resources.to_dict()}
    changed = {key for key in kept if used[key] != kept[key]}
    asked = [key for key in used if key in {*plan.asked, *changed} - {"minutes"}]
    for key, value in {**{key: used[key] for key in asked}, **plan.own}.items():
        words += ["--set", f"{key}={(SETTINGS | NETWORK)[key].write(value)}"]
    return shlex.join(words)


def _asked(
    network: str | None,
    recipe: Path | str | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    progress: Progress,
    origin: Origin | None,
) -> tuple[str, dict[str, Any]]:
    """The network's name, and all settings that were asked for."""
    given = load_recipe_file(Path(recipe)) if isinstance(recipe, str | Path) else dict(recipe or {})
    named = network or given.pop("network", None)
    given.pop("network", None)
    if origin is not None and named:
        raise ConfigError(
            _(
                "--network {network} and --backbone {backbone} are both given, and a backbone is a "
                "network; give one of them",
                network=named,
                backbone=origin.transfer.backbone,
            )
        )
    if origin is None and not named:
        progress.note(_("no network named; taking {name}", name=DEFAULT_NETWORK))
    asked = {**given, **settings}
    return str(named or DEFAULT_NETWORK), asked


def _resolve(
    name: str, settings: Mapping[str, Any], progress: Progress
) -> tuple[str, dict[str, Any]]:
    """The canonical network of a name as typed, with the network settings among `settings`."""
    canonical, defaults, typed = resolve_network(name)
    if typed is not None:
        progress.note(_("'{typed}' is read as {name}", typed=typed, name=canonical))
    own = divide_settings(settings, defaults, canonical)[1]
    canonical, values, _typed = resolve_network(name, own)
    return canonical, values


def _kept(network: str, data: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is kept for a network on a named data set or on photos: of recipe, and of network."""
    settings = kept_recipe(network, data if data in NAMED else "photos")
    own = () if split_adapter(network)[0] else resolve_network(network)[1]
    return divide_settings(settings, own, network)


def _kept_for(network: str, data: str, transfer: Transfer | None) -> dict[str, Any]:
    """What is kept of the recipe for a network on this data, or for what is done with a backbone."""
    recipe = mode_of(transfer).recipe
    return _kept(network, data)[0] if recipe is None else dict(recipe)
