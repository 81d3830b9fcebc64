"""What `model/config.json` says of a model: its classes, its preparation of images, how sure it must be.

Does not know: the other files of a model, or how any is read and written (see classifier).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from olhar._version import __version__
from olhar.errors import ModelError
from olhar.i18n import _
from olhar.preprocess import Preprocess

FORMAT = 1
CONFIG = "config.json"
DEFAULT_THRESHOLD = 0.5


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
        outlier: neighbour, threshold and kept, of `outliers.Neighbours`; None where it does not warn.
        validation: `accuracy` on `n` validation images; None in models of olhar 0.1.
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
    outlier: Mapping[str, float] | None = None
    validation: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "format": FORMAT,
            **{
                key: value
                for key, value in asdict(self).items()
                if key != "preprocess" and value is not None
            },
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
                outlier=_numbers(values, "outlier", ("neighbour", "threshold", "kept")),
                validation=_numbers(values, "validation", ("accuracy", "n")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                _("the model's {file} is not readable: {reason}", file=CONFIG, reason=repr(error))
            ) from error


def _numbers(values: Mapping[str, Any], name: str, keys: Sequence[str]) -> dict[str, float] | None:
    return {key: float(values[name][key]) for key in keys} if name in values else None
