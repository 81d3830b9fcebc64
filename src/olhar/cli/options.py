"""Flags that several commands share, and how a result is printed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from olhar.data_settings import DATA
from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.settings import Table, YesNo, check_names, merge_setting, parse_assignments
from olhar.training.recipe import RECIPE, RESOURCES, SETTINGS

Subparsers = Any  # argparse does not export the type of add_subparsers()
# The settings of a training that have a flag of their own; --set takes all of them.
TRAINING: Table = {name: one for name, one in RECIPE.items() if one.usual} | RESOURCES


def add_model(parser: argparse.ArgumentParser) -> None:
    """MODEL, as every command takes it."""
    text = _("a run folder, a model/ folder, or a store address such as s3://bucket/models/cats@3")
    parser.add_argument("model", metavar="MODEL", help=str(text))


def add_invert(parser: argparse.ArgumentParser) -> None:
    """Add --invert."""
    parser.add_argument(
        "--invert",
        metavar="auto|no|yes",
        help=str(
            _(
                "read dark as bright: auto (the default) where the border of an image is bright and was "
                "dark in training, or the other way round; grey models only"
            )
        ),
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument(
        "--json",
        action="store_true",
        help=str(_("print the result as JSON, alone on standard output")),
    )


def add_flags(
    parser: argparse.ArgumentParser, title: Text | str, settings: Table, *, defaults: bool = True
) -> Any:
    """A flag for each setting, in a group of its own.

    Args:
        parser: of the command.
        title: of the group.
        settings: those that get a flag.
        defaults: name them; those of a training may be the kept recipe's.
    """
    group = parser.add_argument_group(str(title))
    for one in settings.values():
        text = one.text
        if defaults and one.default not in (None, ()) and one.default is not False:
            default = one.kind.write(one.default)
            text = _("{text}; default {default}", text=text, default=default)
        form: dict[str, Any] = {"metavar": one.kind.metavar}
        if isinstance(one.kind, YesNo):
            form = {"action": "store_const", "const": "true"}
        elif one.kind.repeated:
            form["action"] = "append"
        group.add_argument(one.flag, dest=one.name, help=str(text), **form)
    return group


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for each setting of the data; --no-groups is short for --groups none."""
    group = add_flags(parser, _("data"), DATA)
    group.add_argument(
        "--no-groups",
        dest="groups",
        action="store_const",
        const="none",
        help=str(_("divide near-duplicates and bursts like any other photos; scores may flatter")),
    )


def collect(args: argparse.Namespace, settings: Table) -> dict[str, Any]:
    """What the flags of `add_flags` were given, checked, in its own type.

    Raises:
        ConfigError: a value that its setting does not take.
    """
    given = {name: getattr(args, name) for name in settings}
    return {
        name: settings[name].check(value, settings[name].flag)
        for name, value in given.items()
        if value is not None
    }


def add_recipe_flags(parser: argparse.ArgumentParser, settings: Table = TRAINING) -> None:
    """`--recipe`, `--set` and a flag for each of these settings."""
    group = add_flags(parser, _("training"), settings, defaults=False)
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
        help=str(_("any setting of the training or the network; may be given again")),
    )


def collect_settings(args: argparse.Namespace, settings: Table = TRAINING) -> dict[str, Any]:
    """The settings of `--set` and of the flags; one given twice with different values is refused.

    Args:
        args: of a parser with `add_recipe_flags`.
        settings: as given there.
    """
    known = SETTINGS | NETWORK
    found: dict[str, Any] = dict(parse_assignments(args.set, known))
    for name in found:
        if name in vars(args) and name not in known:
            raise ConfigError(
                _(
                    "--set {name} is no setting of a recipe or network; use the flag --{flag}",
                    name=name,
                    flag=name.replace("_", "-"),
                )
            )
    check_names(found, known, _("setting"))
    for name, value in collect(args, settings).items():
        merge_setting(found, name, value, settings[name].flag, known)
    return found


def print_json(value: Any) -> None:
    """A result for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
