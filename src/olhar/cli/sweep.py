"""`olhar sweep`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from olhar.cli.options import (
    TRAINING,
    Subparsers,
    add_data_flags,
    add_flags,
    add_json,
    add_recipe_flags,
    collect,
    collect_settings,
    print_json,
)
from olhar.data_settings import DATA
from olhar.i18n import _
from olhar.sweep.settings import PLACE, SWEEP, SweepSettings, load_sweep_file, merge_values
from olhar.sweep.space import parse_params

# Where a training has a setting of the same name, the flag is the sweep's own.
_TRIALS = {key: one for key, one in TRAINING.items() if key not in {*SWEEP, *PLACE}}


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("search the settings of a network, and train the best"))
    parser = commands.add_parser("sweep", help=text, description=text)
    parser.add_argument(
        "--data",
        metavar="DATA",
        help=str(
            _(
                "a data set (cifar10, mnist, fashion_mnist, digits), a folder of photos, or where they "
                "lie: s3://bucket/photos/"
            )
        ),
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
    add_flags(parser, _("where it runs"), PLACE)
    add_recipe_flags(parser, _TRIALS)
    add_data_flags(parser)
    parser.set_defaults(run_command=run)


def _add_search_flags(parser: argparse.ArgumentParser) -> None:
    group = add_flags(parser, _("search"), SWEEP)
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


def run(args: argparse.Namespace) -> int:
    """Search as the arguments say; 1 where no trial was trained to its end."""
    fixed = collect_settings(args, _TRIALS)
    place = collect(args, PLACE)
    from olhar.cli.progress import build_progress

    values: dict[str, Any] = {}
    if args.file is not None:
        values = load_sweep_file(args.file, build_progress())
    wanted = SweepSettings.from_dict(
        merge_values(values, _given(args, fixed, parse_params(args.param)))
    )
    from olhar.cli.sweep_table import build_table, final_text
    from olhar.datasets.addresses import plain_name
    from olhar.sweep import results, sweep

    stem = f"{plain_name(wanted.data.name)}-{wanted.network}-sweep"
    with build_table(wanted) as shown:
        done = sweep(
            wanted,
            out=args.out or Path("runs") / stem,
            **place,
            progress=shown,
            table=shown,
        )
    if args.json:
        print_json(results.as_dict(done))
    else:
        print(final_text(wanted, done))
    return 0 if done.best else 1


def _given(
    args: argparse.Namespace, fixed: dict[str, Any], space: dict[str, Any]
) -> dict[str, Any]:
    """What the flags say, in the form of a sweep file."""
    data = collect(args, DATA)
    if args.data:
        data["name"] = args.data
    recipe = None if args.recipe is None else str(args.recipe)
    return {
        **collect(args, SWEEP),
        "network": args.network,
        "recipe": recipe,
        "data": data,
        "set": fixed,
        "param": space,
    }
