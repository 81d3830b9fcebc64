"""The settings of a training: its recipe, and how it runs; checked before torch is loaded.

Settings come, each beating the one before, from the recipe kept for the network and data set, from
a recipe file, and from flags and `--set`. Settings of the network itself travel the same way.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.errors import ConfigError, explain_os_errors
from olhar.files import decode_text
from olhar.i18n import _
from olhar.settings import (
    Kind,
    Name,
    Number,
    Settings,
    Whole,
    YesNo,
    check_names,
    setting,
    table,
)

VIEWS = ("none", "mirror", "mirror_shift", "shift")
_STEPS_AN_EPOCH, _SMALLEST_BATCH = 20, 8
_FEWEST_EPOCHS = 5
_SHORTER = "shorter"  # a table of a kept recipe
_RECIPES = Path(__file__).parent / "recipes"
_SHARE = Number(0, 1)


@dataclass(frozen=True)
class Recipe(Settings):
    """What a training does: the settings that its weights depend on."""

    epochs: int = setting(20, Whole(1, 100_000), _("passes over the training images"), usual=True)
    most_images: int = setting(
        0,
        Whole(0, 10**12),
        _(
            "images that a training sees at most, over all epochs: a large set gets fewer of the "
            "recipe's epochs (five at least), unless epochs were asked for; 0 leaves them as they are"
        ),
    )
    batch_size: int = setting(
        128,
        Whole(1, 65_536),
        _("images a step; the last, smaller batch of an epoch is left out"),
        usual=True,
    )
    optimizer: str = setting(
        "adamw",
        Name("adamw", "muon", "rmsprop", "sgd"),
        _("adamw, muon (for hidden weights, beside adamw), sgd (Nesterov momentum), rmsprop"),
        usual=True,
    )
    lr: float = setting(
        0.003,
        Number(0, 100, above=True),
        _("the highest learning rate of the schedule"),
        usual=True,
    )
    weight_decay: float = setting(
        0.01,
        Number(0, 10),
        _("decay of the weights, decoupled for adamw and muon, L2 otherwise; never on biases and "
          "batch norms"),
        usual=True,
    )  # fmt: skip
    momentum: float = setting(0.9, Number(0, 0.9999), _("of muon, sgd and rmsprop"))
    schedule: str = setting(
        "one_cycle",
        Name("constant", "cosine", "one_cycle"),
        _("one_cycle (linear rise, then cosine to 0), cosine, constant"),
    )
    warmup: float = setting(0.25, _SHARE, _("share of all steps in which one_cycle rises"))
    label_smoothing: float = setting(
        0.0,
        Number(0, 0.9),
        _("share of the target spread over all classes (Szegedy et al. 2016, sec. 7)"),
    )
    teacher: str | None = setting(
        None,
        Kind("RUN"),
        _(
            "a run on the same classes whose answers are learnt from beside the labels (Hinton et al. "
            "2015, sec. 2); for networks trained from scratch"
        ),
        usual=True,
        searched=False,
    )
    teacher_share: float | None = setting(
        None,
        _SHARE,
        _("share of the loss that is the teacher's, default 0.7; the rest is the labels'"),
    )
    teacher_temperature: float | None = setting(
        None,
        Number(1, 20),
        _("by how much the answers of both are softened before they are compared; default 2"),
    )
    flip: bool = setting(False, YesNo(), _("mirror half of the images left to right"))  # noqa: FBT003
    translate: float = setting(0.0, Number(0, 0.5), _("largest shift, as a share of the side"))
    rotate: float = setting(0.0, Number(0, 180), _("largest rotation, in degrees"))
    zoom: float = setting(0.0, Number(0, 0.9), _("largest change of scale, as a share"))
    shear: float = setting(0.0, Number(0, 60), _("largest slant, in degrees"))
    cutout: float = setting(
        0.0,
        Number(0, 0.9),
        _("side of a square that is blanked in each image, as a share of the image's side"),
    )
    colour: float = setting(
        0.0, _SHARE, _("largest change of brightness, contrast and saturation, as a share")
    )
    copies: int | None = setting(
        None,
        Whole(1, 64),
        _(
            "how many copies of each image --mode top is trained on, default 1: one is augmented; of "
            "several the first is the image as it is, the second its mirror image"
        ),
    )
    early_share: float = setting(
        0.0,
        _SHARE,
        _(
            "share of the training, its beginning, on images of three quarters of the side; for "
            "networks that take any size"
        ),
    )
    dropout_share: float = setting(
        1.0,
        _SHARE,
        _(
            "share of the training, its beginning, that has the network's dropout; the rest has none "
            "(early dropout, Liu et al. 2023, section 4)"
        ),
    )
    views: str = setting(
        "none",
        Name(*VIEWS),
        _(
            "what a prediction is a mean over, inside the model: none (the image alone), mirror, "
            "shift (by a pixel, two ways), mirror_shift"
        ),
    )
    sure_precision: float = setting(
        0.95,
        _SHARE,
        _(
            "share of right answers wanted among those that the model calls sure; its threshold is "
            "chosen for it on the validation split"
        ),
    )
    balance: str = setting(
        "auto",
        Name("auto", "none", "sampling", "weights"),
        _(
            "what is done about classes of unequal size: auto (by how unequal they are), none, "
            "weights (of the loss), sampling (of the images)"
        ),
    )
    patience: int = setting(
        0,
        Whole(0, 100_000),
        _("stop after so many epochs without a better validation accuracy; 0 never stops"),
        usual=True,
    )
    seed: int = setting(
        0,
        Whole(0, 2**31 - 1),
        _("of the weights, the order of images, dropout and augmentation; never of the split"),
        usual=True,
        searched=False,
    )
    shuffle_mib: int | None = setting(
        None,
        Whole(0, 2**24),
        _(
            "MiB of images that are shuffled together, in blocks that are read whole; 0 shuffles all "
            "of them. By default all, save where they take more than half of the memory that there is: "
            "then an eighth of it"
        ),
        searched=False,
    )
    precision: str = setting(
        "auto",
        Name("auto", "bf16", "fp32"),
        _("auto (by a table of processor features), fp32, bf16"),
    )


@dataclass(frozen=True)
class Resources(Settings):
    """How a training runs: what it may use of the machine and of time."""

    device: str = setting(
        "auto",
        Kind("DEVICE", "auto, cpu, cuda, cuda:1…"),  # which of them are here is for torch to say
        _("where the network is computed: auto, cpu, cuda, cuda:1…"),
        searched=False,
    )
    minutes: float = setting(
        0.0,
        Number(0, 100_000, "MINUTES"),
        _("time for the whole training; the epochs are chosen to fit it. 0 means no limit"),
        searched=False,
    )
    workers: int = setting(
        0,
        Whole(0, 1024),
        _("worker processes that decode photos; 0 means one a core"),
        searched=False,
    )


RECIPE, RESOURCES = table(Recipe), table(Resources)
SETTINGS = {**RECIPE, **RESOURCES}


def build_recipe(settings: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values, each in its own type or as text.

    Raises:
        UnknownNameError: a setting that does not exist.
        ConfigError: a value of the wrong type or out of its range.
    """
    check_names(settings, RECIPE, _("setting"))
    return Recipe.pick(settings)


