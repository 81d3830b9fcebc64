"""A W&B sweep file, read as olhar's own settings of a sweep.

The form is that of W&B's "sweep configuration" reference. What cannot be mapped is refused by name:
a sweep that searches something else than its file says would be worse than none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from olhar.errors import ConfigError, MissingExtraError, unknown_name
from olhar.i18n import Text, _
from olhar.progress import Progress
from olhar.sweep.space import Choice, Distribution, FloatRange, IntRange, stepped

_METHODS = {"bayes": "tpe", "grid": "grid", "random": "random"}
_METRICS = {
    **dict.fromkeys(
        ("accuracy", "acc", "validation_accuracy", "val_accuracy", "val_acc"), "accuracy"
    ),
    **dict.fromkeys(("loss", "validation_loss", "val_loss"), "loss"),
    **dict.fromkeys(("f1", "validation_f1", "val_f1", "f1_score", "val_f1_score"), "f1"),
}
_SYNONYMS = {
    "activation_function": "activation",
    "batch": "batch_size",
    "bs": "batch_size",
    "color_jitter": "colour",
    "dropout_rate": "dropout",
    "fc_layer_size": "width",
    "hidden_size": "width",
    "learning_rate": "lr",
    "lr_schedule": "schedule",
    "max_epochs": "epochs",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "opt": "optimizer",
    "scheduler": "schedule",
    "wd": "weight_decay",
}
_IGNORED = ("command", "controller", "description", "entity", "job", "name", "program", "project")
_UNDERSTOOD = ("early_terminate", "method", "metric", "parameters", "run_cap")
_LOGARITHMIC = frozenset(
    {"log_uniform_values", "inv_log_uniform_values", "q_log_uniform_values", "log_uniform"}
)
_RANGES = frozenset({"int_uniform", "uniform", "q_uniform"}) | _LOGARITHMIC


def read_wandb_file(path: Path, content: bytes, progress: Progress) -> dict[str, Any]:
    """A sweep file's content for `SweepSettings.from_dict`; it names neither data nor network.

    Args:
        path: where it is, for messages.
        content: its bytes.
        progress: hears what was read in another way, or left out.

    Raises:
        ConfigError: it is no YAML, or says what cannot be mapped.
        MissingExtraError: PyYAML is not installed.
    """
    config = _load(path, content)
    for key in config:
        if key not in (*_IGNORED, *_UNDERSTOOD):
            raise unknown_name(_("entry of a W&B sweep"), str(key), (*_IGNORED, *_UNDERSTOOD))
    ignored = [key for key in _IGNORED if key in config]
    if ignored:
        names = ", ".join(ignored)
        progress.note(
            _("'{path}': left out, as olhar needs none of it: {names}", path=path, names=names)
        )
    values: dict[str, Any] = {"set": {}, "param": {}}
    if "method" in config:
        if config["method"] not in _METHODS:
            raise unknown_name(_("method of a W&B sweep"), str(config["method"]), _METHODS)
        values["method"] = _METHODS[config["method"]]
    if "metric" in config:
        values["metric"] = _metric(_mapping("metric", config["metric"]))
    if "run_cap" in config:
        values["trials"] = config["run_cap"]
    if config.get("early_terminate"):
        values["pruner"] = _pruner(_mapping("early_terminate", config["early_terminate"]), progress)
    for name, given in _mapping("parameters", config.get("parameters", {})).items():
        _add_parameter(values, str(name), given, progress)
    return values


def _load(path: Path, content: bytes) -> Mapping[Any, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            _('YAML files need PyYAML, which is not installed: pip install "olhar[sweep]"')
        ) from error
    try:
        config = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(
            _("sweep file '{path}' is not valid YAML: {reason}", path=path, reason=error)
        ) from error
    if not isinstance(config, Mapping) or "parameters" not in config:
        raise ConfigError(_("'{path}' is no W&B sweep: it has no 'parameters'", path=path))
    return config


def _mapping(name: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(
            _(
                "'{name}' of a W&B sweep is {given}; allowed: a mapping",
                name=name,
                given=repr(value),
            )
        )
    return value


def _metric(given: Mapping[Any, Any]) -> str:
    for key in given:
        if key not in {"name", "goal"}:
            _refuse(f"metric.{key}")
    name = str(given.get("name", "")).lower().replace("/", "_").replace("-", "_").replace(" ", "_")
    if name not in _METRICS:
        raise ConfigError(
            _(
                "metric '{name}' of a W&B sweep cannot be searched by; allowed: {allowed}, each of "
                "the validation split",
                name=given.get("name"),
                allowed=", ".join(sorted(_METRICS)),
            )
        )
    metric = _METRICS[name]
    right = "minimize" if metric == "loss" else "maximize"
    goal = given.get("goal", right)
    if goal != right:
        raise ConfigError(
            _(
                "goal '{goal}' of a W&B sweep does not suit metric '{name}'; allowed: {right}",
                goal=goal,
                name=given.get("name"),
                right=right,
            )
        )
    return metric


def _pruner(given: Mapping[Any, Any], progress: Progress) -> str:
    if given.get("type") != "hyperband":
        raise unknown_name(_("type of early_terminate"), str(given.get("type")), ("hyperband",))
    brackets = [key for key in ("min_iter", "max_iter", "s", "eta", "strict") if key in given]
    for key in given:
        if key not in {"type", *brackets}:
            _refuse(f"early_terminate.{key}")
    progress.note(
        _(
            "early_terminate hyperband is read as --pruner asha; its brackets are olhar's own"
            "{left_out}",
            left_out=f" ({', '.join(brackets)})" if brackets else "",
        )
    )
    return "asha"


def _add_parameter(values: dict[str, Any], typed: str, given: Any, progress: Progress) -> None:
    """One parameter of the file, to what is fixed or what is searched."""
    name = typed.lower().replace("-", "_")
    name = _SYNONYMS.get(name, name)
    if name != typed:
        progress.note(_("'{typed}' is read as {name}", typed=typed, name=name))
    if name in values["set"] or name in values["param"]:
        raise ConfigError(_("'{name}' is in the W&B sweep twice; give it once", name=name))
    given = dict(_mapping(typed, given))
    if "parameters" in given:
        _refuse(f"{typed}.parameters", _("give nested parameters side by side"))
    kind = str(given.pop("distribution", "") or _usual_kind(given))
    if kind == "constant":
        values["set"][name] = _known(name, _take(given, typed, "value"), progress)
    elif kind == "categorical":
        chosen = _take(given, typed, "values")
        if not isinstance(chosen, list) or not chosen:
            _refuse(f"{typed}.values", _("it is no list of values"))
        values["param"][name] = Choice(tuple(_known(name, one, progress) for one in chosen))
    elif kind in _RANGES:
        values["param"][name] = _range(typed, name, kind, given, progress)
    else:
        _refuse(
            f"{typed}: {kind}",
            _("allowed: constant, categorical, {kinds}", kinds=", ".join(sorted(_RANGES))),
        )
    if given:
        _refuse(f"{typed}.{next(iter(given))}")


def _usual_kind(given: Mapping[Any, Any]) -> str:
    """The distribution that W&B takes where a parameter names none."""
    if "value" in given:
        return "constant"
    if "values" in given:
        return "categorical"
    ends = (given.get("min"), given.get("max"))
    whole = all(isinstance(end, int) and not isinstance(end, bool) for end in ends)
    return "int_uniform" if whole else "uniform"


def _known(name: str, value: Any, progress: Progress) -> Any:
    """A value by the name that it has here."""
    if name == "optimizer" and str(value).lower() == "adam":
        progress.note(_("optimizer adam is read as adamw"))
        return "adamw"
    return (
        value.lower() if name in {"activation", "optimizer"} and isinstance(value, str) else value
    )


def _range(
    typed: str, name: str, kind: str, given: dict[Any, Any], progress: Progress
) -> Distribution:
    low, high = (_number(typed, key, _take(given, typed, key)) for key in ("min", "max"))
    quantum = _number(typed, "q", given.pop("q", 1)) if kind.startswith("q_") else 0.0
    if kind == "log_uniform":  # its ends are exponents
        low, high = _exp(typed, low), _exp(typed, high)
    if kind == "int_uniform" or (kind == "q_uniform" and _whole(low, high, quantum)):
        if not _whole(low, high):
            _refuse(f"{typed}: {kind}", _("its ends must be whole numbers"))
        return IntRange(int(low), int(high), step=int(quantum or 1))
    if kind == "q_log_uniform_values":
        progress.note(
            _(
                "'{typed}' is drawn from all numbers of its range, not from multiples of q",
                typed=typed,
            )
        )
        if _whole(low, high, quantum):
            return IntRange(int(low), int(high), log=True)
    if kind == "uniform" and low == 0 < high and name == "lr":
        low = high * 1e-6  # a learning rate of exactly 0 is never drawn there, and not allowed here
        progress.note(_("'{typed}' begins above 0: {low}", typed=typed, low=low))
    return (
        stepped(low, high, quantum)
        if kind == "q_uniform"
        else FloatRange(low, high, kind in _LOGARITHMIC)
    )


def _whole(*numbers: float) -> bool:
    return all(number.is_integer() for number in numbers)


def _exp(typed: str, exponent: float) -> float:
    try:
        return math.exp(exponent)
    except OverflowError:
        _refuse(f"{typed}: log_uniform", _("its ends are exponents of e, and too large"))


def _take(given: dict[Any, Any], typed: str, key: str) -> Any:
    if key not in given:
        _refuse(typed, _("it has no '{key}'", key=key))
    return given.pop(key)


def _number(typed: str, key: str, value: Any) -> float:
    try:  # YAML reads 1e-4 as text
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        _refuse(f"{typed}.{key}", _("it is no number"))
    return number


def _refuse(what: str, reason: Text | None = None) -> NoReturn:
    if reason is None:
        raise ConfigError(
            _("'{what}' of a W&B sweep means nothing to olhar; take it out of the file", what=what)
        )
    raise ConfigError(
        _("'{what}' of a W&B sweep cannot be used: {reason}", what=what, reason=reason)
    )
