"""A classifier: load, predict, save. Owns the name and format of everything in `model/`.

Does not know: how it was trained. Needs no torch: it runs `model.onnx`, which takes uint8 pixels
and gives probabilities.

    config.json        architecture, class names in index order, preprocess, temperature, threshold,
                       data, sha256 of every other file, and of itself
    model.safetensors  weights; equal weights are equal files
    model.onnx         uint8 images (N, C, H, W) → probabilities (N, K)
    labels.txt         class names in index order, one a line
    golden.safetensors 16 inputs and the probabilities that the training network gave
    neighbours.safetensors  where it warns of images unlike all of its classes: training images to
                       compare with (see outliers); model.onnx then gives features too
    seen.safetensors   which pictures it has seen in training (see seen); older models have none
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar import i18n
from olhar.cores import SPIN_US, count_threads
from olhar.errors import ChecksumError, MissingFileError, ModelError, explain_os_errors
from olhar.files import folder_aside, write_atomic
from olhar.given_images import ImageSource
from olhar.i18n import _
from olhar.model_config import CONFIG as CONFIG  # noqa: PLC0414  what else is in the folder is here
from olhar.model_config import FORMAT
from olhar.model_config import ModelConfig as ModelConfig  # noqa: PLC0414
from olhar.outliers import Neighbours
from olhar.prediction import Outputs
from olhar.prediction import Prediction as Prediction  # noqa: PLC0414  olhar.Prediction
from olhar.preprocess import Preprocess, batch_rows
from olhar.seen import Seen
from olhar.shown import quoted

WEIGHTS, ONNX = "model.safetensors", "model.onnx"
LABELS, GOLDEN, NEIGHBOURS = "labels.txt", "golden.safetensors", "neighbours.safetensors"
SEEN = "seen.safetensors"
FILES = frozenset({CONFIG, WEIGHTS, ONNX, LABELS, GOLDEN, NEIGHBOURS, SEEN})
GOLDEN_COUNT = 16


class Classifier:
    """A loaded model. `predict` takes one image, `predict_probs` a batch of network inputs."""

    def __init__(
        self,
        folder: Path,
        config: ModelConfig,
        onnx: bytes,
        *,
        threads: int | None = None,
        neighbours: Neighbours | None = None,
        seen: Seen | None = None,
    ) -> None:
        self.folder = folder
        self.config = config
        self.neighbours = neighbours
        self.seen = seen
        self._session = open_session(onnx, threads)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in index order."""
        return self.config.class_names

    @property
    def preprocess(self) -> Preprocess:
        """What happens to an image before the network sees it."""
        return self.config.preprocess

    def reading(self, invert: str | None) -> Classifier:
        """The same classifier with another way of reading dark and bright (see Preprocess.invert)."""
        other = copy.copy(self)
        preprocess = self.preprocess.reading(invert)
        other.config = replace(self.config, preprocess=preprocess)
        return other

    def predict(
        self, source: ImageSource, *, top_k: int = 3, name: str | None = None
    ) -> Prediction:
        """Classify one image: a path, bytes, an open file, a Pillow image, an (H, W[, C]) array, a tensor.

        Raises:
            ImageError: it cannot be read as an image.
        """
        shown = name or (str(source) if isinstance(source, str | Path) else "-")
        inputs, inverted = self.preprocess.read_input(source)
        found = self.predict_outputs(inputs[None])
        return self.describe(
            found.probs[0], shown, top_k=top_k, distance=found.distances[0], inverted=inverted
        )

    def predict_probs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Network inputs (N, C, size, size) uint8 → probabilities (N, K) float32."""
        return self.predict_outputs(inputs).probs

    def predict_outputs(self, inputs: NDArray[np.uint8]) -> Outputs:
        """Network inputs (N, C, size, size) uint8 → all that the model says of them."""
        return self._outputs(inputs)

    def predict_features(self, inputs: NDArray[np.uint8]) -> tuple[Outputs, NDArray[np.float32]]:
        """`predict_outputs`, and the features (N, F) float32 that the last layer takes.

        The graph must give them (see `gives_features`); N is at least 1.
        """
        features: list[NDArray[np.float32]] = []
        return self._outputs(inputs, features), np.concatenate(features)

    @property
    def gives_features(self) -> bool:
        """Whether the graph has a second output, what its last layer takes."""
        return len(self._session.get_outputs()) > 1

    def _outputs(
        self, inputs: NDArray[np.uint8], kept: list[NDArray[np.float32]] | None = None
    ) -> Outputs:
        """What is said of all inputs; their features are added to `kept`."""
        rows = batch_rows(self.preprocess.size)
        probs = np.zeros((len(inputs), len(self.class_names)), np.float32)
        distances = np.full(len(inputs), np.nan, np.float32)
        for start in range(0, len(inputs), rows):
            some = slice(start, start + rows)
            found = self._session.run(None, {"images": np.ascontiguousarray(inputs[some])})
            probs[some] = found[0]
            if kept is not None:
                kept.append(found[1])
            if self.neighbours is not None:
                distances[some] = self.neighbours.distances(found[1])
        return Outputs(probs, distances)

    def shown_name(self, label: str) -> str:
        """A class name in the language in force."""
        names = self.config.translated_names.get(i18n.language(), self.class_names)
        return names[self.class_names.index(label)]

    def describe(
        self,
        probs: NDArray[np.float32],
        name: str,
        *,
        top_k: int = 3,
        distance: float | np.floating[Any] = np.nan,
        threshold: float | None = None,
        inverted: bool = False,
    ) -> Prediction:
        """Probabilities (K,) of one image → its `Prediction`.

        Args:
            probs: of the K classes.
            name: of the image.
            top_k: how many classes are listed.
            distance: from the images trained on; NaN where the model cannot tell.
            threshold: a lower top probability is "not sure"; by default the model's own.
            inverted: whether the image was read so.
        """
        threshold = self.config.threshold if threshold is None else threshold
        order = np.argsort(-probs, kind="stable")[: max(1, top_k)]
        best = int(order[0])
        return Prediction(
            file=name,
            label=self.class_names[best],
            probability=float(probs[best]),
            sure=bool(probs[best] >= threshold),
            top=tuple((self.class_names[i], float(probs[i])) for i in order),
            shown_label=self.shown_name(self.class_names[best]),
            outlier=self._is_outlier(float(distance)),
            inverted=inverted,
        )

    def _is_outlier(self, distance: float) -> bool | None:
        if self.neighbours is None or np.isnan(distance):
            return None
        return distance > self.neighbours.threshold

    def __repr__(self) -> str:
        network, size = self.config.network["name"], self.preprocess.size
        return f"<Classifier {network}, {len(self.class_names)} classes, {size}x{size} pixels>"


def open_session(onnx: bytes, threads: int | None = None) -> Any:
    """An ONNX Runtime session on the CPU for the bytes of a `model.onnx`.

    Args:
        onnx: the graph.
        threads: that one run of it may use; by default one a core, and they wait a moment for the
            next run at full speed: right for one caller, wrong for a server.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Its own choice would count cores that this process may not use, and bind a thread to each.
    options.intra_op_num_threads = threads or count_threads()
    spins = threads is None
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelError(_("model.onnx cannot be loaded: {reason}", reason=error)) from error


