"""Photos that are nearly the same: recompressed, resized, cropped a little, made brighter.

Does not know: files, classes or splits. Three sieves, each finer and dearer than the one before:
the correlation of 16×16 greys finds the nearest few of each photo; these are brought into register
(a little larger, smaller or shifted, brighter or darker) at 16×16 pixels; what still agrees is
brought into register at 32×32.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olhar.i18n import _
from olhar.progress import Progress

Floats = NDArray[np.float32]

_COARSE, _FINE = 16, 32  # sides in pixels
_CANDIDATES = 12  # a photo and cut
_MIN_CORRELATION = 0.75
_CUT = 0.1
# Shares cut away at the top and at the left, the rest of a tenth opposite; None cuts nothing.
_CUTS = (None, (0.05, 0.05), (0.0, 0.0), (0.0, 0.1), (0.1, 0.0), (0.1, 0.1))
_MANY = 20_000  # above it only the first two cuts
_MIN_COARSE = 0.87
_MIN_FINE, _MIN_EDGES = 0.91, 0.6  # of the greys, and of their edges
_MIN_OVERLAP = 0.6  # of the area
_MAX_ZOOM = 0.3
_COARSE_STEPS, _FINE_STEPS = 4, 4
_MIN_CONTRAST = 4.0  # standard deviation of greys; below it there is nothing to compare
_BLOCK, _PAIRS = 1024, 256  # rows and pairs at once: some 6 MB, more of them would be slower


def near_pairs(
    images: NDArray[np.uint8], rows: NDArray[np.int64], progress: Progress
) -> list[tuple[int, int, float]]:
    """The pairs of images that show the same picture.

    Source of the registration: Lucas and Kanade 1981, "An Iterative Image Registration Technique
    with an Application to Stereo Vision", IJCAI, section 4, with a gain and an offset of the greys.

    Args:
        images: (N, H, W, C) uint8, squashed to a square; 32 pixels a side or more.
        rows: (n,) int64, sorted, those that are compared.
        progress: hears of the progress.

    Returns:
        (i, j, likeness) by rows of `images`, i < j; likeness is a correlation, 0.91 to 1.
    """
    greys = small_greys(images, rows)  # (n, 32, 32) uint8
    pairs = _candidates(greys, progress)  # (P, 2) int64
    progress.start(_("comparing photos that are alike"), max(1, len(pairs)))
    found = []
    for start in range(0, len(pairs), _PAIRS):
        some = pairs[start : start + _PAIRS]
        first, second = (greys[some[:, side]].astype(np.float32) for side in (0, 1))
        coarse = register(_halve(first), _halve(second), _COARSE_STEPS)
        alike = coarse.likeness >= _MIN_COARSE
        some = some[alike]
        if len(some):
            begin = coarse.zoom[alike], coarse.shift[alike]
            fine = register(first[alike], second[alike], _FINE_STEPS, begin)
            likeness, edges = fine.likeness, fine.edges
            same = (likeness >= _MIN_FINE) & (edges >= _MIN_EDGES)
            for (i, j), value in zip(some[same].tolist(), likeness[same].tolist(), strict=True):
                found.append((int(rows[i]), int(rows[j]), value))
        progress.advance(min(start + _PAIRS, len(pairs)))
    return found


def groups(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """What hangs together by pairs, each group sorted, by first member."""
    root: dict[int, int] = {}

    def find(item: int) -> int:
        root.setdefault(item, item)
        while root[item] != item:
            root[item] = root[root[item]]
            item = root[item]
        return item

    for i, j in pairs:
        a, b = find(i), find(j)
        root[max(a, b)] = min(a, b)
    members: dict[int, list[int]] = {}
    for item in sorted(root):
        members.setdefault(find(item), []).append(item)
    return [members[first] for first in sorted(members)]


def small_greys(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Some of (N, H, W, C) uint8 → (n, 32, 32) uint8 greys."""
    from PIL import Image

    greys = np.empty((len(rows), _FINE, _FINE), np.uint8)
    for place, row in enumerate(rows):
        image = images[row]
        picture = Image.fromarray(image if image.shape[-1] == 3 else image[:, :, 0]).convert("L")
        greys[place] = np.asarray(picture.resize((_FINE, _FINE), Image.Resampling.BOX))
    return greys


