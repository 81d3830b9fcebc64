"""Stores: one contract, held by a folder, moto, OpenStack Swift and a MongoDB server alike."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Done, olhar
from olhar import errors, registry
from olhar.classifier import load_classifier
from olhar.datasets import open_source
from olhar.datasets.arrays import as_arrays
from olhar.datasets.stored import load_stored, push_dataset
from olhar.progress import Progress
from olhar.stores import open_store, parse_store
from olhar.stores.address import hide_secrets, parse_address
from olhar.stores.contract import PersistentStore, TransientStoreError, persist
from olhar.stores.manifest import Manifest, StoredFile, now, read_manifest
from olhar.stores.names import check_name, is_name, suggest_name
from olhar.stores.publish import mark_store, push_version
from olhar.stores.space import collect, pushing
from olhar.stores.versions import (
    DATASETS,
    MARKER,
    MODELS,
    fetch_files,
    file_key,
    find_version,
    list_versions,
    remove_versions,
    set_tag,
    tags_of,
    version_key,
    version_numbers,
)
from stores_servers import BACKENDS, Place, environment, make_bucket, open_place, running_moto
from swift_server import READER_KEY, READER_SECRET, running_swift, swift_venv

QUIET = Progress()


@pytest.fixture(scope="module", params=BACKENDS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with open_place(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture
def store(place: Place) -> Iterator[PersistentStore]:
    with open_store(place.new_store()) as opened:
        yield opened


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Three files, two of one content; one is empty."""
    contents = {"model/a.bin": b"weights" * 1000, "b.txt": b"", "c.bin": b"weights" * 1000}
    for name, content in contents.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(content)
    return {name: tmp_path / "files" / name for name in contents}


def ignore(_size_bytes: int) -> None:
    pass


