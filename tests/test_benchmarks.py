"""The benchmarks' parts that measure nothing: ratios, tables, arguments. Timings need a quiet machine."""

from __future__ import annotations

import http.server
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / f"benchmarks/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


sys.path.append(str(ROOT / "benchmarks"))  # as where its scripts are run
peers, scaling, serving_table = load("peers"), load("scaling"), load("serving_table")
training_loop, predicting = load("training_loop"), load("predicting")
photo_sets, photos_table, photos = load("photo_sets"), load("photos_table"), load("photos")
boards = load("boards")


def record(seconds: float, accuracy: float = 0.7, *, epochs: Any = 2) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "images_per_s": 1000 / seconds,
        "epochs": epochs,
        "test_accuracy": accuracy,
        "reached": accuracy >= 0.68,
        "wall_s": seconds + 10,
        "versions": {"torch": "2.0"},
    }


def test_the_ratio_is_the_mean_of_the_pairs() -> None:
    pairs = [(record(80), record(10)), (record(120), record(10))]
    summary = peers.summarise(pairs, to_target=True)
    assert summary["ratio_mean"] == pytest.approx(10)
    assert summary["ratio_std"] == pytest.approx(8**0.5)
    assert peers.ratio_text(summary) == "10.00 ± 2.83 (n=2)"


def test_predicting_is_compared_with_the_bare_loop_pair_by_pair() -> None:
    seconds = {"bare": (10, 20), "olhar": (12.5, 20)}
    runs = [
        {"way": way, "seconds": s, "whole_s": 2 * s}
        for pair in range(2)
        for way, s in ((way, both[pair]) for way, both in seconds.items())
    ]
    bare, mine = predicting.summarise(runs, 1000)
    assert (bare["photos_per_s"], bare["of_bare"]) == (75, 1)
    assert (mine["photos_per_s"], mine["with_start_per_s"]) == (65, 32.5)
    assert mine["of_bare"] == pytest.approx(0.9)
    found = {
        "runs": runs,
        "summary": [bare, mine],
        "memory": [],
        "machine": predicting.describe_here(),
    }
    assert "| 0.90 |" in predicting.table(found)


def test_a_rate_is_compared_as_a_rate() -> None:
    summary = peers.summarise([(record(80, 0.5), record(10, 0.5))], to_target=False)
    assert peers.ratio_text(summary) == "8.00 (n=1)"


def test_a_peer_that_missed_the_target_gives_a_lower_bound() -> None:
    summary = peers.summarise([(record(80, 0.6), record(10))], to_target=True)
    assert peers.ratio_text(summary) == "≥ 8.00 (n=1)"


def test_a_miss_of_olhar_is_never_averaged_away() -> None:
    pairs = [(record(80), record(10)), (record(80), record(10, 0.6))]
    summary = peers.summarise(pairs, to_target=True)
    assert summary["ratio_mean"] is None
    assert peers.ratio_text(summary) == "olhar missed the target in 1 of 2"


def test_the_table_of_peers_is_square_and_names_what_was_left_out() -> None:
    pairs = [(record(80, epochs=[{}] * 7), record(10)), (record(90, epochs=[{}] * 8), record(10))]
    row = peers.summarise(pairs, to_target=True)
    machine = dict.fromkeys(
        ("processor", "threads", "precision", "system", "python", "olhar", "torch", "load_average"),
        "x",
    )
    result = {
        "machine": machine,
        "images": 44_000,
        "target": 0.68,
        "peers": {"torch": {**row, "pairs": [{"peer": p, "olhar": o} for p, o in pairs]}},
        "left_out": {"timm": "no wheel"},
    }
    lines = peers.markdown(result).splitlines()
    assert len({line.count("|") for line in lines[:3]}) == 1
    assert "| 7/8 and 2 |" in lines[2]
    assert "85.0 ± 7.1 s" in lines[2]
    assert lines[-1] == "Left out: timm (no wheel)."