def _halve(images: Floats) -> Floats:
    """(P, 32, 32) → (P, 16, 16), means of four."""
    halves: Floats = images.reshape(len(images), _COARSE, 2, _COARSE, 2).mean((2, 4))
    return halves


def _candidates(greys: NDArray[np.uint8], progress: Progress) -> NDArray[np.int64]:
    """(P, 2) int64: the few most alike of each image that is not blank, as pairs i < j.

    Each image, and what is left of it when a tenth is cut away at one corner or all around, is
    looked for among the whole images.
    """
    rows = np.flatnonzero(greys.std((1, 2)) >= _MIN_CONTRAST)
    most = min(_CANDIDATES, len(rows) - 1)
    if most < 1:
        return np.empty((0, 2), np.int64)
    whole = np.concatenate([directions(greys[some]) for some in _blocks(rows)])
    cuts = _CUTS if len(rows) <= _MANY else _CUTS[:2]
    progress.start(_("looking for photos that are alike"), len(rows))
    found = [np.empty((0, 2), np.int64)]
    for start, some in zip(range(0, len(rows), _BLOCK), _blocks(rows), strict=True):
        here = np.arange(len(some))
        for cut in cuts:
            likeness = directions(greys[some], cut) @ whole.T  # (block, N) float32
            likeness[here, here + start] = -1
            places = np.argwhere(_nearest(likeness, most))
            places[:, 0] += start
            found.append(np.unique(np.sort(places, axis=1), axis=0))
        progress.advance(start + len(some))
    return rows[np.unique(np.concatenate(found), axis=0)]


def _nearest(likeness: Floats, most: int) -> NDArray[np.bool_]:
    """Where each row (of N) is like enough, and among its `most` greatest."""
    near: NDArray[np.bool_] = likeness >= _MIN_CORRELATION
    crowded = np.flatnonzero(np.count_nonzero(near, axis=1) > most)
    if len(crowded):  # few photos: sorting is for them alone
        kept = np.argpartition(likeness[crowded], -most, axis=1)[:, -most:]
        near[crowded] = False
        near[crowded[:, None], kept] = True
    return near


def _blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def directions(greys: NDArray[np.uint8], cut: tuple[float, float] | None = None) -> Floats:
    """(n, 32, 32) uint8 → (n, 256) float32: greys at 16×16 without mean, of length 1.

    `cut` says which tenth is cut away before, at the top and at the left.
    """
    images = greys.astype(np.float32)
    if cut is not None:
        top, left = cut
        down, along = _stretch(2 * top - _CUT), _stretch(2 * left - _CUT)
        images = np.asarray(down @ images @ along.T, np.float32)
    small = _halve(images).reshape(len(images), -1)
    small -= small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    unit: Floats = small / np.maximum(length, 1e-3)
    return unit


def _stretch(shift: float) -> Floats:
    """(32, 32): rows to rows without a tenth of them, `shift` (-0.1 to 0.1) saying which; linear."""
    place = np.linspace(-1, 1, _FINE, dtype=np.float32) * np.float32(1 - _CUT) + np.float32(shift)
    pixel = np.clip((place + 1) * ((_FINE - 1) / 2), 0, _FINE - 1)
    low = np.minimum(pixel.astype(np.int64), _FINE - 2)
    here, share = np.arange(_FINE), pixel - low
    weights = np.zeros((_FINE, _FINE), np.float32)
    weights[here, low], weights[here, low + 1] = 1 - share, share
    return weights


@dataclass(frozen=True)
class Registered:
    """How well pairs of images agree once the first of each is zoomed and shifted onto the second.

    Attributes:
        likeness: (P,) float32, correlation of the greys over the part that both show; -1 where they
            share too little.
        edges: (P,) float32, that of their edges.
        zoom, shift: (P, 2) float32, along columns and rows, where they agree best.
    """

    likeness: Floats
    edges: Floats
    zoom: Floats
    shift: Floats


