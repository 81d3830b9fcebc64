"""TensorBoard: an event file in RUN/tensorboard/, written as it is told, without TensorFlow."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from olhar.i18n import Text, _
from olhar.training.trackers.results import Results, Setting, figures


class TensorBoardTracker:
    """Event files that `tensorboard --logdir` shows."""

    title = "TensorBoard"

    def __init__(self) -> None:
        self._writer: Any = None

    def start(self, settings: Mapping[str, Setting], run: Path, memory: dict[str, Any]) -> Text:
        """Open a new event file; one run may have several, which TensorBoard reads as one."""
        records = import_module("tensorboard.summary.writer.record_writer")
        hparams = import_module("tensorboard.plugins.hparams.summary_v2")
        folder = run / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        host = re.sub(r"[^\w-]", "_", socket.gethostname())
        name = f"events.out.tfevents.{time.time_ns() / 1e9:.6f}.{host}.{os.getpid()}"
        self._writer = records.RecordWriter((folder / name).open("xb"))
        self._write(file_version="brain.Event:2")
        if not memory:
            memory["started"] = True
            names = [hparams.HParam(key) for key in settings]
            shown = ("val_accuracy", "val_loss", "accuracy", "f1")
            metrics = [hparams.Metric(key) for key in shown]
            self._write(summary=hparams.hparams_config_pb(names, metrics))
            self._write(summary=hparams.hparams_pb(dict(settings), trial_id=run.name))
            self._text("settings", dict(settings), 0)
        self._writer.flush()
        return _("TensorBoard: tensorboard --logdir {folder}", folder=folder)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Write the figures of an epoch; the step is the epoch."""
        self._scalars(figures(row), int(row["epoch"]))
        self._writer.flush()

    def finish(self, results: Results) -> None:
        """Write the results, the pictures, and where the model is."""
        step = results.epochs
        self._scalars(results.metrics, step)
        self._text("metrics", dict(results.metrics), step)
        self._text("confusion_matrix", results.confusion_table(), step)
        self._text("model", str(results.model_folder), step)
        for name, path in results.files.items():
            if path.suffix == ".png":
                self._image(name, path, step)
        self._writer.close()

    def stop(self) -> None:
        """Close the file of a run that was cut off."""
        if self._writer is not None:
            self._writer.close()

    def advice(self) -> Text:
        """Where it writes."""
        return _("Its files are in the run folder, in tensorboard/: is the disk full?")

    def _write(self, **content: Any) -> None:
        events = import_module("tensorboard.compat.proto.event_pb2")
        event = events.Event(wall_time=time.time(), **content)
        self._writer.write(event.SerializeToString())

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        summaries = import_module("tensorboard.compat.proto.summary_pb2")
        found = [summaries.Summary.Value(tag=key, simple_value=one) for key, one in values.items()]
        self._write(summary=summaries.Summary(value=found), step=step)

    def _text(self, tag: str, content: Any, step: int) -> None:
        """JSON as a block of code, since class names may look like Markdown or HTML."""
        texts = import_module("tensorboard.plugins.text.summary_v2")
        lines = json.dumps(content, indent=2, ensure_ascii=False, default=str).splitlines()
        block = "\n".join(f"    {line}" for line in lines)
        self._write(summary=texts.text_pb(f"{tag}/text_summary", block), step=step)

    def _image(self, name: str, path: Path, step: int) -> None:
        summaries = import_module("tensorboard.compat.proto.summary_pb2")
        content = path.read_bytes()
        width, height = struct.unpack(">II", content[16:24])  # a PNG's first chunk, its header
        image = summaries.Summary.Image(
            width=width, height=height, colorspace=4, encoded_image_string=content
        )
        value = summaries.Summary.Value(tag=Path(name).stem, image=image)
        self._write(summary=summaries.Summary(value=[value]), step=step)