def test_every_peer_has_pins_and_a_script() -> None:
    servers = {server.pins for server in serving_table.SERVERS.values() if server.pins}
    wanted = [("peers", f"train_{name}.py", name) for name in peers.PEERS]
    wanted += [("serving", f"serve_{name}.py", name) for name in sorted(servers)]
    tools = [tool for tool in photos.TOOLS.values() if tool.script]
    wanted += [("peers", tool.script, tool.pins) for tool in tools]
    for place, script, name in wanted:
        folder = ROOT / "benchmarks" / place
        assert (folder / script).is_file()
        pins = [
            line
            for line in (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        assert pins
        assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in pins)


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(peers.PeerError, match="no wheel here"):
        peers.run_command([sys.executable, "-c", "raise SystemExit('no wheel here')"])


def test_sizes() -> None:
    assert scaling.parse_counts("1000,200") == [1000, 200]


def test_the_table_of_sizes_is_square() -> None:
    row = {
        "images": 1000,
        "seconds": 0.5,
        "images_per_s": 2000.0,
        "memory_mib": {"anonymous": 300.0, "mapped": 3.0},
        "map_mib": 3.0,
        "read_kib": 3.2,
    }
    bounded = [
        {**row, "limit_mib": None, "shuffle_mib": 0},
        {**row, "limit_mib": 700.0, "shuffle_mib": 87, "images_per_s": 1500.0},
    ]
    found = {"epoch": [row], "memory": bounded, "machine": "a machine"}
    lines = scaling.markdown(found).splitlines()
    assert len({line.count("|") for line in lines[:3]}) == 1
    assert len({line.count("|") for line in lines[4:8]}) == 1
    assert lines[7] == "| 3 | 700 | 87 | 1,500 | 0.75 | 3.2 |"
    assert lines[-1] == "a machine"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_photos_are_listed_decoded_and_begun_again(tmp_path: Path) -> None:
    row = scaling.scaling_photos.measure(400, tmp_path)
    assert row["images"] == 400
    assert row["second_s"] > 0
    assert 50 < row["memory_mib"] < 1000
    lines = scaling.scaling_photos.markdown([row])
    assert len({line.count("|") for line in lines}) == 1


def test_the_table_of_the_loop_is_square() -> None:
    row = {
        "network": "lenet5",
        "data": "mnist",
        "batch": 128,
        "pairs": [(80.0, 100.0), (60.0, 60.0)],
    }
    lines = training_loop.markdown([row], "a machine").splitlines()
    assert len({line.count("|") for line in lines[:3]}) == 1
    assert "| 70 | 80 | 0.90 ± 0.14 (n=2) |" in lines[2]
    assert lines[-1] == "a machine"


def served(*rates: float) -> list[dict[str, Any]]:
    """Rounds of a server, with so many requests a second."""
    level = {"p50_ms": 1.0, "p99_ms": 2.0, "errors": 0, "load_cores": 0.2}
    level |= {"cpu_ms_per_request": 0.7}
    return [
        {
            "start_s": 0.5,
            "memory_mib": 100.0,
            "processes": 3,
            "levels": {
                connections: {**level, "requests_per_s": rate} for connections in ("1", "64")
            },
        }
        for rate in rates
    ]


def serving_result(**more: Any) -> dict[str, Any]:
    keys = ("processor", "threads", "system", "python", "olhar", "load_average")
    return {
        "machine": dict.fromkeys(keys, "x"),
        "cores": 2,
        "versions": {"litserve": "0.2"},
        "load": "wrk",
        "network": "lenet5",
        "photos": {"count": 8, "side": 32, "mean_bytes": 900.0},
        "workers": 2,
        "seconds": 3,
        "batch": 32,
        "latency_ms": 5,
        "left_out": {},
        **more,
    }


def test_a_server_is_compared_with_olhar_in_the_same_round() -> None:
    servers = {"olhar": served(400, 900), "litserve": served(200, 300)}
    assert serving_table.ratios(servers, "litserve", "64") == [2, 3]
    assert serving_table.ratio_text(servers, "litserve", "64") == "2.50 ± 0.71 (n=2)"
    assert serving_table.ratio_text(servers, "olhar", "64") == "–"
    assert serving_table.ratio_text({"litserve": served(200)}, "litserve", "64") == "–"


def test_the_tables_of_servers_are_square() -> None:
    servers = {"olhar": served(400, 900), "litserve": served(200, 300)}
    limit = {"batch": 8, "batch_mean": 8.3, "processes": 2, "session": 2600.0}
    limit |= {"decode_and_session": 1300.0}
    left_out = {"bentoml": "no wheel"}
    result = serving_result(servers=servers, limit=limit, left_out=left_out)
    lines = serving_table.markdown(result).splitlines()
    first, second = lines[:6], lines[7:11]
    assert lines[6] == lines[11] == ""
    for block in (first, second):
        assert len({line.count("|") for line in block}) == 1
    assert "reached 25.0% of that" in lines[12]
    assert "it reached 50.0%" in lines[12]
    assert lines[-1] == "Left out: bentoml (no wheel)."
    assert "litserve" in serving_table.text(result)


def test_memory_over_requests_is_told_from_start_to_end() -> None:
    samples = [
        {"requests": 1000 * part, "memory_mib": 100 + part, "errors": 0} for part in range(9)
    ]
    lines = serving_table.soak_markdown(serving_result(soak={"olhar": samples})).splitlines()
    assert [line.split("|")[2].strip() for line in lines[2:7]] == [
        "0",
        "2,000",
        "4,000",
        "6,000",
        "8,000",
    ]


@pytest.mark.skipif(not shutil.which("ps"), reason="it asks ps")
def test_a_server_ends_with_all_its_children() -> None:
    from serving_servers import family, stop

    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        pids = [pid for pid, _rss in family(process.pid)]
        assert len(pids) == 2
        stop(process)
    end = time.monotonic() + 10
    while alive(pids[1]) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(pids[1])


def alive(pid: int) -> bool:
    """Whether it runs still; one that waits to be collected does not."""
    words = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_the_load_without_wrk_counts_answers_and_errors(tmp_path: Path) -> None:
    class Answers(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            good = self.rfile.read(int(self.headers["Content-Length"])) == b"photo"
            self.send_response(200 if good else 422)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_words: object) -> None:
            pass

    (tmp_path / "0.body").write_bytes(b"photo")
    (tmp_path / "1.body").write_bytes(b"none")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/predict"
        words = [url, str(tmp_path), "image/jpeg", "2", "--connections", "2", "--seconds", "0.5"]
        script = ROOT / "benchmarks" / "serving" / "load.py"
        try:
            told = json.loads(peers.run_command([sys.executable, script, *words]))
        finally:
            server.shutdown()
            thread.join()
    assert told["requests"] > 4
    assert 0 < told["errors"] < told["requests"]
    assert 0 < told["p50_ms"] <= told["p99_ms"]


def make_photos(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.png").write_bytes(f"{name} {number}".encode())
    return folder


def test_a_set_is_divided_once_and_alike(tmp_path: Path) -> None:
    source = make_photos(tmp_path / "flat", ants=10, bees=7)
    (source / "ants" / "notes.txt").touch()
    for place in ("first", "second"):
        photo_sets.lay_out(source, tmp_path / place)
    counts = {
        f"{part}/{name}": len(list((tmp_path / "first" / part / name).iterdir()))
        for part in ("train", "test")
        for name in ("ants", "bees")
    }
    assert counts == {"train/ants": 7, "test/ants": 3, "train/bees": 5, "test/bees": 2}
    parts = {
        p: set(photo_sets.divide(photo_sets.list_photos(source))[p]) for p in ("train", "test")
    }
    assert not parts["train"] & parts["test"]
    first, second = (photo_sets.fingerprint(tmp_path / place) for place in ("first", "second"))
    assert first == second
    next((tmp_path / "second" / "test" / "bees").iterdir()).write_bytes(b"another")
    assert photo_sets.fingerprint(tmp_path / "second") != first


def test_a_set_that_is_divided_stays_so(tmp_path: Path) -> None:
    make_photos(tmp_path / "set" / "train", ants=3)
    make_photos(tmp_path / "set" / "val", ants=2)
    photo_sets.lay_out(tmp_path / "set", tmp_path / "laid")
    assert len(photo_sets.list_photos(tmp_path / "laid" / "train")) == 3
    assert len(photo_sets.list_photos(tmp_path / "laid" / "test")) == 2


def test_a_photo_without_an_answer_is_wrong(tmp_path: Path) -> None:
    make_photos(tmp_path / "test", ants=2, bees=1)
    scored = photos.score({"ants/0.png": "ants", "bees/0.png": "ants"}, tmp_path)
    assert scored == {"n": 3, "right": 1, "wrong": ["ants/1.png", "bees/0.png"]}
    with pytest.raises(photos.PeerError, match="no test photo"):
        photos.score({"ants/7.png": "ants"}, tmp_path)


def photo_row(tool: str, wrong: int, seconds: float, **more: Any) -> dict[str, Any]:
    keys = ("processor", "threads", "precision", "system", "python", "olhar", "torch")
    ended = {"n": 100, "right": 100 - wrong, "wrong": [f"a/{k}.png" for k in range(wrong)]}
    row = {"set": "ants", "tool": tool, "title": photos.TOOLS[tool].title, "lines": 9}
    row |= {"fingerprint": "f", "machine": dict.fromkeys(keys, "x") | {"load_average": "1.0"}}
    return row | (more or ended | {"seconds": seconds, "note": ""})


def test_olhar_is_compared_with_the_most_accurate_and_the_fastest_peer() -> None:
    rows = [photo_row("olhar", 5, 20.0), photo_row("fastai", 8, 30.0)]
    rows += [photo_row("tutorial", 4, 400.0), photo_row("tutorial-frozen", 0, 0, stopped_s=60)]
    found = photos_table.summarise_set(rows, "ants")
    assert found["best"]["tool"] == "tutorial"
    assert found["difference"] == pytest.approx(-0.01)
    assert found["p"] == pytest.approx(0.5)
    assert photos_table.verdict(found) == "no worse beyond chance"
    assert found["times"] == pytest.approx(1.5)
    far = photos_table.summarise_set([photo_row("olhar", 30, 20.0), *rows[1:]], "ants")
    assert photos_table.verdict(far) == "worse beyond chance"


def test_a_mean_is_over_sets_that_both_ended() -> None:
    rows = [photo_row("olhar", 5, 20.0), photo_row("fastai", 8, 30.0)]
    rows += [{**photo_row("fastai", 50, 30.0), "set": "bees"}]
    found = photos_table.summarise_tool(rows, "fastai")
    assert (found["sets"], found["asked"]) == (1, 2)
    assert (found["mean"], found["ours"]) == (0.92, 0.95)


def test_the_tables_of_photos_are_square() -> None:
    rows = [photo_row("olhar", 5, 20.0), photo_row("fastai", 8, 30.0)]
    rows += [
        photo_row("tutorial", 0, 0, stopped_s=1800),
        photo_row("olhar-mobilenet", 0, 0, failed="|"),
    ]
    blocks = photos_table.markdown(rows).split("\n\n")
    for block in blocks[:3]:
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "0.950 (0.888 to 0.978)" in blocks[0]
    assert "stopped after 30 minutes" in blocks[0]
    assert blocks[3].count("load average before 1.0") == 1
    assert "1.50 times as fast as fastai" in photos_table.text(rows)
    assert photos_table.markdown([]) == photos_table.text([]) == "Nothing was measured."


@pytest.mark.skipif(os.name == "nt", reason="processes are ended by their group")
def test_a_tool_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(photos.StoppedError):
        photos.run_limited(command, 0.2, tmp_path)
    with pytest.raises(photos.PeerError, match="no wheel here"):
        photos.run_limited([sys.executable, "-c", "exit('no wheel here')"], 60, tmp_path)
    out, seconds = photos.run_limited([sys.executable, "-c", "print(7)"], 60, tmp_path)
    assert (out, seconds > 0) == ("7\n", True)


def test_the_table_is_made_again_of_what_was_kept(tmp_path: Path) -> None:
    kept = tmp_path / "photos.json"
    kept.write_text(json.dumps({"results": [photo_row("olhar", 5, 20.0)]}), encoding="utf-8")
    done = run("photos", "--json", str(kept), "--tools", "none")
    assert done.returncode == 0, done.stderr
    assert "95/100" in done.stdout


def test_lines_of_code_are_without_comments() -> None:
    lines = {name: photos.count_lines(tool) for name, tool in photos.TOOLS.items()}
    assert lines["olhar"] == 1
    code = (ROOT / "benchmarks/peers/photos_fastai.py").read_text(encoding="utf-8").splitlines()
    assert lines["fastai"] == len([line for line in code if line and line[0] != "#"])


def test_the_tutorials_last_epoch_is_told() -> None:
    out = "train Loss: 0.1 Acc: 0.9\ntest Loss: 0.2 Acc: 0.95\ntest Loss: 0.2 Acc: 0.9412\n"
    assert photos.last_epoch(out).endswith("the last had 0.941")
    assert photos.last_epoch("epoch 1") == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("peers", ["--peer", "caffe"]),
        ("peers", ["--rounds", "0"]),
        ("peers", ["--images", "3"]),
        ("scaling", ["--count", "many"]),
        ("scaling", ["--count", "5"]),
        ("scaling", ["--part", "cake"]),
        ("scaling", ["--folder", "no such folder"]),
        ("training_loop", ["--rounds", "0"]),
        ("serving", ["--server", "flask"]),
        ("serving", ["--workers", "0"]),
        ("serving", ["--side", "2"]),
        ("serving", ["--photos", "no such folder"]),
        ("serving", ["--run", "no such folder"]),
        ("photos", ["--tools", "fastai,caffe"]),
        ("photos", ["--sets", "no such folder"]),
        ("photos", ["--limit", "0"]),
    ],
)
def test_bad_arguments_are_refused(name: str, words: list[str]) -> None:
    done = run(name, *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


BENCH = re.findall(r"benchmarks/(\w+)\.py(.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "words"), BENCH, ids=[name for name, _words in BENCH])
def test_each_line_of_make_bench_is_understood(name: str, words: str) -> None:
    done = run(name, *words.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert "--markdown" in done.stdout


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", ROOT / f"benchmarks/{name}.py", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
    )


def test_the_page_has_the_marked_tables() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    marks = re.findall(r"^<!-- (?:table:(\w+)|/table) -->$", page, re.MULTILINE)
    assert marks == [
        "peers",
        "",
        "million",
        "",
        "scaling",
        "",
        "loop",
        "",
        "contention",
        "",
        "predicting",
        "",
        "serving",
        "",
        "soak",
        "",
        "photos",
        "",
    ]


def test_one_command_makes_every_table_anew() -> None:
    made = set(re.findall(r"benchmarks/(\w+)\.py", (ROOT / "Makefile").read_text(encoding="utf-8")))
    shown = set(
        re.findall(
            r"python benchmarks/(\w+)\.py",
            (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8"),
        )
    )
    assert shown
    assert made >= shown


def test_a_way_to_a_board_that_was_not_measured_has_a_dash() -> None:
    one = {"test_images": 10, "times": [0.002, 0.001, 0.004], "accuracy": 0.5}
    rows = [
        {"way": "ours", "flash": 67086, "ram": None, "instructions": 3731, **one},
        {"way": "theirs", "file": 74000, "ram": 14800, **one},
    ]
    here = dict.fromkeys(("processor", "system", "python", "olhar", "load_average"), "x")
    said = boards.markdown(rows, ["emx: no compiler"], here)
    assert "| ours | 67,086 | – | 3.73 | 2.000 ms | .5000 |" in said
    assert "| theirs | file: 74,000 | arena: 14,800 | – | 2.000 ms | .5000 |" in said
    assert said.endswith("Left out: emx: no compiler.")
