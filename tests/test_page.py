"""The try-it page, as a user has it: a real server, real models, and a real browser."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import DATA, needs_data, olhar
from olhar import looks
from olhar.classifier import load_classifier, save_classifier
from olhar.datasets.folders import PhotoFolder
from olhar.datasets.named import load_named
from olhar.datasets.source import open_source
from olhar.errors import ConfigError, ImageError
from olhar.native.style import MNIST, UCI_DIGITS
from olhar.serving.corrections import Corrections, check_folder
from olhar.serving.drawing import centre_digit, draw_digit, read_strokes
from olhar.serving.looked import explain_photo, heat_png
from olhar.serving.page_texts import page_texts
from pages import ARTEFACTS, keep, watched, weak_pairs
from serving_process import Server, serving

PAGE = Path(sys.modules["olhar"].__file__ or "").parent / "serving" / "page"
FILES = [*PAGE.iterdir(), *(looks.FOLDER / name for name in (*looks.NAMES, *looks.PARTS))]
OCTETS = {"Content-Type": "application/octet-stream"}

Strokes = list[list[tuple[float, float]]]


def arc(
    x: float, y: float, rx: float, ry: float, start: int, end: int
) -> list[tuple[float, float]]:
    angles = [math.radians(start + (end - start) * step / 24) for step in range(25)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


# How a person may write them, on a sheet of 100 × 100.
DIGITS: dict[str, Strokes] = {
    "0": [arc(50, 50, 24, 38, -90, 270)],
    "1": [[(42, 28), (54, 14), (52, 88)]],
    "2": [[*arc(50, 32, 22, 20, -170, 40), (30, 84), (76, 82)]],
    "3": [arc(48, 32, 20, 18, -160, 90) + arc(48, 68, 23, 19, -90, 160)],
    "4": [[(36, 14), (26, 54), (74, 54)], [(62, 18), (60, 90)]],
    "5": [[(70, 16), (38, 16), (34, 46), *arc(50, 63, 22, 22, -130, 150)]],
    "6": [[(62, 12), (42, 34), *arc(50, 66, 20, 22, -150, 210)]],
    "7": [[(26, 18), (74, 18), (46, 88)]],
    "8": [[*arc(50, 30, 17, 17, -60, -300), *arc(50, 68, 21, 20, -100, 260), (58, 16)]],
    "9": [arc(50, 34, 19, 19, 0, -360), [(68, 40), (60, 88)]],
}


def png(pixels: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(content, "PNG")
    return content.getvalue()


# Drawings ---------------------------------------------------------------------


@needs_data
def test_a_digit_is_centred_as_those_of_mnist_are() -> None:
    images = np.asarray(load_named("mnist").images[60000:60300, :, :, 0])  # (300, 28, 28) uint8
    found = []
    for number, image in enumerate(images):
        large = np.zeros((400, 500), np.uint8)
        top, left = number % 170, number % 270
        large[top : top + 224, left : left + 224] = np.kron(image, np.ones((8, 8), np.uint8))
        found.append(centre_digit(large))
    apart = np.abs(np.array(found).astype(int) - images).mean(axis=(1, 2))
    # Some digits of MNIST are less than 20 pixels long, and are made so here.
    assert (apart == 0).mean() > 0.85
    assert np.quantile(apart, 0.99) < 15


def test_drawings_have_as_much_ink_as_the_digits_of_the_data_set() -> None:
    # Means over the first 5,000 images of MNIST, and all 1,797 of UCI.
    for style, expected in ((MNIST, 0.130), (UCI_DIGITS, 0.305)):
        ink = np.mean([draw_digit(strokes, style) for strokes in DIGITS.values()]) / 255
        assert abs(ink - expected) < 0.01, style


def test_drawn_digits_are_recognised(digits_run: Path) -> None:
    classifier = load_classifier(digits_run)
    drawn = {digit: draw_digit(strokes, UCI_DIGITS) for digit, strokes in DIGITS.items()}
    right = [classifier.predict(image).label == digit for digit, image in drawn.items()]
    assert sum(right) >= 9  # 8 × 8 pixels leave little of a 7


POINTS = st.tuples(*[st.integers(-2000, 2000)] * 2)


@given(
    st.lists(st.lists(POINTS, max_size=12), min_size=1, max_size=4), st.sampled_from([1, 4]), POINTS
)
def test_any_drawing_fills_the_box(strokes: Strokes, scale: int, shift: tuple[int, int]) -> None:
    if not any(strokes):
        with pytest.raises(ImageError, match="empty"):
            read_strokes(strokes)
        return
    image = draw_digit(read_strokes(strokes))
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert (image.shape, image.dtype) == ((28, 28), np.uint8)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in {19, 20}  # a row may be too faint to show
    mass = [np.average(np.arange(28), weights=image.sum(axis=axis)) for axis in (1, 0)]
    free = [at[0] > 0 and at[-1] < 27 for at in (rows, columns)]
    assert all(abs(at - 14) <= 0.51 for at, inside in zip(mass, free, strict=True) if inside)
    moved = [[(x * scale + shift[0], y * scale + shift[1]) for x, y in one] for one in strokes]
    assert (draw_digit(read_strokes(moved)) == image).all()  # size and place make no difference


@pytest.mark.parametrize(
    "bad",
    [
        *(None, 3, "ab", [1], [[1]], [[[1]]], [[[1, 2, 3]]], [[["a", 2]]], [[[1, None]]], {"a": 1}),
        *([[[math.nan, 1]]], [[[1e300, 1]]], [[[10**400, 1]]], [[[1, 2]] * 20_001], [], [[]]),
    ],
)
def test_what_is_no_drawing_is_refused(bad: Any) -> None:
    with pytest.raises(ImageError):
        read_strokes(bad)


# Corrections ------------------------------------------------------------------

DOT, OTHER = png([[0, 255]] * 8), png([[255, 0]] * 8)


def files(folder: Path) -> list[str]:
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())


@settings(max_examples=150)
@given(st.text(max_size=110))
@example("../../etc/passwd")
@example("..")
@example("a/b")
@example("a\\b")
@example("a\0b")
@example("C:evil")
@example(" . ")
@example(".hidden")
@example("train")
@example(";TRAIN")
@example("test set 2")
@example("lost+found")
@example("images")
@example("Con.txt")
@example("COM1")
@example("x" * 101)
@example("ção " * 24)
@example("猫" * 90)
@example("a\u202eb")
@example("\ud800")
@example("cat.")
@example("")
@example("0.parquet")  # classes by the names of files that hold data
@example("images.npy")
@example("metadata.csv")
@example("0.arrow")
@example("train.tar")
@example("labels.csv")
@example("a.zip")
@example("train-images-idx3-ubyte")
def test_a_label_is_refused_or_becomes_a_class(
    tmp_path_factory: pytest.TempPathFactory, label: str
) -> None:
    root = tmp_path_factory.mktemp("kept")
    try:
        kept = Corrections(root / "inner").keep(DOT, label, ["cat", "dog"])
    except ConfigError as error:
        assert "cannot be the name of a class" in str(error)
        assert files(root) == []
        return
    assert files(root) == [f"inner/{kept.file}"]
    assert kept.file.count("/") == 1
    found = open_source(str(root / "inner"))
    assert isinstance(found, PhotoFolder)
    assert len(found.class_names) == 1


def test_a_correction_is_kept_once_and_the_last_word_counts(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path)
    names = ["cat", "dog", "T-shirt/top"]
    assert corrections.keep(DOT, "cat", names).new
    assert not corrections.keep(DOT, "Gato", names).new  # means the same
    assert corrections.keep(DOT, "dog", names).label == "dog"
    assert [file.split("/")[0] for file in files(tmp_path)] == ["dog"]
    shirt = corrections.keep(OTHER, "T-shirt/top", names)
    assert (shirt.label, shirt.file.split("/")[0]) == ("T-shirt/top", "T-shirt_top")
    moved = corrections.keep(OTHER, "tricycle", names)
    assert corrections.keep(OTHER, "Tricycle", names) == replace(moved, new=False)
    assert len(files(tmp_path)) == 2
    with pytest.raises(ImageError):
        corrections.keep(DOT[:-20], "cat", names)
    with pytest.raises(ImageError, match="pixels"):
        corrections.keep(DOT, "cat", names, max_pixels=15)
    assert len(files(tmp_path)) == 2


def test_a_folder_that_cannot_keep_corrections_is_refused(tmp_path: Path, digits_run: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "divided" / "train").mkdir(parents=True)
    for bad in (tmp_path / "file", tmp_path / "divided", digits_run):
        with pytest.raises(ConfigError, match="cannot keep corrections"):
            check_folder(bad)
    check_folder(tmp_path / "new")
    check_folder(tmp_path)


# Over HTTP --------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of photos that knows Portuguese, and one of MNIST's digits, each trained in seconds."""
    root = tmp_path_factory.mktemp("models")
    words = ("--network", "lenet5", "--set", "views=none")
    photos, mnist = root / "animals-trained", root / "mnist"
    corrections = Corrections(root / "photos")  # a data set as people correct it
    for photo in (Path(DATA) / "photos").glob("*/*"):
        corrections.keep(photo.read_bytes(), photo.parent.name)
    done = olhar(
        *("train", "--data", root / "photos", "--run", photos, "--epochs", 20),
        *("--size", 28, *words),
    )
    assert done.status == 0, done.err
    clf = load_classifier(photos)
    from safetensors.numpy import load_file

    translated = {"pt_BR": tuple(f"{name} (pt)" for name in clf.class_names)}
    save_classifier(
        root / "animals" / "model",
        replace(clf.config, translated_names=translated, threshold=0.4),
        load_file(photos / "model" / "model.safetensors"),
        (photos / "model" / "model.onnx").read_bytes(),
        load_file(photos / "model" / "golden.safetensors"),
    )
    data = load_named("mnist")
    for number in range(3000):
        path = root / "digits-as-photos" / str(data.labels[number]) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(data.images[number, :, :, 0]))
    done = olhar(
        *("train", "--data", root / "digits-as-photos", "--run", mnist, "--epochs", 12, *words)
    )
    assert done.status == 0, done.err
    return {"animals": root / "animals", "mnist": mnist, "d": digits_run}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corrections") / "kept"


