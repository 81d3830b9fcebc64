"""`olhar predict --out` beside the same work in a bare loop, and beside Ray Data written by hand.

The bare loop decodes photos and runs the network on batches, in one process a core that has a share of
the photos, with one thread each; it walks nothing, writes nothing and remembers nothing. Every way is a
process of its own; what is counted is photos by seconds from the first photo to the last row, and with
the start of the processes. The ways take turns.

    OLHAR_DATA=... python benchmarks/predicting.py [--model RUN] [--photos FOLDER] [--count 2000]
        [--side 480] [--repeats 3] [--ways olhar,bare,ray] [--memory 10000,1000000] [--json | --markdown]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from here import describe_here, machine_text

Record = dict[str, Any]
_MARK_EVERY_S = 0.05

# The same photos, network, batch and threads as olhar's; the share of one process.
BARE = """
import sys, time
from pathlib import Path
import numpy as np
from olhar.classifier import load_classifier
from olhar.preprocess import batch_rows
model, share, shares = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
classifier = load_classifier(model, threads=1)
paths = Path(sys.argv[1]).read_text().split("\\n")[share::shares]
rows = batch_rows(classifier.preprocess.size)
print("ready", flush=True)
sys.stdin.readline()
for start in range(0, len(paths), rows):
    inputs = [classifier.preprocess.read_input(path)[0] for path in paths[start:start + rows]]
    classifier.predict_probs(np.stack(inputs))
print("done", flush=True)
"""

# Ray Data as its documentation shows batch inference: an actor class, map_batches, write_parquet.
BY_HAND = """
import logging, os, sys, time
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import numpy as np, ray
from olhar.classifier import load_classifier
model, out, cores = sys.argv[2], sys.argv[3], int(sys.argv[4])
class Answer:
    def __init__(self):
        self.classifier = load_classifier(model, threads=1)
    def __call__(self, batch):
        read = self.classifier.preprocess.read_input
        probs = self.classifier.predict_probs(np.stack([read(path)[0] for path in batch["path"]]))
        names = [self.classifier.class_names[at] for at in probs.argmax(axis=1)]
        return {"file": batch["path"], "label": names, "probability": probs.max(axis=1)}
ray.init(num_cpus=cores, logging_level=logging.ERROR, include_dashboard=False)
ray.data.DataContext.get_current().enable_progress_bars = False
paths = open(sys.argv[1]).read().split("\\n")
begun = time.perf_counter()
answers = ray.data.from_items([{"path": path} for path in paths]).map_batches(
    Answer, batch_size=64, concurrency=cores, num_cpus=1)
answers.write_parquet(out)
print("seconds", time.perf_counter() - begun)
"""


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}


def run_bare(model: Path, photos: Path, folder: Path, cores: int) -> Record:
    """One process a core; each begins when all have loaded the network."""
    listed = folder / "list.txt"
    listed.write_text("\n".join(sorted(str(path) for path in photos.rglob("*.jpg"))))
    begun = time.perf_counter()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, listed, model, str(share), str(cores)],
            text=True,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for share in range(cores)
    ]
    _hear(processes, "ready\n")
    ready = time.perf_counter()
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    _hear(processes, "done\n")
    ended = time.perf_counter()
    for process in processes:
        process.communicate()
    return {"seconds": ended - ready, "whole_s": ended - begun}


def _hear(processes: list[subprocess.Popen[str]], line: str) -> None:
    """Wait until each of them has said so."""
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == line


def run_olhar(model: Path, photos: Path, folder: Path, cores: int) -> Record:
    """The command; it has begun once all of its processes have loaded the network."""
    out = folder / "olhar.parquet"
    code = (
        "import sys, time; import olhar.bulk.pool as pool\n"
        "begin = pool._Process._begin\n"
        "def begun(self, *words):\n"
        "    begin(self, *words); print('begun', time.time(), file=sys.stderr)\n"
        "pool._Process._begin = begun\n"
        "from olhar.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["predict", model, photos, "--out", out, "--workers", str(cores)]
    begun = time.time()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        env=_environment(),
    )
    ended = time.time()
    ready = [float(line.split()[1]) for line in done.stderr.splitlines() if "begun" in line]
    return {"seconds": ended - max(ready), "whole_s": ended - begun}


def run_ray(model: Path, photos: Path, folder: Path, cores: int) -> Record:
    """By hand; its seconds include that of its actors' start, as Ray Data counts it too."""
    listed = folder / "list.txt"
    listed.write_text("\n".join(sorted(str(path) for path in photos.rglob("*.jpg"))))
    begun = time.perf_counter()
    words = [sys.executable, "-c", BY_HAND, listed, model, folder / "ray.parquet", str(cores)]
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=True, env=_environment()
    )
    seconds = float(done.stdout.rpartition("seconds")[2])
    return {"seconds": seconds, "whole_s": time.perf_counter() - begun}


WAYS = {"bare": run_bare, "olhar": run_olhar, "ray": run_ray}


def make_photos(folder: Path, count: int, side: int) -> Path:
    """Real photos of OLHAR_DATA, scaled so that the shorter side is `side` pixels, again and again."""
    from PIL import Image

    data = Path(os.environ["OLHAR_DATA"], "hymenoptera_data")
    found = sorted(data.rglob("*.jpg"))
    first = folder / "photos" / "000"
    first.mkdir(parents=True)
    for number in range(count):
        place = folder / "photos" / f"{number // 1000:03}"
        place.mkdir(exist_ok=True)
        target = place / f"{number:07}.jpg"
        if number >= len(found):
            shutil.copyfile(first / f"{number % min(len(found), 1000):07}.jpg", target)
            continue
        with Image.open(found[number]) as image:
            scale = side / min(image.size)
            size = round(image.width * scale), round(image.height * scale)
            image.convert("RGB").resize(size).save(target, quality=90)
    return folder / "photos"


