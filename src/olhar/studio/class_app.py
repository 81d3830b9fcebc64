"""A class over HTTP: a first page where a student gives a name and a code, then the studio itself.

    GET  /class/             the first page; page/NAME its style and script; api/texts its strings
    GET  /class/api/state    {"student", "class_code", "students", "most", "line"}
    POST /class/api/enter    {"name", "code", "class_code"}: a cookie, by which all else is the student's
    POST /class/api/leave    the cookie goes

Everything else is the studio of the student whose cookie comes with the request; `/` leads to the first
page without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from olhar.i18n import _
from olhar.studio.app import build_app
from olhar.studio.class_door import Door
from olhar.studio.lesson import Lesson, Student
from olhar.web_server.answers import Answer, json_content, send_answer
from olhar.web_server.request import Message, Receive, Request, Send
from olhar.web_server.site import ASGIApp

_MOST_BYTES = 64 * 2**20  # of one request: thirty may come at once


def build_class_app(
    lesson: Lesson, *, local: bool = True, code: str | None = None, allow_host: tuple[str, ...] = ()
) -> ASGIApp:
    """A class as an ASGI application.

    Args:
        lesson: an open one.
        local: whether only this machine reaches it.
        code: that a student must know besides their own.
        allow_host: names that are answered besides its own.
    """
    door = Door(lesson, code)
    first = door.site(local=local, allow_host=allow_host)
    apps: dict[str, ASGIApp] = {}

    def app_of(student: Student) -> ASGIApp:
        if student.name not in apps:
            apps[student.name] = build_app(
                student.studio, phones=student.phones, local=local, allow_host=allow_host
            )
        return apps[student.name]

    async def answer(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        app: ASGIApp = first
        if scope["path"].partition("/")[2].split("/")[0] != "class":
            student = door.student_of(Request(scope, receive))
            app = first if student is None else app_of(student)
        await _bounded(app, scope, receive, send)

    return answer


async def _bounded(app: ASGIApp, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """`app`, which reads no more of a request than all students together leave memory for."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if not length.isdigit() or int(length) > _MOST_BYTES:
        text = _(
            "that is more than {limit} MB at once, the most in a class; send less",
            limit=_MOST_BYTES // 2**20,
        )
        content = json_content({"code": "config", "message": str(text)})
        await send_answer(Answer(413, content), {}, receive, send)
        return
    had = 0

    async def receive_some() -> Message:
        nonlocal had
        message = await receive()
        had += len(message.get("body", b""))
        return message if had <= _MOST_BYTES else {"type": "http.disconnect"}

    await app(scope, receive_some, send)
