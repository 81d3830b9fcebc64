"""What a file is, by its name and its first bytes. Decodes nothing.

Does not know: pixels, folders, or what is done with a file.
"""

from __future__ import annotations

import importlib.util
import struct

from olhar.i18n import Text, _

HAS_AVIF = importlib.util.find_spec("PIL._avif") is not None
HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", *([".avif"] if HAS_AVIF else [])}
    | (HEIF_SUFFIXES if HAS_HEIF else set())
)
# TIFF by their first bytes, with a small preview as their first picture.
RAW_SUFFIXES = frozenset(
    {".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".nef", ".nrw", ".orf", ".pef", ".raf"}
    | {".rw2", ".sr2", ".srf", ".srw", ".x3f", ".3fr", ".iiq", ".mrw"}
)
# Not looked into: there may be one for each photo, and slides (.svs, .ndpi) begin as a TIFF does.
OTHER_SUFFIXES = frozenset(
    {".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini", ".md"}
    | {".htm", ".html", ".log", ".py", ".ipynb", ".sh", ".npy", ".npz", ".pkl", ".mat", ".h5"}
    | {".hdf5", ".parquet", ".arrow", ".db", ".zip", ".gz", ".tar", ".7z", ".rar", ".pdf", ".doc"}
    | {".docx", ".xls", ".xlsx", ".psd", ".svg", ".ai", ".mp4", ".mov", ".avi", ".mkv", ".mp3"}
    | {".wav", ".aae", ".xmp", ".dvc", ".svs", ".ndpi", ".scn", ".mrxs", ".lsm", ".dcm", ".nii"}
)
# Only these decoders run, whatever a file says it is: others are rare, and some start programs.
# The first five are loaded by Pillow anyway; asking for the rest loads all of its plug-ins.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", *(("AVIF",) if HAS_AVIF else ()))
HEAD_BYTES = 64

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_LFS, _ANNEX = b"version https://git-lfs", b"/annex/objects/"
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_BEGINNINGS = (  # as above, of files whose headers may be damaged
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_LOOKALIKES = (  # lower case, at the start of the file
    (_LFS, _("a Git LFS pointer (fetch it with `git lfs pull`)")),
    (_ANNEX, _("a pointer of git-annex (fetch it with `git annex get`)")),
    (b"%pdf", _("a PDF document")),
    (b"%!ps", _("a PostScript file")),
    (b"pk\x03\x04", _("a ZIP archive or Office document")),
    (b"rar!", _("a RAR archive")),
    (b"\x1f\x8b", _("a gzip archive")),
    (b"8bps", _("a Photoshop document")),
    (b"{", _("JSON text")),
    (b"<?xml", _("an XML file")),
)


def image_format(head: bytes) -> str:
    """The format of an image, as Pillow names it, by its first `HEAD_BYTES`; "" where it is none."""
    for start, kind in _SIGNATURES:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and len(head) >= 18:
        header_bytes, reserved = struct.unpack_from("<I", head, 14)[0], head[6:10]
        return (
            "BMP" if reserved == bytes(4) and header_bytes in {12, 40, 52, 56, 64, 108, 124} else ""
        )
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in {b" ", b"\n", b"\t", b"\r"}:
        return "PPM"
    return _media_format(head)


def _media_format(head: bytes) -> str:
    """AVIF or HEIF, by the brands in the first box of an ISO media file; "" for all others."""
    if head[4:8] != b"ftyp":
        return ""
    end = min(len(head), int.from_bytes(head[:4]))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    if _AVIF_BRANDS.intersection(brands):
        return "AVIF"
    return "HEIF" if _HEIF_BRANDS.intersection(brands) else ""


def pointer_of(head: bytes) -> str:
    """ "lfs" or "annex" for what Git LFS and git-annex leave in a photo's place, else ""."""
    if head.startswith(_LFS):
        return "lfs"
    return "annex" if head.startswith(_ANNEX) else ""


def begins_like(content: bytes) -> str:
    """The format that a file with a damaged header begins like, "" where it is none."""
    found = next((kind for start, kind in _BEGINNINGS if content.startswith(start)), "")
    media = _media_format(content[:HEAD_BYTES])
    if media == "HEIF":
        return "HEIC" if HAS_HEIF else ""  # as people call it
    return found or (media if media in FORMATS else "")


def count_bands(content: bytes) -> int:
    """Samples a pixel of a TIFF (TIFF 6.0, section 8, SamplesPerPixel); 0 where it does not tell."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None:
        return 0
    try:
        start = struct.unpack_from(f"{order}I", content, 4)[0]
        for entry in range(struct.unpack_from(f"{order}H", content, start)[0]):
            tag, kind, _count, value = struct.unpack_from(
                f"{order}HHI2s", content, start + 2 + 12 * entry
            )
            if tag == 277 and kind == 3:
                bands: int = struct.unpack(f"{order}H", value)[0]
                return bands
    except struct.error:
        pass
    return 0


def looks_like(content: bytes) -> Text:
    """What a file that is no readable image seems to be, judged by its first bytes."""
    head = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<") and b"<svg" in head:
        return _("an SVG drawing")
    if head.startswith(b"<") and (b"<html" in head or b"<!doctype html" in head):
        return _("an HTML page")
    media = _media_format(content[:HEAD_BYTES])
    if media == "HEIF":
        return _("a HEIC photo, as phones make them")
    if media == "AVIF":
        return _("an AVIF image")
    if content[4:8] == b"ftyp":
        return _("a video")
    for start, kind in _LOOKALIKES:
        if head.startswith(start):
            return kind
    printable = all(byte >= 32 or byte in b"\t\r\n" for byte in content[:1024])
    return _("text") if printable else _("data of an unknown kind")
