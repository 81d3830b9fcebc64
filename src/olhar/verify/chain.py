"""The chain from the stored golden inputs to each protocol of a server, link by link.

    golden ─ torch ─ onnx ─┬─ c, web
                           └─ python ─┬─ cli
                                      └─ server: each protocol

Each link is compared with the one that it has to reproduce, so that one that is wrong does not make
those after it look wrong. Among golden, torch and onnx the one that differs from the other two is at
fault.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olhar.classifier import CONFIG, Classifier
from olhar.errors import ExportError, MissingExtraError, OlharError, explain_os_errors
from olhar.files import sha256_file
from olhar.i18n import Text, _, in_english
from olhar.images import encode_png
from olhar.pipeline.rebuilding import network_probs, read_golden
from olhar.progress import Progress
from olhar.registry import load
from olhar.verify.endpoint import Endpoint, start_server
from olhar.verify.engines import c_link, web_link
from olhar.verify.links import (
    ABSENT,
    DIFFERS,
    FAILED,
    OK,
    SKIPPED,
    TOLERANCE,
    Answers,
    Item,
    Link,
    answers_from_probs,
    answers_from_records,
    compare,
)
from olhar.verify.protocols import PROTOCOLS, check_protocol, find_model
from olhar.web_server.running import require_server

_CLI_S = 600

# What to look at, by the link that is at fault.
_CAUSES = {
    "golden": _(
        "golden.safetensors is not what this model gave when it was saved; network and "
        "model.onnx agree with each other"
    ),
    "torch": _(
        "the preprocess, views, temperature or network in config.json, or model.safetensors, is not "
        "what model.onnx was exported from"
    ),
    "onnx": _(
        "model.onnx does not compute what config.json and model.safetensors say: its weights, "
        "normalisation, views or temperature are others"
    ),
    "c": _("the C engine computes otherwise than ONNX Runtime: please report it"),
    "web": _("the engine of the page computes otherwise than ONNX Runtime: please report it"),
    "python": _("decoding or preparing an image gives other pixels than the network was given"),
    "cli": _("`olhar predict` answers otherwise than the same classifier in Python"),
    "server": _(
        "the server answers otherwise than this model: another model or version, or another "
        "preparation of images"
    ),
}
_PROTOCOL_CAUSE = _("this protocol of the server reads or answers requests otherwise")
_UNDECIDED = _(
    "model.onnx or golden.safetensors was changed; with PyTorch installed it can be said which"
)


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        model: the model's folder.
        links: in the order of the chain.
    """

    model: Path
    links: tuple[Link, ...]

    @property
    def broken(self) -> Link | None:
        """The first link that is at fault; None where all agree."""
        return next((link for link in self.links if link.broken), None)

    @property
    def ok(self) -> bool:
        """Whether all agree that could be tried."""
        return self.broken is None

    def cause(self) -> Text | None:
        """What to look at; None where all agree, or where the link's note says it."""
        if self.broken is None or self.broken.status == FAILED:
            return None
        torch = next((link for link in self.links if link.name == "torch"), None)
        if self.broken.name == "onnx" and (torch is None or torch.status != OK):
            return _UNDECIDED
        return _CAUSES.get(self.broken.name, _PROTOCOL_CAUSE)

    def to_dict(self) -> dict[str, Any]:
        """As `verify --json` prints it."""
        cause = self.cause()
        return {
            "model": str(self.model),
            "ok": self.ok,
            "tolerance": TOLERANCE,
            "broken": self.broken.name if self.broken else None,
            "cause": in_english(cause) if cause else None,
            "links": [link.to_dict() for link in self.links],
        }


