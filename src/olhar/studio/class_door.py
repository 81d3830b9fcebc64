"""The first page of a class over HTTP (its routes stand in class_app).

Does not know: what a student does behind it.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from olhar import i18n
from olhar.errors import NoPermissionError, OlharError
from olhar.i18n import _
from olhar.studio.class_texts import class_texts
from olhar.studio.lesson import Lesson, Student
from olhar.studio.requests import HEADERS, check_header, page_routes, read_json, refuse_in_words
from olhar.web_server.local_pages import guarded, json_answer, refuse, request_language

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

_COOKIE = "olhar_student"
_COOKIE_S = 12 * 3600
_SMALL = 64 * 2**10  # bytes


class Door:
    """Who comes to a class, goes, and is in it."""

    def __init__(self, lesson: Lesson, code: str | None) -> None:
        """Open it.

        Args:
            lesson: an open one.
            code: that a student must know besides their own.
        """
        self._lesson, self._code = lesson, code

    def student_of(self, asked: HTTPConnection) -> Student | None:
        """The student whose cookie comes with a request."""
        return self._lesson.student_of(asked.cookies.get(_COOKIE, ""))

    def app(self, *, local: bool, allow_host: tuple[str, ...]) -> ASGIApp:
        """The page as an ASGI application; see `class_app.build_class_app`."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        routes = [
            Route("/", _home),
            Route("/class", _home),
            *page_routes("door", class_texts, under="/class"),
            Route("/class/api/state", self._state),
            Route("/class/api/enter", self._enter, methods=["POST"]),
            Route("/class/api/leave", self._leave, methods=["POST"]),
            Route("/{path:path}", _nobody, methods=["GET", "POST", "PATCH", "DELETE"]),
        ]
        app = Starlette(routes=routes, exception_handlers={OlharError: _refuse})
        return guarded(
            app, "studio", local=local, allow_host=allow_host, check=check_header, headers=HEADERS
        )

    def _state(self, request: Request) -> Response:
        student = self.student_of(request)
        is_in = student is not None or self._code is None
        values = {
            "student": None if student is None else student.name,
            "class_code": self._code is not None,
            "students": self._lesson.count() if is_in else None,
            "most": self._lesson.most,
            "line": self._lesson.line() if is_in else [],
        }
        return json_answer(request, values)

    async def _enter(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        values = await read_json(request, _SMALL)
        given = {key: str(values.get(key) or "") for key in ("name", "code", "class_code")}
        comer = request.client.host if request.client else ""

        def work() -> Response:
            with i18n.using(request_language(request)):
                self._check_code(given["class_code"], comer)
                session, student = self._lesson.enter(given["name"], given["code"], comer)
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

    def _check_code(self, given: str, comer: str) -> None:
        """NoPermissionError where the code of the class is wrong; it can be tried a few times."""
        if self._code is None:
            return
        self._lesson.check_tries(comer)
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._code.encode()):
            self._lesson.note_wrong(comer)
            raise NoPermissionError(_("that is not the code of the class; ask the teacher for it"))

    def _leave(self, request: Request) -> Response:
        self._lesson.leave(request.cookies.get(_COOKIE, ""))
        found = json_answer(request, {})
        found.delete_cookie(_COOKIE)
        return found


def _home(request: Request) -> Response:
    from starlette.responses import RedirectResponse

    query = request.url.query
    return RedirectResponse(f"/class/?{query}" if query else "/class/")


def _nobody(request: Request) -> Response:
    with i18n.using(request_language(request)):
        message = str(_("open your project first, at {address}", address="/class/"))
    return json_answer(request, {"code": "no_student", "message": message}, 401)


def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, NoPermissionError):
        return refuse(request, error, 403)
    return refuse_in_words(request, error)
