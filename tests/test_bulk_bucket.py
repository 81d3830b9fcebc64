"""`olhar predict s3://… --out`: photos and shards of a bucket, on moto's server."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import olhar
from olhar import predict_many
from olhar.errors import DataError, NoPermissionError, StoreError
from stores_servers import Place, environment, open_place
from test_bulk import names, read_rows, write_photos
from test_objects import put

pytest.importorskip("boto3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place("moto", tmp_path_factory.mktemp("moto")) as found:
        yield found


def fill(place: Place, photos: Path) -> str:
    address = place.new_store()
    files = sorted(path for path in photos.rglob("*") if path.is_file())
    put(address, {path.relative_to(photos).as_posix(): path.read_bytes() for path in files})
    return address


def test_a_prefix_gives_the_rows_of_the_folder(
    digits_run: Path, place: Place, tmp_path: Path
) -> None:
    photos = write_photos(tmp_path / "photos", 30)
    address, here, there = fill(place, photos), tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    predict_many(digits_run, photos, out=here)
    done = olhar("predict", digits_run, f"{address}/", "--out", there, "--json")
    assert done.status == 0, done.err
    assert done.json["rows"] == 31
    assert "1 other file(s) are no photos" in done.err
    expected = here.read_text().replace(f"{photos}/", f"{address}/")
    assert there.read_text() == expected
    put(address, {"0/00003.png": b"changed"})
    put(address, {"9/new.png": (photos / "0" / "00003.png").read_bytes()})
    done = olhar("predict", digits_run, f"{address}/", "--out", there, "--json")
    assert (done.json["new"], done.json["changed"]) == (1, 1)
    assert f"{address}/0/00003.png' has changed" in done.err


def test_shards_and_lists_of_a_bucket(digits_run: Path, place: Place, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 4)
    address = fill(place, photos)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in sorted(photos.rglob("0*.png")):
            tar.add(path, path.name)
    put(address, {"s/shard.tar": content.getvalue()})
    put(address, {"s/torn.tar": content.getvalue()[:1500]})
    found = predict_many(digits_run, f"{address}/s/", out=tmp_path / "r.csv")
    rows = read_rows(found.out)
    assert names(rows)[0] == f"{address}/s/shard.tar/00000.png"
    assert len(rows) == 5  # the last sample of a torn shard may lack a part
    assert f"{address}/s/torn.tar" in rows[-1]["error"]
    listed = tmp_path / "list.txt"
    listed.write_text(
        f"{address}/0/00000.png\n{address}/0/gone.png\n{photos / '0' / '00003.png'}\n"
    )
    found = predict_many(digits_run, files_from=listed, out=tmp_path / "s.csv")
    rows = read_rows(found.out)
    assert names(rows) == listed.read_text().split()
    assert ["error" in row for row in rows] == [False, True, False]


def test_what_a_bucket_refuses(digits_run: Path, place: Place, tmp_path: Path) -> None:
    """Nothing is left of a result that was never begun; one that was is good, and goes on."""
    out = tmp_path / "r.csv"
    with pytest.raises(DataError, match="no images in s3://"):
        predict_many(digits_run, f"{place.new_store()}/", out=out)
    with pytest.raises(StoreError, match="no bucket 'nobodys'"):
        predict_many(digits_run, "s3://nobodys/x/", out=out)
    address = fill(place, write_photos(tmp_path / "photos", 3))
    with environment({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}), pytest.raises(StoreError):
        predict_many(digits_run, f"{address}/", out=out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_no_permission(digits_run: Path, tmp_path: Path) -> None:
    """A server that refuses every request."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    settings = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        with environment(settings), pytest.raises(NoPermissionError, match="s3:ListBucket"):
            predict_many(digits_run, "s3://bucket/p/", out=tmp_path / "r.csv")
    finally:
        server.shutdown()
        server.server_close()
    assert list(tmp_path.iterdir()) == []
