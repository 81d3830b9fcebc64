"""A pack laid out: every path and sha256 checked first, then renamed into place.

A data set is a folder, weights are single files: each appears whole, and those that are there
already, equal, stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.classroom.archive import Members, open_archive
from olhar.classroom.manifest import (
    DATA,
    MANIFEST,
    WEIGHTS,
    PackManifest,
    check_paths,
    outside,
    read_manifest,
)
from olhar.datasets import load_named
from olhar.errors import ChecksumError, RunExistsError, StorageError, explain_os_errors
from olhar.files import sha256_file
from olhar.i18n import _
from olhar.progress import Progress

DEFAULT_FOLDER = Path("olhar-data")
_LONGEST_MANIFEST_BYTES = 256 * 2**20
_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class Unpacked:
    """What was laid out.

    Attributes:
        folder: the one that OLHAR_DATA is to name.
        manifest: of the pack.
        laid: data sets and weights, by their paths in the folder.
        there: those that were there already, equal.
    """

    folder: Path
    manifest: PackManifest
    laid: tuple[str, ...]
    there: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `unpack --json` prints it."""
        return {
            "folder": str(self.folder),
            "data": dict(self.manifest.data),
            "weights": list(self.manifest.weights),
            "laid": list(self.laid),
            "there": list(self.there),
        }


def unpack(
    archive: Path | str, to: Path | str | None = None, *, progress: Progress | None = None
) -> Unpacked:
    """Lay out the data sets and weights of a pack; named sets are also decoded into the cache.

    Args:
        archive: the .zip or .tar, or the folder that it was unpacked to.
        to: where; by default where OLHAR_DATA points, else ./olhar-data.
        progress: hears of the bytes.

    Raises:
        MissingFileError: there is no such archive.
        DataError: it is none, or has links or paths that leave it.
        ChecksumError: a file in it is damaged, missing, or not in its manifest.
        RunExistsError: something else lies where a data set is to go.
        StorageError: the disk is full.
    """
    archive, progress = Path(archive), progress or Progress()
    folder = Path(to or os.environ.get("OLHAR_DATA") or DEFAULT_FOLDER).expanduser()
    with open_archive(archive) as members:
        manifest = _read_manifest(archive, members)
        _check_members(archive, members, manifest)
        units = _units(manifest)
        there = tuple(unit for unit in units if _is_there(folder, unit, manifest))
        wanted = {unit: paths for unit, paths in units.items() if unit not in there}
        with explain_os_errors(folder), _folder_beside(folder) as aside:
            _check_space(folder, manifest, wanted)
            _extract(archive, members, manifest, wanted, aside, progress)
            _move(aside, folder, wanted)
    for name, kind in manifest.data.items():
        if kind == "named":
            with _data_at(folder):
                load_named(name, progress)
    return Unpacked(folder, manifest, tuple(wanted), there)


def _read_manifest(archive: Path, members: Members) -> PackManifest:
    if MANIFEST not in members or members[MANIFEST][0] > _LONGEST_MANIFEST_BYTES:
        raise outside_of_pack(archive)
    with members[MANIFEST][1]() as file:
        return read_manifest(file.read(), str(archive))


def outside_of_pack(archive: Path) -> ChecksumError:
    """The error for what has no manifest."""
    return ChecksumError(
        _(
            "'{path}' has no {file}: it is no archive of olhar pack, or not all of it",
            path=archive,
            file=MANIFEST,
        )
    )


def _check_members(archive: Path, members: Members, manifest: PackManifest) -> None:
    """Each file of the manifest is there in its size; an archive has no others."""
    if not archive.is_dir():  # where it was unpacked, an environment may lie beside its files
        check_paths(members, str(archive))
        for name in members:
            if name != MANIFEST and name not in manifest.files:
                raise outside(str(archive), name)
    for name, file in manifest.files.items():
        if name not in members or members[name][0] != file.size_bytes:
            raise _damaged(archive, name)


def _damaged(archive: Path, name: str) -> ChecksumError:
    return ChecksumError(
        _(
            "{file} in '{path}' is damaged or missing; nothing was written: copy the archive again",
            file=name,
            path=archive,
        )
    )


def _units(manifest: PackManifest) -> dict[str, list[str]]:
    """What appears at once: each data set, each file of weights; by path in the folder."""
    units: dict[str, list[str]] = {}
    for path in manifest.files:
        parts = path.split("/")
        if parts[0] == DATA and len(parts) > 2:
            depth = 3 if path.startswith(f"{WEIGHTS}/") else 2
            units.setdefault("/".join(parts[1:depth]), []).append(path)
    return units


def _is_there(folder: Path, unit: str, manifest: PackManifest) -> bool:
    """Whether it lies there already, equal.

    Raises:
        RunExistsError: something else does.
    """
    target = folder / unit
    with explain_os_errors(target):
        if not target.exists():
            return False
        for path, file in manifest.files.items():
            inside = path.removeprefix(f"{DATA}/")
            if inside == unit or inside.startswith(f"{unit}/"):
                laid = folder / inside
                if not laid.is_file() or sha256_file(laid) != file.sha256:
                    raise RunExistsError(
                        _(
                            "'{path}' exists already and is not what the pack has; nothing was "
                            "written: rename it, or choose another place with --out",
                            path=target,
                        )
                    )
    return True


@contextmanager
def _folder_beside(folder: Path) -> Iterator[Path]:
    """A fresh folder in `folder`, which is made, and goes if nothing comes to lie in it."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".unpack.", dir=folder) as aside:
            yield Path(aside)
    finally:
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _check_space(folder: Path, manifest: PackManifest, wanted: Mapping[str, list[str]]) -> None:
    needed = sum(manifest.files[path].size_bytes for paths in wanted.values() for path in paths)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            _(
                "the pack needs {needed} MB in '{path}', where {free} MB are free; free some space, or "
                "choose another place with --out",
                needed=needed // 10**6 + 1,
                free=free // 10**6,
                path=folder,
            )
        )


def _extract(
    archive: Path,
    members: Members,
    manifest: PackManifest,
    wanted: Mapping[str, list[str]],
    aside: Path,
    progress: Progress,
) -> None:
    """Check every file of the pack, and write those that are wanted."""
    written = {path for paths in wanted.values() for path in paths}
    progress.start(_("unpacking {file}", file=archive.name), manifest.size_bytes)
    done = 0
    for path, file in manifest.files.items():
        target = aside / path.removeprefix(f"{DATA}/") if path in written else Path(os.devnull)
        if path in written:
            target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with members[path][1]() as source, target.open("wb") as out:
            while piece := source.read(_PIECE_BYTES):
                digest.update(piece)
                out.write(piece)
                done += len(piece)
                progress.advance(done)
        if digest.hexdigest() != file.sha256:
            raise _damaged(archive, path)


def _move(aside: Path, folder: Path, wanted: Mapping[str, list[str]]) -> None:
    """Rename all into place, or none."""
    moved: list[Path] = []
    try:
        for unit in wanted:
            target = folder / unit
            target.parent.mkdir(parents=True, exist_ok=True)
            (aside / unit).rename(target)
            moved.append(target)
    except BaseException:
        for target in moved:
            target.rename(aside / target.relative_to(folder))
        with suppress(OSError):  # made for the first file, and empty again
            (folder / "weights").rmdir()
        raise


@contextmanager
def _data_at(folder: Path) -> Iterator[None]:
    before = os.environ.get("OLHAR_DATA")
    os.environ["OLHAR_DATA"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OLHAR_DATA")
        else:
            os.environ["OLHAR_DATA"] = before
