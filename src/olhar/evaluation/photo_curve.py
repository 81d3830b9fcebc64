"""The picture of how accuracy grows with photos.

Does not know: where pictures are kept, or how they are written (see `style`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from olhar import i18n
from olhar.evaluation import style
from olhar.evaluation.style import BLUE, INK, PALE, VERMILLION
from olhar.i18n import _
from olhar.run.estimates import PhotoCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_photo_curve(curve: PhotoCurve) -> Figure:
    """Draw what was measured with fewer photos, and what twice as many may bring, with intervals."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure = style.figure(6.6, 4.4)
    axes = figure.subplots()
    style.bare(axes)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_xscale("log")
    measured, ahead = curve.points, [curve.now, curve.twice] if curve.gains else []
    # A curve that rises leaves room to the left above it, and to the right below it.
    above, below = ((-6.0, 6.0), "right"), ((6.0, -14.0), "left")
    for points, colour, marker, (offset, side), label in (
        (measured, BLUE, "o", above, _("measured, with 95 % interval")),
        (ahead, VERMILLION, "D", below, _("computed for all of them, and for twice as many")),
    ):
        if not points:
            continue
        x, y = [one.photos for one in points], np.array([one.accuracy for one in points])
        ends = np.array([one.interval for one in points])  # (points, 2)
        bars = np.abs(ends.T - y)
        axes.errorbar(
            x, y, yerr=bars, fmt=marker, color=colour, ms=7, capsize=4, lw=1.4, label=str(label)
        )
        for count, accuracy in zip(x, y, strict=True):
            axes.annotate(
                str(i18n.percent(float(accuracy))),
                (count, accuracy),
                offset,
                ha=side,
                textcoords="offset points",
                fontsize=9,
                color=INK,
            )
    axes.plot([p.photos for p in measured], [p.accuracy for p in measured], color=BLUE, lw=1.8)
    line = [measured[-1], *ahead]
    axes.plot([p.photos for p in line], [p.accuracy for p in line], "--", color=VERMILLION, lw=1.4)
    places = [one.photos for one in [*measured, *ahead]]
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _at: str(i18n.number(round(x)))))
    axes.set_xlim(places[0] / 1.35, places[-1] * 1.3)
    ends = np.array([one.interval for one in [*measured, *ahead]])
    room = 0.12 * (ends.max() - ends.min())
    axes.set_ylim(max(0.0, ends.min() - 3 * room), min(1.0, ends.max() + room))
    style.percent(axes.yaxis)
    axes.set_xlabel(str(_("photos to train on (log)")))
    title = _("accuracy by number of photos, in cross-validation")
    axes.set_title(str(title), loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure
