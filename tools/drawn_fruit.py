"""Pictures of apples and bananas, drawn: photos that belong to nobody, and a camera that sees an apple.

Does not know: what they are for.
"""

from __future__ import annotations

import colorsys
import io
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 640, 480
_FINER = 2  # drawn so many times larger, for smooth edges
_FRAMES_A_S, _SHOWN_A_S = 6, 30  # drawn; and as Chromium plays them
_SCENES, _SCENE_S = 3, 5

Point = tuple[float, float]
Random = np.random.Generator


def photo(kind: str, number: int) -> bytes:
    """A JPEG of an "apple" or a "banana", another for each number."""
    random = np.random.default_rng([number, len(kind)])
    centre = random.uniform(0.38, 0.62) * WIDTH, random.uniform(0.42, 0.6) * HEIGHT
    size, turn = random.uniform(0.24, 0.34) * HEIGHT, random.uniform(-40, 40)
    return _jpeg(_fruit(kind, _table(random), random, centre, size, turn))


def film(path: Path) -> None:
    """Motion JPEG in which an apple is turned before the camera, at one place after the other."""
    with path.open("wb") as file:
        for scene in range(_SCENES):
            table = _table(np.random.default_rng([scene, 99]))
            for frame in range(_SCENE_S * _FRAMES_A_S):
                at = 2 * math.pi * frame / (_SCENE_S * _FRAMES_A_S)
                centre = (
                    WIDTH * (0.5 + 0.1 * math.sin(at)),
                    HEIGHT * (0.52 + 0.06 * math.sin(2 * at)),
                )
                skin = np.random.default_rng([scene, 7])  # the same apple in all frames
                turned = _fruit(
                    "apple", table.copy(), skin, centre, 0.3 * HEIGHT, 40 * math.sin(at)
                )
                file.write(_jpeg(turned) * (_SHOWN_A_S // _FRAMES_A_S))


def _table(random: Random) -> Image.Image:
    """A wall over a table, with light from one side."""
    hue, wall, table = (
        random.uniform(0.05, 0.65),
        random.uniform(0.75, 0.95),
        random.uniform(0.4, 0.8),
    )
    rows = np.linspace(0, 1, HEIGHT)[:, None]
    light = np.linspace(1, random.uniform(0.75, 0.95), WIDTH)[None, :]
    edge = random.uniform(0.35, 0.6)
    above = np.array(colorsys.hsv_to_rgb(hue, 0.12, wall))
    below = np.array(colorsys.hsv_to_rgb(random.uniform(0.05, 0.12), 0.35, table))
    share = 1 / (1 + np.exp(-60 * (rows - edge)))
    pixels = (above * (1 - share[..., None]) + below * share[..., None]) * light[..., None]
    return Image.fromarray((255 * pixels).astype(np.uint8))


def _fruit(
    kind: str, table: Image.Image, random: Random, centre: Point, size: float, turn: float
) -> Image.Image:
    """The table with a fruit and its shadow on it; `size` is half the fruit's height in pixels."""
    side = int(3 * size) * _FINER
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    outline = (_apple if kind == "apple" else _banana)(side)
    draw.polygon(outline, fill=255)
    hue = random.choice([0.0, 0.02, 0.25]) if kind == "apple" else random.uniform(0.125, 0.155)
    body = _shaded(side, colorsys.hsv_to_rgb(hue, 0.8 if kind == "apple" else 0.75, 0.9)).copy()
    _details(kind, body, side)
    stem = Image.new("L", (side, side))
    if kind == "apple":
        width = side // 40
        line = [(0.5 * side, 0.32 * side), (0.53 * side, 0.18 * side)]
        ImageDraw.Draw(stem).line(line, fill=255, width=width)
        body.paste((90, 60, 30), mask=ImageChops.subtract(stem, mask))
    whole = ImageChops.lighter(mask, stem).rotate(turn, Image.Resampling.BICUBIC)
    body = body.rotate(turn, Image.Resampling.BICUBIC)
    half = side // _FINER
    small = body.resize((half, half)), whole.resize((half, half))
    left, top = int(centre[0] - half / 2), int(centre[1] - half / 2)
    shadow = small[1].resize((half, half // 3)).filter(ImageFilter.GaussianBlur(size / 9))
    dark = shadow.point(lambda value: int(0.45 * value))
    table.paste((30, 25, 20), (left + half // 12, int(top + 0.6 * half)), dark)
    table.paste(small[0], (left, top), small[1])
    return table


def _apple(side: int) -> list[Point]:
    points = []
    for step in range(120):
        angle = 2 * math.pi * step / 120
        dent = 1 - 0.22 * math.exp(-8 * (angle - math.pi / 2) ** 2)
        radius = 0.3 * side * dent * (1 + 0.05 * math.sin(angle) ** 2)
        points.append((side / 2 + radius * math.cos(angle), side * 0.52 - radius * math.sin(angle)))
    return points


def _banana(side: int) -> list[Point]:
    """An arc that is thick in its middle."""
    outer, inner = [], []
    for step in range(61):
        share = step / 60
        angle = math.radians(20 + 140 * share)
        thick = 0.03 + 0.07 * math.sin(math.pi * share) ** 0.6
        for points, radius in ((outer, 0.36 + thick), (inner, 0.36 - thick)):
            across, down = radius * side * math.cos(angle), radius * side * math.sin(angle)
            points.append((side / 2 + across, side * 0.22 + down))
    return outer + inner[::-1]


@lru_cache(1)
def _shaded(side: int, colour: tuple[float, float, float]) -> Image.Image:
    """One colour, lit from the upper left."""
    across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    far = np.hypot(across + 0.25, down + 0.3)
    light = np.clip(1.05 - 0.55 * far**1.5, 0.3, 1)[..., None]
    shine = 0.55 * np.exp(-90 * (np.hypot(across + 0.2, down + 0.2) ** 2))[..., None]
    pixels = np.array(colour) * light * (1 - shine) + shine
    return Image.fromarray((255 * np.clip(pixels, 0, 1)).astype(np.uint8))


def _details(kind: str, body: Image.Image, side: int) -> None:
    if kind == "banana":
        draw = ImageDraw.Draw(body)
        for angle in (20, 160):  # its ends
            across, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            x, y, r = side * (0.5 + 0.36 * across), side * (0.22 + 0.36 * down), side * 0.045
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(85, 65, 30))


def _jpeg(image: Image.Image) -> bytes:
    pixels = np.asarray(image, np.int16)
    grain = np.random.default_rng(0).integers(-4, 5, pixels.shape, np.int16)
    file = io.BytesIO()
    noisy = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).filter(ImageFilter.GaussianBlur(0.6)).save(file, "JPEG", quality=88)
    return file.getvalue()
