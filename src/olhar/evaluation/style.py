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
from olhar.errors import ConfigError, MissingExtraError, NoPermissionError
from olhar.evaluation.fonts import families_for, prepare_matplotlib
from olhar.files import PNG_MARK, SVG_MARK, write_atomic
from olhar.i18n import Text, _
from olhar.run.report import short_name

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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.text import Text as Drawn

    suffix = check_suffix(suffix)
    content = io.BytesIO()
    texts: list[Any] = figure.findobj(Drawn)
    families = families_for(one.get_text() for one in texts)
    style: Any = {"svg.hashsalt": "olhar", "font.sans-serif": families}
    with warnings.catch_warnings(), matplotlib.rc_context(style):
        # A letter that no font has is drawn as a box; names of classes have none (fonts.drawable_names).
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        # By the canvas itself: Figure.savefig draws everything twice, once to measure it.
        if suffix == ".png":
            png: Any = FigureCanvasAgg(figure)
            png.print_png(content, metadata=PNG_MARK)
        else:
            svg: Any = FigureCanvasSVG(figure)
            svg.print_svg(content, metadata={"Date": None, **SVG_MARK})
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
        NoPermissionError: it has no folder to write to.
    """
    prepare_matplotlib()
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            _("pictures need matplotlib, which is not installed; run: pip install 'olhar[train]'")
        ) from error
    except OSError as error:  # it looks for a folder of its own as soon as it is imported
        raise NoPermissionError(
            _(
                "Matplotlib, which draws pictures, needs a folder that it can write to; name one in "
                "MPLCONFIGDIR"
            )
        ) from error
    size = (width, height)
    card = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
    engine: Any = card.get_layout_engine()
    engine.set(w_pad=MARGIN_INCHES, h_pad=MARGIN_INCHES)
    return card


class Sheet:
    """Images in rows and columns under a title, all on one axes: one a panel takes thrice the time.

    Attributes:
        figure: to write.
    """

    def __init__(
        self,
        title: Text,
        panels: tuple[int, int],
        panel: tuple[float, float],
        *,
        above: float = 0.0,
        left: float = 0.0,
    ) -> None:
        """An empty sheet.

        Args:
            title: of all.
            panels: how many (rows, columns).
            panel: (width, height) of an image with its margin, in inches.
            above: room for text above each image, in inches.
            left: room for text to the left of the first column, in inches.
        """
        rows, columns = panels
        width, height = panel
        self._panel, self._above, self._left = panel, above, left + MARGIN_INCHES
        inches = (
            max(left + width * columns, 6.0) + 2 * MARGIN_INCHES,
            (height + above) * rows + 0.55,
        )
        self.figure = figure(*inches)
        self.figure.set_layout_engine("none")
        self._axes = self.figure.add_axes((0, 0, 1, 1))  # whose units are inches from the top left
        self._axes.set(xlim=(0, inches[0]), ylim=(inches[1], 0))
        self._axes.axis("off")
        bold: dict[str, Any] = {"fontsize": 12, "fontweight": "bold", "color": INK}
        self._axes.text(MARGIN_INCHES, 0.28, str(title), va="center", **bold)

    def show(
        self, place: tuple[int, int], image: NDArray[np.uint8], text: str, *, wrong: bool = False
    ) -> None:
        """Draw an (H, W, C) uint8 image at (row, column), `text` above it; a wrong one is framed."""
        from matplotlib.patches import Rectangle

        x, y, width, height = self._box(place)
        scale = min(width / image.shape[1], height / image.shape[0])
        across, down = image.shape[1] * scale, image.shape[0] * scale
        extent = (x, x + across, y + down, y)
        draw_image(self._axes, image, extent=extent, aspect="auto")
        if text:
            self._axes.text(x, y - 0.05, text, va="bottom", fontsize=8.5, color=INK)
        if wrong:
            frame = Rectangle((x, y), across, down, fill=False, edgecolor=VERMILLION, lw=3)
            self._axes.add_patch(frame)

    def name_row(self, row: int, text: Text) -> None:
        """Write to the left of a row."""
        x, y, _width, height = self._box((row, 0))
        self._axes.text(x - 0.08, y + height / 2, str(text), ha="right", va="center", color=INK)

    def _box(self, place: tuple[int, int]) -> tuple[float, float, float, float]:
        """Left, top, width and height of a panel's image, in inches from the top left."""
        (row, column), (width, height) = place, self._panel
        top = 0.5 + row * (height + self._above) + self._above
        return self._left + column * width, top, width - 0.1, height - 0.1


def hide_frame(axes: Axes) -> None:
    """No ticks and no frame, as photos have."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def draw_image(axes: Axes, image: NDArray[np.uint8], **options: Any) -> None:
    """Draw one (H, W, C) uint8 image; further arguments are those of `Axes.imshow`."""
    smallest = min(image.shape[:2])
    pixels = image[:, :, 0] if image.shape[2] == 1 else image  # (H, W) or (H, W, 3) uint8
    axes.imshow(
        pixels,
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest" if smallest < 64 else "antialiased",
        **options,
    )


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
