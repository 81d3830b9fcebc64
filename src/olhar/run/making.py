"""New run folders, and those that take the place of another. Only a run's own files are ever removed.

Does not know: what is in a run's files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError, ModelError, RunExistsError, explain_os_errors
from olhar.i18n import _
from olhar.locks import lock_folder
from olhar.run.folder import RunFolder
from olhar.shown import quoted

NEW = ".new"  # at the end of a run's name: it is to replace the run without it
# Of a sweep's trial, of the demo, and of a process that trains.
_OTHER_FILES = frozenset({"error.txt", "sample.png", ".lock"})


def create_run(path: Path, config: Mapping[str, Any], *, overwrite: bool = False) -> RunFolder:
    """Make a run folder with its config.toml, in one step.

    Where a run stands at `path`, the new one is made beside it, as `path`.new, and takes its place
    when it has ended (`take_place`): until then the old run stays whole.

    Raises:
        RunExistsError: a run is there and `overwrite` is false.
        ConfigError: something is there that olhar did not write, or another process trains there.
    """
    replaces = check_run_path(path, overwrite=overwrite)
    place = path.with_name(path.name + NEW) if replaces else path
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if replaces and place.exists():  # left by an interrupted training with --overwrite
            with hold(RunFolder(place)):
                remove_run(RunFolder(place))
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            aside.chmod(0o755)
            RunFolder(aside).write_config({"replaces": path.name, **config} if replaces else config)
            details = RunFolder(path).card_details
            if replaces and details.is_file():  # what people wrote is kept
                shutil.copyfile(details, RunFolder(aside).card_details)
            if place.is_dir():
                place.rmdir()  # it is empty; a folder of this name would stop Windows
            aside.rename(place)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return RunFolder(place)


def check_run_path(path: Path, *, overwrite: bool) -> bool:
    """Refuse a path that cannot become a run folder; True where a run stands there already.

    Raises:
        RunExistsError: it is there and `overwrite` is false.
        ConfigError: it is there and holds what olhar did not write, or is no name at all.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(_("--run {path} is not valid text", path=repr(str(path)))) from error
    if path.name in {"", ".."}:
        raise ConfigError(
            _("--run '{path}' is no name; give the folder a name, such as runs/first", path=path)
        )
    with explain_os_errors(path):
        taken = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if not taken:
        return False
    if overwrite:
        _require_replaceable(path)
        beside = path.with_name(path.name + NEW)
        if os.path.lexists(beside):
            _require_replaceable(beside)
        return True
    raise RunExistsError(
        _(
            "'{path}' exists already; choose another --run, add --overwrite, or go on with it: "
            "olhar resume {run}",
            path=path,
            run=quoted(path),
        )
    )


def _require_replaceable(path: Path) -> None:
    """Raise ConfigError unless `path` is a run and holds nothing else than the files of one."""
    with explain_os_errors(path):
        is_run = not path.is_symlink() and (path / "config.toml").is_file()
    if not is_run:
        raise ConfigError(
            _(
                "'{path}' is not a run folder (it has no config.toml), so it will not be replaced; "
                "choose another --run",
                path=path,
            )
        )
    try:
        config = RunFolder(path).read_config()
    except ModelError as error:
        raise ConfigError(
            _(
                "'{path}' will not be replaced, since its config.toml is no run's: {reason}; choose "
                "another --run",
                path=path,
                reason=error,
            )
        ) from error
    if not {"olhar", "data", "network"} <= config.keys():
        raise ConfigError(
            _(
                "'{path}' will not be replaced, since its config.toml is not olhar's; choose "
                "another --run",
                path=path,
            )
        )
    others = foreign_files(RunFolder(path))
    if others:
        raise ConfigError(
            _(
                "'{path}' will not be replaced: it holds {count} file(s) or folder(s) that are not "
                "the run's ({names}); move them elsewhere or choose another --run",
                path=path,
                count=len(others),
                names=", ".join([*others[:3], *(["…"] if len(others) > 3 else [])]),
            )
        )


