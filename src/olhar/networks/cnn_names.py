"""The grammar of `2cnn+512+256_50dropout_sigmoid`: names to settings and back.

    NAME    = N "cnn" DENSE+ ["_" NN "dropout"] ["_" ACTIVATION]
    DENSE   = "+" UNITS

`-`, `_` and `+` are read alike, and missing parts take their published or usual value. Published
misspellings are understood; whoever asks learns what was understood, because the canonical name
differs from the typed one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.settings import Kind, Setting, Whole

# The networks of the published experiments, with the block dropout that they had.
PUBLISHED: Mapping[str, float] = {
    "2cnn+256+256_20dropout": 0.0,
    "2cnn+512_0dropout": 0.0,
    "2cnn+512_10dropout": 0.25,
    "2cnn+512_20dropout": 0.25,
    "2cnn+512+256_50dropout": 0.25,
    "2cnn+1024_50dropout": 0.0,
    "3cnn+512_50dropout": 0.25,
    "3cnn+128+128+128_50dropout_sigmoid": 0.25,
}
MISSPELT: Mapping[str, str] = {"2cnn+51+2562+50dropout": "2cnn+512+256+50dropout"}
_UNITS = Whole(1, 65_536)
_NAME = re.compile(
    r"(?P<blocks>\d+)cnn(?P<dense>(?:\+\d+(?!\d*dropout))*)"
    r"(?:\+?(?P<percent>\d+)?dropout)?(?:\+(?P<activation>relu|tanh|sigmoid))?"
)


def parse(name: str) -> dict[str, Any] | None:
    """Settings that a name states or implies; None if it is no name of this grammar.

    Raises:
        ConfigError: it is one, but with numbers that cannot be built.
    """
    text = re.sub(r"[-_+\s]+", "+", name.lower())
    text = MISSPELT.get(text, text)
    found = _NAME.fullmatch(text)
    if not found:
        return None
    dense = tuple(int(units) for units in re.findall(r"\d+", found["dense"]))
    settings: dict[str, Any] = {
        "blocks": int(found["blocks"]),
        "dense": DENSE.check(dense) if dense else DENSE.default,
        "dropout": int(found["percent"] or 0) / 100,
        "activation": found["activation"] or "relu",
    }
    if found["percent"] is None:
        settings["dropout"] = _published_dropout(settings)
    if not 1 <= settings["blocks"] <= 8 or settings["dropout"] > 0.95:
        raise ConfigError(
            _(
                "network '{name}' cannot be built; allowed: 1 to 8 blocks and 0 to 95 % dropout",
                name=name,
            )
        )
    settings["block_dropout"] = PUBLISHED.get(derive(settings), 0.0)
    return settings


def _published_dropout(settings: Mapping[str, Any]) -> float:
    """The dropout of the one published network with these layers; 0 where there is none or several."""
    rates = [percent / 100 for percent in range(100)]
    same = [r for r in rates if derive({**settings, "dropout": r}) in PUBLISHED]
    return same[0] if len(same) == 1 else 0.0


class Dense(Kind):
    """Units of the dense layers, one after another."""

    def read(self, value: Any) -> tuple[int, ...]:
        """From a number, a list, or text such as "512+256"."""
        parts = value.split("+") if isinstance(value, str) else value
        parts = parts if isinstance(parts, list | tuple) else [parts]
        units = tuple(_UNITS.read(part) for part in parts)
        if not units:
            raise ValueError
        return units

    def write(self, value: Any) -> str:
        """As in a name."""
        return "+".join(map(str, value))

    def allowed(self) -> Text:
        """In words."""
        return _(
            "one or more layers of {low} to {high:,} units, such as 512+256",
            low=_UNITS.low,
            high=_UNITS.high,
        )


DENSE = Setting("dense", Dense(), (512,), _("units of each dense layer, joined by +"))


def derive(settings: Mapping[str, Any]) -> str:
    """The canonical name of these settings (the block dropout is no part of a name)."""
    dense = "".join(f"+{units}" for units in settings["dense"])
    percent = round(100 * settings["dropout"])
    activation = settings["activation"]
    ending = "" if activation == "relu" else f"_{activation}"
    return f"{settings['blocks']}cnn{dense}_{percent}dropout{ending}"
