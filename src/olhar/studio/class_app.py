"""A class over HTTP: a first page where a student gives a name and a code, then the studio itself.

    GET  /class/             the first page; page/NAME its style and script; api/texts its strings
    GET  /class/api/state    {"student", "class_code", "students", "most", "line"}
    POST /class/api/enter    {"name", "code", "class_code"}: a cookie, by which all else is the student's
    POST /class/api/leave    the cookie goes

Everything else is the studio of the student whose cookie comes with the request; `/` leads to the first
page without one.
"""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar import i18n
from olhar.errors import NoPermissionError, OlharError
from olhar.i18n import _
from olhar.serving.local_pages import file_answer, guarded, json_answer, refuse, request_language
from olhar.studio.app import build_app
from olhar.studio.class_texts import class_texts
from olhar.studio.lesson import Lesson, Student
from olhar.studio.requests import HEADERS, check_header, read_json, refuse_in_words

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HERE = Path(__file__).parent
_FILES = (
    _HERE / "door" / "door.css",
    _HERE / "door" / "door.js",
    _HERE / "page" / "base.css",
    _HERE / "page" / "icon.svg",
)
_COOKIE = "olhar_student"
_COOKIE_S = 12 * 3600
_MOST_BYTES = 64 * 2**20  # of one request: thirty may come at once
_SMALL = 64 * 2**10


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
    from starlette.requests import HTTPConnection

    door = _build_door(lesson, code, local=local, allow_host=allow_host)
    apps: dict[str, ASGIApp] = {}

    def app_of(student: Student) -> ASGIApp:
        if student.name not in apps:
            apps[student.name] = build_app(
                student.studio, phones=student.phones, local=local, allow_host=allow_host
            )
        return apps[student.name]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        app, student = door, None
        if scope["type"] == "http" and scope["path"].partition("/")[2].split("/")[0] != "class":
            student = lesson.student_of(HTTPConnection(scope).cookies.get(_COOKIE, ""))
            app = door if student is None else app_of(student)
        await _bounded(app, scope, receive, send)

    return answer


def _build_door(
    lesson: Lesson, code: str | None, *, local: bool, allow_host: tuple[str, ...]
) -> ASGIApp:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    def home(request: Request) -> Response:
        query = request.url.query
        return RedirectResponse(f"/class/?{query}" if query else "/class/")

    def nobody(request: Request) -> Response:
        with i18n.using(request_language(request)):
            message = str(_("open your project first, at {address}", address="/class/"))
        return json_answer(request, {"code": "no_student", "message": message}, 401)

    def texts(request: Request) -> Response:
        with i18n.using(request_language(request)):
            return json_answer(request, class_texts(i18n.language()))

    def state(request: Request) -> Response:
        student = lesson.student_of(request.cookies.get(_COOKIE, ""))
        is_in = student is not None or code is None
        values = {
            "student": None if student is None else student.name,
            "class_code": code is not None,
            "students": lesson.count() if is_in else None,
            "most": lesson.most,
            "line": lesson.line() if is_in else [],
        }
        return json_answer(request, values)

    async def enter(request: Request) -> Response:
        values = await read_json(request, _SMALL)
        given = {key: str(values.get(key) or "") for key in ("name", "code", "class_code")}
        comer = request.client.host if request.client else ""

        def work() -> Response:
            with i18n.using(request_language(request)):
                if code is not None:
                    lesson.check_tries(comer)
                    if not hmac.compare_digest(
                        given["class_code"].strip().encode("utf-8", "replace"), code.encode()
                    ):
                        lesson.note_wrong(comer)
                        raise NoPermissionError(
                            _("that is not the code of the class; ask the teacher for it")
                        )
                session, student = lesson.enter(given["name"], given["code"], comer)
            found = json_answer(request, {"name": student.name})
            found.set_cookie(
                _COOKIE,
                session,
                max_age=_COOKIE_S,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
            return found

        return await run_in_threadpool(work)

    def leave(request: Request) -> Response:
        lesson.leave(request.cookies.get(_COOKIE, ""))
        found = json_answer(request, {})
        found.delete_cookie(_COOKIE)
        return found

    def refuse_door(request: Request, error: Exception) -> Response:
        if isinstance(error, NoPermissionError):
            return refuse(request, error, 403)
        return refuse_in_words(request, error)

    routes = [
        Route("/", home),
        Route("/class", home),
        Route("/class/", file_answer(_HERE / "door" / "index.html")),
        *(Route(f"/class/page/{file.name}", file_answer(file)) for file in _FILES),
        Route("/class/api/texts", texts),
        Route("/class/api/state", state),
        Route("/class/api/enter", enter, methods=["POST"]),
        Route("/class/api/leave", leave, methods=["POST"]),
        Route("/{path:path}", nobody, methods=["GET", "POST", "PATCH", "DELETE"]),
    ]
    app = Starlette(routes=routes, exception_handlers={OlharError: refuse_door})
    return guarded(
        app, "studio", local=local, allow_host=allow_host, check=check_header, headers=HEADERS
    )


async def _bounded(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """`app`, which reads no more of a request than all students together leave memory for."""
    from starlette.responses import Response

    if scope["type"] != "http":
        await app(scope, receive, send)
        return
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if not length.isdigit() or int(length) > _MOST_BYTES:
        text = _(
            "that is more than {limit} MB at once, the most in a class; send less",
            limit=_MOST_BYTES // 2**20,
        )
        content = json.dumps({"code": "config", "message": str(text)})
        await Response(content, 413, media_type="application/json")(scope, receive, send)
        return
    had = 0

    async def receive_some() -> Message:
        nonlocal had
        message: Any = await receive()
        had += len(message.get("body", b""))
        return message if had <= _MOST_BYTES else {"type": "http.disconnect"}

    await app(scope, receive_some, send)
