"""olhar's server beside LitServe, BentoML and a plain FastAPI handler: one model, the same JPEGs.

Every server runs by its own command, the peers in virtual environments of their own (made under
.bench/ by the pins in benchmarks/serving/*.txt, and kept), with the same number of workers. In each
round every server is started, asked with 1, 8 and 64 connections from another process (wrk where it
is installed), and stopped; who is first rotates, and a ratio is of one round's pair. Before that
each must give the answers that the model gives here. docs/benchmarks.md says what is counted.

    python benchmarks/serving.py [--run RUN] [--workers 2] [--side 256] [--json | --markdown]
    python benchmarks/serving.py --soak 200000
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from here import describe_here
from peers import PeerError, environment, say
from serving_servers import (
    BATCH,
    LATENCY_MS,
    RAW,
    SCRIPTS,
    SERVERS,
    Photos,
    available_cores,
    check_answers,
    count_batches,
    describe_load,
    describe_versions,
    find_model,
    make_jpegs,
    memory_mib,
    put_load,
    running,
    used_s,
    write_photos,
)
from serving_table import markdown, soak_markdown, text

LEVELS = (1, 8, 64)  # connections
WARM_S, SOAK_CHUNK_S, LIMIT_S = 1, 5, 2

Record = dict[str, Any]


def measure_round(name: str, python: Path, model: Path, photos: Photos, args: Any) -> Record:
    """One start of a server, all numbers of connections, and its end."""
    with running(name, python, model, photos, args.workers) as server:
        check_answers(name, server.port, photos)
        put_load(name, server.port, photos, LEVELS[-1], WARM_S)
        levels: Record = {}
        for connections in LEVELS:
            before = count_batches(server.port) if name == "olhar" else (0.0, 0.0)
            used = used_s(server.process.pid)
            level = put_load(name, server.port, photos, connections, args.seconds)
            used = used_s(server.process.pid) - used
            level["cpu_ms_per_request"] = 1000 * used / max(1, level["requests"])
            if name == "olhar":
                runs, answered = count_batches(server.port)
                level["batch_mean"] = (answered - before[1]) / max(1.0, runs - before[0])
            levels[str(connections)] = level
        memory, processes = memory_mib(server.process.pid)
    record = {"start_s": server.start_s, "memory_mib": memory, "processes": processes}
    say(f"  {describe(name, levels)}, first answer after {server.start_s:.2f} s")
    return {**record, "levels": levels}


def describe(name: str, levels: Mapping[str, Record]) -> str:
    """A round of a server in a line."""
    rates = " / ".join(f"{level['requests_per_s']:,.0f}" for level in levels.values())
    return f"{name:<17} {rates} requests/s with {' / '.join(levels)} connections"


def measure_limit(model: Path, photos: Photos, batch_mean: float) -> Record:
    """Photos a second without any server, all cores at it, in batches as large as olhar's were."""
    cores, batch = available_cores(), max(1, round(batch_mean))
    command = [sys.executable, str(SCRIPTS / "limit.py"), str(model), str(photos.folders[RAW])]
    command += [str(len(photos.sizes_bytes)), "--batch", str(batch), "--seconds", str(LIMIT_S)]
    command += ["--at", str(time.time() + 3)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _core in range(cores)]
    rows = [json.loads(process.communicate()[0]) for process in processes]
    sums = {key: sum(row[key] for row in rows) for key in ("session", "decode_and_session")}
    return {"batch": batch, "batch_mean": batch_mean, "processes": cores, **sums}


def measure(args: argparse.Namespace, model: Path, photos: Photos) -> Record:
    """All rounds of all servers; one that cannot run is left out, and why is told."""
    result = describe_setting(args, model, photos)
    pythons, rows, left_out = find_pythons(args.server or list(SERVERS))
    for number in range(args.rounds):
        names = [name for name in pythons if name not in left_out]
        if not names:
            break
        say(f"round {number + 1} of {args.rounds}")
        for name in names[number % len(names) :] + names[: number % len(names)]:
            try:
                rows[name].append(measure_round(name, pythons[name], model, photos, args))
            except PeerError as error:
                say(f"{name}: left out: {error}")
                left_out[name] = str(error)
    result["left_out"] = left_out
    result["servers"] = {name: rows[name] for name in pythons if name not in left_out}
    busiest = [row["levels"][str(LEVELS[-1])] for row in result["servers"].get("olhar", ())]
    if busiest:
        batch = statistics.mean(level["batch_mean"] for level in busiest)
        result["limit"] = measure_limit(model, photos, batch)
    return result


