from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets

from olhar.datasets import cache, named
from olhar.datasets.fetch import fetch, md5_bytes, md5_file
from olhar.datasets.named import NAMED, cifar10, load_named, named_files, published
from olhar.datasets.named.cifar10 import CIFAR10
from olhar.datasets.named.idx_sets import MNIST
from olhar.datasets.places import data_files
from olhar.errors import (
    ChecksumError,
    DownloadError,
    MissingFileError,
    NoPermissionError,
    UnknownNameError,
    WrongPathError,
)

SHARED = Path(os.environ.get("OLHAR_DATA") or "no-such-folder")
needs_data = pytest.mark.skipif(
    not (SHARED / "mnist").is_dir(), reason="OLHAR_DATA names no folder with mnist and cifar10"
)
MNIST_FINGERPRINT = "313149e562e9"
CIFAR10_FINGERPRINT = "d39aa8b6b1d9"
STEMS = tuple(f"{part}-images-idx3-ubyte" for part in ("train", "t10k")) + tuple(
    f"{part}-labels-idx1-ubyte" for part in ("train", "t10k")
)
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Every test has a data folder and a cache of its own, and no network."""
    monkeypatch.setenv("OLHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLHAR_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    download_from(NOWHERE, monkeypatch)


def download_from(place: str, monkeypatch) -> None:
    """Let `place` take the place of the makers' addresses."""

    def fetch_there(url: str, *rest: object) -> Path:
        return fetch(place + url.rpartition("/")[2], *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(published, "fetch", fetch_there)


@pytest.fixture
def data(tmp_path) -> Path:
    return tmp_path / "data"


def copy_mnist(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in STEMS:
        shutil.copy(SHARED / "mnist" / f"{stem}.gz", folder)


def mnist_bytes(stem: str) -> bytes:
    return gzip.decompress((SHARED / "mnist" / f"{stem}.gz").read_bytes())


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:" + ("" if path.suffix == ".tar" else path.suffix[1:])) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


# The sets


def test_digits_needs_no_files(tmp_path):
    digits = load_named("digits")
    assert digits.images.shape == (1797, 8, 8, 1)
    assert digits.images.dtype == np.uint8
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert digits.labels.dtype == np.int64
    assert np.bincount(digits.labels).tolist()[:4] == [178, 182, 177, 183]
    assert digits.class_names == tuple("0123456789")
    assert digits.parts == {}
    assert digits.fingerprint == load_named("digits").fingerprint
    published = sklearn.datasets.load_digits()
    inks = np.round(published.images * (255 / 16)).astype(np.uint8)
    assert np.array_equal(digits.images[..., 0], inks)
    assert np.array_equal(digits.labels, published.target)


@needs_data
def test_mnist_is_decoded_once_and_found_again_without_its_source(monkeypatch):
    monkeypatch.setenv("OLHAR_DATA", str(SHARED))
    mnist = load_named("mnist")
    assert mnist.images.shape == (70_000, 28, 28, 1)
    assert isinstance(mnist.images, np.memmap)
    assert mnist.images.mode == "r"
    assert {part: (i[0], i[-1]) for part, i in mnist.parts.items()} == {
        "train": (0, 59_999),
        "test": (60_000, 69_999),
    }
    assert mnist.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.labels[60_000:60_005].tolist() == [7, 2, 1, 0, 4]
    raw = mnist_bytes("t10k-images-idx3-ubyte")
    assert mnist.images[60_000:].tobytes() == raw[16:]
    assert mnist.fingerprint.startswith(MNIST_FINGERPRINT)
    monkeypatch.setenv("OLHAR_DATA", str(SHARED / "gone"))
    again = load_named("mnist")
    assert again.fingerprint == mnist.fingerprint
    assert np.array_equal(again.images[::997], mnist.images[::997])


@needs_data
@pytest.mark.slow
def test_cifar10_from_the_published_archive(monkeypatch, tmp_path):
    monkeypatch.setenv("OLHAR_DATA", str(SHARED))
    cifar = load_named("cifar10")
    assert cifar.images.shape == (60_000, 32, 32, 3)
    assert np.bincount(cifar.labels[cifar.parts["train"]]).tolist() == [5000] * 10
    assert np.bincount(cifar.labels[cifar.parts["test"]]).tolist() == [1000] * 10
    assert cifar.labels[:5].tolist() == [6, 9, 9, 4, 1]
    assert cifar.labels[50_000:50_005].tolist() == [3, 8, 8, 0, 6]
    assert cifar.images[0, 0, 0].tolist() == [59, 62, 63]  # the frog's first pixel, RGB
    assert cifar.fingerprint.startswith(CIFAR10_FINGERPRINT)
    assert cifar.class_names[:2] == ("airplane", "automobile")
    assert cifar.translated_names["pt_BR"][-1] == "caminhão"
    monkeypatch.delenv("OLHAR_DATA")
    assert load_named("cifar10").fingerprint == cifar.fingerprint


@needs_data
@pytest.mark.soak
def test_cifar10_unpacked_and_in_a_plain_tar(data, tmp_path):
    folder = data / "vision" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    archive = SHARED / "cifar10" / "cifar-10-python.tar.xz"
    for name, content in CIFAR10.published[0].contents(archive):
        (folder / name).write_bytes(content)
    assert load_named("cifar10").fingerprint.startswith(CIFAR10_FINGERPRINT)
    with tarfile.open(data / "cifar-10-python.tar", "w") as archive:
        archive.add(folder, arcname=folder.name)
    # A damaged unpacked batch is no matter while a whole archive lies beside it.
    with (folder / "data_batch_3").open("r+b") as file:
        file.write(b"x")
    shutil.rmtree(tmp_path / "cache")
    assert load_named("cifar10").fingerprint.startswith(CIFAR10_FINGERPRINT)
    (data / "cifar-10-python.tar").unlink()
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ChecksumError, match="data_batch_3"):
        load_named("cifar10")


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownNameError, match="cifar10") as caught:
        load_named("cifar-10")
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("name", NAMED)
def test_names_of_classes(name):
    assert len(set(named.CLASS_NAMES[name])) == named.NAMED_SHAPES[name][1]
    for names in named.TRANSLATED_NAMES.get(name, {}).values():
        assert len(set(names)) == named.NAMED_SHAPES[name][1]


