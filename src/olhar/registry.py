"""Models in stores: push a run, pull a version, find the model that an address means.

Does not know: how a store keeps files (see stores), or how a model was trained.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from olhar.cache_place import cache_folder
from olhar.classifier import CONFIG, Classifier, load_classifier, model_folder
from olhar.errors import ConfigError, RunExistsError, explain_os_errors
from olhar.files import folder_aside, sha256_file
from olhar.i18n import _
from olhar.progress import Progress
from olhar.run import Run, RunFolder
from olhar.stores import PersistentStore, open_store, parse_store
from olhar.stores.address import Address, is_url, parse_address
from olhar.stores.manifest import Manifest, StoredFile
from olhar.stores.names import check_name
from olhar.stores.publish import hash_files, missing_files, push_version
from olhar.stores.space import collect
from olhar.stores.versions import (
    MARKER,
    MODELS,
    Listed,
    fetch_files,
    find_version,
    list_versions,
    remove_tag,
    remove_versions,
    set_tag,
    tags_of,
    version_numbers,
)


class HasPath(Protocol):
    """A finished run, as training returns it."""

    @property
    def path(self) -> Path:
        """Its run folder."""


@dataclass(frozen=True)
class Version:
    """A model in a store.

    Attributes:
        address: what any command takes for MODEL; without login data.
        manifest: what it is made of.
        path: where it lies on this computer, after a pull; else None.
    """

    address: str
    manifest: Manifest
    path: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `push --json` and `pull --json` print it."""
        found = {
            "name": self.manifest.name,
            "version": self.manifest.version,
            "address": self.address,
            "sha256": self.manifest.sha256,
        }
        return found if self.path is None else {**found, "path": str(self.path)}


@dataclass(frozen=True)
class Move:
    """A file that a push or pull would move; `is_there` where it need not."""

    file: str
    size_bytes: int
    is_there: bool


def push(
    source: Path | str | Classifier | HasPath,
    store: str,
    name: str | None = None,
    *,
    photos: bool = False,
    extra: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
) -> Version:
    """Store a model, its card and its figures as the next version of a name.

    Args:
        source: a run folder, a `model/` folder, a run, or a classifier.
        store: a folder, file:///…, s3://bucket/prefix, mongodb://host/database.
        name: what to call it; by default as its run folder is called.
        photos: push the card's pictures that show images of the data set, too.
        extra: more files, by their paths in the version: exports that travel with the model.
        progress: hears of the bytes.

    Raises:
        MissingFileError: there is no model in `source`.
        ChecksumError: the model was changed after it was saved.
        ConfigError: the name is not allowed.
        StoreError: the store cannot be reached.
        NoPermissionError: it may not be written.
    """
    path, chosen = _source(source, name)
    url = parse_store(store)
    facts = _facts(path)
    with open_store(url) as opened:
        files = {**_files_of(path, photos=photos), **(extra or {})}
        manifest = push_version(opened, MODELS, chosen, files, facts, progress or Progress())
    return Version(url.address(chosen, manifest.version), manifest)


def plan_push(
    source: Path | str,
    store: str,
    name: str | None = None,
    *,
    photos: bool = False,
    extra: Mapping[str, Path] | None = None,
) -> tuple[str, list[Move]]:
    """What `push` would do: the name, and which files it would move. Nothing is written."""
    path, chosen = _source(source, name)
    _facts(path)
    planned = hash_files({**_files_of(path, photos=photos), **(extra or {})})
    with open_store(store) as opened:
        missing = missing_files(opened, planned)
    return chosen, [
        Move(file, stored.size_bytes, stored.sha256 not in missing)
        for file, stored in planned.items()
    ]


