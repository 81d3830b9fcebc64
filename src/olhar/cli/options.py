"""Flags that several commands share, and how a result is printed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.training.recipe import merge_setting, parse_assignments

# What --set cannot change: it belongs to the data or the command.
_WITH_FLAGS_OF_THEIR_OWN = frozenset(
    {"data", "network", "run", "recipe", "overwrite", "progress", "val", "test"}
    | {"split_seed", "channels", "size", "resize", "cases", "seeds", "out", "track", "energy"}
)
Subparsers = Any  # argparse does not export the type of add_subparsers()

# Flags that set a recipe's setting of the same name.
_RECIPE_FLAGS: dict[str, Text] = {
    "epochs": _("passes over the training images"),
    "batch_size": _("images a step"),
    "lr": _("highest learning rate"),
    "weight_decay": _("weight decay"),
    "optimizer": _("adamw, muon, sgd or rmsprop"),
    "seed": _("of weights, order, dropout and augmentation (never of the split)"),
    "device": _("auto, cpu, cuda, cuda:1…"),
    "workers": _("processes that decode photos; 0 means one a core"),
    "minutes": _("as many epochs as fit into this time, instead of --epochs"),
    "patience": _("stop after so many epochs without improvement; 0 never stops"),
}


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument(
        "--json",
        action="store_true",
        help=str(_("print the result as JSON, alone on standard output")),
    )


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    """`--recipe`, `--set` and a flag for each usual setting."""
    group = parser.add_argument_group(str(_("training")))
    group.add_argument(
        "--recipe",
        type=Path,
        metavar="FILE",
        help=str(_("settings from a TOML file instead of the ones kept for the network")),
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=str(_("any setting of the recipe or the network; may be given again")),
    )
    for name, text in _RECIPE_FLAGS.items():
        flag = f"--{name.replace('_', '-')}"
        group.add_argument(flag, dest=name, metavar=name.upper(), help=str(text))


def collect_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of `--set` and of the flags; one given twice with different values is refused."""
    settings: dict[str, Any] = dict(parse_assignments(args.set))
    for name in _WITH_FLAGS_OF_THEIR_OWN.intersection(settings):
        raise ConfigError(
            _(
                "--set {name} is no setting of a recipe or network; use the flag --{flag}",
                name=name,
                flag=name.replace("_", "-"),
            )
        )
    for name in _RECIPE_FLAGS:
        value = getattr(args, name)
        if value is not None:
            merge_setting(settings, name, value, f"--{name.replace('_', '-')}")
    return settings


def number(flag: str, text: str | None) -> float | None:
    """The number that a flag was given, None where it was not.

    Raises:
        ConfigError: it is no number.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            _("{flag} is '{given}'; allowed: a number", flag=flag, given=text)
        ) from None


def whole_number(flag: str, text: str | None) -> int | None:
    """The whole number that a flag was given, None where it was not.

    Raises:
        ConfigError: it is no whole number.
    """
    value = number(flag, text)
    if value is not None and not value.is_integer():
        raise ConfigError(_("{flag} is '{given}'; allowed: a whole number", flag=flag, given=text))
    return None if value is None else int(value)


def print_json(value: Any) -> None:
    """A result for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
