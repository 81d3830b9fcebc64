"""Forms: multipart/form-data (RFC 7578) or URL-encoded, already in memory → photos and options."""

from __future__ import annotations

import difflib
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

from olhar.errors import ImageError, MissingExtraError
from olhar.i18n import _
from olhar.serving.asked import OPTIONS, Asked, check_count
from olhar.serving.photo_text import is_photo_text, photo_from_text
from olhar.signatures import HEAD_BYTES, image_format
from olhar.web_server.refusals import bad_request

_EXTENDED = re.compile(r";\s*filename\*\s*=\s*\"?([^;\"]*)", re.IGNORECASE)
_LIKE = (
    0.66  # such as "topk"; "token" and "_method", which frameworks add, are less like any option
)
_LONGEST_OPTION = 40
_MOST_FIELDS = 20  # options beside the photos


class _Parts:
    """Collects what the parser calls out: (headers, content) of each part."""

    def __init__(self) -> None:
        self.parts: list[tuple[dict[str, str], bytes]] = []
        self.ended = False
        self._headers: dict[str, str] = {}
        self._field, self._value, self._content = b"", b"", bytearray()

    def on_part_begin(self) -> None:
        self._headers, self._content = {}, bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def on_part_end(self) -> None:
        self.parts.append((self._headers, bytes(self._content)))

    def on_header_begin(self) -> None:
        self._field, self._value = b"", b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value.decode("latin-1")

    def on_end(self) -> None:
        self.ended = True


def read_multipart(body: bytes, content_type: str, asked: Asked, max_images: int) -> None:
    """Add the photos and options of a form to `asked`.

    Raises:
        RequestError: it is cut off or damaged, has too many parts, or an unknown option.
        MissingExtraError: python-multipart is not installed.
    """
    parts = _split(body, content_type)
    is_photo = [_is_photo(*part) for part in parts]
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


def _is_photo(headers: dict[str, str], options: dict[str, str], content: bytes) -> bool:
    """A file, as the part says (also by filename* alone, RFC 5987), or by its first bytes."""
    if "filename" in options or headers.get("content-type", "").startswith("image/"):
        # A field for a file that was left empty has a filename of no letters and no content.
        return bool(content or options.get("filename"))
    return bool(image_format(content[:HEAD_BYTES])) and options.get("name") not in OPTIONS


def _extended(value: str) -> str:
    """utf-8'en'na%C3%AFve.png → naïve.png (RFC 8187, section 3.2); "" where there is none."""
    charset, quote, rest = value.partition("'")
    encoded = rest.partition("'")[2] if quote else value
    try:
        return unquote(encoded, charset or "utf-8", "replace")
    except LookupError:  # a charset that does not exist
        return unquote(encoded, errors="replace")


def _split(body: bytes, content_type: str) -> list[tuple[dict[str, str], dict[str, str], bytes]]:
    """(headers, options of Content-Disposition, content) of each part."""
    try:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header
    except ImportError as error:
        raise MissingExtraError(
            _("forms need python-multipart; install it with: pip install 'olhar[serve]'")
        ) from error

    collected = _Parts()
    names = [name for name in dir(_Parts) if name.startswith("on_")]
    try:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise bad_request(_("the Content-Type of the form names no boundary"))
        callbacks: Any = {name: getattr(collected, name) for name in names}
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except (FormParserError, UnicodeError) as error:
        raise bad_request(_("the form is damaged: {reason}", reason=str(error)[:200])) from error
    if not collected.ended:
        raise bad_request(_("the form ends too early, a part is missing"))
    found = []
    for headers, content in collected.parts:
        disposition = headers.get("content-disposition", "")
        _kind, raw = parse_options_header(disposition)
        options = {
            key.decode("latin-1").lower(): value.decode("utf-8", "replace")
            for key, value in raw.items()
        }
        extended = _EXTENDED.search(disposition)
        if extended:  # where both are there, it is the better one (RFC 6266, section 4.3)
            options["filename"] = _extended(extended[1]) or options.get("filename", "")
        found.append((headers, options, content))
    return found