def register(
    first: Floats, second: Floats, steps: int, begin: tuple[Floats, Floats] | None = None
) -> Registered:
    """Zoom and shift each first image onto its second.

    Args:
        first, second: (P, S, S) float32 greys.
        steps: of Gauss and Newton.
        begin: zoom and shift to begin with, (P, 2) float32 each; by default none.
    """
    count, side, _side = first.shape
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    none = np.zeros((count, 2), np.float32), np.zeros((count, 2), np.float32)
    zoom, shift = begin or none
    best = np.full(count, -1, np.float32)
    detail = np.full(count, -1, np.float32)
    best_zoom, best_shift = zoom.copy(), shift.copy()
    for _step in range(steps):
        warped, mask = _warp(first, axis, zoom, shift)
        likeness = _correlation(warped, second, mask)
        better = likeness > best
        best[better] = likeness[better]
        detail[better] = _detail(warped[better], second[better], mask[better])
        best_zoom[better], best_shift[better] = zoom[better], shift[better]
        rise_y, rise_x = (np.gradient(warped, 2 / (side - 1), axis=along) for along in (1, 2))
        rise_x /= 1 + zoom[:, 0, None, None]
        rise_y /= 1 + zoom[:, 1, None, None]
        columns = np.stack(
            [warped, np.ones_like(warped), rise_x * axis, rise_x, rise_y * axis[:, None], rise_y],
            axis=-1,
        )
        columns = (columns * mask[..., None]).reshape(count, -1, 6)  # (P, S * S, 6)
        normal = columns.transpose(0, 2, 1) @ columns
        normal += np.eye(6, dtype=np.float32) * (1e-4 * normal[:, 1:2, 1:2] + 1e-3)
        aim = columns.transpose(0, 2, 1) @ (second * mask).reshape(count, -1, 1)
        solved = np.linalg.solve(normal, aim)[..., 0]  # gain, offset, zoom x, shift x, …
        gain = np.where(solved[:, :1] > 0.1, solved[:, :1], 1)
        step = np.clip(solved[:, 2:] / gain, -0.15, 0.15)
        zoom = np.clip(zoom + step[:, 0::2], -_MAX_ZOOM, _MAX_ZOOM)
        shift = np.clip(shift + step[:, 1::2], -_MAX_ZOOM, _MAX_ZOOM)
    return Registered(best, detail, best_zoom, best_shift)


def _detail(first: Floats, second: Floats, mask: Floats) -> Floats:
    """(P,) float32: how well the edges agree, whatever the large areas do."""
    inner = mask.copy()
    inner[:, [0, -1]] = 0
    inner[:, :, [0, -1]] = 0
    return _correlation(_edges(first), _edges(second), inner)


def _edges(images: Floats) -> Floats:
    """(P, S, S): each pixel less the mean of its four neighbours; 0 at the rim."""
    found = np.zeros_like(images)
    found[:, 1:-1, 1:-1] = (
        images[:, 1:-1, 1:-1]
        - (images[:, :-2, 1:-1] + images[:, 2:, 1:-1] + images[:, 1:-1, :-2] + images[:, 1:-1, 2:])
        / 4
    )
    return found


def _warp(images: Floats, axis: Floats, zoom: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """Images (P, S, S) zoomed and shifted, and where they have a value (1) or none (0)."""
    side = len(axis)
    inside = []
    for direction, along in ((0, 2), (1, 1)):
        place = axis * (1 + zoom[:, direction, None]) + shift[:, direction, None]
        inside.append(np.abs(place) <= 1.001)
        place = np.clip((place + 1) * ((side - 1) / 2), 0, side - 1)
        low = np.minimum(place.astype(np.int64), side - 2)
        share = (place - low).astype(np.float32)
        shape = (len(images), 1, side) if along == 2 else (len(images), side, 1)
        low, share = low.reshape(shape), share.reshape(shape)
        below = np.take_along_axis(images, low, axis=along)
        above = np.take_along_axis(images, low + 1, axis=along)
        images = below * (1 - share) + above * share
    mask = inside[1][:, :, None] & inside[0][:, None, :]
    return images, mask.astype(np.float32)


def _correlation(first: Floats, second: Floats, mask: Floats) -> Floats:
    """(P,) float32 within the mask; -1 where the mask is too small."""
    area = np.maximum(mask.sum((1, 2)), 1)
    centred = []
    for image in (first, second):
        mean = (image * mask).sum((1, 2)) / area
        centred.append((image - mean[:, None, None]) * mask)
    a, b = centred
    scale = np.sqrt((a * a).sum((1, 2)) * (b * b).sum((1, 2)))
    found = (a * b).sum((1, 2)) / np.maximum(scale, 1e-3)
    enough = mask.mean((1, 2)) >= _MIN_OVERLAP
    return np.where(enough, found, -1).astype(np.float32)
