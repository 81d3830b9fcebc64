"""Data at an address: a folder by its URL, or objects in a bucket, fetched into the cache.

What is fetched is read as what it is: a folder of photos, an archive, a table. Nothing here knows forms.

Does not know: names of data sets, or data sets that olhar pushed into a store.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from olhar.cache_place import cache_folder
from olhar.datasets.addresses.copy import CachedCopy
from olhar.datasets.addresses.keys import choose_objects
from olhar.errors import ConfigError, DataError, UnknownNameError, explain_os_errors
from olhar.i18n import Text, _
from olhar.locks import one_at_a_time
from olhar.objects import Objects, StoredObject, open_objects
from olhar.progress import Progress
from olhar.shown import quoted
from olhar.stores import open_store
from olhar.stores.address import is_url, parse_address, parse_store
from olhar.stores.names import suggest_name
from olhar.stores.s3_bucket import server
from olhar.stores.versions import DATASETS, MARKER, stored_names

_TRIES = 3  # listings of a bucket that is changed while it is read
_FRESH_S = 120.0  # what one command opens several times is listed once


@dataclass(frozen=True)
class Fetched:
    """What lies at an address, on this computer.

    Attributes:
        path: of the folder or file.
        notes: what the user should know of it.
        is_copy: it lies in the cache, where nobody should change it.
    """

    path: Path
    notes: tuple[Text, ...] = ()
    is_copy: bool = True


_recent: dict[Path, tuple[float, Fetched]] = {}


def fetch_address(address: str, progress: Progress) -> Fetched:
    """What lies at an address; objects of a bucket are brought into the cache first.

    The bucket is listed, and only what is new or another is fetched. Of several processes one fetches,
    the others wait for it.

    Args:
        address: s3://bucket/prefix/, s3://bucket/key, or file:///path.
        progress: hears of the bytes, and of what has changed since the last time.

    Raises:
        UnknownNameError: nothing lies there.
        ConfigError: it is no address, or that of a store.
        DataError: it does not stop changing.
        StoreError, NoPermissionError: the bucket cannot be reached or read.
        StorageError: the disk is full; what has come stays for the next call.
    """
    url = parse_store(address)
    if url.kind == "folder":
        return Fetched(Path(url.place), is_copy=False)
    known_by = hashlib.sha256(f"{server()}\n{url.shown}".encode()).hexdigest()[:32]
    folder = cache_folder().absolute() / "fetched" / known_by
    recent = _recent.get(folder)
    if recent is None or time.monotonic() - recent[0] > _FRESH_S:
        with explain_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with one_at_a_time(folder / ".lock"), closing(open_objects(address)) as objects:
                recent = 0, _follow(url.shown, folder, objects, progress)
    _recent[folder] = time.monotonic(), recent[1]
    return recent[1]


def _follow(shown: str, folder: Path, objects: Objects, progress: Progress) -> Fetched:
    folds_case = (folder / ".LOCK").exists()
    copy = CachedCopy(folder)
    for _attempt in range(_TRIES):
        listed = _counted(objects.list(), progress)
        chosen, notes = choose_objects(listed, folds_case=folds_case)
        if any(one.key == MARKER for one in chosen):
            raise _is_store(shown)
        if not chosen:
            raise _is_empty(shown, notes)
        changed = copy.follow(shown, objects, chosen, progress)
        if not changed:
            single = len(chosen) == 1 and chosen[0].key == PurePosixPath(shown).name
            return Fetched(copy.files / chosen[0].key if single else copy.files, notes)
        progress.note(
            _(
                "{count} object(s) of '{store}' were changed or removed while they were read; they are "
                "read again",
                count=changed,
                store=shown,
            )
        )
    raise DataError(
        _(
            "'{store}' was changed each of {tries} times that it was read; try again once nobody writes "
            "there",
            store=shown,
            tries=_TRIES,
        )
    )


def _counted(listed: Iterable[StoredObject], progress: Progress) -> Iterator[StoredObject]:
    progress.start(_("listing"), 1)
    for count, one in enumerate(listed, start=1):
        if count % 1000 == 0:
            progress.advance(0, str(count))
        yield one


def _is_empty(shown: str, notes: tuple[Text, ...]) -> UnknownNameError | DataError:
    if notes:
        return DataError(
            _("'{store}' has no object that can be a file here; {note}", store=shown, note=notes[0])
        )
    return UnknownNameError(
        _(
            "there is nothing at '{store}': no object has that key or begins with it and a slash; check "
            "the spelling; upper and lower case are two; a data set that olhar pushed has its store's "
            "address: s3://bucket/store/NAME@VERSION",
            store=shown,
        )
    )


def _is_store(shown: str) -> ConfigError:
    with open_store(shown) as store:
        names = stored_names(store, DATASETS)
    if not names:
        return ConfigError(
            _(
                "'{store}' is a store, in which there are models and no data set; push one: olhar data "
                "push FOLDER {quoted}",
                store=shown,
                quoted=quoted(shown),
            )
        )
    return ConfigError(
        _(
            "'{store}' is a store, and no folder of photos; its data sets are: {names}; give one of them: "
            "--data {example}",
            store=shown,
            names=", ".join(names),
            example=quoted(f"{shown}/{names[0]}"),
        )
    )


def plain_name(data: str) -> str:
    """What to call what is made of data: of an address its last part, of a path its last part."""
    if not is_url(data):
        return Path(data).resolve().name
    try:
        return parse_address(data).name
    except ConfigError:  # no name that a store has: a bucket alone, or s3://bucket/my photos/
        url = parse_store(data)
        return suggest_name(PurePosixPath(url.prefix or url.place).name)


def path_of(data: str) -> Path:
    """The path of data given by its path or by file:///path; else one that is not there."""
    return Path(parse_store(data).place if data.lower().startswith("file://") else data)