@pytest.fixture(scope="module")
def server(made: dict[str, Path], kept: Path) -> Iterator[Server]:
    with serving(*made.values(), "--corrections", kept, "--max-mb", 1) as running:
        yield running


@pytest.fixture(scope="module")
def photos() -> list[Path]:
    return sorted((Path(DATA) / "photos").glob("*/*"))


@needs_data
def test_what_the_page_shows_is_what_the_model_sees(
    server: Server, made: dict[str, Path], photos: list[Path]
) -> None:
    content = photos[0].read_bytes()
    clf = load_classifier(made["animals"])
    inputs = clf.preprocess.read(content)
    seen = Image.open(io.BytesIO(server.post("page/seen", content=content, headers=OCTETS).content))
    assert (np.asarray(seen).transpose(2, 0, 1) == inputs).all()
    found = server.post("explain?lang=pt&file=foto.jpg", content=content, headers=OCTETS).json()
    assert found == json.loads(json.dumps(explained_in(clf, content)))
    assert found["shown_label"] == f"{found['label']} (pt)"
    heat = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["heatmap"]))))
    assert heat.shape == (28, 28, 4)
    seen = Image.open(io.BytesIO(base64.b64decode(found["seen"])))
    assert (np.asarray(seen).transpose(2, 0, 1) == inputs).all()


