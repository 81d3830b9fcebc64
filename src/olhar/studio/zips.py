"""Photos as they are dropped: files, and archives whose folders are classes.

Does not know: HTTP.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from olhar.datasets.forms.archives import is_archive, unpack_to
from olhar.datasets.photo_files import LeftOut, walk_photos
from olhar.errors import ConfigError, OlharError
from olhar.studio.project import Project
from olhar.studio.taken import Taken


def take_all(
    project: Project,
    given: Sequence[tuple[str, bytes]],
    class_name: str | None,
    burst: str | None,
) -> Iterator[Taken]:
    """Put photos and what is in archives into a class; of archives without one, by their folders.

    Args:
        project: an open one.
        given: (name, content) of each file.
        class_name: where all of them go; None puts photos into the tray, and those in the folders of an
            archive into classes of these names.
        burst: what a recording is called.
    """
    photos = [(name, content) for name, content in given if not is_archive(Path(name))]
    if photos:
        yield project.take(photos, class_name, burst)
    for name, content in given:
        if is_archive(Path(name)):
            yield from _take_archive(project, name, content, class_name)


def _take_archive(
    project: Project, name: str, content: bytes, class_name: str | None
) -> Iterator[Taken]:
    with tempfile.TemporaryDirectory(prefix="olhar-studio-") as folder:
        archive, place = Path(folder, f"given-{Path(name).name[-40:]}"), Path(folder, "unpacked")
        archive.write_bytes(content)
        place.mkdir()
        try:
            unpack_to(name, archive, place)
        except OlharError as error:
            yield Taken(refused=[(name, str(error))])
            return
        for photo, _size, _time in walk_photos(str(place), "", LeftOut()):
            path = Path(photo)
            home = class_name if class_name is not None else _class_of(project, path)
            yield project.take([(path.name, (place / photo).read_bytes())], home)


def _class_of(project: Project, photo: Path) -> str | None:
    """The class that a photo's folder names, made where it is not there; None where it names none."""
    name = photo.parent.name
    if not name:
        return None
    for known in project.classes():
        if known.casefold() == name.casefold():
            return known
    with suppress(ConfigError):
        return project.add_class(name)
    return None
