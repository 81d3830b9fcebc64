"""Photos named by a pattern that the shell has not expanded, as cmd.exe and PowerShell do not."""

from __future__ import annotations

import glob
import sys
from pathlib import Path

from olhar.errors import DataError, MissingFileError, explain_os_errors
from olhar.i18n import _
from olhar.web import refuse_web_address


def expand_pattern(given: str) -> list[str]:
    """The files that a pattern with * ? or [ ] means, sorted; anything else, and what exists, as given.

    Raises:
        MissingFileError: nothing fits the pattern.
        ConfigError: it is the address of something on the web.
    """
    refuse_web_address(given)
    with explain_os_errors(given):
        if not glob.has_magic(given) or "\0" in given or Path(given).exists():
            return [given]
    # Path.glob takes no absolute patterns.
    found = sorted(glob.glob(str(Path(given).expanduser()), recursive=True))  # noqa: PTH207
    if not found:
        raise MissingFileError(
            _(
                "there is no file of the name '{pattern}', and none fits it as a pattern; check the "
                "folder and the ending",
                pattern=given,
            )
        )
    return found


def one_photo(given: str) -> str:
    """The one file that a pattern means.

    Raises:
        DataError: it means several.
        MissingFileError, ConfigError: see `expand_pattern`.
    """
    found = expand_pattern(given)
    if len(found) > 1:
        raise DataError(
            _(
                "'{pattern}' fits {count} files, and one is wanted; name one, such as '{first}'",
                pattern=given,
                count=len(found),
                first=found[0],
            )
        )
    return found[0]


def find_photos(given: str) -> list[str]:
    """The photos that a user means by a file, a folder, a pattern, or - for standard input.

    Raises:
        DataError: a folder without photos.
        MissingFileError, ConfigError: see `expand_pattern`.
    """
    return [photo for one in expand_pattern(given) for photo in _photos_in(one)]


def _photos_in(given: str) -> list[str]:
    """A file as given; of a folder its photos, in sorted order, without hidden ones.

    What lies in a folder and is no photo is told.

    Raises:
        DataError: a folder without photos.
    """
    with explain_os_errors(given):
        if given == "-" or not Path(given).is_dir():
            return [given]
        # Not before: data sets take a fifth of a second to load, half of what one photo takes.
        from olhar.datasets.photo_files import LeftOut, walk_photos

        left = LeftOut()
        found = [Path(given, photo[0]) for photo in walk_photos(given, "", left)]
    said = left.sentences()
    if found and left.others:
        said.append(_("{count} other file(s) are no photos", count=left.others.total()))
    for sentence in said:
        print(sentence, file=sys.stderr)
    if not found:
        raise DataError(_("there are no images in folder '{path}'", path=given))
    return [str(path) for path in sorted(found)]
