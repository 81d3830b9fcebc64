"""What a user names → photos, one by one, in an order that is the same each time.

A source is a file, a folder, a list of files, a tar in WebDataset's form, a Parquet or Arrow file or a
folder of them, or an address of a bucket. Nothing is read before it is its turn, and no list is kept.

Does not know: what is done with the photos.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from olhar.bulk.items import Item, ObjectPlace
from olhar.bulk.tables import SUFFIXES, count_rows, file_item, photo_column, table_items
from olhar.bulk.walking import count_photos, walk_sorted
from olhar.datasets.photo_files import OTHER, LeftOut, is_photo
from olhar.errors import DataError, explain_os_errors
from olhar.files import change_mark
from olhar.i18n import Text, _, in_english
from olhar.image_bytes import MAX_BYTES
from olhar.objects import ObjectChanged, Objects, StoredObject, is_address, open_objects
from olhar.stores.address import parse_store
from olhar.tar_shards import read_shard

_TAR = ".tar"
_SHOWN = 3  # of many sources, in the record of a result


@dataclass
class Sources:
    """All that was named.

    Attributes:
        given: files, folders and addresses, as they were given.
        files_from: a file that lists more of them, one a line; - is standard input.
        file_column: of tables.
        left: counts what lies among photos and is none.
    """

    given: Sequence[str]
    files_from: str | None = None
    file_column: str | None = None
    left: LeftOut = field(default_factory=LeftOut)

    def __post_init__(self) -> None:
        self.given = [_local(one) for one in self.given]

    def check(self) -> None:
        """Refuse what is not there, or has no column of photos, before anything is written.

        Raises:
            MissingFileError, NoPermissionError, DataError, MissingExtraError: see above.
        """
        if not self.given and self.files_from is None:
            raise DataError(_("no photos are named; give files, folders, or --files-from LIST"))
        for one in self.given:
            if one == "-" or is_address(one):
                continue
            with explain_os_errors(one):
                Path(one).stat()
            for table in _tables(one)[:1]:
                photo_column(table, self.file_column)
        if self.files_from not in {None, "-"}:
            with explain_os_errors(str(self.files_from)), Path(str(self.files_from)).open("rb"):
                pass

    def record(self) -> dict[str, Any]:
        """What identifies the sources, for the record of a result."""
        listed = "" if self.files_from is None else self.files_from
        everything = "\0".join([os.path.abspath("."), listed, self.file_column or "", *self.given])  # noqa: PTH100
        shown = [*self.given[:_SHOWN], *(["…"] if len(self.given) > _SHOWN else [])]
        shown += [f"--files-from {listed}"] if listed else []
        digest = hashlib.sha256(everything.encode("utf-8", "surrogatepass")).hexdigest()
        return {"sources": [_plain(one) for one in shown], "sources_sha256": digest}

    def items(self) -> Iterator[Item]:
        """Every photo; those that cannot be found or read have an error.

        Raises:
            DataError: there is none.
            OlharError: a folder, a bucket or the list cannot be read.
        """
        found = False
        for one in self.given:
            for item in self._of(one):
                found = True
                yield item
        if self.files_from is not None:
            for path in _lines(self.files_from):
                for item in _listed(path, self._of):
                    found = True
                    yield item
        if not found:
            raise DataError(
                _("there are no images in {sources}", sources=", ".join(self.record()["sources"]))
            )

    def count(self, stop: Callable[[], bool]) -> int | None:
        """How many photos there are, by names alone; None where that cannot be told, or on `stop`.

        Files that are photos by their content alone are not counted, and copies of a name are.
        """
        total = 0
        if self.files_from == "-":
            return None
        for one in self.given:
            if is_address(one) or one.lower().endswith(_TAR):
                return None
            tables = _tables(one)
            if tables:
                total += sum(map(count_rows, tables))
                continue
            if not Path(one).is_dir():
                total += 1
            elif (below := count_photos(one, stop)) is None:
                return None
            else:
                total += below
        if self.files_from is not None:
            with Path(self.files_from).open("rb") as lines:
                total += sum(1 for line in lines if line.strip())
        return total

    def _of(self, one: str) -> Iterator[Item]:
        if one == "-":
            with _standard_input() as stream:
                content = stream.read(MAX_BYTES)
            return iter([Item(one, len(content), 0, content)])
        if is_address(one):
            return _objects(one, self.left)
        if one.lower().endswith(_TAR) and not Path(one).is_dir():
            return _shard(one)
        tables = _tables(one)
        if tables:
            return (item for table in tables for item in table_items(table, self.file_column))
        return self._below(one) if Path(one).is_dir() else iter([file_item(one)])

    def _below(self, folder: str) -> Iterator[Item]:
        for path, facts in walk_sorted(folder, self.left, _TAR):
            if path.lower().endswith(_TAR):
                yield from _shard(path)
            else:
                yield Item(path, facts.st_size, change_mark(facts), path)


def _local(given: str) -> str:
    """The path that an address file:///… means; anything else as it is."""
    return parse_store(given).place if given.lower().startswith("file://") else given