# Layouts


def unpacked(folder: Path) -> None:
    for stem in STEMS:
        (folder / stem).write_bytes(mnist_bytes(stem))


def dotted_and_deep(folder: Path) -> None:
    deep = folder / "sets" / "vision" / "MNIST" / "raw"
    deep.mkdir(parents=True)
    for stem in STEMS:
        (deep / stem.replace("-idx", ".idx")).write_bytes(mnist_bytes(stem))


def scattered(folder: Path) -> None:
    copy_mnist(folder / "a")
    (folder / "b").mkdir()
    for stem in STEMS[1:]:
        (folder / "a" / f"{stem}.gz").unlink()
        (folder / "b" / f"{stem}.xz").write_bytes(lzma.compress(mnist_bytes(stem), preset=0))


def packed_anew(folder: Path) -> None:
    copy_mnist(folder)
    name = f"{STEMS[3]}.gz"
    (folder / name).write_bytes(gzip.compress(mnist_bytes(STEMS[3]), compresslevel=1))


def beside_fashion(folder: Path) -> None:
    copy_mnist(folder / "mnist")
    (folder / "fashion").mkdir()
    for stem in STEMS:
        (folder / "fashion" / f"{stem}.gz").write_bytes(gzip.compress(b"\0" * 100))


def folders_named_like_files(folder: Path) -> None:
    for stem in STEMS:
        (folder / stem).mkdir()
        (folder / stem / stem).write_bytes(mnist_bytes(stem))


LAYOUTS = (
    *(copy_mnist, unpacked, dotted_and_deep, scattered),
    *(packed_anew, beside_fashion, folders_named_like_files),
)


@needs_data
@pytest.mark.parametrize("layout", LAYOUTS)
def test_mnist_is_found_however_it_lies(layout, data):
    layout(data)
    assert load_named("mnist").fingerprint.startswith(MNIST_FINGERPRINT)


@needs_data
def test_a_cycle_of_links_ends(data):
    copy_mnist(data / "mnist")
    try:
        (data / "again").symlink_to(data, target_is_directory=True)
    except OSError:
        pytest.skip("this system lets us make no links")
    assert len(data_files()) == 4


def test_files_deeper_than_five_folders_are_not_looked_at(data):
    deep = data.joinpath(*"abcdef")
    deep.mkdir(parents=True)
    (deep.parent / "seen").touch()
    (deep / "unseen").touch()
    assert [path.name for path in data_files()] == ["seen"]


