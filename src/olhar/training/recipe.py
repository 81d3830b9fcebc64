"""A recipe: every setting of a training, checked before torch is loaded.

Settings come, each beating the one before, from the recipe kept for the network and data set, from
a recipe file, and from flags and `--set`. Settings of the network itself travel the same way.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import typing
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError, explain_os_errors, unknown_name
from olhar.i18n import _

OPTIMIZERS = ("adamw", "muon", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine", "one_cycle")
PRECISIONS = ("auto", "bf16", "fp32")
VIEWS = ("none", "mirror", "mirror_shift", "shift")
BALANCES = ("auto", "none", "sampling", "weights")
_STEPS_AN_EPOCH, _SMALLEST_BATCH = 20, 8
_FEWEST_EPOCHS = 5
_RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """Every setting of a training.

    Attributes:
        epochs: passes over the training images.
        most_images: images that a training sees at most, over all epochs: a large set gets fewer of
            the recipe's epochs (five at least), unless epochs were asked for; 0 leaves them as they
            are.
        batch_size: images a step; the last, smaller batch of an epoch is left out.
        optimizer: adamw, muon (for hidden weights, beside adamw), sgd (Nesterov momentum), rmsprop.
        lr: the highest learning rate of the schedule.
        weight_decay: decoupled for adamw and muon, L2 otherwise; never on biases and batch norms.
        momentum: of muon, sgd and rmsprop.
        schedule: one_cycle (linear rise, then cosine to 0), cosine, constant.
        warmup: share of all steps in which one_cycle rises.
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016, sec. 7).
        flip: mirror half of the images left to right.
        translate: largest shift, as a share of the side.
        rotate: largest rotation, in degrees.
        zoom: largest change of scale, as a share.
        shear: largest slant, in degrees.
        cutout: side of a square that is blanked in each image, as a share of the image's side.
        colour: largest change of brightness, contrast and saturation, as a share.
        early_share: share of the training, its beginning, on images of three quarters of the side;
            for networks that take any size.
        dropout_share: share of the training, its beginning, that has the network's dropout; the rest
            has none (early dropout, Liu et al. 2023, section 4).
        views: what a prediction is a mean over, inside the model: none (the image alone), mirror,
            shift (by a pixel, two ways), mirror_shift.
        sure_precision: share of right answers wanted among those that the model calls sure; its
            threshold is chosen for it on the validation split.
        balance: what is done about classes of unequal size: auto (by how unequal they are), none,
            weights (of the loss), sampling (of the images).
        patience: stop after so many epochs without a better validation accuracy; 0 never stops.
        seed: of the weights, the order of images, dropout and augmentation.
        precision: auto (by a table of processor features), fp32, bf16.
        device: auto, cpu, cuda, cuda:1…
        minutes: time for the whole training; the epochs are chosen to fit it. 0 means no limit.
        workers: how many photos are decoded at once; 0 means one a core.
    """

    epochs: int = 20
    most_images: int = 0
    batch_size: int = 128
    optimizer: str = "adamw"
    lr: float = 0.003
    weight_decay: float = 0.01
    momentum: float = 0.9
    schedule: str = "one_cycle"
    warmup: float = 0.25
    label_smoothing: float = 0.0
    flip: bool = False
    translate: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    cutout: float = 0.0
    colour: float = 0.0
    early_share: float = 0.0
    dropout_share: float = 1.0
    views: str = "none"
    sure_precision: float = 0.95
    balance: str = "auto"
    patience: int = 0
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    minutes: float = 0.0
    workers: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_range(field.name, getattr(self, field.name))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for config.toml."""
        return asdict(self)


# Smallest and largest value, and whether the smallest itself is allowed.
_RANGES: Mapping[str, tuple[float, float, bool]] = {
    "epochs": (1, 100_000, True),
    "most_images": (0, 10**12, True),
    "batch_size": (1, 65_536, True),
    "lr": (0, 100, False),
    "weight_decay": (0, 10, True),
    "momentum": (0, 0.9999, True),
    "warmup": (0, 1, True),
    "label_smoothing": (0, 0.9, True),
    "translate": (0, 0.5, True),
    "rotate": (0, 180, True),
    "zoom": (0, 0.9, True),
    "shear": (0, 60, True),
    "cutout": (0, 0.9, True),
    "colour": (0, 1, True),
    "early_share": (0, 1, True),
    "dropout_share": (0, 1, True),
    "sure_precision": (0, 1, True),
    "minutes": (0, 100_000, True),
    "patience": (0, 100_000, True),
    "seed": (0, 2**31 - 1, True),
    "workers": (0, 1024, True),
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "balance": BALANCES,
    "views": VIEWS,
}
_TYPES: Mapping[str, Any] = typing.get_type_hints(Recipe)
SETTINGS = tuple(_TYPES)


