"""A run's model as C for a board, as it was measured: the content of exports.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ExportRecord:
    """What one export cost and reached.

    Attributes:
        model: sha256 of the model/config.json that it was made from.
        precision: fp32 or int8.
        views: over which an answer is a mean.
        flash_bytes: on a Cortex-M4.
        ram_bytes: with the stack.
        macs: multiply-adds for one image.
        accuracy: of the compiled C on the test split; None where it was not measured.
        test_images: how many images that were.
    """

    model: str
    precision: str
    views: str
    flash_bytes: int
    ram_bytes: int
    macs: int
    accuracy: float | None
    test_images: int | None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for exports.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExportRecord:
        """From plain values, as `to_dict` gives them."""
        accuracy, images = values["accuracy"], values["test_images"]
        return cls(
            model=str(values["model"]),
            precision=str(values["precision"]),
            views=str(values["views"]),
            flash_bytes=int(values["flash_bytes"]),
            ram_bytes=int(values["ram_bytes"]),
            macs=int(values["macs"]),
            accuracy=None if accuracy is None else float(accuracy),
            test_images=None if images is None else int(images),
        )
