"""What a parameter is drawn from: a list of values, or a range of numbers.

Does not know: which parameters there are, or what a trial is.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from olhar.errors import ConfigError
from olhar.i18n import Text, _

if TYPE_CHECKING:
    import optuna

MOST_COMBINATIONS = 100_000  # of a grid, which is drawn from as a list
_MOST_REDRAWS = 10_000
_MOST_STEPS = 1000
_FORMS = "a,b,c · log:LOW:HIGH · float:LOW:HIGH · int:LOW:HIGH · intlog:LOW:HIGH"


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely as the others.

    Attributes:
        values: numbers, texts or booleans.
    """

    values: tuple[Any, ...]

    def __str__(self) -> str:
        """As `--param` takes it."""
        return ",".join(_value_text(value) for value in self.values)

    def draw(self, rng: random.Random) -> Any:
        """One of the values."""
        return self.values[int(rng.random() * len(self.values))]

    def to_optuna(self) -> optuna.distributions.BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


@dataclass(frozen=True)
class IntRange:
    """A whole number from `low` to `high`, both included.

    Attributes:
        low: smallest.
        high: largest; brought down to the last step from `low`.
        log: even on a logarithmic scale.
        step: distance of neighbours; 1 on a logarithmic scale.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _check_range(self)
        object.__setattr__(self, "high", self.low + (self.high - self.low) // self.step * self.step)

    def __str__(self) -> str:
        """As `--param` takes it."""
        step = f":{self.step}" if self.step != 1 else ""
        return f"{'intlog' if self.log else 'int'}:{self.low}:{self.high}{step}"

    def draw(self, rng: random.Random) -> int:
        """A number of the range."""
        if self.log:  # as Optuna does it: each number has its own half before and after it
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            drawn = round(math.exp(low + rng.random() * (high - low)))
            return min(max(drawn, self.low), self.high)
        return self.low + self.step * int(rng.random() * len(self.grid()))

    def grid(self) -> range:
        """All its numbers."""
        return range(self.low, self.high + 1, self.step)

    def to_optuna(self) -> optuna.distributions.BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class FloatRange:
    """A number from `low` to `high`, both included.

    Attributes:
        low: smallest.
        high: largest.
        log: even on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self)

    def __str__(self) -> str:
        """As `--param` takes it."""
        return f"{'log' if self.log else 'float'}:{self.low!r}:{self.high!r}"

    def draw(self, rng: random.Random) -> float:
        """A number of the range, to four digits, so that people can read and type it."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            value = math.exp(low + rng.random() * (high - low))
        else:
            value = self.low + rng.random() * (self.high - self.low)
        return min(max(float(f"{value:.4g}"), self.low), self.high)

    def to_optuna(self) -> optuna.distributions.BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)


Distribution = Choice | IntRange | FloatRange


def stepped(low: float, high: float, step: float) -> Choice:
    """`low`, `low` + `step`, … as far as `high`.

    Raises:
        ConfigError: an empty range, or too many values.
    """
    text = f"float:{low!r}:{high!r}:{step!r}"
    if low > high:
        _refuse(text, _("it is empty: its low end is above its high end"))
    if not step > 0:
        _refuse(text, _("its step must be above 0"))
    count = (high - low) / step + 1e-9
    if not count < _MOST_STEPS:
        _refuse(text, _("it has more than {most} values", most=_MOST_STEPS))
    return Choice(tuple(float(f"{low + n * step:.10g}") for n in range(int(count) + 1)))


def _check_range(given: IntRange | FloatRange) -> None:
    low, high, text = given.low, given.high, str(given)
    if not (math.isfinite(low) and math.isfinite(high)):
        _refuse(text, _("its ends must be finite numbers"))
    if low > high:
        _refuse(text, _("it is empty: its low end is above its high end"))
    if given.log and low <= 0:
        _refuse(text, _("on a logarithmic scale it must begin above 0"))
    if isinstance(given, IntRange) and given.step < 1:
        _refuse(text, _("its step must be above 0"))
    if isinstance(given, IntRange) and given.log and given.step != 1:
        _refuse(text, _("on a logarithmic scale it cannot have a step"))


def _refuse(text: str, reason: Text) -> NoReturn:
    raise ConfigError(_("range {range} cannot be used: {reason}", range=text, reason=reason))


def parse_param(text: str) -> tuple[str, Distribution]:
    """`"lr=log:1e-4:1e-1"` → `("lr", FloatRange(1e-4, 1e-1, log=True))`.

    Forms: `lr=0.1,0.01`, `lr=log:1e-4:1e-1`, `dropout=float:0.1:0.5[:STEP]`,
    `width=int:64:512[:STEP]`, `width=intlog:16:1024`. Values of a list are texts; what they mean is
    for the settings of a sweep to say.

    Raises:
        ConfigError: it has none of these forms, or the range is empty or not possible.
    """
    name, sign, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not sign or not name or not values.strip():
        raise ConfigError(
            _(
                "--param '{given}' is not of the form name=values, such as lr=0.1,0.01 or "
                "lr=log:1e-4:1e-1",
                given=text,
            )
        )
    return name, parse_distribution(name, values)


def parse_params(texts: Iterable[str]) -> dict[str, Distribution]:
    """Several of them, by name, in order.

    Raises:
        ConfigError: as `parse_param`, or a name given twice with different values.
    """
    found: dict[str, Distribution] = {}
    for text in texts:
        name, one = parse_param(text)
        if found.setdefault(name, one) != one:
            raise ConfigError(
                _(
                    "--param {name} is given twice: {first} and {second}; give it once",
                    name=name,
                    first=found[name],
                    second=one,
                )
            )
    return found


def parse_distribution(name: str, text: str) -> Distribution:
    """What stands after the "=" of `--param`; `name` is for messages.

    Raises:
        ConfigError: as `parse_param`.
    """
    if ":" not in text:
        values = tuple(value.strip() for value in text.split(","))
        if not all(values):
            raise ConfigError(
                _("parameter {name} has an empty value in '{given}'", name=name, given=text)
            )
        return Choice(values)
    kind, *ends = (part.strip() for part in text.split(":"))
    numbers = [_number(end) for end in ends]
    whole = kind in {"int", "intlog"}
    known = whole or kind in {"float", "log"}
    if (
        not known
        or len(numbers) not in ({2, 3} if kind in {"int", "float"} else {2})
        or any(value is None or (whole and not value.is_integer()) for value in numbers)
    ):
        raise ConfigError(
            _(
                "parameter {name} is '{given}'; allowed: {forms} (after int and intlog whole numbers; "
                "float and int take a step as third number)",
                name=name,
                given=text,
                forms=_FORMS,
            )
        )
    low, high, *step = (value for value in numbers if value is not None)
    if whole:
        return IntRange(int(low), int(high), kind == "intlog", *map(int, step))
    if step and kind == "float":
        return stepped(low, high, *step)
    return FloatRange(low, high, log=kind == "log")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _value_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def count_combinations(space: Mapping[str, Distribution]) -> int:
    """How many combinations of values a grid has.

    Raises:
        ConfigError: a parameter has no list of values, or there are too many combinations.
    """
    count = 1
    for name, one in space.items():
        count *= len(_grid_values(name, one))
        if count > MOST_COMBINATIONS:
            raise ConfigError(
                _(
                    "the grid has more than {most} combinations; give fewer values, or use --method "
                    "random",
                    most=MOST_COMBINATIONS,
                )
            )
    return count


def _grid_values(name: str, one: Distribution) -> Sequence[Any]:
    if isinstance(one, Choice):
        return one.values
    if isinstance(one, IntRange) and not one.log:
        return one.grid()
    raise ConfigError(
        _(
            "a grid cannot have range {range} for {name}; give a list such as {name}=a,b,c, or use "
            "--method random",
            range=one,
            name=name,
        )
    )


def draw_grid(space: Mapping[str, Distribution], trials: int, seed: int) -> list[dict[str, Any]]:
    """All combinations in order; where `trials` are fewer, a choice without repetition by `seed`."""
    values = [_grid_values(name, one) for name, one in space.items()]
    every = [dict(zip(space, row, strict=True)) for row in itertools.product(*values)]
    if trials >= len(every):
        return every
    rng = random.Random(f"{seed}/grid")
    for place in range(trials):  # the first steps of a Fisher-Yates shuffle
        other = place + int(rng.random() * (len(every) - place))
        every[place], every[other] = every[other], every[place]
    return every[:trials]


def draw_random(space: Mapping[str, Distribution], trials: int, seed: int) -> list[dict[str, Any]]:
    """Independent draws, none twice; fewer than `trials` where there are no more combinations.

    A trial depends on the seed, its number and the trials before it: more trials go on with the
    same list.
    """
    drawn: list[dict[str, Any]] = []
    seen: set[tuple[Any, ...]] = set()
    for number in range(trials):
        rng = random.Random(f"{seed}/{number}")
        for _try in range(_MOST_REDRAWS):
            params = {name: one.draw(rng) for name, one in space.items()}
            if tuple(params.values()) not in seen:
                break
        else:
            break
        seen.add(tuple(params.values()))
        drawn.append(params)
    return drawn
