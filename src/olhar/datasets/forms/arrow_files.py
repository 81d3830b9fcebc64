"""Parquet and Arrow files, read a batch of rows at a time. Does not know: what the rows mean."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from olhar.datasets.forms.shards import INFO, read_json
from olhar.datasets.layout import label_text
from olhar.errors import DataError, MissingExtraError, explain_os_errors
from olhar.i18n import _

_ROWS_AT_ONCE = 256


def pyarrow(name: str = "pyarrow") -> Any:
    """The library, or a module of it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        importlib.import_module("pyarrow")
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            _(
                "Parquet and Arrow files need pyarrow, which this installation does not have: "
                'pip install "olhar[parquet]", or save the table as CSV'
            )
        ) from error


def read_plain_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet or Arrow file that names its photos' files.

    Raises:
        DataError: it is damaged.
    """
    names = label_names(path)
    rows = [row for batch in batches(path) for row in batch.to_pylist()]
    for row in rows:
        for column, classes in names.items():
            row[column] = class_name(path, row.get(column), classes)
    return rows


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tell what pyarrow raises about a file."""
    lib = pyarrow("pyarrow.lib")
    with explain_os_errors(path):
        try:
            yield
        except (lib.ArrowException, ValueError, TypeError, LookupError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                _(
                    "'{path}' cannot be read as Parquet or Arrow ({reason}); copy or save it again",
                    path=path,
                    reason=str(error).partition("\n")[0],
                )
            ) from error


def batches(
    path: Path, columns: Sequence[str] | None = None, rows: int = _ROWS_AT_ONCE
) -> Iterator[Any]:
    """Batches of at most so many rows."""
    with reading(path), path.open("rb") as file:
        if path.suffix.lower() == ".parquet":
            parquet = pyarrow("pyarrow.parquet").ParquetFile(file)
            yield from parquet.iter_batches(batch_size=rows, columns=columns)
            return
        for batch in _open_ipc(file):
            batch.validate(full=True)
            chosen = batch if columns is None else batch.select(list(columns))
            for start in range(0, chosen.num_rows, rows):
                yield chosen.slice(start, rows)


def _open_ipc(file: Any) -> Iterator[Any]:
    """The batches of an Arrow stream, which `datasets` writes, or of an Arrow file."""
    ipc = pyarrow("pyarrow.ipc")
    random_access = file.read(6) == b"ARROW1"
    file.seek(0)
    if not random_access:
        with ipc.open_stream(file) as stream:
            yield from stream
        return
    with ipc.open_file(file) as table:
        for index in range(table.num_record_batches):
            yield table.get_batch(index)


def schema(path: Path) -> Any:
    """The columns of a file and their types, as pyarrow describes them."""
    with reading(path), path.open("rb") as file:
        if path.suffix.lower() == ".parquet":
            return pyarrow("pyarrow.parquet").ParquetFile(file).schema_arrow
        ipc = pyarrow("pyarrow.ipc")
        random_access = file.read(6) == b"ARROW1"
        file.seek(0)
        with ipc.open_file(file) if random_access else ipc.open_stream(file) as table:
            return table.schema


def features(path: Path) -> dict[str, dict[str, Any]]:
    """What Hugging Face's library says of each column, {} where nothing."""
    try:
        written = (schema(path).metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(written).get("info", {}).get("features")
        if features is None and (path.parent / INFO).is_file():
            features = read_json(path.parent / INFO).get("features")
        return {name: kind for name, kind in (features or {}).items() if isinstance(kind, dict)}
    except (ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        return {}


def label_names(path: Path) -> dict[str, tuple[str, ...]]:
    """The class names of each column of labels, in index order."""
    return {
        column: tuple(map(str, kind["names"]))
        for column, kind in features(path).items()
        if kind.get("_type") == "ClassLabel" and isinstance(kind.get("names"), list)
    }


def class_name(path: Path, label: Any, names: Sequence[str]) -> str:
    """The name of a label; "" where it has none, which -1 means too."""
    if not names or isinstance(label, str):
        return label_text(label)
    if label is None or label == -1:
        return ""
    if not 0 <= label < len(names):
        raise DataError(
            _(
                "label {label} in '{path}' has no name: there are {count} classes, so allowed are 0 to "
                "{last}",
                label=label,
                path=path,
                count=len(names),
                last=len(names) - 1,
            )
        )
    return label_text(names[int(label)])
