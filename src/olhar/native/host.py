"""C compiled on this machine, and called from Python."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from olhar.errors import ExportError, MissingExtraError, StorageError
from olhar.i18n import _

SOURCES = Path(__file__).parent / "c"
WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
_COMPILERS = ("cc", "gcc", "clang")
_COMPILE_S = 300


def find_compiler() -> tuple[str, ...] | None:
    """The command of a C compiler of this machine; None where there is none."""
    for name in _COMPILERS:
        path = shutil.which(name)
        if path:
            return (path,)
    if importlib.util.find_spec("ziglang"):
        return sys.executable, "-m", "ziglang", "cc"
    return None


def require_compiler() -> tuple[str, ...]:
    """`find_compiler`.

    Raises:
        MissingExtraError: there is none.
    """
    found = find_compiler()
    if found is None:
        raise MissingExtraError(
            _(
                "this needs a C compiler, and there is none on this machine (cc, gcc and clang were "
                "looked for); pip install ziglang brings one"
            )
        )
    return found


def compile_library(sources: Sequence[Path], library: Path, *, exact: bool = False) -> None:
    """C files → a shared library for this process.

    Args:
        sources: the C files; a header may lie beside any of them.
        library: the file to write.
        exact: for numbers with a point: no two operations become one with another rounding.

    Raises:
        MissingExtraError: there is no C compiler.
        ExportError: it refuses the C, which is a fault of olhar's.
    """
    folders = dict.fromkeys(source.parent for source in sources)
    command = [
        *require_compiler(),
        *WARNINGS,
        "-O3",
        *(("-ffp-contract=off",) if exact else ("-march=native",)),
        "-fPIC",
        "-shared",
        *(f"-I{folder}" for folder in folders),
        *map(str, sources),
        "-o",
        str(library),
    ]
    run_compiler(command)


def run_compiler(command: Sequence[str]) -> str:
    """Run a compiler; what it prints.

    Raises:
        ExportError: it ends otherwise than well.
    """
    try:
        done = subprocess.run(  # noqa: S603  a compiler on files of olhar's
            command, capture_output=True, timeout=_COMPILE_S, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(_("the C compiler does not run: {reason}", reason=error)) from error
    if done.returncode:
        raise ExportError(
            _(
                "the C compiler {command} refuses olhar's C: {reason}. Please report it",
                command=command[0],
                reason=done.stderr.strip()[-2000:],
            )
        )
    return done.stdout


def load_library(sources: Sequence[Path], *, exact: bool = False) -> ctypes.CDLL:
    """`compile_library`, loaded; no file stays."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="olhar-", ignore_cleanup_errors=True)
            )
        except OSError as error:
            raise StorageError(
                _("there is no folder for temporary files; name one that is writable in TMPDIR")
            ) from error
        path = Path(folder) / "library.so"
        compile_library(sources, path, exact=exact)
        return ctypes.CDLL(str(path))
