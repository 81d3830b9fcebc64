"""Shards: tar files of photos with their labels beside them, read as streams.

    0001.jpg  0001.cls  0002.jpg  0002.cls …     WebDataset's form

Members of one sample have one key, the path up to the first dot of the file's name, and lie beside each
other. Nothing seeks, so that a shard may come from a pipe or a bucket.

Source: https://github.com/webdataset/webdataset, "The WebDataset Format"; POSIX.1-1988, ustar.

Does not know: what is in a photo, where shards lie, or what is done with samples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from olhar.archives import DAMAGE, DAMAGED_HEADERS, is_plain_file, tar_members
from olhar.errors import DataError, OlharError, explain_os_errors
from olhar.files import decode_text
from olhar.i18n import _
from olhar.shown import readable_name
from olhar.signatures import IMAGE_SUFFIXES

_MOST_BYTES = 1 << 30  # as image_bytes allows of one photo
_MOST_LABEL_BYTES = 2**20
_LABELS = ("label", "class", "cls")


@dataclass(frozen=True)
class Sample:
    """A photo of a shard.

    Attributes:
        key: path in the shard up to the first dot of the name, as `train/0001`.
        image_name: path in the shard.
        image: its bytes, as they are.
        label: what `.cls` or `.json` beside it says, None where nothing does.
    """

    key: str
    image_name: str
    image: bytes
    label: str | None


def read_shard(file: BinaryIO, shown: str) -> Iterator[Sample]:
    """The photos of a shard, in its order; what belongs to no photo, and hidden files, are passed over.

    Where a sample has several images, it is the one whose name has one dot, else the first.

    Args:
        file: open at the beginning of a tar, which gzip, bzip2 or xz may have packed; read once.
        shown: what to call it in messages.

    Raises:
        DataError: it is damaged, cut off or no tar; what came before has been given already.
    """
    key, members, last, end = "", dict[str, bytes](), "", 0
    with _explain_damage(shown, lambda: (last, end)):
        for info, content in tar_members(file):
            name = info.name.removeprefix("./")
            if not is_plain_file(info) or _is_hidden(name):
                continue
            if _key_of(name) != key:
                yield from _samples(key, members)
                key, members = _key_of(name), {}
            if _is_image(name) and info.size > _MOST_BYTES:
                raise _too_large(shown, name, info.size)
            if _is_wanted(name) and (_is_image(name) or info.size <= _MOST_LABEL_BYTES):
                members[name] = content.read()
            last, end = name, info.offset_data + info.size
        yield from _samples(key, members)


def _key_of(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _ending_of(name: str) -> str:
    """What stands behind the first dot of a file's name, with it: `.jpg`, `.seg.png`; lower case."""
    return "".join(PurePosixPath(name).name.partition(".")[1:]).lower()


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _is_wanted(name: str) -> bool:
    return _is_image(name) or _ending_of(name) in {".cls", ".json"}


def _samples(key: str, members: Mapping[str, bytes]) -> Iterator[Sample]:
    """The photo of the members of one key, if there is one."""
    images = sorted(filter(_is_image, members), key=lambda name: _ending_of(name).count("."))
    if images:
        yield Sample(key, images[0], members[images[0]], _label(members))


def _label(members: Mapping[str, bytes]) -> str | None:
    """The label of a sample: its `.cls`, else the first value of its `.json` that may be one."""
    contents = {_ending_of(name): content for name, content in members.items()}
    try:
        if ".cls" in contents:
            return readable_name(decode_text(contents[".cls"]).strip()) or None
        facts = json.loads(contents.get(".json", b"null"))
    except (ValueError, RecursionError):  # no text, or no JSON
        return None
    values = [facts.get(name) for name in _LABELS] if isinstance(facts, dict) else []
    found = [value for value in values if isinstance(value, str | int) and str(value).strip()]
    return readable_name(str(found[0]).strip()) if found else None


def _too_large(shown: str, name: str, size: int) -> DataError:
    return DataError(
        _(
            "'{name}' in '{path}' has {given} bytes; at most {limit} are allowed; save a smaller copy",
            name=readable_name(name),
            path=shown,
            given=size,
            limit=_MOST_BYTES,
        )
    )


@contextmanager
def _explain_damage(shown: str, place: Callable[[], tuple[str, int]]) -> Iterator[None]:
    try:
        with explain_os_errors(shown):
            yield
    except OlharError:
        raise
    except (*DAMAGE, *DAMAGED_HEADERS) as error:
        reason = str(error) or type(error).__name__
        last, end = place()
        if not last:
            raise DataError(
                _("'{path}' is no tar, or damaged ({reason})", path=shown, reason=reason)
            ) from error
        raise DataError(
            _(
                "'{path}' is damaged or cut off: its last whole file is {last}, which ends at byte {end} "
                "({reason}); copy or download it again",
                path=shown,
                last=readable_name(last),
                end=end,
                reason=reason,
            )
        ) from error