def explained_in(clf: Any, content: bytes) -> dict[str, Any]:
    from olhar import i18n

    with i18n.using("pt"):
        return explain_photo(clf, content, name="foto.jpg")


def test_no_heat_is_no_colour() -> None:
    layer = np.asarray(Image.open(io.BytesIO(heat_png(np.full((4, 4), -0.5, np.float32)))))
    assert (layer[..., 3] == 0).all()


@needs_data
def test_digit_models_can_be_drawn_for_in_their_own_way(server: Server) -> None:
    models = {one["name"]: one for one in server.get("page/models").json()["models"]}
    assert [models[name]["draws"] for name in ("animals", "mnist", "d")] == [False, True, True]
    body = json.dumps({"strokes": DIGITS["3"]}).encode()
    kind = {"Content-Type": "application/json"}
    for name, style in (("mnist", MNIST), ("d", UCI_DIGITS)):
        answer = server.post(f"page/drawing?model={name}", content=body, headers={**OCTETS, **kind})
        drawn = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert (drawn == draw_digit(DIGITS["3"], style)).all()
        said = server.post(f"predict?model={name}", content=answer.content, headers=OCTETS).json()
        assert said[0]["label"] == "3"


@needs_data
def test_wrong_requests_are_refused_in_the_language_asked_for(
    server: Server, kept: Path, photos: list[Path]
) -> None:
    photo = photos[0].read_bytes()
    cases = [
        ("corrections", photo, {}, 422),
        ("corrections?label=..%2F..%2Fx", photo, {}, 422),
        ("corrections?label=a%00b", photo, {}, 422),
        (f"corrections?label={'x' * 300}", photo, {}, 422),
        ("corrections?label=cat&labels=dog", photo, {}, 422),
        ("corrections?label=cat&model=none", photo, {}, 404),
        ("corrections?label=cat", b"", {}, 422),
        ("corrections?label=cat", b"<html>", {}, 422),
        ("corrections?label=cat", photo, {"Content-Type": "text/plain"}, 415),
        ("corrections?label=cat", b"x" * 2**21, {}, 413),
        ("corrections?label=cat", photo, {"Origin": "https://example.org"}, 403),
        ("explain", b"GIF89a", {}, 422),
        ("explain?top=3", photo, {}, 422),
        ("page/seen", b"%PDF-1.4", {}, 422),
        ("page/drawing", b"{", {"Content-Type": "application/json"}, 422),
        ("page/drawing", b'{"strokes": 3}', {"Content-Type": "application/json"}, 422),
        ("page/drawing", b'{"strokes": [[[1,2]]]}', {}, 415),
    ]
    for path, content, headers, status in cases:
        answer = server.post(path, content=content, headers={**OCTETS, **headers})
        assert answer.status_code == status, (path, answer.text)
        error = answer.json()["error"]
        assert all(error[key] for key in ("message", "code", "request_id")), path
    assert not kept.exists()
    assert server.get("corrections").status_code == 405
    assert server.get("page/nothing.js").status_code == 404
    assert server.get("page/..%2Fapp.py").status_code == 404
    headers = server.get("").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "camera=(self)" in headers["permissions-policy"]


