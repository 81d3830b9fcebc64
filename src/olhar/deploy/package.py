"""A model as it is uploaded, and the question that proves that it arrived."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from olhar.classifier import Classifier, load_classifier, model_folder
from olhar.deploy.archive import pack_files
from olhar.errors import explain_os_errors
from olhar.files import sha256_file
from olhar.images import encode_png
from olhar.pipeline.rebuilding import read_golden
from olhar.progress import Progress
from olhar.registry import resolve_model
from olhar.run import RunFolder

ARCHIVE = "model.tar.gz"


@dataclass(frozen=True)
class Package:
    """A model as it is uploaded, and the proof that it arrived.

    Attributes:
        archive: the tar.gz.
        sha256: of the archive.
        probe: a request's JSON: a golden input as a PNG, every class wanted.
        expected: what the model answers here, by class.
    """

    archive: Path
    sha256: str
    probe: bytes
    expected: dict[str, float]


@contextmanager
def packed_model(model: Path | str, progress: Progress) -> Iterator[Package]:
    """The model's folder, card and scores as an archive, for the time of the block.

    Raises:
        MissingFileError: there is no model.
        ChecksumError: it was changed.
    """
    path = resolve_model(model, progress)
    classifier = load_classifier(path)
    probe, expected = _probe(classifier)
    with tempfile.TemporaryDirectory(prefix="olhar-") as folder:
        archive = Path(folder) / ARCHIVE
        pack_files(_files_of(path), archive)
        yield Package(archive, sha256_file(archive), probe, expected)


def _files_of(path: Path) -> dict[str, Path]:
    folder, run = model_folder(path), RunFolder(path)
    with explain_os_errors(folder):
        files = {f"model/{file.name}": file for file in folder.iterdir() if file.is_file()}
        if folder != path:
            extras = (run.card, run.card_pt_br, run.metrics)
            files |= {file.name: file for file in extras if file.is_file()}
    return files


def _probe(classifier: Classifier) -> tuple[bytes, dict[str, float]]:
    """One request, and its answer here by class."""
    content = encode_png(read_golden(classifier)[0][0].transpose(1, 2, 0))
    count = len(classifier.class_names)
    prediction = classifier.predict(content, top_k=count)
    image = base64.b64encode(content).decode()
    return json.dumps({"top_k": count, "image": image}).encode(), dict(prediction.top)
