"""New versions of the models that are being served, taken over without dropping a request.

A request keeps the version that it began with; the next one gets the new. A new version that cannot
be loaded is refused, and the old one goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from olhar.classifier import model_folder
from olhar.errors import OlharError
from olhar.files import change_mark
from olhar.serving.served import load_served
from olhar.serving.settings import ServeState

log = logging.getLogger("olhar.serving")
Signature = tuple[tuple[str, int, int], ...]


async def reload_models(state: ServeState, paths: Mapping[str, Path], cores: int) -> None:
    """Look at every model's folder again and again; ends only when it is cancelled.

    Args:
        state: its `models` are replaced.
        paths: run or model folder by the model's name.
        cores: see `load_served`.
    """
    seen = {name: folder_signature(path) for name, path in paths.items()}
    while True:
        await asyncio.sleep(state.settings.reload)
        for name, path in paths.items():
            now = await asyncio.to_thread(folder_signature, path)
            if now == seen[name]:
                continue
            # Whoever is still writing changes the signature again, and is looked at again.
            seen[name] = now
            await asyncio.to_thread(_reload, state, name, path, cores)


def folder_signature(path: Path) -> Signature:
    """Name, mark of change and size of each file of a model; empty where there is none."""
    try:
        files = sorted(model_folder(path).iterdir())
        stats = [(file.name, file.stat()) for file in files if not file.name.startswith(".")]
    except OSError:  # an OlharError about a path is one too
        return ()
    return tuple((name, change_mark(stat), stat.st_size) for name, stat in stats)


def _reload(state: ServeState, name: str, path: Path, cores: int) -> None:
    old = state.models[name]
    try:
        new = load_served(name, path, cores)
    except OlharError as error:
        log.warning("model %r: new version refused, %s serves on: %s", name, old.version, error)
        return
    if new.digest != old.digest:
        state.models[name] = new
        log.warning("model %r: version %s replaced by %s", name, old.version, new.version)
