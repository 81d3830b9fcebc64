"""What benchmarks/serving.py measured: ratios, and the blocks of docs/benchmarks.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from peers import spread_text
from serving_servers import SERVERS

Record = dict[str, Any]
Rounds = Mapping[str, Sequence[Record]]


def ratios(servers: Rounds, name: str, connections: str) -> list[float]:
    """How many times as many requests a second olhar answers, for each round that both have."""
    pairs = zip(servers.get("olhar", ()), servers[name], strict=False)
    return [
        ours["levels"][connections]["requests_per_s"]
        / theirs["levels"][connections]["requests_per_s"]
        for ours, theirs in pairs
        if theirs["levels"][connections]["requests_per_s"]
    ]


def ratio_text(servers: Rounds, name: str, connections: str) -> str:
    """The ratio with n and spread; a dash for olhar itself, or where it was not measured."""
    found = ratios(servers, name, connections)
    if name == "olhar" or not found:
        return "–"
    return f"{spread_text(found, 2)} (n={len(found)})"


def level_cells(servers: Rounds, name: str, connections: str) -> list[str]:
    """A server with so many connections: the cells of its row."""
    levels = [row["levels"][connections] for row in servers[name]]

    def cell(key: str, digits: int) -> str:
        return spread_text([level[key] for level in levels], digits)

    return [
        SERVERS[name].title,
        connections,
        cell("requests_per_s", 0),
        f"{cell('p50_ms', 2)} ms",
        f"{cell('p99_ms', 2)} ms",
        ratio_text(servers, name, connections),
        f"{cell('cpu_ms_per_request', 2)} ms",
        cell("load_cores", 2),
        str(sum(level["errors"] for level in levels)),
    ]


def start_cells(servers: Rounds, name: str) -> list[str]:
    """A server's start and size: the cells of its row."""
    rows = servers[name]
    return [
        SERVERS[name].title,
        f"{spread_text([row['start_s'] for row in rows], 2)} s",
        str(max(row["processes"] for row in rows)),
        f"{spread_text([row['memory_mib'] for row in rows], 0)} MiB",
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def markdown(result: Record) -> str:
    """The block of docs/benchmarks.md: a row a server and number of connections, starts, the limit."""
    servers: Rounds = result["servers"]
    levels = list(next(iter(servers.values()))[0]["levels"]) if servers else []
    head = ["server", "connections", "requests/s", "p50", "p99", "olhar is … times as fast"]
    rows = [level_cells(servers, name, level) for level in levels for name in servers]
    lines = table([*head, "processor a request", "cores of the load", "errors"], rows)
    head = ["server", "start to first answer", "processes", "memory after the load"]
    lines += ["", *table(head, [start_cells(servers, name) for name in servers])]
    if "limit" in result:
        lines += ["", limit_text(result)]
    lines += ["", setting_text(result)]
    lines += [f"Left out: {name} ({why})." for name, why in result["left_out"].items()]
    return "\n".join(lines)


def text(result: Record) -> str:
    """For people at a terminal."""
    servers: Rounds = result["servers"]
    lines = [setting_text(result)]
    for name, rows in servers.items():
        for level in rows[0]["levels"]:
            cells = level_cells(servers, name, level)
            lines.append(
                f"{name:<17} {level:>2} connections: {cells[2]} requests/s, p50 {cells[3]}, "
                f"p99 {cells[4]}, {cells[6]} of processor a request, {cells[8]} errors, load "
                f"{cells[7]} cores; olhar × {cells[5]}"
            )
        _title, start, processes, memory = start_cells(servers, name)
        lines.append(f"{'':<17} first answer after {start}; {memory} in {processes} processes")
    if "limit" in result:
        lines.append(limit_text(result))
    lines += [f"{name:<17} left out: {why}" for name, why in result["left_out"].items()]
    return "\n".join(lines)


def limit_text(result: Record) -> str:
    """What the network alone would do, and how much of it the server reached."""
    limit, rows = result["limit"], result["servers"]["olhar"]
    busiest = list(rows[0]["levels"])[-1]
    rate = statistics.mean(row["levels"][busiest]["requests_per_s"] for row in rows)
    load = statistics.mean(row["levels"][busiest]["load_cores"] for row in rows)
    return (
        f"At {busiest} connections olhar's batches had {limit['batch_mean']:.1f} photos on average. "
        f"Runs of the network alone on batches of {limit['batch']}, in {limit['processes']} processes "
        f"without any server or load, did {limit['session']:,.0f} photos/s: the server reached "
        f"{rate / limit['session']:.1%} of that. With the decoding of each photo they did "
        f"{limit['decode_and_session']:,.0f}: it reached {rate / limit['decode_and_session']:.1%}, while "
        f"the load took {load:.2f} of {result['cores']} cores."
    )


def setting_text(result: Record) -> str:
    """Hardware, versions and what was asked, in a sentence."""
    machine, photos = result["machine"], result["photos"]
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return (
        f"{machine['processor']}, {machine['threads']} cores, {machine['system']}, Python "
        f"{machine['python']}; olhar {machine['olhar']}; {versions}; {result['network']}, "
        f"{photos['count']} JPEGs of {photos['side']} × {photos['side']} pixels "
        f"({photos['mean_bytes']:,.0f} bytes on average); {result['workers']} workers of each server; load "
        f"from {result['load']} on the same machine, {result['seconds']} s a figure; batches of at most "
        f"{result['batch']} and {result['latency_ms']} ms where a server has such limits; load average "
        f"before {machine['load_average']}."
    )


def soak_markdown(result: Record) -> str:
    """Memory over requests: the start, the quarters, the end."""
    rows = []
    for name, samples in result["soak"].items():
        last = samples[-1]["requests"]
        for part in (0.0, 0.25, 0.5, 0.75, 1.0):
            sample = min(samples, key=lambda one: abs(one["requests"] - part * last))
            cells = [f"{sample['requests']:,}", f"{sample['memory_mib']:,.1f} MiB"]
            rows.append([SERVERS[name].title, *cells, str(sample["errors"])])
    lines = table(["server", "requests so far", "memory", "errors"], rows)
    return "\n".join([*lines, "", setting_text(result)])
