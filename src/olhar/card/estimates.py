"""What a card says of cross-validation, and of what more photos would bring."""

from __future__ import annotations

from olhar.card.facts import Facts
from olhar.card.markdown import Block, interval, number, percent, plain, table
from olhar.i18n import _


def cross_validation(facts: Facts) -> list[Block]:
    """The accuracy on all photos that may be used for it, in all and by class."""
    found = facts.cross_validation
    if found is None:
        return []
    folds = ", ".join(percent(one) for one in found.fold_accuracies)
    rows = [
        (
            plain(facts.shown_name(one.name)),
            number(one.support),
            percent(one.recall),
            interval(one.interval),
        )
        for one in found.per_class
    ]
    together = _(
        "Images that belong together were in the same fold, in {groups} groups, and the intervals "
        "count them as fewer images (Kish 1965).",
        groups=number(found.groups),
    )
    return [
        _("### Cross-validation"),
        _(
            "Accuracy {accuracy} (95% interval {interval}) on {n} images {parts}, in {folds} folds: "
            "each image was predicted by a last layer that was fitted without it, with a strength of "
            "regularisation chosen without it. The model itself is fitted on its training photos, and "
            "chose nothing by this.",
            accuracy=percent(found.accuracy),
            interval=interval(found.interval),
            n=number(found.n),
            parts=found.parts(),
            folds=found.folds,
        ),
        *([together] if found.groups < found.n else []),
        _("By fold: {folds}.", folds=folds),
        table((_("class"), _("images"), _("recall"), _("95% interval")), rows),
    ]


def photo_curve(facts: Facts) -> list[Block]:
    """How the accuracy grows with photos."""
    curve = facts.photo_curve
    if curve is None:
        return []
    rows = [
        (number(one.photos), percent(one.accuracy), interval(one.interval)) for one in curve.points
    ]
    name = facts.shown_name(curve.weakest.name) if curve.weakest else ""
    picture, title = facts.folder.learning_curve_photos, _("Accuracy by number of photos")
    said = [curve.sentence(), *([curve.advice(plain(name))] if curve.weakest else [])]
    return [
        _("### More photos"),
        *([f"![{title}]({picture.name})"] if facts.has(picture) else []),
        *(_sentence(str(one)) for one in said),
        table((_("photos to train on"), _("accuracy"), _("95% interval")), rows, numbers_from=0),
        _(
            "Measured on the training photos in {folds} folds, with a quarter, a half and all of what "
            "a fold trains on. What twice as many would bring is computed: the error is taken to fall "
            "by the same factor with each doubling as from the fewest photos to the most "
            "(Hestness et al. 2017); the interval is a bootstrap over photos. It holds for more photos "
            "of the same kind, and is no promise.",
            folds=curve.folds,
        ),
    ]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