@needs_data
def test_the_page_speaks_the_language_of_the_browser(server: Server) -> None:
    def tag(path: str, accepted: str = "") -> str:
        return str(server.get(path, headers={"Accept-Language": accepted}).json()["tag"])

    assert tag("page/texts", "fr,en;q=0.3,pt;q=0.7") == "pt-BR"
    assert tag("page/texts?lang=pt", "en") == "pt-BR"
    assert tag("page/texts", "de") == "en"
    assert "animals" in {one["name"] for one in server.get("page/models").json()["models"]}


def test_the_page_has_the_texts_it_uses_and_no_others() -> None:
    sources = "".join(file.read_text() for file in FILES)
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', sources))
    for call in re.findall(r"\bsay\(([^{}]*?)(?:, \{|\))", sources):
        used |= set(re.findall(r'"(\w+)"', call))
    texts = page_texts("en")
    assert used - texts.keys() == {"NotFoundError"}
    assert {key for key in texts if f'"{key}"' not in sources} <= {"tag", "title"}
    assert "http://" not in sources.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in sources


def test_colours_can_be_told_apart_by_weak_eyes() -> None:
    # WCAG 2.2, 1.4.3 and 1.4.11, level AA: text 4.5, edges of controls 3.
    css = (looks.FOLDER / "page.css").read_text()
    text = [("ink", "page panel sunk"), ("quiet", "page panel sunk line"), ("unsure", "panel")]
    text += [("accent", "panel page wash"), ("on-accent", "accent hover")]
    edges = [("edge", "panel"), ("bad", "panel sunk"), ("unsure-bar", "panel sunk")]
    assert weak_pairs(css, text, 4.5) == weak_pairs(css, edges, 2.4) == []


