"""`olhar serve`: one answer for one photo, whoever asks and however; and no way to break it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from PIL import Image

from conftest import olhar
from olhar import load
from olhar.images import read_image
from olhar.serving.app import App
from olhar.serving.settings import ServeSettings, ServeState
from serving_here import application, ask
from serving_process import Server, httpx, serving

schemathesis = pytest.importorskip("schemathesis", reason="the fuzzing needs schemathesis")

FORM, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"
ROOT = Path(__file__).parent.parent
JPEG, JSON = {"Content-Type": "image/jpeg"}, {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """30 handwritten digits, as files of several kinds and sizes."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for index, digit in enumerate(load_digits().images[:30]):
        suffix = ("jpg", "png", "webp", "bmp", "gif", "tif")[index % 6]
        side = (8, 28, 120)[index % 3]
        picture = Image.fromarray((digit * 15.9).astype(np.uint8)).resize((side, side + index))
        paths.append(folder / f"{index:02}.{suffix}")
        (picture.convert("RGB") if suffix == "jpg" else picture).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def server(digits_run: Path) -> Iterator[Server]:
    with serving(f"digits={digits_run}", f"again={digits_run / 'model'}") as running:
        yield running


@pytest.fixture(scope="module")
def app(digits_run: Path) -> Iterator[App]:
    """The application itself, in this process, with small limits."""
    limits = ServeSettings(max_mb=300_000 / 2**20, max_pixels=1_000_000, max_images=8)
    with application(digits_run, limits) as made:
        yield made


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def without_names(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**answer, "file": ""} for answer in answers]


