"""Single checks: Python, places, language, clock, ports, data sets."""

from __future__ import annotations

import datetime
import locale
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from olhar._version import __version__
from olhar.cache_place import cache_folder
from olhar.classroom.results import NOTE, OK, PROBLEM, Check
from olhar.datasets import NAMED, named_files
from olhar.datasets.cache import load_cached
from olhar.errors import ChecksumError, MissingFileError, OlharError, explain_os_errors
from olhar.i18n import Text, _, language, number

_PORTS = {"olhar serve": 8080, "olhar board": 8090}
_FULL_MB, _NARROW_MB = 500, 3_000
_EARLIEST = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)  # before this olhar was made


def check_python() -> Check:
    """Python and the system."""
    facts = {
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "environment": sys.prefix != sys.base_prefix,
    }
    text = _("Python {python} on {system}", python=facts["python"], system=facts["system"])
    if facts["environment"]:
        return Check("installed", "python", OK, text, None, facts)
    step = _(
        "a virtual environment keeps olhar's libraries apart from others: python -m venv olhar-env"
    )
    return Check("installed", "python", NOTE, text, step, facts)


def check_olhar() -> Check:
    """Which olhar."""
    folder = Path(__file__).parents[1]
    text = _("olhar {version} in {path}", version=__version__, path=folder)
    return Check(
        "installed", "olhar", OK, text, None, {"version": __version__, "path": str(folder)}
    )


def check_machine() -> Iterator[Check]:
    """Places to write, space, text, clock and ports."""
    yield _check_place("cache", cache_folder())
    yield _check_place("runs", Path.cwd() / "runs")
    yield _check_text()
    yield _check_clock()
    for command, port in _PORTS.items():
        yield _check_port(command, port)


def _check_place(name: str, folder: Path) -> Check:
    """Whether files can be made in it, or where it would be made, and how much space there is."""
    facts: dict[str, object] = {"path": str(folder)}
    try:
        with explain_os_errors(folder):
            there = next(place for place in (folder, *folder.parents) if place.exists())
            with tempfile.TemporaryFile(dir=there):
                pass
            free_mb = shutil.disk_usage(there).free // 10**6
    except OlharError as error:
        step = _("make it writable") if name == "runs" else _("set OLHAR_CACHE to another folder")
        return Check("works", f"write {name}", PROBLEM, _("{error}", error=error), step, facts)
    facts["free_mb"] = free_mb
    text = _(
        "{path} can be written; {free} GB are free", path=folder, free=number(free_mb / 1000, 1)
    )
    if free_mb >= _NARROW_MB:
        return Check("works", f"write {name}", OK, text, None, facts)
    status = PROBLEM if free_mb < _FULL_MB else NOTE
    step = _("free some space: CIFAR-10 takes 0.4 GB, PyTorch 0.8 GB")
    return Check("works", f"write {name}", status, text, step, facts)


def _check_text() -> Check:
    encoding, files = locale.getpreferredencoding(do_setlocale=False), sys.getfilesystemencoding()
    facts = {"encoding": encoding, "file_names": files, "language": language()}
    text = _(
        "language {language}, text in {encoding}, file names in {files}",
        language=facts["language"],
        encoding=encoding,
        files=files,
    )
    if encoding.lower().replace("-", "") == files.lower().replace("-", "") == "utf8":
        return Check("works", "text", OK, text, None, facts)
    step = _("set PYTHONUTF8=1, so that accents in names of files and classes are kept")
    return Check("works", "text", NOTE, text, step, facts)


def _check_clock() -> Check:
    now = datetime.datetime.now(datetime.UTC)
    facts = {"utc": now.isoformat(timespec="seconds")}
    text = _("the clock says {time} UTC", time=now.strftime("%Y-%m-%d %H:%M"))
    if now >= _EARLIEST:
        return Check("works", "clock", OK, text, None, facts)
    step = _("set the clock: S3 and https refuse requests from the past")
    return Check("works", "clock", PROBLEM, text, step, facts)


def _check_port(command: str, port: int) -> Check:
    """Whether the command could listen where it does by default, on this computer alone."""
    facts = {"port": port}
    try:
        with socket.socket() as listener:
            if os.name == "posix":  # as the server does: a port just left is free
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
    except OSError:
        text = _("port {port} of {command} is taken", port=port, command=command)
        step = _("{command} --port 0 takes a free one", command=command)
        return Check("works", f"port {port}", NOTE, text, step, facts)
    text = _("port {port} of {command} is free", port=port, command=command)
    return Check("works", f"port {port}", OK, text, None, facts)


def check_data() -> Iterator[Check]:
    """OLHAR_DATA, and each named data set: decoded, found whole, damaged, or not here."""
    given = os.environ.get("OLHAR_DATA")
    facts = {"path": given}
    if not given:
        text = _("OLHAR_DATA is not set: data sets come from the cache, or from their makers")
        yield Check("works", "OLHAR_DATA", OK, text, None, facts)
    elif Path(given).expanduser().is_dir():
        text = _("OLHAR_DATA is {path}", path=given)
        yield Check("works", "OLHAR_DATA", OK, text, None, facts)
    else:
        text = _("OLHAR_DATA is '{path}', which is not a folder", path=given)
        step = _("name the folder where the data sets lie, or unset it")
        yield Check("works", "OLHAR_DATA", PROBLEM, text, step, facts)
        return
    for name in NAMED:
        yield _check_set(name)


def _check_set(name: str) -> Check:
    group, called = "works", f"data:{name}"
    if load_cached(name) is not None:
        text = _("data set {name}: decoded in the cache", name=name)
        return Check(group, called, OK, text, None, {"state": "cached"})
    try:
        files = named_files(name, download=False)
    except MissingFileError:
        text = _("data set {name}: not here", name=name)
        return Check(group, called, NOTE, text, _fetch_step(name), {"state": "absent"})
    except ChecksumError as error:
        text = _("data set {name}: {error}", name=name, error=error)
        step = _("replace the file, or remove it")
        return Check(group, called, PROBLEM, text, step, {"state": "damaged"})
    except OlharError as error:
        text = _("data set {name}: {error}", name=name, error=error)
        return Check(group, called, PROBLEM, text, None, {"state": "unreadable"})
    state = {"state": "found", "files": [str(file) for file in files]}
    if not files:
        text = _("data set {name}: part of olhar", name=name)
    else:
        text = _("data set {name}: found whole, {file}", name=name, file=files[0].parent)
    return Check(group, called, OK, text, None, state)


def _fetch_step(name: str) -> Text:
    return _(
        "the first use downloads it: olhar data {name}; or unpack a pack that has it: olhar unpack",
        name=name,
    )
