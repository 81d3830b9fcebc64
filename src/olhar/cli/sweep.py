"""`olhar sweep`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from olhar.cli.options import (
    Subparsers,
    add_data_flags,
    add_json,
    add_recipe_flags,
    collect_data,
    collect_settings,
    print_json,
    whole_number,
)
from olhar.errors import ConfigError, unknown_name
from olhar.i18n import Text, _

# Recipe settings whose flags are the sweep's own here.
_OWN = ("seed", "minutes", "workers")
_ENGINES = ("local", "ray")
_SEARCH_FLAGS: dict[str, tuple[str, Text]] = {
    "method": ("NAME", _("random, grid or tpe; default random")),
    "trials": ("N", _("how many; default all of a grid, else 10")),
    "minutes": ("N", _("no trial begins after so long; default no limit")),
    "metric": ("NAME", _("accuracy, f1 or loss, on the validation images; default accuracy")),
    "seed": ("N", _("of the draw and of the trials; default 0")),
    "pruner": ("NAME", _("what stops trials early: asha, median or none; default asha")),
    "finalists": ("N", _("how many of the best are trained with further seeds; default 2")),
    "extra_seeds": ("N", _("how many further seeds; default 1, or 0 where that takes too long")),
}


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("search the settings of a network, and train the best"))
    parser = commands.add_parser("sweep", help=text, description=text)
    parser.add_argument(
        "--data",
        metavar="DATA",
        help=str(_("a data set (cifar10, mnist, fashion_mnist, digits) or a folder of photos")),
    )
    parser.add_argument("--network", metavar="NAME", help=str(_("a network; see olhar networks")))
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help=str(
            _("folder of the sweep; default runs/DATA-NETWORK-sweep; one that is there goes on")
        ),
    )
    add_json(parser)
    _add_search_flags(parser)
    _add_machine_flags(parser)
    add_recipe_flags(parser, without=_OWN)
    add_data_flags(parser)
    parser.set_defaults(run_command=run)


def _add_search_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(str(_("search")))
    group.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help=str(
            _(
                "a setting to search: lr=0.1,0.01 · lr=log:1e-4:1e-1 · dropout=float:0.1:0.5 · "
                "width=int:64:512 · width=intlog:16:1024; may be given again"
            )
        ),
    )
    group.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help=str(_("a sweep in TOML, or a W&B sweep in YAML; flags beat it")),
    )
    for name, (metavar, text) in _SEARCH_FLAGS.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=str(text))


def _add_machine_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(str(_("where it runs")))
    flags: dict[str, tuple[str, Text]] = {
        "workers": ("N", _("trials at once; default one a core")),
        "storage": ("URL", _("the study's database, such as postgresql://…; default in FOLDER")),
        "study": ("NAME", _("the study's name in the database; default the folder's name")),
        "engine": ("NAME", _("local (this machine) or ray (a cluster); default local")),
        "address": ("HOST:PORT", _("of the Ray cluster")),
    }
    for name, (metavar, text) in flags.items():
        group.add_argument(f"--{name}", metavar=metavar, help=str(text))


def run(args: argparse.Namespace) -> int:
    """Search as the arguments say; 1 where no trial was trained to its end."""
    fixed = collect_settings(args, without=_OWN)
    workers = whole_number("--workers", args.workers)
    if workers is not None and workers < 1:
        raise ConfigError(_("--workers is '{given}'; allowed: 1 or more", given=args.workers))
    if args.engine not in {None, *_ENGINES}:
        raise unknown_name(_("engine"), args.engine, _ENGINES)
    from olhar.cli.progress import build_progress
    from olhar.sweep import settings

    values: dict[str, Any] = {}
    if args.file is not None:
        values = settings.load_sweep_file(args.file, build_progress())
    wanted = settings.SweepSettings.from_dict(
        settings.merge_values(values, _given(args, fixed, settings.parse_params(args.param)))
    )
    from olhar.sweep import results, sweep, table

    stem = f"{Path(wanted.data.name).resolve().name}-{wanted.network}-sweep"
    with table.build_table(wanted) as shown:
        done = sweep(
            wanted,
            out=args.out or Path("runs") / stem,
            storage=args.storage,
            study=args.study,
            engine=args.engine or "local",
            address=args.address,
            workers=workers,
            progress=shown,
            table=shown,
        )
    if args.json:
        print_json(results.as_dict(done))
    else:
        print(table.final_text(wanted, done))
    return 0 if done.best else 1


def _given(
    args: argparse.Namespace, fixed: dict[str, Any], space: dict[str, Any]
) -> dict[str, Any]:
    """What the flags say, in the form of a sweep file."""
    data = collect_data(args)
    if args.data:
        data["name"] = args.data
    search = {name: getattr(args, name) for name in _SEARCH_FLAGS}
    recipe = None if args.recipe is None else str(args.recipe)
    return {
        **search,
        "network": args.network,
        "recipe": recipe,
        "data": data,
        "set": fixed,
        "param": space,
    }
