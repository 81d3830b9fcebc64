"""Pages of olhar beside onnxruntime-web: the same networks in one Chromium, one thread; bytes and times.

The networks are untrained: weights change neither. onnxruntime-web comes from npm into .bench/, and is
served from this machine; a page of olhar is opened from its file. In each round both look at the same image
twenty times, after five that do not count; a time is of one view, the median over all rounds.

    python benchmarks/web.py [--rounds 3] [--json | --markdown] [NETWORK …]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import io
import json
import shutil
import statistics
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from here import describe_here, machine_text
from olhar.classifier import ModelConfig, open_session, save_classifier
from olhar.export import export_network
from olhar.networks.build import build_network
from olhar.networks.specs import NetworkSpec, resolve_network
from olhar.pipeline.exporting import export_model
from olhar.preprocess import Preprocess

PEER, VERSION = "onnxruntime-web", "1.30.0"
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
# Name, side, channels, classes: LeNet-5 for MNIST, the others as their data sets have them.
NETWORKS = {
    "lenet5": (28, 1, 10),
    "cnn-32-64-64": (32, 3, 10),
    "olhar-small": (32, 3, 10),
    "squeezenet1_1": (224, 3, 10),
    "mobilenet_v2": (224, 3, 10),
}
WARM, COUNT = 5, 20

_PEER_PAGE = """<!doctype html><script src="ort.wasm.min.js"></script><script>
async function measure(shape, pixels, warm, count) {
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
  const images = new ort.Tensor("uint8", Uint8Array.from(pixels), shape);
  const times = [];
  for (let turn = 0; turn < warm + count; turn += 1) {
    const before = performance.now();
    await session.run({ images });
    times.push(performance.now() - before);
  }
  return times.slice(warm);
}
</script>"""


def fetch_peer(folder: Path) -> Path:
    """The distribution of onnxruntime-web, from npm; kept in .bench/."""
    target = folder / f"{PEER}-{VERSION}"
    if not target.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        if npm is None:
            sys.exit(f"{PEER} comes from npm, which is not installed")
        subprocess.run(
            [npm, "pack", f"{PEER}@{VERSION}"], cwd=folder, check=True, capture_output=True
        )
        with tarfile.open(folder / f"{PEER}-{VERSION}.tgz") as archive:
            archive.extractall(target, filter="data")
    return target / "package" / "dist"


def make_model(name: str, folder: Path) -> Path:
    """The model folder of an untrained network."""
    size, channels, classes = NETWORKS[name]
    canonical, values, _typed = resolve_network(name)
    spec = NetworkSpec(canonical, values, size, channels, classes)
    preprocess = Preprocess(size, channels, (0.5,) * channels, (0.25,) * channels)
    samples = np.random.default_rng(0).integers(0, 256, (16, channels, size, size), np.uint8)
    onnx, golden = export_network(build_network(spec).eval(), preprocess, samples)
    network = {
        "name": name,
        "size": size,
        "channels": channels,
        "num_classes": classes,
        "settings": {},
    }
    config = ModelConfig(network, tuple(map(str, range(classes))), preprocess, {"name": "noise"})
    save_classifier(folder / "model", config, {}, onnx, golden)
    return folder / "model"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A folder over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_words: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def time_page(browser: Any, page_file: Path, photo: bytes) -> list[float]:
    """Milliseconds of each view, in a page of olhar."""
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector("body.ready")
    page.evaluate(
        """() => { window.times = []; new MutationObserver(() => times.push(+document.body.dataset.ms))
          .observe(document.body, { attributes: true, attributeFilter: ["data-ms"] }); }"""
    )
    for turn in range(WARM + COUNT):
        file = {"name": "a.png", "mimeType": "image/png", "buffer": photo}
        page.set_input_files("#files", [file])
        page.locator(".card[data-state=done]").nth(turn).wait_for()
    times: list[float] = page.evaluate("times")
    page.close()
    return times[WARM:]


def time_peer(browser: Any, url: str, pixels: Any) -> list[float]:
    """Milliseconds of each run, in onnxruntime-web."""
    page = browser.new_page()
    page.goto(f"{url}/peer.html")
    given = [list(pixels.shape), pixels.ravel().tolist(), WARM, COUNT]
    times: list[float] = page.evaluate("(given) => measure(...given)", given)
    page.close()
    return times


def measure(name: str, browser: Any, dist: Path, work: Path, rounds: int) -> dict[str, Any]:
    """One network, both ways, in turns."""
    model = make_model(name, work / name)
    page_file = work / f"{name}.html"
    export_model(model, page_file, format="web")
    site = work / f"{name}-site"
    site.mkdir()
    for file in FILES:
        shutil.copy(dist / file, site / file)
    shutil.copy(model / "model.onnx", site)
    (site / "peer.html").write_text(_PEER_PAGE)
    size, channels, _classes = NETWORKS[name]
    pixels = np.random.default_rng(1).integers(0, 256, (1, channels, size, size), np.uint8)
    photo = io.BytesIO()
    shown = pixels[0].transpose(1, 2, 0)
    Image.fromarray(shown[..., 0] if channels == 1 else shown).save(photo, "PNG")
    open_session((model / "model.onnx").read_bytes())  # a graph that cannot be opened is no figure
    ours, theirs = [], []
    with serving(site) as url:
        for turn in range(rounds):
            ways: list[Callable[[], None]] = [
                lambda: ours.extend(time_page(browser, page_file, photo.getvalue())),
                lambda: theirs.extend(time_peer(browser, url, pixels)),
            ]
            for way in ways if turn % 2 == 0 else reversed(ways):
                way()
    return {
        "network": name,
        "pixels": size,
        "page_bytes": page_file.stat().st_size,
        "page_ms": statistics.median(ours),
        "peer_bytes": sum(file.stat().st_size for file in site.iterdir()),
        "peer_ms": statistics.median(theirs),
        "runs": len(ours),
    }


def markdown(records: Sequence[dict[str, Any]], browser: str, here: dict[str, Any]) -> str:
    """The table of docs/benchmarks.md."""
    lines = [
        "| network | pixels | page of olhar | a view | onnxruntime-web and model.onnx | a run |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in records:
        cells = [
            one["network"], f"{one['pixels']}", f"{one['page_bytes'] / 1e6:.2f} MB",
            f"{one['page_ms']:.2f} ms", f"{one['peer_bytes'] / 1e6:.2f} MB", f"{one['peer_ms']:.2f} ms",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    runs = records[0]["runs"]
    said = f"{browser}, {PEER} {VERSION}, one thread; {runs} runs each. {machine_text(here)}"
    return "\n".join([*lines, "", said])


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    import tempfile

    here = describe_here()  # before anything loads the machine
    dist = fetch_peer(Path(__file__).resolve().parents[1] / ".bench")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        records = [measure(name, browser, dist, Path(work), args.rounds) for name in args.networks]
        shown = f"Chromium {browser.version}"
        browser.close()
    if args.json:
        print(json.dumps({"here": here, "browser": shown, "records": records}, indent=2))
    else:
        print(markdown(records, shown, here))


if __name__ == "__main__":
    main()
