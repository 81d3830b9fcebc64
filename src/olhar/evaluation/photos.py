"""Pictures of photos: samples, worst errors, what augmentation does, where the network looks.

Does not know: where photos come from, or how pictures are written (see `style`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from olhar.evaluation import style
from olhar.evaluation.style import INK, Sheet, shown
from olhar.i18n import Text, _, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID_SIDE, WORST_SIDE, AUGMENTED_COLUMNS = 5, 4, 8
HEAT = "YlOrRd"  # from light to dark, over a pale photo


class Images(Protocol):
    """(N, H, W, C) uint8 images that are read one by one: an array, or rows of a memory map."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """One image (H, W, C)."""


def plot_samples(
    images: Images,
    labels: NDArray[np.integer],
    probs: NDArray[np.floating],
    class_names: Sequence[str],
) -> Figure:
    """Draw up to 25 images, evenly spread over those given, with what was predicted.

    Args:
        images: (N, H, W, C) uint8, C is 1 or 3.
        labels: (N,) integers.
        probs: (N, K) float.
        class_names: K names in index order.
    """
    count = min(len(labels), GRID_SIDE**2)
    picked = np.linspace(0, len(labels) - 1, count).astype(np.int64)  # (count,)
    predicted = probs[picked].argmax(axis=1)  # (count,)
    wrong = int((predicted != labels[picked]).sum())
    title = _("wrong: {wrong} of {count} (✗ and a thick frame)", wrong=wrong, count=count)
    sheet = _sheet(images.shape, count, GRID_SIDE, title, lines=2)
    for place, (index, guess) in enumerate(zip(picked, predicted, strict=True)):
        label = labels[index]
        mark = "✓" if guess == label else "✗"
        text = f"{mark} {shown(class_names[guess], 16)} ({percent(probs[index, guess], 0)})"
        if guess != label:
            text += "\n" + str(_("true: {name}", name=shown(class_names[label], 16)))
        sheet.show(divmod(place, GRID_SIDE), images[index], text, wrong=bool(guess != label))
    return sheet.figure


def plot_worst_errors(
    images: Images,
    labels: NDArray[np.integer],
    probs: NDArray[np.floating],
    class_names: Sequence[str],
    names: Sequence[str],
) -> Figure:
    """Draw up to 16 wrong predictions, by p(predicted) - p(true), largest first.

    Args:
        images: (N, H, W, C) uint8, C is 1 or 3.
        labels: (N,) integers.
        probs: (N, K) float.
        class_names: K names in index order.
        names: N files or indices.
    """
    predicted = probs.argmax(axis=1)  # (N,)
    gap = probs.max(axis=1) - probs[np.arange(len(labels)), labels]  # (N,)
    errors = np.flatnonzero(predicted != labels)
    worst = errors[np.argsort(-gap[errors], kind="stable")][: WORST_SIDE**2]
    if len(worst) == 0:
        figure = style.figure(6, 2)
        axes = figure.add_subplot()
        axes.axis("off")
        style.say(axes, _("no errors: all {n} images are right", n=len(labels)))
        return figure
    title = _("the worst {count} of {errors} errors", count=len(worst), errors=len(errors))
    sheet = _sheet(images.shape, len(worst), WORST_SIDE, title, lines=3)
    for place, index in enumerate(worst):
        guess, label = predicted[index], labels[index]
        name = names[index]
        true = f"{shown(class_names[label], 14)} ({percent(probs[index, label], 0)})"
        lines = (
            f"✗ {shown(class_names[guess], 16)} ({percent(probs[index, guess], 0)})",
            str(_("true: {name}", name=true)),
            shown(name if len(name) <= 24 else "…" + name[-23:], 24),
        )
        sheet.show(divmod(place, WORST_SIDE), images[index], "\n".join(lines), wrong=True)
    return sheet.figure


def _sheet(shape: tuple[int, ...], count: int, columns: int, title: Text, lines: int) -> Sheet:
    """Room for `count` images of (N, H, W, C), each with `lines` of text above."""
    height = 1.8 * float(np.clip(shape[1] / shape[2], 0.4, 2.5))
    columns = min(columns, count)
    return Sheet(title, (-(-count // columns), columns), (2.1, height), above=0.05 + 0.17 * lines)


def plot_augmentation(
    originals: NDArray[np.uint8],
    augmented: NDArray[np.uint8],
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Draw what is stored above what the network really sees of it in training.

    Args:
        originals: (N, H, W, C) uint8, C is 1 or 3; at most eight are drawn.
        augmented: (R, N, H', W', C) uint8, R draws of the augmentation of each; or (N, H', W', C).
        class_names: the class of each image, N names.
    """
    draws = augmented if augmented.ndim == 5 else augmented[None]  # (R, N, H', W', C) uint8
    count = min(len(originals), AUGMENTED_COLUMNS)
    rows = [(_("stored"), originals)] + [(_("seen in training"), images) for images in draws]
    height = 1.3 * float(np.clip(originals.shape[1] / originals.shape[2], 0.4, 2.5))
    title = _("what is stored, and what the network sees of it in training")
    above = 0.2 if class_names else 0.0
    sheet = Sheet(title, (len(rows), count), (1.4, height), above=above, left=1.3)
    for row, (name, images) in enumerate(rows):
        for column in range(count):
            label = class_names[column] if class_names and row == 0 else ""
            sheet.show((row, column), images[column], shown(label, 11) if label else "")
        if row < 2:
            sheet.name_row(row, name)
    return sheet.figure


