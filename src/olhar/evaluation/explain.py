"""Where a classifier looks: what happens to its answer when a part of the image is covered.

Does not know: the network. It asks the classifier itself, through the same `model.onnx` as every
prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.classifier import Classifier
from olhar.errors import ConfigError
from olhar.evaluation import photos, style
from olhar.evaluation.fonts import drawable_names
from olhar.given_images import ImageSource
from olhar.i18n import Text, _
from olhar.images import MAX_PIXELS
from olhar.preprocess import to_inputs

PATCHES = (4, 8)  # a patch is a fourth of the side, and an eighth
HARDLY = 0.01  # a fall of the probability under this says nothing
_BYTES_AT_ONCE = 32 * 2**20


@dataclass(frozen=True)
class Explanation:
    """What a classifier says of an image, and which part of the image it depends on.

    Attributes:
        file: the name that the image was given by.
        image: (H, W, C) uint8, as the model sees it, at its input size.
        heat: (H, W) float32, by how much the probability falls when that place is covered: mean
            over all patches that cover it. Under 0 where covering it makes the answer surer.
        label: the class whose probability it is: the most probable.
        probability: of it, nothing covered.
        heat_box: left, top, right, bottom of the patch that matters most, as shares of the image.
        covered_probability: what is left of the probability with that patch covered.
        shown_label: the class in the language in force, for people.
        drawn_label: the same where a font has its letters, else the class's number.
    """

    file: str
    image: NDArray[np.uint8] = field(repr=False)
    heat: NDArray[np.float32] = field(repr=False)
    label: str
    probability: float
    heat_box: tuple[float, float, float, float]
    covered_probability: float
    shown_label: str
    drawn_label: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As `explain --json` prints it, without the picture's path."""
        return {
            "file": self.file,
            "label": self.label,
            "probability": self.probability,
            "heat_box": list(self.heat_box),
            "covered_probability": self.covered_probability,
        }

    def sentence(self) -> Text:
        """Where the network looks, in words."""
        if self.probability - self.covered_probability < HARDLY:
            return _("covering one part or another hardly changes the answer: no part decides it")
        left, top, right, bottom = self.heat_box
        return _(
            "it looks most at the part from {left:.0%} to {right:.0%} across and from {top:.0%} to"
            " {bottom:.0%} down: with that covered, the probability falls to {covered:.1%}",
            left=left,
            right=right,
            top=top,
            bottom=bottom,
            covered=self.covered_probability,
        )

    def picture(self, suffix: str = ".png") -> bytes:
        """The image and its heat side by side, as the bytes of a .png or .svg file.

        Raises:
            MissingExtraError: Matplotlib is not installed.
            ConfigError: another suffix.
        """
        figure = photos.plot_explanation(
            self.image,
            self.heat,
            self.drawn_label or self.shown_label,
            self.probability,
            self.heat_box,
        )
        return style.render_figure(figure, suffix)

    def _repr_png_(self) -> bytes:
        return self.picture()


def explain(
    classifier: Classifier,
    source: ImageSource,
    *,
    patch: int | None = None,
    stride: int | None = None,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Explanation:
    """Cover one patch of an image after the other, and see how far the probability falls.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section
    4.2. The cover has the mean colour of the training images. Patches overlap by half; they run
    over the edges, so that every pixel is covered as often.

    Args:
        classifier: answers for 370 covered images, by default.
        source: one image: a path, bytes, an open file, or an (H, W[, C]) array.
        patch: side of the patch in pixels of the model's input; by default two sizes, a fourth and
            an eighth of the side, whose heat is averaged.
        stride: pixels from patch to patch; by default half a patch.
        name: what to call the image; by default its path.
        max_pixels: width × height that a file may have.

    Raises:
        ImageError: the source cannot be read as an image.
        ConfigError: a patch larger than the input, or a stride larger than the patch.
    """
    size = classifier.preprocess.size
    _check_patch(size, patch, stride)
    image = classifier.preprocess.read_pixels(source, name=name, max_pixels=max_pixels)
    shown = name or (str(source) if isinstance(source, str | Path) else "-")
    prediction = classifier.describe(
        classifier.predict_probs(to_inputs(image[None]))[0], shown, top_k=1
    )
    best = classifier.class_names.index(prediction.label)
    names, _lacking = drawable_names([classifier.shown_name(one) for one in classifier.class_names])
    heats, lowest, box = [], 2.0, (0, 0, size, size)
    for side in [patch] if patch else sorted({max(1, size // part) for part in PATCHES}):
        boxes = _boxes(size, side, stride or max(1, side // 2))  # (P, 4)
        left_over = _covered(classifier, image, boxes, best)  # (P,): the probability when covered
        heats.append(_heat(prediction.probability - left_over, boxes, size))
        if left_over.min() < lowest:
            lowest = float(left_over.min())
            box = tuple(boxes[left_over.argmin()].tolist())
    left, top, right, bottom = box
    return Explanation(
        file=shown,
        image=image,
        heat=np.mean(heats, axis=0, dtype=np.float32),
        label=prediction.label,
        probability=prediction.probability,
        heat_box=(left / size, top / size, right / size, bottom / size),
        covered_probability=lowest,
        shown_label=prediction.shown_label,
        drawn_label=names[best],
    )


def _check_patch(size: int, patch: int | None, stride: int | None) -> None:
    if patch is not None and not 1 <= patch <= size:
        raise ConfigError(
            _("patch is {given}; allowed: 1 to {size} pixels", given=patch, size=size)
        )
    largest = patch or max(1, size // max(PATCHES))
    if stride is not None and not 1 <= stride <= largest:
        raise ConfigError(
            _(
                "stride is {given}; allowed: 1 to {largest} pixels, the side of a patch",
                given=stride,
                largest=largest,
            )
        )


def _boxes(size: int, side: int, stride: int) -> NDArray[np.int64]:
    """Left, top, right, bottom of every patch, cut at the edges; (P, 4)."""
    starts = np.arange(stride - side, size, stride)
    low, high = np.maximum(starts, 0), np.minimum(starts + side, size)
    top, left = (index.ravel() for index in np.indices((len(starts), len(starts))))
    return np.stack([low[left], low[top], high[left], high[top]], axis=1)


def _covered(
    classifier: Classifier, image: NDArray[np.uint8], boxes: NDArray[np.int64], best: int
) -> NDArray[np.float32]:
    """The probability of class `best` with each of the boxes covered, (P,)."""
    mean = np.round(255 * np.array(classifier.preprocess.mean)).astype(np.uint8)  # (C,)
    at_once = int(np.clip(_BYTES_AT_ONCE // image.nbytes, 1, 256))
    found = []
    for start in range(0, len(boxes), at_once):
        some = boxes[start : start + at_once]
        batch = np.repeat(image[None], len(some), axis=0)  # (n, size, size, C) uint8
        for covered, (left, top, right, bottom) in zip(batch, some, strict=True):
            covered[top:bottom, left:right] = mean
        found.append(classifier.predict_probs(to_inputs(batch))[:, best])
    return np.concatenate(found)


def _heat(falls: NDArray[np.float32], boxes: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """The mean fall over the boxes that cover each pixel, (size, size)."""
    total, count = np.zeros((2, size, size), np.float32)
    for fall, (left, top, right, bottom) in zip(falls, boxes, strict=True):
        total[top:bottom, left:right] += fall
        count[top:bottom, left:right] += 1
    return total / count
