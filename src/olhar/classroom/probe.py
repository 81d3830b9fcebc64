"""Imports the libraries named on the command line, and prints what happens: a line of JSON each.

Run in a process of its own: a broken library may end the process, and a line before each import
tells which it was.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time


def main() -> None:
    """Import each; libraries that print do not disturb the lines."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for name in sys.argv[1:]:
        print(json.dumps({"begun": name}), file=lines, flush=True)
        begun = time.perf_counter()
        try:
            importlib.import_module(name)
            error = ""
        except BaseException as caught:  # noqa: BLE001  whatever a library raises is what is asked
            error = f"{type(caught).__name__}: {caught}".splitlines()[0]
        row = {"name": name, "error": error, "seconds": round(time.perf_counter() - begun, 3)}
        print(json.dumps(row), file=lines, flush=True)
    lines.flush()
    os._exit(0)  # some libraries take seconds to leave


if __name__ == "__main__":
    main()
