"""What a request asks: photos and options, from a body of any kind that is understood.

    image/…, application/octet-stream, none    one photo
    multipart/form-data                        one or many files, under any field name; options
    application/json                           {"image": base64} or {"images": [base64, …]}, or
                                               "instances" or "inputs" with base64 or pixels; options

A photo in JSON is base64 text (also as a data: URL), {"image": base64} or {"b64": base64}, both
with a "file" name if wanted, or the pixels as nested lists (H, W[, C]): whole numbers 0 to 255, or
fractions 0 to 1. Options: model, top_k, threshold, lang; also in the query. An unknown one is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.errors import ImageError, unknown_name
from olhar.i18n import _
from olhar.serving.asked import OPTIONS, Asked, check_count, wrong_value
from olhar.serving.engine import Photo
from olhar.serving.multipart import read_multipart
from olhar.serving.refusals import RequestError, bad_request, wrong_media_type

_ONE = ("image", "b64")  # keys of one photo in JSON
_MANY = ("images", "instances", "inputs")
_KINDS = "image/*, application/octet-stream, multipart/form-data, application/json"
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
        _read_json(body, asked, max_images)
    elif kind == "multipart/form-data":
        read_multipart(body, content_type, asked, max_images)
    elif kind in _RAW or kind.startswith("image/"):
        asked.photos.append((name, body))
    elif kind == "application/x-www-form-urlencoded":  # what curl says unless it is told
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


def photo_from_text(text: str, name: str) -> bytes:
    """Base64 (RFC 4648, section 4), or a data: URL with it, → the content of a file.

    Raises:
        ImageError: it is no base64.
    """
    start = text.index(",") + 1 if text.startswith("data:") and "," in text[:200] else 0
    try:
        return base64.b64decode("".join(text[start:].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(_("'{name}' is not base64: {reason}", name=name, reason=error)) from error


def _read_json(body: bytes, asked: Asked, max_images: int) -> None:
    values = read_json(body)
    for key, value in values.items():
        if key in _ONE:
            asked.photos.append(_photo(value, "-"))
        elif key in _MANY:
            items = value
            if isinstance(items, dict) and len(items) == 1:  # {"inputs": {"images": […]}}
                items = next(iter(items.values()))
            if not isinstance(items, list):
                raise wrong_value(key, value, _("a list of photos"))
            check_count(len(items), max_images)
            asked.photos += [_photo(item, str(index)) for index, item in enumerate(items)]
        elif key == "params" and isinstance(value, dict):  # MLflow's place for options
            for option, given in value.items():
                asked.set_option(option, given)
        elif key in OPTIONS:
            if value is not None:
                asked.set_option(key, value)
        else:
            message = unknown_name(_("key"), key[:200], (*_ONE, *_MANY, *OPTIONS)).message
            raise RequestError(422, "request", message)
    check_count(len(asked.photos), max_images)


def _photo(value: Any, name: str) -> tuple[str, Photo]:
    """One photo in JSON."""
    if isinstance(value, dict):
        keys = [key for key in _ONE if key in value]
        if len(keys) != 1 or not value.keys() <= {*keys, "file"}:
            raise bad_request(
                _("a photo in JSON has one of the keys {allowed}, and 'file'", allowed="image, b64")
            )
        name, value = value.get("file", name), value[keys[0]]
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
        if pixels.dtype.kind == "f" and pixels.size:
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
