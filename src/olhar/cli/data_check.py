"""`olhar data FOLDER|NAME`: what is in it, and what is wrong with it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar.cli.options import print_json
from olhar.cli.progress import build_progress
from olhar.errors import ConfigError
from olhar.i18n import _, language, using
from olhar.shown import quoted
from olhar.stores.address import is_url

if TYPE_CHECKING:
    from olhar.check import CheckReport, Features
    from olhar.datasets import Source
    from olhar.progress import Progress

_SENTENCES = 3  # of a kind of finding; the page and --json have all


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the check."""
    group = parser.add_argument_group(str(_("check")))
    group.add_argument(
        "--check",
        action="store_true",
        help=str(_("check a set known by name too, as folders always are")),
    )
    group.add_argument(
        "--html", type=Path, metavar="FILE", help=str(_("write what was found as a page"))
    )
    group.add_argument(
        "--fix",
        nargs="?",
        const="safe",
        metavar="KINDS",
        help=str(
            _(
                "move bad files, copies and leaks (safe, the default), doubtful labels (labels), "
                "or both (safe,labels) into FOLDER-quarantine"
            )
        ),
    )
    group.add_argument("--undo", action="store_true", help=str(_("put back what --fix has moved")))
    group.add_argument(
        "--backbone",
        metavar="NAME",
        help=str(_("check the labels with a backbone's features, as olhar train takes it")),
    )
    group.add_argument(
        "--weights", metavar="FILE|pretrained", help=str(_("the backbone's weights"))
    )
    group.add_argument("--no-labels", action="store_true", help=str(_("do not check the labels")))


def wants_check(args: argparse.Namespace) -> bool:
    """Whether a set known by name is to be checked too."""
    return bool(args.check or args.html or args.fix or args.backbone)


def refuse_flags(args: argparse.Namespace) -> None:
    """Refuse the flags of the check where nothing is checked.

    Raises:
        ConfigError: one was given.
    """
    for flag in ("check", "html", "fix", "undo", "no_labels", "backbone"):
        if getattr(args, flag):
            raise ConfigError(
                _(
                    "--{flag} needs one data set or folder: olhar data FOLDER --{flag}",
                    flag=flag.replace("_", "-"),
                )
            )


def undo(name: str, args: argparse.Namespace) -> int:
    """Put back what was set aside."""
    from olhar.check import quarantine_folder, taken_sentence, undo

    undone = undo(Path(name))
    if args.json:
        print_json({"format": 1, "restored": list(undone.restored), "taken": list(undone.taken)})
        return 1 if undone.taken else 0
    print(_("{count} file(s) put back", count=len(undone.restored)))
    if undone.taken:
        print(taken_sentence(undone, quarantine_folder(Path(name))))
    return 1 if undone.taken else 0


def run(source: Source, args: argparse.Namespace) -> int:
    """Describe and check a data set; write the page; set files aside."""
    from olhar.check import check_page, check_source, parse_fixes, set_aside
    from olhar.datasets import PhotoFolder
    from olhar.files import check_replaceable, write_atomic

    fixes = _fixes(args, parse_fixes)
    if args.html:
        check_replaceable(args.html)
    if fixes:
        _check_movable(source)
    # The record's sentences are for programs, and so in English, with --json; the page is not.
    with build_progress() as progress, using("en" if args.json else language()):
        for note in source.notes:
            progress.note(note)
        report = check_source(
            source,
            progress,
            labels=not args.no_labels,
            features=_features(source, args, progress),
        )
        record = report.to_dict()
    if args.html:
        write_atomic(args.html, check_page(report))
    moved = []
    if isinstance(source, PhotoFolder) and fixes:
        moved = set_aside(source.path, report.findings, fixes)
    if args.json:
        moves = [{"from": move.source, "to": move.target, "kind": move.kind} for move in moved]
        print_json({**record, "moved": moves})
        return 0
    print_facts(report.facts)
    print_findings(report, source.name)
    if fixes:
        _print_moves(source.name, len(moved))
    if args.html:
        print(_("The page: {path}", path=args.html))
    return 0


def _features(source: Source, args: argparse.Namespace, progress: Progress) -> Features | None:
    if args.backbone is None:
        return None
    from olhar.pipeline.label_features import label_features

    return label_features(source, args.backbone, args.weights, progress)


def _fixes(args: argparse.Namespace, parse: Any) -> frozenset[str]:
    kinds: frozenset[str] = parse(args.fix) if args.fix is not None else frozenset()
    if args.no_labels and args.backbone is not None:
        raise ConfigError(_("--backbone checks labels, and --no-labels does not; leave one out"))
    if args.no_labels and "label_error" in kinds:
        raise ConfigError(
            _("--fix=labels and --no-labels exclude each other; leave one of them out")
        )
    return kinds


def _check_movable(source: Source) -> None:
    """Refuse to move files that are not in folders of classes here."""
    from olhar.datasets import PhotoFolder

    name = source.name
    if is_url(name) and not name.lower().startswith("file:"):
        raise ConfigError(
            _(
                "--fix moves files, and olhar changes nothing at '{name}'; bring it here first: olhar data "
                "export {quoted} --to folder --out FOLDER",
                name=name,
                quoted=quoted(name),
            )
        )
    if not (isinstance(source, PhotoFolder) and source.origin is None):
        raise ConfigError(
            _(
                "--fix moves files, and '{name}' is no folder of photos with a folder for each class; "
                "leave it out",
                name=name,
            )
        )


def _print_moves(name: str, count: int) -> None:
    from olhar.check import quarantine_folder

    if not count:
        print(_("Nothing was moved."))
        return
    print(
        _(
            "{count} file(s) moved to {path}; put them back with: olhar data {name} --undo",
            count=count,
            path=quarantine_folder(Path(name)),
            name=name,
        )
    )


def print_facts(facts: dict[str, Any]) -> None:
    """What is in a data set, as describe_dataset gives it."""
    channels, height, width = facts["image_shape"]
    print(
        _(
            "{name}: {count} images of {width}x{height} pixels, {channels} channel(s), "
            "{classes} classes",
            name=facts["name"],
            count=facts["images"],
            width=width,
            height=height,
            channels=channels,
            classes=len(facts["classes"]),
        )
    )
    if facts["set_aside"]:
        print(_("{count} photos cannot be read", count=len(facts["set_aside"])))
    if facts["skipped"]:
        print(_("{count} files are no photos by their names", count=sum(facts["skipped"].values())))
    if facts["splits"]:
        print(_("splits: {train} train, {val} val, {test} test", **facts["splits"]))
    for row in facts["classes"]:
        by_part = "  ".join(f"{part}/ {count}" for part, count in row["parts"].items())
        print(f"  {row['index']:>3}  {row['shown']}  {row['images']}  {by_part}".rstrip())


def print_findings(report: CheckReport, name: str) -> None:
    """What was found: for each kind its title, some sentences, and what to do."""
    from olhar.check import KINDS

    counts = report.counts()
    if not counts:
        print(_("The check found nothing wrong."))
        return
    for kind, count in counts.items():
        print()
        print(f"{KINDS[kind].title} ({count})")
        sentences = [f.sentence for f in report.findings if f.kind == kind]
        for sentence in sentences[:_SENTENCES]:
            print(f"  - {sentence}")
        if count > _SENTENCES:
            print(_("  - and {count} more", count=count - _SENTENCES))
        print(f"  → {KINDS[kind].suggestion}")
    print()
    print(_("See them all with: olhar data {name} --html check.html", name=name))
