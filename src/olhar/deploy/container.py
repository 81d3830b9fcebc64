"""What SageMaker asks of an image: it runs it with `train` or `serve`, and both use `MlFolder`."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from olhar.deploy.ml_folder import MlFolder
from olhar.errors import OlharError
from olhar.files import write_atomic
from olhar.i18n import Text, _
from olhar.progress import Progress

_LONGEST_FAILURE = 1024  # SageMaker shows no more
_STOPPED = 128 + signal.SIGTERM


class LogProgress(Progress):
    """Lines in the container's log; those of epochs are read by the job's metric definitions."""

    def note(self, text: Text) -> None:
        """Print the sentence."""
        print(text, flush=True)

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        """Print the epoch's figures, for programs."""
        names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
        figures = " ".join(f"{name}={row[name]:.6f}" for name in names)
        print(f"epoch={row['epoch']:.0f}/{epochs} {figures}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `train` or `serve`; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    folder = MlFolder(Path(os.environ.get("OLHAR_ML_ROOT") or "/opt/ml"))
    runs = {"train": _train, "serve": _serve}
    if len(words) == 1 and words[0] in runs:
        # Process 1 ignores SIGTERM without a handler: it comes before a spot instance is taken
        # away, and perhaps while a server loads its model; later the server has its own.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return runs[words[0]](folder)
    print(
        _(
            "error: this container was given '{given}'; allowed: train, serve",
            given=" ".join(words),
        ),
        file=sys.stderr,
    )
    return 2


def _serve(folder: MlFolder) -> int:
    from olhar.deploy.hosting import serve_model

    try:
        serve_model(folder, LogProgress())
    except OlharError as error:
        print(_("error: {message}", message=error), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return _STOPPED
    return 0


def _train(folder: MlFolder) -> int:
    """Whatever goes wrong stands in the failure file."""
    from olhar.deploy.job import train_job

    try:
        train_job(folder, LogProgress())
    except KeyboardInterrupt:
        print(_("stopped; the checkpoints are kept in {path}", path=folder.checkpoints), flush=True)
        return _STOPPED
    except OlharError as error:
        return _fail(folder, str(error))
    except Exception as error:  # noqa: BLE001 a bug too must be told where people look for it
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        text = _("a fault of olhar's own: {reason}; the log has its traceback", reason=reason)
        return _fail(folder, str(text))
    return 0


def _fail(folder: MlFolder, message: str) -> int:
    print(_("error: {message}", message=message), file=sys.stderr, flush=True)
    try:
        write_atomic(folder.failure, message[:_LONGEST_FAILURE])
    except OlharError as error:
        print(_("error: {message}", message=error), file=sys.stderr)
    return 1