@needs_data
def test_mnist_is_no_fashion_mnist(data):
    copy_mnist(data)
    with pytest.raises(DownloadError):
        load_named("fashion_mnist")


class Makers(SimpleHTTPRequestHandler):
    """The files of MNIST, each sent at once; with `slowly`, with a pause behind its first part."""

    def __init__(self, *args: Any, slowly: bool = False) -> None:
        self.slowly = slowly
        super().__init__(*args, directory=str(SHARED / "mnist"))

    def log_message(self, *_: object) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        if self.slowly:
            outputfile.write(source.read(1 << 20))
            time.sleep(0.5)  # long enough for a bar to be drawn twice
        super().copyfile(source, outputfile)


@contextmanager
def serving_makers(*, slowly: bool) -> Iterator[str]:
    """The address of a server that has the files of MNIST."""
    handler = partial(Makers, slowly=slowly)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def makers() -> Iterator[str]:
    with serving_makers(slowly=False) as address:
        yield address


@pytest.fixture
def slow_makers() -> Iterator[str]:
    with serving_makers(slowly=True) as address:
        yield address


@needs_data
def test_download_from_the_makers(tmp_path, monkeypatch, makers):
    monkeypatch.delenv("OLHAR_DATA")
    download_from(makers, monkeypatch)
    assert load_named("mnist").fingerprint.startswith(MNIST_FINGERPRINT)
    fetched = tmp_path / "cache" / "downloads" / "mnist" / f"{STEMS[0]}.gz"
    files = named_files("mnist", download=False)
    assert files[0] == fetched
    assert len(files) == len(STEMS)
    fetched.write_bytes(fetched.read_bytes()[:-20])
    with pytest.raises(ChecksumError, match="train-images"):
        named_files("mnist", download=False)
    assert named_files("mnist", download=True) == files  # it is fetched anew


# `olhar data mnist` as people have it, save that the makers live elsewhere.
DRAWN = """
import sys
from olhar.cli import main
from olhar.datasets.named import published

fetch = published.fetch
published.fetch = lambda url, *rest: fetch(sys.argv[1] + url.rpartition("/")[2], *rest)
sys.exit(main(["data", "mnist"]))
"""


@needs_data
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_download_inside_a_command_draws_one_bar(monkeypatch, slow_makers):
    import pty

    monkeypatch.delenv("OLHAR_DATA")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("OLHAR_LANG", "en")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", DRAWN, slow_makers], stdout=subprocess.PIPE, stderr=theirs, text=True
    )
    os.close(theirs)
    drawn = read_terminal(ours)
    output, _errors = process.communicate(timeout=120)
    assert process.returncode == 0, drawn
    assert "mnist: 70000 images" in output
    assert "downloading train-images-idx3-ubyte.gz" in drawn
    assert " MB/s" in drawn
    titles = [re.findall("downloading|reading", line) for line in drawn.split("\r\x1b[2K")]
    assert max(map(len, titles)) == 1
    assert drawn.count("\x1b[1A") == 1  # up a line: once, to take the bar away at the end


def read_terminal(number: int) -> str:
    """All that is written to a terminal until the last who could has closed it."""
    pieces = []
    with os.fdopen(number, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(65536)
            except OSError:  # how Linux says that
                break
            if not piece:
                break
            pieces.append(piece)
    return b"".join(pieces).decode()


# Wrong input


def test_a_data_folder_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("OLHAR_DATA", str(tmp_path / "misspelt"))
    with pytest.raises(MissingFileError, match="misspelt"):
        load_named("mnist")
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_no_data_and_no_network(tmp_path):
    for name in ("cifar10", "mnist", "fashion_mnist"):
        with pytest.raises(DownloadError, match="OLHAR_DATA"):
            load_named(name)
    assert not any((tmp_path / "cache" / "datasets").iterdir())


@needs_data
@pytest.mark.parametrize("damage", ["changed", "truncated", "empty", "too_long"])
@pytest.mark.parametrize("packing", [".gz", ""])
def test_a_damaged_mnist_file_is_named_with_both_md5s(data, damage, packing, tmp_path):
    copy_mnist(data)
    path = data / f"{STEMS[3]}{packing}"
    if not packing:
        (data / f"{STEMS[3]}.gz").unlink()
        path.write_bytes(mnist_bytes(STEMS[3]))
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "changed": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "truncated": content[:middle],
            "empty": b"",
            "too_long": content + b"more",
        }[damage]
    )
    with pytest.raises(ChecksumError) as caught:
        load_named("mnist")
    message = str(caught.value)
    assert caught.value.exit_status == 2
    assert path.name in message
    assert md5_file(path) in message
    (labels,) = (one for one in MNIST.published if one.holds == ("t10k-labels",))
    assert (labels.md5 if packing else labels.content_md5) in message  # type: ignore[attr-defined]
    with pytest.raises(ChecksumError) as again:  # those who hand the files on say the same
        named_files("mnist", download=False)
    assert str(again.value) == message
    assert not any((tmp_path / "cache" / "datasets").iterdir())


