"""`olhar studio`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from olhar.cli.options import Subparsers
from olhar.cli.progress import LineProgress
from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.settings import Whole

_PORT, _HOST = "8070", "localhost"
_STUDENTS = Whole(1, 60)


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(
        _("gather photos, train and try a classifier in the browser, without a command line")
    )
    parser = commands.add_parser("studio", help=text, description=text)
    parser.add_argument(
        "project",
        nargs="?",
        type=Path,
        default=None,
        metavar="PROJECT",
        help=str(
            _(
                "the project's folder, made where it is not there; default my-project/, or my-class/ "
                "of a class"
            )
        ),
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help=str(_("make the project with copies of the photos in this folder of classes")),
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        metavar="FOLDER",
        help=str(_("photos that olhar serve --corrections keeps there come into the tray")),
    )
    parser.add_argument(
        "--host",
        default=_HOST,
        metavar="HOST",
        help=str(_("where to listen; default localhost, which only this computer reaches")),
    )
    parser.add_argument(
        "--port",
        default=_PORT,
        metavar="PORT",
        help=str(_("default 8070; 0 takes a free one")),
    )
    parser.add_argument(
        "--open", action="store_true", help=str(_("open the page in the default browser"))
    )
    parser.add_argument(
        "--token-env",
        metavar="NAME",
        help=str(_("the environment variable with a token that whoever opens the page must bring")),
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help=str(
            _(
                "serve by https, with a certificate of this computer's own: other machines' browsers "
                "give no camera without it"
            )
        ),
    )
    parser.add_argument(
        "--class",
        dest="students",
        metavar="COUNT",
        help=str(
            _(
                "a project for each of so many students (1 to 60) in PROJECT/, behind a name and a code"
            )
        ),
    )
    parser.add_argument(
        "--shortcut",
        action="store_true",
        help=str(_("write what a double click opens, beside the project, and end")),
    )
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    port = Whole(0).check(args.port, "--port")
    students = None if args.students is None else _STUDENTS.check(args.students, "--class")
    project = args.project or Path("my-project" if students is None else "my-class")
    if args.shortcut:
        return _write_shortcut(args, project)
    from olhar.studio.server import serve_class, serve_studio

    if students is not None:
        _refuse_with(args, "--class", ("photos",))
        serve_class(
            students,
            project,
            host=args.host,
            port=port,
            open_page=args.open,
            token_env=args.token_env,
            tls=args.tls,
            progress=LineProgress(),
        )
        return 0
    serve_studio(
        project,
        photos=args.photos,
        corrections=args.corrections,
        host=args.host,
        port=port,
        open_page=args.open,
        token_env=args.token_env,
        tls=args.tls,
        ask=_ask,
        progress=LineProgress(),
    )
    return 0


def _write_shortcut(args: argparse.Namespace, project: Path) -> int:
    from olhar.studio.shortcut import write_shortcut

    # A double click has no environment variable of a terminal's.
    _refuse_with(args, "--shortcut", ("photos", "token_env"))
    words = ["--tls"] if args.tls else []
    for option, given, usual in (
        ("--port", args.port, _PORT),
        ("--host", args.host, _HOST),
        ("--class", args.students, None),
    ):
        if given != usual:
            words += [option, str(given)]
    path = write_shortcut(project, words)
    print(_("'{path}' is there: a double click opens the studio", path=path))
    return 0


def _refuse_with(args: argparse.Namespace, option: str, others: tuple[str, ...]) -> None:
    for name in others:
        if getattr(args, name) is not None:
            raise ConfigError(
                _(
                    "{option} and {other} do not go together; leave one of them out",
                    option=option,
                    other="--" + name.replace("_", "-"),
                )
            )


def _ask(question: Text) -> bool:
    """Yes or no, where somebody sits at the terminal."""
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    print(_("{question} [y/N] ", question=question), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes", "s", "sim"}
