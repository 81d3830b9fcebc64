"""What can be done with a backbone: one object a mode.

Does not know: torch. How a training is carried out by what a mode says of it is in pipeline.fitting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.training.recipe import Recipe

# CIFAR-10's 50,000 images took a backbone 260 s at 128 pixels on two cores (docs/transfer.md). So 10,000
# take it about a minute, photos at 224 pixels three: from there on the head is no matter of seconds, a
# second view costs minutes, and the last blocks have enough to learn from.
MANY_IMAGES = 10_000


@dataclass(frozen=True, eq=False)
class Mode:
    """What is done with a backbone.

    Attributes:
        name: in flags and config.toml.
        offer: what it does, for --help.
        done: what was done, for the model card.
        recipe: its settings; None takes those that are kept for a network without weights.
        many: those that are others from 10,000 images on.
        uses_weights: the backbone's weights are loaded, and the first epoch solves for the head.
        has_steps: weights are trained step by step; else the head's epoch is all.
        keeps_front: only the last blocks are trained, on what the blocks before them give.
        thaws: all blocks are trained, one more part of them each epoch.
        continues: a run's own weights go on, its last layer's too; no head is solved for.
        takes_taps: the last layer takes what earlier layers give beside the features (`Backbone.taps`).
        reads_once: each image goes through the backbone once.
        takes: the settings that have a meaning; None where all do but `refuses`.
        refuses: those that have none.
        because: why not.
    """

    name: str
    offer: Text
    done: Text
    recipe: Mapping[str, Any] | None = None
    many: Mapping[str, Any] = field(default_factory=lambda: {"views": "none"})
    uses_weights: bool = True
    has_steps: bool = True
    keeps_front: bool = False
    thaws: bool = False
    continues: bool = False
    takes_taps: bool = False
    reads_once: bool = False
    takes: frozenset[str] | None = None
    refuses: frozenset[str] = frozenset()
    because: Text | str = ""

    def check_settings(self, asked: Collection[str]) -> None:
        """Raise ConfigError for a setting that means nothing in this mode."""
        for key in asked:
            if key in self.refuses or (self.takes is not None and key not in self.takes):
                raise ConfigError(
                    _(
                        "{key} has no meaning with --mode {mode}, {because}; leave it out, or use "
                        "--mode finetune",
                        key=key,
                        mode=self.name,
                        because=self.because,
                    )
                )

    def suited_recipe(self, recipe: Recipe, asked: Collection[str], images: int) -> Recipe:
        """The mode's recipe for so many images: of many, each is seen less often.

        Args:
            recipe: the mode's own, with what was asked for.
            asked: names of the settings that the user gave.
            images: of the whole data set.
        """
        if self.recipe is None or images < MANY_IMAGES:
            return recipe
        changes = {key: value for key, value in self.many.items() if key not in asked}
        return dataclasses.replace(recipe, **changes)


# What has a meaning where one layer is solved for and nothing else is trained.
_OF_HEAD = frozenset({"balance", "device", "seed", "sure_precision", "views", "workers"})

# The recipes were chosen in docs/transfer.md.
HEAD = Mode(
    "head",
    _("head (fit the last layer, seconds)"),
    _("its last layer was fitted, all else stayed as it was"),
    {"epochs": 1, "views": "mirror"},
    has_steps=False,
    takes_taps=True,
    reads_once=True,
    takes=_OF_HEAD,
    because=_(
        "which solves for the last layer and trains nothing else (its settings: {allowed})",
        allowed=", ".join(sorted(_OF_HEAD)),
    ),
)
TOP = Mode(
    "top",
    _("top (then train the last blocks, minutes)"),
    _("its last blocks were trained further"),
    {
        "epochs": 2,
        "copies": 4,
        "batch_size": 32,
        "lr": 1e-3,
        "warmup": 0.6,  # the head's epoch is half of the schedule
        "weight_decay": 0.02,
        "label_smoothing": 0.1,
        "flip": True,
        "translate": 0.08,
        "rotate": 8.0,
        "zoom": 0.15,
        "colour": 0.15,
        "views": "mirror",
    },
    {
        "epochs": 3,
        "copies": 1,
        "batch_size": 64,
        "lr": 2e-3,
        "warmup": 0.45,  # the head's epoch is a third of the schedule
        "weight_decay": 0.01,
        "label_smoothing": 0.0,
        "rotate": 0.0,
        "zoom": 0.0,
        "colour": 0.0,
        "views": "none",
    },
    keeps_front=True,
    reads_once=True,
    refuses=frozenset({"early_share", "minutes"}),
    because=_("whose first blocks see each image once"),
)
FINETUNE = Mode(
    "finetune",
    _("finetune (then all of it, longer)"),
    _("all of it was trained further"),
    {
        "epochs": 6,
        "batch_size": 16,
        "lr": 1e-4,
        "weight_decay": 0.01,
        "flip": True,
        "translate": 0.06,
        "views": "mirror",
    },
    thaws=True,
)
SCRATCH = Mode(
    "scratch",
    _("scratch (without weights, to compare)"),
    _("its weights were not used"),
    uses_weights=False,
)
CONTINUE = Mode(
    "continue",
    _("continue (of a run: train all of it for more epochs)"),
    _("all of it, its last layer too, was trained for more epochs"),
    continues=True,
)
MODES = {mode.name: mode for mode in (HEAD, TOP, FINETUNE, SCRATCH, CONTINUE)}
