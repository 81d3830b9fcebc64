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
    collect,
    collect_settings,
    print_json,
)
from olhar.cli.progress import build_progress
from olhar.data_settings import DATA
from olhar.i18n import _
from olhar.shown import quoted
from olhar.training.modes import MANY_IMAGES, MODES

if TYPE_CHECKING:
    from olhar.run import Run


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("train, measure, and write the run folder"))
    parser = commands.add_parser("train", help=text, description=text)
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
    parser.add_argument(
        "--from",
        dest="from_run",
        type=Path,
        metavar="RUN",
        help=str(
            _(
                "train a run that has ended further, into a new run: its weights, network, data and "
                "settings, but for those that are given, such as --epochs 10"
            )
        ),
    )
    parser.add_argument("--network", metavar="NAME", help=str(_("a network; see olhar networks")))
    _add_backbone_flags(parser)
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


def _add_backbone_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(str(_("transfer learning")))
    group.add_argument(
        "--backbone",
        metavar="NAME",
        help=str(
            _(
                "a network with weights, instead of --network: auto (the best that can be had, which "
                "photos get by default, and small images where it is better than a network from "
                "scratch), efficientnet_lite0, _lite1, _lite2, mobilenet_v2, squeezenet1_0, "
                "squeezenet1_1, resnet18, vgg16, a run or its address, timm:NAME, transformers:NAME"
            )
        ),
    )
    group.add_argument(
        "--weights",
        metavar="FILE|pretrained",
        help=str(
            _(
                "the backbone's weights; pretrained downloads the published ones unless they are "
                "here; default those that are here"
            )
        ),
    )
    group.add_argument(
        "--mode",
        metavar="MODE",
        help=str(
            _(
                "{modes}; default head, of {many:,} images and more top; with the backbone auto "
                "what is best in cross-validation",
                modes=", ".join(str(mode.offer) for mode in MODES.values()),
                many=MANY_IMAGES,
            )
        ),
    )


def run(args: argparse.Namespace) -> int:
    """Train as the arguments say."""
    settings = collect_settings(args)
    data = collect(args, DATA)
    from olhar import pipeline

    with build_progress() as progress:
        done = pipeline.train(
            args.data,
            args.network,
            from_run=args.from_run,
            run=args.run,
            recipe=args.recipe,
            overwrite=args.overwrite,
            progress=progress,
            track=args.track,
            energy=args.energy,
            backbone=args.backbone,
            weights=args.weights,
            mode=args.mode,
            **{**data, **settings},
        )
    print_run(done, as_json=args.json)
    return 0


def print_run(done: Run, *, as_json: bool) -> None:
    """The result of a training."""
    if as_json:
        print_json(done.to_dict())
        return
    print(done.report.summary())
    for line in done.estimates:
        print(line)
    print()
    print(
        _(
            "Run folder: {path} (model/, metrics.json, predictions.csv, pictures, and the model "
            "card README.md, README.pt-BR.md)",
            path=done.path,
        )
    )
    print(_("Next: olhar predict {path} PHOTO...", path=quoted(done.path)))
