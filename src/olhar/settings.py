"""A setting: its name, the values it takes, its default and its meaning, declared once.

Flags and their help, `--set`, keys of files, what a sweep may draw, hyperparameters, keywords of
Python, the tables of the documentation, and refusals all follow from the declaration:

    @dataclass(frozen=True)
    class Recipe(Settings):
        epochs: int = setting(20, Whole(1, 100_000), _("passes over the training images"))

Does not know: what any setting does.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

from olhar.errors import ConfigError, unknown_name
from olhar.i18n import Text, _

T = TypeVar("T")


class Kind:
    """The values that a setting takes; here any text.

    Attributes:
        metavar: what a value is called in usage and help.
        repeated: whether its flag may be given several times.
    """

    metavar: str
    repeated = False

    def __init__(self, metavar: str = "VALUE", examples: Text | str = "") -> None:
        self.metavar, self._examples = metavar, examples

    def read(self, value: Any) -> Any:
        """A value, given as text or in a close type, in its own type.

        Raises:
            ValueError, TypeError, OverflowError: it is none of this kind.
        """
        if not isinstance(value, str):
            raise TypeError
        return value

    def write(self, value: Any) -> str:
        """The text that `read` makes the same value of."""
        return str(value)

    def allowed(self) -> Text | str:
        """The values, in words."""
        return self._examples or _("text")

    def check(self, value: Any, called: str) -> Any:
        """`read`, with an error that says what was given and what is allowed.

        Args:
            value: as given.
            called: how it was given, such as the flag.

        Raises:
            ConfigError: it is none of this kind.
        """
        try:
            return self.read(value)
        except (ValueError, TypeError, OverflowError):
            raise self.refuse(called, value) from None

    def refuse(self, called: str, value: Any) -> ConfigError:
        """The error for a value that is none of this kind."""
        given = repr(value) if isinstance(value, str) else value
        return ConfigError(
            _("{name} is {given}; allowed: {allowed}", name=called, given=given,
              allowed=self.allowed())
        )  # fmt: skip


class YesNo(Kind):
    """True or false."""

    def read(self, value: Any) -> bool:
        """From true, yes, 1, false, no or 0."""
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if str(value).lower() not in words:
            raise ValueError
        return words[str(value).lower()]

    def write(self, value: bool) -> str:  # noqa: FBT001
        """As TOML has it."""
        return str(value).lower()

    def allowed(self) -> Text:
        """In words."""
        return _("true or false")


@dataclass(frozen=True)
class Number(Kind):
    """A finite number.

    Attributes:
        low: smallest.
        high: largest.
        metavar: what it is called.
        above: whether `low` itself is left out.
    """

    low: float
    high: float = math.inf
    metavar: str = "N"
    above: bool = False

    def read(self, value: Any) -> float:
        """Within the range."""
        number = float(value)
        if isinstance(value, bool) or not self.low <= number <= self.high or math.isinf(number):
            raise ValueError
        if self.above and number == self.low:
            raise ValueError
        return number

    def write(self, value: float) -> str:
        """Without a fraction that is zero."""
        return str(int(value)) if float(value).is_integer() else str(value)

    def allowed(self) -> Text:
        """Ends of the range."""
        ends: dict[str, Any] = {"what": self._what(), "low": self.low, "high": self.high}
        if math.isinf(self.high):
            return _("{what}, {low:,} or more", **ends)
        if self.above:
            return _("{what} above {low:,} to {high:,}", **ends)
        return _("{what} from {low:,} to {high:,}", **ends)

    def _what(self) -> Text:
        return _("a number")


class Whole(Number):
    """A whole number."""

    def read(self, value: Any) -> int:
        """Within the range."""
        number = super().read(value)
        if not number.is_integer():
            raise ValueError
        try:
            return int(value)  # a float is exact only as far as 2^53
        except ValueError:
            return int(number)

    def _what(self) -> Text:
        return _("a whole number")


class OneOf(Kind):
    """One of a few values."""

    def __init__(self, *values: Any) -> None:
        self.values = values
        self.metavar = "|".join(map(str, values))

    def read(self, value: Any) -> Any:
        """The value that is written like this one."""
        found = {str(one): one for one in self.values}.get(str(value))
        if found is None:
            raise ValueError
        return found

    def allowed(self) -> str:
        """All of them."""
        return ", ".join(map(str, self.values))


class Name(OneOf):
    """One of some names; a refusal tells the nearest."""

    def __init__(self, *values: str) -> None:
        super().__init__(*values)
        self.metavar = "NAME"

    def refuse(self, called: str, value: Any) -> ConfigError:
        """As of any name that does not exist."""
        return unknown_name(called.lstrip("-"), str(value), self.values)


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: as files, `--set` and Python have it.
        kind: the values it takes.
        default: its value where none is given; where that is None, None may be given too.
        text: its meaning, for help and documentation.
        usual: whether a command that has only the usual flags has one for it.
        searched: whether a sweep may search it.
    """

    name: str
    kind: Kind
    default: Any
    text: Text
    usual: bool = False
    searched: bool = True

    @property
    def flag(self) -> str:
        """As the command line has it."""
        return f"--{self.name.replace('_', '-')}"

    def check(self, value: Any, called: str = "") -> Any:
        """A value, given as text or in a close type, in its own type; None where that is allowed.

        Args:
            value: as given.
            called: how it was given, such as the flag; by default the name.

        Raises:
            ConfigError: it is none that the setting takes.
        """
        return None if value is None and self.default is None else self.read(value, called)

    def read(self, value: Any, called: str = "") -> Any:
        """`check`, where there must be a value."""
        return self.kind.check(value, called or self.name)

    def write(self, value: Any) -> str:
        """A value, as it may be given, as the text that is read as the same."""
        return self.kind.write(self.read(value))


