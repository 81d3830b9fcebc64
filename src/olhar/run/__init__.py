"""A run: the names of what is in its folder, and what its files say.

folder     names, atomic reads and writes
making     a new run folder, and one that takes the place of another
history    the rows of history.csv, and which epoch is the best
report     what was measured: metrics.json
answers    what the model said of each image that it was measured on: predictions.csv
search     how a sweep came to this run: search.json
exports    the model as C for a board: exports.json
reading    all of it as one `Run`, strictly or leniently

Does not know: how a run is made, or how it is shown.
"""

from olhar.run.folder import RunFolder
from olhar.run.history import HISTORY_COLUMNS, Row, best_epoch
from olhar.run.making import (
    NEW,
    check_run_path,
    create_run,
    foreign_files,
    free_run_path,
    hold,
    take_place,
)
from olhar.run.reading import Run, load_run
from olhar.run.report import Report

__all__ = [
    "HISTORY_COLUMNS",
    "NEW",
    "Report",
    "Row",
    "Run",
    "RunFolder",
    "best_epoch",
    "check_run_path",
    "create_run",
    "foreign_files",
    "free_run_path",
    "hold",
    "load_run",
    "take_place",
]
