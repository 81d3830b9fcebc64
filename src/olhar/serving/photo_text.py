"""A photo that comes as text: base64, strictly read."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote

from olhar.errors import ImageError
from olhar.i18n import _

_STRICT = re.compile(r"[A-Za-z0-9+/]*={0,2}")  # RFC 4648, section 4
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]*={0,2}")  # section 5
_STRANGE = re.compile(r"[^A-Za-z0-9+/_=-]")
_FIELDS = frozenset({"image", "photo", "file", "picture", "img", "b64", "data", "foto", "imagem"})
# Base64 of the first bytes of JPEG, PNG, GIF, WebP, TIFF and BMP.
_BEGINNINGS = ("/9j/", "_9j_", "iVBORw0KGgo", "R0lGOD", "UklGR", "SUkqA", "TU0AK", "Qk")
_LINE_ENDS = re.compile(r"[\r\n]+")


def is_photo_text(text: str, field: str = "") -> bool:
    """Whether a text is meant as a photo: a data: URL, base64 that begins as files of photos do, or the
    content of a `field` that has the name of one.
    """
    start = text.lstrip()[:40]
    if start[:5].lower() == "data:" or start.startswith(_BEGINNINGS):
        return True
    called = field.lower()
    return bool(start) and bool({called, called.rstrip("s[]0123456789")} & _FIELDS)


def photo_from_text(text: str, name: str) -> bytes:
    """Base64 of either alphabet, or a data: URL with it, → the content of a file.

    Lines may be broken, and the padding at the end may be missing. All else is refused: a decoder that
    passes over what it does not know makes another picture of it.

    Raises:
        ImageError: it is no base64.
    """
    given = text.strip()
    if given[:5].lower() == "data:":
        start, _comma, given = given.partition(",")
        if not start.lower().endswith(";base64"):
            raise ImageError(_("'{name}' is a data: URL, but not of base64", name=name))
        given = unquote(given)  # RFC 2397: it may be escaped as any URL
    given = _LINE_ENDS.sub("", given)
    # One at an end is none of the text's, unless letters are missing: then it may have been a +.
    is_short = len(given) % 4 != 0
    if " " in given or (is_short and text.strip("\r\n") != text.strip()):
        raise ImageError(
            _(
                "'{name}' is not base64: there are blanks in it, perhaps where + was; in forms and URLs "
                "write + as %2B, or send URL-safe base64",
                name=name,
            )
        )
    letters = given.rstrip("=")
    missing = -len(letters) % 4
    if not (_STRICT.fullmatch(given) or _URL_SAFE.fullmatch(given)):
        raise _refused(given, name)
    if missing == 3 or len(given) - len(letters) not in {0, missing}:
        raise ImageError(_("'{name}' is not base64: it is cut off; send it again", name=name))
    safe = letters.replace("-", "+").replace("_", "/")
    return base64.b64decode(safe + "=" * missing)


def _refused(given: str, name: str) -> ImageError:
    wrong = _STRANGE.search(given)
    if wrong is None:
        return ImageError(
            _(
                "'{name}' is not base64: + or / stands beside - or _, or = before the end; encode the "
                "photo again",
                name=name,
            )
        )
    return ImageError(
        _(
            "'{name}' is not base64: its character {place} is {given}; encode the photo again",
            name=name,
            place=wrong.start() + 1,
            given=ascii(wrong[0]),
        )
    )
