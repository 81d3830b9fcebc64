"""The page's engine, `olhar.wasm`, run by wasmtime: what a browser would compute, without one.

wasmtime is no part of the base install: olhar.native.engine is for tests and for `olhar verify`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.errors import MissingExtraError
from olhar.i18n import _
from olhar.native.answers import mean_over_views, probabilities
from olhar.native.packing import HEADER, plan_values
from olhar.native.steps import Network
from olhar.preprocess import Framing

WASM = Path(__file__).parent / "olhar.wasm"
FORMATS = ("grey", "rgb", "rgba", "rgb565", "rgb565_be")  # as olhar_frame.h counts them
RESIZES = ("crop", "squash", "pad")
_PAGE = 65536
_LOGITS, _FEATURES = 7, 9  # words of the header: the place, then how many


def has_engine() -> bool:
    """Whether wasmtime is installed."""
    return importlib.util.find_spec("wasmtime") is not None


class Engine:
    """A packed network in `olhar.wasm`."""

    def __init__(self, packed: bytes = b"") -> None:
        if not has_engine():
            raise MissingExtraError(_("this needs wasmtime: pip install wasmtime"))
        import wasmtime

        config = wasmtime.Config()
        config.wasm_simd = True
        engine = wasmtime.Engine(config)
        self._store = wasmtime.Store(engine)
        module = wasmtime.Module(engine, WASM.read_bytes())
        self._exports: Any = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._memory: Any = self._exports["memory"]
        heap: Any = self._exports["__heap_base"]
        self._end = int(heap.value(self._store))
        self._header = struct.unpack_from(HEADER, packed) if packed else ()
        if packed:
            self._packed = self.place(np.frombuffer(packed, np.uint8))
            self._weights = self._reserve(self.call("olhar_weights_bytes", self._packed))
            self._arena = self._reserve(self.call("olhar_arena_bytes", self._packed))
            self.call("olhar_unpack", self._packed, self._weights)

    def call(self, name: str, *words: int) -> Any:
        """One of its functions."""
        return self._exports[name](self._store, *words)

    def _reserve(self, count: int) -> int:
        """Memory for so many bytes; its address."""
        first = -(-self._end // 16) * 16
        self._end = first + count
        missing = self._end - self._memory.data_len(self._store)
        if missing > 0:
            self._memory.grow(self._store, -(-missing // _PAGE))
        return first

    def place(self, array: NDArray[Any]) -> int:
        """Copy an array into its memory; its address."""
        content = np.ascontiguousarray(array).tobytes()
        first = self._reserve(len(content))
        self._memory.write(self._store, content, first)
        return first

    def read(self, first: int, count: int) -> NDArray[np.uint8]:
        """A copy of so many bytes of its memory."""
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        return np.frombuffer(ctypes.string_at(base + first, count), np.uint8)

    def frame(self, pixels: NDArray[np.uint8], format: str, framing: Framing) -> NDArray[np.uint8]:  # noqa: A002
        """A frame (H, W, bytes a pixel) uint8 → (size, size, C) uint8; see olhar_frame.h."""
        before = self._end
        numbers = (
            *(pixels.shape[1], pixels.shape[0], pixels.shape[1] * pixels.shape[2]),
            *(FORMATS.index(format), framing.size, framing.channels),
            RESIZES.index(framing.resize),
        )
        fields, given = self.place(np.array(numbers, np.int32)), self.place(pixels)
        scratch = self._reserve(self.call("olhar_frame_scratch", fields))
        count = framing.size**2 * framing.channels
        out = self._reserve(count)
        self.call("olhar_frame", fields, given, out, scratch)
        self._end = before
        return self.read(out, count).reshape(framing.shape)

    def run(self, pixels: NDArray[np.uint8], steps: int | None = None) -> NDArray[np.float32]:
        """One view (H, W, C) uint8 → all numbers of the arena, after all steps or after some."""
        before = self._end
        given = self.place(pixels)
        known = (self._packed, self._weights, given, self._arena)
        if steps is None:
            self.call("olhar_run", *known)
        else:
            self.call("olhar_run_some", *known, steps)
        self._end = before
        bytes_ = self.call("olhar_arena_bytes", self._packed)
        return self.read(self._arena, bytes_).view(np.float32)

    def value(self, pixels: NDArray[np.uint8], network: Network, steps: int) -> NDArray[np.float32]:
        """What the last of so many steps gives for one view, (H, W, C)."""
        step = network.steps[steps - 1]
        first = plan_values(network)[0][step.output]
        arena = self.run(pixels, steps)
        return arena[first : first + math.prod(step.out_shape)].reshape(step.out_shape)

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One view (H, W, C) uint8 → (K,)."""
        return self._values(pixels, _LOGITS)

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One view (H, W, C) uint8 → (F,), where the network gives features."""
        return self._values(pixels, _FEATURES)

    def _values(self, pixels: NDArray[np.uint8], word: int) -> NDArray[np.float32]:
        first, count = self._header[word : word + 2]
        return self.run(pixels)[first : first + count]

    def probabilities(
        self, inputs: NDArray[np.uint8], network: Network, views: str
    ) -> NDArray[np.float64]:
        """Network inputs (N, C, H, W) uint8 → probabilities (N, K), as the page computes them."""
        shown = np.moveaxis(inputs, 1, -1)  # (N, H, W, C)
        logits = [mean_over_views(self.logits, pixels, views) for pixels in shown]
        return np.array([probabilities(one, network) for one in logits])