def png(width: int, height: int) -> bytes:
    """A PNG of so many pixels that is tiny as a file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    rows = zlib.compress(bytes((width + 1) * min(height, 4)))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_every_way_gives_the_same_answers(
    server: Server, digits_run: Path, photos: list[Path]
) -> None:
    names = [str(path) for path in photos]
    wanted = olhar("predict", digits_run, *names, "--json").json
    classifier = load(digits_run)
    assert [classifier.predict(path).to_dict() for path in photos] == wanted
    for path in ("predict", "invocations"):
        raw = [
            server.post(path, content=photo.read_bytes(), headers=JPEG, params={"file": name})
            for photo, name in zip(photos, names, strict=True)
        ]
        assert [answer.json()[0] for answer in raw] == wanted
        form = [("photos", (str(photo), photo.read_bytes())) for photo in photos]
        assert server.post(path, files=form).json() == wanted
        items = [{"file": name, "image": encoded(Path(name))} for name in names]
        for key in ("images", "instances", "inputs"):
            assert server.post(path, json={key: items}).json() == wanted
        texts = [encoded(photo) for photo in photos]
        assert without_names(server.post(path, json={"images": texts}).json()) == without_names(
            wanted
        )
        pixels = [read_image(name, shrink_to=56).tolist() for name in names]
        answers = server.post(path, json={"instances": pixels}).json()
        assert without_names(answers) == without_names(wanted)


def test_open_inference_gives_the_same_probabilities(
    server: Server, digits_run: Path, photos: list[Path]
) -> None:
    classifier = load(digits_run)
    inputs = np.stack([classifier.preprocess.read(photo) for photo in photos])
    wanted = classifier.predict_probs(inputs)
    tensors = (
        {"name": "images", "shape": inputs.shape, "datatype": "UINT8", "data": inputs.tolist()},
        {
            "name": "images",
            "shape": inputs.shape,
            "datatype": "UINT8",
            "data": inputs.ravel().tolist(),
        },
        {"name": "image", "shape": [30], "datatype": "BYTES", "data": [encoded(p) for p in photos]},
    )
    for tensor in tensors:
        answer = server.post("v2/models/digits/infer", json={"id": "7", "inputs": [tensor]}).json()
        probabilities, label = answer["outputs"]
        assert answer["id"] == "7"
        assert probabilities["shape"] == [30, 10]
        found = np.array(probabilities["data"], np.float32).reshape(30, 10)
        assert np.abs(found - wanted).max() < 1e-6
        assert label["data"] == [classifier.class_names[i] for i in wanted.argmax(axis=1)]
    meta = server.get("v2/models/digits").json()
    assert meta["inputs"][0]["shape"] == [-1, 1, 28, 28]
    version = f"v2/models/digits/versions/{meta['versions'][0]}"
    assert server.get(version).json() == meta
    assert server.get(f"{version}/ready").json()["ready"]
    for path in ("v2", "v2/health/live", "v2/health/ready", "v2/models/again/ready", "ping"):
        assert server.get(path).status_code == 200
    assert [model["name"] for model in server.get("models").json()] == ["digits", "again"]


def test_options_count_wherever_they_stand(server: Server, photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    options = {"top_k": "2", "threshold": "0.999999", "model": "again"}
    raw = server.post("predict", content=content, headers=JPEG, params=options).json()
    form = server.post("predict", files={"x": ("-", content)}, data=options).json()
    text = server.post("predict", json={"image": encoded(photos[0]), **options}).json()
    mlflow = {"inputs": [{"file": "-", "b64": encoded(photos[0])}], "params": options}
    assert raw == form == text == server.post("invocations", json=mlflow).json()
    assert len(raw[0]["top"]) == 2
    assert raw[0]["sure"] is False
    for wrong in ({"top": "2"}, {"top_k": "0"}, {"threshold": "2"}, {"lang": "xx"}):
        answer = server.post("predict", content=content, headers=JPEG, params=wrong)
        assert answer.status_code == 422
        assert next(iter(wrong)) in answer.json()["error"]["message"]
    assert server.post("predict?model=agan", content=content).status_code == 404


def test_one_bad_photo_among_many_is_named(server: Server, photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    form = [
        ("f", ("good.jpg", content)),
        ("f", ("bad.jpg", b"<html>")),
        ("f", ("cut.jpg", content[:99])),
    ]
    good, bad, cut = server.post("predict", files=form, headers={"Accept-Language": "pt"}).json()
    assert good["file"] == "good.jpg"
    assert bad["file"] == "bad.jpg"
    assert "HTML" in bad["error"]
    assert cut["file"] == "cut.jpg"
    assert "label" not in cut


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "code"),
    [
        ("GET", "/nothing", {}, b"", 404, "not_found"),
        ("POST", "/nothing", {}, b"x", 404, "not_found"),
        ("GET", "/predict", {}, b"", 405, "method"),
        ("DELETE", "/page/texts", {}, b"", 405, "method"),
        ("POST", "/predict", {"Content-Type": "text/plain"}, b"hello", 415, "media_type"),
        ("POST", "/predict", {"Content-Type": URLENCODED}, b"a=b", 415, "media_type"),
        ("POST", "/predict", {**JPEG, "Content-Encoding": "gzip"}, b"\x1f\x8b", 415, "media_type"),
        ("POST", "/predict", JPEG, b"", 422, "image"),
        ("POST", "/predict", JPEG, b"<!doctype html><html>", 422, "image"),
        ("POST", "/predict", {"Content-Type": "image/svg+xml"}, b"<svg xmlns='x'/>", 422, "image"),
        ("POST", "/predict", {}, b"\xff\xd8\xff\xe0 half of it", 422, "image"),
        ("POST", "/predict", JPEG, png(10_000, 10_000), 413, "image_size"),
        ("POST", "/predict", JPEG, png(1_000_000, 1_000_000), 413, "image_size"),
        ("POST", "/predict", JPEG, bytes(300_001), 413, "too_large"),
        ("POST", "/predict", JSON, b"{", 422, "request"),
        ("POST", "/predict", JSON, b"[" * 100_000, 422, "request"),
        ("POST", "/predict", JSON, b"[]", 422, "request"),
        ("POST", "/predict", JSON, b"{}", 422, "request"),
        ("POST", "/predict", JSON, b'{"picture": "AAAA"}', 422, "request"),
        ("POST", "/predict", JSON, b'{"image": "%%%"}', 422, "image"),
        ("POST", "/predict", JSON, b'{"image": {"image": 3}}', 422, "image"),
        ("POST", "/predict", JSON, b'{"image": [[1, 2], [3]]}', 422, "image"),
        ("POST", "/predict", JSON, b'{"image": [[1, 256]]}', 422, "image"),
        ("POST", "/predict", JSON, b'{"image": [[1e999, NaN]]}', 422, "image"),
        ("POST", "/predict", JSON, b'{"images": ["\\ud800"]}', 422, "image"),
        ("POST", "/predict", JSON, b'{"images": ["", "", "", "", "", "", "", "", ""]}', 413, "too_large"),
        ("POST", "/predict", JSON, b'{"image": "", "threshold": true}', 422, "request"),
        ("POST", "/predict", {"Content-Type": f"{FORM}"}, b"--x", 422, "request"),
        ("POST", "/predict", {"Content-Type": f"{FORM}; boundary=x"}, b"--x\r\n", 422, "request"),
        ("POST", "/predict", {"Content-Type": f"{FORM}; boundary=\xe9"}, b"--x", 422, "request"),
        ("POST", "/predict?top_k=1&top_k=2", JPEG, b"x", 422, "request"),
        ("POST", "/predict?" + "&".join(f"a{i}=1" for i in range(99)), JPEG, b"x", 422, "request"),
        ("POST", "/predict?model=digist", JPEG, b"x", 404, "unknown_name"),
        ("POST", "/v2/models/digits/infer", JSON, b"{}", 422, "request"),
        ("POST", "/v2/models/digits/infer", JSON, b'{"inputs": [{"name": "images"}]}', 422, "request"),
        ("POST", "/v2/models/cats/infer", JSON, b"{}", 404, "unknown_name"),
        ("GET", "/v2/models/digits/versions/1", {}, b"", 404, "unknown_name"),
        ("GET", "/v2/models/digits/infer", {}, b"", 405, "method"),
        ("POST", "/predict", {"Origin": "https://example.org"}, b"x", 403, "origin"),
    ],
)  # fmt: skip
def test_refusals_have_one_shape(
    app: App, method: str, path: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = ask(app, method, path, content=body, headers={**raw, "X-Request-Id": "mine-1"})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["request_id"]) == (code, "mine-1")
    assert error["message"]
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    portuguese = ask(
        app, method, path, content=body, headers={**raw, "Accept-Language": "pt-BR,en;q=0.5"}
    )
    assert portuguese.status_code == status


def test_an_animated_gif_is_its_first_frame(app: App, photos: list[Path]) -> None:
    first, second = (Image.open(path).convert("L").resize((28, 28)) for path in photos[:2])
    still, moving = io.BytesIO(), io.BytesIO()
    first.save(still, "GIF")
    first.save(moving, "GIF", save_all=True, append_images=[second])
    answers = [
        ask(app, "POST", "/predict", content=file.getvalue(), headers={"Content-Type": "image/gif"})
        for file in (still, moving)
    ]
    assert answers[0].json() == answers[1].json()


def test_who_may_ask(digits_run: Path, photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    site = "https://example.org"
    with serving(digits_run, "--cors", site, OLHAR_TOKEN="s3cret") as server:
        assert server.get("ping").status_code == 200
        assert server.get("v2/health/ready").status_code == 200
        assert server.get("").status_code == 200
        for path in ("models", "metrics", "page/models", "openapi.json"):
            assert server.get(path).status_code == 401
        refused = server.post("predict", content=content, headers=JPEG)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        mine = {**JPEG, "Authorization": "Bearer s3cret"}
        assert server.post("predict", content=content, headers=mine).status_code == 200
        allowed = server.post("predict", content=content, headers={**mine, "Origin": site})
        assert allowed.headers["access-control-allow-origin"] == site
        other = server.post("predict", content=content, headers={**mine, "Origin": "https://evil"})
        assert (other.status_code, other.json()["error"]["code"]) == (403, "origin")
        assert "access-control-allow-origin" not in other.headers
        wish = {"Origin": site, "Access-Control-Request-Method": "POST"}
        preflight = httpx.options(server.url + "predict", headers=wish)
        assert preflight.status_code == 204
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        rebound = server.post("predict", content=content, headers={**mine, "Host": "evil.example"})
        assert (rebound.status_code, rebound.json()["error"]["code"]) == (421, "host")
        assert "s3cret" not in server.log


def test_a_client_that_asks_too_often_waits(app: App, photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    limited = App(ServeState(app.state.models, ServeSettings(rate=0.01), app.state.batcher))
    first, second = (ask(limited, "POST", "/predict", content=content) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 429)
    assert second.headers["retry-after"] == "1"
    assert ask(limited, "GET", "/ping").status_code == 200


def test_metrics_and_log_tell_what_happened(server: Server, photos: list[Path]) -> None:
    def count() -> dict[str, float]:
        lines = server.get("metrics").text.splitlines()
        assert all(re.fullmatch(r"#.*|\w+(\{[^}]*\})? [\d.e+-]+", line) for line in lines)
        return {
            name: float(value)
            for name, _space, value in (line.rpartition(" ") for line in lines if line[0] != "#")
        }

    before = count()
    server.post("predict", content=photos[0].read_bytes(), headers=JPEG)
    server.post("predict", content=b"no", headers={**JPEG, "X-Request-Id": "odd\nid"[:3] + "-17"})
    after = count()
    for status in ("200", "422"):
        name = f'olhar_requests_total{{route="/predict",status="{status}"}}'
        assert after[name] == before.get(name, 0) + 1
    assert after['olhar_request_seconds_count{route="/predict"}'] >= 2
    server.wait_for("id=odd-17 POST '/predict' 422")


def test_the_examples_of_the_description_are_answered(app: App) -> None:
    document = ask(app, "GET", "/openapi.json").json()
    asked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            example = content.get("application/json", {}).get("example")
            if method == "get" or example is not None:
                body = json.dumps(example).encode() if example is not None else b""
                filled = path.replace("{name}", "digits")
                answer = ask(app, method.upper(), filled, content=body, headers=JSON)
                assert answer.status_code == 200, (path, answer.text)
                asked += 1
    assert asked >= 10


def test_the_description_has_what_the_settings_say(app: App, tmp_path: Path) -> None:
    plain = ask(app, "GET", "/openapi.json").json()
    limits = [found["maxItems"] for found in arrays_of_photos(plain)]
    assert limits
    assert set(limits) == {app.state.settings.max_images}
    assert "/corrections" not in plain["paths"]
    keeping = replace(app.state.settings, corrections=tmp_path / "kept")
    other = App(ServeState(app.state.models, keeping, app.state.batcher))
    document = ask(other, "GET", "/openapi.json").json()
    operation = document["paths"]["/corrections"]["post"]
    assert [one["name"] for one in operation["parameters"] if one.get("required")] == ["label"]
    photo = photo_bytes()
    kept = ask(
        other, "POST", "/corrections?label=3", content=photo, headers={"Content-Type": "image/png"}
    )
    assert kept.status_code == 200
    answered = operation["responses"]["200"]
    fields = answered["content"]["application/json"]["schema"]["properties"]
    assert kept.json().keys() == fields.keys()


def arrays_of_photos(value: object) -> Iterator[dict[str, Any]]:
    """The parts of a description that hold a list of photos."""
    if isinstance(value, dict):
        if value.get("items") == {"$ref": "#/components/schemas/Photo"}:
            yield value
        for part in value.values():
            yield from arrays_of_photos(part)
    elif isinstance(value, list):
        for part in value:
            yield from arrays_of_photos(part)


def photo_bytes() -> bytes:
    """A grey picture as PNG."""
    held = io.BytesIO()
    Image.new("L", (8, 8), 90).save(held, "PNG")
    return held.getvalue()


def test_requests_made_from_the_description_are_answered_as_it_says(app: App) -> None:
    checks = pytest.importorskip("schemathesis.specs.openapi.checks")
    wanted = [
        schemathesis.checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 12
    for operation in operations:
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=15 if operation.method == "post" else 3,
                suppress_health_check=list(HealthCheck),
                derandomize=True,
                database=None,
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: Any) -> None:
                case.call_and_validate(checks=wanted)

            with contextlib.suppress(Unsatisfiable):  # a GET without parameters cannot be wrong
                check()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_photos_never_break_it(app: App, photos: list[Path], data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(photos[:6])).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    answer = ask(app, "POST", "/predict", content=bytes(content), headers=JPEG)
    assert answer.status_code in {200, 413, 422}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["image", "images", "inputs", "name", "shape", "data", "datatype", "b64"]
                )
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    path=st.sampled_from(["/predict", "/invocations", "/v2/models/digits/infer"]),
)
def test_odd_json_never_breaks_it(app: App, body: Any, path: str) -> None:
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    answer = ask(app, "POST", path, content=content, headers=JSON)
    assert answer.status_code in {200, 413, 422}, answer.text


def test_the_server_needs_no_torch() -> None:
    words = (
        "import sys; sys.modules['torch'] = None\n"
        "import olhar.serving.worker, olhar.serving.openapi, olhar.serving.page_routes\n"
        "loaded = [n for n in ('fastapi', 'pydantic', 'sklearn', 'matplotlib') if n in sys.modules]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", words], check=True)


def test_wrong_usage_is_told_before_anything_starts(digits_run: Path, tmp_path: Path) -> None:
    for words, expected in (
        ([tmp_path / "none"], "none"),
        ([digits_run, digits_run], "two models"),
        ([digits_run, "--port", "70000"], "65,535"),
        ([digits_run, "--workers", "0"], "--workers"),
        ([digits_run, "--max-mb", "nan"], "--max-mb"),
        ([digits_run, "--cors", "example.org"], "--cors"),
        ([digits_run, "--token-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE"),
        ([digits_run, "--host", "no such host"], "no such host"),
    ):
        done = olhar("serve", *words)
        assert done.status == 2, done.err
        assert expected in done.err
        assert "Traceback" not in done.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for workers in ("1", "2"):
            done = olhar("serve", digits_run, "--port", port, "--workers", workers)
            assert (done.status, "in use" in done.err) == (1, True)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_commands_of_the_documentation_work(
    server: Server, digits_run: Path, photos: list[Path], tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 6
    for name, photo in (("cat.jpg", photos[0]), ("dog.jpg", photos[6]), ("cat.png", photos[1])):
        shutil.copy(photo, tmp_path / name)
    for command in blocks:
        words = command.replace("http://localhost:8080/", server.url).replace("MODEL", "digits")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", words.replace("curl", "curl -sf")],
            cwd=tmp_path, capture_output=True, check=False, env={**os.environ, "TOKEN": "x"},
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def test_the_documentation_lists_every_code() -> None:
    rooms = (ROOT / "src/olhar/serving", ROOT / "src/olhar/web_server")
    sources = [path.read_text() for room in rooms for path in room.glob("*.py")]
    made = {
        code
        for source in sources
        for code in re.findall(
            r'(?:RequestError|_refuse|error_body)\(\s*(?:\d+, ?\s*)?"(\w+)"', source
        )
    }
    assert {"busy", "http", "internal", "request", "timeout"} <= made
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    listed = set(
        re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| \d+ \|(.*?)\|", page, re.MULTILINE)))
    )
    assert made <= listed