def _tables(path: str) -> list[str]:
    """A table itself, or those of a folder that has nothing else but what is hidden or a note."""
    if path.lower().endswith(SUFFIXES) and not Path(path).is_dir():
        return [path]
    if not Path(path).is_dir():
        return []
    found = []
    with explain_os_errors(path), os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith((".", "_")):
                continue
            if entry.is_dir() or is_photo(entry.name) or entry.name.lower().endswith(_TAR):
                return []
            if entry.name.lower().endswith(SUFFIXES):
                found.append(entry.path)
    return sorted(found)


def _lines(path: str) -> Iterator[str]:
    """The paths that a list names, one a line; bytes that are no UTF-8 stay as the system has them."""
    with explain_os_errors(path), _open_list(path) as lines:
        for number, line in enumerate(lines):
            text = os.fsdecode(line.removesuffix(b"\n").removesuffix(b"\r"))
            text = text.removeprefix("\ufeff") if number == 0 else text
            if text:
                yield text


@contextmanager
def _open_list(path: str) -> Iterator[IO[bytes]]:
    if path != "-":
        with Path(path).open("rb") as file:
            yield file
        return
    with _standard_input() as stream:
        yield stream


@contextmanager
def _standard_input() -> Iterator[IO[bytes]]:
    if sys.stdin is None:
        raise DataError(
            _("standard input is closed; send a photo or the list there, or name a file")
        )
    yield sys.stdin.buffer


def _listed(line: str, of: Callable[[str], Iterator[Item]]) -> Iterator[Item]:
    """What a line of a list means: a file, or an address; an object is not asked for before it is read."""
    if not is_address(line):
        return iter([file_item(line)])
    bucket, _slash, key = line[len("s3://") :].partition("/")
    if line.lower().startswith("s3://") and is_photo(key):
        return iter([Item(line, -1, 0, ObjectPlace(f"s3://{bucket}/", key))])
    return of(_local(line))


def _shard(path: str) -> Iterator[Item]:
    """The photos of a tar; where it is cut off, what was whole, and an item with the error."""
    try:
        with explain_os_errors(path), Path(path).open("rb") as file:
            changed = change_mark(os.fstat(file.fileno()))
            for sample in read_shard(file, path):
                called = f"{path}/{sample.image_name}"
                yield Item(called, len(sample.image), changed, sample.image)
    except (DataError, OSError) as error:
        yield Item(path, -1, 0, None, in_english(error))


def _objects(address: str, left: LeftOut) -> Iterator[Item]:
    """The photos of a bucket, and those of its tars; other objects are counted."""
    with closing(open_objects(address)) as objects:
        base = objects.shown.rstrip("/")
        for one in objects.list():
            name = base if base.endswith(f"/{one.key}") else f"{base}/{one.key}"
            if one.key.lower().endswith(_TAR):
                yield from _stored_shard(objects, one, name)
            elif is_photo(one.key):
                yield Item(name, one.size, _state(one), ObjectPlace(address, one.key))
            else:
                left.add(OTHER, one.key)


def _state(listed: StoredObject) -> int:
    return int.from_bytes(hashlib.blake2b(listed.etag.encode(), digest_size=8).digest())


def _stored_shard(objects: Objects, listed: StoredObject, name: str) -> Iterator[Item]:
    """The photos of a tar in a bucket, which is fetched whole and removed again."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "shard.tar")
        try:
            objects.fetch(listed.key, path, listed)
        except ObjectChanged as error:
            yield Item(name, -1, 0, None, in_english(error))
            return
        for item in _shard(str(path)):
            called, said = (one.replace(str(path), name) for one in (item.name, item.error))
            yield Item(called, item.size, _state(listed), item.place, said)


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def left_out(left: LeftOut) -> list[Text]:
    """What to say of what was not read."""
    said = left.sentences()
    if left.others:
        said.append(_("{count} other file(s) are no photos", count=left.others.total()))
    return said