def test_the_page_needs_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'matplotlib', 'onnx'): sys.modules[name] = None\n"
        "import olhar.serving.page_routes, olhar.serving.looked\n"
        "assert 'starlette' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# In a browser -----------------------------------------------------------------


@contextlib.contextmanager
def page_of(
    browser: Any, url: str, name: str, *, query: str = "", errors: bool = False, **options: Any
) -> Iterator[Any]:
    """The page of a server; kept as a picture at the end."""
    own = (url, "blob:", "data:image/")
    with watched(browser, own, errors=errors, **options) as page:
        page.goto(url + query)
        page.wait_for_selector("body:not(.waiting)")
        yield page
        keep(page, f"page-{name}")
        assert nameless(page) == []


def nameless(page: Any) -> list[str]:
    """Controls and pictures that a screen reader could not name, and ids that come twice."""
    found: list[str] = page.evaluate(
        """() => {
          const seen = (one) => one.checkVisibility();
          const labels = (one) => [...(one.labels ?? [])].map((label) => label.textContent).join("");
          const named = (one) => labels(one) || one.getAttribute("aria-label")
            || one.textContent.trim() || one.placeholder;
          const controls = [...document.querySelectorAll("button, select, input, canvas, a")];
          const bad = controls.filter((one) => seen(one) && !named(one));
          const pictures = [...document.querySelectorAll("main img")];
          const blank = pictures.filter((one) => seen(one) && !one.alt);
          const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
          const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
          return [...bad, ...blank].map((one) => one.outerHTML).concat(twice);
        }"""
    )
    return found


def give(page: Any, photos: Sequence[Path]) -> None:
    page.set_input_files("#files", [str(photo) for photo in photos])


def done(page: Any, count: int) -> Any:
    cards = page.locator(".card[data-state=done]")
    cards.nth(count - 1).wait_for(timeout=120_000)  # a busy machine is slow, and not wrong
    return cards


