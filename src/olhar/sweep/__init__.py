"""Searching settings: many trials, one winner, measured once on the test split.

settings, space, wandb_file   what is searched, and how it is said
task, engine                  one training, and where trainings run: the protocol
local, worker · ray_engine    this machine · a Ray cluster
study                         the record in a database, by Optuna
rungs                         which trials may go on
search                        the driver: draws, stops, pauses, records
choose                        the winner among the best
results, plots, table         what is told of it; the command line draws
run                           all of it in order
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from olhar.progress import Progress
    from olhar.sweep.records import SweepResult
    from olhar.sweep.settings import SweepSettings
    from olhar.sweep.table import Table

__all__ = ["sweep"]


def sweep(
    settings: SweepSettings,
    out: Path | str,
    *,
    storage: str | None = None,
    study: str | None = None,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    table: Table | None = None,
) -> SweepResult:
    """Search, choose, and measure the winner; a sweep that was cut off goes on where it was.

    Args:
        settings: what is searched.
        out: the sweep's folder.
        storage: URL of the study's database; by default a SQLite file in `out`.
        study: its name there; by default the folder's.
        engine: local or ray.
        address: HOST:PORT of the Ray cluster.
        workers: trials at once; by default one a core.
        progress: hears what is to be said.
        table: hears of every change of the trials.

    Raises:
        ConfigError: `out` or the study is another sweep's, or in use.
        DataError: data that cannot be used.
        StorageError: the disk is full, or the database gone for a minute; the same call goes on.
    """
    from olhar.sweep.run import run_sweep
    from olhar.sweep.settings import Place

    place = Place(
        Path(out), workers=workers, storage=storage, study=study, engine=engine, address=address
    )
    return run_sweep(settings, place, progress, table)
