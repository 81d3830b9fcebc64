"""A classifier: load, predict, save. Owns the name and format of everything in `model/`.

Does not know: how it was trained. Needs no torch: it runs `model.onnx`, which takes uint8 pixels
and gives probabilities.

    config.json        architecture, class names in index order, preprocess, temperature, threshold,
                       data, sha256 of every other file, and of itself
    model.safetensors  weights; equal weights are equal files
    model.onnx         uint8 images (N, C, H, W) → probabilities (N, K)
    labels.txt         class names in index order, one a line
    golden.safetensors 16 inputs and the probabilities that the training network gave
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from olhar import i18n
from olhar._version import __version__
from olhar.errors import ChecksumError, MissingFileError, ModelError, explain_os_errors
from olhar.files import folder_aside, write_atomic
from olhar.i18n import _
from olhar.images import array_to_image
from olhar.preprocess import Preprocess

FORMAT = 1
CONFIG, WEIGHTS, ONNX = "config.json", "model.safetensors", "model.onnx"
LABELS, GOLDEN = "labels.txt", "golden.safetensors"
GOLDEN_COUNT = 16
DEFAULT_THRESHOLD = 0.5
_BATCH, _BATCH_PIXELS = 256, 2**20

Source = Path | str | bytes | BinaryIO | NDArray[Any]


@dataclass(frozen=True)
class ModelConfig:
    """What `model/config.json` says.

    Attributes:
        network: name, settings, size, channels, num_classes.
        class_names: in index order.
        translated_names: class names by language tag, in index order.
        preprocess: what happens to an image before the network sees it.
        views: what a prediction is a mean over, inside the graph (see Recipe).
        temperature: divides the logits, inside the graph.
        threshold: a top probability below it is "not sure".
        data: name, fingerprint and split settings of the data it was trained on.
        precision: of the numbers in `model.onnx`: fp32, or int8 (see pipeline.exporting).
        olhar: version that made it.
    """

    network: Mapping[str, Any]
    class_names: tuple[str, ...]
    preprocess: Preprocess
    data: Mapping[str, Any]
    translated_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: str = "none"
    temperature: float = 1.0
    threshold: float = DEFAULT_THRESHOLD
    precision: str = "fp32"
    olhar: str = __version__

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "format": FORMAT,
            **{key: value for key, value in asdict(self).items() if key != "preprocess"},
            "class_names": list(self.class_names),
            "translated_names": {tag: list(n) for tag, n in self.translated_names.items()},
            "preprocess": self.preprocess.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """From plain values, as `to_dict` gives them."""
        try:
            return cls(
                network=values["network"],
                class_names=tuple(values["class_names"]),
                preprocess=Preprocess.from_dict(values["preprocess"]),
                data=values["data"],
                translated_names={t: tuple(n) for t, n in values["translated_names"].items()},
                views=str(values.get("views", "none")),  # not written by olhar 0.1
                temperature=float(values["temperature"]),
                threshold=float(values["threshold"]),
                precision=str(values.get("precision", "fp32")),  # not written by olhar 0.1
                olhar=str(values["olhar"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                _("the model's {file} is not readable: {reason}", file=CONFIG, reason=repr(error))
            ) from error


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one image.

    Attributes:
        file: the name it was given by.
        label: the most probable class.
        probability: of that class.
        sure: whether the probability reaches the model's threshold.
        top: (class name, probability), most probable first.
        shown_label: the class in the language in force, for people.
    """

    file: str
    label: str
    probability: float
    sure: bool
    top: tuple[tuple[str, float], ...]
    shown_label: str

    def to_dict(self) -> dict[str, Any]:
        """As `predict --json` prints it."""
        return {
            "file": self.file,
            "label": self.label,
            "probability": self.probability,
            "sure": self.sure,
            "top": [{"label": name, "probability": share} for name, share in self.top],
        }

    def _repr_html_(self) -> str:
        unsure = "" if self.sure else f" ({html.escape(str(_('not sure')))})"
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{i18n.percent(share)}</td>"
            f'<td><div style="height:0.8em;width:{12 * share:.2f}em;background:#0072B2"></div></td></tr>'
            for name, share in self.top
        )
        return (
            f"<p>{html.escape(self.file)}: <b>{html.escape(self.shown_label)}</b>{unsure}</p>"
            f"<table><tbody>{rows}</tbody></table>"
        )


