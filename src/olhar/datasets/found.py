"""The files that a named data set is read from, found and checked, for those who hand them on."""

from __future__ import annotations

from pathlib import Path

from olhar.datasets import cifar100, named
from olhar.datasets.fetch import fetch, md5_bytes, wrong_md5
from olhar.datasets.places import data_files, download_folder
from olhar.errors import ChecksumError, MissingFileError, unknown_name
from olhar.i18n import _


def named_files(name: str, *, download: bool) -> tuple[Path, ...]:
    """The published files of a data set on this computer, each checked by the md5 of its content.

    Args:
        name: one of `NAMED`.
        download: fetch from the makers what is not here.

    Returns:
        An archive or six batches for cifar10, an archive or two files for cifar100, four files for
        mnist and fashion_mnist, none for digits, which is part of scikit-learn.

    Raises:
        UnknownNameError: there is no such name.
        MissingFileError: a file is not here, and `download` is false.
        ChecksumError: what is here is damaged or not the published file.
        DownloadError: a file cannot be fetched.
    """
    if name not in named.NAMED:
        raise unknown_name(_("data set"), name, named.NAMED)
    if name == "digits":
        return ()
    if name == "cifar10":
        return _cifar10_files(download=download)
    if name == "cifar100":
        return _cifar100_files(download=download)
    return tuple(_idx_file(name, stem, download=download) for stem in named._IDX_SIZE_BYTES)


def _cifar10_files(*, download: bool) -> tuple[Path, ...]:
    fetched = download_folder("cifar10") / "cifar-10-python.tar.gz"
    rejected: ChecksumError | None = None
    for source in (*named._cifar10_sources(), *([fetched] if fetched.is_file() else [])):
        try:
            _check_batches(source)
        except ChecksumError as error:
            rejected = rejected or error
            continue
        if source.is_dir():
            return tuple(source / batch for batch in named._BATCH_MD5)
        return (source,)
    if rejected:
        raise rejected
    if not download:
        raise _missing("cifar10", fetched.name)
    return (fetch(named._CIFAR10_URL, fetched, named._CIFAR10_MD5),)


def _cifar100_files(*, download: bool) -> tuple[Path, ...]:
    found = cifar100.find_files()
    if found:
        return found
    if not download:
        raise _missing("cifar100", cifar100.ARCHIVE)
    return (cifar100.fetch_archive(),)


def _check_batches(source: Path) -> None:
    missing = dict(named._BATCH_MD5)
    for batch, content in named._batches(source):
        found = md5_bytes(content)
        if found != named._BATCH_MD5[batch]:
            raise wrong_md5(source / batch, found, named._BATCH_MD5[batch])
        missing.pop(batch, None)
        if not missing:
            return
    raise ChecksumError(
        _(
            "'{path}' is incomplete: {missing} is missing; delete it, then download it again or "
            "let olhar do so",
            path=source,
            missing=", ".join(missing),
        )
    )


def _idx_file(name: str, stem: str, *, download: bool) -> Path:
    gz_md5, content_md5 = named._IDX_MD5[name][stem]
    fetched = download_folder(name) / f"{stem}-idx{3 if 'images' in stem else 1}-ubyte.gz"
    rejected: ChecksumError | None = None
    for path in (*data_files(), *([fetched] if fetched.is_file() else [])):
        if named._idx_stem(path) != stem:
            continue
        try:
            found = md5_bytes(named._unpack_idx(path, stem))
        except ChecksumError as error:
            rejected = rejected or error
            continue
        if found == content_md5:
            return path
        others = {md5s[stem][1] for other, md5s in named._IDX_MD5.items() if other != name}
        if found not in others and named._is_meant(path, name):
            rejected = rejected or wrong_md5(path, found, content_md5)
    if rejected:
        raise rejected
    if not download:
        raise _missing(name, fetched.name)
    return fetch(named._IDX_URL[name] + fetched.name, fetched, gz_md5)


def _missing(name: str, file: str) -> MissingFileError:
    return MissingFileError(
        _(
            "data set '{name}' is not on this computer: {file} was not found; put it into the folder "
            "that OLHAR_DATA names, or let olhar download it: olhar data {name}",
            name=name,
            file=file,
        )
    )
