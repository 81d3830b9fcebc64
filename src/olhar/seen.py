"""Which pictures a model has seen in training, so that nobody measures it on them unawares.

Of each picture 24 bytes are kept, from which it cannot be drawn again: 8 of a hash of the pixels that the
network receives, whatever its file is called, and 16 of a sketch that stays nearly the same where a photo
is saved again or made smaller.

Source of the sketch: Krawetz 2013, "Kind of Like That" (the difference hash), along rows and columns.
Does not know: files, data sets or networks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MANY = 20_000  # pictures; of more no sketches are kept, as no near-duplicates are looked for
SKETCHED = 32  # pixels a side before framing; smaller pictures are alike without being the same
_CELLS = 8
_MOST_BITS, _SHARE = 8, 8  # that differ, of 128; at most an eighth of those that are set or unset
_BLOCK = 1024

Codes = NDArray[np.uint64]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What a model has seen.

    Attributes:
        trained: (n,) uint64, sorted: of each picture that weights were learnt from.
        validated: (m,) uint64, sorted: of those that chose the epoch, the temperature and the threshold.
        sketches: (k, 2) uint64, of all these; none where they are small or more than `MANY`.
    """

    trained: Codes
    validated: Codes
    sketches: Codes

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """As `from_arrays` takes them."""
        return {"trained": self.trained, "validated": self.validated, "sketches": self.sketches}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Seen:
        """From what `arrays` gave; ValueError or KeyError where it is something else."""
        trained, validated, sketches = (
            arrays[name] for name in ("trained", "validated", "sketches")
        )
        shapes = (trained.ndim, validated.ndim, sketches.ndim, *sketches.shape[1:])
        if shapes != (1, 1, 2, 2) or {trained.dtype, validated.dtype, sketches.dtype} != {
            np.dtype(np.uint64)
        }:
            raise ValueError(f"trained, validated, sketches: {shapes}")
        return cls(trained, validated, sketches)

    def joined(self, other: Seen) -> Seen:
        """What either has seen."""
        return Seen(
            np.union1d(self.trained, other.trained),
            np.union1d(self.validated, other.validated),
            _sorted(np.concatenate([self.sketches, other.sketches])),
        )

    def find(self, images: Pixels, rows: NDArray[np.int64], side: int) -> Found:
        """Which of some pictures the model has seen.

        Args:
            images: (N, size, size, C) uint8, framed as the model's own.
            rows: (n,) which of them.
            side: the shorter one in pixels, before framing.
        """
        sketched = len(self.sketches) > 0 and side >= SKETCHED
        codes, sketches = _describe(images, rows, sketched=sketched)
        trained = np.isin(codes, self.trained)
        validated = np.isin(codes, self.validated) & ~trained
        near = np.zeros(len(rows), bool)
        if sketched:
            near = _is_near(sketches, self.sketches) & ~trained & ~validated
        return Found(trained, validated, near)


@dataclass(frozen=True)
class Found:
    """Of n pictures, which a model has seen: (n,) bool each, at most one of them true.

    Attributes:
        trained: the very pixels were trained on.
        validated: the very pixels validated.
        near: nearly the same picture, such as one that was saved again or made smaller, did either.
    """

    trained: NDArray[np.bool_]
    validated: NDArray[np.bool_]
    near: NDArray[np.bool_]

    @property
    def any(self) -> NDArray[np.bool_]:
        """(n,) bool, whether it was seen at all."""
        return self.trained | self.validated | self.near

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        kinds = {"trained": self.trained, "validated": self.validated, "near": self.near}
        return {name: int(which.sum()) for name, which in kinds.items()}


def remember(images: Pixels, train: NDArray[np.int64], val: NDArray[np.int64], side: int) -> Seen:
    """What a training has seen.

    Args:
        images: (N, size, size, C) uint8, framed.
        train: (n,) rows that were trained on.
        val: (m,) rows that validated.
        side: the shorter one in pixels, before framing.
    """
    sketched = side >= SKETCHED and len(train) + len(val) <= MANY
    (trained, first), (validated, second) = (
        _describe(images, rows, sketched=sketched) for rows in (train, val)
    )
    sketches = _sorted(np.concatenate([first, second]))
    return Seen(np.unique(trained), np.unique(validated), sketches)


def _describe(images: Pixels, rows: NDArray[np.int64], *, sketched: bool) -> tuple[Codes, Codes]:
    """The code of each picture (n,) uint64, and its sketch (n, 2) uint64; (0, 2) without sketches."""
    codes, sketches = np.empty(len(rows), np.uint64), np.empty((len(rows), 2), np.uint64)
    for place, row in enumerate(rows):
        image = images[row]  # (H, W, C) uint8; read or framed now where it is not in memory
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest()
        codes[place] = int.from_bytes(digest, "little")
        if sketched:
            sketches[place] = _sketch(image)
    return codes, sketches if sketched else sketches[:0]


def _sketch(image: Pixels) -> Codes:
    """(H, W, C) uint8 → (2,) uint64: where it grows brighter to the right, and downwards."""
    picture = Image.fromarray(image if image.shape[-1] == 3 else image[:, :, 0]).convert("L")
    side = _CELLS + 1
    cells = np.asarray(picture.resize((side, side), Image.Resampling.BOX))  # (9, 9) uint8
    along = cells[:_CELLS, 1:] > cells[:_CELLS, :-1]
    down = cells[1:, :_CELLS] > cells[:-1, :_CELLS]
    return np.packbits(np.stack([along, down]).reshape(2, -1), axis=1).view("<u8")[:, 0]


def _is_near(sketches: Codes, known: Codes) -> NDArray[np.bool_]:
    """(n,) bool: whether a sketch is nearly one of those known.

    A picture with large plain areas sets few bits, and must agree in nearly all of them.
    """
    one, other = _bits(sketches), _bits(known)  # (n, 128), (k, 128) float32
    counts = one.sum(1)
    allowed = np.minimum(_MOST_BITS, np.minimum(counts, one.shape[1] - counts) // _SHARE)
    near = np.empty(len(one), bool)
    for start in range(0, len(one), _BLOCK):
        some = slice(start, start + _BLOCK)
        both = one[some] @ other.T
        apart = counts[some, None] + other.sum(1) - 2 * both
        near[some] = apart.min(1) <= allowed[some]
    found: NDArray[np.bool_] = near & (counts > 0)
    return found


def _bits(sketches: Codes) -> NDArray[np.float32]:
    octets = np.ascontiguousarray(sketches.astype("<u8")).view(np.uint8)  # (n, 16)
    return np.unpackbits(octets, axis=1).astype(np.float32)


def _sorted(sketches: Codes) -> Codes:
    return np.unique(sketches, axis=0) if len(sketches) else sketches
