"""One style for every picture: readable in print, on a dark page, and by colour-blind eyes.

Does not know: what is drawn. Matplotlib is used through its objects alone, never pyplot: no
display, no global state, any thread. A picture is an opaque white card with a margin of its own, so
that it reads the same on any page. Lines have Okabe and Ito's colours ("Color universal design",
2008); shares run from white to dark blue, by lightness, so that they survive grey print. Nothing is
said by colour alone.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar import i18n
from olhar.errors import ConfigError, MissingExtraError
from olhar.evaluation.report import short_name
from olhar.files import write_atomic
from olhar.i18n import Text, _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION = "#0072B2", "#D55E00"
COLOURS = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "X", "P")
INK, GREY, PALE = "#222222", "#8A8A8A", "#E4E4E4"
DPI = 150
MARGIN_INCHES = 0.12
SUFFIXES = (".png", ".svg")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG (150 dots an inch) or SVG, by the suffix; equal figures are equal files.

    What is at `path` is always whole.

    Raises:
        ConfigError: another suffix.
        NoPermissionError, StorageError: the file cannot be written.
    """
    write_atomic(path, render_figure(figure, path.suffix))


def render_figure(figure: Figure, suffix: str = ".png") -> bytes:
    """A figure as the bytes of a .png or .svg file, without date or version.

    Raises:
        ConfigError: another suffix.
    """
    import matplotlib

    suffix = check_suffix(suffix)
    metadata = {"Software": None} if suffix == ".png" else {"Date": None, "Creator": None}
    content = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "olhar"}):
        # Class names may hold any character; one that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        figure.savefig(content, format=suffix[1:], dpi=DPI, metadata=metadata)
    figure.set_layout_engine("none")  # it is laid out now; another format need not do it again
    return content.getvalue()


def check_suffix(suffix: str) -> str:
    """The suffix of a picture in small letters.

    Raises:
        ConfigError: it is neither .png nor .svg.
    """
    if suffix.lower() not in SUFFIXES:
        raise ConfigError(
            _(
                "a picture cannot be written as '{given}'; allowed: {allowed}",
                given=suffix,
                allowed=", ".join(SUFFIXES),
            )
        )
    return suffix.lower()


def figure(width: float, height: float) -> Figure:
    """An empty white figure, in inches, that lays itself out when drawn.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            _("pictures need matplotlib, which is not installed; run: pip install 'olhar[train]'")
        ) from error
    card = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    engine: Any = card.get_layout_engine()
    engine.set(w_pad=MARGIN_INCHES, h_pad=MARGIN_INCHES)
    FigureCanvasAgg(card)
    return card


def image_grid(
    shape: tuple[int, ...], count: int, columns: int, title: Text, lines: int
) -> tuple[Figure, list[Axes]]:
    """A titled grid of `count` panels for (N, H, W, C) images, each with `lines` of text above."""
    columns = min(columns, count)
    rows = -(-count // columns)
    height = 1.9 * float(np.clip(shape[1] / shape[2], 0.4, 2.5)) + 0.17 * lines
    grid = figure(max(2.1 * columns, 6.0), height * rows + 0.4)
    grid.suptitle(str(title), x=0.02, ha="left", fontsize=12, fontweight="bold", color=INK)
    panels = list(grid.subplots(rows, columns, squeeze=False).flat)
    for axes in panels:
        hide_frame(axes)
    return grid, panels[:count]


def hide_frame(axes: Axes) -> None:
    """No ticks and no frame, as photos have."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def show_image(axes: Axes, image: NDArray[np.uint8], text: str, *, wrong: bool = False) -> None:
    """Draw one (H, W, C) uint8 image with `text` above it; a wrong one has a thick frame."""
    smallest = min(image.shape[:2])
    pixels = image[:, :, 0] if image.shape[2] == 1 else image  # (H, W) or (H, W, 3) uint8
    axes.imshow(
        pixels,
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest" if smallest < 64 else "antialiased",
    )
    axes.set_title(text, fontsize=8.5, loc="left", color=INK)
    if wrong:
        axes.spines[:].set(visible=True, color=VERMILLION, linewidth=3)


def bare(axes: Axes) -> None:
    """Axes without a box: a grey line to the left and below."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(color=GREY, labelcolor=INK)


def say(axes: Axes, text: Text) -> None:
    """A sentence in place of a picture."""
    axes.text(0.5, 0.5, str(text), ha="center", va="center", transform=axes.transAxes, fontsize=12)


def percent(axis: Any) -> None:
    """Shares on this axis are written as percentages, in the way of the language."""
    from matplotlib.ticker import PercentFormatter

    class Shares(PercentFormatter):
        def format_pct(self, x: float, display_range: float) -> str:
            return i18n.localise(super().format_pct(x, display_range))

    axis.set_major_formatter(Shares(1.0))


def decimal(axis: Any) -> None:
    """Numbers on this axis are written in the way of the language."""
    from matplotlib.ticker import ScalarFormatter

    class Numbers(ScalarFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return i18n.localise(super().__call__(x, pos))

    axis.set_major_formatter(Numbers())


def shown(name: str, length: int) -> str:
    """A name as matplotlib may draw it: one line, short, and `$` is a dollar, not mathematics."""
    return short_name(name, length).replace("$", r"\$")
