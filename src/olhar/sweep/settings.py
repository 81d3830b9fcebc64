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

from olhar.data_settings import DATA, DataSettings
from olhar.errors import ConfigError, explain_os_errors
from olhar.files import decode_text
from olhar.i18n import _
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.networks.specs import resolve_network
from olhar.progress import Progress
from olhar.settings import Kind, Name, Number, Settings, Whole, check_names, setting, table
from olhar.shown import hide_secrets
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

DEFAULT_TRIALS = 10


@dataclass(frozen=True)
class SweepSettings(Settings):
    """What identifies a sweep.

    Attributes:
        data: which data, and how it is divided; validation decides, the test split is for the
            winner.
        network: canonical name of the network.
        fixed: settings of recipe and network that all trials have, beside the kept recipe.
        space: what each searched parameter is drawn from, in the order given.

    Raises:
        UnknownNameError: a network, parameter, method… that does not exist.
        ConfigError: a value or range that the recipe or network does not allow, a parameter both
            fixed and searched, nothing to search.
    """

    data: DataSettings
    network: str
    fixed: dict[str, Any]
    space: dict[str, Distribution]
    method: str = setting(
        "random",
        Name("grid", "random", "tpe"),
        _(
            "random (no combination twice), grid (all combinations, or a seeded choice where trials "
            "are fewer), tpe (learns from the trials before: Bergstra et al. 2011)"
        ),
    )
    trials: int = setting(
        0,
        Whole(0, 100_000),
        _(
            "how many; 0 is all of a grid, else 10. While a sweep has no winner, the same command with "
            "more trials goes on with the same list"
        ),
    )
    minutes: float = setting(
        0.0,
        Number(0, 100_000, "MINUTES"),
        _("time for the whole sweep; as many trials are trained as fit it. 0 means no limit"),
    )
    metric: str = setting(
        "accuracy",
        Name("accuracy", "f1", "loss"),
        _("accuracy, f1 or loss, on the validation images"),
    )
    seed: int = setting(
        0,
        Whole(0, 2**31 - 1),
        _(
            "of the draw, and of what is random in each trial; more trials with the same seed go on "
            "with the same list"
        ),
    )
    pruner: str = setting(
        "asha",
        Name("asha", "median", "none"),
        _("what stops trials early: asha (Li et al. 2020), median or none"),
    )
    finalists: int = setting(
        2, Whole(1, 100), _("how many of the best are trained again with further seeds")
    )
    extra_seeds: int | None = setting(
        None,
        Whole(0, 100),
        _(
            "how many further seeds; default 1 where that takes at most half of the time of the "
            "trials, else 0"
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("network", resolve_network(self.network)[0])
        self._check_names()
        self._set("fixed", {key: _checked(key, value) for key, value in self.fixed.items()})
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
        for key in self.space:
            if not _OF_TRIALS[key].searched:
                raise ConfigError(
                    _(
                        "{key} cannot be searched: it changes how a trial runs, not what it learns",
                        key=key,
                    )
                )
        for key in SWEEP.keys() & self.fixed:
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

    def _fitted(self, key: str, one: Distribution) -> Distribution:
        """A distribution of which each draw is accepted; ranges need their ends checked alone."""
        if isinstance(one, Choice):
            values = tuple(_checked(key, value) for value in one.values)
            for place, value in enumerate(values):
                if value in values[:place]:
                    raise ConfigError(
                        _("parameter {name} has {value} twice; give it once", name=key, value=value)
                    )
            if not values:
                raise ConfigError(_("parameter {name} has no value to choose from", name=key))
            return Choice(values)
        ends = [_checked(key, end) for end in (one.low, one.high)]
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
        return {
            "network": self.network,
            **{key: getattr(self, key) for key in SWEEP if getattr(self, key) is not None},
            "data": {
                key: hide_secrets(value) if key == "name" else value
                for key, value in self.data.to_dict().items()
                if (key, value) != ("groups", "none")
            },
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
        recorded = "format" in values  # then, as in older sweeps, no word of groups means none
        given = {key: value for key, value in values.items() if key != "format"}
        known = {one.name for one in dataclasses.fields(cls)} - {"fixed", "space"}
        known |= {"param", "recipe", "set"}
        check_names(given, known, _("entry of a sweep"))
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
        data = _read_data(given.pop("data"), {"groups": "none"} if recorded else {})
        fixed = {key: value for key, value in base.items() if key not in space} | fixed
        return cls(
            **{**given, "network": str(given["network"])}, data=data, fixed=fixed, space=space
        )


@dataclass(frozen=True)
class Place(Settings):
    """Where a sweep is kept, in the folder `out` and a database, and where it runs."""

    out: Path
    workers: int | None = setting(
        None, Whole(1), _("worker processes that train trials; default one a core")
    )
    storage: str | None = setting(
        None,
        Kind("URL"),
        _("the study's database, such as postgresql://…; default in the sweep's folder"),
    )
    study: str | None = setting(
        None, Kind("NAME"), _("the study's name in the database; default the folder's name")
    )
    engine: str = setting(
        "local", Name("local", "ray"), _("local (this machine) or ray (a cluster)")
    )
    address: str | None = setting(None, Kind("HOST:PORT"), _("of the Ray cluster"))


SWEEP, PLACE = table(SweepSettings), table(Place)
_OF_TRIALS = {**SETTINGS, **NETWORK}


def _checked(key: str, value: Any) -> Any:
    """A trial's setting in its own type; several values of one are a text, as Optuna has them."""
    checked = _OF_TRIALS[key].check(value)
    return _OF_TRIALS[key].write(checked) if isinstance(checked, tuple) else checked


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


def _read_data(value: Any, defaults: Mapping[str, Any]) -> DataSettings:
    given = {"name": value} if isinstance(value, str) else _table("data", value)
    check_names(given, {"name", *DATA}, _("entry of a sweep's data"))
    if not isinstance(given.get("name"), str):
        raise ConfigError(_("a sweep's data has no name; give [data] a name"))
    return DataSettings(**{**defaults, **given})


def _whole_recipe(path: Path) -> dict[str, Any]:
    """A recipe file with the defaults of what it does not say, so that no kept recipe fills it up."""
    values = {**Recipe().to_dict(), **load_recipe_file(path)}
    shared = {key for key, one in _OF_TRIALS.items() if not one.searched}
    return {key: value for key, value in values.items() if key not in shared}


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
        return tomllib.loads(decode_text(content))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            _("sweep file '{path}' is not valid TOML: {reason}", path=path, reason=error)
        ) from error