def verify_model(
    model: Path | str,
    photos: Sequence[Path | str] = (),
    *,
    against: str | None = None,
    token: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Send the model's golden inputs and photos through every way to an answer, and compare.

    Args:
        model: a run folder or a model/ folder.
        photos: files.
        against: URL of a server to ask instead of one that is started here.
        token: that this server wants.
        progress: hears of the progress.

    Raises:
        ImageError: a photo cannot be read.
        ChecksumError: a file of the model is not what config.json says.
        ConfigError: `against` is no URL, or the server wants another token.
        ClusterError: the server at `against` does not answer.
    """
    progress = progress or Progress()
    classifier = load(model, progress)
    endpoint = Endpoint(against, token) if against else None
    if endpoint:
        endpoint.ask("/models", answer_s=5)  # a wrong address or token is found before the work
    golden, stored = read_golden(classifier)
    items = [
        *(Item(f"golden[{row}]", _png(pixels), pixels) for row, pixels in enumerate(golden)),
        *(_photo(classifier, Path(photo)) for photo in photos),
    ]
    progress.start(_("verifying"), 5 + len(PROTOCOLS))
    names = classifier.class_names
    onnx = answers_from_probs(_onnx_probs(classifier, items), names)
    links = _stored_links(classifier, items, answers_from_probs(stored, names), onnx)
    progress.advance(2)
    links += [c_link(classifier, items, onnx), web_link(classifier, items, onnx)]
    progress.advance(3)
    python, link = _python_link(classifier, items, onnx)
    links.append(link)
    if python is None:
        return Verification(classifier.folder, tuple(links))
    links.append(_cli_link(classifier, items, python))
    progress.advance(5)
    links += _server_links(Path(model), classifier, items, python, endpoint, progress)
    return Verification(classifier.folder, tuple(links))


def _png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """(C, H, W) uint8 → a PNG file of just these pixels."""
    return encode_png(pixels.transpose(1, 2, 0))


def _photo(classifier: Classifier, path: Path) -> Item:
    pixels = classifier.preprocess.read(path)
    with explain_os_errors(path):
        return Item(str(path), path.read_bytes(), pixels)


def _onnx_probs(classifier: Classifier, items: Sequence[Item]) -> Any:
    return classifier.predict_probs(np.stack([item.pixels for item in items]))


def _stored_links(
    classifier: Classifier, items: Sequence[Item], golden: Answers, onnx: Answers
) -> list[Link]:
    """The links golden, torch and onnx; which one differs from the others is at fault."""
    names, count = classifier.class_names, len(golden.labels)

    def check(name: str, found: Answers, against: str, expected: Answers) -> Link:
        both = min(len(found.labels), len(expected.labels))
        return compare(name, against, found.first(both), expected.first(both), items[:both], names)

    torch, torch_link = _torch_answers(classifier, items)
    golden_link = Link("golden", inputs=count)
    onnx_golden = check("onnx", onnx, "golden", golden)
    if torch is None:
        return [golden_link, torch_link, onnx_golden]
    torch_golden = check("torch", torch, "golden", golden)
    onnx_torch = check("onnx", onnx, "torch", torch)
    if torch_golden.broken and onnx_golden.broken and not onnx_torch.broken:
        changed = check("golden", golden, "torch", torch)
        return [changed, dataclasses.replace(torch_link, inputs=len(items)), onnx_torch]
    return [golden_link, torch_golden, onnx_golden if torch_golden.broken else onnx_torch]


def _torch_answers(classifier: Classifier, items: Sequence[Item]) -> tuple[Answers | None, Link]:
    """What the training network says, rebuilt in torch, where it can be."""
    link = Link("torch")
    if classifier.config.precision != "fp32":
        note = _("an {precision} model has no training network to compare with",
                 precision=classifier.config.precision)  # fmt: skip
        return None, dataclasses.replace(link, status=SKIPPED, note=note)
    if importlib.util.find_spec("torch") is None:
        note = _("PyTorch is not installed: pip install 'olhar[train]'")
        return None, dataclasses.replace(link, status=SKIPPED, note=note)
    try:
        probs = network_probs(classifier, np.stack([item.pixels for item in items]))
    except MissingExtraError as error:  # the library that the network came from
        return None, dataclasses.replace(link, status=SKIPPED, note=error.message)
    except OlharError as error:
        return None, dataclasses.replace(link, status=FAILED, note=error.message)
    return answers_from_probs(probs, classifier.class_names), link


def _python_link(
    classifier: Classifier, items: Sequence[Item], onnx: Answers
) -> tuple[Answers | None, Link]:
    """`Classifier.predict` on the image files."""
    names, link = classifier.class_names, Link("python", "onnx")
    try:
        for item in items:
            if not np.array_equal(classifier.preprocess.read(item.content), item.pixels):
                note = _("{input}: its image file gives other pixels", input=item.name)
                return None, dataclasses.replace(link, status=FAILED, note=note)
        records = [
            classifier.predict(item.content, top_k=len(names), name=item.name).to_dict()
            for item in items
        ]
    except OlharError as error:
        return None, dataclasses.replace(link, status=FAILED, note=error.message)
    answers = answers_from_records(records, names, len(items))
    return answers, compare("python", "onnx", answers, onnx, items, names)


def _cli_link(classifier: Classifier, items: Sequence[Item], python: Answers) -> Link:
    """`olhar predict --json` in a process of its own."""
    names, count = classifier.class_names, len(items)
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="olhar-"))
        except OSError:
            note = _("there is no folder for temporary files; name one that is writable in TMPDIR")
            return Link("cli", "python", SKIPPED, note=note)
        for row, item in enumerate(items):  # whatever the suffix, content decides
            (Path(folder) / f"{row:06}.png").write_bytes(item.content)
        command = ["predict", str(classifier.folder), folder, "--json", "--top", str(len(names))]
        try:
            done = subprocess.run(  # noqa: S603  this olhar itself
                [sys.executable, "-P", "-m", "olhar", *command],
                capture_output=True,
                timeout=_CLI_S,
                check=False,
            )
            answers = answers_from_records(json.loads(done.stdout), names, count)
        except (ValueError, subprocess.TimeoutExpired) as error:
            return Link("cli", "python", FAILED, note=str(error))
    return compare("cli", "python", answers, python, items, names)


def _server_links(
    model: Path,
    classifier: Classifier,
    items: Sequence[Item],
    python: Answers,
    endpoint: Endpoint | None,
    progress: Progress,
) -> list[Link]:
    """The server, and each of its protocols."""
    if endpoint is None:
        try:
            require_server()
        except MissingExtraError as error:
            return [Link("server", "python", SKIPPED, note=error.message)]
    digest = sha256_file(classifier.folder / CONFIG)
    try:
        with _running(model, endpoint) as server:
            name, served = find_model(server, _served_name(model), digest)
            links = []
            for done, protocol in enumerate(PROTOCOLS):
                links.append(
                    check_protocol(protocol, server, name, items, python, classifier.class_names)
                )
                progress.advance(6 + done)
    except ExportError as error:
        return [Link("server", "python", FAILED, note=error.message)]
    if endpoint is None:  # a server of this olhar has them all
        links = [
            dataclasses.replace(link, status=FAILED) if link.status == ABSENT else link
            for link in links
        ]
    link = _server_link(links)
    if served not in {"", digest}:
        note = _("it serves version {found}…, this model is {expected}…", found=served[:12],
                 expected=digest[:12])  # fmt: skip
        link = dataclasses.replace(link, note=note)
    return [link, *links]


def _served_name(model: Path) -> str:
    """What `olhar serve` calls a model: by its run folder."""
    folder = model.resolve()
    return folder.parent.name if folder.name == "model" else folder.name


@contextmanager
def _running(model: Path, endpoint: Endpoint | None) -> Iterator[Endpoint]:
    if endpoint is not None:
        yield endpoint
        return
    with start_server(model) as started:
        yield started


def _server_link(links: Sequence[Link]) -> Link:
    """The server itself is at fault where all that it answers is wrong."""
    tried = [link for link in links if link.status != ABSENT]
    if not tried:
        note = _("it has none of the protocols; give the address of an olhar server")
        return Link("server", "python", FAILED, note=note)
    if not all(link.broken for link in tried):
        return Link("server", "python", OK)
    worst = max(tried, key=lambda link: (link.status == DIFFERS, link.largest or 0.0))
    return dataclasses.replace(worst, name="server")
