"""The pictures of a run: learning curve, confusion matrix, scores by class, reliability; photos.

Does not know: where pictures are kept, or how they are written (see `style`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olhar import i18n
from olhar.evaluation import metrics, style
from olhar.evaluation.calibration import apply_temperature
from olhar.evaluation.photo_curve import plot_photo_curve
from olhar.evaluation.photos import (
    plot_augmentation,
    plot_explanation,
    plot_samples,
    plot_worst_errors,
)
from olhar.evaluation.style import BLUE, GREY, INK, PALE, VERMILLION, save_figure, shown
from olhar.i18n import Text, _
from olhar.run.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_augmentation",
    "plot_confusion_matrix",
    "plot_curves",
    "plot_explanation",
    "plot_learning_curve",
    "plot_per_class",
    "plot_photo_curve",
    "plot_reliability",
    "plot_samples",
    "plot_worst_errors",
    "save_figure",
]

NUMBERS_UP_TO = 20  # classes; beyond it cells are too small for numbers
LARGEST_INCHES = 28.0
SHARE_TICKS = (0, 0.01, 0.05, 0.2, 0.5, 1)


def plot_learning_curve(history: Sequence[Mapping[str, Any]], best_epoch: int | None) -> Figure:
    """Draw loss and accuracy by epoch, for training and validation.

    Args:
        history: a row per epoch: epoch, train_loss, train_accuracy, val_loss, val_accuracy.
        best_epoch: the epoch whose weights were kept, or None.
    """
    figure = style.figure(9, 3.8)
    epochs = [int(row["epoch"]) for row in history]
    panels = (("loss", _("loss (nats)")), ("accuracy", _("accuracy")))
    for axes, (key, title) in zip(figure.subplots(1, 2), panels, strict=True):
        style.bare(axes)
        axes.grid(axis="y", color=PALE, linewidth=0.8)
        lines = (("train", _("training"), BLUE, "--"), ("val", _("validation"), VERMILLION, "-"))
        for part, label, colour, dashes in lines:
            values = [float(row[f"{part}_{key}"]) for row in history]
            marker = "o" if len(values) < 3 else ""
            axes.plot(epochs, values, dashes, color=colour, label=str(label), marker=marker, lw=1.8)
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
            style.say(axes, _("no epoch has ended yet"))
    style.decimal(figure.axes[0].yaxis)
    style.percent(figure.axes[1].yaxis)
    return figure


def plot_curves(histories: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> Figure:
    """Draw the validation accuracy of several runs, by epoch and by seconds of training.

    Args:
        histories: a run's name and its rows, which have epoch, val_accuracy and seconds.
    """
    figure = style.figure(9, 3.8 + 0.22 * len(histories))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title in zip(panels, (_("epoch"), _("seconds of training")), strict=True):
        style.bare(axes)
        axes.grid(axis="y", color=PALE, linewidth=0.8)
        axes.set_xlabel(str(title))
    for number, (name, history) in enumerate(histories):
        colour = style.COLOURS[number % len(style.COLOURS)]
        marker = style.MARKERS[number % len(style.MARKERS)]
        accuracy = [float(row["val_accuracy"]) for row in history]
        epochs = [float(row["epoch"]) for row in history]
        seconds = np.cumsum([float(row["seconds"]) for row in history]).tolist()
        for axes, x in zip(panels, (epochs, seconds), strict=True):
            every = max(1, len(x) // 8)  # markers tell lines apart; one an epoch would hide them
            axes.plot(
                x,
                accuracy,
                color=colour,
                marker=marker,
                markevery=slice(len(x) - 1, None, -every) if len(x) > 1 else None,
                label=shown(name, 48),
                lw=1.8,
            )
    panels[0].set_title(str(_("validation accuracy")), loc="left", fontweight="bold", color=INK)
    panels[0].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    style.percent(panels[0].yaxis)
    style.decimal(panels[1].xaxis)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", frameon=False, fontsize=9)
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
    figure = style.figure(inches + 0.8, inches)
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
    style.percent(bar.ax.yaxis)
    return figure


def _class_ticks(axes: Axes, class_names: Sequence[str], inches: float) -> None:
    """Name rows and columns; where there is no room for all names, every second, third…"""
    num_classes = len(class_names)
    size = 10.0 if num_classes <= 10 else 8.0 if num_classes <= NUMBERS_UP_TO else 6.0
    step = int(np.ceil(num_classes * size * 1.15 / 72 / (inches - 2.2)))
    ticks = list(range(0, num_classes, step))
    names = [shown(class_names[k], 24) for k in ticks]
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
        percent = str(i18n.percent(share, 0)) if share >= 0.01 else "<1%"
        text = axes.text(column, row, f"{percent}\n{counts[row, column]}", fontsize=size)
        text.set(ha="center", va="center", color="white" if share > 0.36 else "black")
        text.set_in_layout(False)  # it lies inside the axes; measuring it would only take time


def plot_per_class(report: Report) -> Figure:
    """Draw recall and precision of each class with their 95 % intervals, the weakest class first."""
    ranked = sorted(report.per_class, key=lambda one: one["f1"])
    many = len(ranked) > NUMBERS_UP_TO
    size = 7.0 if many else 9.0
    names = [f"{shown(one['name'], 24)}  ({one['support']})" for one in ranked]
    names_inches = 0.009 * size * max(map(len, names))
    figure = style.figure(7.8 + names_inches, len(ranked) * (0.15 if many else 0.3) + 1.6)
    title = _("scores by class, weakest first, with 95 % intervals")
    figure.suptitle(str(title), x=0.02, ha="left", fontsize=12, fontweight="bold", color=INK)
    panels = figure.subplots(1, 2, sharey=True)
    recall = [(one["recall"], one["recall_interval"]) for one in ranked]
    precision = [(one["precision"], one["precision_interval"]) for one in ranked]
    _score_bars(panels[0], recall, _("recall"), _("share found of the images of a class"), size)
    _score_bars(panels[1], precision, _("precision"), _("share right of those named so"), size)
    panels[0].set_yticks(range(len(ranked)), names, fontsize=size)
    panels[0].set_ylim(len(ranked) - 0.4, -0.6)
    return figure


def _score_bars(
    axes: Axes, scores: Sequence[tuple[float, list[float]]], name: Text, text: Text, size: float
) -> None:
    """A bar, its interval and its number for each (score, [low, high])."""
    style.bare(axes)
    axes.set_title(str(name), loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel(str(text), fontsize=9)
    rows = np.arange(len(scores))
    values = np.array([score for score, _interval in scores])  # (K,)
    ends = np.array([interval for _score, interval in scores])  # (K, 2)
    axes.barh(rows, values, height=0.72, color=BLUE, alpha=0.45)
    axes.hlines(rows, ends[:, 0], ends[:, 1], color=INK, linewidth=1.4)
    for row, (value, (_low, high)) in enumerate(scores):
        number = axes.text(
            high + 0.015, row, str(i18n.percent(value)), va="center", fontsize=size, color=INK
        )
        number.set_in_layout(False)  # it lies inside the axes; measuring it would only take time
    axes.set(xlim=(0, 1.16), xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(axis="y", length=0)
    style.percent(axes.xaxis)


def plot_reliability(
    probs: NDArray[np.floating], labels: ArrayLike, temperature: float = 1.0
) -> Figure:
    """Draw how often predictions are right against how sure they are, before and after calibration.

    The reliability diagram of Guo et al., "On calibration of modern neural networks", ICML 2017,
    figure 4, with 95 % intervals and the number of images in each bin.

    Args:
        probs: (N, K) float, at `temperature`.
        labels: (N,) integers.
        temperature: of the model; where it is 1 there is nothing before it, and one panel.

    Raises:
        DataError: predictions that cannot be measured.
    """
    labels = metrics.check_predictions(probs, labels)
    panels = [(_("temperature 1"), probs)]
    if temperature != 1:
        before, after = _("temperature 1"), _("temperature {t:.2f}", t=temperature)
        panels = [(before, apply_temperature(probs, 1 / temperature)), (after, probs)]
    figure = style.figure(4.6 * len(panels) + 0.4, 5.4)
    shape = {"height_ratios": [3, 1], "hspace": 0.06}
    grid = figure.subplots(
        2, len(panels), sharex=True, sharey="row", squeeze=False, gridspec_kw=shape
    )
    for column, (name, shares) in enumerate(panels):
        bins = metrics.reliability_bins(shares, labels)
        error = metrics.expected_calibration_error(shares, labels)
        text = _("{name}: calibration error {error:.1%}", name=name, error=error)
        grid[0, column].set_title(str(text), loc="left", fontsize=10, fontweight="bold", color=INK)
        _reliability_bars(grid[0, column], *bins)
        _bin_counts(grid[1, column], bins[0])
    grid[0, 0].set_ylabel(str(_("share that is right")))
    grid[1, 0].set_ylabel(str(_("images (log)")))
    grid[0, 0].legend(framealpha=0.9, edgecolor="white", fontsize=8.5, loc="upper left")
    return figure


def _reliability_bars(
    axes: Axes,
    counts: NDArray[np.int64],
    confidence: NDArray[np.float64],
    accuracy: NDArray[np.float64],
) -> None:
    style.bare(axes)
    used = np.flatnonzero(counts)
    low, high = metrics.wilson_interval(accuracy * counts, counts)
    axes.plot([0, 1], [0, 1], "--", color=GREY, lw=1.2, label=str(_("perfect calibration")))
    width = 0.86 / len(counts)
    centres = (used + 0.5) / len(counts)
    axes.bar(centres, accuracy[used], width=width, color=BLUE, alpha=0.35)
    axes.vlines(confidence[used], low[used], high[used], color=INK, linewidth=1)
    label = str(_("measured, with 95 % interval"))
    axes.plot(confidence[used], accuracy[used], "o", ms=5, color=VERMILLION, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    style.percent(axes.xaxis)
    style.percent(axes.yaxis)


def _bin_counts(axes: Axes, counts: NDArray[np.int64]) -> None:
    style.bare(axes)
    axes.bar((np.arange(len(counts)) + 0.5) / len(counts), counts, 0.86 / len(counts), color=GREY)
    axes.set_yscale("symlog", linthresh=1)
    axes.set(yticks=[], ylim=(0, 30 * max(int(counts.max()), 1)))
    axes.minorticks_off()
    for place in np.flatnonzero(counts):
        at = (place + 0.5) / len(counts)
        text = axes.text(at, 1.3 * counts[place], f"{counts[place]}", rotation=90, fontsize=7)
        text.set(ha="center", va="bottom", color=INK, in_layout=False)
    axes.set_xlabel(str(_("top probability")))
