"""Decodes what is waiting and runs the network on it at once.

Does not know: HTTP, or what is asked. Nothing ever waits for photos that have not arrived.

What takes a moment only is done in the event loop itself: all that has arrived since the loop was
last there is one batch. Two hops between threads cost more than a small network.

All else is done by threads: an idle one takes the first photo at once; while it decodes, others
arrive, and it takes those too, until the batch is full or its first photo has waited as long as it
may.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import Classifier
from olhar.prediction import Outputs

Prepare = Callable[[], NDArray[np.uint8]]  # () → (n, C, size, size) uint8
_Results = list[tuple["_Job", Outputs | Exception]]


@dataclass(frozen=True, eq=False, slots=True)
class _Job:
    classifier: Classifier
    prepare: Prepare
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Outputs]


class Batcher:
    """Answers jobs of any number of models in batches, from threads of its own.

    Args:
        threads: that decode and run networks side by side.
        batch_size: a batch takes no more photos once it has so many.
        latency_s: nor once its first photo has waited so long.
    """

    def __init__(self, threads: int, batch_size: int, latency_s: float) -> None:
        self._batch_size = batch_size
        self._latency_s = latency_s
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._quick: list[_Job] = []  # the event loop's own
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{index}", daemon=True)
            for index in range(threads)
        ]
        self.batches = 0
        self.photos = 0
        for thread in self._threads:
            thread.start()

    async def run(
        self, classifier: Classifier, prepare: Prepare, *, quick: bool = False
    ) -> Outputs:
        """What the classifier says of the n images that `prepare` gives.

        Args:
            classifier: which to ask.
            prepare: is called in a batch thread.
            quick: `prepare` and the network take a moment only: both run in the event loop.

        Raises:
            Exception: what `prepare` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outputs] = loop.create_future()
        job = _Job(classifier, prepare, loop, future)
        if not quick:
            self._queue.put(job)
            return await future
        self._quick.append(job)
        if len(self._quick) == 1:  # those whose turn comes before it join it
            loop.call_soon(self._answer_quick)
        return await future

    def close(self) -> None:
        """Finish what is waiting, then end the threads."""
        self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _answer_quick(self) -> None:
        jobs, self._quick = self._quick[: self._batch_size], self._quick[self._batch_size :]
        if self._quick:
            jobs[0].loop.call_soon(self._answer_quick)
        _deliver(self._answer(jobs))

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            results = self._answer(self._with_waiting(job))
            job.loop.call_soon_threadsafe(_deliver, results)
        self._queue.put(None)  # for the next thread

    def _with_waiting(self, first: _Job) -> Iterator[_Job]:
        """`first`, then what is waiting behind it by the time that one more is asked for."""
        deadline = time.monotonic() + self._latency_s
        job: _Job | None = first
        for _place in range(self._batch_size):
            if job is None:
                break
            yield job
            job = self._next() if time.monotonic() < deadline else None

    def _answer(self, jobs: Iterable[_Job]) -> _Results:
        """What each job comes to, by one run of each network."""
        results: _Results = []
        prepared: dict[Classifier, list[tuple[_Job, NDArray[np.uint8]]]] = {}
        for job in jobs:
            if job.future.cancelled():  # who asked has gone, or its time is over
                continue
            try:
                inputs = job.prepare()
            except Exception as error:  # noqa: BLE001  it is raised where the job was given
                results.append((job, error))
            else:
                prepared.setdefault(job.classifier, []).append((job, inputs))
        for classifier, items in prepared.items():
            results += _run(classifier, items)
            # A number that two threads raise at once may miss one; it is a statistic.
            self.batches += 1
            self.photos += sum(len(inputs) for _job, inputs in items)
        return results

    def _next(self) -> _Job | None:
        try:
            job = self._queue.get_nowait()
        except queue.Empty:
            return None
        if job is None:  # closing: the thread ends after this batch
            self._queue.put(None)
        return job


def _run(classifier: Classifier, items: list[tuple[_Job, NDArray[np.uint8]]]) -> _Results:
    """One run of the network for all items, cut up again."""
    try:
        found = classifier.predict_outputs(np.concatenate([inputs for _, inputs in items]))
    except Exception as error:  # noqa: BLE001  it is raised where the jobs were given
        return [(job, error) for job, _ in items]
    ends = accumulate(len(inputs) for _, inputs in items)
    return [
        (job, Outputs(*(part[end - len(inputs) : end] for part in found)))
        for (job, inputs), end in zip(items, ends, strict=True)
    ]


def _deliver(results: _Results) -> None:
    for job, result in results:
        if job.future.done():
            continue
        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