class TestContract:
    """What every backend does with keys."""

    def test_small_contents(self, store: PersistentStore) -> None:
        assert store.read("tags/a/b") is None
        store.write("tags/a/b", b"one")
        store.write("tags/a/b", b"two")
        store.write("tags/a/c", b"")
        store.write("tagsmore/a", b"")
        assert store.read("tags/a/b") == b"two"
        assert store.keys("tags/") == ["tags/a/b", "tags/a/c"]
        store.remove("tags/a/b")
        store.remove("tags/a/b")
        assert store.read("tags/a/b") is None
        assert store.keys("tags/a/") == ["tags/a/c"]

    def test_files(self, store: PersistentStore, files: dict[str, Path], tmp_path: Path) -> None:
        key, moved = "files/aa/aabb", []
        assert not store.has(key)
        assert not store.download(key, tmp_path / "no", ignore)
        for _ in range(2):
            store.upload(key, files["model/a.bin"], moved.append)
        assert store.has(key)
        assert sum(moved) == 14_000
        assert store.download(key, tmp_path / "back", moved.append)
        assert sum(moved) == 21_000
        assert (tmp_path / "back").read_bytes() == files["model/a.bin"].read_bytes()
        assert store.keys("files/") == [key]
        store.remove(key)
        assert not store.has(key)

    def test_a_claim_is_given_to_one_of_eight_at_once(self, place: Place) -> None:
        url = place.new_store()
        stores = [open_store(url) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            won = [
                list(pool.map(lambda s, n=number: s.claim(f"claims/{n}"), stores))
                for number in range(8)
            ]
        late = [stores[0].claim(f"claims/{number}") for number in range(8)]
        for opened in stores:
            opened.close()
        assert all(sum(winners) <= 1 for winners in won)
        assert not any(late)  # that somebody wins in the end, the eight pushes at once show

    def test_a_lone_claim_is_won(self, store: PersistentStore) -> None:
        assert [store.claim("claims/1"), store.claim("claims/1"), store.claim("claims/2")] == [
            True,
            False,
            True,
        ]


class TestVersions:
    """What is built on the contract."""

    def test_push_and_fetch(
        self, store: PersistentStore, files: dict[str, Path], tmp_path: Path
    ) -> None:
        for number in (1, 2):
            manifest = push_version(store, MODELS, "cifar", files, {"accuracy": 0.5}, QUIET)
            assert manifest.version == number
        assert len(store.keys("files/")) == 2, "two contents, each stored once"
        assert store.keys("pushing/") == []
        found = find_version(store, MODELS, parse_address(f"{store.shown}/cifar"))
        assert found == manifest
        fetch_files(store, found, tmp_path / "out", "x", QUIET)
        for name, source in files.items():
            assert (tmp_path / "out" / name).read_bytes() == source.read_bytes()

    def test_eight_pushes_at_once_make_eight_versions(
        self, place: Place, files: dict[str, Path]
    ) -> None:
        url = place.new_store()

        def push_one(_number: int) -> int:
            with open_store(url) as opened:
                return push_version(opened, MODELS, "cifar", files, {}, QUIET).version

        with ThreadPoolExecutor(8) as pool:
            numbers = list(pool.map(push_one, range(8)))
        assert len(set(numbers)) == 8
        with open_store(url) as opened:
            assert version_numbers(opened, MODELS, "cifar") == sorted(numbers)
            assert len(opened.keys("files/")) == 2

    def test_tags_and_removal(self, store: PersistentStore, files: dict[str, Path]) -> None:
        push_version(store, MODELS, "cifar", {"a": files["model/a.bin"]}, {}, QUIET)
        push_version(store, MODELS, "cifar", {"b": files["b.txt"]}, {}, QUIET)
        set_tag(store, MODELS, "cifar", "production", 1)
        set_tag(store, MODELS, "cifar", "production", 2)
        set_tag(store, MODELS, "cifar", "old", 1)
        assert tags_of(store, MODELS, "cifar") == {1: ["old"], 2: ["production"]}
        remove_versions(store, MODELS, "cifar", [1])
        assert collect(store) == 1
        assert [key[-64:] for key in store.keys("files/")] == [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ]
        assert tags_of(store, MODELS, "cifar") == {2: ["production"]}
        remove_versions(store, MODELS, "cifar", [2])
        assert push_version(store, MODELS, "cifar", files, {}, QUIET).version == 3, "never again"

    def test_no_file_is_taken_from_a_push_under_way(
        self, store: PersistentStore, files: dict[str, Path]
    ) -> None:
        mark_store(store)
        with pushing(store):
            store.upload(file_key("ab" * 32), files["b.txt"], ignore)
            assert collect(store) is None
        assert collect(store) == 1
        assert store.keys("collecting/") == []

    def test_a_killed_push_is_forgotten_after_a_day(
        self, store: PersistentStore, files: dict[str, Path]
    ) -> None:
        mark_store(store)
        store.write("pushing/killed", b"2020-01-01T00:00:00Z")
        store.upload(file_key("ab" * 32), files["b.txt"], ignore)
        assert collect(store) == 1

    def test_models_and_datasets_do_not_meet(
        self, store: PersistentStore, files: dict[str, Path]
    ) -> None:
        push_version(store, DATASETS, "cifar", files, {}, QUIET)
        assert push_version(store, MODELS, "cifar", files, {}, QUIET).version == 1
        listed, count = list_versions(store, parse_store(store.shown), MODELS)
        assert (count, [entry.name for entry in listed]) == (1, ["cifar"])

    def test_names_that_differ_in_case_only(
        self, store: PersistentStore, files: dict[str, Path]
    ) -> None:
        push_version(store, MODELS, "Cifar", files, {}, QUIET)
        with pytest.raises(errors.ConfigError, match="push to --name Cifar"):
            push_version(store, MODELS, "cifar", files, {}, QUIET)


def push_empty(store: PersistentStore, folder: Path, text: str = "x") -> Manifest:
    (folder / "one.txt").write_text(text)
    return push_version(store, MODELS, "m", {"one.txt": folder / "one.txt"}, {}, QUIET)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[PersistentStore]:
    """A folder's store with one version, to damage."""
    with open_store(str(tmp_path / "shelf")) as opened:
        push_empty(opened, tmp_path)
        yield opened


class TestDamage:
    """A reader refuses what is not what was pushed."""

    def fetch(self, store: PersistentStore, tmp_path: Path) -> None:
        address = parse_address(f"{store.shown}/m@1")
        fetch_files(store, find_version(store, MODELS, address), tmp_path / "o", "m@1", QUIET)

    def test_any_changed_byte_of_a_manifest(self, shelf: PersistentStore) -> None:
        content = shelf.read(version_key(MODELS, "m", 1)) or b""
        for index in range(0, len(content) - 1, 7):
            changed = bytearray(content)
            changed[index] ^= 1
            with pytest.raises((errors.ChecksumError, errors.ModelError)):
                read_manifest(bytes(changed), "m@1")

    def test_a_changed_byte_of_a_file(self, shelf: PersistentStore, tmp_path: Path) -> None:
        shelf.write(shelf.keys("files/")[0], b"y")
        with pytest.raises(errors.ChecksumError, match=r"one\.txt was changed"):
            self.fetch(shelf, tmp_path)

    def test_a_missing_file(self, shelf: PersistentStore, tmp_path: Path) -> None:
        shelf.remove(shelf.keys("files/")[0])
        with pytest.raises(errors.ModelError, match="is incomplete"):
            self.fetch(shelf, tmp_path)

    @pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "C:/x", "a\\x", "", "nul", "x."])
    def test_a_path_outside(self, shelf: PersistentStore, tmp_path: Path, path: str) -> None:
        evil = Manifest(MODELS, "m", 1, now(), {path: StoredFile("0" * 64, 1)}, {})
        shelf.write(version_key(MODELS, "m", 1), evil.to_bytes())
        with pytest.raises(errors.ModelError, match="outside its folder"):
            self.fetch(shelf, tmp_path)

    def test_another_versions_manifest(self, shelf: PersistentStore, tmp_path: Path) -> None:
        push_empty(shelf, tmp_path)
        shelf.write(version_key(MODELS, "m", 1), shelf.read(version_key(MODELS, "m", 2)) or b"")
        with pytest.raises(errors.ModelError, match="another version"):
            self.fetch(shelf, tmp_path)

    def test_a_newer_olhar(self, shelf: PersistentStore, tmp_path: Path) -> None:
        shelf.write(version_key(MODELS, "m", 1), b'{"format": 2, "sha256": ""}')
        with pytest.raises(errors.ModelError, match="format 2; this olhar reads format 1: update"):
            self.fetch(shelf, tmp_path)
        shelf.write(MARKER, b'{"format": 7}')
        for use in (self.fetch, push_empty):
            with pytest.raises(errors.ModelError, match="format 7"):
                use(shelf, tmp_path)

    def test_a_list_names_the_version_that_it_cannot_read(
        self, shelf: PersistentStore, tmp_path: Path
    ) -> None:
        push_empty(shelf, tmp_path)
        shelf.write(version_key(MODELS, "m", 1), b"{")
        listed, _count = list_versions(shelf, parse_store(shelf.shown), MODELS)
        assert [(entry.version, entry.manifest is None) for entry in listed] == [
            (2, False),
            (1, True),
        ]
        assert collect(shelf) is None, "nobody knows what the damaged version needs"
        registry.remove(f"{shelf.shown}/m@1")
        assert len(list_versions(shelf, parse_store(shelf.shown), MODELS)[0]) == 1

    def test_removing_and_pushing_again_mends(self, shelf: PersistentStore, tmp_path: Path) -> None:
        shelf.write(shelf.keys("files/")[0], b"y")
        registry.remove(f"{shelf.shown}/m@1")
        push_empty(shelf, tmp_path)
        found = find_version(shelf, MODELS, parse_address(f"{shelf.shown}/m"))
        fetch_files(shelf, found, tmp_path / "o", "m", QUIET)

    def test_a_file_that_changes_while_it_is_pushed(
        self, shelf: PersistentStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "growing"
        path.write_text("a")

        class Grow(Progress):
            def advance(self, done: int, text: str = "") -> None:
                path.write_text("ab")

        with pytest.raises(errors.DataError, match="changed while"):
            push_version(shelf, MODELS, "m", {"growing": path}, {}, Grow())
        assert version_numbers(shelf, MODELS, "m") == [1]
        assert len(shelf.keys("files/")) == 1

    def test_five_thousand_versions(self, shelf: PersistentStore) -> None:
        for number in range(2, 5001):
            manifest = Manifest(MODELS, "m", number, now(), {}, {"accuracy": number / 5000})
            (Path(shelf.shown) / version_key(MODELS, "m", number)).write_bytes(manifest.to_bytes())
        listed, count = list_versions(shelf, parse_store(shelf.shown), MODELS, limit=100, skip=100)
        assert count == 5000
        assert [entry.version for entry in listed] == list(range(4900, 4800, -1))
        assert find_version(shelf, MODELS, parse_address(f"{shelf.shown}/m")).version == 5000
        with pytest.raises(errors.UnknownNameError, match=r"there are: 1, …, 4998, 4999, 5000"):
            find_version(shelf, MODELS, parse_address(f"{shelf.shown}/m@6000"))


BAD_NAMES = ["../x", "a/b", "a\0b", "сіfar", "ｃifar", "a" * 300, "", ".", "..", "nul", "CON.txt"]
BAD_NAMES += [" a", "a b", "-a", "a.", "a\nb", "a@b", "ação", "a\u202eb"]


BAD_ADDRESSES = ["gs://b/x", "s3://bucket", "s3://k:s@bucket/x", "mongodb://h/db", "", "a/b@-"]
BAD_ADDRESSES += ["file://host/x/y", "./store/x@", "mongodb:///db/x", "./a b", "s3://bucket/../x"]


class TestNames:
    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_bad_names(self, name: str) -> None:
        with pytest.raises(errors.ConfigError, match="allowed: letters a-z") as caught:
            check_name(name, "a name")
        assert "\n" not in str(caught.value)
        assert "\0" not in str(caught.value)

    @given(st.text())
    def test_what_is_suggested_is_allowed(self, name: str) -> None:
        assert is_name(suggest_name(name))
        if is_name(name):
            assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name)

    @pytest.mark.parametrize(
        ("text", "place", "name", "version"),
        [
            ("./store/cifar@3", "store", "cifar", "3"),
            ("cifar", ".", "cifar", None),
            ("/a@b/cifar@production", "/a@b", "cifar", "production"),
            ("file:///srv/models/cifar@3", "/srv/models", "cifar", "3"),
            ("s3://bucket/cifar@latest", "bucket", "cifar", None),
            ("s3://bucket/a/b/cifar@3", "bucket", "cifar", "3"),
            ("mongodb://u:p%40@h:1,h2/db/name@3?retryWrites=true", "db", "name", "3"),
            ("mongodb+srv://h/db/name@3?retryWrites=true", "db", "name", "3"),
        ],
    )
    def test_addresses(self, text: str, place: str, name: str, version: str | None) -> None:
        found = parse_address(text)
        assert (found.store.place, found.name, found.version) == (place, name, version)
        assert parse_address(found.shown).shown == found.shown

    def test_a_query_stays_at_the_end(self) -> None:
        found = parse_address("mongodb+srv://u:secret@h/db/name@3?retryWrites=true")
        assert found.store.url == "mongodb+srv://u:secret@h/db?retryWrites=true"
        assert found.shown == "mongodb+srv://h/db/name@3?retryWrites=true"

    @pytest.mark.parametrize("text", BAD_ADDRESSES)
    def test_bad_addresses(self, text: str) -> None:
        with pytest.raises(errors.ConfigError):
            parse_address(text)

    @given(st.text(min_size=3), st.sampled_from(["mongodb", "mongodb+srv", "s3"]))
    def test_a_password_is_never_shown(self, secret: str, scheme: str) -> None:
        secret = f"<{secret}>"  # so that it is no part of the rest
        for text in (
            f"{scheme}://user:{secret}@host/db/name@3",
            f"{scheme}://host/db/name@3?tlsCertificateKeyFilePassword={secret.replace('&', '')}",
        ):
            kept = secret if "@host" in text else secret.replace("&", "")
            assert kept not in hide_secrets(text)
            try:
                assert kept not in parse_address(text).shown
            except errors.ConfigError as error:
                assert kept not in str(error)


