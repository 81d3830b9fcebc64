"""The sections "Evaluation data" and "Training data"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from olhar.card.analyses import split_title
from olhar.card.facts import Facts
from olhar.card.markdown import Block, not_stated, number, plain, setting, stated, table
from olhar.i18n import Text, _

AUGMENTATIONS = (
    *("flip", "translate", "rotate", "zoom"),
    *("shear", "cutout", "colour", "label_smoothing"),
)
SOURCES: dict[str, Text] = {
    "cifar10": _(
        "CIFAR-10: 60,000 colour photos of 32×32 pixels in ten classes; Krizhevsky, “Learning "
        "multiple layers of features from tiny images”, 2009."
    ),
    "digits": _(
        "digits: 1,797 scans of handwritten digits, 8×8 pixels; the test part of the UCI “Optical "
        "recognition of handwritten digits” set, as scikit-learn ships it."
    ),
    "fashion_mnist": _(
        "Fashion-MNIST: 70,000 grey pictures of clothes, 28×28 pixels; Xiao, Rasul and Vollgraf, "
        "arXiv 1708.07747, 2017."
    ),
    "mnist": _(
        "MNIST: 70,000 scans of handwritten digits, 28×28 pixels; LeCun, Bottou, Bengio and Haffner, "
        "“Gradient-based learning applied to document recognition”, 1998."
    ),
}


def evaluation_data(facts: Facts) -> list[Block]:
    """What it was measured on, and what that split was used for."""
    data, report = facts.config["data"], facts.measured
    split, n = (report.split, report.n) if report else ("test", data["sizes"]["test"])
    blocks: list[Block] = [
        _(
            "{n} images: the {split} of {data}.",
            n=number(n),
            split=split_title(split),
            data=plain(facts.data_name),
        )
    ]
    if split == "val":
        blocks.append(
            _(
                "**These are validation figures, not test figures.** The same images chose the epoch "
                "whose weights are kept, so the figures are better than those on new images would be."
            )
        )
    if split == "test":
        blocks += [_origin_of_test(facts.data_name, str(data.get("split_seed", 0)))]
        blocks += _groups(data)
        read = _("This run read it once, after training, and chose nothing by it.")
        folds = facts.cross_validation
        if folds and "test" in folds.splits:
            read = _(
                "This run read it after training, and once more for cross-validation, and chose "
                "nothing by it."
            )
        blocks += [read if report else _("This run has not read it yet.")]
    blocks.append(
        _(
            "The images pass through the same preparation as in training and in use; its settings "
            "are stored in the model."
        )
    )
    blocks.append(_("Fingerprint of the data (sha256): `{digest}`", digest=_digest(facts)))
    return blocks


def _digest(facts: Facts) -> str:
    return "".join(c for c in facts.config["data"]["fingerprint"] if c.isalnum())


def _groups(data: Mapping[str, Any]) -> list[Block]:
    """Whether images that belong together are on one side."""
    if data["leaks"]:
        return [
            _(
                "**{groups} group(s) of near-duplicates lie in more than one split**; {test} test images "
                "have one among the images of training or validation, so that the figures are better "
                "than those on new images would be.",
                groups=number(data["leaks"]["groups"]),
                test=number(data["leaks"]["test"]),
            )
        ]
    if data["divided"]:
        return [
            _(
                "**There were too few groups of images that belong together to keep them whole**: {test} "
                "test images have some of their group among the images of training or validation, so that "
                "the figures are better than those on new images would be.",
                test=number(data["divided"]["test"]),
            )
        ]
    if data.get("grouped"):
        return [
            _(
                "Images that belong together (near-duplicates, photos taken one after another, or what "
                "the data says) are in one split."
            )
        ]
    return []


def _origin_of_test(name: str, seed: str) -> Text:
    if name in SOURCES and name != "digits":
        return _("It is the test part that the makers of the data set published.")
    if name == "digits":
        return _(
            "It was drawn by class, with split seed {seed}, and is the same on every machine.",
            seed=plain(seed),
        )
    return _(
        "It is the folder's own test part where it has one, else it was drawn by class, with split "
        "seed {seed}.",
        seed=plain(seed),
    )


def training_data(facts: Facts) -> list[Block]:
    """What it learned from, and what was done to the images."""
    data, recipe = facts.config["data"], facts.config["recipe"]
    sizes = data["sizes"]
    known = SOURCES.get(facts.data_name)
    source: list[Block] = [known or _("A folder of photos, {name}.", name=plain(facts.data_name))]
    rows: list[Sequence[Block]] = [
        (_("training"), _("the weights are learned from it"), number(sizes["train"])),
        (
            _("validation"),
            _("chooses the epoch whose weights are kept, the temperature and the threshold"),
            number(sizes["val"]),
        ),
        (_("test"), _("measures, at the end"), number(sizes["test"])),
    ]
    blocks: list[Block] = [*source, *stated(facts.details, "data")]
    used = [
        key if recipe[key] is True else f"{key} {setting(recipe[key])}"
        for key in AUGMENTATIONS
        if recipe.get(key)
    ]
    augmented = _("Augmentation in training: {settings}.", settings=", ".join(used))
    blocks += [
        table((_("split"), _("what it is for"), _("images")), rows, numbers_from=2),
        augmented if used else _("The training images were not augmented."),
        _balance(str(recipe.get("balance", "none"))),
    ]
    if data["conflicts"]:
        blocks.append(
            _(
                "**Pictures that lie in more than one class, as copies or near-duplicates: {n}**; no model "
                "can answer all of them rightly.",
                n=number(data["conflicts"]),
            )
        )
    if data["set_aside"]:
        count = number(data["set_aside"])
        blocks.append(
            _(
                "Photos that could not be read and were set aside: {n}; config.toml names them.",
                n=count,
            )
        )
    return [*blocks, *(not_stated(facts.details, "data") if known is None else [])]


def _balance(rule: str) -> Text:
    if rule == "weights":
        return _("Classes with fewer images weigh more in the loss.")
    if rule == "sampling":
        return _("Classes with fewer images were drawn more often.")
    return _("Classes were taken as they are, without weights or balanced sampling.")