def plot_explanation(
    image: NDArray[np.uint8],
    heat: NDArray[np.floating],
    label: str,
    probability: float,
    box: tuple[float, float, float, float] | None = None,
) -> Figure:
    """Draw what the model sees beside where it looks.

    Args:
        image: (H, W, C) uint8, at the input size; C is 1 or 3.
        heat: (H, W) float: by how much the probability falls when that place is covered.
        label: the class.
        probability: of it, 0 to 1.
        box: left, top, right, bottom of the place that matters most, as shares of the image.
    """
    figure = style.figure(8.2, 3.9 * float(np.clip(image.shape[0] / image.shape[1], 0.5, 2)) + 0.5)
    from matplotlib.patches import Rectangle

    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        style.hide_frame(axes)
    style.draw_image(left, image)
    text = _(
        "what the model sees: {label} ({share:.0%})", label=shown(label, 24), share=probability
    )
    left.set_title(str(text), loc="left", fontsize=10, fontweight="bold", color=INK)
    style.draw_image(right, _faded(image))
    right.set_title(str(_("where it looks")), loc="left", fontsize=10, fontweight="bold", color=INK)
    shares = np.maximum(heat, 0)
    top = float(shares.max()) or 1.0
    colours = right.imshow(shares, cmap=HEAT, vmin=0, vmax=top, alpha=0.9 * np.sqrt(shares / top))
    if box is not None:
        height, width = image.shape[:2]
        corner = box[0] * width - 0.5, box[1] * height - 0.5
        sides = (box[2] - box[0]) * width, (box[3] - box[1]) * height
        right.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=INK, lw=2.5))
        right.add_patch(Rectangle(corner, *sides, fill=False, edgecolor="white", lw=1))
    bar = figure.colorbar(colours, ax=right, shrink=0.8, aspect=25, pad=0.02)
    bar.set_label(str(_("fall of the probability when covered")), fontsize=9)
    bar.outline.set_visible(False)
    style.percent(bar.ax.yaxis)
    return figure


def _faded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In pale greys, so that colours over it can be read; (H, W, 1) uint8."""
    grey = image.mean(axis=2, keepdims=True)
    pale: NDArray[np.uint8] = (130 + grey * (125 / 255)).astype(np.uint8)
    return pale
