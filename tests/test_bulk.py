"""`olhar predict … --out`: many photos into one result, by the command as a user has it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from conftest import olhar, start
from olhar import predict_many
from olhar.bulk.features import graph_with_features
from olhar.bulk.items import Item, Known, Mark, Met, in_blocks, pack_marks, unpack_marks
from olhar.bulk.results import open_result
from olhar.bulk.sources import Sources
from olhar.bulk.walking import walk_sorted
from olhar.classifier import open_session
from olhar.datasets.photo_files import LeftOut
from olhar.errors import DataError, ModelError

pytest.importorskip("pyarrow")
import pyarrow as pa
import pyarrow.parquet as pq

FORMATS = (".csv", ".jsonl", ".parquet")


def write_photos(folder: Path, count: int, folders: int = 3) -> Path:
    """Photos of digits, one of them damaged, and a note."""
    pixels = load_digits().images
    for number in range(count):
        place = folder / str(number % folders)
        place.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels[number % len(pixels)] * 15.9).astype(np.uint8))
        image.save(place / f"{number:05}.png")
    (folder / "1" / "bad.png").write_bytes(b"\x89PNG oops")
    (folder / "note.txt").write_text("no photo")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 150)


def read_rows(out: Path) -> list[dict[str, Any]]:
    """The rows of a result as `--json` has them: fields without a value are not there."""
    if out.suffix == ".jsonl":
        return [json.loads(line) for line in out.read_text().splitlines()]
    if out.suffix == ".parquet":
        rows = pq.read_table(out).to_pylist() if any(out.glob("*.parquet")) else []
        return [_without_empty(row) for row in rows]
    with out.open(newline="") as file:
        return [_from_csv(row) for row in csv.DictReader(file)]


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _from_csv(row: dict[str, str]) -> dict[str, Any]:
    plain = {"file", "label", "error"}
    return {k: v if k in plain else json.loads(v) for k, v in row.items() if v}


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["file"] for row in rows]


def close_to(row: dict[str, Any]) -> dict[str, Any]:
    """The same row, whose probabilities may differ as another batch computes them."""
    found = dict(row)
    if "top" in row:
        found["probability"] = pytest.approx(row["probability"], abs=1e-5)
        found["top"] = [
            {"label": one["label"], "probability": pytest.approx(one["probability"], abs=1e-5)}
            for one in row["top"]
        ]
    return found


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_are_what_json_prints(
    digits_run: Path, photos: Path, tmp_path: Path, suffix: str
) -> None:
    """In the order of the source; one damaged photo is a row with its error."""
    out = tmp_path / f"r{suffix}"
    done = olhar("predict", digits_run, photos, "--out", out, "--json", "--top", 2)
    assert done.status == 0, done.err
    assert done.json == {"out": str(out), "rows": 151, "errors": 1, "new": 151, "changed": 0}
    assert "1 other file(s) are no photos" in done.err
    printed = olhar("predict", digits_run, photos, "--json", "--top", 2)
    assert printed.status == 2
    assert read_rows(out) == [close_to(row) for row in printed.json]
    again = olhar("predict", digits_run, photos, "--out", out, "--top", 2)
    assert again.status == 0, again.err
    assert "has 151 photo(s) already; going on" in again.err
    assert "151 row(s), 0 of them new; 1 photo(s) could not be read" in again.out


def kill_once_begun(words: list[object], journal: Path, lines: int) -> None:
    """Start the command and kill it, alone, once so many lines are written."""
    process = start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while not journal.is_file() or journal.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < limit
        if process.poll() is not None:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL) if process.poll() is None else None
    process.wait(30)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("suffix", FORMATS)
def test_killed_anywhere_each_photo_is_there_once(
    digits_run: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, out = write_photos(tmp_path / "photos", 900), tmp_path / f"r{suffix}"
    words: list[object] = ["predict", digits_run, photos, "--out", out]
    journal = (out if suffix == ".parquet" else Path(f"{out}.olhar")) / "_olhar.jsonl"
    for lines in (1, 2, 3):
        kill_once_begun(words, journal, lines)
    if suffix != ".parquet" and out.exists():  # what a killed process may leave
        with out.open("ab") as file:
            file.write(b'{"file": "half a r')
    with journal.open("ab") as file:
        file.write(b'{"rows": 64, "err')
    done = olhar(*words)
    assert done.status == 0, done.err
    found = read_rows(out)
    assert Counter(names(found)) == Counter(str(path) for path in photos.rglob("*.png"))
    assert names(found) == sorted(names(found), key=Path)


def test_photos_that_changed_are_named_and_new_ones_follow(
    digits_run: Path, tmp_path: Path
) -> None:
    photos, out = write_photos(tmp_path / "photos", 20), tmp_path / "r.jsonl"
    assert olhar("predict", digits_run, photos, "--out", out).status == 0
    before = out.read_bytes()
    changed, new = photos / "0" / "00003.png", photos / "0" / "00000-new.png"
    shutil.copy(photos / "2" / "00002.png", new)
    changed.write_bytes((photos / "2" / "00005.png").read_bytes() + b"\0")
    (photos / "2" / "00002.png").unlink()
    done = olhar("predict", digits_run, photos, "--out", out, "--json")
    assert done.status == 0, done.err
    assert f"'{changed}' has changed since it was answered" in done.err
    assert done.json | {"out": ""} == {"out": "", "rows": 22, "errors": 1, "new": 1, "changed": 1}
    assert out.read_bytes().startswith(before)
    assert names(read_rows(out))[-1] == str(new)


def test_another_model_source_or_setting_is_refused(digits_run: Path, tmp_path: Path) -> None:
    photos, out = write_photos(tmp_path / "photos", 5), tmp_path / "r.csv"
    olhar("predict", digits_run, photos, "--out", out)
    before = out.read_bytes()
    other = tmp_path / "other"
    olhar("train", "--data", "digits", "--network", "gmnet", "--run", other, "--set", "epochs=1")
    for words, said in (
        ((other, photos), "another model"),
        ((digits_run, photos / "0"), "another source"),
        ((digits_run, photos, "--top", "1"), "another --top (3; here 1)"),
        ((digits_run, photos, "--features"), "another --features (false; here true)"),
    ):
        done = olhar("predict", *words, "--out", out)
        assert done.status == 2
        assert said in done.err
        assert len(done.err.splitlines()) == 1
    assert out.read_bytes() == before


def test_an_output_that_olhar_did_not_write_is_refused(digits_run: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 3)
    for name in ("r.csv", "r.jsonl", "r.parquet"):
        (tmp_path / name).write_text("mine")
        done = olhar("predict", digits_run, photos, "--out", tmp_path / name)
        assert done.status == 2
        assert "olhar did not write it" in done.err
        assert (tmp_path / name).read_text() == "mine"
    folder = tmp_path / "f.parquet"
    folder.mkdir()
    (folder / "part-000000.parquet").write_text("mine")
    assert olhar("predict", digits_run, photos, "--out", folder).status == 2
    assert (folder / "part-000000.parquet").read_text() == "mine"
    done = olhar("predict", digits_run, photos, "--out", tmp_path / "r.xlsx")
    assert done.status == 2
    assert ".parquet, .csv, .jsonl" in done.err


def test_two_processes_do_not_write_one_result(digits_run: Path, tmp_path: Path) -> None:
    photos, out = write_photos(tmp_path / "photos", 3), tmp_path / "r.csv"
    sources = Sources([str(photos)])
    with open_result(out, sources.record(), features=False):
        done = olhar("predict", digits_run, photos, "--out", out)
    assert done.status == 2
    assert f"another process ({os.getpid()}) is writing" in done.err


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_keeps_what_is_there(digits_run: Path, tmp_path: Path, suffix: str) -> None:
    """Beyond the limit of a file's size the system answers as on a full disk."""
    photos, out = write_photos(tmp_path / "photos", 600), tmp_path / f"r{suffix}"
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({10_000 if suffix == '.parquet' else 90_000}, -1));"
        "from olhar.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["predict", digits_run, photos, "--out", out]
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "is full; free some space" in done.stderr
    assert "Traceback" not in done.stderr
    kept = read_rows(out)
    assert len(kept) < 601
    assert (suffix == ".parquet") or len(kept) >= 64
    assert olhar(*words).status == 0
    rows = read_rows(out)
    assert rows[: len(kept)] == kept
    assert Counter(names(rows)) == Counter(str(path) for path in photos.rglob("*.png"))


