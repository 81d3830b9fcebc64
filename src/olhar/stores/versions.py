"""Versions in a store: find, fetch, list, tag, remove. The same for every backend.

    olhar-store.json                    {"format": 1}: this is a store
    versions/models/cifar/000000003     a manifest; a version is there when its manifest is
    claims/models/cifar/000000003       whose the number is
    tags/models/cifar/production        {"version": 3}
    files/ab/abcdef…                    a file, named by its sha256, stored once
    pushing/…  collecting/…             who is at work (see space.py)

A version is made by publish.py.

Does not know: what a version is of. `kind` keeps models and data sets apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from olhar.errors import (
    ChecksumError,
    ModelError,
    UnknownNameError,
    explain_os_errors,
    nearest,
    unknown_name,
)
from olhar.files import sha256_file
from olhar.i18n import Text, _
from olhar.progress import Progress, byte_count
from olhar.stores.address import Address, StoreUrl
from olhar.stores.contract import PersistentStore
from olhar.stores.manifest import FORMAT, Manifest, newer_format, read_manifest
from olhar.stores.names import check_tag

MARKER = "olhar-store.json"
MODELS, DATASETS = "models", "datasets"
_READERS = 16


@dataclass(frozen=True)
class Listed:
    """A version in a list; `manifest` is None where it cannot be read, and `error` says why."""

    name: str
    version: int
    tags: tuple[str, ...]
    manifest: Manifest | None
    error: Text | str = ""


def is_store(store: PersistentStore) -> bool:
    """Whether something was ever pushed here.

    Raises:
        ModelError: by a newer olhar.
    """
    content = store.read(MARKER)
    if content is None:
        return False
    try:
        version = json.loads(content)["format"]
    except (ValueError, KeyError, TypeError):
        version = None
    if version != FORMAT:
        raise newer_format(store.shown, version)
    return True


def require_store(store: PersistentStore) -> None:
    """Refuse a place that is no store.

    Raises:
        UnknownNameError: nothing was ever pushed here.
    """
    if not is_store(store):
        raise UnknownNameError(
            _(
                "there is no store in '{store}'; check the spelling; the first olhar push makes one",
                store=store.shown,
            )
        )


def find_version(store: PersistentStore, kind: str, address: Address) -> Manifest:
    """The manifest of the version that an address means.

    Raises:
        UnknownNameError: there is no store, name, version or tag of that kind.
        ChecksumError: the manifest was changed.
        ModelError: it is damaged, or made by a newer olhar.
    """
    require_store(store)
    name, wanted = address.name, address.version
    numbers = version_numbers(store, kind, name)
    if not numbers:
        names = stored_names(store, kind)
        if not names:
            raise UnknownNameError(
                _("the store '{store}' is empty; fill it with olhar push", store=store.shown)
            )
        raise unknown_name(_("name in the store"), name, names)
    if wanted is None:
        number = numbers[-1]
    elif wanted.isdecimal():
        number = int(wanted)
    else:
        number = _tagged_number(store, kind, name, wanted)
    if number not in numbers:
        shown = numbers if len(numbers) < 10 else [numbers[0], "…", *numbers[-3:]]
        raise UnknownNameError(
            _(
                "there is no version {version} of '{name}'; there are: {numbers}",
                version=wanted or number,
                name=name,
                numbers=", ".join(str(n) for n in shown),
            )
        )
    return load_manifest(store, address.store, kind, name, number)


def _tagged_number(store: PersistentStore, kind: str, name: str, tag: str) -> int:
    numbers = {key: number for number, keys in tags_of(store, kind, name).items() for key in keys}
    if tag not in numbers:
        close = nearest(tag, numbers) or sorted(numbers)
        raise UnknownNameError(
            _(
                "'{name}' has no tag '{tag}'; there are: {tags}; or give a number",
                name=name,
                tag=tag,
                tags=", ".join(close) or "-",
            )
        )
    return numbers[tag]


def load_manifest(
    store: PersistentStore, url: StoreUrl, kind: str, name: str, number: int
) -> Manifest:
    """The manifest of one version."""
    place = url.address(name, number)
    content = store.read(version_key(kind, name, number))
    if content is None:
        raise UnknownNameError(_("'{place}' was removed", place=place))
    manifest = read_manifest(content, place)
    if (manifest.kind, manifest.name, manifest.version) != (kind, name, number):
        raise ModelError(
            _(
                "the manifest of '{place}' is that of another version; remove this version (olhar "
                "rm) and push it again",
                place=place,
            )
        )
    return manifest


def fetch_files(
    store: PersistentStore, manifest: Manifest, folder: Path, place: str, progress: Progress
) -> None:
    """Write a version's files into an empty folder; each is checked.

    Raises:
        ChecksumError: a file is not what the manifest says.
        ModelError: a file is missing from the store.
        StorageError: the disk is full.
    """
    report = byte_count(progress, _("files"), manifest.size_bytes)
    for path, file in manifest.files.items():
        target = folder / path
        with explain_os_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        if not store.download(file_key(file.sha256), target, report):
            raise ModelError(
                _(
                    "'{place}' is incomplete: its file {path} is not in the store; remove this "
                    "version (olhar rm) and push it again",
                    place=place,
                    path=path,
                )
            )
        if sha256_file(target) != file.sha256:
            raise ChecksumError(
                _(
                    "'{place}' is damaged: its file {path} was changed in the store; remove every "
                    "version that has it (olhar rm) and push again",
                    place=place,
                    path=path,
                )
            )


def list_versions(
    store: PersistentStore,
    url: StoreUrl,
    kind: str,
    name: str | None = None,
    *,
    limit: int = 0,
    skip: int = 0,
) -> tuple[list[Listed], int]:
    """What is in a store: by name, the newest version of each first.

    Args:
        store: the store.
        url: where it is.
        kind: `MODELS` or `DATASETS`.
        name: of this name only.
        limit: how many to read; 0 is all.
        skip: how many to leave out at the beginning.

    Returns:
        The versions, and how many there are in all.
    """
    require_store(store)
    prefix = f"versions/{kind}/{name}/" if name else f"versions/{kind}/"
    places = [_parse_version_key(key) for key in store.keys(prefix)]
    ordered = sorted((p for p in places if p), key=lambda place: (place[0], -place[1]))
    chosen = ordered[skip : skip + limit] if limit else ordered[skip:]
    tags = {found: tags_of(store, kind, found) for found in {found for found, _n in chosen}}

    def read(place: tuple[str, int]) -> Listed:
        found, number = place
        marks = tuple(tags[found].get(number, ()))
        try:
            return Listed(found, number, marks, load_manifest(store, url, kind, found, number))
        except (ModelError, ChecksumError, UnknownNameError) as error:
            return Listed(found, number, marks, None, error.message)

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read, chosen)), len(ordered)


def set_tag(store: PersistentStore, kind: str, name: str, tag: str, number: int) -> None:
    """Let a tag mean a version, instead of the one that it meant before."""
    store.write(f"tags/{kind}/{name}/{check_tag(tag)}", json.dumps({"version": number}).encode())


def remove_tag(store: PersistentStore, kind: str, name: str, tag: str) -> None:
    """Take a tag away."""
    _tagged_number(store, kind, name, tag)
    store.remove(f"tags/{kind}/{name}/{tag}")


def tags_of(store: PersistentStore, kind: str, name: str) -> dict[int, list[str]]:
    """The tags of a name, by the version that they mean."""
    found: dict[int, list[str]] = {}
    for key in store.keys(f"tags/{kind}/{name}/"):
        content = store.read(key)
        if content is not None:
            try:
                number = int(json.loads(content)["version"])
            except (ValueError, KeyError, TypeError):
                continue
            found.setdefault(number, []).append(key.rpartition("/")[2])
    return found


def remove_versions(store: PersistentStore, kind: str, name: str, numbers: Iterable[int]) -> None:
    """Remove versions and the tags that mean them; the space is for `space.collect` to give back."""
    gone = set(numbers)
    for number, tags in tags_of(store, kind, name).items():
        for tag in tags if number in gone else ():
            store.remove(f"tags/{kind}/{name}/{tag}")
    for number in gone:
        store.remove(version_key(kind, name, number))


def version_numbers(store: PersistentStore, kind: str, name: str) -> list[int]:
    """The versions of a name, ascending."""
    places = (_parse_version_key(key) for key in store.keys(f"versions/{kind}/{name}/"))
    return sorted(place[1] for place in places if place)


def stored_names(store: PersistentStore, kind: str) -> Sequence[str]:
    """The names that have versions."""
    places = (_parse_version_key(key) for key in store.keys(f"versions/{kind}/"))
    return sorted({place[0] for place in places if place})


def version_key(kind: str, name: str, number: int) -> str:
    """Where a manifest is."""
    return f"versions/{kind}/{name}/{number:09d}"


def file_key(digest: str) -> str:
    """Where a file is."""
    return f"files/{digest[:2]}/{digest}"


def _parse_version_key(key: str) -> tuple[str, int] | None:
    parts = key.split("/")
    return (parts[2], int(parts[3])) if len(parts) == 4 and parts[3].isdecimal() else None