def test_a_damaged_fashion_file_is_told_only_to_those_who_ask_for_it(data):
    (data / "fashion-mnist").mkdir()
    (data / "fashion-mnist" / f"{STEMS[0]}.gz").write_bytes(gzip.compress(b"\0" * 100))
    with pytest.raises(ChecksumError, match="fashion"):
        load_named("fashion_mnist")
    with pytest.raises(DownloadError):
        load_named("mnist")


class Malice:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.system, (f"echo > {self.proof}",)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_a_malicious_batch_is_refused_before_it_is_unpickled(data, tmp_path, suffix):
    proof = tmp_path / "proof"
    evil = pickle.dumps(Malice(proof), protocol=2)
    make_tar(data / "sets" / f"cifar-10-python{suffix}", {"data_batch_1": evil})
    with pytest.raises(ChecksumError, match="data_batch_1") as caught:
        load_named("cifar10")
    assert md5_bytes(evil) in str(caught.value)
    assert cifar10._BATCH_MD5["data_batch_1"] in str(caught.value)
    with pytest.raises(pickle.UnpicklingError, match="system"):
        cifar10._decode_batch(evil)
    assert not proof.exists()


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all" * 100, b"\xfd7zXZ\x00" + b"\0" * 600]
)
def test_an_archive_that_is_none(data, content):
    (data / "cifar-10-python.tar.xz").write_bytes(content)
    with pytest.raises(ChecksumError, match="cifar-10-python"):
        load_named("cifar10")


@needs_data
def test_a_truncated_archive(data):
    with (SHARED / "cifar10" / "cifar-10-python.tar.xz").open("rb") as file:
        (data / "cifar-10-python.tar.xz").write_bytes(file.read(5_000_000))
    with pytest.raises(ChecksumError, match="damaged"):
        load_named("cifar10")


def test_other_versions_of_cifar10_and_links_are_passed_over(data):
    make_tar(data / "cifar10.tar.gz", {"train/frog/1.png": b"png"})
    make_tar(data / "cifar-100-python.tar.gz", {"test_batch": b"of another set"})
    with tarfile.open(data / "cifar-10.tar", "w") as archive:
        link = tarfile.TarInfo("data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DownloadError):
        load_named("cifar10")
    with pytest.raises(MissingFileError, match="not on this computer"):
        named_files("cifar10", download=False)


# The cache


def small_entry(folder: Path, count: int = 6, rows: int = 8) -> cache.CacheEntry:
    images = cache.allocate_images(folder, (rows, 4, 5, 3))
    images[:] = np.arange(rows, dtype=np.uint8)[:, None, None, None]
    return cache.CacheEntry(
        images=images,
        labels=np.arange(count, dtype=np.int64) % 2,
        class_names=("ants", "abelhas ☺"),
        parts={"train": count - 2, "test": 2},
        files=tuple(f"{i}.jpg" for i in range(count)),
        set_aside=(("bad.jpg", "truncated"),),
    )


def test_an_entry_comes_back_as_it_was_saved(tmp_path):
    saved = cache.save_cached("photos", small_entry)
    loaded = cache.load_cached("photos")
    assert loaded is not None
    assert loaded.images.shape == (6, 4, 5, 3)  # two rows were left over
    assert loaded.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert loaded.class_names == ("ants", "abelhas ☺")
    assert loaded.files[5] == "5.jpg"
    assert loaded.set_aside == (("bad.jpg", "truncated"),)
    assert loaded.part_indices()["test"].tolist() == [4, 5]
    assert loaded.fingerprint == saved.fingerprint
    assert loaded.fingerprint == cache.fingerprint(
        np.array(loaded.images), loaded.labels, loaded.class_names
    )
    folder = tmp_path / "cache" / "datasets" / "photos"
    assert json.loads((folder / "meta.json").read_text(encoding="utf-8"))["format"] == 1
    assert [path.name for path in folder.parent.iterdir()] == ["photos"]


def test_the_fingerprint_tells_images_labels_names_and_shape_apart():
    images = np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3)
    labels = np.array([0, 1, 0, 1])
    changed = images.copy()
    changed[3, 1, 1, 2] += 1
    prints = {
        cache.fingerprint(images, labels, ["a", "b"]),
        cache.fingerprint(changed, labels, ["a", "b"]),
        cache.fingerprint(images.reshape(4, 4, 1, 3), labels, ["a", "b"]),
        cache.fingerprint(images, 1 - labels, ["a", "b"]),
        cache.fingerprint(images, labels, ["ab", ""]),
    }
    assert len(prints) == 5


