"""Where the data of a run lies, for whoever goes on with it or measures it from another folder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from olhar.datasets.source import ALL_NAMES
from olhar.datasets.stored import is_stored
from olhar.errors import MissingFileError, OlharError, explain_os_errors
from olhar.i18n import _
from olhar.run import RunFolder
from olhar.shown import hide_secrets, readable_name

BEGUN_IN = "begun_in"  # in config.toml: the folder from which relative paths of the run count


def present_folder() -> str:
    """The folder in which this command was given, "" where it is gone or its name is no text."""
    with suppress(OSError):
        here = str(Path.cwd())
        return here if readable_name(here) == here else ""
    return ""


def recorded_data(model: Path) -> tuple[dict[str, Any], str]:
    """The [data] table of the run of a model, and where it was begun; nothing where there is no run.

    Args:
        model: a run folder, or a `model/` folder in one.
    """
    for folder in (model, model.absolute().parent):
        with suppress(OlharError):
            config = RunFolder(folder).read_config()
            return dict(config["data"]), str(config.get(BEGUN_IN, ""))
    return {}, ""


def from_there(path: str, place: str) -> str:
    """A path as it was given in folder `place`, as it is found from here: the same where it may be."""
    typed = Path(path).expanduser()
    there = Path(place) / typed
    with explain_os_errors(path):
        is_elsewhere = bool(place) and there.exists() and there.resolve() != typed.resolve()
    return str(there) if is_elsewhere else path


def locate_data(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A [data] table whose paths are found from here.

    Args:
        table: of the run; its paths as they were given.
        place: where the run was begun, "" if that is not known.

    Raises:
        MissingFileError: the data is neither there nor here.
    """
    name = str(table["name"])
    found = dict(table)
    if "photos" in table:
        found["photos"] = from_there(str(table["photos"]), place)
    if name in ALL_NAMES or is_stored(name):
        return found
    found["name"] = from_there(name, place)
    with explain_os_errors(name):
        is_there = Path(found["name"]).expanduser().exists()
    if not is_there:
        raise MissingFileError(
            _(
                "the data of this run is not where it was: there is no '{path}'; say where it is now "
                "with --data FOLDER",
                path=Path(place) / Path(name).expanduser(),
            )
        )
    return found


def record_data(folder: RunFolder, config: Mapping[str, Any], data: str) -> None:
    """Record in config.toml where the data of a run is now."""
    with explain_os_errors(data):
        is_path = not is_stored(data) and Path(data).expanduser().exists()
    name = str(Path(data).expanduser().absolute()) if is_path else hide_secrets(data)
    folder.write_config({**config, "data": {**config["data"], "name": name}})


def is_at_its_place(table: Mapping[str, Any], place: str) -> bool:
    """Whether the data of a [data] table lies where it lay when the run was begun, or that is not known."""
    name = str(table["name"])
    return not place or is_stored(name) or (Path(place) / Path(name).expanduser()).exists()
