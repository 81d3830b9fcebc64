"""The state of a studio as server-sent events.

Does not know: what is in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from olhar import i18n
from olhar.studio.studio import Studio
from olhar.web_server.local_pages import request_language

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_EVERY_S, _BEAT_S = 0.2, 15.0  # between two states that are sent; between signs of life


async def send_events(studio: Studio, request: Request) -> Response:
    """The state, and again whenever it has changed."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import StreamingResponse

    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    language = request_language(request)

    def state() -> str:
        with i18n.using(language):
            return json.dumps(studio.state(), ensure_ascii=False)

    async def stream() -> AsyncIterator[bytes]:
        end = studio.watch(partial(_wake, loop, changed))
        try:
            while not await request.is_disconnected():
                changed.clear()
                text = await run_in_threadpool(state)
                yield f"event: state\ndata: {text}\n\n".encode("utf-8", "replace")
                await asyncio.sleep(_EVERY_S)
                while not changed.is_set():
                    try:
                        await asyncio.wait_for(changed.wait(), _BEAT_S)
                    except TimeoutError:
                        yield b": still here\n\n"
        finally:
            end()

    return StreamingResponse(stream(), media_type="text/event-stream")


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(changed.set)
