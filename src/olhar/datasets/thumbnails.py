"""A data set as a notebook shows it: its classes with some images of each."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.i18n import _

MOST_CLASSES = 30
_IMAGES, _SIDE = 6, 48  # a class; CSS pixels


def dataset_html(
    name: str, class_names: Sequence[str], labels: NDArray[np.int64], images: NDArray[np.uint8]
) -> str:
    """A table with a row for each of the first 30 classes: name, count, six images.

    Args:
        name: of the data set.
        class_names: as they are shown, in index order.
        labels: (N,) int64.
        images: (N, H, W, C) uint8.
    """
    title = _(
        "{name}: {n} images of {height}x{width} pixels, {classes} classes",
        name=name,
        n=len(labels),
        height=images.shape[1],
        width=images.shape[2],
        classes=len(class_names),
    )
    rows = []
    for index, shown in enumerate(class_names[:MOST_CLASSES]):
        members = np.flatnonzero(labels == index)
        chosen = members[np.linspace(0, len(members) - 1, min(_IMAGES, len(members))).astype(int)]
        pictures = "".join(image_html(images[row]) for row in chosen)
        cells = f"<td>{html.escape(shown)}</td><td>{len(members)}</td><td>{pictures}</td>"
        rows.append(f"<tr>{cells}</tr>")
    head = "".join(
        f"<th>{html.escape(str(text))}</th>" for text in (_("class"), _("images"), _("examples"))
    )
    left = len(class_names) - MOST_CLASSES
    rest = str(_("{n} more classes", n=left))
    more = f"<p>{html.escape(rest)}</p>" if left > 0 else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<p>{html.escape(str(title))}</p>{table}{more}"


def image_html(image: NDArray[np.uint8]) -> str:
    """An image (H, W, C) uint8 as an HTML element that holds its own bytes."""
    content = io.BytesIO()
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else np.asarray(image))
    picture.thumbnail((2 * _SIDE, 2 * _SIDE))
    picture.save(content, "PNG")
    data = base64.b64encode(content.getvalue()).decode()
    style = f"height:{_SIDE}px;image-rendering:pixelated;display:inline-block;margin:1px"
    return f'<img alt="" src="data:image/png;base64,{data}" style="{style}">'
