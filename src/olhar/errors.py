"""Every error that olhar raises on purpose.

    OlharError                      code                also a
    ├── ConfigError                 config              ValueError
    │   ├── UnknownNameError        unknown_name        (ValueError)
    │   └── NetworkSizeError        network_size        (ValueError)
    ├── DataError                   data                ValueError
    ├── ImageError                  image               ValueError
    │   └── ImageSizeError          image_size          (ValueError)
    ├── ModelError                  model               ValueError
    ├── ChecksumError               checksum            ValueError
    ├── MissingFileError            missing_file        FileNotFoundError
    ├── WrongPathError              wrong_path          OSError
    ├── RunExistsError              run_exists          FileExistsError
    ├── MissingExtraError           missing_extra       ImportError
    ├── NoPermissionError           no_permission       PermissionError
    ├── DownloadError               download            ConnectionError
    ├── StorageError                storage             OSError
    ├── MemoryLimitError            memory              MemoryError
    ├── ExportError                 export              RuntimeError
    ├── DivergedError               diverged            ArithmeticError
    ├── ClusterError                cluster             ConnectionError
    ├── StoreError                  store               ConnectionError
    └── DeployError                 deploy              RuntimeError

The first ten are wrong input or usage (exit status 2); the last eight are failures of the world or
of the arithmetic (exit status 1). A message says what was given, what is allowed, and what to do
next. Anything that is raised and is not an OlharError is a bug, and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from olhar.i18n import Text, _


class OlharError(Exception):
    """Base of every error raised on purpose. `code` is stable; `exit_status` is what the CLI returns."""

    code = "error"
    exit_status = 1

    def __init__(self, message: Text | str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return str(self.message)


class ConfigError(OlharError, ValueError):
    """A setting, flag or recipe that cannot be used."""

    code, exit_status = "config", 2


class UnknownNameError(ConfigError):
    """A name (of a data set, network, setting…) that does not exist; the nearest ones are listed."""

    code = "unknown_name"


class NetworkSizeError(ConfigError):
    """An input size that the arithmetic of a network does not allow."""

    code = "network_size"


class DataError(OlharError, ValueError):
    """A data set that cannot be used as it is."""

    code, exit_status = "data", 2


class ImageError(OlharError, ValueError):
    """A file or bytes that cannot be read as an image."""

    code, exit_status = "image", 2


class ImageSizeError(ImageError):
    """An image with more pixels than are allowed."""

    code = "image_size"


class ModelError(OlharError, ValueError):
    """A `model/` folder that is damaged, incomplete, or made by a newer olhar."""

    code, exit_status = "model", 2


class ChecksumError(OlharError, ValueError):
    """A file whose content is not what its checksum says."""

    code, exit_status = "checksum", 2


class MissingFileError(OlharError, FileNotFoundError):
    """A file or folder that is not there."""

    code, exit_status = "missing_file", 2


class WrongPathError(OlharError, OSError):
    """A path that cannot be what it is used for: a file in place of a folder, a name too long."""

    code, exit_status = "wrong_path", 2


class RunExistsError(OlharError, FileExistsError):
    """A run folder that is there already and was not to be overwritten."""

    code, exit_status = "run_exists", 2


class MissingExtraError(OlharError, ImportError):
    """A library that belongs to an extra which is not installed."""

    code, exit_status = "missing_extra", 2


class NoPermissionError(OlharError, PermissionError):
    """A file or folder that may not be read or written."""

    code, exit_status = "no_permission", 2


class DownloadError(OlharError, ConnectionError):
    """A download that failed."""

    code = "download"


class StorageError(OlharError, OSError):
    """The disk is full or failing, or the system opens no more files."""

    code = "storage"


class MemoryLimitError(OlharError, MemoryError):
    """More memory asked for than this machine has."""

    code = "memory"


class ExportError(OlharError, RuntimeError):
    """An exported model that does not agree with the network it came from."""

    code = "export"


class DivergedError(OlharError, ArithmeticError):
    """Training that came to NaN or infinity."""

    code = "diverged"


class ClusterError(OlharError, ConnectionError):
    """Other processes or machines that cannot be reached, or have gone."""

    code = "cluster"


class StoreError(OlharError, ConnectionError):
    """A store that cannot be reached, refuses the login, or does not do what it was asked."""

    code = "store"


class DeployError(OlharError, RuntimeError):
    """An endpoint or training elsewhere that fails, answers otherwise, or is refused."""

    code = "deploy"


_WRONG_PATH = frozenset(
    {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.EINVAL}
    | {errno.ELOOP}
)


def nearest(name: str, valid: Iterable[str]) -> list[str]:
    """The valid names most like `name`, best first; at most three."""
    lowered = {v.lower(): v for v in valid}
    found = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
    return [lowered[f] for f in found]


def unknown_name(kind: Text | str, name: str, valid: Iterable[str]) -> UnknownNameError:
    """The error for a `kind` of thing ("network", "setting"…) called `name` that does not exist."""
    valid = sorted(valid)
    close = nearest(name, valid)
    if close:
        return UnknownNameError(
            _(
                "unknown {kind} '{name}'; did you mean {close}?",
                kind=kind,
                name=name,
                close=", ".join(close),
            )
        )
    return UnknownNameError(
        _("unknown {kind} '{name}'; allowed: {valid}", kind=kind, name=name, valid=", ".join(valid))
    )


def machine_error(error: BaseException) -> OlharError | None:
    """Ours for what the machine lacks (open files, memory, threads), whatever was being read; else None."""
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return StorageError(
            _(
                "the system lets this process open no more files; raise its limit (ulimit -n), or ask for "
                "less at once"
            )
        )
    no_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
    no_thread = isinstance(error, RuntimeError) and "start new thread" in str(error)
    if isinstance(error, MemoryError) or no_memory or no_thread:
        return MemoryLimitError(
            _(
                "this machine, or its limit for this process, has too little memory for that; give it "
                "more, or take smaller photos or fewer at once"
            )
        )
    return None


@contextmanager
def explain_os_errors(path: Path | str | Text) -> Iterator[None]:
    """Turn the operating system's errors about `path` into ours."""
    try:
        yield
    except (OlharError, BrokenPipeError):
        raise
    except PermissionError as error:
        where = error.filename or path
        raise NoPermissionError(
            _(
                "no permission for '{path}'; change its permissions or choose another place",
                path=where,
            )
        ) from error
    except FileNotFoundError as error:
        raise MissingFileError(
            _(
                "there is no '{path}'; check the spelling and the current folder",
                path=error.filename or path,
            )
        ) from error
    except OSError as error:
        lack = machine_error(error)
        if lack is not None:
            raise lack from error
        if error.errno in _WRONG_PATH:
            raise WrongPathError(
                _(
                    "'{path}' cannot be used as a path: {reason}",
                    path=error.filename or path,
                    reason=error.strerror or error,
                )
            ) from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageError(
                _("the disk that holds '{path}' is full; free some space and try again", path=path)
            ) from error
        if error.errno == errno.EROFS:
            raise NoPermissionError(
                _(
                    "'{path}' is on a read-only disk; choose another place",
                    path=error.filename or path,
                )
            ) from error
        raise StorageError(
            _(
                "'{path}' cannot be used: {reason}",
                path=error.filename or path,
                reason=error.strerror or error,
            )
        ) from error
