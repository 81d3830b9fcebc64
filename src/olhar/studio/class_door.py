"""The first page of a class over HTTP (its routes stand in class_app).

Does not know: what a student does behind it.
"""

from __future__ import annotations

import hmac
from functools import partial

from olhar.errors import NoPermissionError
from olhar.i18n import _
from olhar.studio.class_texts import class_texts
from olhar.studio.lesson import Lesson, Student
from olhar.studio.requests import HEADERS, STATUSES, check_header, page_routes, read_json
from olhar.web_server.answers import Answer, json_answer, json_content, redirect
from olhar.web_server.hosts import HostNames
from olhar.web_server.request import Request
from olhar.web_server.routes import Route, get, in_thread
from olhar.web_server.site import Site

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

    def student_of(self, request: Request) -> Student | None:
        """The student whose cookie comes with a request."""
        return self._lesson.student_of(request.cookie(_COOKIE))

    def site(self, *, local: bool, allow_host: tuple[str, ...]) -> Site:
        """The page as an ASGI application; see `class_app.build_class_app`."""
        routes = [
            get("/", _home),
            get("/class", _home),
            *page_routes("door", class_texts, under="/class"),
            get("/class/api/state", self._state),
            Route("POST", "/class/api/enter", self._enter),
            Route("POST", "/class/api/leave", self._leave),
            *(Route(one, "/{path:path}", _nobody) for one in ("GET", "POST", "PATCH", "DELETE")),
        ]
        return Site(
            "studio",
            routes,
            HostNames(allow_host, local=local),
            checks=[check_header],
            headers=HEADERS,
            statuses=((NoPermissionError, 403), *STATUSES),
        )

    def _state(self, request: Request) -> Answer:
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

    async def _enter(self, request: Request) -> Answer:
        values = await read_json(request, _SMALL)
        given = {key: str(values.get(key) or "") for key in ("name", "code", "class_code")}
        comer = (request.scope.get("client") or ("",))[0]

        def work() -> Answer:
            self._check_code(given["class_code"], comer)
            session, student = self._lesson.enter(given["name"], given["code"], comer)
            found = json_answer(request, {"name": student.name})
            return found.set_cookie(request, _COOKIE, session, _COOKIE_S)

        return await in_thread(work)

    def _check_code(self, given: str, comer: str) -> None:
        """NoPermissionError where the code of the class is wrong; it can be tried a few times."""
        if self._code is None:
            return
        self._lesson.check_tries(comer)
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._code.encode()):
            self._lesson.note_wrong(comer)
            raise NoPermissionError(_("that is not the code of the class; ask the teacher for it"))

    async def _leave(self, request: Request) -> Answer:
        await in_thread(partial(self._lesson.leave, request.cookie(_COOKIE)))
        return json_answer(request, {}).set_cookie(request, _COOKIE, "", 0)


def _home(request: Request) -> Answer:
    query = request.scope["query_string"].decode("latin-1")
    return redirect(f"/class/?{query}" if query else "/class/")


async def _nobody(_request: Request) -> Answer:
    message = str(_("open your project first, at {address}", address="/class/"))
    return Answer(401, json_content({"code": "no_student", "message": message}))
