"""`olhar deploy`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from olhar import api
from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.progress import build_progress
from olhar.cli.push import add_dry_run
from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.shown import quoted

_FOR_TRAINING = ("data", "network", "set", "run", "hours", "spot", "follow")
_FOR_ENDPOINTS = ("serverless", "memory_mb")
_ENDPOINT = ("name", "region", "role", "image", "bucket", "instance", "serverless")


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("put a model behind an endpoint of SageMaker, or train there (--train)"))
    parser = commands.add_parser("deploy", help=text, description=text)
    parser.add_argument("platform", choices=("sagemaker",), help=str(_("where to")))
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help=str(_("a run folder, a model/ folder or a store address; none with --train")),
    )
    parser.add_argument(
        "--role", required=True, metavar="ARN", help=str(_("the role that SageMaker takes on"))
    )
    parser.add_argument(
        "--image", required=True, metavar="URI", help=str(_("olhar's image in your registry"))
    )
    parser.add_argument("--name", metavar="NAME", help=str(_("default: that of model or data")))
    parser.add_argument("--instance", metavar="TYPE", help=str(_("such as ml.m5.large")))
    parser.add_argument(
        "--bucket",
        default="",
        metavar="s3://…",
        help=str(_("for model and results; default s3://sagemaker-REGION-ACCOUNT/olhar")),
    )
    parser.add_argument("--region", metavar="REGION", help=str(_("region of AWS")))
    add_dry_run(parser)
    add_json(parser)
    group = parser.add_argument_group(str(_("endpoint")))
    group.add_argument(
        "--serverless", action="store_true", help=str(_("pay by request, instead of --instance"))
    )
    group.add_argument(
        "--memory-mb", metavar="MB", help=str(_("of a serverless endpoint; default 2048"))
    )
    _add_training(parser)
    parser.set_defaults(run_command=run)


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(str(_("training")))
    group.add_argument("--train", action="store_true", help=str(_("train there, fetch the run")))
    group.add_argument(
        "--data",
        metavar="s3://…",
        help=str(_("photos in a folder for each class, a data set in a store, or a set by name")),
    )
    group.add_argument("--network", metavar="NAME", help=str(_("a network; see olhar networks")))
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=str(_("any setting of recipe, network or data; may be given again")),
    )
    group.add_argument(
        "--run", type=Path, metavar="FOLDER", help=str(_("run folder to make; default runs/NAME"))
    )
    group.add_argument(
        "--hours", metavar="N", help=str(_("the longest that it may take; default 24"))
    )
    group.add_argument(
        "--spot", action="store_true", help=str(_("cheaper, and may be interrupted"))
    )
    group.add_argument(
        "--follow", action="store_true", help=str(_("follow the job --name, started before"))
    )


def run(args: argparse.Namespace) -> int:
    """Deploy or train as the arguments say."""
    if args.train:
        _refuse(args, ("model", *_FOR_ENDPOINTS), _("--train does not go with {given}"))
        return _train(args)
    _refuse(args, _FOR_TRAINING, _("{given} is for a training; add --train"))
    if args.model is None:
        raise ConfigError(_("there is no MODEL to deploy; name a run folder, or add --train"))
    return _deploy(args)


def _refuse(args: argparse.Namespace, names: tuple[str, ...], text: Any) -> None:
    given = [f"--{n.replace('_', '-')}" if n != "model" else "MODEL" for n in names
             if getattr(args, n)]  # fmt: skip
    if given:
        raise ConfigError(_(text.literal, given=", ".join(given)))


def _deploy(args: argparse.Namespace) -> int:
    from olhar.deploy.endpoint import deploy_model, plan_calls

    asked = {key: getattr(args, key) for key in (*_ENDPOINT, "memory_mb")}
    with (
        build_progress() as progress,
        api.packed_endpoint(args.model, **asked, progress=progress) as (settings, package),
    ):
        if args.dry_run:
            _print_calls([call.to_dict() for call in plan_calls(settings, package)], args)
            return 0
        done = deploy_model(settings, package, progress)
    if args.json:
        print_json(done.to_dict())
        return 0
    print(
        _(
            "'{name}' in {region} answers as the model does here.",
            name=done.name,
            region=done.region,
        )
    )
    print(
        _("It costs until it is removed: olhar undeploy {name} --region {region}",
          name=done.name, region=done.region)
    )  # fmt: skip
    return 0


def _train(args: argparse.Namespace) -> int:
    from olhar.data_settings import DATA
    from olhar.deploy.aws import find_region
    from olhar.deploy.settings import JobSettings, default_name
    from olhar.deploy.training_job import plan_job, train_remotely
    from olhar.networks.specs import SETTINGS as NETWORK
    from olhar.settings import merge_setting, parse_assignments
    from olhar.training.recipe import SETTINGS

    known = {**DATA, **NETWORK, **SETTINGS}
    if not args.data or not args.instance:
        raise ConfigError(
            _("--train needs --data s3://… and --instance TYPE, such as ml.m5.xlarge")
        )
    values = parse_assignments(args.set, known)
    if args.network:
        merge_setting(values, "network", args.network, "--network", known)
    if "data" in values:
        raise ConfigError(_("--set data=… is given by --data"))
    name = args.name or default_name(f"{Path(args.data).name}-{args.network or 'training'}")
    settings = JobSettings(
        name,
        find_region(args.region),
        args.role,
        args.image,
        args.instance,
        args.data,
        args.bucket,
        values,
        24.0 if args.hours is None else args.hours,
        args.spot,
    )
    if args.dry_run:
        _print_calls([plan_job(settings).to_dict()], args)
        return 0
    with build_progress() as progress:
        path = train_remotely(
            settings, args.run or Path("runs") / name, progress, follow=args.follow
        )
    if args.json:
        print_json({"name": name, "run": str(path)})
    else:
        print(_("Run folder: {path}", path=path))
        print(_("Next: olhar predict {path} PHOTO...", path=quoted(path)))
    return 0


def _print_calls(calls: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """What a dry run found."""
    import json

    if args.json:
        print_json(calls)
        return
    for call in calls:
        print(f"{call['service']} {call['operation']}")
        print(json.dumps(call["parameters"], indent=2, ensure_ascii=False))