def make_model(folder: Path) -> Path:
    """MobileNetV2 at 224 pixels, its last layer trained on ants and bees."""
    data = Path(os.environ["OLHAR_DATA"])
    words = ["train", "--data", data / "hymenoptera_data", "--backbone", "mobilenet_v2"]
    words += ["--weights", data / "weights/mobilenet_v2_imagenet.pth", "--run", folder / "model"]
    subprocess.run([sys.executable, "-m", "olhar", *map(str, words)], check=True, stdout=sys.stderr)
    return folder / "model"


def memory_mib(pid: int) -> float:
    """Highest resident memory of a process so far, MiB (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure_memory(model: Path, count: int, folder: Path) -> Record:
    """Peaks of the command and of the largest process that it started; the photos lie in one folder."""
    from PIL import Image

    photos = folder / f"flat-{count}"
    photos.mkdir()
    one = folder / "one.png"
    Image.new("L", (28, 28), 90).save(one)
    content = one.read_bytes()
    for number in range(count):
        (photos / f"{number:08}.png").write_bytes(content)
    words = ["predict", model, photos, "--out", folder / f"memory-{count}.parquet"]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "olhar", *map(str, words)], env=_environment(), stdout=sys.stderr
    )
    peaks = {"own": 0.0, "largest_child": 0.0}

    def watch() -> None:
        while process.poll() is None:
            try:
                peaks["own"] = max(peaks["own"], memory_mib(process.pid))
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                for child in children.split():
                    peaks["largest_child"] = max(peaks["largest_child"], memory_mib(int(child)))
            except (OSError, StopIteration, ValueError):
                pass
            time.sleep(_MARK_EVERY_S)

    watching = threading.Thread(target=watch)
    watching.start()
    assert process.wait() == 0
    watching.join()
    shutil.rmtree(photos)
    return {"photos": count, "seconds": time.perf_counter() - begun, "memory_mib": peaks}


def summarise(records: list[Record], count: int) -> list[Record]:
    """Of each way photos a second, means and deviations, and the share of the bare loop's pairwise."""
    found = []
    bare = [one["seconds"] for one in records if one["way"] == "bare"]
    for way in dict.fromkeys(one["way"] for one in records):
        mine = [one for one in records if one["way"] == way]
        rates = [count / one["seconds"] for one in mine]
        whole = [count / one["whole_s"] for one in mine]
        shares = [b / one["seconds"] for b, one in zip(bare, mine, strict=False)]
        row = {"way": way, "n": len(mine), "photos_per_s": statistics.mean(rates)}
        row["std"] = statistics.stdev(rates) if len(rates) > 1 else 0.0
        row["with_start_per_s"] = statistics.mean(whole)
        row["of_bare"] = statistics.mean(shares) if shares else None
        found.append(row)
    return found


def table(found: Record) -> str:
    """What was measured, in Markdown: the ways beside each other, and memory by number of photos."""
    lines = []
    if found["runs"]:
        lines += ["| way | photos/s | with the start of processes | of the bare loop |"]
        lines += ["|---|---|---|---|"]
    for row in found.get("summary", ()):
        share = "" if row["of_bare"] is None else f"{row['of_bare']:.2f}"
        rate = f"{row['photos_per_s']:.1f} ± {row['std']:.1f} (n={row['n']})"
        lines.append(f"| {row['way']} | {rate} | {row['with_start_per_s']:.1f} | {share} |")
    if found["memory"]:
        lines += ["", "| photos | memory, MiB | each process that answers, MiB | seconds |"]
        lines += ["|---|---|---|---|"]
    for row in found["memory"]:
        own, child = row["memory_mib"].values()
        lines.append(f"| {row['photos']:,} | {own:.0f} | {child:.0f} | {row['seconds']:.0f} |")
    return "\n".join([*lines, "", machine_text(found["machine"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a run; default MobileNetV2, trained first")
    parser.add_argument("--photos", type=Path, help="a folder of .jpg; default made of OLHAR_DATA")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--side", type=int, default=480, help="shorter side of the photos, pixels")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", default="bare,olhar,ray")
    parser.add_argument("--memory", default="", help="numbers of photos, such as 10000,1000000")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="everything, for programs")
    shown.add_argument("--markdown", action="store_true", help="the tables of docs/benchmarks.md")
    args = parser.parse_args()
    from olhar.cores import count_cores

    cores, here = count_cores(), describe_here()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = args.model or make_model(folder)
        result: Record = {"machine": here, "cores": cores, "runs": [], "memory": []}
        ways = [way for way in args.ways.split(",") if way]
        photos = args.photos or (make_photos(folder, args.count, args.side) if ways else folder)
        count = sum(1 for _ in photos.rglob("*.jpg"))
        for repeat in range(args.repeats if ways else 0):
            for way in ways:
                own = folder / f"{way}-{repeat}"
                own.mkdir()
                record = {"way": way, "photos": count, **WAYS[way](model, photos, own, cores)}
                result["runs"].append(record)
                print(json.dumps(record), file=sys.stderr)
        for number in [int(part) for part in args.memory.split(",") if part]:
            result["memory"].append(measure_memory(model, number, folder))
    if result["runs"]:
        result["summary"] = summarise(result["runs"], count)
    print(json.dumps(result, indent=1) if args.json else table(result))


if __name__ == "__main__":
    main()
