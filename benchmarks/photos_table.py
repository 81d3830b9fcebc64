"""What benchmarks/photos.py measured: intervals, paired comparisons, the block of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from here import machine_text
from olhar.evaluation.metrics import wilson_interval
from olhar.evaluation.paired import mcnemar_mid_p, paired_interval

Record = dict[str, Any]
OURS = "olhar"  # with nothing named: what is compared
LEVEL = 0.05


def accuracy(row: Record) -> float:
    return float(row["right"] / row["n"])


def accuracy_text(row: Record) -> str:
    """With its Wilson interval, or why there is none."""
    if "failed" in row:
        return f"failed: {row['failed']}"
    if "stopped_s" in row:
        return f"stopped after {row['stopped_s'] / 60:g} minutes"
    low, high = (float(end) for end in wilson_interval(row["right"], row["n"]))
    return f"{accuracy(row):.3f} ({low:.3f} to {high:.3f})"


def finished(rows: Sequence[Record], name: str) -> list[Record]:
    """The rows of a set that have answers."""
    return [row for row in rows if row["set"] == name and "right" in row]


def is_peer(row: Record) -> bool:
    return not row["tool"].startswith("olhar")


def compare_pair(ours: Record, theirs: Record) -> Record:
    """Two tools on the same photos: difference, its 95 % interval, and McNemar's mid-p."""
    our_wrong, their_wrong = set(ours["wrong"]), set(theirs["wrong"])
    ours_only, theirs_only = len(their_wrong - our_wrong), len(our_wrong - their_wrong)
    neither = len(our_wrong & their_wrong)
    both = ours["n"] - ours_only - theirs_only - neither
    return {
        "difference": accuracy(ours) - accuracy(theirs),
        "interval": paired_interval(both, ours_only, theirs_only, neither),
        "p": mcnemar_mid_p(ours_only, theirs_only),
    }


def summarise_set(rows: Sequence[Record], name: str) -> Record | None:
    """olhar's default beside the most accurate peer and the fastest; None where one side is missing."""
    done = finished(rows, name)
    ours = next((row for row in done if row["tool"] == OURS), None)
    peers = [row for row in done if is_peer(row)]
    if ours is None or not peers:
        return None
    best = max(peers, key=lambda row: (row["right"], -row["seconds"]))
    fastest = min(peers, key=lambda row: row["seconds"])
    pair = compare_pair(ours, best)
    return {
        "set": name,
        "ours": ours,
        "best": best,
        "fastest": fastest,
        **pair,
        "worse": pair["difference"] < 0 and pair["p"] < LEVEL,
        "times": fastest["seconds"] / ours["seconds"],
    }


def verdict(summary: Record) -> str:
    if summary["worse"]:
        return "worse beyond chance"
    better = summary["difference"] > 0 and summary["p"] < LEVEL
    return "better beyond chance" if better else "no worse beyond chance"


