"""The server's application in the tests' own process, asked without a network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from olhar.serving.app import App
from olhar.serving.batching import Batcher
from olhar.serving.served import load_served
from olhar.serving.settings import ServeSettings, ServeState

httpx = pytest.importorskip("httpx", reason="the server's tests need httpx")


@contextlib.contextmanager
def application(run: Path, settings: ServeSettings) -> Iterator[App]:
    """The application with one model, "digits", until the block ends."""
    batcher = Batcher(1, 8, 0.005)
    yield App(ServeState({"digits": load_served("digits", run, 1)}, settings, batcher))
    batcher.close()


def ask(app: App, method: str, path: str, **options: Any) -> Any:
    """Its answer to one request."""

    async def go() -> Any:
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **options)

    return asyncio.run(go())
