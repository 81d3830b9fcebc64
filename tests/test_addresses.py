"""Data at an address: photos that lie in a bucket, listed, fetched once, and followed when they change."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import DATA, finish, needs_data, olhar, start
from olhar import errors
from olhar.datasets import PhotoFolder, addresses, open_source
from olhar.i18n import Text
from olhar.objects import bucket as buckets
from olhar.objects.contract import StoredObject
from olhar.progress import Progress
from olhar.stores.s3_bucket import _build_client
from stores_servers import Place, environment, make_bucket, open_place
from swift_server import READER_KEY, READER_SECRET


# Swift with every test takes minutes; the whole way is gone with it in each run all the same.
@pytest.fixture(scope="module", params=["moto", pytest.param("swift", marks=pytest.mark.soak)])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with open_place(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture(autouse=True)
def _fresh(own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is in the cache, and every opening lists anew."""
    monkeypatch.setattr(addresses, "_FRESH_S", -1.0)


class Notes(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: Text) -> None:
        self.said.append(str(text))


class Folder:
    """A prefix of a bucket, written by other means than olhar's."""

    def __init__(self, address: str) -> None:
        self.address = f"{address}/"
        self.bucket, _slash, self._prefix = address.removeprefix("s3://").partition("/")
        self._client = _build_client()

    def put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self.bucket, Key=f"{self._prefix}/{key}", Body=content)

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self.bucket, Key=f"{self._prefix}/{key}")


