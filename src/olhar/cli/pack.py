"""`olhar pack`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from olhar.cli.options import Subparsers, add_json, print_json
from olhar.cli.progress import build_progress
from olhar.i18n import _, number
from olhar.shown import quoted

if TYPE_CHECKING:
    from olhar.classroom.manifest import PackManifest
    from olhar.classroom.packing import Plan


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("one archive for computers without a network: olhar, libraries, data, weights"))
    parser = commands.add_parser("pack", help=text, description=text)
    parser.add_argument("out", metavar="OUT", help=str(_("a file ending in .zip or .tar")))
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        default=[],
        metavar="DATA",
        help=str(_("data sets (cifar10, mnist, fashion_mnist, digits) and folders of photos")),
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE|NAME",
        help=str(_("files of weights, or names of files in $OLHAR_DATA/weights")),
    )
    parser.add_argument(
        "--extras",
        default="train,serve",
        metavar="NAMES",
        help=str(_("extras of olhar, with commas; default train,serve; an empty one for none")),
    )
    parser.add_argument(
        "--platform",
        default="",
        metavar="NAMES",
        help=str(_("linux, linux-arm, windows, macos, macos-intel; default this computer's")),
    )
    parser.add_argument(
        "--python",
        default="",
        metavar="VERSIONS",
        help=str(_("such as 3.11,3.12; default this one")),
    )
    parser.add_argument(
        "--no-wheels",
        action="store_true",
        help=str(_("data and weights only, for computers that have olhar")),
    )
    parser.add_argument(
        "--dry-run", action="store_true", help=str(_("say what would be packed; fetch nothing"))
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Pack, or say what would be packed."""
    from olhar.classroom import pack, plan_pack

    words = (args.out, args.data, args.weights)
    extras, platforms, pythons = map(_names, (args.extras, args.platform, args.python))
    if args.dry_run:
        plan = plan_pack(
            *words,
            extras=extras,
            platforms=platforms,
            pythons=pythons,
            wheels=not args.no_wheels,
        )
        if args.json:
            print_json(plan.to_dict())
        else:
            _show_plan(plan)
        return 0
    with build_progress() as progress:
        manifest = pack(
            *words,
            extras=extras,
            platforms=platforms,
            pythons=pythons,
            wheels=not args.no_wheels,
            progress=progress,
        )
    if args.json:
        print_json({"path": args.out, **manifest.to_dict()})
    else:
        _show(args.out, manifest)
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _megabytes(size_bytes: int) -> str:
    return str(number(size_bytes / 10**6, 1))


def _show_plan(plan: Plan) -> None:
    for target in plan.targets:
        print(_("for {target}", target=target))
    for name, version in plan.libraries.items():
        newest = _("(the newest: it is not installed here)")
        print(f"  {name} {version or newest}")
    for path, size_bytes in plan.files.items():
        print(_("{size} MB  {path}", size=f"{_megabytes(size_bytes):>9}", path=path))
    size = _megabytes(sum(plan.files.values()))
    print(_("{size} MB of data and weights; the libraries come on top", size=size))


def _show(out: str, manifest: PackManifest) -> None:
    sizes: dict[str, int] = {}
    for path, file in manifest.files.items():
        parts = path.split("/")
        key = parts[0] if len(parts) < 3 else "/".join(parts[:2])
        sizes[key] = sizes.get(key, 0) + file.size_bytes
    for key, size_bytes in sizes.items():
        print(_("{size} MB  {path}", size=f"{_megabytes(size_bytes):>9}", path=key))
    print(_("{size} MB in {path}", size=_megabytes(manifest.size_bytes), path=out))
    if manifest.targets:
        print(
            _(
                "Next, on a computer without a network: python {path} (a .zip), or unpack it and read "
                "INSTRUCTIONS.md",
                path=out,
            )
        )
    else:
        print(_("Next, on a computer that has olhar: olhar unpack {path}", path=quoted(out)))
