"""Which folders are projects, and how one is made. Nothing is changed before that is certain.

Does not know: what is done with a project.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from olhar.datasets.photo_files import PHOTO, is_hidden, is_own, kind_of
from olhar.errors import ConfigError, explain_os_errors
from olhar.files import folder_aside
from olhar.i18n import Text, _
from olhar.locks import lock_folder
from olhar.run import RunFolder
from olhar.studio.project import BIN, PHOTOS, RUNS, TRAY, Project

DEFAULT_PROJECT = Path("my-project")
_OWN = frozenset({PHOTOS, RUNS, BIN, TRAY, ".lock"})


@contextmanager
def open_project(path: Path, photos: Path | None, ask: Callable[[Text], bool]) -> Iterator[Project]:
    """Open a project, or make one; it is held until the block ends.

    Args:
        path: the project; what is not there is made.
        photos: a folder with a folder for each class, whose photos a new project gets copies of.
        ask: a question to whoever is there; whether the answer was yes.

    Raises:
        ConfigError: the folder is no project and cannot become one, or another studio has it open.
        NoPermissionError: it cannot be written.
    """
    if photos is not None:
        _copy(photos, path)
    else:
        path = _check(path, ask)
    with explain_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)

    def busy(process: str) -> Text:
        return _(
            "'{path}' is open in another studio (process {process}); use that one, or end it first",
            path=path,
            process=process,
        )

    with lock_folder(path, busy):
        yield Project(path)


def _check(path: Path, ask: Callable[[Text], bool]) -> Path:
    """The project that is meant by a folder."""
    with explain_os_errors(path):
        if not path.exists():
            return path
        if not path.is_dir():
            raise ConfigError(_("'{path}' is a file; give a folder for the project", path=path))
        names = {one.name for one in path.iterdir() if one.name == ".lock" or one.name[0] != "."}
    if names <= _OWN or {PHOTOS, RUNS} <= names:
        return path
    if RunFolder(path).config.is_file():
        raise ConfigError(
            _(
                "'{path}' is a run; give the folder of a project, such as {other}",
                path=path,
                other=DEFAULT_PROJECT,
            )
        )
    return _copied(path, ask)


def _copied(path: Path, ask: Callable[[Text], bool]) -> Path:
    """A project beside a folder of classes, with copies of its photos, where that is wanted."""
    classes = sorted(_classes(path))
    if not classes:
        raise ConfigError(
            _(
                "'{path}' is no project: it has no folder {photos}/, and no folders of photos that "
                "could be its classes; give an empty folder or a new name",
                path=path,
                photos=PHOTOS,
            )
        )
    project = path.with_name(f"{path.resolve().name}-studio")
    question = _(
        "'{path}' is a folder of {count} class(es) ({names}), not a project. Make the project "
        "'{project}' with copies of its photos?",
        path=path,
        count=len(classes),
        names=", ".join([*classes[:5], *(["…"] if len(classes) > 5 else [])]),
        project=project,
    )
    if project.exists():
        raise ConfigError(
            _(
                "'{path}' is a folder of classes, not a project, and '{project}' exists already; "
                "open that: olhar studio {project}",
                path=path,
                project=project,
            )
        )
    if not ask(question):
        raise ConfigError(
            _(
                "'{path}' is a folder of classes, not a project; to make one with copies of its "
                "photos: olhar studio {project} --photos {path}",
                path=path,
                project=project,
            )
        )
    _copy(path, project)
    return project


def _copy(photos: Path, project: Path) -> None:
    """Make a project with copies of the photos of a folder of classes."""
    with explain_os_errors(photos):
        is_folder = photos.is_dir()
        taken = project.exists() and any(project.iterdir())
    if not is_folder:
        raise ConfigError(_("--photos {path} is no folder", path=photos))
    if taken:
        raise ConfigError(_("'{path}' exists already; give the project another name", path=project))
    classes = _classes(photos)
    if not classes:
        raise ConfigError(_("--photos {path} has no folder of photos for each class", path=photos))
    with explain_os_errors(project):
        if project.is_dir():
            project.rmdir()
        with folder_aside(project) as aside:
            for name in sorted(classes):
                shutil.copytree(photos / name, aside / PHOTOS / name)
            if (photos / "groups.csv").is_file():
                shutil.copyfile(photos / "groups.csv", aside / PHOTOS / "groups.csv")


def _classes(folder: Path) -> set[str]:
    """Folders with photos in a folder, that are no runs, nor hidden."""
    with explain_os_errors(folder):
        found = [one for one in folder.iterdir() if one.is_dir() and not is_hidden(one.name)]
        return {one.name for one in found if not is_own(str(one)) and _has_photos(one)}


def _has_photos(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(kind_of(entry) == PHOTO for entry in entries)
