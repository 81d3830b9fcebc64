"""A server behind a path, a tunnel or a proxy: its pages work there, and its refusals name the way on."""

from __future__ import annotations

import contextlib
import http.server
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import olhar
from olhar.errors import ConfigError
from olhar.serving.settings import ServeSettings
from olhar.web_server.hosts import HostNames
from olhar.web_server.listening import listen, shown_url
from olhar.web_server.prefix import PREFIX, clean_prefix, place_page, redirect_of, without_prefix
from serving_process import Server, httpx, serving


@pytest.fixture(scope="module")
def server(digits_run: Path) -> Iterator[Server]:
    with serving(
        *(digits_run, "--root-path", "/olhar/", "--allow-host", "hub.example.org"),
        *("--allow-host", "*.tunnel.example"),
    ) as running:
        yield running


@pytest.fixture(scope="module")
def plain(digits_run: Path) -> Iterator[Server]:
    """One that was told nothing."""
    with serving(digits_run) as running:
        yield running


@pytest.fixture(scope="module")
def board(digits_run: Path) -> Iterator[Server]:
    words = ("--runs", digits_run.parent, "--allow-host", "https://hub.example.org:443/olhar")
    with serving(*words, command="board") as running:
        yield running


@contextlib.contextmanager
def proxy(url: str, prefix: str, *, strips: bool, **headers: str) -> Iterator[str]:
    """A proxy that shows the server at `url` below a path of its own; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def forward(self) -> None:
            assert self.path == prefix or self.path.startswith(prefix + "/"), self.path
            path = (self.path[len(prefix) :] if strips else self.path).lstrip("/")
            length = int(self.headers.get("Content-Length") or 0)
            sent = {**{k: v for k, v in self.headers.items() if k != "Connection"}, **headers}
            answer = httpx.request(
                self.command, url + path, content=self.rfile.read(length), headers=sent
            )
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = forward

        def log_message(self, *words: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@contextlib.contextmanager
def page_of(browser: Any, url: str) -> Iterator[Any]:
    """A page that must not complain, nor leave its path."""
    page = browser.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    own = (url.rstrip("/") + "/", url.rstrip("/") + "?", "blob:", "data:")
    page.on(
        "request",
        lambda one: one.url == url or one.url.startswith(own) or complaints.append(one.url),
    )
    try:
        page.goto(url)
        yield page
    finally:
        page.close()
    assert complaints == []


@pytest.mark.parametrize(
    ("path", "strips", "headers"),
    [
        ("/user/ann/proxy/8080/", True, {}),  # JupyterHub, SageMaker notebooks
        ("/olhar/", False, {}),  # nginx, proxy_pass without a path; --root-path
        ("/olhar", False, {}),
        ("/hub/olhar", True, {"X-Forwarded-Prefix": "/hub/olhar"}),  # Traefik, StripPrefix
        ("/hub", False, {"X-Forwarded-Prefix": "/hub/"}),
    ],
)
def test_the_page_works_below_a_path(
    browser: Any,
    server: Server,
    plain: Server,
    path: str,
    strips: bool,
    headers: dict[str, str],
    tmp_path: Path,
) -> None:
    from PIL import Image

    photo = tmp_path / "a.png"
    Image.new("L", (8, 8), 99).save(photo)
    told = path.startswith("/olhar") or headers
    url = (server if told else plain).url
    with (
        proxy(url, path.rstrip("/"), strips=strips, **headers) as shown,
        page_of(browser, shown + path) as page,
    ):
        page.wait_for_selector("body:not(.waiting)")
        page.locator("#ways label").nth(1).click()
        page.set_input_files("#files", [str(photo)])
        page.locator(".bars .of").first.wait_for()
        assert page.locator(".top img").evaluate("(one) => one.naturalWidth") > 0


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-Prefix": "/hub/runs"}])
def test_the_board_works_below_a_path(browser: Any, board: Server, headers: dict[str, str]) -> None:
    path = "/hub/runs" if headers else "/hub/runs/"
    with (
        proxy(board.url, "/hub/runs", strips=True, **headers) as url,
        page_of(browser, url + path) as page,
    ):
        page.locator("#body .name").first.wait_for()
        assert page.locator("header img").first.evaluate("(one) => one.naturalWidth") > 0
        page.get_by_role("button", name="pictures of", exact=False).first.click()
        page.locator("dialog .card img, dialog .gallery img").first.wait_for(state="attached")
        loaded = """() => [...document.querySelectorAll("dialog img")].map((one) => {
            one.loading = "eager"; return one.decode().then(() => one.naturalWidth > 0) })"""
        assert page.evaluate(f"async () => Promise.all(({loaded})())")


def test_addresses_that_must_be_said_in_full_have_the_prefix(server: Server) -> None:
    described = server.get("openapi.json").json()
    assert described["servers"] == [{"url": "/olhar"}]
    named = server.get("openapi.json", headers={"X-Forwarded-Prefix": "/a/b/"}).json()
    assert named["servers"] == [{"url": "/a/b"}]
    home = server.get("olhar?lang=pt", follow_redirects=False)
    assert (home.status_code, home.headers["location"]) == (307, "/olhar/?lang=pt")
    assert server.get("olhar/ping").json() == server.get("ping").json()
    for bad in ("//evil.example", "javascript:alert(1)", '/a"><script>', "/..", "/a b"):
        answer = server.get("", headers={"X-Forwarded-Prefix": bad})
        assert 'href="/olhar/page/page.css"' in answer.text


@given(st.text(max_size=30))
def test_a_prefix_is_a_plain_path_or_refused(text: str) -> None:
    try:
        prefix = clean_prefix(text)
    except ValueError:
        return
    page = place_page(b'<a href="page/x"><a href="?lang=en"><a href="#a">', prefix)
    assert page.count(b'"') == 6
    scope = {"path": f"{prefix}/ping", "headers": [], "query_string": b""}
    found = without_prefix(scope, prefix)
    assert (found["path"], found[PREFIX], redirect_of(found)) == ("/ping", prefix, None)


def test_a_name_that_was_allowed_is_answered_and_others_are_told_how(
    server: Server, board: Server
) -> None:
    ours = ("hub.example.org", "HUB.example.org:8443", "a.tunnel.example", "127.0.0.2:80", "[::1]")
    more = ("localhost", "olhar.localhost:8080", "192.168.1.7:8080", "localhost.")
    theirs = ("evil.example", "tunnel.example", "hub.example.org.evil.example", "127.0.0.1.nip.io")
    for host in (*ours, *more):
        assert server.get("ping", headers={"Host": host}).status_code == 200, host
    for host in theirs:
        answer = server.get("ping", headers={"Host": host})
        assert answer.status_code == 421, host
        assert f"olhar serve --allow-host {host}" in answer.json()["error"]["message"]
    assert board.get("", headers={"Host": "hub.example.org"}).status_code == 200
    refused = board.get("", headers={"Host": "x.ngrok-free.app"})
    assert refused.status_code == 421
    assert "olhar board --allow-host x.ngrok-free.app" in refused.text


def test_a_page_of_the_servers_own_name_may_ask(server: Server) -> None:
    """As nginx forwards by default: with the address it connects to as Host, and the page's Origin."""
    words: dict[str, Any] = {"content": b"no photo", "follow_redirects": False}
    for origin in ("https://hub.example.org", "https://b.tunnel.example", server.url[:-1]):
        assert server.post("predict", headers={"Origin": origin}, **words).status_code == 422
    refused = server.post("predict", headers={"Origin": "https://x.ngrok-free.app"}, **words)
    message = refused.json()["error"]["message"]
    assert refused.status_code == 403
    assert "--allow-host x.ngrok-free.app" in message
    assert "--cors https://x.ngrok-free.app" in message
    nameless = server.post("predict", headers={"Origin": "null"}, **words)
    assert (nameless.status_code, "--cors null" in nameless.text) == (403, True)


