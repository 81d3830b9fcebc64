"""What every peer does with a photo: the steps that olhar takes, without olhar.

Pillow decodes (a large JPEG at 1/2, 1/4 or 1/8, as olhar does), cuts out the centre and scales it; the
normalisation is inside the graph. EXIF, transparency, 16-bit greys and limits, which olhar has, are
left out here: a handler written by hand seldom has them, and they cost time.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(os.environ["BENCH_MODEL"])  # a `model/` folder
WORKERS = int(os.environ["BENCH_WORKERS"])
THREADS = int(os.environ["BENCH_THREADS"])  # of a run of the network
BATCH = int(os.environ["BENCH_BATCH"])
LATENCY_S = float(os.environ["BENCH_LATENCY_MS"]) / 1000
CONFIG = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
SIDE, CHANNELS = CONFIG["preprocess"]["size"], CONFIG["preprocess"]["channels"]
NAMES = CONFIG["class_names"]
TOP_K = 3


def open_session() -> onnxruntime.InferenceSession:
    """As olhar opens it for a server: threads that wait do not keep a core busy."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        (FOLDER / "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
    )


def read_photo(content: bytes) -> NDArray[np.uint8]:
    """The content of a file → (C, side, side) uint8."""
    with Image.open(io.BytesIO(content)) as picture:
        return to_input(picture)


def to_input(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture that Pillow has opened → (C, side, side) uint8."""
    picture.draft(None, (2 * SIDE, 2 * SIDE))
    whole = picture.convert("L" if CHANNELS == 1 else "RGB")
    if whole.size != (SIDE, SIDE):
        width, height = whole.size
        box = None
        if CONFIG["preprocess"]["resize"] == "crop":
            short = min(width, height)
            left, top = (width - short) / 2, (height - short) / 2
            box = (left, top, left + short, top + short)
        whole = whole.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    pixels = np.asarray(whole).reshape(SIDE, SIDE, CHANNELS)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def run_network(
    session: onnxruntime.InferenceSession, inputs: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """(N, C, side, side) uint8 → probabilities (N, K) float32."""
    probs: NDArray[np.float32] = session.run(None, {"images": inputs})[0]
    return probs


def describe(probs: NDArray[np.float32]) -> dict[str, Any]:
    """Probabilities (K,) of one photo → the answer."""
    order = np.argsort(-probs, kind="stable")[:TOP_K]
    top = [{"label": NAMES[i], "probability": float(probs[i])} for i in order]
    return {**top[0], "top": top}
