"""Forms of files: multipart/form-data (RFC 7578), as they come."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from olhar.errors import MissingExtraError
from olhar.i18n import _
from olhar.web_server.refusals import bad_request

_EXTENDED = re.compile(r";\s*filename\*\s*=\s*\"?([^;\"]*)", re.IGNORECASE)


class Part(NamedTuple):
    """One field: its headers, by names in lower case; the options of Content-Disposition; its content."""

    headers: dict[str, str]
    options: dict[str, str]
    content: bytes


class _Parts:
    """Collects what the parser calls out: (headers, content) of each part."""

    def __init__(self, most: int | None) -> None:
        self.parts: list[tuple[dict[str, str], bytes]] = []
        self.ended = False
        self._most = most
        self._headers: dict[str, str] = {}
        self._field, self._value, self._content = b"", b"", bytearray()

    def on_part_begin(self) -> None:
        if self._most is not None and len(self.parts) >= self._most:
            message = _("the form has too many fields; allowed: {limit}", limit=self._most)
            raise bad_request(message)
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


class FormReader:
    """Takes a form's bytes, and has its parts at the end.

    Args:
        content_type: of the request.
        most: parts that it may have.

    Raises:
        RequestError: it is cut off or damaged, or has too many parts; here and from both methods.
        MissingExtraError: python-multipart is not installed.
    """

    def __init__(self, content_type: str, most: int | None = None) -> None:
        try:
            from python_multipart.multipart import MultipartParser, parse_options_header
        except ImportError as error:
            raise MissingExtraError(
                _("forms need python-multipart; install it with: pip install 'olhar[serve]'")
            ) from error

        self._options, self._found = parse_options_header, _Parts(most)
        with _explained():
            boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
            if not boundary:
                raise bad_request(_("the Content-Type of the form names no boundary"))
            names = [name for name in dir(_Parts) if name.startswith("on_")]
            callbacks: Any = {name: getattr(self._found, name) for name in names}
            self._parser = MultipartParser(boundary, callbacks)

    def write(self, content: bytes) -> None:
        """Take what comes next."""
        with _explained():
            self._parser.write(content)

    def parts(self) -> list[Part]:
        """The parts, once all has come."""
        with _explained():
            self._parser.finalize()
        if not self._found.ended:
            raise bad_request(_("the form ends too early, a part is missing"))
        return [Part(headers, self._said(headers), rest) for headers, rest in self._found.parts]

    def _said(self, headers: dict[str, str]) -> dict[str, str]:
        disposition = headers.get("content-disposition", "")
        _kind, raw = self._options(disposition)
        options = {
            key.decode("latin-1").lower(): value.decode("utf-8", "replace")
            for key, value in raw.items()
        }
        extended = _EXTENDED.search(disposition)
        if extended:  # where both are there, it is the better one (RFC 6266, section 4.3)
            options["filename"] = _extended(extended[1]) or options.get("filename", "")
        return options


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    from python_multipart.exceptions import FormParserError

    try:
        yield
    except (FormParserError, UnicodeError) as error:
        raise bad_request(_("the form is damaged: {reason}", reason=str(error)[:200])) from error


def _extended(value: str) -> str:
    """utf-8'en'na%C3%AFve.png → naïve.png (RFC 8187, section 3.2); "" where there is none."""
    charset, quote, rest = value.partition("'")
    encoded = rest.partition("'")[2] if quote else value
    try:
        return unquote(encoded, charset or "utf-8", "replace")
    except LookupError:  # a charset that does not exist
        return unquote(encoded, errors="replace")
