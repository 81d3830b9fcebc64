"""Archives that olhar writes, whatever is in them."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

from olhar.archives import is_plain_file, tar_members, write_tar, write_zip


def test_equal_files_are_equal_archives(tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20)  # longer than a piece
    (tmp_path / "a").write_bytes(content)
    written = []
    for when in (1, 2**31):
        os.utime(tmp_path / "a", (when, when))
        (tmp_path / "a").chmod(0o600)
        for write in (write_zip, write_tar):
            file, heard = io.BytesIO(), list[int]()
            write(file, [("x/ação.bin", tmp_path / "a"), ("empty", b"")], heard.append)
            assert sum(heard) == len(content)
            written.append(file.getvalue())
    assert written[:2] == written[2:]
    with zipfile.ZipFile(io.BytesIO(written[0])) as archive:
        first, _empty = archive.infolist()
        assert archive.read("x/ação.bin") == content
    assert is_plain_file(first)
    assert first.external_attr >> 16 == stat.S_IFREG | 0o644  # unzip gives it this mode
    packed = io.BytesIO(gzip.compress(written[1]))
    found = [(info.name, info.mode, file.read()) for info, file in tar_members(packed)]
    assert found == [("x/ação.bin", 0o644, content), ("empty", 0o644, b"")]


def test_what_is_no_file() -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
        info = tarfile.TarInfo("a")
        info.type = kind
        assert not is_plain_file(info)
    link = zipfile.ZipInfo("a")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert not is_plain_file(link)
    assert not is_plain_file(zipfile.ZipInfo("folder/"))
    assert is_plain_file(zipfile.ZipInfo("of Windows"))
