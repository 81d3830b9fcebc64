"""What lies below a prefix of a bucket, in the order of the keys, asked for by many connections at once.

A server gives a listing page by page, and each page names the next: one listing is one connection at
a time. Folders are therefore listed beside each other. Where they are is asked first, level by level,
until there are enough; a level that does not fit into one page is not divided.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from olhar.objects.contract import StoredObject

CONNECTIONS = 16
_PAGES_AHEAD = 16  # of each folder: a page has at most 1000 objects

Page = Sequence[StoredObject]
# The objects and folders directly in a prefix, None where these are more than a page has.
Entries = Sequence[StoredObject | str]
Level = Callable[[str], Entries | None]
Pages = Callable[[str], Iterator[Page]]


def list_parallel(prefix: str, level: Level, pages: Pages) -> Iterator[StoredObject]:
    """Every object below `prefix`, sorted by key.

    Args:
        prefix: "" or with a slash at its end, as are those that `level` gives.
        level: lists one level; a folder is a text.
        pages: lists all levels, page by page.
    """
    entries = _folders_of(prefix, level)
    folders = [entry for entry in entries if isinstance(entry, str)]
    streams = _ahead(folders, pages)
    try:
        for entry in entries:
            if isinstance(entry, str):
                for page in next(streams):
                    yield from page
            else:
                yield entry
    finally:
        streams.close()


def _folders_of(prefix: str, level: Level) -> Entries:
    """Objects, and folders whose content is still to be listed, in the order of keys."""
    entries: Entries = [prefix]
    whole: set[str] = set()  # folders that are not looked into further
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        while True:
            todo = [entry for entry in entries if isinstance(entry, str) and entry not in whole]
            if not todo or len(todo) >= CONNECTIONS:
                return entries
            inner = dict(zip(todo, pool.map(level, todo), strict=True))
            whole |= {folder for folder, found in inner.items() if found is None}
            entries = [one for entry in entries for one in _divided(entry, inner)]


def _divided(entry: StoredObject | str, inner: Mapping[str, Entries | None]) -> Entries:
    found = inner.get(entry) if isinstance(entry, str) else None
    return [entry] if found is None else found


def _ahead(folders: list[str], pages: Pages) -> Generator[Iterator[Page]]:
    """The pages of each folder, in order, while those of the next ones are fetched already."""
    stop = threading.Event()
    queues: list[queue.Queue[Page | BaseException | None]] = [
        queue.Queue(_PAGES_AHEAD) for _ in folders
    ]

    def put(
        into: queue.Queue[Page | BaseException | None], item: Page | BaseException | None
    ) -> None:
        while not stop.is_set():
            try:
                into.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def fill(number: int) -> None:
        try:
            for page in pages(folders[number]):
                put(queues[number], page)
                if stop.is_set():
                    return
            put(queues[number], None)
        except BaseException as error:  # noqa: BLE001 it is raised again where the page is asked for
            put(queues[number], error)

    def drain(number: int) -> Iterator[Page]:
        while (item := queues[number].get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        try:
            for number in range(len(folders)):
                pool.submit(fill, number)
            for number in range(len(folders)):
                yield drain(number)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