def draw(page: Any, strokes: Strokes) -> None:
    box = page.locator("#canvas").bounding_box()
    for stroke in strokes:
        points = [
            (box["x"] + box["width"] * x / 100, box["y"] + box["height"] * y / 100)
            for x, y in stroke
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def drop(page: Any, photos: Sequence[Path], kind: str = "drop") -> None:
    """As the system hands files over to a page."""
    contents = [[photo.name, base64.b64encode(photo.read_bytes()).decode()] for photo in photos]
    page.evaluate(
        """([kind, contents]) => {
          const transfer = new DataTransfer();
          for (const [name, text] of contents) {
            const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
            transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
          }
          const options = { bubbles: true, cancelable: true };
          const event = kind === "paste"
            ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
            : new DragEvent(kind, { ...options, dataTransfer: transfer });
          document.body.dispatchEvent(event);
        }""",
        [kind, contents],
    )


@needs_data
def test_a_photo_is_dropped_and_the_answer_is_that_of_predict(
    browser: Any, server: Server, made: dict[str, Path], photos: list[Path]
) -> None:
    photo = photos[3]
    expected = olhar("predict", made["animals"], photo, "--top", 5, "--json").json[0]
    with page_of(browser, server.url, "one", query="?model=animals") as page:
        drop(page, [photo], "dragenter")
        assert page.locator("#veil").is_visible()
        drop(page, [photo])
        card = done(page, 1)
        assert not page.locator("#veil").is_visible()
        assert card.locator(".label").inner_text() == expected["label"]
        assert card.locator(".sign").is_visible() == (not expected["sure"])
        shown = card.locator(".bars .of").all_inner_texts()
        assert shown == [one["label"] for one in expected["top"]]
        shares = card.locator(".bars .share").all_inner_texts()
        for text, one in zip(shares, expected["top"], strict=True):
            if "<" not in text and ">" not in text:
                assert float(text[:-1]) == pytest.approx(100 * one["probability"], abs=0.0501)
        width = "(one) => one.getBoundingClientRect().width"
        bars = [bar.evaluate(width) for bar in card.locator(".bar").all()]
        assert bars == sorted(bars, reverse=True)
        card.locator(".pixels[src^=blob]").wait_for()
        natural = card.locator(".pixels").evaluate("(one) => [one.naturalWidth, one.naturalHeight]")
        assert natural == [28, 28]
        card.get_by_role("button", name="Where it looked").click()
        page.locator(".explained .heat").wait_for()
        sentence = card.locator(".sentence").inner_text()
        assert len(sentence) > 40
        page.wait_for_function(
            "(end) => document.getElementById('said').textContent.endsWith(end)", arg=sentence[1:]
        )
        assert card.locator("figcaption").last.inner_text() == "Where it looked"


@needs_data
def test_many_photos_and_what_is_none(
    browser: Any, server: Server, photos: list[Path], tmp_path: Path
) -> None:
    bad, large = tmp_path / "notes.jpg", tmp_path / "large.png"
    bad.write_bytes(b"%PDF-1.4 ...")
    large.write_bytes(b"\x89PNG" + bytes(2**20))
    tiff = tmp_path / "scan.tif"
    Image.open(photos[0]).save(tiff)
    small = [photo for photo in photos if photo.stat().st_size < 2**20][:8]
    options = {"color_scheme": "dark", "locale": "pt-BR"}
    with page_of(browser, server.url, "many-dark", errors=True, **options) as page:
        give(page, [*small, bad, large, tiff])
        cards = done(page, 9)
        failed = page.locator(".card[data-state=failed]")
        failed.nth(1).wait_for()
        names = page.locator(".card .file").all_inner_texts()
        assert names == [*(one.name for one in small), "notes.jpg", "large.png", "scan.tif"]
        said = failed.locator(".label").all_inner_texts()
        assert "notes.jpg" in said[0]
        assert "PDF" in said[0]
        assert not failed.locator("button:not(.close)").first.is_visible()  # it would fail again
        assert "11" in page.locator("#count").inner_text()
        assert cards.first.locator(".label").inner_text().endswith("(pt)")
        # Chromium shows no TIFF: the network's view stands in.
        page.wait_for_function("() => [...document.images].at(-3).naturalWidth === 28")
        remove = page.locator(".card .close")
        remove.nth(1).click()
        assert page.locator(".card").count() == 10
        assert remove.nth(1).evaluate("(one) => one === document.activeElement")
    with page_of(browser, server.url, "empty") as page:
        assert page.locator("h1").inner_text() == "What is in the photo?"


@needs_data
def test_a_drawn_digit_is_recognised(browser: Any, server: Server, made: dict[str, Path]) -> None:
    with page_of(browser, server.url, "draw", query="?model=mnist") as page:
        right = []
        for digit, strokes in DIGITS.items():
            draw(page, strokes)
            live = page.locator("#live strong")
            page.wait_for_function(
                "() => !document.querySelector('[data-state=working]')"
                " && document.querySelector('#live strong')"
            )
            right.append(live.inner_text() == digit)
            page.get_by_role("button", name="New drawing").click()
            assert not page.locator("#live").is_visible()
        assert sum(right) >= 9  # the model learnt from 3,000 digits
        assert page.locator(".card").count() == 10
        draw(page, DIGITS["4"])
        done(page, 11)
        draw(page, [[(10, 10), (20, 20)]])
        page.get_by_role("button", name="Undo").click()
        done(page, 11)
        assert page.locator("#live strong").inner_text() == "4"


@needs_data
def test_a_digit_is_drawn_and_answered_by_keyboard_alone(browser: Any, server: Server) -> None:
    with page_of(browser, server.url, "keys", query="?model=mnist") as page:
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "canvas":
                break
        page.keyboard.press("Space")
        for _ in range(15):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        assert done(page, 1).locator(".label").inner_text() == "1"
        page.wait_for_function(
            "() => document.getElementById('said').textContent.includes('Drawing 1')"
        )
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "undo"
        page.keyboard.press("Enter")
        page.locator(".card").wait_for(state="detached")
        page.get_by_label("Draw", exact=True).press("ArrowRight")
        assert page.locator("#choose").is_visible()


@needs_data
def test_corrections_become_a_data_set(
    browser: Any, server: Server, kept: Path, photos: list[Path]
) -> None:
    small = [photo for photo in photos if photo.stat().st_size < 2**20][:3]
    with page_of(browser, server.url, "correct", query="?model=animals", errors=True) as page:
        give(page, small)
        cards = done(page, 3)
        for index in (0, 1):
            card = cards.nth(index)
            card.get_by_role("button", name="Correct").click()
            card.get_by_label("It shows").select_option("cat" if index else "deer")
            card.get_by_role("button", name="Keep").click()
            card.get_by_text("Kept as").wait_for()
        card = cards.nth(2)
        card.get_by_role("button", name="Correct").click()
        card.get_by_label("It shows").select_option(label="another class…")
        name = card.get_by_role("textbox", name="Name of the class")
        name.fill("../../etc")
        name.press("Enter")
        card.get_by_text("cannot be the name of a class").wait_for()
        name.fill("tricycle")
        name.press("Enter")
        card.get_by_text("Kept as tricycle. Thank you.").wait_for()
    found = open_source(str(kept))
    assert isinstance(found, PhotoFolder)
    assert found.class_names == ("cat", "deer", "tricycle")
    contents = {(kept / file).read_bytes() for file in found.files}
    assert contents == {photo.read_bytes() for photo in small}
    body = small[2].read_bytes()  # it was a cat, after all
    assert (
        server.post("corrections?model=animals&label=cat", content=body, headers=OCTETS).status_code
        == 200
    )
    assert sorted(one.name for one in kept.iterdir()) == ["cat", "deer"]


@needs_data
def test_model_and_language_change_without_losing_photos(
    browser: Any, server: Server, photos: list[Path]
) -> None:
    small = [photo for photo in photos if photo.stat().st_size < 2**20][:2]
    with page_of(browser, server.url, "switched", query="?model=animals") as page:
        give(page, small)
        label = done(page, 2).first.locator(".label").inner_text()
        page.get_by_role("link", name="Português").click()
        page.get_by_text(f"{label} (pt)").first.wait_for()
        assert page.locator("html").get_attribute("lang") == "pt-BR"
        assert "lang=pt" in page.url
        page.locator("#model").select_option("mnist")
        page.locator(".card .label").get_by_text(re.compile(r"^\d$")).nth(1).wait_for()
        assert page.locator("#by-drawing").is_visible()
        page.locator("#model").select_option("animals")
        page.get_by_text(f"{label} (pt)").first.wait_for()


@needs_data
def test_a_phone_shows_it_without_scrolling_sideways(
    browser: Any, server: Server, photos: list[Path]
) -> None:
    options = {
        "viewport": {"width": 360, "height": 740},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
        "locale": "pt-BR",
    }
    with page_of(browser, server.url, "phone", **options) as page:
        assert not page.locator(".lead").is_visible()  # nobody drags on a phone
        assert page.locator("#phone-camera").get_attribute("capture") == "environment"
        with page.expect_file_chooser() as chooser:
            page.locator("#camera").tap()
        chooser.value.set_files([str(photos[-1])])
        card = done(page, 1)
        card.locator(".looker").tap()
        page.locator(".explained").wait_for()
        card.locator("[aria-expanded]").tap()


@needs_data
def test_a_photo_is_taken_or_pasted(browser: Any, server: Server, photos: list[Path]) -> None:
    with page_of(browser, server.url, "camera", permissions=["camera"]) as page:
        page.get_by_role("button", name="Take a photo").click()
        page.locator("#shoot:enabled").wait_for()
        page.screenshot(path=ARTEFACTS / "page-camera-open.png")
        page.locator("#shoot").click()
        assert done(page, 1).locator("img.shot").evaluate("(one) => one.naturalWidth") >= 640
        assert not page.locator("#camera-sheet").is_visible()
        drop(page, photos[:1], "paste")
        done(page, 2)
        assert page.locator(".file").all_inner_texts() == [photos[0].name, "Photo 1"]


@needs_data
def test_a_busy_server_with_a_token_is_waited_for(
    browser: Any, made: dict[str, Path], photos: list[Path]
) -> None:
    words = (made["animals"], "--concurrency", 1)
    small = [photo for photo in photos if photo.stat().st_size < 2**20][:4]
    with serving(*words, OLHAR_TOKEN="a secret") as server:
        assert server.get("page/models").status_code == 401
        context = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en-GB")
        page = context.new_page()
        page.goto(server.url)
        page.get_by_label("Token", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        page.locator("#token-sheet[open]").wait_for()
        page.screenshot(path=ARTEFACTS / "page-token.png")
        page.get_by_label("Token", exact=True).fill("a secret")
        page.get_by_role("button", name="Use it").click()
        page.get_by_text("lenet5, trained on photos").wait_for()
        give(page, small)
        done(page, len(small))
        assert page.get_by_role("button", name="Correct").count() == 0  # no folder for them
        told = {**OCTETS, "Authorization": "Bearer a secret"}
        end = time.monotonic() + 60
        while True:  # the page may ask for something more, and one request at a time is answered
            answer = server.post("corrections?label=cat", content=DOT, headers=told)
            if answer.status_code != 503 or time.monotonic() > end:
                break
            time.sleep(0.2)
        assert answer.status_code == 404
        assert "--corrections" in answer.json()["error"]["message"]
        server.process.terminate()
        server.process.wait(20)
        give(page, small[:1])
        failed = page.locator(".card[data-state=failed]")
        failed.wait_for()
        assert "does not answer" in failed.locator(".label").inner_text()
        assert failed.get_by_role("button", name="Try again").is_visible()
        page.screenshot(path=ARTEFACTS / "page-stopped.png", full_page=True)
        context.close()


def test_the_page_gives_the_model_as_a_file_that_needs_no_server(
    browser: Any, digits_run: Path, tmp_path: Path
) -> None:
    with serving(digits_run) as server, page_of(browser, server.url, "along") as page:
        with page.expect_download() as download:
            page.get_by_role("button", name="Save this model").click()
        saved = tmp_path / download.value.suggested_filename
        download.value.save_as(saved)
        assert saved.name == "d.html"
        done = olhar("export", digits_run, "--format", "web", "--out", tmp_path / "own.html")
        assert done.status == 0, done.err
        assert saved.read_bytes() == (tmp_path / "own.html").read_bytes()
        assert server.get("web?model=none").status_code == 404
