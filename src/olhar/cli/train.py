"""`olhar train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.cli.options import (
    Subparsers,
    add_data_flags,
    add_json,
    add_recipe_flags,
    collect_data,
    collect_settings,
    print_json,
)
from olhar.cli.progress import build_progress
from olhar.i18n import _

if TYPE_CHECKING:
    from olhar.pipeline import Run


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("train, measure, and write the run folder"))
    parser = commands.add_parser("train", help=text, description=text)
    parser.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help=str(_("a data set (cifar10, mnist, fashion_mnist, digits) or a folder of photos")),
    )
    parser.add_argument("--network", metavar="NAME", help=str(_("a network; see olhar networks")))
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help=str(_("run folder; default runs/DATA-NETWORK"))
    )
    parser.add_argument(
        "--overwrite", action="store_true", help=str(_("replace the run folder if it exists"))
    )
    add_json(parser)
    add_recipe_flags(parser)
    group = parser.add_argument_group(str(_("records")))
    group.add_argument(
        "--track",
        action="append",
        default=[],
        metavar="NAME",
        help=str(_("log to tensorboard, wandb or mlflow too; may be given again")),
    )
    group.add_argument(
        "--energy",
        metavar="COUNTRY",
        help=str(_("estimate energy and CO2 for a country, three letters such as BRA")),
    )
    add_data_flags(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Train as the arguments say."""
    settings = collect_settings(args)
    data = collect_data(args)
    from olhar import pipeline

    with build_progress() as progress:
        done = pipeline.train(
            args.data,
            args.network,
            run=args.run,
            recipe=args.recipe,
            overwrite=args.overwrite,
            progress=progress,
            track=args.track,
            energy=args.energy,
            **{**data, **settings},
        )
    print_run(done, as_json=args.json)
    return 0


def print_run(done: Run, *, as_json: bool) -> None:
    """The result of a training."""
    history = done.history
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    if as_json:
        print_json(
            {
                "run": str(done.path),
                **done.report.to_dict(),
                "epochs": len(history),
                "best_epoch": int(best["epoch"]),
                "val_accuracy": best["val_accuracy"],
                "seconds": round(sum(row["seconds"] for row in history), 3),
            }
        )
        return
    print(done.report.summary())
    print()
    print(
        _(
            "Run folder: {path} (model/, metrics.json, predictions.csv, pictures, and the model "
            "card README.md, README.pt-BR.md)",
            path=done.path,
        )
    )
    print(_("Next: olhar predict {path} PHOTO...", path=done.path))