def test_too_many_errors_end_it(digits_run: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "r.csv"
    write_photos(photos, 120)
    for number in range(100):
        (photos / "0" / f"00000-{number:03}.png").write_bytes(b"\x89PNG")
    words = ["predict", digits_run, photos, "--out", out]
    done = olhar(*words, "--max-errors", "0.2")
    assert done.status == 2
    assert "--max-errors 0.2 allows" in done.err
    assert len(read_rows(out)) >= 100
    assert olhar(*words, "--max-errors", "0.9").status == 0
    assert len(read_rows(out)) == 221


def test_of_few_photos_the_share_is_judged_at_the_end(digits_run: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 5)
    with pytest.raises(DataError, match="1 of 6 photos cannot be read"):
        predict_many(digits_run, photos, out=tmp_path / "r.csv", max_errors=0.1)
    assert len(read_rows(tmp_path / "r.csv")) == 6


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process")
def test_ctrl_c_says_how_to_go_on(digits_run: Path, tmp_path: Path) -> None:
    photos, out = write_photos(tmp_path / "photos", 900), tmp_path / "r.jsonl"
    words: list[object] = ["predict", digits_run, photos, "--out", out, "--workers", 1]
    process = start(*words, cold=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    journal = Path(f"{out}.olhar", "_olhar.jsonl")
    while process.poll() is None:
        if journal.is_file() and journal.read_bytes().count(b"\n") > 1:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _out, said = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it had ended already")
    assert process.returncode == 130
    assert "the same command goes on" in said.decode()
    assert "Traceback" not in said.decode()
    assert 0 < len(read_rows(out)) < 901


def test_no_photos_leave_nothing(digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words in ([tmp_path / "empty"], [tmp_path / "missing"], []):
        done = olhar("predict", digits_run, *words, "--out", tmp_path / "r.csv")
        assert done.status == 2
        assert "Traceback" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_lists_of_files(digits_run: Path, tmp_path: Path) -> None:
    """One a line; what is not there is a row, what is there twice is one row."""
    photos = write_photos(tmp_path / "photos", 6)
    odd = photos / "a\xe9 b,'\".png"
    shutil.copy(photos / "0" / "00000.png", odd)
    lines = [str(odd), str(photos / "0" / "00003.png"), str(tmp_path / "gone.png"), str(odd), ""]
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    out = tmp_path / "r.csv"
    done = olhar("predict", digits_run, "--files-from", listed, "--out", out)
    assert done.status == 0, done.err
    rows = read_rows(out)
    assert names(rows) == lines[:3]
    assert "there is no" in rows[2]["error"]
    done = olhar(
        "predict",
        digits_run,
        "--files-from",
        "-",
        "--out",
        tmp_path / "s.csv",
        stdin="\n".join(lines).encode(),
    )
    assert done.status == 0, done.err
    assert names(read_rows(tmp_path / "s.csv")) == lines[:3]


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
def test_names_with_newlines_and_bytes_that_are_no_text(digits_run: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 3)
    for name in (b"a\nb.png", b"caf\xe9.png", b"caf\\xe9.png", b'"q".png'):
        shutil.copy(photos / "0" / "00000.png", os.fsencode(photos) + b"/" + name)
    for suffix in FORMATS:
        out = tmp_path / f"r{suffix}"
        for new in (8, 0):
            done = olhar("predict", digits_run, photos, "--out", out, "--json")
            assert done.status == 0, done.err
            assert done.json["new"] == new
        found = names(read_rows(out))
        assert len(found) == 8
        assert found.count(f"{photos}/caf\\xe9.png") == 2
        assert f"{photos}/a\nb.png" in found


@pytest.fixture(scope="module")
def contents(photos: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(photos.rglob("000[01]*.png"))}


def write_tar(path: Path, contents: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in contents.items():
            for called, data in ((name, content), (f"{name[:-4]}.cls", b"3")):
                info = tarfile.TarInfo(called)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def test_tar_shards(digits_run: Path, contents: dict[str, bytes], tmp_path: Path) -> None:
    """By name or in a folder; one that is cut off gives what is whole, and a row that says so."""
    (tmp_path / "shards").mkdir()
    whole = write_tar(tmp_path / "shards" / "a.tar", contents)
    cut = tmp_path / "shards" / "b.tar"
    cut.write_bytes(whole.read_bytes()[: 1024 * 31 + 100])
    out = tmp_path / "r.csv"
    for new in (True, False):
        done = olhar("predict", digits_run, tmp_path / "shards", "--out", out, "--json")
        assert done.status == 0, done.err
        assert bool(done.json["new"]) is new
    rows = read_rows(out)
    assert names(rows)[: len(contents)] == [f"{whole}/{name}" for name in contents]
    assert all("label" in row for row in rows[:-1])
    assert rows[-1]["file"] == str(cut)
    assert "cut off" in rows[-1]["error"]
    named = predict_many(digits_run, whole, out=tmp_path / "s.csv")
    assert (named.rows, named.errors) == (len(contents), 0)


def test_parquet_of_photos_and_of_paths(
    digits_run: Path, contents: dict[str, bytes], photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    some = list(contents.values())
    pq.write_table(pa.table({"id": [1, 2], "image": some[:2]}), folder / "a.parquet")
    struct = [{"bytes": one, "path": "same.png"} for one in some[2:4]] + [None]
    pq.write_table(pa.table({"photo": struct}), folder / "b.parquet")
    found = predict_many(digits_run, folder, out=tmp_path / "r.jsonl")
    rows = read_rows(found.out)
    expected = [("a.parquet", 0), ("a.parquet", 1)] + [("b.parquet", row) for row in range(3)]
    assert names(rows) == [f"{folder / name}#{row}" for name, row in expected]
    assert "is empty" in rows[-1]["error"]
    paths = ["0/00000.png", "1/bad.png", str(photos / "2" / "00002.png")]
    table = photos / "paths.parquet"
    pq.write_table(pa.table({"where": paths, "n": [1, 2, 3]}), table)
    try:
        with pytest.raises(
            DataError, match=r"has no column of photos.*it has: where, n.*--file-column"
        ):
            predict_many(digits_run, table, out=tmp_path / "s.csv")
        assert not (tmp_path / "s.csv.olhar").exists()
        found = predict_many(digits_run, table, out=tmp_path / "s.csv", file_column="where")
        assert names(read_rows(found.out)) == [str(photos / path) for path in paths]
        with pytest.raises(DataError, match="has no column wher"):
            predict_many(digits_run, table, out=tmp_path / "t.csv", file_column="wher")
        with pytest.raises(DataError, match="no column of photos"):
            predict_many(digits_run, table, out=tmp_path / "t.csv", file_column="n")
    finally:
        table.unlink()


@pytest.mark.parametrize("network", ["lenet5", "gmnet"])
def test_features_are_what_the_last_layer_takes(photos: Path, tmp_path: Path, network: str) -> None:
    """Whether the graph gives them already or not: softmax(W·x + b) of them is the answer."""
    run, out = tmp_path / "run", tmp_path / "r.parquet"
    words = ["--data", "digits", "--network", network, "--run", run, "--set", "epochs=1"]
    assert olhar("train", *words).status == 0
    predict_many(run, photos, out=out, features=True, top=10)
    weights = load_file(run / "model" / "model.safetensors")
    config = json.loads((run / "model" / "config.json").read_text())
    (head,) = [name for name, value in weights.items() if value.shape[0] == 10 and value.ndim == 2]
    for row in read_rows(out)[:20]:
        if "error" in row:
            continue
        logits = weights[head] @ np.array(row["features"], np.float32)
        logits = logits + weights.get(head.replace("weight", "bias"), 0)
        logits = logits / config["temperature"]
        probs = np.exp(logits - logits.max())
        assert max(probs) / probs.sum() == pytest.approx(row["probability"], abs=1e-4)


def test_features_are_added_to_a_graph_that_lacks_them(digits_run: Path, tmp_path: Path) -> None:
    import onnx

    graph = onnx.load(digits_run / "model" / "model.onnx")
    del graph.graph.output[1:]
    onnx.save(graph, tmp_path / "model.onnx")
    without = SimpleNamespace(folder=tmp_path, gives_features=False)
    added = open_session(graph_with_features(without))
    inputs = load_file(digits_run / "model" / "golden.safetensors")["images"]
    probs, features = added.run(None, {"images": inputs})
    assert (probs.shape, features.shape) == ((16, 10), (16, 84))
    last = graph.graph.node[-1]
    graph.graph.node.append(onnx.helper.make_node("Exp", [last.output[0]], ["other"]))
    graph.graph.output[0].name = "other"
    onnx.save(graph, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="no layer at its end that takes features"):
        graph_with_features(without)


def test_flags_of_many_photos_need_out(digits_run: Path, photos: Path) -> None:
    for flag in (["--features"], ["--workers", "2"], ["--files-from", "x"]):
        done = olhar("predict", digits_run, photos, *flag)
        assert done.status == 2
        assert "give --out too" in done.err
    done = olhar("predict", digits_run, "--out", "x.csv", photos, "--address", "a:1")
    assert "--engine ray" in done.err


def test_a_photo_that_kills_its_process_costs_itself(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that takes the process with it, as native code can."""
    photos = write_photos(tmp_path / "photos", 90)
    deadly = photos / "2" / "00050.png"
    deadly.write_bytes(b"deadly")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(
        "import os, pathlib\n"
        "read = pathlib.Path.read_bytes\n"
        "def read_bytes(self):\n"
        "    content = read(self)\n"
        "    if content == b'deadly': os._exit(11)\n"
        "    return content\n"
        "pathlib.Path.read_bytes = read_bytes\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    found = predict_many(digits_run, photos, out=tmp_path / "r.csv", workers=2)
    assert (found.rows, found.errors) == (91, 2)
    rows = {row["file"]: row for row in read_rows(found.out)}
    assert "ended the process that read it" in rows[str(deadly)]["error"]


def test_a_model_that_cannot_be_loaded_is_no_photos_fault(
    digits_run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(1)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MemoryError, match="ended while it loaded the model"):
        predict_many(digits_run, photos, out=tmp_path / "r.csv")
    assert read_rows(tmp_path / "r.csv") == [] if (tmp_path / "r.csv").exists() else True


# Units


NAMES = st.text(
    st.characters(exclude_categories=(), exclude_characters="/\0"), min_size=1, max_size=8
).filter(lambda name: name not in {".", ".."} and not name.startswith("."))


def _can_be(name: str) -> bool:
    try:
        return len(os.fsencode(name)) < 200
    except UnicodeEncodeError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="names that other systems change or refuse")
@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["", "a", "a.b", "b/c"]), NAMES), max_size=12))
def test_a_folder_is_walked_in_the_order_of_its_paths(found: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        for folder, name in found:
            if _can_be(name):
                Path(place, folder).mkdir(parents=True, exist_ok=True)
                with pytest.MonkeyPatch.context():
                    path = Path(place, folder, f"{name}.png")
                    path.write_bytes(b"x" * 300)
        walked = [path for path, _facts in walk_sorted(place, LeftOut())]
        expected = [str(p) for p in Path(place).rglob("*.png")]
        assert walked == sorted(expected, key=lambda p: Path(p).parts)


def test_many_names_are_sorted_in_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("olhar.bulk.walking._SORTED_AT_ONCE", 7)
    monkeypatch.setattr("olhar.bulk.walking._READ_AT_ONCE", 2)
    for number in range(100):
        (tmp_path / f"{number * 37 % 100:02}.png").write_bytes(b"x" * 300)
    walked = [Path(path).name for path, _facts in walk_sorted(str(tmp_path), LeftOut())]
    assert walked == [f"{number:02}.png" for number in range(100)]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3)), max_size=60))
def test_marks_are_known_again(pairs: list[tuple[int, int]]) -> None:
    marks = [Mark(*pair) for pair in pairs]
    assert list(unpack_marks(pack_marks(marks))) == marks
    known, first = Known(), dict[int, int]()
    for mark in marks:
        met = known.add(mark)
        expected = first.setdefault(mark.name, mark.state) == mark.state
        assert met is (Met.SAME if expected else Met.CHANGED) or (
            met is Met.NEW and list(first.items())[-1] == tuple(mark)
        )


def test_what_travels_is_bounded() -> None:
    small = [Item(str(n), 10, 0, "path") for n in range(130)]
    assert [len(block) for block in in_blocks(small, 64)] == [64, 64, 2]
    large = [Item(str(n), 10 * 2**20, 0, b"") for n in range(5)]
    assert [len(block) for block in in_blocks(large, 64)] == [2, 2, 1]


def test_a_damaged_journal_is_named(digits_run: Path, tmp_path: Path) -> None:
    photos, out = write_photos(tmp_path / "photos", 3), tmp_path / "r.csv"
    predict_many(digits_run, photos, out=out)
    journal = Path(f"{out}.olhar") / "_olhar.jsonl"
    head, line = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(head + line.replace(b'"rows": 4', b'"rows": 9'))
    with pytest.raises(DataError, match="damaged in line 2"):
        predict_many(digits_run, photos, out=out)
    journal.write_bytes(b"{}\n")
    with pytest.raises(DataError, match="format None"):
        predict_many(digits_run, photos, out=out)


def test_a_result_that_was_removed_begins_anew(digits_run: Path, tmp_path: Path) -> None:
    photos, out = write_photos(tmp_path / "photos", 3), tmp_path / "r.csv"
    predict_many(digits_run, photos, out=out)
    before = out.read_bytes()
    out.unlink()
    assert predict_many(digits_run, photos, out=out).new == 4
    assert out.read_bytes() == before
