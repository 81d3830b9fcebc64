"""The pictures of a run: learning curve, confusion matrix, samples, worst errors.

Does not know: where pictures are kept. Matplotlib is used through its objects alone, never pyplot:
no display, no global state, any thread. Lines have Okabe and Ito's colours ("Color universal
design", 2008); shares run from white to dark blue, by lightness, so that they survive colour-blind
eyes and grey print. Nothing is said by colour alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from olhar.errors import MissingExtraError
from olhar.evaluation.report import short_name
from olhar.files import write_atomic_with
from olhar.i18n import Text, _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION = "#0072B2", "#D55E00"
INK, GREY, PALE = "#222222", "#8A8A8A", "#E4E4E4"
NUMBERS_UP_TO = 20  # classes; beyond it cells are too small for numbers
LARGEST_INCHES = 28.0
DPI = 150
GRID_SIDE, WORST_SIDE = 5, 4
SHARE_TICKS = (0, 0.01, 0.05, 0.2, 0.5, 1)


class Images(Protocol):
    """(N, H, W, C) uint8 images that are read one by one: an array, or rows of a memory map."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """One image (H, W, C)."""


def plot_learning_curve(history: Sequence[Mapping[str, Any]], best_epoch: int | None) -> Figure:
    """Draw loss and accuracy by epoch, for training and validation.

    Args:
        history: a row per epoch: epoch, train_loss, train_accuracy, val_loss, val_accuracy.
        best_epoch: the epoch whose weights were kept, or None.
    """
    figure = _figure(9, 3.8)
    epochs = [int(row["epoch"]) for row in history]
    panels = (("loss", _("loss (nats)")), ("accuracy", _("accuracy")))
    for axes, (key, title) in zip(figure.subplots(1, 2), panels, strict=True):
        _bare(axes)
        axes.grid(axis="y", color=PALE, linewidth=0.8)
        lines = (("train", _("training"), BLUE, "--"), ("val", _("validation"), VERMILLION, "-"))
        for part, label, colour, style in lines:
            values = [float(row[f"{part}_{key}"]) for row in history]
            marker = "o" if len(values) < 3 else ""
            axes.plot(epochs, values, style, color=colour, label=str(label), marker=marker, lw=1.8)
            if best_epoch in epochs and part == "val":
                best = values[epochs.index(best_epoch)]
                axes.plot(
                    [best_epoch], [best], "o", ms=8, color=colour, mec="white", mew=1.5, zorder=4
                )
        if best_epoch in epochs:
            text = str(_("best epoch: {epoch}", epoch=best_epoch))
            axes.axvline(best_epoch, color=GREY, linewidth=1, linestyle=":", label=text, zorder=1)
        axes.set_title(str(title), loc="left", fontweight="bold", color=INK)
        axes.set_xlabel(str(_("epoch")))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if history:
            axes.legend(frameon=False, fontsize=9)
        else:
            axes.set(xticks=[], yticks=[])
            _say(axes, _("no epoch has ended yet"))
    _percent(figure.axes[1].yaxis)
    return figure


def plot_confusion_matrix(
    confusion: NDArray[np.integer] | Sequence[Sequence[int]], class_names: Sequence[str]
) -> Figure:
    """Draw a confusion matrix, coloured by the share of each row; cells of no image stay white.

    Args:
        confusion: (K, K) counts, rows the true class.
        class_names: K names in index order.
    """
    from matplotlib.colors import PowerNorm

    counts = np.asarray(confusion)  # (K, K)
    num_classes = len(class_names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (K, K), rows add up to 1
    per_class = 0.56 if num_classes <= NUMBERS_UP_TO else 0.13
    inches = min(max(2.8 + num_classes * per_class, 5.0), LARGEST_INCHES)
    figure = _figure(inches + 0.8, inches)
    axes = figure.add_subplot()
    # The square root makes rare errors visible: 1 % is a tenth of the way to dark blue.
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    cells = axes.imshow(shares, cmap="Blues", norm=norm, interpolation="nearest")
    right = np.trace(counts) / max(counts.sum(), 1)
    title = _("{right:.1%} of {n} images are right", right=right, n=int(counts.sum()))
    size = max(11.0, 0.8 * inches)
    axes.set_title(str(title), loc="left", fontsize=size + 1, fontweight="bold", color=INK)
    axes.set_ylabel(str(_("true class (rows)")), fontsize=size)
    axes.set_xlabel(str(_("predicted class (columns)")), fontsize=size)
    _class_ticks(axes, class_names, inches)
    if num_classes <= NUMBERS_UP_TO:
        _cell_numbers(axes, counts, shares)
    bar = figure.colorbar(cells, ax=axes, shrink=0.6, aspect=30, pad=0.02, ticks=SHARE_TICKS)
    bar.ax.minorticks_off()
    bar.set_label(str(_("share of the true class")), fontsize=size)
    bar.outline.set_visible(False)
    _percent(bar.ax.yaxis)
    return figure


def _class_ticks(axes: Axes, class_names: Sequence[str], inches: float) -> None:
    """Name rows and columns; where there is no room for all names, every second, third…"""
    num_classes = len(class_names)
    size = 10.0 if num_classes <= 10 else 8.0 if num_classes <= NUMBERS_UP_TO else 6.0
    step = int(np.ceil(num_classes * size * 1.15 / 72 / (inches - 2.2)))
    ticks = list(range(0, num_classes, step))
    names = [_shown(class_names[k], 24) for k in ticks]
    flat = num_classes <= 4 and all(len(name) <= 12 for name in names)
    axes.set_xticks(ticks, names, rotation=0 if flat else 90, fontsize=size)
    axes.set_yticks(ticks, names, fontsize=size)
    axes.tick_params(length=0)
    if num_classes <= NUMBERS_UP_TO:
        edges = np.arange(num_classes + 1) - 0.5
        axes.hlines(edges, edges[0], edges[-1], color=PALE, linewidth=0.8)
        axes.vlines(edges, edges[0], edges[-1], color=PALE, linewidth=0.8)
        axes.spines[:].set_visible(False)


def _cell_numbers(axes: Axes, counts: NDArray[Any], shares: NDArray[np.float64]) -> None:
    size = 13.0 if len(counts) <= 4 else 9.0 if len(counts) <= 10 else 6.5
    for row, column in np.argwhere(counts > 0):
        share = shares[row, column]
        percent = f"{share:.0%}" if share >= 0.01 else "<1%"
        text = axes.text(column, row, f"{percent}\n{counts[row, column]}", fontsize=size)
        text.set(ha="center", va="center", color="white" if share > 0.36 else "black")
        text.set_in_layout(False)  # it lies inside the axes; measuring it would only take time


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
    figure, panels = _image_grid(images.shape, count, GRID_SIDE, title, lines=2)
    for axes, index, guess in zip(panels, picked, predicted, strict=True):
        label = labels[index]
        mark = "✓" if guess == label else "✗"
        text = f"{mark} {_shown(class_names[guess], 16)} ({probs[index, guess]:.0%})"
        if guess != label:
            text += "\n" + str(_("true: {name}", name=_shown(class_names[label], 16)))
        _show_image(axes, images[index], text, wrong=bool(guess != label))
    return figure


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
        figure = _figure(6, 2)
        axes = figure.add_subplot()
        axes.axis("off")
        _say(axes, _("no errors: all {n} images are right", n=len(labels)))
        return figure
    title = _("the worst {count} of {errors} errors", count=len(worst), errors=len(errors))
    figure, panels = _image_grid(images.shape, len(worst), WORST_SIDE, title, lines=3)
    for axes, index in zip(panels, worst, strict=True):
        guess, label = predicted[index], labels[index]
        name = names[index]
        true = f"{_shown(class_names[label], 14)} ({probs[index, label]:.0%})"
        lines = (
            f"✗ {_shown(class_names[guess], 16)} ({probs[index, guess]:.0%})",
            str(_("true: {name}", name=true)),
            _shown(name if len(name) <= 24 else "…" + name[-23:], 24),
        )
        _show_image(axes, images[index], "\n".join(lines), wrong=True)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, 150 dots an inch; what is at `path` is always whole.

    Raises:
        NoPermissionError, StorageError: the file cannot be written.
    """
    with warnings.catch_warnings():
        # Class names may hold any character; one that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        write_atomic_with(path, lambda aside: figure.savefig(aside, format="png", dpi=DPI))


