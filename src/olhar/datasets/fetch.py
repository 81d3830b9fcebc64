"""Downloads: resumable, checked by md5, renamed into place when whole.

Does not know: data sets, or where their files belong.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.errors import ChecksumError, DownloadError, OlharError, explain_os_errors
from olhar.files import sha256_file
from olhar.i18n import _

if TYPE_CHECKING:
    from rich.progress import Progress

_CHUNK_BYTES, _MD5_DIGITS = 2**16, 32
_NETWORK_ERRORS = (OSError, http.client.HTTPException)
_LOCKED_BY_ANOTHER = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


def md5_file(path: Path) -> str:
    """Hex md5 of a file's bytes: the checksum that the makers of the data sets published."""
    with explain_os_errors(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return digest.hexdigest()


def md5_bytes(content: bytes) -> str:
    """Hex md5 of bytes."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def wrong_md5(path: Path, found: str, expected: str) -> ChecksumError:
    """The error for a file that is there, but whose md5 is `found` where `expected` was."""
    return ChecksumError(
        _(
            "'{path}' is not the published file: its md5 is {found}, expected {expected}; delete "
            "it, then download it again or let olhar do so",
            path=path,
            found=found,
            expected=expected,
        )
    )


def fetch(url: str, path: Path, md5: str, *, timeout_s: float = 30) -> Path:
    """Download `url` to `path`, unless the right file is there already.

    What has come so far lies in `<path>.part`; a cut connection is taken up where it stopped, at
    once while that makes progress, else at the next call. Of several processes that fetch the same
    file one downloads, the others wait for it.

    Args:
        url: http or https.
        path: where the file goes.
        md5: of the whole file, 32 hex digits.
        timeout_s: seconds without a sign of life after which the connection counts as lost.

    Returns:
        `path`.

    Raises:
        DownloadError: there is no connection, or the server refuses.
        ChecksumError: what came has another md5; it is removed.
        StorageError, NoPermissionError: the file cannot be written.
    """
    return _fetch(url, path, md5_file, md5, timeout_s)


def fetch_sha256(url: str, path: Path, prefix: str, *, timeout_s: float = 30) -> Path:
    """As `fetch`, where the makers published the first hex digits of the sha256."""
    return _fetch(url, path, lambda file: sha256_file(file)[: len(prefix)], prefix, timeout_s)


def _fetch(
    url: str, path: Path, checksum: Callable[[Path], str], expected: str, timeout_s: float
) -> Path:
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with only_process(path.with_name(path.name + ".lock")):
            if not (path.is_file() and checksum(path) == expected):
                part = path.with_name(path.name + ".part")
                _download(url, part, timeout_s)
                _check(url, part, checksum(part), expected)
                part.replace(path)
    return path


def _check(url: str, part: Path, found: str, expected: str) -> None:
    if found != expected:
        part.unlink(missing_ok=True)
        raise ChecksumError(
            _(
                "what came from {url} has the {kind} {found}, expected {expected}; it was removed: "
                "try again, and if it comes again look for the file elsewhere",
                url=url,
                kind="md5" if len(expected) == _MD5_DIGITS else "sha256",
                found=found,
                expected=expected,
            )
        )


def _download(url: str, part: Path, timeout_s: float) -> None:
    """Fill `part` from `url`, going on after each cut as long as `part` grows."""
    with _progress_bar(part.stem) as progress:
        while True:
            before = _size_bytes(part)
            try:
                if _receive(url, part, timeout_s, progress):
                    return
                reason: object = _("the connection was cut")
            except OlharError:
                raise
            except _NETWORK_ERRORS as error:
                reason = getattr(error, "reason", None) or error
                if isinstance(error, urllib.error.HTTPError):
                    reason = f"{error.code} {error.reason}"
                    error.close()
            if _size_bytes(part) <= before:
                raise _download_error(url, part, reason)


def _download_error(url: str, part: Path, reason: object) -> DownloadError:
    if isinstance(reason, ssl.SSLError):
        return DownloadError(
            _(
                "{url} could not be downloaded: the certificate is not trusted here ({reason}). A proxy of "
                "your network may open secure connections: ask for its certificate, in PEM form, and set "
                "SSL_CERT_FILE=FILE; check also the clock of this computer. Or put {file} into the "
                "folder that OLHAR_DATA names",
                url=url,
                reason=getattr(reason, "verify_message", "") or reason,
                file=part.stem,
            )
        )
    return DownloadError(
        _(
            "{url} could not be downloaded: {reason}; check the connection and try again (it goes "
            "on where it stopped), or put {file} into the folder that OLHAR_DATA names",
            url=url,
            reason=reason,
            file=part.stem,
        )
    )


def _receive(url: str, part: Path, timeout_s: float, progress: Progress) -> bool:
    """Receive until the end or a cut; False if it was a cut."""
    start = _size_bytes(part)
    headers = {"User-Agent": "olhar"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (http: the md5 is checked)
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        error.close()
        if error.headers.get("Content-Range") == f"bytes */{start}":
            return True  # everything had come already
        part.unlink()
        return _receive(url, part, timeout_s, progress)
    with response:
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if not (response.status == http.HTTPStatus.PARTIAL_CONTENT and resumed):
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        progress.update(progress.task_ids[0], completed=start, total=total)
        with explain_os_errors(part):
            file = part.open("ab" if start else "wb", buffering=0)
        with file:
            _copy(response, file, part, progress)
            return total is None or file.tell() >= total


def _copy(response: http.client.HTTPResponse, file: FileIO, part: Path, progress: Progress) -> None:
    while chunk := response.read1(_CHUNK_BYTES):
        rest = memoryview(chunk)
        with explain_os_errors(part):
            while rest:
                rest = rest[file.write(rest) :]
        progress.advance(progress.task_ids[0], len(chunk))


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _progress_bar(file_name: str) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal; its one task is a download."""
    from rich import progress as rich_progress
    from rich.console import Console

    with rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:
        progress.add_task(str(_("downloading {file}", file=file_name)), total=None)
        yield progress


@contextmanager
def only_process(lock: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same `lock` file.

    The system frees the lock when its process ends, however it ends. Where a file system has no
    locks, nobody waits, and the md5 tells if two downloads got in each other's way.
    """
    with lock.open("ab") as file:
        while True:
            try:
                _lock(file.fileno())
                break
            except OSError as error:
                if error.errno not in _LOCKED_BY_ANOTHER:
                    break
                time.sleep(0.2)
        yield


def _lock(descriptor: int) -> None:
    """Lock an open file until it is closed; OSError if another process has."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
