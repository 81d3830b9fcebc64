"""A model's C, as it was written, compiled and run on this machine."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.native.board import ONE, Board
from olhar.native.host import SOURCES, load_library
from olhar.native.steps import Array


class Program:
    """The compiled C of a model. Answers are numbers of its own: float32, or uint16 in 1/32768."""

    def __init__(self, sources: Path, board: Board) -> None:
        """Compile.

        Args:
            sources: the folder with model.c.
            board: what was written there.

        Raises:
            MissingExtraError: there is no C compiler.
            ExportError: the compiler refuses the C.
        """
        files = [sources / "model.c", sources / "olhar_nn.c", SOURCES / "host" / "batch.c"]
        self._library = load_library(files, exact=board.quantised is None)
        self._board = board

    def run(self, images: NDArray[np.uint8]) -> Array:
        """Images (n, H, W, C) uint8 → probabilities (n, K)."""
        kind = np.float32 if self._board.quantised is None else np.uint16
        out = np.empty((len(images), self._board.network.classes), kind)
        pixels = np.ascontiguousarray(images)
        self._library.batch(
            pixels.ctypes.data_as(ctypes.c_void_p),
            len(pixels),
            out.ctypes.data_as(ctypes.c_void_p),
        )
        return out

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (n, H, W, C) uint8 → probabilities (n, K) float32."""
        found = self.run(images)
        shares: NDArray[np.float32] = (found / (ONE if found.dtype == np.uint16 else 1)).astype(
            np.float32
        )
        return shares
