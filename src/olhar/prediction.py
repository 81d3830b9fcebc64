"""What a classifier says: of one image for people and programs, of many as arrays.

Does not know: models, files, or where images come from.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from olhar import i18n
from olhar.i18n import _


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
        outlier: whether the image is unlike the training images, so that it may show none of the
            classes; None where the model cannot tell.
        inverted: whether dark was read as bright and bright as dark (see Preprocess.invert).
    """

    file: str
    label: str
    probability: float
    sure: bool
    top: tuple[tuple[str, float], ...]
    shown_label: str
    outlier: bool | None = None
    inverted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As `predict --json` prints it."""
        return {
            "file": self.file,
            "label": self.label,
            "probability": self.probability,
            "sure": self.sure,
            **({} if self.outlier is None else {"outlier": self.outlier}),
            **({"inverted": True} if self.inverted else {}),
            "top": [{"label": name, "probability": share} for name, share in self.top],
        }

    def _repr_html_(self) -> str:
        unsure = "" if self.sure else f" ({html.escape(str(_('not sure')))})"
        unsure += f" ({html.escape(str(_('perhaps none of its classes')))})" if self.outlier else ""
        unsure += f" ({html.escape(str(_('read inverted')))})" if self.inverted else ""
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{i18n.percent(share)}</td>"
            f'<td><div style="height:0.8em;width:{12 * share:.2f}em;background:#0072B2"></div></td></tr>'
            for name, share in self.top
        )
        return (
            f"<p>{html.escape(self.file)}: <b>{html.escape(self.shown_label)}</b>{unsure}</p>"
            f"<table><tbody>{rows}</tbody></table>"
        )


class Outputs(NamedTuple):
    """What a model says of N network inputs.

    Attributes:
        probs: (N, K) float32.
        distances: (N,) float32, from the training images (see outliers); NaN where the model
            cannot tell.
    """

    probs: NDArray[np.float32]
    distances: NDArray[np.float32]