def test_a_page_without_an_origin_may_ask_where_that_is_allowed(digits_run: Path) -> None:
    with serving(digits_run, "--cors", "null", "--cors", "https://Example.org/") as server:
        for origin in ("null", "https://example.org"):
            answer = server.post("predict", content=b"no photo", headers={"Origin": origin})
            assert answer.status_code == 422
            assert answer.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    ("given_name", "read"),
    [
        ("olhar.example.org", "olhar.example.org"),
        ("https://x.ngrok-free.app/", "x.ngrok-free.app"),
        ("X.ngrok-free.app:443", "x.ngrok-free.app"),
        (".example.org", ".example.org"),
        ("*.example.org", ".example.org"),
        ("*", "*"),
        ("fotografía.example", "xn--fotografa-n5a.example"),
    ],
)
def test_names_are_taken_as_people_copy_them(given_name: str, read: str) -> None:
    assert ServeSettings(allow_host=(given_name,)).allow_host == (read,)


@pytest.mark.parametrize("bad", ["", "a b", "a,b", "..", "https://", "a/b c", "<x>", "*x"])
def test_what_is_no_name_is_refused(bad: str) -> None:
    with pytest.raises(ConfigError, match="name such as"):
        ServeSettings(allow_host=(bad,))


def test_an_open_server_answers_all_names_unless_some_are_given() -> None:
    assert HostNames((), local=False).answers("any.example")
    assert HostNames((), local=False).answers("")
    some = HostNames(("a.example",), local=False)
    assert some.answers("a.example:80")
    assert some.answers("10.0.0.7:8080")
    assert not some.answers("b.example")


def reached(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True


has_ipv6 = pytest.mark.skipif(
    not socket.has_ipv6 or "::1" not in str(socket.getaddrinfo("::1", 80)), reason="no IPv6 here"
)


@has_ipv6
@pytest.mark.parametrize(
    ("host", "groups", "both"),
    [
        *(("localhost", 1, True), ("LOCALHOST", 3, True)),
        *(("::", 1, True), ("::", 2, True), ("127.0.0.1", 1, False), ("0.0.0.0", 1, False)),
    ],
)
def test_both_families_reach_what_listens_for_both(host: str, groups: int, both: bool) -> None:
    with listen(host, 0, groups, command="serve") as found:
        port = found[0][0].getsockname()[1]
        assert {one.getsockname()[1] for group in found for one in group} == {port}
        assert reached("127.0.0.1", port)
        assert reached("::1", port) == both
        assert shown_url(host, found[0]) == f"http://127.0.0.1:{port}/"
    assert not reached("127.0.0.1", port)


@has_ipv6
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is nobody's")
@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_a_server_answers_under_the_address_that_it_prints(digits_run: Path, host: str) -> None:
    with serving(digits_run, "--host", host) as server:
        assert server.get("ping").json() == {"live": True}
        assert host in server.url


def test_wrong_settings_are_told(digits_run: Path) -> None:
    for command, words in (("serve", (digits_run,)), ("board", ("--runs", digits_run.parent))):
        for flag, bad in (("--allow-host", "a b"), ("--root-path", "a path")):
            done = olhar(command, *words, flag, bad)
            assert (done.status, flag in done.err) == (2, True), done.err