def explained(url: str, use: Callable[[PersistentStore], object] = lambda _store: None) -> str:
    """The message that a store in trouble gives, within three seconds and without the password.

    The best of three tries counts: on a busy machine a process waits for its turn.
    """
    seconds = []
    while len(seconds) < 3:
        start = time.monotonic()
        with pytest.raises(errors.OlharError) as caught, open_store(url) as opened:
            use(opened)
        seconds.append(time.monotonic() - start)
        message = str(caught.value)
        assert "hunter2" not in message
        if seconds[-1] < 3:
            return message
    pytest.fail(f"a message within three seconds; it took {seconds}")


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, str]]:
    with running_moto() as settings:
        make_with(settings)
        yield settings


def make_with(settings: dict[str, str]) -> None:
    with environment(settings):
        make_bucket("tests")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """A port where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class TestTrouble:
    """Within three seconds, what is wrong and what to do."""

    def s3(self, monkeypatch: pytest.MonkeyPatch, endpoint: str, bucket: str = "tests") -> str:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        return f"s3://{bucket}/models"

    def test_s3_refused(self, monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
        message = explained(self.s3(monkeypatch, f"http://127.0.0.1:{closed}"))
        assert "the connection was refused" in message
        assert "AWS_ENDPOINT_URL_S3" in message

    def test_s3_not_resolved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        message = explained(self.s3(monkeypatch, "http://nowhere.invalid"))
        assert "cannot be resolved" in message or "does not answer in time" in message

    def test_s3_silent(self, monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
        message = explained(self.s3(monkeypatch, f"http://127.0.0.1:{silent}"))
        assert "does not answer in time" in message

    def test_s3_without_tls(self, monkeypatch: pytest.MonkeyPatch, moto: dict[str, str]) -> None:
        endpoint = moto["AWS_ENDPOINT_URL_S3"].replace("http:", "https:")
        assert "TLS" in explained(self.s3(monkeypatch, endpoint))

    def test_s3_no_bucket(self, monkeypatch: pytest.MonkeyPatch, moto: dict[str, str]) -> None:
        url = self.s3(monkeypatch, moto["AWS_ENDPOINT_URL_S3"], bucket="absent")
        assert "there is no bucket 'absent'" in explained(url)

    def test_s3_without_login(self, monkeypatch: pytest.MonkeyPatch, moto: dict[str, str]) -> None:
        url = self.s3(monkeypatch, moto["AWS_ENDPOINT_URL_S3"])
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, os.devnull)
        assert "there is no login" in explained(url)

    @pytest.mark.parametrize("setting", ["", "?tls=true"])
    def test_mongodb_refused(self, closed: int, setting: str) -> None:
        message = explained(f"mongodb://u:hunter2@127.0.0.1:{closed}/db{setting}")
        assert "the connection was refused" in message

    @pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
    def test_mongodb_not_resolved(self, scheme: str) -> None:
        message = explained(f"{scheme}://u:hunter2@nowhere.invalid/db")
        assert "cannot be resolved" in message or "does not answer in time" in message

    def test_mongodb_silent(self, silent: int) -> None:
        assert "does not answer" in explained(f"mongodb://u:hunter2@127.0.0.1:{silent}/db")

    def test_mongodb_without_tls(self, moto: dict[str, str]) -> None:
        port = moto["AWS_ENDPOINT_URL_S3"].rpartition(":")[2]
        assert "TLS" in explained(f"mongodb://u:hunter2@127.0.0.1:{port}/db?tls=true")

    def test_mongodb_a_url_that_is_none(self) -> None:
        message = explained("mongodb://u:hunter2@localhost:99999/db")
        assert "%2F" in message

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (18, "refuses the login"),
            (8000, "refuses the login"),
            (13, "role read"),
            (96, "error 96"),
        ],
    )
    def test_mongodb_refusals(self, code: int, words: str, closed: int) -> None:
        """By the driver's own errors: the server that is tested on knows no logins."""
        from pymongo.errors import OperationFailure

        from olhar.stores.mongodb import MongoStore

        store = MongoStore(parse_store(f"mongodb://u:hunter2@127.0.0.1:{closed}/db"))
        with pytest.raises(errors.OlharError, match=words), store._explained():
            raise OperationFailure("no", code)
        store.close()

    def test_what_a_real_server_refuses_and_its_restart(self, tmp_path: Path) -> None:
        venv = swift_venv()
        if venv is None:
            pytest.skip("OLHAR_TEST_SWIFT names no virtual environment with OpenStack Swift")
        with running_swift(venv, tmp_path / "swift") as swift, environment(swift.environment()):
            make_bucket("tests")
            make_bucket("shared", acl="public-read")
            with environment({"AWS_SECRET_ACCESS_KEY": "hunter2"}):
                assert "refuses the login" in explained("s3://tests")
            reader = {"AWS_ACCESS_KEY_ID": READER_KEY, "AWS_SECRET_ACCESS_KEY": READER_SECRET}
            with environment(reader):
                assert "no permission" in explained("s3://tests")
                message = explained("s3://shared", self.push_this)
                assert "s3:PutObject" in message
            with open_store("s3://tests") as store:
                swift.stop()
                again = threading.Timer(1.0, swift.start)
                again.start()
                persist(lambda: store.write("tags/a", b"after the restart"), limit_s=90)
                again.join()
                assert store.read("tags/a") == b"after the restart"

    def test_a_passing_failure_is_tried_again_for_a_limited_time(self) -> None:
        tried: list[int] = []

        def busy(times: int) -> str:
            tried.append(1)
            if len(tried) <= times:
                raise TransientStoreError("busy")
            return "done"

        assert persist(lambda: busy(2)) == "done"
        assert len(tried) == 3
        with pytest.raises(TransientStoreError):
            persist(lambda: busy(1000), limit_s=1)

    def test_a_folder_without_permission(self, unprivileged: None) -> None:
        message = explained("/proc/1/store", self.push_this)
        assert "/proc/1/store" in message

    def push_this(self, store: PersistentStore) -> None:
        push_version(store, MODELS, "m", {"this.py": Path(__file__)}, {}, QUIET)


