"""Flags that several commands share, and how a result is printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.training.recipe import merge_setting, parse_assignments

# What --set cannot change: it belongs to the data or the command.
_WITH_FLAGS_OF_THEIR_OWN = frozenset(
    {"data", "network", "run", "recipe", "overwrite", "progress", "val", "test"}
    | {"split_seed", "channels", "size", "resize", "cases", "seeds", "out", "track", "energy"}
    | {"backbone", "weights", "mode"}
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


def add_model(parser: argparse.ArgumentParser) -> None:
    """MODEL, as every command takes it."""
    text = _("a run folder, a model/ folder, or a store address such as s3://bucket/models/cats@3")
    parser.add_argument("model", metavar="MODEL", help=str(text))


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument(
        "--json",
        action="store_true",
        help=str(_("print the result as JSON, alone on standard output")),
    )


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """How data is divided and brought to the network."""
    group = parser.add_argument_group(str(_("data")))
    group.add_argument(
        "--val", metavar="SHARE|COUNT", help=str(_("validation images; default 0.1, at most 5000"))
    )
    group.add_argument(
        "--test",
        metavar="SHARE|COUNT",
        help=str(_("test images, where the data has no test split; default 0.2, at most 5000")),
    )
    group.add_argument("--split-seed", metavar="N", help=str(_("another number splits otherwise")))
    group.add_argument(
        "--channels", metavar="1|3", help=str(_("grey or colour; default as the data is"))
    )
    group.add_argument(
        "--size", metavar="PIXELS", help=str(_("side of the input; default the network's own"))
    )
    group.add_argument(
        "--resize",
        metavar="RULE",
        help=str(_("crop (cut out the centre) or squash (to a square); default crop")),
    )


def collect_data(args: argparse.Namespace) -> dict[str, Any]:
    """What the data flags were given, by the names of `pipeline.DataSettings`.

    Raises:
        ConfigError: a number is none.
    """
    given = {
        "val": number("--val", args.val),
        "test": number("--test", args.test),
        "split_seed": whole_number("--split-seed", args.split_seed),
        "channels": whole_number("--channels", args.channels),
        "size": whole_number("--size", args.size),
        "resize": args.resize,
    }
    return {key: value for key, value in given.items() if value is not None}


def add_recipe_flags(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """`--recipe`, `--set` and a flag for each usual setting, save those `without`."""
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
        if name in without:
            continue
        flag = f"--{name.replace('_', '-')}"
        group.add_argument(flag, dest=name, metavar=name.upper(), help=str(text))


def collect_settings(args: argparse.Namespace, without: Collection[str] = ()) -> dict[str, Any]:
    """The settings of `--set` and of the flags; one given twice with different values is refused.

    Args:
        args: of a parser with `add_recipe_flags`.
        without: as given there; flags of these names mean something else in the command.
    """
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
        value = None if name in without else getattr(args, name)
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