def summarise_tool(rows: Sequence[Record], tool: str) -> Record:
    """A tool's mean accuracy over the sets that it and olhar's default both ended, and olhar's there."""
    mine = {row["set"]: row for row in rows if row["tool"] == tool and "right" in row}
    ours = {row["set"]: row for row in rows if row["tool"] == OURS and "right" in row}
    sets = [name for name in mine if name in ours]
    asked = len({row["set"] for row in rows if row["tool"] == tool})
    return {
        "tool": tool,
        "sets": len(sets),
        "asked": asked,
        "mean": _mean([accuracy(mine[name]) for name in sets]),
        "ours": _mean([accuracy(ours[name]) for name in sets]),
        "seconds": sum(mine[name]["seconds"] for name in sets),
        "our_seconds": sum(ours[name]["seconds"] for name in sets),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def square(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown."""
    bars = [[cell.replace("|", "/") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *bars)]


def result_cells(row: Record) -> list[str]:
    ended = "right" in row
    count = f"{row['right']}/{row['n']}" if ended else "–"
    seconds = f"{row['seconds']:.0f}" if ended else "–"
    cells = [row["set"], row["title"], accuracy_text(row), count, seconds]
    return [*cells, str(row["lines"]), row.get("note", "")]


def set_cells(summary: Record) -> list[str]:
    low, high = summary["interval"]
    return [
        summary["set"],
        summary["best"]["title"],
        f"{summary['difference']:+.3f} ({low:+.3f} to {high:+.3f})",
        f"{summary['p']:.3f}",
        verdict(summary),
        f"{summary['fastest']['title']}, {summary['fastest']['seconds']:.0f} s",
        f"{summary['times']:.2f}",
    ]


def tool_cells(summary: Record, title: str) -> list[str]:
    if not summary["sets"]:
        return [title, f"0 of {summary['asked']}", "–", "–", "–", "–"]
    return [
        title,
        f"{summary['sets']} of {summary['asked']}",
        f"{summary['mean']:.3f}",
        f"{summary['ours']:.3f}",
        f"{summary['seconds']:.0f}",
        f"{summary['seconds'] / summary['our_seconds']:.2f}",
    ]


def tables(rows: Sequence[Record]) -> list[list[str]]:
    """Results, then olhar's default by set, then every tool over the sets."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    titles = {row["tool"]: row["title"] for row in rows}
    head = ["set", "tool", "accuracy (95 %)", "right", "seconds", "lines", ""]
    blocks = [square(head, [result_cells(row) for row in rows])]
    summaries = [found for name in sets if (found := summarise_set(rows, name))]
    if summaries:
        head = ["set", "most accurate peer", "olhar less that peer (95 %)", "p", "so olhar is"]
        head += ["fastest peer", "olhar is … times as fast"]
        blocks.append(square(head, [set_cells(summary) for summary in summaries]))
    head = ["tool", "sets ended", "mean accuracy", "olhar's on these", "seconds", "times olhar's"]
    means = [tool_cells(summarise_tool(rows, tool), title) for tool, title in titles.items()]
    blocks.append(square(head, means))
    return blocks


def where_text(rows: Sequence[Record]) -> list[str]:
    """A sentence a machine on which rows were measured, the loads in one; then the peers' versions."""
    loads: dict[str, list[str]] = {}
    for row in rows:
        machine = {**row["machine"], "load_average": "{load}"}
        loads.setdefault(machine_text(machine), []).append(row["machine"]["load_average"])
    lines = []
    for sentence, found in loads.items():
        found.sort(key=lambda load: (load == "unknown", len(load), load))  # as numbers
        span = found[0] if found[0] == found[-1] else f"{found[0]} to {found[-1]}"
        lines.append(sentence.replace("{load}", span))
    versions = {name: v for row in rows for name, v in row.get("versions", {}).items()}
    if versions:
        shown = ", ".join(f"{name} {number}" for name, number in versions.items())
        lines.append(f"Peers with {shown}.")
    return lines


def markdown(rows: Sequence[Record]) -> str:
    """The block of docs/benchmarks.md."""
    if not rows:
        return "Nothing was measured."
    lines: list[str] = []
    for block in tables(rows):
        lines += [*block, ""]
    return "\n".join([*lines, *where_text(rows)])


def text(rows: Sequence[Record]) -> str:
    """The same in lines for a terminal."""
    lines = []
    for row in rows:
        ended = f"{row['right']}/{row['n']}  {row['seconds']:.0f} s" if "right" in row else ""
        lines.append(f"{row['set']:<12} {row['tool']:<16} {accuracy_text(row)}  {ended}".rstrip())
    for name in dict.fromkeys(row["set"] for row in rows):
        if found := summarise_set(rows, name):
            lines.append(
                f"{name}: olhar is {verdict(found)} than {found['best']['tool']}"
                f" ({found['difference']:+.3f}, p {found['p']:.3f}),"
                f" {found['times']:.2f} times as fast as {found['fastest']['tool']}"
            )
    return "\n".join(lines) or "Nothing was measured."
