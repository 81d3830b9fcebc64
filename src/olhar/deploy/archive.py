"""Folders as tar.gz: packed to the same bytes each time, and unpacked with nothing outside."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from olhar.archives import DAMAGE, DAMAGED_HEADERS, is_plain_file, tar_members, write_tar
from olhar.errors import DataError, OlharError, explain_os_errors
from olhar.i18n import _
from olhar.stores.manifest import is_inside

MOST_BYTES = 32 * 2**30  # of what is unpacked


def pack_files(files: Mapping[str, Path], target: Path) -> None:
    """Write a tar.gz without times, owners or this machine's order: equal files, equal archives.

    Args:
        files: by their paths in the archive.
        target: the archive.
    """
    with (
        explain_os_errors(target),
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
    ):
        write_tar(packed, sorted(files.items()))


def unpack_archive(
    archive: Path, target: Path, *, below: str = "", most_bytes: int = MOST_BYTES
) -> int:
    """Write the files of a tar.gz into an empty folder.

    Args:
        archive: the tar.gz.
        target: the folder.
        below: take only what lies in this folder of the archive, without its name.
        most_bytes: that all files together may have.

    Returns:
        How many files were written.

    Raises:
        DataError: it is no archive, or holds a link, a device, a path outside, or too much.
    """
    count, left = 0, most_bytes
    with explain_os_errors(target):
        try:
            with archive.open("rb") as file:
                for entry, content in tar_members(file):
                    name = entry.name.removeprefix("./")
                    left -= entry.size
                    if not is_plain_file(entry) or not is_inside(name) or left < 0:
                        raise _refused(archive, entry.name)
                    if below and not name.startswith(f"{below}/"):
                        continue
                    _write(content, target / name.removeprefix(f"{below}/" if below else ""))
                    count += 1
        except OlharError:
            raise
        except (*DAMAGE, *DAMAGED_HEADERS) as error:
            raise DataError(
                _("'{path}' is no readable archive: {reason}", path=archive.name, reason=error)
            ) from error
        except FileExistsError as error:
            raise _refused(archive, Path(error.filename).name) from error
    return count


def _write(content: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(content, file)


def _refused(archive: Path, name: str) -> DataError:
    return DataError(
        _(
            "'{path}' is refused at its entry '{name}': a link, a device, a path outside its "
            "folder, a name that is there twice, or more than can be meant; nothing was kept",
            path=archive.name,
            name=ascii(name),
        )
    )
