"""What a server has done, in the text format of Prometheus (0.0.4).

All counters are one row of numbers, laid out before the first request. Where several processes
serve, each has its own row in one file that all of them map, so that any of them can tell the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROUTES = ("/predict", "/invocations", "/v1", "/v2", "/explain", "/corrections", "/ping", "other")
_STATUSES = (
    200,
    204,
    304,
    307,
    400,
    401,
    403,
    404,
    405,
    408,
    413,
    415,
    421,
    422,
    429,
    499,
    500,
    503,
)
_BOUNDS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_GAUGES = ("requests_in_flight", "batches", "batch_photos")
_COLUMNS = len(ROUTES) * (len(_STATUSES) + len(_BOUNDS_S) + 2) + len(_GAUGES)


class Metrics:
    """Counters of requests; the sum over all processes is `text`.

    Args:
        file: the file that the processes share; None for one process.
        row: which row is this process's own.
    """

    def __init__(self, file: Path | None = None, row: int = 0) -> None:
        self._table: NDArray[np.float64]  # (processes, columns)
        if file is None:
            self._table = np.zeros((1, _COLUMNS))
        else:
            self._table = np.memmap(file, np.float64, "r+").reshape(-1, _COLUMNS)
        self._own = self._table[row]
        self._own[-len(_GAUGES) :] = 0

    @staticmethod
    def size_bytes(processes: int) -> int:
        """Of the shared file, which begins as zeros."""
        return processes * _COLUMNS * 8

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request has been answered."""
        index = ROUTES.index(route)
        place = _STATUSES.index(status) if status in _STATUSES else _STATUSES.index(500)
        self._own[index * len(_STATUSES) + place] += 1
        start = len(ROUTES) * len(_STATUSES) + index * (len(_BOUNDS_S) + 2)
        bucket = next((i for i, bound in enumerate(_BOUNDS_S) if seconds <= bound), len(_BOUNDS_S))
        self._own[start + bucket] += 1
        self._own[start + len(_BOUNDS_S) + 1] += seconds

    def set_gauges(self, in_flight: int, batches: int, photos: int) -> None:
        """What holds at this moment in this process."""
        self._own[-len(_GAUGES) :] = (in_flight, batches, photos)

    def text(self, models: Iterable[tuple[str, str]]) -> str:
        """The exposition; `models` are (name, digest)."""
        total = self._table.sum(axis=0)
        lines = [
            "# HELP olhar_requests_total Requests answered.",
            "# TYPE olhar_requests_total counter",
        ]
        for i, route in enumerate(ROUTES):
            for j, status in enumerate(_STATUSES):
                count = total[i * len(_STATUSES) + j]
                if count:
                    labels = f'route="{route}",status="{status}"'
                    lines.append(f"olhar_requests_total{{{labels}}} {count:.0f}")
        lines += [
            "# HELP olhar_request_seconds From headers to answer.",
            "# TYPE olhar_request_seconds histogram",
        ]
        width = len(_BOUNDS_S) + 2
        times = total[len(ROUTES) * len(_STATUSES) : -len(_GAUGES)].reshape(len(ROUTES), width)
        for route, row in zip(ROUTES, times, strict=True):
            lines += _histogram(route, row)
        in_flight, batches, photos = total[-len(_GAUGES) :]
        for name, kind, text, value in (
            ("requests_in_flight", "gauge", "Requests being answered.", in_flight),
            ("batches_total", "counter", "Runs of a network.", batches),
            ("batch_photos_total", "counter", "Photos in those runs.", photos),
        ):
            lines += [
                f"# HELP olhar_{name} {text}",
                f"# TYPE olhar_{name} {kind}",
                f"olhar_{name} {value:.0f}",
            ]
        lines += ["# HELP olhar_model_info Models being served.", "# TYPE olhar_model_info gauge"]
        lines += [
            f'olhar_model_info{{model="{_escape(name)}",digest="{digest}"}} 1'
            for name, digest in models
        ]
        return "\n".join(lines) + "\n"


def _histogram(route: str, row: NDArray[np.float64]) -> list[str]:
    """`row`: a count for each bound, one above all of them, and the sum of seconds."""
    if not row[:-1].any():
        return []
    sums: Sequence[float] = np.cumsum(row[:-1]).tolist()
    bounds = [f"{bound:g}" for bound in _BOUNDS_S] + ["+Inf"]
    lines = [
        f'olhar_request_seconds_bucket{{route="{route}",le="{bound}"}} {count:.0f}'
        for bound, count in zip(bounds, sums, strict=True)
    ]
    lines.append(f'olhar_request_seconds_sum{{route="{route}"}} {row[-1]:.6f}')
    lines.append(f'olhar_request_seconds_count{{route="{route}"}} {sums[-1]:.0f}')
    return lines


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
