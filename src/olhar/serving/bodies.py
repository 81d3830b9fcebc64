"""What a request asks: photos and options, from a body of any kind that is understood.

    image/…, application/octet-stream, none    one photo
    multipart/form-data                        one or many files, under any field name; options
    application/x-npy                          pixels of one image or several, as NumPy saves them
    application/json                           {"image": base64} or {"images": [base64, …]}, or
                                               "instances" or "inputs" with base64 or pixels; options

A photo in JSON is base64 text (also as a data: URL), {"image": base64} or {"b64": base64}, both
with a "file" name if wanted, or the pixels as nested lists (H, W[, C]): whole numbers 0 to 255, or
fractions 0 to 1 (and so where no whole number is above 1). Options: model, top_k, threshold, lang;
also in the query. An unknown one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.errors import ImageError, unknown_name
from olhar.i18n import _
from olhar.serving.arrays import read_npy
from olhar.serving.asked import OPTIONS, Asked, check_count, wrong_value
from olhar.serving.engine import Photo
from olhar.serving.multipart import read_multipart, read_urlencoded
from olhar.serving.photo_text import photo_from_text
from olhar.web_server.refusals import RequestError, bad_request, wrong_media_type

_ONE = ("image", "b64")  # keys of one photo in JSON
_MANY = ("images", "instances", "inputs", "dataframe_records")
_BESIDE = {"file", "key", "mimeType", "mime_type"}  # what clients send with a photo
_NESTED = 3
_KINDS = (
    "image/*, application/octet-stream, multipart/form-data, application/json, application/x-npy"
)
_RAW = frozenset({"", "application/octet-stream", "application/x-image"})


def read_asked(body: bytes, content_type: str, query: Mapping[str, str], max_images: int) -> Asked:
    """What a request asks.

    Raises:
        RequestError: it cannot be understood.
    """
    kind = content_type.partition(";")[0].strip().lower()
    asked = Asked()
    name = "-"
    for key, value in query.items():
        if key == "file":
            name = value
        else:
            asked.set_option(key, value)
    if kind == "application/json":
        add_json(read_json(body), asked, max_images)
    elif kind == "multipart/form-data":
        read_multipart(body, content_type, asked, max_images)
    elif kind == "application/x-npy":
        images = read_npy(body)
        check_count(len(images), max_images)
        asked.photos += [(str(index), image) for index, image in enumerate(images)]
    elif kind in _RAW or kind.startswith("image/"):
        asked.photos.append((name, body))
    elif kind == "application/x-www-form-urlencoded":
        read_urlencoded(body, asked, max_images)
        if not asked.photos:  # what curl says of anything, unless it is told
            raise wrong_media_type(kind, f"{_KINDS}; curl: -H 'Content-Type: image/jpeg'")
    else:
        raise wrong_media_type(kind, _KINDS)
    if not asked.photos:
        raise bad_request(_("there is no photo in the request; send one or more"))
    return asked


def read_json(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RequestError: it is none.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(_("the body is not JSON: {reason}", reason=str(error)[:200])) from error
    if not isinstance(values, dict):
        raise bad_request(
            _("the body is JSON, but no object; allowed: {example}", example='{"images": […]}')
        )
    return values


def add_json(values: Mapping[str, Any], asked: Asked, max_images: int) -> None:
    """Add the photos and options of a JSON object to `asked`.

    Raises:
        RequestError: it has unknown keys, or too many photos.
    """
    for key, value in values.items():
        if key in _ONE:
            asked.photos.append(_photo(value, "-"))
        elif key in _MANY:
            items = value
            if isinstance(items, dict) and len(items) == 1:  # {"inputs": {"images": […]}}
                items = next(iter(items.values()))
            _add_photos(key, items, asked, max_images)
        elif key == "dataframe_split":  # MLflow, as pandas writes with orient="split"
            _add_photos(key, _only_column(value), asked, max_images)
        elif key in {"params", "parameters"} and isinstance(
            value, dict
        ):  # MLflow's, Vertex's options
            for option, given in value.items():
                asked.set_option(option, given)
        elif key == "signature_name":  # TensorFlow Serving
            if value not in ("", "serving_default", None):
                raise wrong_value(key, value, "serving_default")
        elif key in OPTIONS:
            if value is not None:
                asked.set_option(key, value)
        else:
            message = unknown_name(_("key"), key[:200], (*_ONE, *_MANY, *OPTIONS)).message
            raise RequestError(422, "request", message)
    check_count(len(asked.photos), max_images)


def _add_photos(key: str, items: Any, asked: Asked, max_images: int) -> None:
    if not isinstance(items, list):
        raise wrong_value(key, items, _("a list of photos"))
    check_count(len(items), max_images)
    asked.photos += [_photo(item, str(index)) for index, item in enumerate(items)]


def _only_column(value: Any) -> list[Any]:
    """The photos of a table {"columns": [name], "data": [[photo], …]}."""
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == 1 for row in rows
    ):
        raise bad_request(
            _(
                "dataframe_split must have one column, of photos as base64 text: MLflow's clients send it "
                "of a DataFrame; for pixels send 'instances' or 'inputs'"
            )
        )
    return [row[0] for row in rows]


def _photo(value: Any, name: str) -> tuple[str, Photo]:
    """One photo in JSON; in an object it may have any one key, such as that of a model's input."""
    for _depth in range(_NESTED):  # {"image_bytes": {"b64": …}}
        if not isinstance(value, dict):
            break
        keys = value.keys() - _BESIDE
        if len(keys) != 1:
            raise bad_request(
                _("a photo in JSON has one of the keys {allowed}, and 'file'", allowed="image, b64")
            )
        name, value = value.get("file", name), value[keys.pop()]
        if not isinstance(name, str):
            raise wrong_value("file", name, _("a name"))
    try:
        return name, photo_from_text(value, name) if isinstance(value, str) else _pixels(
            value, name
        )
    except ImageError as error:
        return name, error


def _pixels(value: Any, name: str) -> NDArray[Any]:
    """Nested lists (H, W[, C]) → an array that `array_to_image` takes."""
    try:
        pixels = np.asarray(value)
        if pixels.dtype.kind in "iu" and pixels.size and pixels.min() >= 0 and pixels.max() <= 255:
            return pixels.astype(np.uint8)
        if pixels.dtype.kind in "fb" and pixels.size:
            return pixels
    except (ValueError, OverflowError, TypeError, RecursionError):
        pass
    raise ImageError(
        _(
            "'{name}' is neither base64 text nor pixels; allowed as pixels: lists (height, width) or "
            "(height, width, channels) of whole numbers from 0 to 255, or of fractions from 0 to 1",
            name=name,
        )
    )
