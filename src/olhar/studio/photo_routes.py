"""What the studio's page asks of photos and their classes.

Does not know: how they are kept.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.images import MAX_PIXELS, read_image
from olhar.studio import zips
from olhar.studio.requests import (
    as_json,
    files_of,
    json_route,
    read_body,
    read_form,
    text_of,
)
from olhar.studio.studio import Studio
from olhar.studio.taken import Taken
from olhar.web_server.answers import Answer, content_answer, json_answer
from olhar.web_server.request import Request
from olhar.web_server.routes import Route, get

_MOST_FILES = 2_000
_SIDES = range(32, 1025)
_KINDS = frozenset({"bmp", "gif", "jpeg", "png", "webp"})


def photo_routes(studio: Studio) -> list[Route]:
    """Classes, photos, and changes taken back."""
    project, change = studio.project, studio.change
    return [
        json_route(
            "POST",
            "/api/classes",
            lambda v: change(lambda: {"name": project.add_class(text_of(v, "name"))}),
        ),
        json_route(
            "PATCH",
            "/api/classes/{old}",
            lambda v: change(lambda: {"name": project.rename_class(v["old"], text_of(v, "name"))}),
        ),
        json_route(
            "DELETE",
            "/api/classes/{old}",
            lambda v: change(lambda: project.delete_class(v["old"])),
        ),
        get("/api/photos", lambda request: json_answer(request, _photos(studio, request))),
        Route("POST", "/api/photos", partial(_take, studio)),
        json_route(
            "POST",
            "/api/photos/move",
            lambda v: change(lambda: project.move(files_of(v), text_of(v, "class"))),
        ),
        json_route(
            "POST", "/api/photos/delete", lambda v: change(lambda: project.delete(files_of(v)))
        ),
        json_route(
            "POST",
            "/api/undo",
            lambda v: change(lambda: {"text": str(project.undo(text_of(v, "id")))}),
        ),
        get("/photos/{folder}/{file}", lambda request: _photo(studio, request)),
    ]


def _photos(studio: Studio, request: Request) -> dict[str, Any]:
    query = request.query
    return studio.photos(None if query.get("tray") else query.get("class", ""))


async def _take(studio: Studio, request: Request) -> Answer:
    """Photos, or archives of them, as a form or as the body itself."""
    query = request.query
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        given = [
            (part.options["filename"], part.content)
            for part in await read_form(request, _MOST_FILES)
            if "filename" in part.options
        ]
    else:
        given = [(query.get("name", ""), await read_body(request))]
    class_name, burst = query.get("class"), query.get("burst")

    def take() -> dict[str, Any]:
        total = Taken()
        for taken in zips.take_all(studio.project, given, class_name, burst):
            total.add(taken)
        return total.to_dict()

    return await as_json(request, lambda: studio.change(take))


def _photo(studio: Studio, request: Request) -> Answer:
    path = studio.project.locate("{folder}/{file}".format(**request.params))
    side = request.query.get("side", "")
    if not side:
        # Never as a page: a file that only looks like a photo must not run in the studio's name.
        return content_answer(request, path.read_bytes(), _photo_type(path))
    if not side.isdigit() or int(side) not in _SIDES:
        raise ConfigError(
            _(
                "side is {given}; allowed: {low} to {high}",
                given=side,
                low=_SIDES[0],
                high=_SIDES[-1],
            )
        )
    return content_answer(request, _small(path, int(side)), "image/jpeg")


def _photo_type(path: Path) -> str:
    kind = path.suffix[1:].lower().replace("jpg", "jpeg")
    return f"image/{kind if kind in _KINDS else 'octet-stream'}"


def _small(path: Path, side: int) -> bytes:
    pixels = read_image(path, shrink_to=side, max_pixels=MAX_PIXELS)  # (H, W, C) uint8
    grey = pixels.shape[-1] == 1
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()