def _figure(width: float, height: float) -> Figure:
    """An empty white figure, in inches, that lays itself out when drawn."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            _("pictures need matplotlib, which is not installed; run: pip install 'olhar[train]'")
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _image_grid(
    shape: tuple[int, ...], count: int, columns: int, title: Text, lines: int
) -> tuple[Figure, list[Axes]]:
    """A titled grid of `count` panels for (N, H, W, C) images, each with `lines` of text above."""
    columns = min(columns, count)
    rows = -(-count // columns)
    height = 1.9 * float(np.clip(shape[1] / shape[2], 0.4, 2.5)) + 0.17 * lines
    figure = _figure(max(2.1 * columns, 6.0), height * rows + 0.4)
    figure.suptitle(str(title), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure, panels[:count]


def _show_image(axes: Axes, image: NDArray[np.uint8], text: str, *, wrong: bool) -> None:
    smallest = min(image.shape[:2])
    shown = image[:, :, 0] if image.shape[2] == 1 else image  # (H, W) or (H, W, 3) uint8
    axes.imshow(
        shown,
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest" if smallest < 64 else "antialiased",
    )
    axes.set_title(text, fontsize=8.5, loc="left", color=INK)
    if wrong:
        axes.spines[:].set(visible=True, color=VERMILLION, linewidth=3)


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(color=GREY, labelcolor=INK)


def _say(axes: Axes, text: Text) -> None:
    axes.text(0.5, 0.5, str(text), ha="center", va="center", transform=axes.transAxes, fontsize=12)


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0))


def _shown(name: str, length: int) -> str:
    """A name as matplotlib may draw it: one line, short, and `$` is a dollar, not mathematics."""
    return short_name(name, length).replace("$", r"\$")
