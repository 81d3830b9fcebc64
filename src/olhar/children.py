"""Child processes that do olhar's own work: how they are started, asked and heard.

They are this program's own rather than multiprocessing's, which would run a user's script anew unless
it says `if __name__ == "__main__"`. Only servers' are multiprocessing's: it hands sockets over.

Does not know: what a child does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from threading import Thread
from typing import IO, Any

from olhar.i18n import language

# Libraries of numpy's and torch's that take threads of their own.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Child:
    """A process that runs one function of olhar's, in the language in force, and ends with it.

    Attributes:
        process: to ask whether it lives, or to send it signals.
        questions, answers: its standard input and output.
    """

    def __init__(
        self,
        place: str,
        threads: int = 0,
        errors: int | IO[bytes] = subprocess.DEVNULL,
        *,
        own_session: bool = False,
    ) -> None:
        """Start it.

        Args:
            place: of the function, as `olhar.room.module:function`; it takes nothing.
            threads: that libraries take in it; 0 leaves that to them.
            errors: where its standard error goes.
            own_session: whether Ctrl-C in the terminal does not reach it.
        """
        module, _colon, function = place.partition(":")
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(  # noqa: S603  this olhar itself
            [sys.executable, "-P", "-c", f"from {module} import {function}; {function}()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=own_session,
            env={
                **os.environ,
                **(dict.fromkeys(_THREADS, str(threads)) if threads else {}),
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "OLHAR_LANG": language(),
            },
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions: IO[bytes] = self.process.stdin
        self.answers: IO[bytes] = self.process.stdout

    def say(self, message: Any) -> None:
        """Send a line of JSON; that it has died is learnt by whoever hears it."""
        with suppress(OSError):
            write_line(self.questions, message)

    def hear(self) -> Iterator[Any]:
        """Each line of JSON that it says, until it ends; one that was cut off is no message."""
        return (json.loads(line) for line in self.answers if line.endswith(b"\n"))

    def kill(self) -> int:
        """End it now; returns its exit status."""
        self.process.kill()
        return self.process.wait()

    def close(self) -> None:
        """Close both streams, once nobody reads them any more."""
        for stream in (self.questions, self.answers):
            with suppress(OSError, ValueError):
                stream.close()


def write_line(stream: IO[bytes], message: Any) -> None:
    """Write a line of JSON, at once."""
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def answering_stream() -> IO[bytes]:
    """In a child: its standard output, for answers alone; what a library prints is none."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


# Rows shared out


def share_out(place: str, job: Mapping[str, Any], rows: Sequence[str], count: int) -> Iterator[Any]:
    """What children answer about rows, in no order; each takes every `count`-th.

    A child that dies leaves rows unanswered: these are for whoever asks.

    Args:
        place: of a function that calls `answer_rows`; see `Child`.
        job: what a child needs to know, as JSON.
        rows: what a child is told of each.
        count: of children.
    """
    with ExitStack() as stack:
        children = [
            stack.enter_context(_asked(place, job, rows, range(start, len(rows), count)))
            for start in range(count)
        ]
        for answers in zip_longest(*(one.hear() for one in children)):  # so that no pipe fills up
            yield from (answer for answer in answers if answer is not None)


@contextmanager
def _asked(
    place: str, job: Mapping[str, Any], rows: Sequence[str], numbers: Iterable[int]
) -> Iterator[Child]:
    """A child that is told its job and, as it takes them, its rows; killed when the block ends."""
    child = Child(place)

    def tell() -> None:
        with suppress(OSError), child.questions as questions:  # where it has ended already
            write_line(questions, job)
            for number in numbers:
                questions.write(json.dumps([number, rows[number]]).encode() + b"\n")

    telling = Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield child
    finally:
        child.kill()
        telling.join()
        child.close()


def answer_rows(
    answer: Callable[[Mapping[str, Any], Iterator[tuple[int, str]]], Iterable[Any]],
) -> None:
    """In a child of `share_out`: hand its job and its rows, each with its number, to `answer`."""
    answers = answering_stream()
    job = json.loads(sys.stdin.readline())
    for said in answer(job, map(json.loads, sys.stdin)):
        write_line(answers, said)