DAMAGES = {
    "no meta": lambda folder: (folder / "meta.json").unlink(),
    "bad JSON": lambda folder: (folder / "meta.json").write_text("{", encoding="utf-8"),
    "JSON of another kind": lambda folder: (folder / "meta.json").write_text("[]"),
    "newer format": lambda folder: (folder / "meta.json").write_text('{"format": 2}'),
    "no images": lambda folder: (folder / "images.npy").unlink(),
    "short images": lambda folder: os.truncate(folder / "images.npy", 200),
    "empty images": lambda folder: os.truncate(folder / "images.npy", 0),
    "no array": lambda folder: (folder / "images.npy").write_bytes(b"x" * 500),
    "other labels": lambda folder: np.save(folder / "labels.npy", np.arange(3)),
    "labels out of range": lambda folder: np.save(folder / "labels.npy", np.arange(6)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_made_again(damage, tmp_path):
    folder = tmp_path / "cache" / "datasets" / "photos"
    cache.save_cached("photos", small_entry)
    DAMAGES[damage](folder)
    assert cache.load_cached("photos") is None
    assert len(cache.save_cached("photos", small_entry).images) == 6
    assert cache.load_cached("photos") is not None
    assert [path.name for path in folder.parent.iterdir()] == ["photos"]


def test_what_fails_leaves_nothing(tmp_path):
    def fail(folder: Path) -> cache.CacheEntry:
        small_entry(folder)
        raise DownloadError("no luck")

    with pytest.raises(DownloadError):
        cache.save_cached("photos", fail)
    assert not any((tmp_path / "cache" / "datasets").iterdir())


def test_what_a_killed_process_left_goes_after_a_day(tmp_path):
    old = tmp_path / "cache" / "datasets" / ".photos.abandoned"
    fresh = old.with_name(".photos.at_work")
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    cache.save_cached("photos", small_entry)
    assert {path.name for path in old.parent.iterdir()} == {"photos", ".photos.at_work"}


def run_python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@needs_data
def test_two_processes_at_once_both_succeed(data, tmp_path):
    copy_mnist(data)
    code = "from olhar.datasets.named import *; print(load_named('mnist').fingerprint)"
    both = [run_python(code) for _ in range(2)]
    for process in both:
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
        assert output.startswith(MNIST_FINGERPRINT)
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir()] == ["mnist"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes the POSIX way")
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    # Beyond the limit the system answers a write as it does on a full disk.
    code = """
import resource
from olhar.datasets.cache import *
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
def fill(folder):
    allocate_images(folder, (1000, 64, 64, 3))[:] = 1
try:
    save_cached("photos", fill)
except StorageError as error:
    print(error)
"""
    process = run_python(code)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "is full" in output
    assert not any((tmp_path / "cache" / "datasets").iterdir())


def test_a_cache_that_may_not_be_written(unprivileged):
    with pytest.raises(NoPermissionError, match="cache"):
        cache.save_cached("photos", small_entry)


def test_a_cache_that_is_a_file(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(WrongPathError, match="cache"):
        cache.save_cached("photos", small_entry)


def test_the_platform_says_where_the_cache_is(monkeypatch):
    monkeypatch.delenv("OLHAR_CACHE")
    assert "olhar" in str(cache.cache_folder())