@pytest.fixture(scope="module")
def pushed(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one version of the run, made as a user makes it."""
    path = tmp_path_factory.mktemp("pushed") / "store"
    done = olhar("push", digits_run, path, "--name", "digits", "--json")
    assert done.status == 0, done.err
    assert set(done.json) == {"name", "version", "address", "sha256"}
    assert (done.json["name"], done.json["version"]) == ("digits", 1)
    assert done.json["address"] == f"{path}/digits@1"
    return path


def same_predictions(one: Path, other: Path) -> bool:
    images = np.random.default_rng(0).integers(0, 256, (32, 1, 8, 8), dtype=np.uint8)
    first, second = load_classifier(one), load_classifier(other)
    size = first.preprocess.size
    images = np.resize(images, (32, first.preprocess.channels, size, size))
    return bool(np.array_equal(first.predict_probs(images), second.predict_probs(images)))


class TestModels:
    """Runs, as users push and pull them."""

    def test_everywhere_the_same_to_the_last_bit(
        self, place: Place, digits_run: Path, tmp_path: Path
    ) -> None:
        url = place.new_store()
        version = registry.push(digits_run, url)
        assert version.manifest.name == "d"
        assert "hunter2" not in version.address
        registry.push(load_classifier(digits_run), url, "d")
        cached = registry.resolve_model(f"{url.partition('?')[0]}/d@1")
        assert same_predictions(digits_run, cached)
        registry.pull(f"{url.partition('?')[0]}/d", tmp_path / "out")
        assert same_predictions(digits_run, tmp_path / "out")
        assert (tmp_path / "out/README.md").read_bytes() == (digits_run / "README.md").read_bytes()

    def test_predict_json_is_the_same_everywhere(self, place: Place, digits_run: Path) -> None:
        url = place.new_store()
        address = registry.push(digits_run, url, "digits").address
        photo = digits_run / "samples.png"
        near, far = (
            olhar("predict", model, photo, "--json", "--top", "10")
            for model in (digits_run, address)
        )
        assert far.status == 0, far.err
        assert far.out == near.out

    def test_what_is_pushed(self, pushed: Path, tmp_path: Path, digits_run: Path) -> None:
        done = olhar("pull", f"{pushed}/digits@1", "--out", tmp_path / "p", "--json")
        assert done.status == 0, done.err
        assert set(done.json) == {"name", "version", "address", "sha256", "path"}
        names = {path.name for path in (tmp_path / "p").iterdir()}
        assert {"model", "README.md", "README.pt-BR.md", "metrics.json"} <= names
        assert not names & {"config.toml", "samples.png", "worst_errors.png", "predictions.csv"}
        assert not [name for name in names if name.startswith("checkpoint")]
        again = olhar("pull", f"{pushed}/digits@1", "--out", tmp_path / "p")
        assert (again.status, "exists already" in again.err) == (2, True)

    def test_predict_by_address(self, pushed: Path, digits_run: Path) -> None:
        photo = digits_run / "samples.png"
        near, far = (
            olhar("predict", model, photo, "--json") for model in (digits_run, f"{pushed}/digits@1")
        )
        assert far.status == 0, far.err
        assert far.json == near.json

    def test_list_tag_rm(self, pushed: Path, digits_run: Path, tmp_path: Path) -> None:
        store = tmp_path / "s"
        for _ in range(2):
            registry.push(digits_run, str(store), "x")
        assert olhar("tag", f"{store}/x@1", "production").status == 0
        rows = olhar("list", store, "--json").json
        assert [(row["version"], row["tags"]) for row in rows] == [(2, []), (1, ["production"])]
        assert set(rows[0]) == {"name", "version", "created", "size_bytes", "tags", "accuracy"}
        assert (
            rows[0]["accuracy"] == json.loads((digits_run / "metrics.json").read_text())["accuracy"]
        )
        shown = olhar("list", store, "--limit", "1")
        assert "--page 2" in shown.err
        assert shown.out.startswith("x@2")
        refused = olhar("rm", f"{store}/x@production")
        assert (refused.status, "--force" in refused.err) == (2, True)
        with pytest.raises(errors.ConfigError, match="names no version"):
            registry.remove(f"{store}/x")
        assert olhar("rm", f"{store}/x@production", "--force").status == 0
        assert [row["version"] for row in olhar("list", store, "--json").json] == [2]

    def test_dry_runs_write_nothing(self, pushed: Path, digits_run: Path, tmp_path: Path) -> None:
        done = olhar("push", digits_run, tmp_path / "s", "--dry-run", "--json")
        assert not any(file["there"] for file in done.json["files"])
        assert not (tmp_path / "s").exists()
        done = olhar("push", digits_run, pushed, "--dry-run", "--json")
        assert all(file["there"] for file in done.json["files"])
        assert "would be moved" in olhar("pull", f"{pushed}/digits", "--dry-run").out

    def test_a_damaged_cache_mends_itself(self, pushed: Path, digits_run: Path) -> None:
        address = f"{pushed}/digits"
        cached = registry.resolve_model(address)
        (cached / "model/model.onnx").write_bytes(b"damaged")
        assert registry.resolve_model(address) == cached
        assert same_predictions(digits_run, cached)

    def test_a_damaged_model_is_not_pushed(self, pushed: Path, tmp_path: Path) -> None:
        registry.pull(f"{pushed}/digits", tmp_path / "p")
        (tmp_path / "p/model/labels.txt").write_text("no")
        with pytest.raises(errors.ChecksumError):
            registry.push(tmp_path / "p", str(tmp_path / "s"))
        assert not (tmp_path / "s").exists()

    def test_a_full_disk(self, pushed: Path, tmp_path: Path) -> None:
        pytest.importorskip("resource")
        code = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000));"
            "from olhar.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        words = ["pull", f"{pushed}/digits@1", "--out", str(tmp_path / "p")]
        ended = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, check=False
        )
        done = Done(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
        assert (done.status, "is full" in done.err) == (1, True), done.err
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("address", "words"),
        [
            ("./nothing/digits@1", "there is no store in"),
            ("{store}/digit", "did you mean digits"),
            ("{store}/digits@7", "there is no version 7"),
            ("{store}/digits@prod", "has no tag 'prod'"),
            ("gs://bucket/x", "there is no kind of store called 'gs'"),
        ],
    )
    def test_wrong_addresses(self, pushed: Path, address: str, words: str) -> None:
        done = olhar("pull", address.format(store=pushed))
        assert done.status == 2
        assert words in done.err
        assert "Traceback" not in done.err

    def test_a_path_stays_a_path(self, pushed: Path, digits_run: Path, tmp_path: Path) -> None:
        assert registry.resolve_model(digits_run) == digits_run
        assert registry.resolve_model("no/such/run") == Path("no/such/run")
        odd = tmp_path / "name@1"
        odd.mkdir()
        assert registry.resolve_model(str(odd)) == odd


class TestDatasets:
    """Data sets as arrays, and training straight from the address."""

    def test_photos_become_arrays(self, tmp_path: Path) -> None:
        from PIL import Image

        for label in ("cat", "dog"):
            (tmp_path / "photos" / label).mkdir(parents=True)
            for number in range(6):
                colour = (40 * number, 10, 200 if label == "cat" else 20)
                photo = Image.new("RGB", (30 + number, 40), colour)
                photo.save(tmp_path / "photos" / label / f"{number}.png")
        made = as_arrays(open_source(str(tmp_path / "photos")), 16, QUIET)
        stored = push_dataset(made, str(tmp_path / "s"), "pets")
        back = load_stored(stored.address)
        assert back.images.shape == (12, 16, 16, 3)
        assert back.class_names == ("cat", "dog")
        assert back.files == made.files
        assert np.array_equal(back.images, made.images)
        assert back.fingerprint == made.fingerprint

    def test_what_is_no_data_set(self, tmp_path: Path) -> None:
        (tmp_path / "images.npy").write_bytes(b"\x93NUMPY")
        (tmp_path / "meta.json").write_text('{"format": 1}')
        files = {name: tmp_path / name for name in ("images.npy", "meta.json")}
        with open_store(str(tmp_path / "s")) as store:
            push_version(store, DATASETS, "odd", files, {}, QUIET)
        with pytest.raises(errors.DataError, match="push it again"):
            load_stored(f"{tmp_path}/s/odd")

    def test_by_the_command_line(self, tmp_path: Path) -> None:
        done = olhar("data", "push", "digits", tmp_path / "s", "--json")
        assert done.status == 0, done.err
        address = done.json["address"]
        near, far = (olhar("data", data, "--json").json for data in ("digits", address))
        for facts in (near, far):
            facts.pop("name")
            for row in facts["classes"]:
                row.pop("shown")
        assert near == far
        done = olhar("data", "pull", address, "--out", tmp_path / "p", "--json")
        assert done.json["path"] == str(tmp_path / "p")
        assert np.load(tmp_path / "p/images.npy").shape == (1797, 8, 8, 1)
        assert olhar("data", "push", "digits").status == 2
