"""Many photos answered into one result: the order of things.

Does not know: how photos are found, answered or written.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.bulk.answering import Asked, Row
from olhar.bulk.features import graph_with_features
from olhar.bulk.formats import open_writer
from olhar.bulk.items import Block, Item, Met, in_blocks
from olhar.bulk.pool import answer_here
from olhar.bulk.results import Result, open_result
from olhar.bulk.settings import BulkSettings
from olhar.bulk.sources import Sources, left_out
from olhar.classifier import CONFIG, load_classifier
from olhar.cores import count_cores
from olhar.errors import ConfigError, DataError, OlharError
from olhar.files import sha256_file
from olhar.i18n import Text, _, number
from olhar.preprocess import batch_rows
from olhar.progress import Progress
from olhar.registry import resolve_model

_LEAST_BLOCK = 64  # photos; where fewer large ones fill a batch, a block is several
_JUDGED_FROM = 100  # photos: of fewer, a share of errors says little
_NAMED = 10


@dataclass(frozen=True)
class Predicted:
    """What a result has.

    Attributes:
        out: its path.
        rows: of photos, those with an error among them.
        errors: photos that could not be read.
        new: rows that were added now.
        changed: photos that are otherwise by now than when they were answered.
    """

    out: Path
    rows: int
    errors: int
    new: int
    changed: int

    def to_dict(self) -> dict[str, Any]:
        """As `predict --out … --json` prints it."""
        return {
            "out": str(self.out),
            "rows": self.rows,
            "errors": self.errors,
            "new": self.new,
            "changed": self.changed,
        }


def predict_many(
    model: Path | str,
    *sources: Path | str,
    out: Path | str,
    files_from: Path | str | None = None,
    invert: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Predicted:
    """Answer many photos into a result, which goes on where it was cut off.

    Args:
        model: a run folder, a `model/` folder or an address.
        *sources: files, folders, tars, Parquet files or folders of them, s3:// addresses.
        out: a path that ends in .csv, .jsonl or .parquet; the last is a folder of parts.
        files_from: a file that lists more of them, one a line; - is standard input.
        invert: auto, no or yes (see Preprocess).
        progress: hears of it.
        **settings: top, features, file_column, max_errors, workers, engine, address.

    Raises:
        ConfigError: a setting, or a result of another model or source.
        RunExistsError: something lies at `out` that olhar did not write.
        DataError: no photos, or too many that cannot be read.
        StorageError: the disk is full; what is there stays good, and the same call goes on.
    """
    from olhar.settings import check_names

    check_names(settings, BulkSettings.__dataclass_fields__, _("setting of predict"))
    asked, place, progress = BulkSettings(**settings), Path(out), progress or Progress()
    if asked.address is not None and asked.engine != "ray":
        raise ConfigError(_("--address is of a Ray cluster; give --engine ray with it"))
    open_writer(place, features=asked.features)
    given = Sources(
        [str(one) for one in sources],
        None if files_from is None else str(files_from),
        asked.file_column,
    )
    given.check()
    folder = resolve_model(model, progress)
    classifier = load_classifier(folder).reading(invert)
    folder = classifier.folder
    graph = graph_with_features(classifier) if asked.features else None
    job = Asked(str(folder), graph, asked.top, invert, asked.features)
    record = {
        "model": sha256_file(folder / CONFIG),
        **given.record(),
        "top": asked.top,
        "invert": invert or "auto",
        "features": asked.features,
    }
    items = _begun(given, progress)
    length = max(_LEAST_BLOCK, batch_rows(classifier.preprocess.size))
    try:
        with open_result(place, record, features=asked.features) as result:
            return _Predicting(given, items, job, asked, result, progress).run(place, length)
    except KeyboardInterrupt:  # signals too
        progress.note(_("what is written to '{path}' stays; the same command goes on", path=place))
        raise


def _begun(sources: Sources, progress: Progress) -> Iterator[Item]:
    """The photos of sources; where there are none, that is said now, before anything is written."""
    items = sources.items()
    try:
        first = next(items)
    except OlharError:
        for text in left_out(sources.left):
            progress.note(text)
        raise
    return itertools.chain([first], items)


class _Predicting:
    """Photos on their way from their sources into a result."""

    def __init__(
        self,
        sources: Sources,
        items: Iterator[Item],
        job: Asked,
        settings: BulkSettings,
        result: Result,
        progress: Progress,
    ) -> None:
        self._sources, self._items = sources, items
        self._job, self._settings = job, settings
        self._result, self._progress = result, progress
        self._before = result.rows
        self._changed = 0
        self._met = 0  # photos of the source that the result has already

    def run(self, out: Path, length: int) -> Predicted:
        if self._before:
            self._progress.note(
                _("'{path}' has {count} photo(s) already; going on", path=out, count=self._before)
            )
        with _counting(self._sources) as total, self._progress:
            watched = _Watched(self._progress)
            for block, rows in self._answered(in_blocks(self._new_items(), length)):
                self._result.add(block, rows)
                watched.tell(self._result.rows - self._before, total(), self._met)
                self._check_errors(_JUDGED_FROM)
            self._result.write()
            for text in left_out(self._sources.left):
                self._progress.note(text)
            self._say_changed()
        self._check_errors(1)
        new = self._result.rows - self._before
        return Predicted(out, self._result.rows, self._result.errors, new, self._changed)

    def _answered(self, blocks: Iterator[Block]) -> Iterator[tuple[Block, list[Row]]]:
        answers: Generator[tuple[Block, list[Row]]]
        if self._settings.engine == "ray":
            from olhar.bulk.ray_engine import answer_on_ray

            answers = answer_on_ray(
                blocks, self._job, self._settings.address, self._settings.workers
            )
        else:
            answers = answer_here(blocks, self._job, self._settings.workers or count_cores())
        with closing(answers):
            yield from answers

    def _new_items(self) -> Iterator[Item]:
        """Photos that the result does not have; those that are otherwise by now are named."""
        for item in self._items:
            met = self._result.known.add(item.mark)
            if met is Met.NEW:
                yield item
                continue
            self._met += 1
            if met is Met.CHANGED:
                self._changed += 1
                if self._changed <= _NAMED:
                    self._progress.note(
                        _(
                            "'{name}' has changed since it was answered; its row stays as it is",
                            name=item.name,
                        )
                    )

    def _say_changed(self) -> None:
        if self._changed > _NAMED:
            self._progress.note(_("… and {count} more have changed", count=self._changed - _NAMED))

    def _check_errors(self, least: int) -> None:
        """Raise DataError where of so many rows too many have an error."""
        rows, errors = self._result.rows, self._result.errors
        if rows >= least and errors > self._settings.max_errors * rows:
            raise DataError(
                _(
                    "{errors} of {count} photos cannot be read, more than --max-errors {share} allows; "
                    "the rows say why. What is written stays; the same command with a greater "
                    "--max-errors goes on",
                    errors=errors,
                    count=rows,
                    share=self._settings.max_errors,
                )
            )


class _Watched:
    """How far it is, and how fast, for people."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun = time.monotonic()
        self._total: int | None = -1

    def tell(self, new: int, total: int | None, met: int) -> None:
        """So many photos are new, of so many in all, where `met` are done already."""
        if total != self._total:
            self._progress.start(_("predicting"), max(0, (total or 0) - met))
            self._total = total
        rate = new / max(1e-3, time.monotonic() - self._begun)
        text = _rate_text(new, rate, total and total - met)
        self._progress.advance(new, str(text))
        self._progress.pace(text)


def _rate_text(new: int, rate: float, left: int | None) -> Text:
    if not left or left < new:
        return _("{count} photos, {rate}/s", count=number(new), rate=number(rate))
    seconds = round((left - new) / max(rate, 1e-3))
    return _(
        "{count} of {left} photos, {rate}/s, ~{minutes}:{seconds:02d} left",
        count=number(new),
        left=number(left),
        rate=number(rate),
        minutes=seconds // 60,
        seconds=seconds % 60,
    )


@contextmanager
def _counting(sources: Sources) -> Iterator[Any]:
    """A function that says how many photos there are, once a thread beside has counted them; else None."""
    found: list[int | None] = []
    ended = threading.Event()

    def count() -> None:
        try:
            found.append(sources.count(ended.is_set))
        except Exception:  # noqa: BLE001  whoever reads the photos says what is wrong
            found.append(None)

    counting = threading.Thread(target=count, daemon=True)
    counting.start()
    try:
        yield lambda: found[0] if found else None
    finally:
        ended.set()
        counting.join()
