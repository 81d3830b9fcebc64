"""`olhar demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

from olhar.cli.options import Subparsers
from olhar.cli.progress import build_progress
from olhar.i18n import _, number
from olhar.shown import quoted

_RUN = Path("runs/demo")


def add_command(commands: Subparsers) -> None:
    """Add the command to the parser."""
    text = str(_("the whole way on the embedded data set, in seconds"))
    parser = commands.add_parser("demo", help=text, description=text)
    parser.set_defaults(run_command=run)


def run(args: argparse.Namespace) -> int:
    """Train LeNet-5 on digits, measure it, predict a sample, and say what to do next."""
    del args
    from olhar import pipeline

    print(_("Training LeNet-5 on 'digits', 1,797 scans of handwritten digits:"), flush=True)
    with build_progress() as progress:
        done = pipeline.train("digits", "lenet5", run=_RUN, overwrite=True, progress=progress)
    print()
    print(done.report.summary())
    sample, label = pipeline.save_sample(done)
    prediction = done.classifier.predict(sample)
    print()
    print(
        _(
            "A test image that it has never seen, {file}, shows a {label}; the classifier says "
            "{predicted}, with probability {probability}.",
            file=sample,
            label=label,
            predicted=prediction.label,
            probability=number(prediction.probability, 3),
        )
    )
    print(
        _(
            "\nPictures to look at, in {path}/: learning_curve.png, confusion_matrix.png, "
            "samples.png, worst_errors.png\n"
            "\nNext:\n"
            "  olhar predict {path} PHOTO...           label your own photos of digits\n"
            "  olhar networks                           what networks there are\n"
            "  olhar train --data mnist --network lenet5    the real thing, about a minute\n"
            "  olhar --help",
            path=quoted(done.path.as_posix()),
        )
    )
    return 0
