"""multipart/form-data (RFC 7578), already in memory → photos and options."""

from __future__ import annotations

from typing import Any

from olhar.errors import MissingExtraError
from olhar.i18n import _
from olhar.serving.asked import Asked, check_count
from olhar.serving.refusals import bad_request

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
    is_photo = [_is_photo(headers, options) for headers, options, _content in parts]
    check_count(sum(is_photo), max_images)
    if len(parts) - sum(is_photo) > _MOST_FIELDS:
        raise bad_request(_("the form has too many fields; allowed: {limit}", limit=_MOST_FIELDS))
    for photo, (_headers, options, content) in zip(is_photo, parts, strict=True):
        if photo:
            asked.photos.append((options.get("filename") or str(len(asked.photos)), content))
        else:
            asked.set_option(options.get("name", ""), content.decode("utf-8", "replace"))


def _is_photo(headers: dict[str, str], options: dict[str, str]) -> bool:
    return "filename" in options or headers.get("content-type", "").startswith("image/")


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
        _kind, raw = parse_options_header(headers.get("content-disposition", ""))
        options = {
            key.decode("latin-1"): value.decode("utf-8", "replace") for key, value in raw.items()
        }
        found.append((headers, options, content))
    return found
