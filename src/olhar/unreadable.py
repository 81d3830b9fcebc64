"""Why a file cannot be read as an image, in words, and what to do.

Does not know: files, or how images are decoded.
"""

from __future__ import annotations

from PIL import Image, UnidentifiedImageError

from olhar.i18n import Text, _
from olhar.signatures import (
    FORMATS,
    HAS_HEIF,
    HEAD_BYTES,
    begins_like,
    count_bands,
    image_format,
    looks_like,
)

_ALLOWED = ", ".join((*FORMATS, *(("HEIC",) if HAS_HEIF else ())))


def reason(error: Exception, content: bytes, label: str, max_pixels: int) -> Text:
    """Why Pillow could not read it, and what to do.

    Args:
        error: what Pillow raised.
        content: the file's bytes.
        label: what to call it.
        max_pixels: how many are allowed.
    """
    if isinstance(error, Image.DecompressionBombError):
        return _(
            "'{name}' has far too many pixels; at most {limit} are allowed; save a smaller copy",
            name=label,
            limit=max_pixels,
        )
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(content, label)
    if isinstance(error, EOFError) or "truncat" in str(error).lower():
        return _(
            "'{name}' ends too early, a part is missing; copy or download it again, or remove it",
            name=label,
        )
    return _(
        "'{name}' is damaged ({reason}); copy or download it again, or remove it",
        name=label,
        reason=str(error) or type(error).__name__,
    )


def _unidentified(content: bytes, label: str) -> Text:
    if count_bands(content) > 4:
        return bands_text(label, count_bands(content))
    kind = begins_like(content)
    if kind:
        return _(
            "'{name}' begins like a {format} image, but its header is damaged or of a kind "
            "that cannot be read; save it again as an 8-bit PNG or JPEG, or remove it",
            name=label,
            format=kind,
        )
    if not HAS_HEIF and image_format(content[:HEAD_BYTES]) == "HEIF":
        return _(
            "'{name}' is a HEIC photo, as phones make them; to read it: pip install \"olhar[photos]\"; "
            "or save it as JPEG",
            name=label,
        )
    return _(
        "'{name}' is not an image that can be read: it looks like {kind}; allowed: {allowed}; "
        "convert it to one of them, or remove it",
        name=label,
        kind=looks_like(content),
        allowed=_ALLOWED,
    )


def bands_text(label: str, bands: int) -> Text:
    """What to say of an image of more bands than a photo has."""
    return _(
        "'{name}' has {bands} bands, and a photo has 1, 3 or 4; choose up to three of them and save "
        "those as PNG or TIFF",
        name=label,
        bands=bands,
    )