def build_settings(settings: Mapping[str, Any]) -> tuple[Recipe, Resources]:
    """Settings of a training, from plain values → (what it does, how it runs).

    Raises:
        UnknownNameError: a setting that does not exist.
        ConfigError: a value of the wrong type or out of its range.
    """
    check_names(settings, SETTINGS, _("setting"))
    return Recipe.pick(settings), Resources.pick(settings)


def read_settings(config: Mapping[str, Any]) -> tuple[Recipe, Resources]:
    """`build_settings`, of a run's config.toml; older runs have them all in [recipe]."""
    return build_settings({**config["recipe"], **config.get("resources", {})})


def load_recipe_file(path: Path) -> dict[str, Any]:
    """The settings in a recipe file; its `[about]` table is for readers and is left out.

    Raises:
        MissingFileError: no such file.
        ConfigError: it is no TOML.
    """
    with explain_os_errors(path):
        text = path.read_bytes()
    try:
        values = tomllib.loads(decode_text(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            _(
                "recipe file '{path}' is not valid TOML: {reason}; it must be text in UTF-8",
                path=path,
                reason=error,
            )
        ) from error
    values.pop("about", None)
    values.pop("format", None)
    return values


def kept_recipe(network: str, data: str) -> dict[str, Any]:
    """The settings kept for a network on a data set, else for either, else for all.

    `data` is "photos" for any folder of photos. `3cnn.cifar10` is for all networks of three blocks.
    """
    kept = _load_kept(network, data)
    kept.pop(_SHORTER, None)
    return kept


def shorter_recipe(network: str, data: str) -> dict[str, Any]:
    """Of the kept settings those that change where there is no time for the kept epochs."""
    return dict(_load_kept(network, data).get(_SHORTER, {}))


def _load_kept(network: str, data: str) -> dict[str, Any]:
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
    """Settings → (those of the training, those of the network).

    Raises:
        UnknownNameError: one that belongs to neither; the nearest of both are named.
    """
    own = frozenset(network_settings)
    check_names(settings, {*own, *SETTINGS}, _("setting of network {name}", name=network))
    training = {key: value for key, value in settings.items() if key in SETTINGS}
    return training, {key: value for key, value in settings.items() if key in own}
