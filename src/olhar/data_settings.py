"""What may be asked of the data: how it is divided, and brought to the network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from olhar.i18n import Text, _
from olhar.settings import Kind, OneOf, Settings, Whole, setting, table


class Share(Kind):
    """A part of the images: a share below 1, or a count."""

    def read(self, value: Any) -> float:
        """A share as float, a count as int."""
        number = float(value)
        if isinstance(value, bool) or not number > 0 or (number >= 1 and not number.is_integer()):
            raise ValueError
        return number if number < 1 else int(number)

    def allowed(self) -> Text:
        """In words."""
        return _("a share between 0 and 1, or a whole number of images")


@dataclass(frozen=True)
class DataSettings(Settings):
    """Which data, and how it is divided and brought to the network.

    Attributes:
        name: a named data set, or the path of a folder of photos, as it was given.
    """

    name: str
    val: float | None = setting(
        None, Share("SHARE|COUNT"), _("validation images; default 0.1, at most 5000")
    )
    test: float | None = setting(
        None,
        Share("SHARE|COUNT"),
        _("test images, where the data has no test split; default 0.2, at most 5000"),
    )
    split_seed: int = setting(0, Whole(0), _("another number divides the data otherwise"))
    channels: int | None = setting(None, OneOf(1, 3), _("grey or colour; default as the data is"))
    size: int | None = setting(
        None, Whole(1, 2048, "PIXELS"), _("side of the input; default the network's own")
    )
    resize: str = setting(
        "crop", OneOf("crop", "squash"), _("crop (cut out the centre) or squash (to a square)")
    )


DATA = table(DataSettings)