class Classifier:
    """A loaded model. `predict` takes one image, `predict_probs` a batch of network inputs."""

    def __init__(
        self, folder: Path, config: ModelConfig, onnx: bytes, *, threads: int | None = None
    ) -> None:
        self.folder = folder
        self.config = config
        self._session = open_session(onnx, threads)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in index order."""
        return self.config.class_names

    @property
    def preprocess(self) -> Preprocess:
        """What happens to an image before the network sees it."""
        return self.config.preprocess

    def predict(self, source: Source, *, top_k: int = 3, name: str | None = None) -> Prediction:
        """Classify one image: a path, bytes, an open file, or an (H, W[, C]) array.

        Raises:
            ImageError: it cannot be read as an image.
        """
        if isinstance(source, np.ndarray):
            x = self.preprocess.image(array_to_image(source))
        else:
            x = self.preprocess.read(source)
        shown = name or (str(source) if isinstance(source, str | Path) else "-")
        return self.describe(self.predict_probs(x[None])[0], shown, top_k=top_k)

    def predict_probs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Network inputs (N, C, size, size) uint8 → probabilities (N, K) float32."""
        rows = batch_rows(self.preprocess.size)
        batches = [
            run_session(self._session, np.ascontiguousarray(inputs[start : start + rows]))
            for start in range(0, len(inputs), rows)
        ]
        empty = np.zeros((0, len(self.class_names)), np.float32)
        return np.concatenate(batches) if batches else empty

    def shown_name(self, label: str) -> str:
        """A class name in the language in force."""
        names = self.config.translated_names.get(i18n.language(), self.class_names)
        return names[self.class_names.index(label)]

    def describe(self, probs: NDArray[np.float32], name: str, *, top_k: int = 3) -> Prediction:
        """Probabilities (K,) of one image → its `Prediction`."""
        order = np.argsort(-probs, kind="stable")[: max(1, top_k)]
        best = int(order[0])
        return Prediction(
            file=name,
            label=self.class_names[best],
            probability=float(probs[best]),
            sure=bool(probs[best] >= self.config.threshold),
            top=tuple((self.class_names[i], float(probs[i])) for i in order),
            shown_label=self.shown_name(self.class_names[best]),
        )

    def __repr__(self) -> str:
        network, size = self.config.network["name"], self.preprocess.size
        return f"<Classifier {network}, {len(self.class_names)} classes, {size}x{size} pixels>"


def batch_rows(size: int) -> int:
    """How many network inputs of this side are computed at once: 256, fewer of large ones.

    What the layers of a large network hold for 256 inputs of 224 pixels is 2 GB and more.
    """
    return max(8, min(_BATCH, _BATCH_PIXELS // size**2))


def open_session(onnx: bytes, threads: int | None = None) -> Any:
    """An ONNX Runtime session on the CPU for the bytes of a `model.onnx`.

    Args:
        onnx: the graph.
        threads: that one run of it may use; by default one a core, and they wait for the next run
            at full speed: right for one caller, wrong for a server.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelError(_("model.onnx cannot be loaded: {reason}", reason=error)) from error


def run_session(session: Any, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, C, H, W) uint8 → probabilities (N, K) float32."""
    result: NDArray[np.float32] = session.run(None, {"images": inputs})[0]
    return result


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
                "olhar resume {path}",
                path=path,
            )
        )
    raise MissingFileError(
        _(
            "there is no model in '{path}'; give a run folder (such as runs/mnist-lenet5) or a "
            "model/ folder",
            path=path,
        )
    )


def load_classifier(path: Path | str, *, threads: int | None = None) -> Classifier:
    """Load a model from a run folder or a `model/` folder; every file is checked first.

    `threads` is how many one run of the network may use; by default one a core.

    Raises:
        MissingFileError: no model there, or a file of it is missing.
        ChecksumError: a file is not what `config.json` says.
        ModelError: it is damaged, or made by a newer olhar.
    """
    folder = model_folder(Path(path))
    values = _read_config(folder / CONFIG)
    onnx = b""
    for name, expected in values["files"].items():
        with explain_os_errors(folder / name):
            content = (folder / name).read_bytes()
        _check_digest(folder / name, hashlib.sha256(content).hexdigest(), expected)
        if name == ONNX:
            onnx = content
    if not onnx:
        raise ModelError(_("'{path}' names no {file}", path=folder / CONFIG, file=ONNX))
    return Classifier(folder, ModelConfig.from_dict(values), onnx, threads=threads)


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
) -> None:
    """Write a `model/` folder, aside first; it must not be there.

    Args:
        folder: the folder to make.
        config: what config.json is to say; hashes are added.
        weights: arrays by name.
        onnx: bytes of model.onnx.
        golden: "images" (16, C, H, W) uint8 and "probabilities" (16, K) float32.
    """
    from safetensors.numpy import save

    contents = {
        WEIGHTS: save(dict(weights)),
        ONNX: onnx,
        LABELS: "".join(f"{' '.join(name.splitlines())}\n" for name in config.class_names).encode(),
        GOLDEN: save(dict(golden)),
    }
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    with folder_aside(folder) as aside:
        for name, content in contents.items():
            write_atomic(aside / name, content)
        write_atomic(aside / CONFIG, _sealed({**config.to_dict(), "files": files}))
