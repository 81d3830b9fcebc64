"""What may be asked of the data: how a table is read, how it is divided, and brought to the input."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.settings import Kind, OneOf, Settings, Whole, YesNo, check_names, setting, table

INVERT = ("auto", "no", "yes")  # whether dark is read as bright (see preprocess.Preprocess)


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


class Pattern(Kind):
    """A regular expression."""

    def read(self, value: Any) -> str:
        """Text that is one."""
        try:
            re.compile(value)
        except (re.error, RecursionError):
            raise ValueError from None
        return str(value)

    def allowed(self) -> Text:
        """In words."""
        return _("a regular expression, such as '(patient[0-9]+)'")


@dataclass(frozen=True)
class SourceSettings(Settings):
    """Which data, and how a table or a folder of it is read.

    Attributes:
        name: a named data set, or the path of a folder of photos, as it was given.
    """

    name: str
    file_column: str | None = setting(
        None, Kind("COLUMN"), _("column of a table that names the photos"), searched=False
    )
    label_column: str | None = setting(
        None, Kind("COLUMN"), _("column of a table that names the classes"), searched=False
    )
    photos: str | None = setting(
        None, Kind("FOLDER"), _("folder of the photos that a table names"), searched=False
    )
    ending: str | None = setting(
        None,
        Kind("ENDING"),
        _("what the names of photos in a table leave out, such as .png"),
        searched=False,
    )
    labels_from: str | None = setting(
        None,
        OneOf("folder", "name"),
        _("where the labels of photos stand: folder (default), or name, as in cat.12.jpg"),
        searched=False,
    )
    distinct_classes: bool | None = setting(
        None,
        YesNo(),
        _("classes whose names mean the same (A and a, car and automobile) are two"),
        searched=False,
    )


@dataclass(frozen=True)
class DataSettings(SourceSettings):
    """Which data, and how it is divided and brought to the network."""

    val: float | None = setting(
        None, Share("SHARE|COUNT"), _("validation images; default 0.1, at most 5000")
    )
    test: float | None = setting(
        None,
        Share("SHARE|COUNT"),
        _("test images, where the data has no test split; default 0.2, at most 5000"),
    )
    split_seed: int = setting(0, Whole(0), _("another number divides the data otherwise"))
    groups: str = setting(
        "auto",
        OneOf("auto", "none"),
        _("auto (near-duplicates, bursts and other groups stay in one split) or none"),
    )
    group_column: str | None = setting(
        None, Kind("NAME"), _("column of a table that says which photos belong together")
    )
    group_by: str | None = setting(
        None,
        Pattern("REGEX"),
        _("photos belong together whose paths have the same match (its first group, if any)"),
    )
    channels: int | None = setting(None, OneOf(1, 3), _("grey or colour; default as the data is"))
    size: int | None = setting(
        None, Whole(1, 2048, "PIXELS"), _("side of the input; default the network's own")
    )
    resize: str = setting(
        "auto",
        OneOf("auto", "crop", "squash", "pad"),
        _(
            "crop (cut out the centre), squash (to a square) or pad (with the mean colour); auto is crop, "
            "and for photos with the backbone auto what is best in cross-validation"
        ),
    )
    folds: int | None = setting(
        None,
        Whole(1, 20),
        _(
            "with the head of a backbone: measure by cross-validation too, each photo by a head that "
            "has not seen it; default 1, which does not"
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [
            one.flag for one in (DATA["group_column"], DATA["group_by"]) if getattr(self, one.name)
        ]
        if len(given) > 1:
            raise ConfigError(
                _(
                    "{first} and {second} are both given; give one of them",
                    first=given[0],
                    second=given[1],
                )
            )
        if given and self.groups == "none":
            raise ConfigError(
                _("groups is none, but {flag} is given; leave one of them out", flag=given[0])
            )

    @classmethod
    def recorded(cls, values: Mapping[str, Any]) -> Self:
        """Those that a run has recorded; one that is older than groups divided without them."""
        return cls.pick({"groups": "none", **values})


SOURCE = table(SourceSettings)


def source_settings(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords that say how data is read, checked.

    Raises:
        UnknownNameError: one is none of them.
        ConfigError: a value that cannot be used.
    """
    check_names(reading, SOURCE, _("setting of how data is read"))
    return {name: SOURCE[name].check(value) for name, value in reading.items()}


DATA = table(DataSettings)