def find_pythons(
    names: Sequence[str],
) -> tuple[dict[str, Path], dict[str, list[Record]], dict[str, str]]:
    """Each server's Python; a place for its rounds; and why one cannot be installed."""
    pythons: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for name in names:
        pins = SERVERS[name].pins
        try:
            pythons[name] = environment(pins, SCRIPTS) if pins else Path(sys.executable)
        except PeerError as error:
            say(f"{name}: left out: {error}")
            left_out[name] = str(error)
    return pythons, {name: [] for name in pythons}, left_out


def soak(args: argparse.Namespace, model: Path, photos: Photos) -> Record:
    """Memory over `args.soak` requests, of olhar or the servers that were named."""
    result = describe_setting(args, model, photos)
    pythons, samples, result["left_out"] = find_pythons(args.server or ["olhar"])
    result["soak"] = samples
    for name, python in pythons.items():
        with running(name, python, model, photos, args.workers) as server:
            check_answers(name, server.port, photos)
            put_load(name, server.port, photos, LEVELS[-1], WARM_S)
            requests = errors = 0
            while True:
                mib, processes = memory_mib(server.process.pid)
                sample = {"requests": requests, "memory_mib": mib, "processes": processes}
                samples[name].append({**sample, "errors": errors})
                say(f"  {name:<17} {requests:>9,} requests: {mib:,.1f} MiB, {errors} errors")
                if requests >= args.soak:
                    break
                level = put_load(name, server.port, photos, LEVELS[-1], SOAK_CHUNK_S)
                requests, errors = requests + level["requests"], errors + level["errors"]
                if not level["requests"]:
                    raise PeerError(f"{name} has stopped answering")
    return result


def describe_setting(args: argparse.Namespace, model: Path, photos: Photos) -> Record:
    """Everything that the figures depend on."""
    from olhar.classifier import load_classifier

    sizes = photos.sizes_bytes
    return {
        "machine": describe_here(),
        "cores": available_cores(),
        "versions": describe_versions(),
        "load": describe_load(),
        "network": load_classifier(model).config.network["name"],
        "photos": {
            "count": len(sizes),
            "side": photos.side,
            "mean_bytes": statistics.mean(sizes),
        },
        "workers": args.workers,
        "seconds": SOAK_CHUNK_S if args.soak else args.seconds,
        "batch": BATCH,
        "latency_ms": LATENCY_MS,
    }


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run",
        type=Path,
        help="run folder of the model; default cnn-32-64-64, trained for it once",
    )
    parser.add_argument("--server", action="append", choices=SERVERS, help="default: all")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each server; default 3")
    parser.add_argument("--seconds", type=int, default=3, help="of load a figure; default 3")
    parser.add_argument(
        "--workers", type=int, default=available_cores(), help="of each server; default one a core"
    )
    parser.add_argument(
        "--side", type=int, help="pixels of the JPEGs; default the model's, 256 with --photos"
    )
    parser.add_argument(
        "--photos", type=Path, help="a folder of photos; default the model's own test images"
    )
    parser.add_argument(
        "--soak", type=int, default=0, help="memory over so many requests, of olhar alone"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="everything, for programs")
    shown.add_argument("--markdown", action="store_true", help="the table of docs/benchmarks.md")
    return parser


def main() -> int:
    parser = build_parser()
    args = parser.parse_args()
    if min(args.rounds, args.seconds, args.workers) < 1 or args.soak < 0:
        parser.error("--rounds, --seconds and --workers: 1 and more; --soak: 0 and more")
    if args.side is not None and not 8 <= args.side <= 4096:
        parser.error("--side: 8 to 4096 pixels")
    if args.photos and not args.photos.is_dir():
        parser.error(f"--photos {args.photos} is no folder")
    if not shutil.which("ps"):
        parser.error("this benchmark needs Linux or macOS, and ps")
    from olhar.errors import OlharError

    try:
        model = find_model(args.run).resolve()
        jpegs, side = make_jpegs(model, args.side, args.photos)
        with tempfile.TemporaryDirectory() as place:
            photos = write_photos(jpegs, side, model, Path(place))
            result = (soak if args.soak else measure)(args, model, photos)
    except OlharError as error:
        say(f"olhar: {error}")
        return error.exit_status
    except PeerError as error:
        say(str(error))
        return 1
    if args.json:
        print(json.dumps(result, indent=2))
    elif args.soak:
        print(soak_markdown(result))
    else:
        print((markdown if args.markdown else text)(result))
    return 0 if result.get("servers") or result.get("soak") else 1


if __name__ == "__main__":
    sys.exit(main())
