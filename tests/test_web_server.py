"""What all servers stand on: routes, cookies, forms, and answers in parts, asked without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import pytest

from olhar.studio.admission import token_check
from olhar.web_server.answers import Answer, content_answer, plain_answer, send_answer
from olhar.web_server.forms import FormReader
from olhar.web_server.hosts import HostNames
from olhar.web_server.refusals import RequestError
from olhar.web_server.request import Request
from olhar.web_server.routes import Route, get
from olhar.web_server.site import Site


def shown(request: Request) -> Answer:
    return plain_answer(200, repr(request.params))


def broken(_request: Request) -> Answer:
    raise ZeroDivisionError


def asked(path: str, method: str = "GET", query: str = "", **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), one.encode()) for name, one in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "scheme": "http"}
    return scope | {"query_string": query.encode(), "headers": [(b"host", b"localhost"), *named]}


def ask(app: Any, scope: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


def site(**words: Any) -> Site:
    async def changed(_request: Request) -> Answer:
        return plain_answer(200, "changed")

    routes = [
        *(get("/", shown), get("/runs/{id}.json", shown), get("/runs/{id}", shown)),
        *(get("/files/{id}/{file:path}", shown), get("/broken", broken)),
        Route("POST", "/runs/{id}", changed),
    ]
    return Site("board", routes, HostNames((), local=True), **words)


def test_a_route_names_parts_of_its_path() -> None:
    cases = [
        ("/", {}),
        ("/runs/a b", {"id": "a b"}),
        ("/runs/a.json", {"id": "a"}),
        ("/files/a/b/c.png", {"id": "a", "file": "b/c.png"}),
    ]
    for path, params in cases:
        status, headers, body = ask(site(), asked(path))
        assert (status, body) == (200, repr(params).encode()), path
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/runs/", "/runs/a/b", "/files/a", "/runsXa"):
        assert ask(site(), asked(path))[0] == 404, path
    status, headers, _body = ask(site(), asked("/runs/a", "DELETE"))
    assert (status, headers["allow"]) == (405, "GET, POST")
    assert ask(site(), asked("/runs/a", "HEAD"))[0] == 200
    assert ask(site(), asked("/runs/a", "POST"))[2] == b"changed"


def test_what_fails_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    status, headers, body = ask(site(), asked("/broken"))
    assert (status, body, headers["x-frame-options"]) == (500, b"500", "DENY")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("token", ["tulips 5b", 'a;b="c"', "ção-%41"])
def test_a_token_of_any_letters_comes_back_as_a_cookie(token: str) -> None:
    app = site(checks=[token_check(token)])
    assert ask(app, asked("/"))[0] == 401
    status, headers, _body = ask(app, asked("/runs/a\r\nb", query=f"token={quote(token)}"))
    assert (status, headers["location"]) == (307, "/runs/a%0D%0Ab")
    below = ask(app, asked("/x/", query=f"token={quote(token)}", x_forwarded_prefix="/x"))
    assert below[1]["location"] == "/x/"
    cookie, *marks = headers["set-cookie"].split("; ")
    assert marks == ["Path=/", "HttpOnly", "SameSite=strict"]
    assert ask(app, asked("/", cookie=f'other={{"a": 1}}; {cookie}; x'))[0] == 200
    assert ask(app, asked("/", cookie=f"{cookie}x"))[0] == 401
    assert ask(app, asked("/", query="a=1&a=2"))[0] == 422


def test_several_hosts_are_none() -> None:
    assert ask(site(), asked("/", host="localhost"))[0] == 421


def test_what_a_browser_has_is_not_sent_again() -> None:
    def answer(**headers: str) -> Answer:
        async def receive() -> Any:
            raise AssertionError

        return content_answer(Request(asked("/", **headers), receive), b"x", "text/plain")

    etag = answer().headers["ETag"]
    assert (answer(if_none_match=etag).status, answer(if_none_match='"y"').status) == (304, 200)


def test_parts_end_when_the_client_has_gone() -> None:
    ended, sent = [], []

    async def parts() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.001)
        finally:
            ended.append(True)

    async def go() -> None:
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) > 3:
                gone.set()

        await asyncio.wait_for(send_answer(Answer(200, parts=parts()), {}, receive, send), 10)

    asyncio.run(go())
    assert ended == [True]
    assert all(message.get("more_body") for message in sent[1:])


def test_a_form_is_taken_as_it_comes_and_has_its_bounds() -> None:
    kind = "multipart/form-data; boundary=b"
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="%d.png"\r\n\r\nxyz\r\n'
    body = b"".join(part % number for number in range(3)) + b"--b--\r\n"
    form = FormReader(kind, 3)
    for start in range(0, len(body), 7):
        form.write(body[start : start + 7])
    assert [(one.options["filename"], one.content) for one in form.parts()] == [
        (f"{number}.png", b"xyz") for number in range(3)
    ]
    with pytest.raises(RequestError, match="too many fields; allowed: 2"):
        FormReader(kind, 2).write(body)
    cut = FormReader(kind)
    cut.write(body[:60])
    with pytest.raises(RequestError, match="too early"):
        cut.parts()