def pull(
    address: str, out: Path | str | None = None, *, progress: Progress | None = None
) -> Version:
    """Copy a version into a folder; every file is checked.

    Args:
        address: STORE/name, STORE/name@3 or STORE/name@tag.
        out: the folder to make; by default NAME-VERSION.
        progress: hears of the bytes.

    Raises:
        RunExistsError: the folder is there.
        UnknownNameError: there is no such store, name, version or tag.
        ChecksumError: a file was changed in the store.
        StorageError: the disk is full.
    """
    wanted = parse_address(address)
    with open_store(wanted.store) as store:
        manifest = find_version(store, MODELS, wanted)
        place = wanted.store.address(manifest.name, manifest.version)
        target = Path(out) if out else Path(f"{manifest.name}-{manifest.version}")
        _require_free(target)
        with folder_aside(target) as aside:
            fetch_files(store, manifest, aside, place, progress or Progress())
            if target.is_dir():
                target.rmdir()  # it is empty; a folder of this name would stop Windows
    return Version(place, manifest, target)


def plan_pull(address: str) -> tuple[Version, list[Move]]:
    """What `pull` would do. Nothing is written."""
    wanted = parse_address(address)
    with open_store(wanted.store) as store:
        manifest = find_version(store, MODELS, wanted)
    moves = [Move(path, file.size_bytes, is_there=False) for path, file in manifest.files.items()]
    return Version(wanted.store.address(manifest.name, manifest.version), manifest), moves


def resolve_model(model: Path | str, progress: Progress | None = None) -> Path:
    """The folder of the model that a user named by a path or an address.

    A path that exists is that path. A version from a store is fetched once into the cache, under
    the sha256 of its manifest, and checked each time.

    Args:
        model: a run folder, a `model/` folder, or an address.
        progress: hears of the bytes.

    Returns:
        A folder for `load_classifier`; where `model` is neither a path nor an address, the path.
    """
    if _is_path(model):
        return Path(model)
    wanted = parse_address(str(model))
    with open_store(wanted.store) as store:
        manifest = find_version(store, MODELS, wanted)
        folder = cache_folder() / "models" / manifest.sha256
        if not _is_whole(folder, manifest.files):
            with explain_os_errors(folder):
                shutil.rmtree(folder, ignore_errors=True)
            place = wanted.store.address(manifest.name, manifest.version)
            with folder_aside(folder) as aside:
                fetch_files(store, manifest, aside, place, progress or Progress())
    return folder


def model_name(model: Path | str) -> str:
    """What to call a model: its run folder's name, or the name under which a store keeps it."""
    if not _is_path(model):
        return parse_address(str(model)).name
    folder = Path(model).resolve()
    return folder.parent.name if folder.name == "model" else folder.name


def name_models(given: Iterable[str]) -> dict[str, Path]:
    """`NAME=MODEL`, or MODEL under its own name → path by name, in the order given.

    Its own name is that of the run folder, or that under which a store keeps it.

    Raises:
        ConfigError: two have the same name.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, equals, rest = text.partition("=")
        if not equals or Path(text).exists() or not name or set(name) & set("/\\:"):
            path = resolve_model(text)
            name = model_name(text)
        else:
            path = resolve_model(rest)
        if name in found:
            raise ConfigError(
                _(
                    "two models are called '{name}'; name one of them: NAME={path}",
                    name=name,
                    path=path,
                )
            )
        found[name] = path
    return found


def _is_path(model: Path | str) -> bool:
    """Whether this is a path, not an address; a path that exists is a path."""
    if is_url(str(model)):
        return False
    path = Path(model)
    with suppress(OSError, ValueError):
        return path.exists() or not (path.parent / MARKER).is_file()
    return False


def load(model: Path | str, progress: Progress | None = None) -> Classifier:
    """Load a model from a run folder, a `model/` folder or a store address; all files are checked."""
    return load_classifier(resolve_model(model, progress))


def list_models(
    store: str, name: str | None = None, *, limit: int = 0, skip: int = 0
) -> tuple[list[Listed], int]:
    """What a store has: by name, the newest version of each first; and how many there are in all."""
    url = parse_store(store)
    if name is not None:
        check_name(name, _("the name of a model"))
    with open_store(url) as opened:
        return list_versions(opened, url, MODELS, name, limit=limit, skip=skip)


def tag(address: str, label: str) -> str:
    """Let a tag mean the version that an address means; the version's address is returned."""
    wanted = parse_address(address)
    with open_store(wanted.store) as store:
        manifest = find_version(store, MODELS, wanted)
        set_tag(store, MODELS, manifest.name, label, manifest.version)
    return wanted.store.address(manifest.name, manifest.version)