def build_recipe(settings: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values, each in its own type or as text.

    Raises:
        UnknownNameError: a setting that does not exist.
        ConfigError: a value of the wrong type or out of its range.
    """
    for key in settings:
        if key not in _TYPES:
            raise unknown_name(_("setting"), key, SETTINGS)
    return Recipe(**{key: parse_value(key, value) for key, value in settings.items()})


def parse_value(key: str, value: Any) -> Any:
    """A recipe setting's value, given as text or in a close type, in its own type."""
    kind = _TYPES[key]
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        parsed = words.get(str(value).lower())
        if parsed is None:
            raise ConfigError(_("{key} is '{given}'; allowed: true or false", key=key, given=value))
        return parsed
    if kind is str:
        return str(value)
    try:
        number = float(value)
        if isinstance(value, bool) or (kind is int and number != int(number)):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        expected = _("a whole number") if kind is int else _("a number")
        raise ConfigError(
            _("{key} is '{given}'; allowed: {expected}", key=key, given=value, expected=expected)
        ) from None
    return int(number) if kind is int else number


def _check_range(key: str, value: Any) -> None:
    if key in _CHOICES and value not in _CHOICES[key]:
        raise unknown_name(key, value, _CHOICES[key])
    if key not in _RANGES:
        return
    low, high, inclusive = _RANGES[key]
    if not math.isfinite(value) or not (low <= value <= high) or (value == low and not inclusive):
        above = _("from") if inclusive else _("above")
        raise ConfigError(
            _(
                "{key} is {given}; allowed: {above} {low} to {high}",
                key=key,
                given=value,
                above=above,
                low=low,
                high=high,
            )
        )


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """`["lr=0.1", "width=240"]` → `{"lr": "0.1", "width": "240"}`.

    Raises:
        ConfigError: one without "=", or a setting given twice with different values.
    """
    found: dict[str, str] = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        key = key.strip().replace("-", "_")
        if not sign or not key or not value.strip():
            raise ConfigError(
                _("--set '{given}' is not of the form key=value, such as lr=0.01", given=assignment)
            )
        merge_setting(found, key, value.strip(), "--set")
    return found


def merge_setting(settings: dict[str, Any], key: str, value: Any, flag: str) -> None:
    """Add a setting; the same key with another value is refused, naming both."""
    if key in settings and not _same(key, settings[key], value):
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


def _same(key: str, first: Any, second: Any) -> bool:
    if key in _TYPES:
        return bool(parse_value(key, first) == parse_value(key, second))
    return str(first) == str(second)


def load_recipe_file(path: Path) -> dict[str, Any]:
    """The settings in a recipe file; its `[about]` table is for readers and is left out.

    Raises:
        MissingFileError: no such file.
        ConfigError: it is no TOML.
    """
    with explain_os_errors(path):
        text = path.read_bytes()
    try:
        values = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            _("recipe file '{path}' is not valid TOML: {reason}", path=path, reason=error)
        ) from error
    values.pop("about", None)
    values.pop("format", None)
    return values


def kept_recipe(network: str, data: str) -> dict[str, Any]:
    """The settings kept for a network on a data set, else for either, else for all.

    `data` is "photos" for any folder of photos. `3cnn.cifar10` is for all networks of three blocks.
    """
    blocks = network.partition("+")[0]
    for stem in (f"{network}.{data}", f"{blocks}.{data}", network, data, "default"):
        path = _RECIPES / f"{stem}.toml"
        if path.is_file():
            return load_recipe_file(path)
    return {}


def suited_recipe(recipe: Recipe, asked: Collection[str], images: int, channels: int) -> Recipe:
    """A kept recipe, suited to the data in what was not asked for.

    A small set gets smaller batches, so that an epoch has some twenty steps, and a learning rate
    that shrinks with their square root; a large one gets fewer epochs, by `most_images`. Grey
    images, which may be letters or digits, are not mirrored, in training or as views.

    Args:
        recipe: as kept, with what was asked for.
        asked: names of the settings that the user gave.
        images: how many train.
        channels: 1 or 3.
    """
    changes: dict[str, Any] = {}
    if recipe.most_images and "epochs" not in asked:
        epochs = max(_FEWEST_EPOCHS, recipe.most_images // images)
        changes["epochs"] = min(recipe.epochs, epochs)
    if "batch_size" not in asked and images < _STEPS_AN_EPOCH * recipe.batch_size:
        batch_size = max(_SMALLEST_BATCH, 1 << (images // _STEPS_AN_EPOCH).bit_length() >> 1)
        changes["batch_size"] = min(recipe.batch_size, batch_size)
        if "lr" not in asked:
            share = changes["batch_size"] / recipe.batch_size
            changes["lr"] = float(f"{recipe.lr * share**0.5:.2g}")
    if channels == 1 and recipe.flip and "flip" not in asked:
        changes["flip"] = False
    if channels == 1 and recipe.views.startswith("mirror") and "views" not in asked:
        changes["views"] = recipe.views.removeprefix("mirror").removeprefix("_") or "none"
    return dataclasses.replace(recipe, **changes)


def divide_settings(
    settings: Mapping[str, Any], network_settings: Iterable[str], network: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings → (those of the recipe, those of the network).

    Raises:
        UnknownNameError: one that belongs to neither; the nearest of both are named.
    """
    own = frozenset(network_settings)
    for key in settings:
        if key not in own and key not in _TYPES:
            raise unknown_name(_("setting of network {name}", name=network), key, {*own, *_TYPES})
    recipe = {key: value for key, value in settings.items() if key in _TYPES}
    return recipe, {key: value for key, value in settings.items() if key in own}
