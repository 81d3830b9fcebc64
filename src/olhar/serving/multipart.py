"""Forms of files or of text, already in memory → photos and options."""

from __future__ import annotations

import difflib
from urllib.parse import parse_qsl

from olhar.errors import ImageError
from olhar.i18n import _
from olhar.serving.asked import OPTIONS, Asked, check_count
from olhar.serving.photo_text import is_photo_text, photo_from_text
from olhar.signatures import HEAD_BYTES, image_format
from olhar.web_server.forms import FormReader, Part
from olhar.web_server.refusals import bad_request

_LIKE = (
    0.66  # such as "topk"; "token" and "_method", which frameworks add, are less like any option
)
_LONGEST_OPTION = 40
_MOST_FIELDS = 20  # options beside the photos


def read_multipart(body: bytes, content_type: str, asked: Asked, max_images: int) -> None:
    """Add the photos and options of a form to `asked`.

    Raises:
        RequestError: it is cut off or damaged, has too many parts, or an unknown option.
        MissingExtraError: python-multipart is not installed.
    """
    form = FormReader(content_type)
    form.write(body)
    parts = form.parts()
    is_photo = [_is_photo(part) for part in parts]
    check_count(sum(is_photo), max_images)
    if len(parts) - sum(is_photo) > _MOST_FIELDS:
        raise bad_request(_("the form has too many fields; allowed: {limit}", limit=_MOST_FIELDS))
    for photo, (_headers, options, content) in zip(is_photo, parts, strict=True):
        if photo:
            asked.photos.append((options.get("filename") or str(len(asked.photos)), content))
        elif "filename" not in options:
            set_field(asked, options.get("name", ""), content.decode("utf-8", "replace"))
    check_count(len(asked.photos), max_images)


def read_urlencoded(body: bytes, asked: Asked, max_images: int) -> None:
    """Add the fields of a form without files to `asked`; nothing where the body is no such form.

    Raises:
        RequestError: it has too many photos, or an unknown option.
    """
    try:
        most = _MOST_FIELDS + max_images
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=most)
    except ValueError:
        return
    for name, text in pairs:
        set_field(asked, name, text)
    check_count(len(asked.photos), max_images)


def set_field(asked: Asked, name: str, text: str) -> None:
    """Take a field of a form that is text: an option, a photo as base64 or data: URL, or neither.

    A field of a browser's form that olhar does not know, such as that of the button that sends it, is
    passed over; one that looks like a misspelt option is refused.

    Raises:
        RequestError: an option that does not exist, or not with this value.
    """
    if name in OPTIONS:
        if text.strip():  # a browser sends the fields that were left empty, too
            asked.set_option(name, text)
    elif is_photo_text(text, name):
        shown = str(len(asked.photos))
        try:
            asked.photos.append((shown, photo_from_text(text, shown)))
        except ImageError as error:
            asked.photos.append((shown, error))
    elif len(name) < _LONGEST_OPTION and difflib.get_close_matches(
        name.lower(), OPTIONS, cutoff=_LIKE
    ):
        asked.set_option(name, text)  # which refuses it


def _is_photo(part: Part) -> bool:
    """A file, as the part says (also by filename* alone, RFC 5987), or by its first bytes."""
    headers, options, content = part
    if "filename" in options or headers.get("content-type", "").startswith("image/"):
        # A field for a file that was left empty has a filename of no letters and no content.
        return bool(content or options.get("filename"))
    return bool(image_format(content[:HEAD_BYTES])) and options.get("name") not in OPTIONS
