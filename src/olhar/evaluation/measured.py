"""Runs that can be compared: they have ended, and were measured on the same images.

Does not know: what the runs are compared for.
"""

from __future__ import annotations

from pathlib import Path

from olhar.errors import DataError, ModelError
from olhar.i18n import _
from olhar.run import Run
from olhar.run.folder import is_file
from olhar.run.reading import not_ended
from olhar.run.report import short_name

_LONGEST = 48  # characters of a name in a message


def read_measured(path: Path) -> Run:
    """A run that has ended, and whose files agree with each other.

    Raises:
        DataError: it has not been measured.
        MissingFileError: no run there.
        ModelError: its folder is damaged, or predictions.csv and metrics.json disagree.
    """
    run = Run(path)
    _read = run.config
    if run.measured is None or not is_file(run.folder.predictions):
        raise DataError(not_ended(path))
    report, n = run.report, len({one.item for one in run.answers})
    right = sum(one.is_right for one in run.answers)
    if n != report.n or abs(right - report.accuracy * n) > 1e-6 * n:
        raise ModelError(
            _(
                "'{path}' contradicts itself: predictions.csv has {right} of {n} right,"
                " metrics.json says {accuracy:.4%} of {stated}; one of them was changed",
                path=path,
                right=right,
                n=n,
                accuracy=report.accuracy,
                stated=report.n,
            )
        )
    return run


def check_same_images(one: Run, other: Run) -> None:
    """Raise DataError, naming the reason, if two runs were not measured on the same images."""
    names = {"one": one.path.as_posix(), "other": other.path.as_posix()}
    here, there = one.report, other.report
    if here.split != there.split:
        raise DataError(
            _(
                "'{one}' was measured on the {here} split and '{other}' on the {there} split;"
                " compare runs that were measured on the same one",
                **names,
                here=here.split,
                there=there.split,
            )
        )
    if here.data["fingerprint"] != there.data["fingerprint"]:
        raise DataError(
            _(
                "'{one}' and '{other}' were measured on different data: {here} (fingerprint"
                " {here_print}…) and {there} (fingerprint {there_print}…); their scores cannot be"
                " compared",
                **names,
                here=short_name(here.data["name"], _LONGEST),
                here_print=here.data["fingerprint"][:12],
                there=short_name(there.data["name"], _LONGEST),
                there_print=there.data["fingerprint"][:12],
            )
        )
    ours, theirs = ({each.item: each.label for each in run.answers} for run in (one, other))
    shared = ours.keys() & theirs.keys()
    if not len(shared) == len(ours) == len(theirs):
        raise DataError(
            _(
                "'{one}' and '{other}' were measured on different images: {here} and {there}, of"
                " which {shared} are the same; train them with the same --test and --split-seed",
                **names,
                here=len(ours),
                there=len(theirs),
                shared=len(shared),
            )
        )
    unlike = [item for item in shared if ours[item] != theirs[item]]
    if unlike:
        raise DataError(
            _(
                "'{one}' and '{other}' give {count} images different true classes, such as"
                " {example}; their predictions.csv are not of the same data",
                **names,
                count=len(unlike),
                example=short_name(min(unlike), _LONGEST),
            )
        )
