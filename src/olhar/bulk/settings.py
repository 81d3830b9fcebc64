"""What is asked of many photos, and where they are answered."""

from __future__ import annotations

from dataclasses import dataclass

from olhar.i18n import _
from olhar.settings import Kind, Name, Number, Settings, Whole, YesNo, setting, table


@dataclass(frozen=True)
class BulkSettings(Settings):
    """How many photos are answered."""

    top: int = setting(3, Whole(1), _("how many classes to show"))
    features: bool = setting(
        default=False,
        kind=YesNo(),
        text=_("add what the last layer takes of each photo, its embedding, as a list of numbers"),
    )
    file_column: str | None = setting(
        None,
        Kind("COLUMN"),
        _("column of a Parquet file that has photos, or paths of photos; default by its name"),
    )
    max_errors: float = setting(
        1.0,
        Number(0, 1, "SHARE"),
        _(
            "end, with status 2, once a greater share of the photos, of 100 or of all, cannot be read"
        ),
    )
    workers: int | None = setting(
        None, Whole(1, 4096), _("processes that answer; default one a core")
    )
    engine: str = setting(
        "local", Name("local", "ray"), _("local (this machine) or ray (a cluster)")
    )
    address: str | None = setting(None, Kind("HOST:PORT"), _("of the Ray cluster"))


BULK = table(BulkSettings)
