"""Blocks answered by a process a core, in their order.

Processes, not threads: with small photos most of the time is Python's own (see datasets.decode, where
it was measured), and each has a network of its own that one thread runs. A block under way is all that
a process holds; how many blocks wait is bounded, so that memory does not grow with the photos.

A photo whose decoding ends a process costs that photo alone: the block is halved until it is found.

Does not know: where photos come from, or where rows go.
"""

from __future__ import annotations

import pickle
import queue
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any

from olhar.bulk.answering import Answerer, Asked, Row
from olhar.bulk.items import Block
from olhar.children import Child, answering_stream
from olhar.errors import MemoryLimitError, OlharError
from olhar.i18n import _, in_english

_WAITING = 3  # blocks for each process: one under way, one next, one answered
_ENDED = (EOFError, OSError, ValueError, pickle.UnpicklingError)  # ValueError: closed meanwhile


def answer_here(
    blocks: Iterable[Block], asked: Asked, workers: int
) -> Generator[tuple[Block, list[Row]]]:
    """Each block with its rows, in order.

    Args:
        blocks: taken as they are needed, a few in advance.
        asked: of each photo.
        workers: how many processes.

    Raises:
        OlharError: the model cannot be loaded, or what `Answerer.answer` raises.
    """
    pool = _Pool(asked, workers)
    try:
        with ThreadPoolExecutor(workers) as threads:
            waiting: deque[tuple[Block, Future[list[Row]]]] = deque()
            try:
                for block in blocks:
                    waiting.append((block, threads.submit(pool.answer, block)))
                    if len(waiting) == _WAITING * workers:
                        first, rows = waiting.popleft()
                        yield first, rows.result()
                while waiting:
                    first, rows = waiting.popleft()
                    yield first, rows.result()
            finally:
                for _block, rows in waiting:
                    rows.cancel()
                pool.close()
    finally:
        pool.close()


class _Pool:
    """Processes that answer, lent to one thread at a time."""

    def __init__(self, asked: Asked, workers: int) -> None:
        self._asked = asked
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._all = [_Process(asked) for _number in range(workers)]
        self._closed = False
        for process in self._all:
            self._free.put(process)

    def answer(self, block: Block) -> list[Row]:
        """The rows of a block; a photo that ends processes has an error."""
        process = self._free.get()
        try:
            return process.answer(block)
        except _ENDED:
            if self._closed:
                return []
            process = self._renewed(process)
        finally:
            self._free.put(process)
        if len(block) > 1:
            half = len(block) // 2
            return [*self.answer(block[:half]), *self.answer(block[half:])]
        item = block[0]
        text = _(
            "'{name}' ended the process that read it, which is damaged or needs too much memory; save it "
            "again or remove it",
            name=item.written_name,
        )
        return [{"file": item.written_name, "error": in_english(text)}]

    def close(self) -> None:
        """End all processes; whoever waits for an answer hears of it."""
        self._closed = True
        for process in self._all:
            process.end()

    def _renewed(self, ended: _Process) -> _Process:
        ended.end()
        self._all.remove(ended)
        self._all.append(_Process(self._asked))
        return self._all[-1]


class _Process:
    """A process that answers blocks; it begins at once, and loads the model meanwhile."""

    def __init__(self, asked: Asked) -> None:
        self._child = Child("olhar.bulk.pool:serve", threads=1)
        self._asked: Asked | None = asked

    def answer(self, block: Block) -> list[Row]:
        """The rows of a block.

        Raises:
            OlharError: what the process said in their place.
            EOFError, OSError, UnpicklingError: the process has ended.
        """
        if self._asked is not None:
            self._begin(self._asked)
            self._asked = None
        _send(self._child.questions, block)
        said = pickle.load(self._child.answers)  # noqa: S301  of our own process
        if isinstance(said, OlharError):
            raise said
        rows: list[Row] = said
        return rows

    def _begin(self, asked: Asked) -> None:
        """Wait until the model is loaded: a process that ends before is no photo's fault."""
        try:
            _send(self._child.questions, asked)
            said = pickle.load(self._child.answers)  # noqa: S301
        except _ENDED as error:
            raise MemoryLimitError(
                _(
                    "a process that was to answer photos ended while it loaded the model; give this "
                    "machine more memory, or take fewer: --workers 1"
                )
            ) from error
        if isinstance(said, OlharError):
            raise said

    def end(self) -> None:
        """End it now."""
        self._child.kill()
        self._child.close()


def _send(stream: IO[bytes], value: Any) -> None:
    pickle.dump(value, stream, pickle.HIGHEST_PROTOCOL)
    stream.flush()


def serve() -> None:
    """What such a process does: blocks from standard input, rows to standard output, till one ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    with suppress(*_ENDED):
        _serve(sys.stdin.buffer, answering_stream())


def _serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    asked: Asked = pickle.load(questions)  # noqa: S301  of the process that started this one
    try:
        answerer = Answerer(asked)
    except OlharError as error:
        _send(answers, type(error)(str(error)))
        return
    _send(answers, None)
    while True:
        block: Block = pickle.load(questions)  # noqa: S301
        try:
            said: list[Row] | OlharError = answerer.answer(block)
        except OlharError as error:
            said = type(error)(str(error))
        _send(answers, said)