def foreign_files(folder: RunFolder) -> list[str]:
    """What lies in a run folder and is none of a run's files: relative paths, sorted.

    Links count, whatever their name: olhar makes none.
    """
    with explain_os_errors(folder.path):
        return sorted(
            path.relative_to(folder.path).as_posix()
            for path in folder.path.rglob("*")
            if path.is_symlink() or not _is_own(folder, path.relative_to(folder.path))
        )


def _is_own(folder: RunFolder, path: Path) -> bool:
    """Whether a relative path in a run folder is one of a run's."""
    from olhar.classifier import FILES  # loads NumPy, which no list of runs needs

    first, *rest = path.parts
    if first == "tensorboard":
        return all(name.startswith("events.out.tfevents") for name in rest)
    if first == "wandb":  # its library names what is in it
        return folder.trackers.is_file()
    own = {one.name for one in vars(folder).values() if one != folder.path} | _OTHER_FILES
    own |= {f"{Path(name).stem}.svg" for name in own if name.endswith(".png")}
    if not rest:
        return first in own or _is_aside(first, own)
    in_model = first == folder.model.name or _is_aside(first, {folder.model.name})
    return in_model and len(rest) == 1 and (rest[0] in FILES or _is_aside(rest[0], FILES))


def _is_aside(name: str, own: Set[str]) -> bool:
    """Whether a killed process was writing one of the files or folders `own` under this name."""
    stem, _dot, number = name.removeprefix(".").partition(".")
    return name.startswith(".") and bool(number) and stem in {Path(one).stem for one in own}


def remove_run(folder: RunFolder) -> bool:
    """Remove the files of a run, and nothing else; False where something else keeps the folder."""
    kept = set(foreign_files(folder))
    with explain_os_errors(folder.path):
        paths = sorted(folder.path.rglob("*"), key=lambda path: -len(path.parts))
        for path in paths:
            if path.relative_to(folder.path).as_posix() in kept:
                continue
            if path.is_dir():
                with contextlib.suppress(OSError):  # not empty: it holds what is not the run's
                    path.rmdir()
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.path.rmdir()
    return not folder.path.exists()


def take_place(folder: RunFolder) -> RunFolder:
    """Let a run that has ended take the place of the one that it was made to replace, if any.

    The old run is renamed before it is removed, so that whenever a process is killed both are there.

    Raises:
        ConfigError: the old run now holds what olhar did not write; both stay.
    """
    config = folder.read_config()
    name = config.pop("replaces", None)
    if name is None or folder.path.name != f"{name}{NEW}":  # somebody has renamed it
        return folder
    target = folder.path.with_name(name)
    with explain_os_errors(target):
        if target.exists():
            _require_replaceable(target)
        folder.write_config(config)
        if target.exists():
            old = RunFolder(free_run_path(f"{name}.old", target.parent))
            target.rename(old.path)
            folder.path.rename(target)
            remove_run(old)
        else:
            folder.path.rename(target)
    return RunFolder(target)


def hold(folder: RunFolder) -> AbstractContextManager[None]:
    """Hold a run for this process, so that no other trains it at the same time.

    Raises:
        ConfigError: another process holds it; its number is said.
    """
    return lock_folder(
        folder.path,
        lambda pid: _(
            "run '{path}' is in use: process {pid} trains it; wait until it has ended, or stop it",
            path=folder.path,
            pid=pid,
        ),
    )


def free_run_path(stem: str, folder: Path = Path("runs")) -> Path:
    """The first of `runs/stem`, `runs/stem-2`, `runs/stem-3`… that does not exist."""
    candidate, number = folder / stem, 1
    with explain_os_errors(folder):
        while candidate.exists():
            number += 1
            candidate = folder / f"{stem}-{number}"
    return candidate
