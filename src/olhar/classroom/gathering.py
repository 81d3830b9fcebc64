"""The files of data sets and weights, as olhar finds them, by their paths in a pack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from olhar.archives import Source
from olhar.classroom.manifest import DATA, WEIGHTS
from olhar.datasets import NAMED, PhotoFolder, named_files, open_source
from olhar.datasets.layout import GROUPS
from olhar.errors import DataError, MissingFileError, explain_os_errors
from olhar.i18n import _
from olhar.networks.backbones import BACKBONES
from olhar.pipeline.backbone import find_weights, weights_folders
from olhar.progress import Progress
from olhar.stores.names import is_portable

_RESERVED = "weights"  # a folder of its own beside the data sets


def gather_data(
    given: str, progress: Progress, *, download: bool
) -> tuple[str, str, dict[str, Source]]:
    """A data set's name, its kind ("named" or "folder"), and its files.

    Args:
        given: a name, or the path of a folder of photos.
        progress: hears of a download.
        download: a named set that is not on this computer.

    Raises:
        UnknownNameError: it is neither.
        DataError: the folder has no classes of photos, or a name that not every system can have.
    """
    if given in NAMED:
        return given, "named", _by_path(given, named_files(given, progress, download=download))
    source = open_source(given, progress)
    if not isinstance(source, PhotoFolder):
        raise DataError(
            _(
                "'{given}' is in a store, and cannot be packed; pull it (olhar data pull {given}), or "
                "name a data set or a folder of photos",
                given=given,
            )
        )
    if source.origin is not None:
        raise DataError(
            _(
                "'{given}' cannot be packed as it is; make a folder of photos of it (olhar data export "
                "{given} --format folder --out FOLDER), and name that",
                given=given,
            )
        )
    root = source.path.resolve()
    if not is_portable(root.name) or root.name.lower() in {_RESERVED, *NAMED}:
        raise DataError(
            _(
                "the folder '{path}' cannot keep its name in a pack; rename it, such as to photos",
                path=root,
            )
        )
    files = [*source.files, *([GROUPS] if (root / GROUPS).is_file() else [])]
    found = {f"{DATA}/{root.name}/{Path(file).as_posix()}": root / file for file in files}
    return root.name, "folder", dict(found)


def _by_path(name: str, files: Iterable[Path]) -> dict[str, Source]:
    return {f"{DATA}/{name}/{file.name}": file for file in files}


def gather_weights(given: Sequence[str]) -> dict[str, Source]:
    """Files of weights.

    Args:
        given: paths of files, names of backbones, or names of files in $OLHAR_DATA/weights or the
            cache, with or without their suffix.

    Raises:
        MissingFileError: there is none.
    """
    found: dict[str, Source] = {}
    for name in given:
        file = _weights_file(name)
        found[f"{WEIGHTS}/{file.name}"] = file
    return found


def _weights_file(given: str) -> Path:
    with explain_os_errors(given):
        if given and Path(given).is_file():
            return Path(given).resolve()
        packaged = find_weights(given) if given in BACKBONES else None
        if packaged is not None:
            return packaged
        places = [place for place in weights_folders() if place.is_dir()]
        there = [file for place in places for file in sorted(place.iterdir())]
    for file in there:
        if given in {file.name, file.stem} and file.is_file():
            return file
    raise MissingFileError(
        _(
            "there are no weights '{given}', neither as a file nor in $OLHAR_DATA/weights; allowed: a "
            "file, the name of a backbone whose weights are here, or one of: {names}",
            given=given,
            names=", ".join(file.name for file in there) or "-",
        )
    )
