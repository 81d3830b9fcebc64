"""Training over several processes: rank 0 runs the command, the others take part in its trainings.

An order is the run's config.toml. The others open the same data, check its fingerprint, take their
share of every batch, and write, print and decide nothing.
"""

from __future__ import annotations

import itertools
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from olhar.errors import ClusterError, DivergedError, OlharError
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.pipeline.fitting import build_training, fit_job
from olhar.pipeline.inputs import Job
from olhar.pipeline.jobs import load_job
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.shown import quoted
from olhar.training.trackers import Trackers

if TYPE_CHECKING:
    from olhar.training.distributed import Group, Share
    from olhar.training.fit import FitState

_MEASURED_STEPS = 16  # all processes must take as many
_PATIENCE_S = 30.0  # after a training broke off, for rank 0 to say how the command ended


def run_ranks(main: Callable[[], int]) -> int:
    """Run `main` in rank 0 of the processes that torchrun started; the others follow it.

    Returns:
        The exit status, the same on all ranks.
    """
    from olhar.training.distributed import open_group
    from olhar.training.torchrun import read_place

    place = read_place()
    try:
        group = open_group()
        return follow(group) if place.rank else _lead(group, main)
    except OlharError as error:
        if place.local_rank == 0:
            print(_("error: {message}", message=error), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130


def _lead(group: Group, main: Callable[[], int]) -> int:
    # torchrun ends all processes so when one has gone; the user is told how to go on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = 1
    try:
        status = main()
    except SystemExit as leaving:  # argparse's, after --help or wrong usage
        status = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        group.dismiss(status)
    return status


def follow(group: Group) -> int:
    """Take part in rank 0's trainings, until its command ends; returns its exit status.

    Raises:
        ClusterError: rank 0 has gone.
    """
    patience_s: float | None = None
    for number in itertools.count():
        order = group.hear_order(number, patience_s)
        if "status" in order:
            break
        try:
            _take_part(group, number, order)
            patience_s = None
        except (ClusterError, DivergedError):  # rank 0 sees the same, and says so
            patience_s = _PATIENCE_S
        except OlharError as error:
            group.say_failed(number, str(error))
        except Exception as error:  # noqa: BLE001 - rank 0 must hear of it, or it would wait
            traceback.print_exc()
            group.say_failed(number, f"{type(error).__name__}: {error}")
    return int(order["status"])


def _take_part(group: Group, number: int, order: Mapping[str, Any]) -> None:
    """Open what rank 0 trains on, and train this rank's share, or some steps that are measured."""
    from olhar.training.fit import measure_epoch_s

    job = _open_job(group, number, order["config"])
    group.say_ready(number)
    with group.connect(number, job.machine.device) as share:
        if order.get("measure"):
            measure_epoch_s(build_training(job, share), steps=_MEASURED_STEPS)
            return
        state = _receive_checkpoint(share)
        fit_job(job, state, Progress(), Trackers([], lambda _text: None), share)


def _open_job(group: Group, number: int, config: Mapping[str, Any]) -> Job:
    """The run's job; what is written of it, rank 0 writes."""

    with tempfile.TemporaryDirectory() as place, group.in_turn(number):
        folder = RunFolder(place)
        folder.write_config(config)
        return load_job(folder, Progress())[0]


def fit_in_group(
    job: Job, state: FitState | None, progress: Progress, trackers: Trackers
) -> FitState:
    """Train over all processes of the group; in this one alone where there is none."""
    from olhar.training.distributed import current_group

    group = current_group()
    if group is None:
        return fit_job(job, state, progress, trackers)
    number = group.give_order({"config": job.folder.read_config()}, progress)
    try:
        with group.connect(number, job.machine.device) as share:
            share.broadcast_bytes(job.folder.checkpoint.read_bytes() if state else b"")
            return fit_job(job, state, progress, trackers, share)
    except ClusterError as error:
        raise ClusterError(
            _(
                "{reason}. Go on from the last whole epoch with: "
                "torchrun ... -m olhar resume {path}",
                reason=error,
                path=quoted(job.folder.path),
            )
        ) from error


def measure_in_group(job: Job, config: Mapping[str, Any], progress: Progress) -> float:
    """Seconds that an epoch takes, measured by all processes of the group together.

    Args:
        job: what is to be trained.
        config: what is to be its config.toml, for the others.
        progress: hears of what is waited for.
    """
    from olhar.training.distributed import current_group
    from olhar.training.fit import measure_epoch_s

    group = current_group()
    if group is None:
        return measure_epoch_s(build_training(job))
    number = group.give_order({"config": dict(config), "measure": True}, progress)
    with group.connect(number, job.machine.device) as share:
        return measure_epoch_s(build_training(job, share), steps=_MEASURED_STEPS)


def _receive_checkpoint(share: Share) -> FitState | None:
    from olhar.training.checkpoint import load_checkpoint

    content = share.broadcast_bytes(b"")
    if not content:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = RunFolder(folder).checkpoint
        write_atomic(path, content)
        return load_checkpoint(path)