Table = dict[str, Setting]


def setting(default: T, kind: Kind, text: Text, *, shown: bool = True, **marks: bool) -> T:
    """A field of a class of `Settings`.

    Args:
        default: see Setting.
        kind: see Setting.
        text: see Setting.
        shown: whether it may stand in logs.
        **marks: those of Setting.
    """
    declared = Setting("", kind, default, text, **marks)
    return dataclasses.field(default=default, repr=shown, metadata={"setting": declared})


@functools.cache
def table(settings: type[Any]) -> Table:
    """The settings that a class declares, by name, in their order."""
    fields: Iterable[dataclasses.Field[Any]] = dataclasses.fields(settings)
    return {
        field.name: dataclasses.replace(field.metadata["setting"], name=field.name)
        for field in fields
        if "setting" in field.metadata
    }


class Settings:
    """Base of dataclasses whose fields are settings: each value is checked, and in its own type."""

    def __post_init__(self) -> None:
        for one in table(cast("Any", type(self))).values():
            object.__setattr__(self, one.name, one.check(getattr(self, one.name)))

    @classmethod
    def pick(cls, values: Mapping[str, Any]) -> Self:
        """Those of `values` that are of this class.

        Raises:
            ConfigError: a value that cannot be used.
        """
        names = {field.name for field in dataclasses.fields(cast("Any", cls))}
        return cls(**{key: value for key, value in values.items() if key in names})

    def to_dict(self) -> dict[str, Any]:
        """As plain values, without those that are None."""
        values = dataclasses.asdict(cast("Any", self))
        return {key: value for key, value in values.items() if value is not None}


def check_names(given: Iterable[str], valid: Iterable[str], what: Text) -> None:
    """Raise UnknownNameError, naming the nearest, for a name that is not among the valid ones."""
    valid = set(valid)
    for name in given:
        if name not in valid:
            raise unknown_name(what, name, valid)


def parse_assignments(assignments: Iterable[str], known: Table) -> dict[str, str]:
    """`["lr=0.1", "width=240"]` → `{"lr": "0.1", "width": "240"}`.

    Args:
        assignments: as `--set` takes them.
        known: settings whose values are compared as they are meant, where one is given twice.

    Raises:
        ConfigError: one without "=", or a setting given twice with different values.
    """
    found: dict[str, str] = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        key = key.strip().replace("-", "_")
        # An address may have a secret with such a sign in it: it is shown whole, and so hidden.
        if not sign or not key or not value.strip() or "://" in key:
            raise ConfigError(
                _("--set '{given}' is not of the form key=value, such as lr=0.01", given=assignment)
            )
        merge_setting(found, key, value.strip(), "--set", known)
    return found


def merge_setting(settings: dict[str, Any], key: str, value: Any, flag: str, known: Table) -> None:
    """Add a setting; the same key with another value is refused, naming both."""
    meant = known[key].check if key in known else str
    if key in settings and meant(settings[key]) != meant(value):
        raise ConfigError(
            _(
                "{key} is given twice: {first} and {second} (by {flag}); give it once",
                key=key,
                first=settings[key],
                second=value,
                flag=flag,
            )
        )
    settings.setdefault(key, value)