def photo(number: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (12, 12, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


PETS = {
    f"{name}/{n}.png": photo(10 * k + n) for k, name in enumerate(("cat", "dog")) for n in range(4)
}


@pytest.fixture
def pets(place: Place) -> Iterator[Folder]:
    folder = Folder(place.new_store())
    for key, content in PETS.items():
        folder.put(key, content)
    yield folder
    folder._client.close()


def opened(address: str) -> tuple[PhotoFolder, list[str]]:
    notes = Notes()
    source = open_source_with(address, notes)
    return source, notes.said


def open_source_with(address: str, progress: Progress) -> PhotoFolder:
    source = open_source(address, progress)
    assert isinstance(source, PhotoFolder)
    return source


def contents(source: PhotoFolder) -> dict[str, bytes]:
    return {file: (source.path / file).read_bytes() for file in source.files}


def test_class_folders(pets: Folder) -> None:
    source, said = opened(pets.address)
    assert contents(source) == PETS
    assert source.class_names == ("cat", "dog")
    assert source.name == pets.address
    assert said[0].startswith(
        f"fetching 8 object(s) of '{pets.address[:-1]}' into the cache, 0.0 MB"
    )
    again, said = opened(pets.address.rstrip("/"))
    assert contents(again) == PETS
    assert said == []
    assert source.origin is not None  # nothing may be moved in the cache


def test_parts_and_folder_markers(pets: Folder) -> None:
    for part in ("train", "val", "test"):
        pets.put(f"{part}/", b"")
        for key, content in PETS.items():
            pets.put(f"{part}/{key}", content + part.encode())
            pets.remove(key)
        pets.put(f"{part}/cat/", b"")
    pets.put(".DS_Store", b"junk")
    pets.put("train/cat/Thumbs.db", b"junk")
    source, said = opened(pets.address)
    assert {part: len(rows) for part, rows in source.parts.items()} == {
        "train": 8,
        "val": 8,
        "test": 8,
    }
    assert said[0].startswith("fetching 24 object(s)")


def test_a_bucket_that_changed(pets: Folder) -> None:
    opened(pets.address)
    pets.put("cat/9.png", photo(99))
    pets.put("dog/0.png", PETS["dog/1.png"])
    pets.remove("cat/0.png")
    source, said = opened(pets.address)
    assert said[0] == (
        f"'{pets.address[:-1]}' is not what it was: 1 object(s) are new, 1 changed, 1 gone"
    )
    assert said[1].startswith("fetching 2 object(s)")
    wanted = {**PETS, "cat/9.png": photo(99), "dog/0.png": PETS["dog/1.png"]}
    del wanted["cat/0.png"]
    assert contents(source) == wanted
    for n in range(4):
        pets.remove(f"dog/{n}.png")
        pets.put(f"ewe/{n}.png", photo(n + 50))
    source, _said = opened(pets.address)
    assert source.class_names == ("cat", "ewe")
    assert not (source.path / "dog").exists()


def test_a_folder_becomes_a_file_and_back(pets: Folder) -> None:
    opened(pets.address)
    pets.put("cat/0.png/1.png", photo(1))
    source, _said = opened(pets.address)
    assert "cat/0.png/1.png" in source.files
    assert any("there is a folder of that name, too" in str(note) for note in source.notes)
    pets.remove("cat/0.png/1.png")
    source, _said = opened(pets.address)
    assert contents(source) == PETS


def test_keys_that_are_no_paths(pets: Folder, tmp_path: Path) -> None:
    for key in ("../x.png", "cat/../../y.png", "cat//0.png", "cat/a\x07b.png", "cat\\z.png"):
        pets.put(key, photo(5))
    pets.put(f"cat/{'n' * 300}.png", photo(6))
    pets.put("dog", b"")  # a folder marker of some programs
    source, _said = opened(pets.address)
    assert contents(source) == PETS
    notes = [str(note) for note in source.notes]
    assert "2 object(s) are left out, such as '../x.png': it leaves the folder" in notes
    assert (
        "2 object(s) are left out, such as 'cat//0.png': no folder or file can have such a name here"
        in notes
    )
    assert (
        "1 object(s) are left out, such as 'cat/a\\x07b.png': its name holds control characters"
        in notes
    )
    assert any("its name is longer than disks allow" in note for note in notes)
    found = {path.name for path in Path(os.environ["OLHAR_CACHE"]).rglob("*.png")}
    assert not found & {"x.png", "y.png"}


_PARTS = st.sampled_from(
    ["..", ".", "", "a", "b", "A", "é", "aux", "x" * 256, "\x00", "c:", "\\", "1.png"]
)


@given(st.lists(st.lists(_PARTS, min_size=1, max_size=4).map("/".join), unique=True), st.booleans())
def test_whatever_the_keys_are_files_stay_in_the_folder(keys: list[str], folds: bool) -> None:
    objects = [StoredObject(key, 1, "e", 0.0) for key in keys]
    chosen, notes = addresses.choose_objects(objects, folds_case=folds)
    found = [one.key for one in chosen]
    for key in found:
        assert os.path.normpath(f"/root/{key}") == f"/root/{key}"
        assert not any(other.startswith(f"{key}/") for other in found)
        assert "\0" not in key
    assert len(found) == len(keys) or notes


def test_names_that_differ_by_case_on_a_disk_that_takes_them_for_one(pets: Folder) -> None:
    objects = [StoredObject(key, 1, "e", 0.0) for key in ("Cat/1.png", "cat/1.png", "cat/2.png")]
    chosen, notes = addresses.choose_objects(objects, folds_case=True)
    assert [one.key for one in chosen] == ["Cat/1.png", "cat/2.png"]
    assert "'cat/1.png'" in str(notes[0])
    assert len(addresses.choose_objects(objects, folds_case=False)[0]) == 3


def test_one_object(pets: Folder) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for key, content in PETS.items():
            archive.writestr(key, content)
    pets.put("all/pets.zip", file.getvalue())
    pets.put("all/pets.csv", b"file_name,label\n")
    source, said = opened(f"{pets.address}all/pets.zip")
    assert contents(source) == PETS
    assert said[0].startswith("fetching 1 object(s)")
    assert opened(f"{pets.address}all/pets.zip")[1] == []


def test_a_table_beside_photos(pets: Folder) -> None:
    rows = "".join(f"{key},{key[0]}\n" for key in PETS)
    pets.put("metadata.csv", f"file_name,label\n{rows}".encode())
    for address in (pets.address, f"{pets.address}metadata.csv"):
        source, _said = opened(address)
        assert source.class_names == ("c", "d")
        assert contents(source) == PETS


def test_a_table_of_pixels_is_fetched_alone(pets: Folder) -> None:
    rows = [",".join(map(str, [n % 2, *range(n, n + 16)])) for n in range(12)]
    header = ",".join(["label", *(f"pixel{n}" for n in range(16))])
    pets.put("pixels.csv", "\n".join([header, *rows, ""]).encode())
    notes = Notes()
    assert len(open_source(f"{pets.address}pixels.csv", notes)) == 12
    assert notes.said[0].startswith("fetching 1 object(s)")


def test_nothing_there(place: Place) -> None:
    address = place.new_store()
    for end in ("", "/"):
        with pytest.raises(errors.UnknownNameError, match=f"there is nothing at '{address}'"):
            open_source(address + end)
    with pytest.raises(errors.StoreError, match="there is no bucket 'no-such'"):
        open_source("s3://no-such/photos/")
    with pytest.raises(errors.StoreError, match="there is no bucket 'no-such'"):
        open_source("s3://no-such")
    done = olhar("data", f"{address}/")
    assert done.status == 2
    assert "there is nothing at" in done.err
    assert "Traceback" not in done.err


def test_an_empty_bucket(place: Place) -> None:
    make_bucket("empty")
    with pytest.raises(errors.UnknownNameError, match="there is nothing at 's3://empty'"):
        open_source("s3://empty/")


def test_a_store_is_no_folder_of_photos(place: Place, tmp_path: Path) -> None:
    store = place.new_store()
    assert olhar("data", "push", "digits", store).status == 0
    with pytest.raises(errors.ConfigError, match=f"--data {store}/digits"):
        open_source(f"{store}/")
    assert len(open_source(f"{store}/digits")) == 1797
    assert len(open_source(f"{store}/digits@1")) == 1797


def test_no_permission(pets: Folder, place: Place) -> None:
    if "moto" in str(pets.bucket) or place.root != "s3://tests":
        pytest.skip("moto lets everybody in")
    reader = {"AWS_ACCESS_KEY_ID": READER_KEY, "AWS_SECRET_ACCESS_KEY": READER_SECRET}
    with environment(reader), pytest.raises(errors.NoPermissionError, match="s3:ListBucket"):
        open_source(pets.address)
    with (
        environment({"AWS_SECRET_ACCESS_KEY": "wrong"}),
        pytest.raises(errors.StoreError, match="refuses the login"),
    ):
        open_source(pets.address)


def test_a_fetch_that_breaks_goes_on(pets: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = buckets.BucketObjects.fetch

    def full(self: Any, key: str, *rest: Any) -> None:
        if key == "dog/3.png":
            time.sleep(0.5)  # the others have come
            raise errors.StorageError("the disk is full")
        fetch(self, key, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(buckets.BucketObjects, "fetch", full)
        notes = Notes()
        with pytest.raises(errors.StorageError, match="the disk is full"):
            open_source(pets.address, notes)
        assert "the same command goes on from there" in notes.said[-1]
    source, said = opened(pets.address)
    assert said[0].endswith("goes on: 7 of 8 object(s) are here, 0.0 MB are missing")
    assert contents(source) == PETS


def test_a_bucket_that_changes_while_it_is_read(
    pets: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = buckets.BucketObjects.fetch
    times = []

    def change(self: Any, key: str, *rest: Any) -> None:
        if key == "cat/0.png" and len(times) < 2:
            times.append(key)
            pets.put("cat/0.png", photo(70 + len(times)))
        fetch(self, key, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(buckets.BucketObjects, "fetch", change)
        source, said = opened(pets.address)
    assert contents(source) == {**PETS, "cat/0.png": photo(72)}
    assert sum("were changed or removed while they were read" in note for note in said) == 2

    def never(self: Any, key: str, path: Path, listed: StoredObject, *rest: Any) -> None:
        pets.put("cat/0.png", photo(80 + len(times)))
        times.append(key)
        fetch(self, key, path, listed, *rest)

    pets.put("cat/0.png", photo(79))
    monkeypatch.setattr(buckets.BucketObjects, "fetch", never)
    with pytest.raises(errors.DataError, match="was changed each of 3 times"):
        open_source(pets.address)


def test_a_damaged_copy_is_mended(pets: Folder) -> None:
    source, _said = opened(pets.address)
    (source.path / "cat/0.png").write_bytes(b"cut")
    (source.path / "cat/extra.png").write_bytes(photo(1))
    (source.path / "cat/1.png").unlink()
    source, said = opened(pets.address)
    assert contents(source) == PETS
    assert said


def test_nothing_is_moved_in_a_bucket_nor_in_its_copy(pets: Folder) -> None:
    done = olhar("data", pets.address, "--fix", "safe")
    assert done.status == 2
    assert f"olhar data export {pets.address} --to folder --out FOLDER" in done.err


def test_a_version_is_one_of_a_store(pets: Folder) -> None:
    done = olhar("train", "--data", f"{pets.address}x@2", "--network", "lenet5")
    assert done.status == 2
    assert f"there is no store in '{pets.address[:-1]}'" in done.err


def test_no_space(pets: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("olhar.datasets.addresses.copy._SPARE_BYTES", 2**60)
    with pytest.raises(errors.StorageError, match="free some space, or set OLHAR_CACHE"):
        open_source(pets.address)


def test_shards_in_a_bucket(pets: Folder) -> None:
    keys = sorted(PETS)
    for n in range(2):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            for number, key in enumerate(keys[n::2]):
                for end, content in (("png", PETS[key]), ("cls", key[:3].encode())):
                    info = tarfile.TarInfo(f"{number:06d}.{end}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        pets.put(f"shards/pets-{n}.tar", file.getvalue())
    source, _said = opened(f"{pets.address}shards/")
    assert source.class_names == ("cat", "dog")
    assert sorted(contents(source).values()) == sorted(PETS.values())
    assert len(opened(f"{pets.address}shards/pets-0.tar")[0]) == 4


def many(folder: Folder, count: int) -> None:
    """Class folders with so many small photos."""
    names = [f"{name}/{n:04d}.png" for name in ("a", "b") for n in range(count // 2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: folder.put(row[1], photo(row[0])), enumerate(names)))


def fetching(folder: Folder, files: int) -> Any:
    """`olhar data` of a folder, under way: so many files have come."""
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start("data", folder.address, cold=True, **quiet)
    cache, end = Path(os.environ["OLHAR_CACHE"]), time.monotonic() + 120
    while len(list(cache.glob("fetched/*/files/*/*"))) < files and time.monotonic() < end:
        time.sleep(0.01)
    return process


def test_a_process_that_is_killed_goes_on(place: Place, tmp_path: Path) -> None:
    folder = Folder(place.new_store())
    many(folder, 200)
    cache = Path(os.environ["OLHAR_CACHE"])
    killed = fetching(folder, 20)
    os.killpg(killed.pid, signal.SIGKILL)
    finish(killed, "data")
    here = len(list(cache.glob("fetched/*/files/*/*")))
    assert 20 <= here < 200
    done = olhar("data", folder.address, "--json")
    assert done.status == 0, done.err
    assert done.json["images"] == 200
    assert f"fetching of '{folder.address[:-1]}' goes on: " in done.err
    (copy,) = cache.glob("fetched/*")
    assert sorted(path.name for path in copy.iterdir()) == [
        ".lock",
        "files",
        "index.jsonl",
        "whole",
    ]
    folder._client.close()


def test_ctrl_c_ends_it_at_once(place: Place, tmp_path: Path) -> None:
    folder = Folder(place.new_store())
    many(folder, 200)
    stopped = fetching(folder, 1)
    os.kill(stopped.pid, signal.SIGINT)
    done = finish(stopped, "data", timeout_s=60)
    assert done.status == 130
    assert done.err.endswith("interrupted\n")
    assert "Traceback" not in done.err
    folder._client.close()


def test_a_sweep(place: Place, tmp_path: Path) -> None:
    folder = Folder(place.new_store())
    many(folder, 60)
    words = [
        "--network",
        "lenet5",
        "--epochs",
        1,
        "--param",
        "lr=0.1,0.01",
        "--out",
        tmp_path / "s",
    ]
    done = olhar("sweep", "--data", folder.address, *words, "--json")
    assert done.status == 0, done.err
    folder._client.close()


def test_two_processes_at_once(place: Place, tmp_path: Path) -> None:
    folder = Folder(place.new_store())
    many(folder, 60)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _n: olhar("data", folder.address, "--json"), range(2)))
    assert [one.status for one in done] == [0, 0]
    assert [one.json["images"] for one in done] == [60, 60]
    assert sum("fetching 60 object(s)" in one.err for one in done) == 1
    folder._client.close()


def test_the_whole_way_with_swift(tmp_path: Path) -> None:
    with open_place("swift", tmp_path / "swift") as place:
        test_train_evaluate_resume(place, tmp_path)
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_train_evaluate_resume(place: Place, tmp_path: Path) -> None:
    folder = Folder(place.new_store())
    many(folder, 60)
    run = tmp_path / "run"
    words = ["train", "--data", folder.address, "--network", "lenet5", "--epochs", 2, "--run", run]
    done = olhar(*words, "--json")
    assert done.status == 0, done.err
    assert f'name = "{folder.address}"' in (run / "config.toml").read_text()
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    for path in [*run.rglob("*"), *Path(os.environ["OLHAR_CACHE"]).rglob("*")]:
        assert not path.is_file() or secret.encode() not in path.read_bytes()
    shutil.rmtree(run / "model")
    (run / "metrics.json").unlink()
    resumed = olhar("resume", run, "--json")
    assert resumed.status == 0, resumed.err
    assert resumed.json["accuracy"] == done.json["accuracy"]
    assert olhar("evaluate", run, "--json").json["accuracy"] == done.json["accuracy"]
    folder.put("a/9999.png", photo(9999))
    changed = olhar("evaluate", run, "--json", "--split", "all")
    assert changed.status == 0, changed.err
    assert "is not what it was: 1 object(s) are new, 0 changed, 0 gone" in changed.err
    folder._client.close()


@needs_data
def test_photos_and_a_backbone(place: Place, tmp_path: Path) -> None:
    folder = Folder(place.new_store())
    for name in ("ants", "bees"):
        for path in sorted(Path(DATA, "hymenoptera_data", "train", name).iterdir())[:20]:
            folder.put(f"{name}/{path.name}", path.read_bytes())
    weights = Path(DATA, "weights", "mobilenet_v2_imagenet.pth")
    words = ["--backbone", "mobilenet_v2", "--weights", weights, "--run", tmp_path / "r", "--json"]
    done = olhar("train", "--data", folder.address, *words)
    assert done.status == 0, done.err
    assert done.json["accuracy"] > 0.7
    assert f"fetching 40 object(s) of '{folder.address[:-1]}'" in done.err
    folder._client.close()


def test_a_file_address(tmp_path: Path, digits_folder: Path) -> None:
    done = olhar("data", f"file://{digits_folder}", "--json")
    assert done.status == 0, done.err
    assert done.json["classes"] == olhar("data", digits_folder, "--json").json["classes"]
    assert "there is no" in olhar("data", f"file://{tmp_path}/nothing").err


@pytest.fixture
def digits_folder(tmp_path: Path) -> Path:
    for key, content in PETS.items():
        path = tmp_path / "my pets" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "my pets"
