"""Objects: a bucket of moto's and Swift's, and a folder, behind one contract."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from olhar import errors
from olhar.objects import ObjectChanged, Objects, is_address, open_objects
from olhar.objects.bucket import BucketObjects
from olhar.objects.contract import StoredObject
from olhar.objects.listing import list_parallel
from olhar.stores import s3_bucket
from olhar.stores.s3_bucket import _build_client
from stores_servers import Place, environment, make_bucket, open_place
from swift_server import running_swift, swift_venv

KEYS = ["a.txt", "a/1", "a/b/2", "a/b/3", "a-b/4", "ação/5 ü?#%.jpg", "z/1/1/1/6", "a0"]


@pytest.fixture(scope="module", params=["folder", "moto", "swift"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with open_place(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


# What buckets alone have is proved on Swift, too, by make soak; what all places have in each run.
@pytest.fixture(scope="module", params=["moto", pytest.param("swift", marks=pytest.mark.soak)])
def bucket(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with open_place(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


def put(address: str, contents: Mapping[str, bytes]) -> None:
    """Put objects below an address, by other means than olhar's."""
    if not address.startswith("s3://"):
        for key, content in contents.items():
            path = Path(address, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return
    name, _slash, prefix = address.removeprefix("s3://").partition("/")
    client = _build_client()
    for key, content in contents.items():
        client.put_object(Bucket=name, Key=f"{prefix}/{key}", Body=content)
    client.close()


def filled(place: Place, keys: list[str]) -> str:
    address = place.new_store()
    put(address, {key: key.encode() for key in keys})
    return address


def opened(address: str) -> Objects:
    return open_objects(address + "/")


def test_list_read_and_fetch(place: Place, tmp_path: Path) -> None:
    objects = opened(filled(place, KEYS))
    found = list(objects.list())
    assert [one.key for one in found] == sorted(KEYS)
    for one in found:
        assert one.size == len(one.key.encode())
        assert one.modified > 1.6e9
        assert objects.read(one.key) == one.key.encode()
        moved: list[int] = []
        objects.fetch(one.key, tmp_path / "x", one, moved.append)
        assert (tmp_path / "x").read_bytes() == one.key.encode()
        assert sum(moved) == one.size
    objects.fetch("a.txt", tmp_path / "y")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y"]
    objects.close()


def test_what_is_gone_or_another(place: Place, tmp_path: Path) -> None:
    address = filled(place, ["a", "b"])
    objects = opened(address)
    listed = {one.key: one for one in objects.list()}
    put(address, {"a": b"another, and longer"})
    with pytest.raises(ObjectChanged, match="'a' in"):
        objects.fetch("a", tmp_path / "a", listed["a"])
    with pytest.raises(ObjectChanged, match="'c' in"):
        objects.fetch("c", tmp_path / "c")
    with pytest.raises(ObjectChanged):
        objects.read("c")
    assert list(tmp_path.iterdir()) == []
    objects.close()


def test_an_address_of_one_object(place: Place) -> None:
    address = filled(place, ["x/photos.zip", "x/photos.zip.txt"])
    objects = open_objects(f"{address}/x/photos.zip")
    assert [one.key for one in objects.list()] == ["photos.zip"]
    assert objects.read("photos.zip") == b"x/photos.zip"
    objects.close()


def test_a_prefix_is_no_beginning_of_a_name(place: Place) -> None:
    address = filled(place, ["cat/1", "catfish/1"])
    for end in ("", "/"):
        objects = open_objects(f"{address}/cat{end}")
        assert [one.key for one in objects.list()] == ["1"]
        objects.close()


def test_folder_markers_of_consoles(bucket: Place) -> None:
    address = filled(bucket, ["cat/1.jpg"])
    put(address, dict.fromkeys(("", "cat/", "dog/"), b""))
    put(address[: address.rfind("/")], {address[address.rfind("/") + 1 :]: b""})
    objects = open_objects(address)
    assert [one.key for one in objects.list()] == ["cat/1.jpg"]
    objects.close()


def test_a_thousand_and_more(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two objects, so that levels and folders go over many of them."""
    keys = sorted(f"{a}/{b}{'/x' * (n % 3)}/{n}" for a in "pqr" for b in "st" for n in range(5))
    objects = opened(filled(bucket, keys))
    assert isinstance(objects, BucketObjects)
    for most in (2, 7, 1000):
        ask = objects._page
        wanted: dict[str, Any] = {"MaxKeys": most}
        monkeypatch.setattr(objects, "_page", lambda ask=ask, w=wanted, **more: ask(**more, **w))
        assert [one.key for one in objects.list()] == keys
        begun = objects.list()
        assert next(begun).key == keys[0]
        begun.close()  # type: ignore[attr-defined]
        monkeypatch.undo()
    objects.close()


_KEYS = st.lists(
    st.lists(st.sampled_from(["a", "b", "a-", "a0", "ü", ""]), min_size=1, max_size=5).map(
        "/".join
    ),
    max_size=40,
    unique=True,
)


@given(_KEYS, st.integers(1, 30), st.integers(1, 5))
def test_folders_listed_beside_each_other_give_one_order(
    keys: list[str], most: int, page: int
) -> None:
    """As a server lists: levels by the slash, in pages."""
    objects = [StoredObject(key, 1, "e", 0.0) for key in sorted(keys)]

    def level(prefix: str) -> list[StoredObject | str] | None:
        below = [one for one in objects if one.key.startswith(prefix)]
        inner = [(one, one.key[len(prefix) :]) for one in below]
        found: list[StoredObject | str] = [one for one, rest in inner if "/" not in rest]
        found += {prefix + rest.partition("/")[0] + "/" for _one, rest in inner if "/" in rest}
        found.sort(key=lambda one: one if isinstance(one, str) else one.key)
        return found if len(found) <= most else None

    def pages(prefix: str) -> Iterator[list[StoredObject]]:
        below = [one for one in objects if one.key.startswith(prefix)]
        for start in range(0, len(below), page):
            yield below[start : start + page]

    assert list(list_parallel("", level, pages)) == objects


def test_an_error_of_one_folder_ends_the_listing() -> None:
    def pages(folder: str) -> Iterator[list[StoredObject]]:
        yield [StoredObject(f"{folder}1", 1, "e", 0.0)]
        if folder == "b/":
            raise errors.StoreError("broken")

    listed = list_parallel("", lambda prefix: None if prefix else ["a/", "b/", "c/"], pages)
    assert [next(listed).key, next(listed).key] == ["a/1", "b/1"]
    with pytest.raises(errors.StoreError, match="broken"):
        next(listed)


def test_a_server_that_goes_and_comes_back(tmp_path: Path) -> None:
    venv = swift_venv()
    if venv is None:
        pytest.skip("OLHAR_TEST_SWIFT names no virtual environment with OpenStack Swift")
    with running_swift(venv, tmp_path / "swift") as swift, environment(swift.environment()):
        make_bucket("tests")
        address = filled(Place("s3://tests", {}), ["a", "b/c"])
        objects = opened(address)
        swift.stop()
        back = threading.Timer(3, swift.start)
        back.start()
        assert [one.key for one in objects.list()] == ["a", "b/c"]
        back.join()
        swift.stop()
        back = threading.Timer(3, swift.start)
        back.start()
        objects.fetch("a", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == b"a"
        back.join()
        objects.close()


def test_parts_have_no_md5(bucket: Place, tmp_path: Path) -> None:
    address = bucket.new_store()
    content = random.Random(1).randbytes(6 * 2**20)
    name, _slash, prefix = address.removeprefix("s3://").partition("/")
    client = _build_client()
    from boto3.s3.transfer import TransferConfig

    parts = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)
    client.upload_fileobj(io.BytesIO(content), name, f"{prefix}/big", Config=parts)
    client.close()
    objects = opened(address)
    (listed,) = objects.list()
    assert listed.etag.endswith("-2")
    objects.fetch("big", tmp_path / "big", listed)
    assert (tmp_path / "big").read_bytes() == content
    objects.close()


def test_a_fetch_goes_on_where_it_broke(
    bucket: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = bucket.new_store()
    content = random.Random(2).randbytes(5 * 2**20)
    put(address, {"big": content})
    objects = opened(address)
    assert isinstance(objects, BucketObjects)
    (listed,) = objects.list()
    moved: list[int] = []

    def full(size_bytes: int) -> None:
        moved.append(size_bytes)
        if sum(moved) >= 3 * 2**20:
            raise OSError(28, "No space left on device")

    with pytest.raises(errors.StorageError, match="full"):
        objects.fetch("big", tmp_path / "big", listed, full)
    (part,) = tmp_path.iterdir()
    assert part.stat().st_size >= 2 * 2**20
    asked: list[str] = []
    get = objects._bucket.get
    monkeypatch.setattr(
        objects._bucket, "get", lambda key, **more: asked.append(more["Range"]) or get(key, **more)
    )
    moved.clear()
    objects.fetch("big", tmp_path / "big", listed, moved.append)
    assert asked[0].startswith("bytes=")
    assert asked[0] != "bytes=0-"
    assert sum(moved) == len(content)
    assert [path.name for path in tmp_path.iterdir()] == ["big"]
    assert (tmp_path / "big").read_bytes() == content
    objects.close()


def test_damage_on_the_way(bucket: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = filled(bucket, ["a"])
    objects = opened(address)
    assert isinstance(objects, BucketObjects)
    (listed,) = objects.list()
    assert listed.etag == hashlib.md5(b"a").hexdigest()
    get = objects._bucket.get

    def damaged(key: str, **more: str) -> Any:
        answer = get(key, **more)
        answer["Body"].close()
        answer["Body"] = Body(b"b")
        return answer

    monkeypatch.setattr(objects._bucket, "get", damaged)
    with pytest.raises(errors.ChecksumError, match=r"'a' in .* came damaged"):
        objects.fetch("a", tmp_path / "a", listed)
    assert list(tmp_path.iterdir()) == []
    objects.close()


class Body(io.BytesIO):
    def iter_chunks(self, size: int) -> Iterator[bytes]:
        yield self.read(size)


def test_what_cannot_be_opened(bucket: Place, tmp_path: Path) -> None:
    with pytest.raises(errors.StoreError, match="there is no bucket 'nowhere'"):
        open_objects("s3://nowhere/photos/")
    with pytest.raises(errors.ConfigError, match="is no address"):
        open_objects("s3://AKIA:secret@bucket/photos/")
    with pytest.raises(errors.ConfigError, match="no objects to list"):
        open_objects("mongodb://localhost/db")
    with pytest.raises(errors.MissingFileError, match="there is no"):
        open_objects(f"file://{tmp_path}/nothing/")
    with (
        environment({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}),
        pytest.raises(errors.StoreError, match="nothing listens there"),
    ):
        open_objects("s3://tests/photos/")


def test_a_login_for_a_prefix_alone(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a policy with s3:prefix = "x/*" has it: the same without the slash is denied."""
    address = filled(bucket, ["a"])
    build = s3_bucket._build_client

    def deny() -> Any:
        client = build()
        ask = client.list_objects_v2

        def listed(**wanted: Any) -> Any:
            if not wanted["Prefix"].endswith("/"):
                answer = {"Error": {"Code": "AccessDenied"}}
                raise ClientError(answer, "ListObjectsV2")  # type: ignore[arg-type]
            return ask(**wanted)

        client.list_objects_v2 = listed
        return client

    monkeypatch.setattr(s3_bucket, "_build_client", deny)
    for end in ("", "/"):
        objects = open_objects(address + end)
        assert [one.key for one in objects.list()] == ["a"]
        objects.close()


def test_a_folder_by_its_address(tmp_path: Path) -> None:
    address = filled(Place(str(tmp_path), {}), ["a b/1"])
    objects = open_objects(f"file://{address}".replace("t", "%74", 1))
    (found,) = objects.list()
    facts = (Path(address) / "a b/1").stat()
    assert found == StoredObject("a b/1", 5, found.etag, facts.st_mtime)
    objects.close()


def test_addresses() -> None:
    assert all(map(is_address, ["s3://b", "S3://b/x/", "file:///x"]))
    assert not any(map(is_address, ["x", "./s3:/x", "C:/x", "mongodb://h/d", "https://h/x"]))
