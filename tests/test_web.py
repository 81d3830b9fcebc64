"""A model as one page that runs anywhere: its engine, its file, and what a browser makes of it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

import build_wasm
from conftest import DATA, needs_data, olhar
from olhar import looks
from olhar.classifier import (
    Classifier,
    ModelConfig,
    load_classifier,
    open_session,
    save_classifier,
)
from olhar.errors import ConfigError, ExportError, UnknownNameError
from olhar.images import read_image
from olhar.native import engine as engines
from olhar.native.answers import views_of
from olhar.native.bundle import bundle
from olhar.native.engine import Engine
from olhar.native.graph import read_network
from olhar.native.packing import pack_network
from olhar.native.page_texts import TAGS, page_texts
from olhar.native.stripping import without_views
from olhar.native.thinning import thin
from olhar.networks.specs import LISTED
from olhar.outliers import Neighbours, choose_neighbours
from olhar.pipeline.exporting import export_model
from olhar.pipeline.exporting_web import ExportedWeb
from olhar.preprocess import Framing, Preprocess
from olhar.verify.engines import web_link
from olhar.verify.links import Item, answers_from_probs
from pages import keep, watched
from test_frame import framings, pixels_of
from test_native import drawn, pixels

PAGE = Path(engines.__file__).parent / "page"
wasmtime = pytest.importorskip("wasmtime", reason="the engine's tests need wasmtime")


# The engine -------------------------------------------------------------------


def test_the_engine_is_what_its_sources_give(tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="building needs ziglang")
    build_wasm.build(tmp_path / "olhar.wasm")
    built = (tmp_path / "olhar.wasm").read_bytes()
    assert built == engines.WASM.read_bytes(), "python tools/build_wasm.py"


@pytest.fixture(scope="module")
def bare() -> Engine:
    return Engine()


@settings(max_examples=60)
@given(framings())
def test_a_frame_in_webassembly_is_the_one_of_preprocess(bare: Engine, given: Any) -> None:
    frame, form, framing = given
    found = bare.frame(frame, form, framing)
    assert (found == framing.frame(pixels_of(frame, form))).all()


@pytest.mark.parametrize(
    ("name", "size", "views"),
    [
        ("lenet5", 28, "none"),
        ("olhar-small", 32, "mirror_shift"),
        ("squeezenet1_1", 64, "shift"),
        ("mobilenet_v2", 64, "mirror"),
        ("mobilenet_v2", 32, "none"),
        ("resnet18", 64, "none"),
        ("efficientnet_lite0", 64, "none"),
    ],
)
def test_the_engine_says_what_onnx_runtime_says(name: str, size: int, views: str) -> None:
    content = drawn(name, size, views=views, features=name != "lenet5")
    network = read_network(content)
    inputs = np.ascontiguousarray(pixels(2, size, size, 3).transpose(0, 3, 1, 2))
    expected = open_session(content).run(None, {"images": inputs})
    for precision, most in (("fp32", 1e-5), ("fp16", 5e-3), ("int8", 0.1)):
        engine = Engine(pack_network(network, precision))
        found = engine.probabilities(inputs, network, views)
        assert np.abs(found - expected[0]).max() < most, precision
    if network.features:
        engine = Engine(pack_network(network, "fp32"))
        shown = views_of(inputs[0].transpose(1, 2, 0), views)
        mean = sum(weight * engine.features(view) for view, weight in shown)
        np.testing.assert_allclose(mean, expected[1][0], atol=1e-3)


@pytest.mark.parametrize("name", LISTED)
def test_networks_of_olhar_run_in_the_engine(name: str) -> None:
    content = drawn(name)
    network = read_network(content)
    side = network.shape[0]
    inputs = np.ascontiguousarray(pixels(1, side, side, 3).transpose(0, 3, 1, 2))
    expected = open_session(content).run(None, {"images": inputs})[0]
    found = Engine(pack_network(network, "fp32")).probabilities(inputs, network, "none")
    assert np.abs(found - expected).max() < 1e-5


def test_every_step_can_be_looked_at() -> None:
    network = read_network(drawn("olhar-small", 32))
    engine = Engine(pack_network(network, "fp32"))
    image = pixels(1, 32, 32, 3)[0]
    for count in (1, len(network.steps) // 2, len(network.steps)):
        value = engine.value(image, network, count)
        assert value.shape == network.steps[count - 1].out_shape
    assert (value.ravel() == engine.logits(image)).all()


def test_weights_beyond_16_bits_are_refused_by_the_name_of_their_layer() -> None:
    network = read_network(drawn("lenet5", 28, channels=1))
    first = next(step for step in network.steps if step.kind == "conv")
    assert first.weight is not None
    steps = [
        replace(one, weight=one.weight * 1e6) if one is first else one for one in network.steps
    ]
    large = replace(network, steps=tuple(steps))
    with pytest.raises(ConfigError, match=rf"{first.name}.*--precision fp32"):
        pack_network(large, "fp16")
    pack_network(large, "fp32")


def test_a_graph_of_one_view_gives_the_same_outputs() -> None:
    content = drawn("olhar-small", 32, views="mirror_shift", features=True)
    inputs = np.ascontiguousarray(pixels(2, 32, 32, 3).transpose(0, 3, 1, 2))
    once = open_session(without_views(content).SerializeToString()).run(None, {"images": inputs})
    plain = open_session(drawn("olhar-small", 32, features=True)).run(None, {"images": inputs})
    for one, other in zip(once, plain, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


# What it warns of -------------------------------------------------------------


@pytest.mark.parametrize("count", [30, 199, 200, 900, 2000])
def test_fewer_neighbours_warn_as_all_of_them_do(count: int) -> None:
    random = np.random.default_rng(count)
    centres = random.normal(size=(5, 64))
    near = (centres[random.integers(0, 5, count)] + random.normal(size=(count, 64))).astype(
        np.float32
    )
    held_out = (centres[random.integers(0, 5, 200)] + random.normal(size=(200, 64))).astype(
        np.float32
    )
    full = choose_neighbours(near, held_out, frozen=True)
    assert full is not None
    thinned = thin(full)
    assert len(thinned.rows) == min(count, 200)
    assert thinned.agreement > 0.9
    others = random.normal(size=(200, 64)).astype(np.float32)
    for features in (held_out, others):
        said = full.distances(features) > full.threshold
        kept = Neighbours(thinned.features, thinned.neighbour, thinned.threshold)
        found = kept.distances(features) > kept.threshold
        assert (said == found).mean() > 0.85


def export_web(source: Any, out: Path, **options: Any) -> ExportedWeb:
    """A page of a model, by its folder or run."""
    made = export_model(source, out, format="web", **options)
    assert isinstance(made, ExportedWeb)
    return made


# The file ---------------------------------------------------------------------


def model(
    folder: Path, name: str, size: int, *, channels: int = 3, views: str = "none", resize: str = "crop",
    features: bool = False, threshold: float = 0.3,
) -> Classifier:  # fmt: skip
    """A saved model of an untrained network of seven classes, which Portuguese has names for."""
    content = drawn(name, size, channels=channels, views=views, features=features)
    means, stds = (0.5, 0.4, 0.3)[:channels], (0.2, 0.25, 0.3)[:channels]
    names = ("ant", "bee", "</script><b>cat", "dog", "“eel”", "fox", "gnu")
    config = ModelConfig(
        {"name": name, "size": size, "channels": channels, "num_classes": 7, "settings": {}},
        names,
        Preprocess(size, channels, means, stds, resize=resize),
        {"name": "animals", "sizes": {"train": 1234, "val": 100, "test": 100}},
        translated_names={"pt_BR": ("formiga", "abelha", "gato", "cão", "enguia", "raposa", "gnu")},
        views=views,
        temperature=0.7,
        threshold=threshold,
    )
    inputs = np.ascontiguousarray(pixels(16, size, size, channels).transpose(0, 3, 1, 2))
    outputs = open_session(content).run(None, {"images": inputs})
    neighbours = None
    if features:
        unit = outputs[1] / np.linalg.norm(outputs[1], axis=1, keepdims=True)
        neighbours = Neighbours(unit.astype(np.float16).astype(np.float32), 2, 0.05)
    golden = {"images": inputs, "probabilities": outputs[0]}
    save_classifier(folder / "model", config, {}, content, golden, neighbours)
    return load_classifier(folder)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Classifier, Path]]:
    """Classifiers and their pages."""
    root = tmp_path_factory.mktemp("pages")
    made = {
        "colour": model(root / "colour", "olhar-small", 32, views="mirror_shift", features=True),
        "grey": model(root / "grey", "lenet5", 28, channels=1, threshold=0.0),
        "padded": model(root / "padded", "lenet5", 32, resize="pad", threshold=0.9),
    }
    found = {}
    for name, classifier in made.items():
        out = root / f"{name}.html"
        said = export_web(classifier.folder, out, precision="fp32")
        assert said.largest_difference is not None
        assert said.largest_difference < 1e-4
        found[name] = classifier, out
    return found


def test_a_page_of_a_run_says_how_well_it_does(digits_run: Path, tmp_path: Path) -> None:
    said = export_web(digits_run, tmp_path / "d.html")
    assert said.to_dict()["precision"] == "fp16"
    assert said.size_bytes < 300_000
    assert (said.largest_difference or 0) < 5e-3
    text = (tmp_path / "d.html").read_text(encoding="utf-8")
    facts = json.loads(re.findall(r'id="facts">(.*?)</script>', text)[0])
    accuracy = json.loads((digits_run / "metrics.json").read_text())["accuracy"]
    assert f"<strong>{100 * accuracy:.2f}%</strong>" in facts["card"]["en"]
    assert f"{100 * accuracy:.2f}%".replace(".", ",") in facts["card"]["pt"]
    assert "95% interval" in facts["card"]["en"]
    assert facts["drawing"] == {"field": 8, "box": 8, "pen": 1.25, "byMass": False, "dark": False}
    again = export_web(digits_run, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == text.encode()
    assert again.size_bytes == said.size_bytes


def test_one_view_is_measured_anew(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "d.html"
    words = ("--data", "digits", "--network", "lenet5", "--epochs", 1, "--set", "views=shift")
    assert olhar("train", *words, "--run", run).status == 0
    own = export_web(run, tmp_path / "own.html")
    assert (own.views, own.accuracy) == ("shift", None)
    said = export_web(run, out, views="none")
    measured = json.loads((run / "metrics.json").read_text())
    assert said.views == "none"
    assert said.accuracy_of_run == pytest.approx(measured["accuracy"])
    assert said.test_images == measured["n"]
    assert said.accuracy is not None
    assert abs(said.accuracy - measured["accuracy"]) < 0.1
    text = out.read_text(encoding="utf-8")
    assert '"views": "none"' in text
    assert "It looks at a photo once" in text


def test_without_wasmtime_a_page_is_written_and_the_output_says_so(
    digits_run: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "sys.modules['wasmtime'] = None\n"
        "from olhar.cli import main\n"
        f"sys.exit(main(['export', {str(digits_run)!r}, '--format', 'web', '--out', 'd.html']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert "pip install wasmtime" in done.stdout
    assert (tmp_path / "d.html").stat().st_size > 100_000


def test_weights_of_8_bits_are_measured_on_test_images(digits_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "d.html"
    words = ("--format", "web", "--precision", "int8", "--max-drop", 0.05, "--out", out)
    done = olhar("export", digits_run, *words, "--json")
    assert done.status == 0, done.err
    said = done.json
    assert said["size_bytes"] < 200_000
    assert abs(said["accuracy"] - said["accuracy_of_run"]) <= 0.05
    assert said["test_images"] >= 100
    assert "numbers of 8 bits" in out.read_text(encoding="utf-8")


def test_what_cannot_become_a_page_is_refused(tmp_path: Path) -> None:
    whole = model(tmp_path / "whole", "lenet5", 28, channels=1)
    out = tmp_path / "a.html"
    with pytest.raises(UnknownNameError, match=r"precision.*fp16"):
        export_web(whole.folder, out, precision="fp8")
    with pytest.raises(UnknownNameError, match=r"views.*none"):
        export_web(whole.folder, out, views="mirror")
    probs = np.eye(16, 7, dtype=np.float32)
    golden = {"images": np.zeros((16, 1, 28, 28), np.uint8), "probabilities": probs}
    content = (whole.folder / "model.onnx").read_bytes()
    save_classifier(tmp_path / "other" / "model", whole.config, {}, content, golden)
    with pytest.raises(ExportError, match="golden"):
        export_web(tmp_path / "other", out)
    save_classifier(
        tmp_path / "reduced" / "model", replace(whole.config, precision="int8"), {}, content, golden
    )
    with pytest.raises(ConfigError, match="int8 already"):
        export_web(tmp_path / "reduced", out)
    (whole.folder / "model.onnx").write_bytes(content[:-1] + b"x")
    done = olhar("export", tmp_path / "whole", "--format", "web", "--out", out)
    assert done.status == 2
    assert "changed after it was saved" in done.err
    assert not out.exists()


def test_the_file_holds_all_that_it_needs(pages: dict[str, tuple[Classifier, Path]]) -> None:
    _classifier, path = pages["colour"]
    text = path.read_text(encoding="utf-8")
    assert "{{" not in text
    outside = re.findall(r"""(?:src|href)=["'](?!#|data:)([^"']*)""", text)
    assert outside == []
    links = set(re.findall(r"https?://[\w./-]+", text))
    assert links <= {"http://www.w3.org/2000/svg"}
    assert "</script><b>cat" not in text
    assert "default-src 'none'" in text


def test_the_page_has_the_texts_it_uses_and_no_others() -> None:
    files = [*PAGE.iterdir(), *(looks.FOLDER / name for name in (*looks.SCRIPTS, *looks.PARTS))]
    sources = "".join(file.read_text(encoding="utf-8") for file in files)
    texts = page_texts("en")
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', sources))
    for call in re.findall(r"\bsay\(([^{}]*?)(?:, \{|\))", sources):
        used |= set(re.findall(r'"(\w+)"', call))
    assert used <= texts.keys()
    codes = set(re.findall(r'NotRead\((?:kind \? )?"(\w+)"(?: : "(\w+)")?', sources))
    for code in {"broken", *(one for pair in codes for one in pair if one)}:
        assert f"failed_{code}" in texts, code
    known = {key for key in texts if f'"{key}"' in sources or key.startswith("failed_")}
    assert set(texts) - known == {"tag", "title"} - known
    assert all(page_texts(language).keys() == texts.keys() for language in TAGS)


def test_modules_become_one_script(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_text('import { b } from "./two.js";\n\nconst a = b + 1;\n')
    (tmp_path / "two.js").write_text("export const b = 1;\nexport function c() {}\nconst a = 2;\n")
    made = bundle("one", [tmp_path])
    assert made.index("from_two = ") < made.index("from_one = ")
    assert "const { b } = from_two;" in made
    assert "return { b, c };" in made
    assert not re.search(r"^(import|export)", made, re.MULTILINE)


# In a browser -----------------------------------------------------------------


@contextlib.contextmanager
def opened(
    browser: Any, path: Path, name: str = "", before: str = "", **options: Any
) -> Iterator[Any]:
    """A page from a file, which must not complain, nor ask anybody for anything."""
    with watched(browser, ("file:", "blob:", "data:"), patience_s=60, **options) as page:
        if before:
            page.add_init_script(before)
        page.goto(path.as_uri())
        page.wait_for_selector("body:not(.waiting)")
        yield page
        if name:
            keep(page, f"web-{name}")


def give(page: Any, files: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Choose files; what the page saw of each and said, in their order."""
    page.wait_for_selector("body.ready")
    kind = {"mimeType": "application/octet-stream"}
    page.set_input_files(
        "#files", [{"name": name, "buffer": content, **kind} for name, content in files]
    )
    page.locator(".card:not([data-state=working])").nth(len(files) - 1).wait_for()
    found: list[dict[str, Any]] = page.evaluate(
        """() => [...document.querySelectorAll(".card")].map((card) => {
          const canvas = card.querySelector(".pixels");
          return {
            name: card.querySelector(".file").textContent, state: card.dataset.state,
            label: card.querySelector(".label").textContent, sign: card.querySelector(".sign").textContent,
            share: parseFloat(card.querySelector(".bar")?.style.getPropertyValue("--share")),
            seen: canvas.toDataURL(),
          };
        })"""
    )
    for one in found:
        drawn_png = base64.b64decode(one["seen"].partition(",")[2])
        one["seen"] = np.asarray(Image.open(io.BytesIO(drawn_png)))[..., :3]
    return found


def raw_png(random: np.random.Generator, kind: int, depth: int, *, interlaced: bool) -> bytes:
    """A PNG of random samples, as its specification has them; Pillow writes few of these kinds."""
    width, height = (int(one) for one in random.integers(1, 41, 2))
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    colours = min(1 << depth, 200)
    top = (
        colours
        if kind == 3
        else 1 << (depth if depth < 16 else int(random.choice([8, 10, 12, 14, 16])))
    )
    values = random.integers(0, top, (height, width, samples))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced)))]
    if kind == 3:
        chunks.append((b"PLTE", random.integers(0, 256, 3 * colours, np.uint8).tobytes()))
        if random.random() < 0.5:
            chunks.append((b"tRNS", random.integers(0, 256, colours // 2 + 1, np.uint8).tobytes()))
    if kind == 0 and depth >= 8 and random.random() < 0.4:
        chunks.append((b"tRNS", struct.pack(">H", int(values[0, 0, 0]))))
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        ]
    content = b"".join(
        rows_of(random, values[y::dy, x::dx], depth)
        for y, x, dy, dx in passes
        if values[y::dy, x::dx].size
    )
    data = zlib.compress(content)
    chunks += [(b"IDAT", data[: len(data) // 2]), (b"IDAT", data[len(data) // 2 :]), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def rows_of(random: np.random.Generator, values: Any, depth: int) -> bytes:
    """The filtered rows of one pass."""
    flat = values.reshape(len(values), -1)
    step = max(1, values.shape[2] * depth // 8)
    if depth == 16:
        rows = flat.astype(">u2").view(np.uint8).reshape(len(flat), -1)
    elif depth == 8:
        rows = flat.astype(np.uint8)
    else:
        bits = (flat[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(len(flat), -1), axis=1)
    out, above = b"", np.zeros(rows.shape[1], np.uint8)
    for row in rows:
        method = int(random.integers(0, 5))
        left = np.concatenate([np.zeros(step, np.uint8), row])[: len(row)]
        corner = np.concatenate([np.zeros(step, np.uint8), above])[: len(row)]
        a, b, c = (one.astype(int) for one in (left, above, corner))
        guess = a + b - c
        nearest = np.where(
            (abs(guess - a) <= abs(guess - b)) & (abs(guess - a) <= abs(guess - c)), a,
            np.where(abs(guess - b) <= abs(guess - c), b, c),
        )  # fmt: skip
        less = [0 * a, a, b, (a + b) // 2, nearest][method]
        out += bytes([method]) + ((row.astype(int) - less) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def test_pixels_of_png_are_those_of_predict(
    browser: Any, pages: dict[str, tuple[Classifier, Path]]
) -> None:
    random = np.random.default_rng(3)
    kinds = [
        (0, 1),
        (0, 2),
        (0, 4),
        (0, 8),
        (0, 16),
        (2, 8),
        (2, 16),
        (3, 1),
        (3, 2),
        (3, 4),
        (3, 8),
    ]
    kinds += [(4, 8), (4, 16), (6, 8), (6, 16)]
    files = [
        (
            f"{kind}-{depth}-{interlaced}-{turn}.png",
            raw_png(random, kind, depth, interlaced=interlaced),
        )
        for kind, depth in kinds
        for interlaced in (False, True)
        for turn in range(1 + (kind in {0, 2}))
    ]
    upright = Image.fromarray(random.integers(0, 256, (30, 50, 3), np.uint8))
    for way in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = way
        files.append((f"turned-{way}.png", saved(upright, exif=exif)))
    files.append(
        ("large.png", saved(Image.fromarray(random.integers(0, 256, (900, 300), np.uint8))))
    )
    for name in ("colour", "padded", "grey"):
        classifier, path = pages[name]
        some = files if name == "colour" else files[::3]
        with opened(browser, path) as page:
            found = give(page, some)
        for (file, content), one in zip(some, found, strict=True):
            expected = classifier.preprocess.read_pixels(content)
            assert one["name"] == file
            assert (one["seen"] == expected).all(), (name, file)
            said = classifier.predict(content)
            assert one["share"] == pytest.approx(said.probability, abs=1e-4), (name, file)
            assert ("none of" in one["sign"]) == bool(said.outlier) or name == "colour", file
            assert ("not sure" in one["sign"]) == (not said.sure) or said.outlier, file


@needs_data
def test_photos_get_the_answers_of_predict(
    browser: Any, pages: dict[str, tuple[Classifier, Path]]
) -> None:
    photos = sorted((Path(DATA) / "photos").glob("*/*"))
    classifier, path = pages["colour"]
    with opened(browser, path) as page:
        found = give(page, [(photo.name, photo.read_bytes()) for photo in photos])
    for photo, one in zip(photos, found, strict=True):
        said = classifier.predict(photo)
        assert one["label"] == said.label or said.probability - one["share"] < 0.01, photo
        assert abs(one["share"] - said.probability) < 0.02, photo
        expected = classifier.preprocess.read_pixels(photo).astype(int)
        assert np.abs(one["seen"] - expected).mean() < 2, photo


def test_a_7_is_drawn_and_read_with_no_network(
    browser: Any, digits_run: Path, tmp_path: Path
) -> None:
    export_web(digits_run, tmp_path / "d.html")
    options = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
    with opened(browser, tmp_path / "d.html", "drawing", **options) as page:
        page.wait_for_selector("body.ready")
        page.context.set_offline(True)
        box = page.locator("#canvas").bounding_box()
        points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
                  for x, y in ((0.26, 0.18), (0.74, 0.18), (0.46, 0.88))]  # fmt: skip
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=10)
        page.mouse.up()
        page.locator(".card[data-state=done]").wait_for()
        assert page.locator(".card .label").inner_text() == "7"
        assert page.locator("#drawn-live .label").inner_text() == "7"
        page.get_by_label("Português").click()
        assert page.locator("h1").inner_text() == "Que dígito é este?"
        page.locator("#canvas").press("Backspace")
        page.locator(".card").wait_for(state="detached")
        page.keyboard.press("Space")
        for key in ("ArrowDown",) * 4:
            page.keyboard.press(key)
        page.keyboard.press("Space")
        page.locator(".card[data-state=done]").wait_for()


def test_the_camera_is_asked_live_and_may_be_refused(
    browser: Any, pages: dict[str, tuple[Classifier, Path]]
) -> None:
    _classifier, path = pages["colour"]
    with opened(browser, path, "camera") as page:
        page.wait_for_selector("body.ready")
        page.get_by_role("radio", name="Camera").check()
        page.get_by_role("button", name="Start the camera").click()
        page.locator("#camera-live .bars li").first.wait_for()
        page.get_by_role("button", name="Keep this picture").click()
        page.locator(".card[data-state=done]").wait_for()
        page.get_by_role("button", name="Stop").click()
        assert page.locator("#camera-live .bars").count() == 0
    refused = (
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', '%s'); };"
    )
    for name, words in (("NotAllowedError", "not allowed"), ("NotFoundError", "no camera")):
        with opened(browser, path, before=refused % name) as page:
            page.get_by_role("radio", name="Camera").check()
            page.get_by_role("button", name="Start the camera").click()
            page.locator("#camera-trouble").get_by_text(words).wait_for()


def test_what_goes_wrong_is_said_in_words(
    browser: Any, pages: dict[str, tuple[Classifier, Path]], tmp_path: Path
) -> None:
    _classifier, path = pages["grey"]
    whole = saved(Image.new("RGB", (40, 40), "red"))
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sIIBBBBB", 13, b"IHDR", 60_000, 60_000, 8, 2, 0, 0, 0
    )
    huge = header + struct.pack(">I", zlib.crc32(header[12:]))
    wrong = [
        ("a.tif", b"II*\0" + bytes(99), "TIFF"),
        ("b.heic", b"\0\0\0\x18ftypheic" + bytes(99), "HEIC"),
        ("c.png", whole[:-30], "damaged"),
        ("d.png", whole.replace(b"IDAT", b"IDAT", 1)[:60] + b"\0" + whole[61:], "damaged"),
        ("e.jpg", b"", "empty"),
        ("f.txt", b"hello", "no photo"),
        ("g.png", huge, "60,000 × 60,000"),
    ]
    with opened(browser, path, "wrong") as page:
        page.get_by_role("radio", name="Photos").check()
        found = give(
            page, [(name, content) for name, content, _words in wrong] + [("h.png", whole)]
        )
        for (name, _content, words), one in zip(wrong, found, strict=False):
            assert one["state"] == "failed", name
            assert words in one["label"], (name, one["label"])
        assert found[-1]["state"] == "done"
        page.get_by_role("button", name="About this model").click()
        assert page.get_by_text("Nothing is sent").is_visible()
    with opened(browser, path, before="WebAssembly.validate = () => false;") as page:
        shown = page.locator("#trouble").inner_text()
        assert "too old" in shown
        assert page_texts("pt")["no_simd"] in shown
    text = path.read_text(encoding="utf-8")
    veiled = tmp_path / "veiled.html"  # a browser that gives pages other pixels than they drew
    read = "brush.getImageData(0, 0, 16, 16)"
    assert read in text
    veiled.write_text(text.replace(read, "brush.createImageData(16, 16)"), encoding="utf-8")
    with opened(browser, veiled) as page:
        page.get_by_role("radio", name="Photos").check()
        photo = saved(Image.new("RGB", (40, 40), "red"), "JPEG")
        found = give(page, [("a.jpg", photo), ("b.png", whole)])
        assert [one["state"] for one in found] == ["failed", "done"]
        assert "against tracking" in found[0]["label"]
    cut = tmp_path / "cut.html"
    cut.write_text(re.sub(r'(id="network">.{2000}).*?<', r"\1<", text), encoding="utf-8")
    with opened(browser, cut) as page:
        page.locator("#trouble").get_by_text("does not start").first.wait_for()


def test_read_image_and_the_page_name_the_same_rule_for_large_jpegs() -> None:
    # The page reduces as Pillow's draft mode does: the shortest side stays at least 2 × size.
    content = saved(Image.new("RGB", (1000, 700), "blue"), "JPEG")
    for size, side in ((32, 700 // 8 + 1), (80, 350 // 2), (150, 350), (400, 700)):
        shape = read_image(content, shrink_to=2 * size).shape
        assert shape[0] == side, (size, shape)
        room = min(1000 // (2 * size), 700 // (2 * size))
        block = next((one for one in (8, 4, 2) if room >= one), 1)
        assert shape[0] == -(-700 // block)
    assert Framing(32, 3).read_pixels(content).shape == (32, 32, 3)


def test_verify_compares_the_engine_of_the_page(digits_run: Path) -> None:
    classifier = load_classifier(digits_run)
    inputs = np.ascontiguousarray(pixels(3, *classifier.preprocess.shape).transpose(0, 3, 1, 2))
    items = [Item(f"input {row}", b"", one) for row, one in enumerate(inputs)]
    right = answers_from_probs(classifier.predict_probs(inputs), classifier.class_names)
    link = web_link(classifier, items, right)
    assert (link.name, link.status, link.inputs) == ("web", "ok", 3)
    wrong = answers_from_probs(right.probs[:, ::-1].astype(np.float32), classifier.class_names)
    link = web_link(classifier, items, wrong)
    assert link.status == "differs"
    assert "no layer differs" in str(link.note)


def test_a_page_and_c_travel_with_a_model(digits_run: Path, tmp_path: Path) -> None:
    push = ("push", digits_run, tmp_path / "store", "--name", "d")
    done = olhar(*push, "--with", "web,c", "--dry-run", "--json")
    assert done.status == 0, done.err
    named = {one["file"] for one in done.json["files"]}
    assert {"web/model.html", "c/src/model.c", "model/model.onnx"} <= named
    assert olhar(*push, "--with", "web,c").status == 0
    assert olhar("pull", f"{tmp_path / 'store'}/d", "--out", tmp_path / "pulled").status == 0
    own = tmp_path / "own.html"
    export_web(digits_run, own)
    assert (tmp_path / "pulled" / "web" / "model.html").read_bytes() == own.read_bytes()
    assert (tmp_path / "pulled" / "c" / "src" / "model.c").is_file()
    export_web(tmp_path / "pulled", tmp_path / "of-pulled.html")  # has figures, and no settings
    accuracy = json.loads((digits_run / "metrics.json").read_text())["accuracy"]
    text = (tmp_path / "of-pulled.html").read_text(encoding="utf-8")
    assert f"strong>{100 * accuracy:.2f}%" in text
    done = olhar(*push, "--with", "page")
    assert done.status == 2
    assert "allowed: c, web" in done.err
