"""The files of a data set that Hugging Face's library wrote, by split. Lists names; opens no table.

    save_to_disk     dataset_dict.json, SPLIT/state.json, SPLIT/data-00000-of-00001.arrow; without
                     splits state.json and the .arrow files alone
    push_to_hub      data/SPLIT-00000-of-00001.parquet, or in another folder, such as plain_text/; also
                     SPLIT/0000.parquet, or SPLIT.parquet

Source: the layouts are those of the `datasets` library, versions 2 to 4.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olhar.datasets.layout import METADATA, PART_NAMES, is_hidden, is_photo
from olhar.errors import DataError, explain_os_errors
from olhar.i18n import _

DICT, STATE, INFO = "dataset_dict.json", "state.json", "dataset_info.json"
_MOST_JSON_BYTES = 2**26
_MOST_NAMED = 5

Shard = tuple[str, Path]  # the split as its makers call it, "" where there is none; a file


def find_shards(name: str, root: Path) -> list[Shard]:
    """The tables of a folder, [] where it has none or is a folder of photos.

    Raises:
        DataError: what save_to_disk wrote is incomplete.
    """
    with explain_os_errors(name):
        if (root / DICT).is_file():
            splits = read_json(root / DICT).get("splits")
            if not isinstance(splits, list) or not all(map(_is_plain, splits)):
                raise _damaged(root / DICT)
            return [shard for split in splits for shard in _saved(root / split, split)]
        if (root / STATE).is_file() and (root / INFO).is_file():
            return _saved(root, "")
        return _parquet(name, root)


def _saved(folder: Path, split: str) -> list[Shard]:
    files = read_json(folder / STATE).get("_data_files")
    names = [file.get("filename") for file in files] if isinstance(files, list) else []
    if not names or not all(map(_is_plain, names)):
        raise _damaged(folder / STATE)
    missing = [file for file in names if not (folder / file).is_file()]
    if missing:
        raise DataError(
            _(
                "'{path}' is incomplete: {missing} is missing; copy it again",
                path=folder,
                missing=", ".join(missing[:5]),
            )
        )
    return [(split, folder / file) for file in names]


def _is_plain(name: Any) -> bool:
    """Whether it is the name of a file or folder in the same folder."""
    return isinstance(name, str) and name not in {"", ".", ".."} and Path(name).name == name


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON file.

    Raises:
        DataError: it is damaged or missing.
    """
    try:
        if path.stat().st_size > _MOST_JSON_BYTES:
            raise ValueError(path.stat().st_size)
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(values, dict):
        raise _damaged(path)
    return values


def _damaged(path: Path) -> DataError:
    return DataError(
        _(
            "'{path}' is damaged or missing; a folder that save_to_disk wrote needs it: save it again",
            path=path,
        )
    )


def _parquet(name: str, root: Path) -> list[Shard]:
    """Parquet files in a folder, in folders of splits, or in one, such as data/; not beside photos."""
    here = _files(root)
    if here and not any(is_photo(file.name) for file in root.iterdir()):
        return [(_split_of(file), file) for file in here]
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and not is_hidden(f.name)]
    splits = [folder for folder in folders if folder.name.lower() in PART_NAMES]
    found = [(folder.name.lower(), file) for folder in splits for file in _files(folder)]
    others = [folder for folder in folders if folder not in splits and _holds_parquet(folder)]
    if found or not others:
        return found
    if len(others) > 1:
        raise DataError(
            _(
                "'{path}' holds Parquet files of several data sets, in {folders}; give one of them, such "
                "as {path}/{first}",
                path=name,
                folders=", ".join(f"{folder.name}/" for folder in others[:_MOST_NAMED]),
                first=others[0].name,
            )
        )
    return _parquet(f"{name}/{others[0].name}", others[0])


def _holds_parquet(folder: Path) -> bool:
    """Whether Parquet files, and no photos, lie in a folder or in its folders of splits."""
    inner = []
    with os.scandir(folder) as entries:
        for entry in entries:  # until the first photo: there may be a million
            if is_photo(entry.name):
                return False
            if entry.name.lower() in PART_NAMES and entry.is_dir():
                inner.append(Path(entry.path))
    return bool(_files(folder)) or any(map(_holds_parquet, inner))


def _files(folder: Path) -> Sequence[Path]:
    """Its Parquet files; a folder of such a name is a class or a split."""
    there = sorted(f for f in folder.glob("*.parquet") if f.name not in METADATA)
    return [f for f in there if not is_hidden(f.name) and f.is_file()]


def _split_of(file: Path) -> str:
    """`train-00000-of-00003.parquet` → train; "" where the name begins with no split's."""
    first = re.split(r"[-_.]", file.name, maxsplit=1)[0].lower()
    return first if first in PART_NAMES else ""
