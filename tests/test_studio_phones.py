"""Phones that are let into a studio: a real server, its second listener, and the page in a browser."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pages import ARTEFACTS
from serving_process import httpx, serving
from test_studio import OURS, Page, photo

SENT = {"X-Olhar": "phone"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    project = tmp_path_factory.mktemp("phones") / "garden"
    with serving(project, command="studio") as server:
        page = Page(server)
        for name in ("rose", "azul claro"):
            page.send("api/classes", {"name": name})
        yield page


@pytest.fixture
def url(page: Page) -> Iterator[str]:
    answer = page.send("api/phones", {"address": "127.0.0.1"})
    assert answer.status_code == 200, answer.text
    yield answer.json()["url"]
    page.send("api/phones", method="DELETE")


def send(url: str, content: bytes, **query: str) -> Any:
    where = f"{url}api/photos"
    return httpx.post(where, params=query, content=content, headers=SENT, timeout=60)


def test_a_photo_of_a_phone_is_in_the_project_at_once(page: Page, url: str) -> None:
    answer = send(url, photo(0, 1), name="image.jpg", **{"class": "rose"})
    assert answer.json() == {
        "taken": [{"file": "rose/image.jpg"}],
        "already": [],
        "refused": [],
        "trouble": None,
    }
    assert {c["name"]: c["count"] for c in page.state()["classes"]}["rose"] == 1
    assert send(url, photo(0, 1), name="image.jpg").json()["already"]
    assert len(send(url, photo(0, 2), name="image.jpg").json()["taken"]) == 1
    assert page.state()["tray"]["count"] == 1
    refused = send(url, b"no photo", name="b.jpg").json()["refused"]
    assert refused[0]["name"] == "b.jpg"
    assert refused[0]["reason"]
    spoken = send(url, b"no photo", name="b.jpg", lang="pt").json()["refused"][0]["reason"]
    assert spoken != refused[0]["reason"]
    gone = send(url, photo(0, 3), **{"class": "none"})
    assert (gone.status_code, "no class 'none'" in gone.json()["message"]) == (404, True)


def test_nothing_but_the_phones_page_is_there_and_only_under_its_token(url: str) -> None:
    home = url.rstrip("/").rpartition("/")[0]
    wrong = f"{home}/{secrets.token_urlsafe(12)}/"
    assert httpx.get(url).status_code == 200
    assert "default-src 'self'" in httpx.get(url).headers["content-security-policy"]
    paths = [
        "api/state",
        "api/events",
        "api/project.zip",
        "photos/rose/image.jpg",
        "page/studio.js",
    ]
    paths += ["api/train", "../api/state", "%2e%2e/api/state", "page/..%2fserver.py"]
    for path in paths:
        assert httpx.get(url + path).status_code == 404, path
    for path in ("", "api/classes", "page/phone.js"):
        assert httpx.get(wrong + path).status_code == 404
        assert httpx.get(f"{home}/{path}").status_code == 404
    # The header by which proxies say where they are moves nothing into another's place.
    forged = {"X-Forwarded-Prefix": "/x", "X-Olhar": "phone"}
    assert httpx.get(f"{wrong}api/classes", headers=forged).status_code == 404
    assert httpx.post(f"{url}api/classes", json={"name": "x"}, headers=SENT).status_code == 405
    assert httpx.post(f"{url}api/photos", content=photo(0, 7)).status_code == 403


def test_a_photo_that_is_too_large_is_refused(url: str) -> None:
    answer = send(url, b"\xff" * (64 * 2**20 + 1), name="huge.jpg")
    assert (answer.status_code, "64 MB" in answer.json()["message"]) == (400, True)


def test_phones_are_let_in_until_that_is_ended(page: Page) -> None:
    first = page.send("api/phones", {"address": "127.0.0.1"}).json()
    assert first["qr"].startswith("<svg")
    assert "http://www.w3.org/2000/svg" in first["qr"]
    assert page.send("api/phones", {"address": "127.0.0.1"}).json()["url"] == first["url"]
    assert httpx.get(f"{first['url']}api/classes").json()["project"] == "garden"
    assert page.send("api/phones", method="DELETE").status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(first["url"])
    second = page.send("api/phones", {"address": "127.0.0.1"}).json()
    assert second["url"].split("/")[3] != first["url"].split("/")[3]
    page.send("api/phones", method="DELETE")
    refused = page.send("api/phones", {"address": "203.0.113.7"})
    assert (refused.status_code, "no address 203.0.113.7" in refused.json()["message"]) == (
        400,
        True,
    )
    assert page.send("api/phones", {"address": 7}).status_code == 400
    assert page.send("api/phones", {}, headers={}).status_code == 403


def test_the_code_that_phones_scan_is_the_address(page: Page, browser: Any) -> None:
    found = page.send("api/phones", {"address": "127.0.0.1"}).json()
    segno = pytest.importorskip("segno", reason="the code needs olhar[studio]")
    modules = segno.make(found["url"], error="m", micro=False).symbol_size(scale=8, border=4)
    assert f'width="{modules[0]}"' in found["qr"]
    view = browser.new_page()
    view.goto(page.server.url)
    view.get_by_role("button", name="Let phones in").click()
    view.get_by_role("img", name="Code with the address").wait_for()
    size = view.evaluate("document.querySelector('#phones-sheet img').naturalWidth")
    assert size == modules[0]
    view.screenshot(path=ARTEFACTS / "studio-phones-dialog.png")
    view.close()
    page.send("api/phones", method="DELETE")


@pytest.mark.parametrize("language", ["en-GB", "pt-BR"])
def test_the_page_on_a_phone(
    page: Page, url: str, browser: Any, language: str, tmp_path: Path
) -> None:
    words = {
        "en-GB": ("Take a photo", "Choose photos", "photos? (is|are) there", "Not taken: 1"),
        "pt-BR": ("Tirar uma foto", "Escolher fotos", "fotos? (está|estão) lá", "Não aceitas: 1"),
    }
    take, choose, there, not_taken = words[language]
    files = []
    for n in range(3):
        files.append(tmp_path / f"{language}{n}.jpg")
        files[-1].write_bytes(photo(n, 40 + len(language + take) + n))
    files.append(tmp_path / "notes.jpg")
    files[-1].write_bytes(b"these are notes")
    before = {c["name"]: c["count"] for c in page.state()["classes"]}["azul claro"]
    size = {"width": 390, "height": 844}
    context = browser.new_context(viewport=size, locale=language, has_touch=True, is_mobile=True)
    view = context.new_page()
    complaints: list[str] = []
    view.on("console", lambda message: complaints.append(message.text))
    view.on("pageerror", lambda error: complaints.append(str(error)))
    view.goto(url)
    camera = view.get_by_label(take)
    assert camera.get_attribute("capture") == "environment"
    assert camera.is_disabled()
    view.get_by_role("radio", name="azul claro").check()
    camera.set_input_files(files[0])
    view.get_by_text(re.compile(f"^1 .*{there}")).wait_for()
    view.get_by_label(choose).set_input_files(files[1:])
    view.get_by_text(re.compile(f"^3 .*{there}")).wait_for()
    view.get_by_text(not_taken).wait_for()
    assert view.get_by_text("notes.jpg").is_visible()
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ARTEFACTS.mkdir(exist_ok=True)
    view.wait_for_timeout(300)
    view.screenshot(path=ARTEFACTS / f"studio-phone-{language}.png", full_page=True)
    after = {c["name"]: c["count"] for c in page.state()["classes"]}["azul claro"]
    assert after == before + 3
    page.send("api/phones", method="DELETE")
    view.get_by_role("alert").wait_for(timeout=10_000)
    assert [one for one in complaints if "ERR_CONNECTION_REFUSED" not in one] == []
    context.close()


def test_the_studio_takes_the_phones_listener_with_it(tmp_path: Path) -> None:
    with serving(tmp_path / "p", command="studio") as server:
        answer = httpx.post(
            f"{server.url}api/phones", json={"address": "127.0.0.1"}, headers=OURS
        ).json()
        assert httpx.get(answer["url"]).status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(answer["url"])


# By https ----------------------------------------------------------------------


def test_a_studio_by_https_and_its_phones(tmp_path: Path) -> None:
    cache = {"OLHAR_CACHE": str(tmp_path / "cache")}
    kept = tmp_path / "cache" / "certificate" / "studio.pem"
    with serving(tmp_path / "p", "--tls", command="studio", **cache) as server:
        assert server.url.startswith("https://")
        made = kept.read_bytes()
        assert os.name == "nt" or kept.stat().st_mode & 0o777 == 0o600
        # Whoever trusts the certificate is not warned, under any name of this computer.
        trusting = ssl.create_default_context(cafile=kept)
        where = f"https://localhost:{server.port}/"
        with httpx.Client(verify=trusting, headers=OURS, timeout=60) as client:
            assert client.get(f"{where}api/state").status_code == 200
            found = client.post(f"{where}api/phones", json={}).json()
            assert found["url"].startswith("https://")
            assert client.get(f"{found['url']}api/classes").json()["classes"] == []
        with pytest.raises(httpx.ConnectError):
            httpx.get(where)
        [said] = re.findall("[0-9A-F]{2}(?::[0-9A-F]{2}){31}", server.log)
        assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate_of(made))).digest() == (
            bytes.fromhex(said.replace(":", ""))
        )
    # The next studio has the same one; one that others can read is not used again.
    with serving(tmp_path / "p", "--tls", command="studio", **cache):
        assert kept.read_bytes() == made
    if os.name != "nt":
        kept.chmod(0o644)
        with serving(tmp_path / "p", "--tls", command="studio", **cache):
            assert kept.read_bytes() != made
            assert kept.stat().st_mode & 0o777 == 0o600
    kept.write_text("damaged")
    with serving(tmp_path / "p", "--tls", command="studio", **cache) as server:
        assert certificate_of(kept.read_bytes())


def certificate_of(content: bytes) -> str:
    text = content.decode()
    return text[text.index("-----BEGIN CERTIFICATE") :]
