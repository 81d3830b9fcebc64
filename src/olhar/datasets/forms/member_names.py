"""Names of the files in an archive: in which code page they are written, and whether they stay in it.

Does not know: how an archive is read, or what is in a file.
"""

from __future__ import annotations

import os
import re
import struct
import sys
import unicodedata
import zipfile
import zlib

from olhar.i18n import Text, _
from olhar.stores.names import is_portable

_UTF8_FLAG, _UNICODE_PATH = 0x800, 0x7075  # APPNOTE 4.4.4 and 4.6.9
_LONGEST_PATH, _LONGEST_PART = 1000, 255
_SIGNS = frozenset("ªº°´`¨·¸’–")


def zip_name(info: zipfile.ZipInfo) -> str:
    """The name of a file in a zip, as whoever packed it saw it; "" where that cannot be told.

    Where a zip does not say that its names are UTF-8, zipfile reads them as code page 437. macOS writes
    UTF-8 without saying so, and Windows in Western Europe and the Americas code page 850, in which
    all letters with accents of 437 stand at the same places.
    """
    name = info.orig_filename
    if name.isascii() or info.flag_bits & _UTF8_FLAG:
        return name
    raw = name.encode("cp437")
    told = _unicode_path(info.extra, raw)
    if told:
        return told
    for code_page in ("utf-8", "cp850"):
        try:
            read = raw.decode(code_page)
        except UnicodeDecodeError:
            continue
        if code_page == "utf-8" or all(map(_is_latin, read)):
            return read
    # A label is the name of a folder: those of photos may be odd.
    return name if name.rpartition("/")[0].isascii() else ""


def _unicode_path(extra: bytes, raw: bytes) -> str:
    """The name that Info-ZIP's field keeps beside the old one, "" where it has none of this name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) > 5 and field[0] == 1:
            (checksum,) = struct.unpack_from("<I", field, 1)
            if checksum == zlib.crc32(raw):
                return field[5:].decode(errors="replace")
    return ""


def _is_latin(letter: str) -> bool:
    return letter.isascii() or letter in _SIGNS or unicodedata.name(letter, "").startswith("LATIN ")


def tidy_path(name: str) -> str:
    """With forward slashes, and without steps that lead nowhere; some name folders in Windows' way."""
    path = name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return "/".join(["", *parts] if path.startswith("/") else parts)


def why_refused(path: str) -> Text | None:
    """Why a file may not be unpacked to a path, None where it may.

    Args:
        path: as tidy_path gives it.
    """
    parts = path.split("/")
    if ".." in parts or not parts[0] or re.match(r"[A-Za-z]:(/|$)", path):
        return _("it leaves the folder")
    if any(unicodedata.category(letter) == "Cc" for letter in path):  # a terminal would obey them
        return _("its name holds control characters")
    if len(path) > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_PART for part in parts):
        return _("its name is longer than disks allow")
    if sys.platform == "win32" and not is_portable(path):
        return _("Windows allows no such name; rename it where it was packed")
    return None