def run_session(session: Any, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, C, H, W) uint8 → probabilities (N, K) float32."""
    result: NDArray[np.float32] = session.run(None, {"images": inputs})[0]
    return result


def open_many(
    onnx: bytes, threads: int | None = None
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A callable: (N, C, H, W) uint8 → what the graph gives for them, for many images at once.

    Each thread computes a part of them alone, which is quicker than all of them together on each layer, and
    loses less beside other work (docs/experiments.md).

    Args:
        onnx: the graph, of one output.
        threads: by default one a core.
    """
    threads = threads or count_threads()
    session, pool = open_session(onnx, 1), ThreadPoolExecutor(threads)

    def compute(inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = np.array_split(inputs, max(1, min(threads, len(inputs))))
        found = pool.map(lambda part: run_session(session, np.ascontiguousarray(part)), parts)
        return np.concatenate(list(found))

    return compute


def model_folder(path: Path) -> Path:
    """The `model/` folder of a run folder, or the folder itself where it is one.

    Raises:
        MissingFileError: neither.
    """
    with explain_os_errors(path):
        for folder in (path / "model", path):
            if (folder / CONFIG).is_file():
                return folder
        cut_off = (path / "checkpoint.safetensors").is_file()
    if cut_off:
        raise MissingFileError(
            _(
                "run '{path}' has no model yet: its training has not ended. Go on with: "
                "olhar resume {run}",
                path=path,
                run=quoted(path),
            )
        )
    raise MissingFileError(
        _(
            "there is no model in '{path}'; give a run folder (such as runs/mnist-lenet5) or a "
            "model/ folder",
            path=path,
        )
    )


def load_classifier(
    path: Path | str, *, threads: int | None = None, onnx: bytes | None = None
) -> Classifier:
    """Load a model from a run folder or a `model/` folder; every file is checked first.

    Args:
        path: of the folder.
        threads: how many one run of the network may use; by default one a core.
        onnx: runs in place of the model's own graph: the same with a second output, features.

    Raises:
        MissingFileError: no model there, or a file of it is missing.
        ChecksumError: a file is not what `config.json` says.
        ModelError: it is damaged, or made by a newer olhar.
    """
    from safetensors.numpy import load

    folder = model_folder(Path(path))
    values = _read_config(folder / CONFIG)
    needed = {ONNX: b"", NEIGHBOURS: b"", SEEN: b""}
    for name, expected in values["files"].items():
        with explain_os_errors(folder / name):
            content = (folder / name).read_bytes()
        _check_digest(folder / name, hashlib.sha256(content).hexdigest(), expected)
        if name in needed:
            needed[name] = content
    if not needed[ONNX]:
        raise ModelError(_("'{path}' names no {file}", path=folder / CONFIG, file=ONNX))
    config = ModelConfig.from_dict(values)
    neighbours = seen = None
    if config.outlier is not None:
        with _readable(folder / NEIGHBOURS):
            features = load(needed[NEIGHBOURS])["features"].astype(np.float32)
            neighbour = int(config.outlier["neighbour"])
            neighbours = Neighbours(features, neighbour, config.outlier["threshold"])
    if needed[SEEN]:
        with _readable(folder / SEEN):
            seen = Seen.from_arrays(load(needed[SEEN]))
    onnx = onnx or needed[ONNX]
    return Classifier(folder, config, onnx, threads=threads, neighbours=neighbours, seen=seen)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Arrays that are not what they should be become a ModelError that names the file."""
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(_("'{path}' is damaged: {reason}", path=path, reason=error)) from error


def _read_config(path: Path) -> dict[str, Any]:
    with explain_os_errors(path):
        content = path.read_bytes()
    try:
        values = json.loads(content)
        version, files = values["format"], values["files"]
        del values["sha256"]
        names = {str(name): str(value) for name, value in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            _("'{path}' is damaged ({reason}); take it from a good copy", path=path, reason=error)
        ) from error
    if version != FORMAT:
        raise ModelError(
            _(
                "'{path}' has format {version}; this olhar reads format {known}: update olhar",
                path=path,
                version=version,
                known=FORMAT,
            )
        )
    sealed = _sealed(values)
    _check_digest(path, hashlib.sha256(content).hexdigest(), hashlib.sha256(sealed).hexdigest())
    for name in names:
        if Path(name).name != name:
            raise ModelError(
                _("'{path}' names a file outside its folder: '{name}'", path=path, name=name)
            )
    return dict(values)


def _sealed(values: Mapping[str, Any]) -> bytes:
    """The bytes of a config.json that carries its own sha256, so that any changed byte shows."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**values, "sha256": digest}, indent=2, ensure_ascii=False) + "\n").encode()


def _check_digest(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ChecksumError(
            _(
                "'{path}' was changed after it was saved (sha256 {found}…, expected {expected}…); "
                "take it from a good copy or train again",
                path=path,
                found=found[:12],
                expected=expected[:12],
            )
        )


def save_classifier(
    folder: Path,
    config: ModelConfig,
    weights: Mapping[str, NDArray[np.generic]],
    onnx: bytes,
    golden: Mapping[str, NDArray[np.generic]],
    neighbours: Neighbours | None = None,
    seen: Seen | None = None,
) -> None:
    """Write a `model/` folder, aside first; it must not be there.

    Args:
        folder: the folder to make.
        config: what config.json is to say; hashes are added.
        weights: arrays by name.
        onnx: bytes of model.onnx.
        golden: "images" (16, C, H, W) uint8 and "probabilities" (16, K) float32.
        neighbours: training images to compare others with, if it is to warn of outliers.
        seen: which pictures it has seen in training.
    """
    from safetensors.numpy import save

    contents = {
        WEIGHTS: save(dict(weights)),
        ONNX: onnx,
        LABELS: "".join(f"{' '.join(name.splitlines())}\n" for name in config.class_names).encode(),
        GOLDEN: save(dict(golden)),
    }
    if neighbours is not None:
        contents[NEIGHBOURS] = save({"features": neighbours.features.astype(np.float16)})
        config = replace(config, outlier=neighbours.to_dict())
    if seen is not None:
        contents[SEEN] = save(seen.arrays())
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    with folder_aside(folder) as aside:
        for name, content in contents.items():
            write_atomic(aside / name, content)
        write_atomic(aside / CONFIG, _sealed({**config.to_dict(), "files": files}))
