"""What a sweep is: its data, its network, what is searched, and how; all checked before it begins.

Does not know: Optuna, or how a trial is trained.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from olhar.errors import ConfigError, explain_os_errors, unknown_name
from olhar.i18n import _
from olhar.networks.specs import resolve_network
from olhar.pipeline.inputs import DataSettings
from olhar.progress import Progress
from olhar.sweep.space import (
    Choice,
    Distribution,
    FloatRange,
    IntRange,
    count_combinations,
    draw_grid,
    draw_random,
    parse_distribution,
    parse_param,
    parse_params,
)
from olhar.sweep.wandb_file import read_wandb_file
from olhar.training.recipe import (
    SETTINGS,
    Recipe,
    build_recipe,
    divide_settings,
    load_recipe_file,
)

__all__ = [
    "Choice",
    "Distribution",
    "FloatRange",
    "IntRange",
    "SweepSettings",
    "draw_trials",
    "load_sweep_file",
    "merge_values",
    "parse_param",
    "parse_params",
]

METHODS = ("grid", "random", "tpe")
METRICS = ("accuracy", "f1", "loss")
PRUNERS = ("asha", "median", "none")
DEFAULT_TRIALS = 10
# They change where or how long a trial runs, or how it is repeated, not what it learns.
NOT_SEARCHED = frozenset({"device", "minutes", "seed", "workers"})
_NOT_FIXED = frozenset({"minutes", "seed"})
_LIMITS: Mapping[str, tuple[float, float]] = {
    "trials": (0, 100_000),
    "minutes": (0, 100_000),
    "seed": (0, 2**31 - 1),
    "finalists": (1, 100),
    "extra_seeds": (0, 100),
}


@dataclass(frozen=True)
class SweepSettings:
    """What identifies a sweep.

    Attributes:
        data: which data, and how it is divided; validation decides, the test split is for the
            winner.
        network: canonical name of the network.
        fixed: settings of recipe and network that all trials have, beside the kept recipe.
        space: what each searched parameter is drawn from, in the order given.
        method: random, grid, or tpe (Bergstra et al. 2011).
        trials: how many; 0 becomes all combinations of a grid, else 10.
        minutes: no trial begins after so long; 0 means no limit.
        metric: accuracy, f1 or loss, of the validation split.
        seed: of the draw, and of the trials.
        pruner: asha (Li et al. 2020), median, none: what ends trials early.
        finalists: of the best trials, how many are trained again with further seeds.
        extra_seeds: how many further seeds; None is one where that costs at most half of what the
            trials have cost, else none.

    Raises:
        UnknownNameError: a network, parameter, method… that does not exist.
        ConfigError: a value or range that the recipe or network does not allow, a parameter both
            fixed and searched, nothing to search.
    """

    data: DataSettings
    network: str
    fixed: dict[str, Any]
    space: dict[str, Distribution]
    method: str = "random"
    trials: int = 0
    minutes: float = 0.0
    metric: str = "accuracy"
    seed: int = 0
    pruner: str = "asha"
    finalists: int = 2
    extra_seeds: int | None = None

    def __post_init__(self) -> None:
        for key, allowed in (("method", METHODS), ("metric", METRICS), ("pruner", PRUNERS)):
            if getattr(self, key) not in allowed:
                raise unknown_name(key, str(getattr(self, key)), allowed)
        for key in _LIMITS:
            if getattr(self, key) is not None:
                self._set(key, _limited(key, getattr(self, key), whole=key != "minutes"))
        self._set("network", resolve_network(self.network)[0])
        self._check_names()
        self._set("fixed", {key: self._checked(key, value) for key, value in self.fixed.items()})
        self._set("space", {key: self._fitted(key, one) for key, one in self.space.items()})
        combinations = count_combinations(self.space) if self.method == "grid" else DEFAULT_TRIALS
        self._set("trials", self.trials or combinations)

    def _set(self, key: str, value: Any) -> None:
        object.__setattr__(self, key, value)

    def _check_names(self) -> None:
        if not self.space:
            raise ConfigError(
                _("nothing to search; give at least one parameter, such as --param lr=0.1,0.01")
            )
        own = resolve_network(self.network)[1]
        divide_settings({**self.fixed, **self.space}, own, self.network)
        for key in NOT_SEARCHED.intersection(self.space):
            raise ConfigError(
                _(
                    "{key} cannot be searched: it changes how a trial runs, not what it learns",
                    key=key,
                )
            )
        for key in _NOT_FIXED.intersection(self.fixed):
            raise ConfigError(
                _(
                    "--set {key} has no place here: --{key} is of the whole sweep, and trials take "
                    "theirs from it",
                    key=key,
                )
            )
        for key in self.space:
            if key in self.fixed:
                raise ConfigError(
                    _(
                        "{key} is both fixed ({value}) and searched ({space}); give it once",
                        key=key,
                        value=self.fixed[key],
                        space=self.space[key],
                    )
                )

    def _checked(self, key: str, value: Any) -> Any:
        """A setting's value in its own type, as the recipe or the network checks it."""
        if key in SETTINGS:
            return getattr(build_recipe({key: value}), key)
        checked = resolve_network(self.network, {key: value})[1][key]
        return "+".join(map(str, checked)) if isinstance(checked, tuple) else checked

    def _fitted(self, key: str, one: Distribution) -> Distribution:
        """A distribution of which each draw is accepted; ranges need their ends checked alone."""
        if isinstance(one, Choice):
            values = tuple(self._checked(key, value) for value in one.values)
            for place, value in enumerate(values):
                if value in values[:place]:
                    raise ConfigError(
                        _("parameter {name} has {value} twice; give it once", name=key, value=value)
                    )
            if not values:
                raise ConfigError(_("parameter {name} has no value to choose from", name=key))
            return Choice(values)
        ends = [self._checked(key, end) for end in (one.low, one.high)]
        if isinstance(one, FloatRange) and not isinstance(ends[0], float):
            raise ConfigError(
                _(
                    "{key} takes whole numbers; use {key}=int:LOW:HIGH or a list such as {key}=a,b,c",
                    key=key,
                )
            )
        return one

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Which way the metric is better: maximize or minimize."""
        return "minimize" if self.metric == "loss" else "maximize"

    def to_dict(self) -> dict[str, Any]:
        """As plain values, in the form of a sweep file (see `load_sweep_file`)."""
        data = {k: v for k, v in dataclasses.asdict(self.data).items() if v is not None}
        own = (
            "method",
            "trials",
            "minutes",
            "metric",
            "seed",
            "pruner",
            "finalists",
            "extra_seeds",
        )
        return {
            "network": self.network,
            **{key: getattr(self, key) for key in own if getattr(self, key) is not None},
            "data": data,
            "set": dict(self.fixed),
            "param": {
                name: list(one.values) if isinstance(one, Choice) else str(one)
                for name, one in self.space.items()
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SweepSettings:
        """From `to_dict`, or from a sweep file, whose `recipe` names a file.

        Raises:
            UnknownNameError, ConfigError: as the class; also an entry that means nothing.
            MissingFileError: the recipe file is not there.
        """
        given = {key: value for key, value in values.items() if key != "format"}
        known = {one.name for one in dataclasses.fields(cls)} - {"fixed", "space"}
        known |= {"param", "recipe", "set"}
        for key in given:
            if key not in known:
                raise unknown_name(_("entry of a sweep"), key, known)
        recipe = given.pop("recipe", None)
        base = _whole_recipe(Path(recipe)) if recipe else {}
        named = base.pop("network", None)
        given["network"] = given.get("network") or named
        for key in ("data", "network"):
            if not given.get(key):
                raise ConfigError(_('a sweep needs --{key}, or {key} = "…" in its file', key=key))
        fixed = _table("set", given.pop("set", {}))
        space = {
            name: _read_distribution(name, one)
            for name, one in _table("param", given.pop("param", {})).items()
        }
        data = _read_data(given.pop("data"))
        fixed = {key: value for key, value in base.items() if key not in space} | fixed
        return cls(
            **{**given, "network": str(given["network"])}, data=data, fixed=fixed, space=space
        )


def _limited(key: str, value: Any, *, whole: bool) -> float:
    low, high = _LIMITS[key]
    try:
        number = float(value)
        wrong = isinstance(value, bool) or not low <= number <= high
        wrong = wrong or (whole and not number.is_integer())
    except (TypeError, ValueError):
        wrong = True
    if wrong:
        raise ConfigError(
            _(
                "--{flag} is '{given}'; allowed: {kind} from {low} to {high}",
                flag=key.replace("_", "-"),
                given=value,
                kind=_("whole numbers") if whole else _("numbers"),
                low=low,
                high=high,
            )
        )
    return int(number) if whole else number


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(
            _("'{name}' of a sweep is {given}; allowed: a table", name=name, given=repr(value))
        )
    return {str(key).replace("-", "_"): one for key, one in value.items()}


def _read_distribution(name: str, value: Any) -> Distribution:
    if isinstance(value, Choice | IntRange | FloatRange):
        return value
    if isinstance(value, str):
        return parse_distribution(name, value)
    if isinstance(value, Mapping):
        raise ConfigError(
            _(
                "parameter {name} is {given}; allowed: a list of values, or text such as "
                '"log:1e-4:1e-1"',
                name=name,
                given=repr(dict(value)),
            )
        )
    return Choice(tuple(value) if isinstance(value, list | tuple) else (value,))


def _read_data(value: Any) -> DataSettings:
    table = {"name": value} if isinstance(value, str) else _table("data", value)
    known = {one.name for one in dataclasses.fields(DataSettings)}
    for key in table:
        if key not in known:
            raise unknown_name(_("entry of a sweep's data"), key, known)
    if not isinstance(table.get("name"), str):
        raise ConfigError(_("a sweep's data has no name; give [data] a name"))
    for key in known & set(table):
        value = table[key]
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        whole = key in {"split_seed", "channels", "size"}
        if key not in {"name", "resize"} and (not numeric or (whole and value != int(value))):
            expected = _("a whole number") if whole else _("a number")
            raise ConfigError(
                _(
                    "{key} is '{given}'; allowed: {expected}",
                    key=key,
                    given=value,
                    expected=expected,
                )
            )
    return DataSettings(**table)


def _whole_recipe(path: Path) -> dict[str, Any]:
    """A recipe file with the defaults of what it does not say, so that no kept recipe fills it up."""
    values = {**Recipe().to_dict(), **load_recipe_file(path)}
    return {key: value for key, value in values.items() if key not in NOT_SEARCHED}


def merge_values(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A sweep file's values with others over them, for `SweepSettings.from_dict`.

    Args:
        base: of the file.
        over: of the flags; `data`, `set` and `param` are merged entry by entry.
    """
    merged = {**base, **{key: value for key, value in over.items() if value not in (None, {})}}
    for key in ("data", "param", "set"):
        below, above = base.get(key), over.get(key)
        below = {"name": below} if isinstance(below, str) else below
        if below is not None:  # what is no table is left for from_dict to refuse
            merged[key] = {**below, **(above or {})} if isinstance(below, Mapping) else below
    return merged


def draw_trials(settings: SweepSettings) -> list[dict[str, Any]]:
    """The parameters of every trial of a random or grid sweep, in order; the same every time."""
    draw = draw_grid if settings.method == "grid" else draw_random
    return draw(settings.space, settings.trials, settings.seed)


def load_sweep_file(path: Path, progress: Progress | None = None) -> dict[str, Any]:
    """The content of a sweep file, for `SweepSettings.from_dict`: TOML, or W&B's YAML by its suffix.

    Args:
        path: the file; .yaml and .yml are read as W&B sweeps.
        progress: hears what in a W&B file was read in another way, or left out.

    Raises:
        MissingFileError: it is not there.
        ConfigError: it cannot be read, or says what cannot be mapped.
    """
    with explain_os_errors(path):
        content = path.read_bytes()
    if path.suffix.lower() in {".yaml", ".yml"}:
        return read_wandb_file(path, content, progress or Progress())
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            _("sweep file '{path}' is not valid TOML: {reason}", path=path, reason=error)
        ) from error
