"""An epoch's order over images that do not fit into memory: window by window, in blocks read whole.

Rows in random order would read the disk anew for each image, and with it as much as the system reads
ahead, up to some MiB. Here the pool is cut into blocks of neighbours; each epoch deals them out to
windows anew, and rows are shuffled within a window. A pool lies class by class, so each window gets
one block of every run of neighbouring blocks: it shows about the mixture of the whole.

Does not know: networks, files, or why the pool is large.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from types import TracebackType

import torch

_BLOCK_BYTES = (
    64 * 2**10
)  # small, to mix well; many are asked for at once, in the order of the file
_PAGE_BYTES = 4096


class Windows:
    """Which images are shuffled together, and the reading of their blocks.

    Use as a context manager around the training: in it the system reads nothing ahead by itself.

    Attributes:
        count: windows of an epoch.
        block: rows of a block.
    """

    def __init__(self, images: torch.Tensor, mib: int) -> None:
        """Cut a pool.

        Args:
            images: (N, H, W, C) uint8, as a rule memory-mapped.
            mib: the size of a window.
        """
        self._pool = images
        row_bytes = max(1, images[0].nbytes)
        self.count = max(1, -(-len(images) * row_bytes // (mib * 2**20)))
        self.block = max(1, _BLOCK_BYTES // row_bytes)
        self._blocks = -(-len(images) // self.block)
        self._unread: list[tuple[int, torch.Tensor]] = []

    def __enter__(self) -> None:
        _advise(self._pool, "MADV_RANDOM")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _advise(self._pool, "MADV_NORMAL")

    def order(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """An epoch's rows of the pool, (n,) int64 in random order → the same, window by window."""
        runs = -(-self._blocks // self.count)  # of neighbouring blocks, one for each window
        dealt = torch.rand(runs, self.count, generator=generator).argsort(dim=1)
        window_of = dealt.flatten()[: self._blocks]  # (blocks,)
        windows = window_of[rows // self.block]  # (n,)
        sizes = torch.bincount(windows, minlength=self.count)
        starts = (sizes.cumsum(0) - sizes).tolist()
        blocks = window_of.argsort(stable=True)
        counts = torch.bincount(window_of, minlength=self.count).tolist()
        self._unread = list(zip(starts, torch.split(blocks, counts), strict=True))
        return rows[windows.argsort(stable=True)]

    def read_until(self, stop: int) -> None:
        """Read the blocks of the windows that begin before place `stop` of the order, each once."""
        while self._unread and self._unread[0][0] < stop:
            _start, numbers = self._unread.pop(0)
            starts = [number * self.block for number in numbers.tolist()]
            blocks = [self._pool[start : start + self.block] for start in starts]
            for block in blocks:
                _advise(block, "MADV_WILLNEED")
            for block in blocks:
                block.reshape(-1)[::_PAGE_BYTES].sum()  # waits for each page


def _advise(rows: torch.Tensor, advice: str) -> None:
    """Tell the system how a part of a mapped file will be read (madvise(2)); Windows has no such call."""
    if sys.platform == "win32" or rows.device.type != "cpu" or not rows.is_contiguous():
        return
    start = rows.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
    size = rows.data_ptr() + rows.nbytes - start
    # What it answers does not matter: without the advice all is read as well, but slower.
    ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), getattr(mmap, advice))
