"""Installs olhar from the pack that this file lies in: python install.py [FOLDER], or python PACK.zip.

Plain Python, for a computer that has no olhar yet and no network. Its texts are in install.json.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import locale
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Dict, List  # noqa: UP035  an old Python has to get as far as its message

HERE = Path(__file__).absolute().parent


def main() -> int:
    """Check, install, unpack; returns the exit status."""
    texts, manifest = json.loads(_read("install.json")), json.loads(_read("manifest.json"))
    texts = texts[_language()]
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "olhar-env")
    wheels = [name for name in manifest["files"] if name.startswith("wheels/")]
    problem = _problem(texts, manifest, folder, wheels)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    print(texts["installing"].format(folder=folder), flush=True)
    with tempfile.TemporaryDirectory(prefix="olhar-") as aside:
        place = Path(aside)
        for name in wheels:
            content = _read(name)
            if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
                print(texts["damaged"].format(file=name), file=sys.stderr)
                return 2
            (place / Path(name).name).write_bytes(content)
        try:
            _run([sys.executable, "-m", "venv", str(folder)])
        except (OSError, subprocess.CalledProcessError):
            print(texts["venv"].format(folder=folder), file=sys.stderr)
            return 1
        wanted = "olhar[{}]".format(",".join(manifest["extras"])) if manifest["extras"] else "olhar"
        words = ["--isolated", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
        try:
            _run([_program(folder, "python"), "-m", "pip", *words, "--find-links", aside, wanted])
        except (OSError, subprocess.CalledProcessError):
            print(texts["failed"], file=sys.stderr)
            return 1
    return _unpack(texts, manifest, folder)


def _unpack(texts: Dict[str, str], manifest: Dict[str, Any], folder: Path) -> int:  # noqa: UP006
    olhar = _program(folder, "olhar")
    if manifest["data"] or manifest["weights"]:
        try:
            _run([olhar, "unpack", str(HERE)])
        except (OSError, subprocess.CalledProcessError):
            print(texts["unpack_failed"], file=sys.stderr)
            return 1
    if "serve" in manifest["extras"]:
        # Without it olhar is there all the same; why there is none was said.
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            _run([olhar, "studio", "my-project", "--shortcut"])
    print(texts["done"].format(command=olhar + " demo"))
    return 0


def _problem(
    texts: Dict[str, str],  # noqa: UP006
    manifest: Dict[str, Any],  # noqa: UP006
    folder: Path,
    wheels: List[str],  # noqa: UP006
) -> str:
    """Why nothing can be installed; "" where it can."""
    if not wheels:
        return texts["no_wheels"].format(pack=HERE)
    here = "%d.%d" % sys.version_info[:2]  # noqa: UP031
    targets = manifest["targets"]
    if here not in {target.split()[-1] for target in targets}:
        return texts["python"].format(here=here, targets=", ".join(targets))
    taken = folder.exists() and not (folder / "pyvenv.cfg").is_file()
    if taken and not (folder.is_dir() and not any(folder.iterdir())):
        command = "python install.py OTHER"
        return texts["taken"].format(folder=folder, command=command)
    return ""


def _run(command: List[str]) -> None:  # noqa: UP006
    """With this Python's own environment variables out of the way."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    subprocess.run(command, check=True, env=env)  # noqa: S603


def _program(folder: Path, name: str) -> str:
    windows = os.name == "nt"
    return str(folder / "Scripts" / (name + ".exe") if windows else folder / "bin" / name)


def _read(name: str) -> bytes:
    """A file of the pack: beside this one, or in the .zip that Python was started with."""
    if HERE.is_file():
        with zipfile.ZipFile(str(HERE)) as archive:
            return archive.read(name)
    return (HERE / name).read_bytes()


def _language() -> str:
    names = (os.environ.get(name) for name in ("OLHAR_LANG", "LC_ALL", "LC_MESSAGES", "LANG"))
    chosen = next((name for name in names if name), None) or locale.getlocale()[0] or ""
    return "pt_BR" if chosen.lower().startswith(("pt", "portug")) else "en"


if __name__ == "__main__":
    sys.exit(main())
