"""One archive with wheels, data sets and weights, for computers without a network."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.archives import Source, open_bytes, size_of
from olhar.classroom.archive import SUFFIXES, write_archive
from olhar.classroom.gathering import gather_data, gather_weights
from olhar.classroom.instructions import installer_files
from olhar.classroom.manifest import MANIFEST, WHEELS, PackManifest, check_paths
from olhar.classroom.requirements import Needs, check_extras, read_needs
from olhar.classroom.targets import Target, choose_targets
from olhar.classroom.wheels import collect_wheels, installed_closure
from olhar.errors import ConfigError, RunExistsError, explain_os_errors
from olhar.files import write_atomic_with
from olhar.i18n import _
from olhar.progress import Progress
from olhar.stores.manifest import StoredFile, now

DEFAULT_EXTRAS = ("train", "serve")


@dataclass(frozen=True)
class Plan:
    """What a pack would hold.

    Attributes:
        files: size in bytes of each file of data and weights, by its path in the pack.
        libraries: version by name, "" where it is not installed here; none without wheels.
        data: "named" or "folder" by the name of a data set.
        weights: names of files.
        targets: systems with versions of Python.
        extras: of olhar.
    """

    files: dict[str, int]
    libraries: dict[str, str]
    data: dict[str, str]
    weights: tuple[str, ...]
    targets: tuple[str, ...]
    extras: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `pack --dry-run --json` prints it."""
        return {
            "data": self.data,
            "weights": list(self.weights),
            "extras": list(self.extras),
            "targets": list(self.targets),
            "files": self.files,
            "libraries": self.libraries,
        }


@dataclass(frozen=True)
class _Order:
    """A pack, accepted and not yet begun."""

    out: Path
    files: dict[str, Source]
    data: dict[str, str]
    weights: tuple[str, ...]
    extras: tuple[str, ...]
    targets: tuple[Target, ...]
    needs: Needs


def plan_pack(
    out: Path | str,
    data: Sequence[str] = (),
    weights: Sequence[str] = (),
    *,
    extras: Sequence[str] = DEFAULT_EXTRAS,
    platforms: Sequence[str] = (),
    pythons: Sequence[str] = (),
    wheels: bool = True,
) -> Plan:
    """What `pack` would do. Nothing is written or fetched, and nobody is asked.

    Raises:
        MissingFileError: a data set or weights that are not on this computer.
        ConfigError, RunExistsError, DataError, ChecksumError: as `pack`.
    """
    order = _accept(
        out, data, weights, extras, platforms, pythons, Progress(), wheels=wheels, download=False
    )
    libraries: dict[str, str] = {}
    for target in order.targets:
        libraries |= installed_closure(order.needs, order.extras, target)
    return Plan(
        {path: size_of(source) for path, source in order.files.items()},
        libraries,
        order.data,
        order.weights,
        tuple(target.name for target in order.targets),
        order.extras,
    )


def pack(
    out: Path | str,
    data: Sequence[str] = (),
    weights: Sequence[str] = (),
    *,
    extras: Sequence[str] = DEFAULT_EXTRAS,
    platforms: Sequence[str] = (),
    pythons: Sequence[str] = (),
    wheels: bool = True,
    progress: Progress | None = None,
) -> PackManifest:
    """Make a pack, aside first.

    Wheels come from where pip is configured to find them; a named data set that is not on this
    computer comes from its makers.

    Args:
        out: a file that does not exist, ending in .zip or .tar.
        data: names of data sets, and folders of photos.
        weights: files, or names of files in $OLHAR_DATA/weights or the cache.
        extras: of olhar, whose libraries it is to hold.
        platforms: some of `targets.SYSTEMS`; by default this computer's.
        pythons: such as 3.11; by default this one's.
        wheels: whether to hold olhar and its libraries.
        progress: hears of the wheels and bytes.

    Raises:
        RunExistsError: `out` is there.
        ConfigError: `out` ends otherwise; a version of Python that cannot be.
        UnknownNameError: a data set, extra or platform that does not exist.
        DataError: a folder without photos, or names that not every system can have.
        MissingFileError: there are no such weights.
        ChecksumError: the files of a data set are damaged.
        DownloadError: pip cannot get a wheel, or a data set cannot be fetched.
        StorageError: the disk is full.
    """
    progress = progress or Progress()
    order = _accept(
        out, data, weights, extras, platforms, pythons, progress, wheels=wheels, download=True
    )
    with explain_os_errors(order.out):
        order.out.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{order.out.stem}."
        with tempfile.TemporaryDirectory(prefix=prefix, dir=order.out.parent) as aside:
            files = dict(order.files)
            if order.targets:
                found = collect_wheels(
                    Path(aside), order.needs, order.extras, order.targets, progress
                )
                files = {**{f"{WHEELS}/{path.name}": path for path in found}, **files}
            return _write(order, files, progress)


def _accept(
    out: Path | str,
    data: Sequence[str],
    weights: Sequence[str],
    extras: Sequence[str],
    platforms: Sequence[str],
    pythons: Sequence[str],
    progress: Progress,
    *,
    wheels: bool,
    download: bool,
) -> _Order:
    """Refuse what cannot be packed, before anything is fetched."""
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise ConfigError(
            _("'{path}' ends in neither .zip nor .tar; allowed: a name such as class.zip", path=out)
        )
    with explain_os_errors(out):
        if out.exists():
            raise RunExistsError(
                _("'{path}' exists already; choose another name, or remove it", path=out)
            )
    needs = read_needs()
    chosen = check_extras(extras, needs)
    targets = choose_targets(platforms, pythons) if wheels else ()
    found = gather_weights(weights)
    files: dict[str, Source] = {}
    kinds: dict[str, str] = {}
    for given in data:
        name, kind, more = gather_data(given, progress, download=download)
        if name in kinds:
            raise ConfigError(
                _("two of the data sets are called '{name}'; rename one of the folders", name=name)
            )
        kinds[name] = kind
        files |= more
    files |= found
    check_paths(files, str(out))
    names = tuple(Path(path).name for path in found)
    return _Order(out, files, kinds, names, chosen if wheels else (), targets, needs)


def _write(order: _Order, files: dict[str, Source], progress: Progress) -> PackManifest:
    target_names = tuple(target.name for target in order.targets)
    if order.targets:
        files = installer_files(order.extras, order.data) | files
    total = sum(size_of(source) for source in files.values())
    progress.start(_("hashing"), total)
    hashed = _hash_files(files, progress.advance)
    manifest = PackManifest(now(), order.extras, target_names, order.data, order.weights, hashed)
    progress.start(_("writing {file}", file=order.out.name), total)
    contents: dict[str, Source] = {MANIFEST: manifest.to_bytes(), **files}
    write_atomic_with(order.out, lambda aside: write_archive(aside, contents, progress.advance))
    return manifest


def _hash_files(files: dict[str, Source], done: Callable[[int], None]) -> dict[str, StoredFile]:
    found, total = {}, 0
    for path, source in files.items():
        size = size_of(source)
        with open_bytes(source) as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
        found[path] = StoredFile(digest, size)
        total += size
        done(total)
    return found
