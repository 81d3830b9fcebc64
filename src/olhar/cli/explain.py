"""`olhar explain`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.cli.options import Subparsers, add_json, add_model, print_json
from olhar.cli.patterns import one_photo
from olhar.errors import ConfigError, explain_os_errors
from olhar.files import check_replaceable
from olhar.i18n import _


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("show where a model looks in a photo"))
    parser = commands.add_parser("explain", help=text, description=text)
    add_model(parser)
    parser.add_argument("photo", metavar="PHOTO", help=str(_("a photo")))
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=str(_("the picture to write, .png or .svg; default PHOTO-explained.png here")),
    )
    parser.add_argument(
        "--overwrite", action="store_true", help=str(_("replace the picture if it exists"))
    )
    add_json(parser)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Explain the answer, write the picture, and say where the model looks."""
    photo = one_photo(args.photo)
    picture = args.out or Path(f"{Path(photo).stem}-explained.png")
    _check_picture(picture, overwrite=args.overwrite)
    from olhar.evaluation.explain import explain
    from olhar.files import write_atomic
    from olhar.registry import load

    explanation = explain(load(args.model), photo)
    write_atomic(picture, explanation.picture(picture.suffix))
    if args.json:
        print_json({**explanation.to_dict(), "picture": str(picture)})
        return 0
    print(
        _(
            "{file}: {label} {probability:.1%}",
            file=explanation.file,
            label=explanation.shown_label,
            probability=explanation.probability,
        )
    )
    print(explanation.sentence())
    print(_("Picture: {path}", path=picture))
    return 0


def _check_picture(path: Path, *, overwrite: bool) -> None:
    """Refuse, before anything is done, a picture that cannot be written or would replace another."""
    from olhar.evaluation.style import check_suffix

    check_suffix(path.suffix)
    with explain_os_errors(path):
        taken = path.exists()
    if taken and not overwrite:
        raise ConfigError(
            _("'{path}' exists already; choose another --out or add --overwrite", path=path)
        )
    check_replaceable(path)
