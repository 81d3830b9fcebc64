"""The state of a studio as server-sent events.

Does not know: what is in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial

from olhar.studio.studio import Studio
from olhar.web_server.answers import Answer
from olhar.web_server.request import Request
from olhar.web_server.routes import in_thread

_EVERY_S, _BEAT_S = 0.2, 15.0  # between two states that are sent; between signs of life


async def send_events(studio: Studio, _request: Request) -> Answer:
    """The state, and again whenever it has changed."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def state() -> str:
        return json.dumps(studio.state(), ensure_ascii=False)

    async def stream() -> AsyncGenerator[bytes, None]:
        end = studio.watch(partial(_wake, loop, changed))
        try:
            while True:
                changed.clear()
                text = await in_thread(state)
                yield f"event: state\ndata: {text}\n\n".encode("utf-8", "replace")
                await asyncio.sleep(_EVERY_S)
                while not changed.is_set():
                    try:
                        await asyncio.wait_for(changed.wait(), _BEAT_S)
                    except TimeoutError:
                        yield b": still here\n\n"
        finally:
            end()

    return Answer(200, content_type="text/event-stream; charset=utf-8", parts=stream())


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(changed.set)
