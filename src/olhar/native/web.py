"""A model as one HTML file that needs no server: engine, network, texts and scripts inside."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar import looks
from olhar.classifier import Classifier
from olhar.native.bundle import bundle
from olhar.native.engine import RESIZES, WASM
from olhar.native.page_texts import NO_SCRIPT, TAGS, in_all_languages, page_texts
from olhar.native.style import drawing_style, knows_digits
from olhar.native.thinning import Thinned

_PAGE = Path(__file__).parent / "page"
_FOLDERS = (_PAGE, looks.FOLDER)


@dataclass(frozen=True)
class WebModel:
    """What a page carries.

    Attributes:
        classifier: whose page it is.
        packed: its network, see `packing.pack_network`.
        views: what an answer is a mean over: the model's own, or none.
        temperature: divides the logits.
        neighbours: training images to compare with, where it warns of photos that show none of its
            classes.
        card: HTML of what stands behind "About this model", by language (`page_texts.TAGS`).
    """

    classifier: Classifier
    packed: bytes
    views: str
    temperature: float
    neighbours: Thinned | None
    card: Mapping[str, str]


def write_page(model: WebModel) -> bytes:
    """The HTML file of a model."""
    style = "".join((folder / name).read_text("utf-8") for folder, name in _STYLES)
    script = bundle("page", _FOLDERS)
    icon = (looks.FOLDER / "icon.svg").read_bytes()
    facts = _facts(model)
    neighbours = b"" if model.neighbours is None else model.neighbours.to_bytes()
    parts = {
        "policy": _policy(script, style),
        "title": html.escape(f"{facts['data']} · olhar"),
        "icon": base64.b64encode(icon).decode(),
        "eye": re.sub(r"<svg ", '<svg aria-hidden="true" ', icon.decode()).strip(),
        "style": style,
        "noscript": html.escape(in_all_languages(NO_SCRIPT)),
        "facts": json.dumps(facts, ensure_ascii=False).replace("<", "\\u003c"),
        "engine": _folded(WASM.read_bytes()),
        "network": _folded(model.packed),
        "neighbours": _folded(neighbours) if neighbours else "",
        "worker": bundle("worker", _FOLDERS).replace("</", "<\\/"),
        "script": script,
    }
    text = looks.read_page(_PAGE / "index.html").decode()
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], text).encode()


_STYLES = ((looks.FOLDER, "page.css"), (_PAGE, "web.css"))


def _policy(script: str, style: str) -> str:
    """What the page may do: run its own script and style, a worker, WebAssembly; load nothing."""
    hashes = [
        base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in (script, style)
    ]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}' 'wasm-unsafe-eval'; worker-src blob:; "
        f"style-src 'sha256-{hashes[1]}'; img-src blob: data:; media-src blob: mediastream:; "
        "form-action 'none'; base-uri 'none'"
    )


def _folded(content: bytes) -> str:
    """Bytes as base64 of a zlib stream, which is shorter."""
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _facts(model: WebModel) -> dict[str, Any]:
    """What the page's scripts know of the model."""
    classifier, config = model.classifier, model.classifier.config
    preprocess, style = classifier.preprocess, drawing_style(classifier.config)
    return {
        "network": str(config.network.get("name", "")),
        "data": Path(str(config.data.get("name", ""))).name,
        "size": preprocess.size,
        "channels": preprocess.channels,
        "resize": RESIZES.index(preprocess.resize),
        "labels": list(classifier.class_names),
        "shown": {
            language: dict(zip(classifier.class_names, names, strict=True))
            for language, tag in TAGS.items()
            if (names := config.translated_names.get(tag))
        },
        "threshold": config.threshold,
        "views": model.views,
        "temperature": model.temperature,
        "digits": knows_digits(config),
        "drawing": style
        and {
            "field": style.field,
            "box": style.box,
            "pen": style.pen,
            "byMass": style.by_mass,
            "dark": preprocess.mean[0] > 0.5,
        },
        "outlier": model.neighbours and model.neighbours.to_dict(),
        "card": dict(model.card),
        "texts": {language: page_texts(language) for language in TAGS},
    }
