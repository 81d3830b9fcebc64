"""Files as the makers of a data set publish them: found wherever they lie, checked, else downloaded."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from olhar.datasets.fetch import fetch
from olhar.datasets.places import archived_files, download_folder, explain_damage
from olhar.errors import ChecksumError, MissingFileError
from olhar.i18n import _
from olhar.progress import Progress

Use = Callable[[str, bytes], None]  # the name and the checked bytes of a content


@dataclass(frozen=True, kw_only=True)
class Published(ABC):
    """One file that is published.

    Attributes:
        url: where; it ends in the file's name.
        md5: of the whole file, 32 hex digits.
        holds: the names of the contents that are read from it.
    """

    url: str
    md5: str
    holds: tuple[str, ...]

    @abstractmethod
    def candidates(self, files: Sequence[Path]) -> Iterable[Path]:
        """Of all files found, those that it may be, and folders that it may have been unpacked to."""

    @abstractmethod
    def contents(self, place: Path) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of each content, checked.

        Args:
            place: one of the candidates, or the downloaded file.

        Returns:
            Nothing where it is a file of something else.

        Raises:
            ChecksumError: it is damaged, incomplete or not the published file.
        """

    def paths(self, place: Path) -> tuple[Path, ...]:
        """The files of a candidate that is whole."""
        return (place,)

    def find(
        self, name: str, files: Sequence[Path], use: Use, progress: Progress, *, download: bool
    ) -> tuple[Path, ...]:
        """The first candidate that is whole, else the downloaded file.

        Args:
            name: of the data set.
            files: all files under `OLHAR_DATA`.
            use: is given the contents, perhaps also some of a candidate that is then set aside.
            progress: hears of what is read and downloaded.
            download: fetch it where it is not here.

        Raises:
            MissingFileError: it is not here, and `download` is false.
            ChecksumError: what is here is damaged or not the published file.
            DownloadError: it cannot be fetched.
        """
        place, wrong = self._first_whole(self.candidates(files), use, progress)
        if place is None:
            fetched = download_folder(name) / self.url.rpartition("/")[2]
            if download and wrong is None:
                fetch(self.url, fetched, self.md5, progress)
            if fetched.is_file():
                place, also_wrong = self._first_whole([fetched], use, progress)
                wrong = wrong or also_wrong
            if place is None:
                raise wrong or _missing(name, fetched.name)
        return self.paths(place)

    def _first_whole(
        self, places: Iterable[Path], use: Use, progress: Progress
    ) -> tuple[Path | None, ChecksumError | None]:
        """The first that is whole, and what is wrong with the first of those before it that is not."""
        wrong: ChecksumError | None = None
        for place in places:
            progress.start(_("reading {file}, this once", file=place.name), len(self.holds))
            read = 0
            try:
                for content_name, content in self.contents(place):
                    use(content_name, content)
                    read += 1
                    progress.advance(read)
            except ChecksumError as error:
                # Its frames would keep the images of the pool mapped.
                wrong = wrong or error.with_traceback(None)
                continue
            if read:
                return place, wrong
        return None, wrong


@dataclass(frozen=True, kw_only=True)
class PublishedArchive(Published):
    """A .tar, packed or not, also packed anew; or a folder that it was unpacked to.

    Attributes:
        pattern: what matches its name.
        most_bytes: how much of a content is read at most.
        check: refuses a content that is not what was published: path, name, bytes.
        folder_word: must be in the path of a folder that it was unpacked to.
    """

    pattern: re.Pattern[str]
    most_bytes: int
    check: Callable[[Path, str, bytes], None]
    folder_word: str = ""

    def candidates(self, files: Sequence[Path]) -> Iterable[Path]:
        """Folders that hold some of its contents, then archives, which take longer to read."""
        folders = dict.fromkeys(
            file.parent
            for file in files
            if file.name in self.holds and self.folder_word in str(file.parent).lower()
        )
        archives = [file for file in files if self.pattern.fullmatch(file.name)]
        return [*folders, *archives]

    def contents(self, place: Path) -> Iterator[tuple[str, bytes]]:
        """See Published."""
        missing = list(self.holds)
        for name, content in self._read(place):
            self.check(place, name, content)
            yield name, content
            if name in missing:
                missing.remove(name)
            if not missing:
                return
        if len(missing) < len(self.holds):
            raise _incomplete(place, missing)

    def _read(self, place: Path) -> Iterator[tuple[str, bytes]]:
        """Nothing is extracted to the disk."""
        with explain_damage(place):
            if not place.is_dir():
                yield from archived_files(place, self.holds, self.most_bytes)
                return
            for path in (place / name for name in self.holds):
                if path.is_file():
                    with path.open("rb") as file:
                        yield path.name, file.read(self.most_bytes)

    def paths(self, place: Path) -> tuple[Path, ...]:
        """The archive, or the files that it was unpacked to."""
        return tuple(place / name for name in self.holds) if place.is_dir() else (place,)


def _incomplete(place: Path, missing: Sequence[str]) -> ChecksumError:
    return ChecksumError(
        _(
            "'{path}' is incomplete: {missing} is missing; delete it, then download it again or "
            "let olhar do so",
            path=place,
            missing=", ".join(missing),
        )
    )


def _missing(name: str, file: str) -> MissingFileError:
    return MissingFileError(
        _(
            "data set '{name}' is not on this computer: {file} was not found; put it into the folder "
            "that OLHAR_DATA names, or let olhar download it: olhar data {name}",
            name=name,
            file=file,
        )
    )