def untag(address: str, label: str) -> None:
    """Take a tag away."""
    wanted = parse_address(address)
    with open_store(wanted.store) as store:
        find_version(store, MODELS, Address(wanted.store, wanted.name))
        remove_tag(store, MODELS, wanted.name, label)


def remove(address: str, *, force: bool = False, dry_run: bool = False) -> tuple[str, int | None]:
    """Remove a version.

    Args:
        address: with a version or a tag.
        force: also where a tag means it.
        dry_run: only say which.

    Returns:
        The version's address, and how many files went with it; None where that must wait for the
        next `remove`, because somebody pushes.

    Raises:
        ConfigError: the address names no version, or a tag means it.
    """
    wanted = parse_address(address)
    if wanted.version is None:
        raise ConfigError(
            _(
                "'{address}' names no version; write which is to go, such as {address}@1 (olhar list "
                "shows them)",
                address=wanted.store.address(wanted.name, "").rstrip("@"),
            )
        )
    with open_store(wanted.store) as store:
        number = _number_to_remove(store, wanted)
        place = wanted.store.address(wanted.name, number)
        labels = tags_of(store, MODELS, wanted.name).get(number, [])
        if labels and not force:
            raise ConfigError(
                _(
                    "'{address}' is tagged {tags}; tag another version first, or add --force",
                    address=place,
                    tags=", ".join(labels),
                )
            )
        if dry_run:
            return place, 0
        remove_versions(store, MODELS, wanted.name, [number])
        return place, collect(store)


def _number_to_remove(store: PersistentStore, wanted: Address) -> int:
    """Its manifest may be damaged: that is a reason to remove it."""
    if wanted.version and wanted.version.isdecimal():
        number = int(wanted.version)
        if number in version_numbers(store, MODELS, wanted.name):
            return number
    return find_version(store, MODELS, wanted).version


def _source(source: Path | str | Classifier | HasPath, name: str | None) -> tuple[Path, str]:
    """Where the model to push lies on this computer, and what it is to be called."""
    if isinstance(source, Classifier):
        path = source.folder
    else:
        path = resolve_model(source if isinstance(source, Path | str) else source.path)
    if path.name == "model" and RunFolder(path.parent).metrics.is_file():
        path = path.parent  # the card and the figures lie there
    if name is None and isinstance(source, str) and cache_folder() in path.parents:
        name = parse_address(source).name
    folder = path.absolute()
    chosen = name or (folder.parent.name if folder.name == "model" else folder.name)
    return path, check_name(chosen, _("the name of a model (choose another with --name)"))


def _facts(path: Path) -> dict[str, Any]:
    """What a list shows; the model is loaded for it, so that none is pushed that does not load."""
    config = load_classifier(path).config
    facts: dict[str, Any] = {
        "network": str(config.network["name"]),
        "classes": len(config.class_names),
        "data": str(config.data.get("name", "")),
    }
    measured = Run(path).measured
    if measured is not None:
        facts["accuracy"] = measured.accuracy
    return facts


def _files_of(path: Path, *, photos: bool) -> dict[str, Path]:
    """The files of a version, by their paths in it."""
    folder, run = model_folder(path), RunFolder(path)
    with explain_os_errors(folder / CONFIG):
        names: Iterable[str] = json.loads((folder / CONFIG).read_bytes())["files"]
    files = {f"{run.model.name}/{name}": folder / name for name in (CONFIG, *names)}
    if folder == path:
        return files
    figures = [run.learning_curve, run.confusion_matrix, run.per_class, run.reliability]
    figures.append(run.learning_curve_photos)
    if photos:
        figures += [run.samples, run.worst_errors, run.augmentation]
    for file in (run.card, run.card_pt_br, run.metrics, *figures):
        if file.is_file():
            files[file.name] = file
    return files


def _require_free(target: Path) -> None:
    with explain_os_errors(target):
        taken = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if taken:
        raise RunExistsError(
            _("'{path}' exists already; choose another --out, or remove it", path=target)
        )


def _is_whole(folder: Path, files: Mapping[str, StoredFile]) -> bool:
    with suppress(OSError):
        return all(sha256_file(folder / path) == file.sha256 for path, file in files.items())
    return False
