"""Routes: which function answers what is asked."""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from olhar.web_server.answers import Answer
from olhar.web_server.refusals import wrong_method
from olhar.web_server.request import Request

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Answer]]

_THREADS = ThreadPoolExecutor(40, "answers")  # each is started when there is work for it
_NAME = re.compile(r"\\\{(\w+)(:path)?\\\}")  # in a path that is escaped


class Route(NamedTuple):
    """What is answered, and by whom.

    In a path, {name} stands for one part of it and {name:path} for all that is left; `Request.params` has
    what stood there.
    """

    method: str
    path: str
    answer: Handler


def get(path: str, answer: Callable[[Request], Answer]) -> Route:
    """A route that is read from, and answered in a thread."""

    async def handler(request: Request) -> Answer:
        return await in_thread(lambda: answer(request))

    return Route("GET", path, handler)


def in_thread(work: Callable[[], T], threads: Executor = _THREADS) -> Awaitable[T]:
    """`work`, done in a thread, in the language of the request."""
    context = contextvars.copy_context()
    return asyncio.get_running_loop().run_in_executor(threads, context.run, work)


class Routes:
    """Of two with names in their paths that both fit, the first answers."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[str, dict[str, Handler]] = {}
        named: dict[str, dict[str, Handler]] = {}
        for method, path, answer in routes:
            table = named if "{" in path else self._plain
            table.setdefault(path, {})[method] = answer
        self._named = [(_pattern(path), methods) for path, methods in named.items()]

    def find(self, request: Request) -> Handler | None:
        """Who answers; None where nothing is at this path.

        Raises:
            RequestError: something is, but not for this method.
        """
        methods = self._plain.get(request.path) or self._match(request)
        if methods is None:
            return None
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            raise wrong_method(request.method, ", ".join(methods))
        return methods[method]

    def _match(self, request: Request) -> dict[str, Handler] | None:
        for pattern, methods in self._named:
            found = pattern.fullmatch(request.path)
            if found:
                request.params = found.groupdict()
                return methods
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(
        _NAME.sub(lambda m: f"(?P<{m[1]}>{'.*' if m[2] else '[^/]+'})", re.escape(path))
    )
