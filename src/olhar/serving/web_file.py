"""A served model as the one HTML file that shows it anywhere: made when it is first asked for, then kept.

It is made by `olhar export` in a process of its own: what serves imports nothing that exports.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from olhar.i18n import Text, _, language
from olhar.serving.served import ServedModel
from olhar.web_server.refusals import RequestError

_PATIENCE_S = 300


class WebFiles:
    """The files of the models that are served, by what names their versions."""

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @staticmethod
    def possible(model: ServedModel) -> bool:
        """Whether one can be made here: that needs the onnx library, and a model of fp32."""
        return (
            model.classifier.config.precision == "fp32"
            and importlib.util.find_spec("onnx") is not None
        )

    def of(self, model: ServedModel) -> bytes:
        """The file of a model.

        Raises:
            RequestError: it cannot be made.
        """
        if not self.possible(model):
            raise _refused(_("this server has not what it takes: pip install 'olhar[train]'"))
        with self._lock:  # one at a time, for it takes seconds
            if model.digest not in self._made:
                self._made = {**self._made, model.digest: _make(model.classifier.folder)}
            return self._made[model.digest]


def _make(folder: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="olhar-", ignore_cleanup_errors=True) as aside:
        path = Path(aside) / "model.html"
        words = ["export", str(folder), "--format", "web", "--out", str(path), "--json"]
        try:
            done = subprocess.run(  # noqa: S603  this olhar itself
                [sys.executable, "-P", "-m", "olhar", "--lang", language(), *words],
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _refused(_("making it took too long")) from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise _refused(said.rpartition("\n")[2])
        return path.read_bytes()


def _refused(reason: Text | str) -> RequestError:
    return RequestError(
        422, "web", _("the model cannot be written as one HTML file: {reason}", reason=reason)
    )
