"""Data sets in stores: pushed as arrays with a manifest, loaded straight from the address.

    images.npy   (N, H, W, C) uint8
    labels.npy   (N,) int64
    meta.json    class names, parts, files, fingerprint

Nothing in them is a pickle, and NumPy is told to read none.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olhar.datasets.cache import CacheEntry, load_cached, save_cached
from olhar.datasets.dataset import Dataset
from olhar.errors import (
    ConfigError,
    DataError,
    NoPermissionError,
    RunExistsError,
    explain_os_errors,
)
from olhar.files import folder_aside, write_atomic
from olhar.i18n import _
from olhar.objects import is_address
from olhar.progress import Progress
from olhar.stores import open_store, parse_store
from olhar.stores.address import is_url, parse_address
from olhar.stores.manifest import Manifest
from olhar.stores.names import check_name
from olhar.stores.publish import push_version
from olhar.stores.versions import DATASETS, MARKER, fetch_files, find_version, is_store

FORMAT = 1
IMAGES, LABELS, META = "images.npy", "labels.npy", "meta.json"


@dataclass(frozen=True)
class StoredDataset:
    """A data set in a store: its address, without login data, and what it is made of."""

    address: str
    manifest: Manifest

    def to_dict(self) -> dict[str, Any]:
        """As `data push --json` prints it."""
        return {
            "name": self.manifest.name,
            "version": self.manifest.version,
            "address": self.address,
            "sha256": self.manifest.sha256,
        }


def is_stored(name: str) -> bool:
    """Whether a name that is no path is to be looked for in a store."""
    return is_url(name) or (Path(name).parent / MARKER).is_file()


def is_pushed(address: str) -> bool:
    """Whether an address is that of a data set in a store, and not of objects that lie there.

    One with a version, s3://bucket/store/pets@3, is; of another the store is asked.

    Raises:
        ModelError: the store is one of a newer olhar.
        StoreError, NoPermissionError: it cannot be reached or read.
    """
    if not is_address(address):
        return True
    try:
        wanted = parse_address(address)
    except ConfigError:  # a bucket alone, or a name that no store has
        return False
    if wanted.version is not None:
        return True
    try:
        with open_store(wanted.store) as store:
            return is_store(store)
    except NoPermissionError:  # who may read one folder need not read what lies beside it
        return False


def push_dataset(
    dataset: Dataset, store: str, name: str, progress: Progress | None = None
) -> StoredDataset:
    """Store a data set as the next version of a name.

    Args:
        dataset: with images (N, H, W, C) uint8; a folder of photos goes through arrays.as_arrays first.
        store: a folder, file:///…, s3://bucket/prefix, mongodb://host/database.
        name: what to call it.
        progress: hears of the bytes.
    """
    url = parse_store(store)
    check_name(name, _("the name of a data set"))
    facts = {
        "images": len(dataset),
        "image_shape": list(dataset.image_shape),
        "classes": dataset.num_classes,
        "fingerprint": dataset.fingerprint,
    }
    with open_store(url) as opened, tempfile.TemporaryDirectory() as folder:
        write_arrays(Path(folder), dataset)
        files = {part: Path(folder) / part for part in (IMAGES, LABELS, META)}
        manifest = push_version(opened, DATASETS, name, files, facts, progress or Progress())
    return StoredDataset(url.address(name, manifest.version), manifest)


def write_arrays(folder: Path, dataset: Dataset) -> None:
    """Write the arrays and their description into a folder, as they are stored."""
    parts = {part: len(indices) for part, indices in dataset.parts.items()}
    order = [np.asarray(indices) for indices in dataset.parts.values()]
    if order and not np.array_equal(np.concatenate(order), np.arange(len(dataset))):
        raise DataError(_("the parts of data set '{name}' are not in order", name=dataset.name))
    meta = {
        "format": FORMAT,
        "class_names": list(dataset.class_names),
        "translated_names": {tag: list(n) for tag, n in dataset.translated_names.items()},
        "parts": parts,
        "files": list(dataset.files),
        "set_aside": [list(row) for row in dataset.set_aside],
        "fingerprint": dataset.fingerprint,
    }
    with explain_os_errors(folder):
        np.save(folder / IMAGES, dataset.images, allow_pickle=False)
        np.save(folder / LABELS, dataset.labels, allow_pickle=False)
        write_atomic(folder / META, json.dumps(meta, ensure_ascii=False, indent=1))


def load_stored(address: str, progress: Progress | None = None) -> Dataset:
    """The data set at an address, fetched once into the cache and memory-mapped.

    Raises:
        UnknownNameError: there is no such store, name, version or tag.
        ChecksumError: a file was changed in the store.
        DataError: what is stored is no data set.
        StorageError: the disk is full.
    """
    wanted = parse_address(address)
    with open_store(wanted.store) as store:
        manifest = find_version(store, DATASETS, wanted)
        place = wanted.store.address(manifest.name, manifest.version)
        key = f"stored-{manifest.sha256[:32]}"

        def fill(folder: Path) -> CacheEntry:
            fetch_files(store, manifest, folder, place, progress or Progress())
            return _read_arrays(folder, place)

        entry = load_cached(key) or save_cached(key, fill)
    return entry.as_dataset(place)


def _read_arrays(folder: Path, place: str) -> CacheEntry:
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise ValueError(meta["format"])
        return CacheEntry(
            images=np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False),
            labels=np.load(folder / LABELS, allow_pickle=False),
            class_names=tuple(meta["class_names"]),
            parts=dict(meta["parts"]),
            files=tuple(meta["files"]),
            set_aside=tuple((path, reason) for path, reason in meta["set_aside"]),
            fingerprint=str(meta["fingerprint"]),
        )
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            _(
                "'{place}' is no data set that this olhar reads ({reason}); push it again",
                place=place,
                reason=error,
            )
        ) from error


def pull_dataset(
    address: str, out: Path | str | None = None, progress: Progress | None = None
) -> tuple[StoredDataset, Path]:
    """Copy a data set's arrays into a folder; every file is checked.

    Raises:
        RunExistsError: the folder is there.
    """
    wanted = parse_address(address)
    with open_store(wanted.store) as store:
        manifest = find_version(store, DATASETS, wanted)
        place = wanted.store.address(manifest.name, manifest.version)
        target = Path(out) if out else Path(f"{manifest.name}-{manifest.version}")
        with explain_os_errors(target):
            if target.exists():
                raise RunExistsError(
                    _("'{path}' exists already; choose another --out, or remove it", path=target)
                )
        with folder_aside(target) as aside:
            fetch_files(store, manifest, aside, place, progress or Progress())
    return StoredDataset(place, manifest), target
