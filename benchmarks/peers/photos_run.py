"""Run a peer's script as its user would, and write what it answered to the test photos.

    python photos_run.py ANSWERS SCRIPT SET [WORD ...]

The script leaves `files` (test photos) and `answers` (a class name each). What it prints stays as it
is; imports and the writing are in the time of the process.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from importlib.metadata import version
from pathlib import Path

from tutorial import allow_torchvision


def import_torchvision() -> object:
    """Imports it; where its operators do not fit the installed torch, after they were declared."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        return allow_torchvision()
    return None


def main() -> None:
    answers, script, photos, *words = sys.argv[1:]
    kept = import_torchvision()
    sys.argv = [script, photos, *words]
    left = runpy.run_path(script, run_name="__main__")
    test = Path(photos) / "test"
    told = {
        Path(file).relative_to(test).as_posix(): str(answer)
        for file, answer in zip(left["files"], left["answers"], strict=True)
    }
    libraries = ["torch", "torchvision"] + (["fastai"] if "fastai" in sys.modules else [])
    record = {"answers": told, "versions": {name: version(name) for name in libraries}}
    Path(answers).write_text(json.dumps(record), encoding="utf-8")
    del kept


if __name__ == "__main__":
    main()
