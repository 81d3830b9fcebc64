"""Photos and labels in Arrow's forms, as Hugging Face's `datasets` writes and reads them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.datasets.forms.arrow_files import pyarrow
from olhar.datasets.forms.shards import DICT, INFO, STATE

_ROWS_AT_ONCE = 100  # `datasets` reads a whole row group to show one photo
_HF_SPLITS = {"train": "train", "val": "validation", "test": "test", "": "data"}


@dataclass(frozen=True)
class Item:
    """One image to be written: its path in the data, its class and part, and its bytes."""

    file: str
    label: str
    part: str
    read: Callable[[], bytes]


def write_parquet(folder: Path, items: Iterator[Item], class_names: Sequence[str]) -> None:
    """`data/SPLIT-00000-of-00001.parquet` for each part; `data-…` where there are none.

    Args:
        folder: there already.
        items: by part.
        class_names: in index order.
    """
    parquet, schema = pyarrow("pyarrow.parquet"), _schema(class_names)
    (folder / "data").mkdir()
    for part, members in itertools.groupby(items, key=lambda item: item.part):
        path = folder / "data" / f"{_HF_SPLITS[part]}-00000-of-00001.parquet"
        with parquet.ParquetWriter(path, schema, compression="none") as writer:
            for batch in _batches(members, schema, class_names):
                writer.write_batch(batch)


def write_saved(folder: Path, items: Iterator[Item], class_names: Sequence[str]) -> None:
    """What `Dataset.save_to_disk` writes, or `DatasetDict.save_to_disk` where there are parts."""
    schema, splits = _schema(class_names), []
    for part, members in itertools.groupby(items, key=lambda item: item.part):
        split = _HF_SPLITS[part] if part else ""
        place = folder / split
        place.mkdir(exist_ok=True)
        file = "data-00000-of-00001.arrow"
        with ExitStack() as stack:
            out = stack.enter_context((place / file).open("wb"))
            writer = stack.enter_context(pyarrow("pyarrow.ipc").new_stream(out, schema))
            for batch in _batches(members, schema, class_names):
                writer.write_batch(batch)
        mark = hashlib.sha256("\0".join((*class_names, split)).encode()).hexdigest()[:16]
        state: dict[str, Any] = {
            "_data_files": [{"filename": file}],
            "_fingerprint": mark,
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": split or None,
        }
        info = {"citation": "", "description": "", "homepage": "", "license": ""}
        _write_json(place / STATE, state)
        _write_json(place / INFO, {**info, "features": _features(class_names)})
        splits += [split] if split else []
    if splits:
        _write_json(folder / DICT, {"splits": splits})


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")


def _features(class_names: Sequence[str]) -> dict[str, Any]:
    return {
        "image": {"_type": "Image"},
        "label": {"names": list(class_names), "_type": "ClassLabel"},
    }


def _schema(class_names: Sequence[str]) -> Any:
    lib = pyarrow()
    image = lib.struct([("bytes", lib.binary()), ("path", lib.string())])
    known = json.dumps({"info": {"features": _features(class_names)}}, ensure_ascii=False)
    fields = [("image", image), ("label", lib.int64())]
    return lib.schema(fields, metadata={"huggingface": known})


def _batches(items: Iterator[Item], schema: Any, class_names: Sequence[str]) -> Iterator[Any]:
    lib, index = pyarrow(), {name: position for position, name in enumerate(class_names)}
    while some := list(itertools.islice(items, _ROWS_AT_ONCE)):
        rows = [
            {"image": {"bytes": item.read(), "path": item.file}, "label": index[item.label]}
            for item in some
        ]
        yield lib.RecordBatch.from_pylist(rows, schema=schema)
