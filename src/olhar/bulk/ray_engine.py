"""Blocks answered on a Ray cluster, by Ray Data, in their order.

The model travels with the work, photos do not: a node reads paths and addresses itself, so it must reach
them under the same names. Photos out of tars, tables and standard input are sent along.

A node that is lost costs its blocks under way, which Ray gives to others.

Does not know: where photos come from, or where rows go.
"""

from __future__ import annotations

import dataclasses
import logging
import pickle
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from olhar._version import __version__
from olhar.bulk.answering import Answerer, Asked, Row
from olhar.bulk.items import Block
from olhar.cluster import find_head, join_cluster
from olhar.errors import ClusterError, OlharError
from olhar.i18n import _
from olhar.training.trackers.quiet import quietly

_WINDOW_BLOCKS, _WINDOW_BYTES = 1000, 256 * 2**20  # that one run of Ray Data is given
_LONGEST_REASON = 300


def answer_on_ray(
    blocks: Iterable[Block], asked: Asked, address: str | None, workers: int | None
) -> Generator[tuple[Block, list[Row]]]:
    """Each block with its rows, in order.

    Args:
        blocks: taken some hundreds in advance.
        asked: of each photo.
        address: HOST:PORT of the head; None is $RAY_ADDRESS, else the cluster of this machine.
        workers: at once; None is one a core of the cluster.

    Raises:
        ClusterError: the head cannot be reached, a node cannot answer, or the cluster is lost.
        OlharError: what `Answerer.answer` raises.
    """
    ray = join_cluster(find_head(address))
    try:
        files = {path.name: path.read_bytes() for path in sorted(Path(asked.folder).iterdir())}
        most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        sent = ray.put(files)
        for window in _windows(blocks):
            try:
                yield from _answer_window(window, (sent, asked, __version__), most)
            except ray.exceptions.RayError as error:
                reason = " ".join(str(error).split())[-_LONGEST_REASON:]
                raise ClusterError(
                    _(
                        "the Ray cluster cannot answer: {reason}. Every node needs this version of olhar "
                        "and the photos under the same paths. Then the same command goes on",
                        reason=reason,
                    )
                ) from error
    finally:
        with suppress(Exception):  # the cluster may be gone
            ray.shutdown()


def _windows(blocks: Iterable[Block]) -> Iterator[list[tuple[Block, bytes]]]:
    """Some blocks at a time, each with what is sent of it."""
    window: list[tuple[Block, bytes]] = []
    for block in blocks:
        window.append((block, pickle.dumps(block)))
        if (
            len(window) == _WINDOW_BLOCKS
            or sum(len(sent) for _block, sent in window) >= _WINDOW_BYTES
        ):
            yield window
            window = []
    if window:
        yield window


def _answer_window(
    window: list[tuple[Block, bytes]], made_of: tuple[Any, ...], most: int
) -> Iterator[tuple[Block, list[Row]]]:
    with quietly():
        answers = _started(window, made_of, most)
    while True:
        with quietly():
            answer = next(answers, None)
        if answer is None:
            return
        said = pickle.loads(answer["said"])  # noqa: S301  of our own workers
        if isinstance(said, OlharError):
            raise said
        yield window[answer["number"]][0], said


def _started(
    window: list[tuple[Block, bytes]], made_of: tuple[Any, ...], most: int
) -> Iterator[dict[str, Any]]:
    """What nodes say of each block, by its number in the window, in order."""
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    sent = [{"number": number, "block": block} for number, (_, block) in enumerate(window)]
    answers = ray.data.from_items(sent, override_num_blocks=len(sent)).map_batches(
        Node,
        fn_constructor_args=made_of,
        batch_size=1,
        num_cpus=1,
        concurrency=(1, min(most, len(sent))),
    )
    return iter(answers.iter_rows())


class Node:
    """A worker of the cluster: a model that answers blocks."""

    def __init__(self, files: Any, asked: Asked, version: str) -> None:
        """Unpack the model.

        Args:
            files: of the model's folder, by name; or Ray's reference to them.
            asked: of each photo.
            version: of the olhar that asks.

        Raises:
            ClusterError: another olhar is installed here.
        """
        if version != __version__:
            raise ClusterError(
                _(
                    "a node has olhar {found}, and {expected} asks; install the same on all",
                    found=__version__,
                    expected=version,
                )
            )
        if not isinstance(files, dict):
            import ray

            files = ray.get(files)
        self._place = tempfile.TemporaryDirectory()
        for name, content in files.items():
            Path(self._place.name, name).write_bytes(content)
        self._answerer = Answerer(dataclasses.replace(asked, folder=self._place.name))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """{"number", "block"} → {"number", "said"}: pickled rows, or the error in their place."""
        said = []
        for block in batch["block"]:
            try:
                answer: list[Row] | OlharError = self._answerer.answer(pickle.loads(block))  # noqa: S301
            except OlharError as error:
                answer = type(error)(str(error))
            said.append(pickle.dumps(answer))
        return {"number": batch["number"], "said": said}
