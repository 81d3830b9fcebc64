"""The wheel of olhar itself: put together from what is installed, or built from its source."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

from olhar._version import __version__
from olhar.classroom.pip import run_pip
from olhar.classroom.requirements import SOURCE
from olhar.errors import ConfigError, explain_os_errors
from olhar.i18n import _

# What an installer adds to a wheel, and makes anew.
_OF_THE_INSTALLER = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def build_own_wheel(folder: Path) -> Path:
    """Make olhar's wheel in `folder`.

    Raises:
        ConfigError: olhar was neither installed from a wheel nor runs from its source tree, or the
            build fails.
    """
    installed = _installed_files()
    if installed:
        return _wheel_of(installed, folder)
    if not (SOURCE / "pyproject.toml").is_file():
        raise ConfigError(
            _(
                "olhar in '{path}' was copied there without being installed, so no wheel can be made "
                "of it; install it with pip and try again",
                path=Path(__file__).parents[1],
            )
        )
    with explain_os_errors(SOURCE), tempfile.TemporaryDirectory(prefix="olhar-") as aside:
        copy = Path(aside) / "olhar"  # setuptools would leave its build/ in the source tree
        copy.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copyfile(SOURCE / name, copy / name)
        skipped = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
        shutil.copytree(SOURCE / "src", copy / "src", ignore=skipped)
        run_pip(["wheel", "--no-deps", "--wheel-dir", str(folder), str(copy)], _("olhar itself"))
    return next(folder.glob(f"olhar-{__version__}-*.whl"))


def _installed_files() -> dict[str, Path]:
    """The files of an olhar that was installed from a wheel, by their paths in it; else none."""
    try:
        own = metadata.distribution("olhar")
    except metadata.PackageNotFoundError:
        return {}
    if (
        own.read_text("WHEEL") is None
        or not Path(str(own.locate_file("olhar/__init__.py"))).is_file()
    ):
        return {}  # an editable installation
    found = {}
    for file in own.files or []:
        inside = file.parts[0] == "olhar" or file.parts[0].endswith(".dist-info")
        if inside and file.suffix != ".pyc" and file.name not in _OF_THE_INSTALLER:
            found[file.as_posix()] = Path(str(own.locate_file(file)))
    return found


def _wheel_of(files: dict[str, Path], folder: Path) -> Path:
    """A wheel (PyPA "Binary distribution format", 1.0) with a RECORD of its own."""
    wheel = folder / f"olhar-{__version__}-py3-none-any.whl"
    info = next(path.split("/")[0] for path in files if path.split("/")[0].endswith(".dist-info"))
    rows = []
    with explain_os_errors(wheel), zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            rows.append(f"{name},sha256={digest.decode()},{len(content)}\n")
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        rows.append(f"{info}/RECORD,,\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "".join(rows))
    return wheel
