"""Threads that decode what is waiting and run the network on it at once.

Does not know: HTTP, or what is asked. Nothing ever waits for photos that have not arrived: an idle
thread takes the first one at once. While it decodes, others arrive; it takes those too, until the
batch is full or its first photo has waited as long as it may. One hop between threads then pays for
the whole batch, in each direction.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import Classifier

Prepare = Callable[[], NDArray[np.uint8]]  # () → (n, C, size, size) uint8
_Results = list[tuple["_Job", NDArray[np.float32] | Exception]]


@dataclass(frozen=True, eq=False, slots=True)
class _Job:
    classifier: Classifier
    prepare: Prepare
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[NDArray[np.float32]]


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
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{index}", daemon=True)
            for index in range(threads)
        ]
        self.batches = 0
        self.photos = 0
        for thread in self._threads:
            thread.start()

    async def run(self, classifier: Classifier, prepare: Prepare) -> NDArray[np.float32]:
        """Probabilities (n, K) float32 of what `prepare` gives; it is called in a batch thread.

        Raises:
            Exception: what `prepare` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[NDArray[np.float32]] = loop.create_future()
        self._queue.put(_Job(classifier, prepare, loop, future))
        return await future

    def close(self) -> None:
        """Finish what is waiting, then end the threads."""
        self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            self._answer(job)
        self._queue.put(None)  # for the next thread

    def _answer(self, first: _Job) -> None:
        """Answer `first` and what is waiting behind it."""
        deadline = time.monotonic() + self._latency_s
        results: _Results = []
        prepared: dict[Classifier, list[tuple[_Job, NDArray[np.uint8]]]] = {}
        count = 0
        job: _Job | None = first
        while job is not None:
            if not job.future.cancelled():  # who asked has gone, or its time is over
                try:
                    inputs = job.prepare()
                except Exception as error:  # noqa: BLE001  it is raised where the job was given
                    results.append((job, error))
                else:
                    prepared.setdefault(job.classifier, []).append((job, inputs))
                    count += len(inputs)
            job = self._next() if count < self._batch_size and time.monotonic() < deadline else None
        for classifier, items in prepared.items():
            results += _run(classifier, items)
        # A number that two threads raise at once may miss one; it is a statistic.
        self.batches += len(prepared)
        self.photos += count
        first.loop.call_soon_threadsafe(_deliver, results)

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
        probs = classifier.predict_probs(np.concatenate([inputs for _, inputs in items]))
    except Exception as error:  # noqa: BLE001  it is raised where the jobs were given
        return [(job, error) for job, _ in items]
    ends = np.cumsum([len(inputs) for _, inputs in items])
    return [
        (job, probs[end - len(inputs) : end])
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
