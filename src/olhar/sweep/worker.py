"""A worker process of the local engine: tasks come on standard input, a JSON line each.

It lives for many trials, so that torch is loaded once. It ends when its standard input does, which
is when its driver has died.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict
from typing import Any

from olhar.children import answering_stream, write_line
from olhar.sweep.task import Task, run_task


def main() -> None:
    """Take tasks until there are no more."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the driver's, who ends its workers
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = answering_stream()
    heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(heard,), daemon=True).start()

    def tell(**message: Any) -> None:
        write_line(answers, message)

    def on_epoch(row: dict[str, float]) -> bool:
        tell(row=row)
        return bool(heard.get()["stop"])

    import olhar.pipeline.trials
    import olhar.training.fit  # noqa: F401 - torch is loaded while the driver prepares

    while True:
        task = Task(**heard.get()["task"])
        tell(result=asdict(run_task(task, on_epoch)))


def _listen(heard: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        heard.put(json.loads(line))
    os._exit(0)  # whatever is being trained: its last epoch is on the disk
