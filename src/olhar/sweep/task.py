"""What a worker is told to do, and what it answers; plain values that any engine can send.

Does not know: who runs it, or what else is searched.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from olhar.errors import DivergedError, OlharError, explain_os_errors

if TYPE_CHECKING:
    from olhar.run import Report

FIGURES = ("accuracy", "precision", "recall", "f1", "loss")
OnEpoch = Callable[[dict[str, float]], bool]  # a row of history.csv → whether to stop


@dataclass(frozen=True)
class Task:
    """One training, to be measured on the validation split only.

    Attributes:
        number: names it to the engine; no two that run at once have the same.
        data: the fields of data_settings.DataSettings.
        network: its name.
        settings: of recipe and network, as `olhar train` takes them, the seed among them.
        folder: the run folder to make or to go on with.
        threads: of torch, on the CPU.
    """

    number: int
    data: dict[str, Any]
    network: str
    settings: dict[str, Any]
    folder: str
    threads: int = 1


@dataclass(frozen=True)
class TaskResult:
    """How a task ended.

    Attributes:
        state: complete; stopped, because the driver said so or (with a reason) because the loss came
            to NaN; failed.
        val: figures of the validation split where it is complete: accuracy, precision, recall, f1,
            loss.
        reason: of a failure, in a sentence.
        trace: of a failure, the traceback.
        code: of a failure, the code of the OlharError; empty where it is a bug.
    """

    state: Literal["complete", "stopped", "failed"]
    val: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    trace: str = ""
    code: str = ""


def run_task(task: Task, on_epoch: OnEpoch) -> TaskResult:
    """Train as the task says; what goes wrong is in the result.

    A folder that has a checkpoint goes on from it (on_epoch hears only of further epochs); one that
    is complete already is only read.

    Args:
        task: what to do.
        on_epoch: hears each epoch's row once its checkpoint is written; True stops the training.
    """
    from olhar.data_settings import DataSettings
    from olhar.pipeline.trials import plan_trial, run_trial

    try:
        with explain_os_errors(task.folder):
            plan = plan_trial(DataSettings(**task.data), task.network, task.settings)
            report = run_trial(Path(task.folder), plan, task.threads, on_epoch)
    except DivergedError as error:
        return TaskResult("stopped", reason=str(error), code=error.code)
    except Exception as error:  # noqa: BLE001 - a trial that fails must not end the search
        code = error.code if isinstance(error, OlharError) else ""
        reason = str(error) if code else f"{type(error).__name__}: {error}"
        return TaskResult("failed", reason=reason, trace=traceback.format_exc(), code=code)
    if report is None:
        return TaskResult("stopped")
    return TaskResult("complete", val=val_figures(report))


def val_figures(report: Report) -> dict[str, float]:
    """The figures of a trial."""
    found = {name: float(getattr(report, name)) for name in FIGURES}
    return {name: value for name, value in found.items() if math.isfinite(value)}
