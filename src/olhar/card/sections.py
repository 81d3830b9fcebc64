"""The nine sections of Mitchell et al. 2019; those on data are in `data`, the seventh in `analyses`.

Each is a list of blocks (paragraphs, tables, lists), made of the run's own facts. What only people
can know comes from card.toml, or is called not stated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from olhar.card.analyses import quantitative_analyses, split_title, verdicts
from olhar.card.data import evaluation_data, training_data
from olhar.card.facts import Facts
from olhar.card.markdown import (
    VALUE_LENGTH,
    Block,
    bullets,
    code_block,
    duration,
    not_stated,
    number,
    percent,
    plain,
    setting,
    stated,
    table,
)
from olhar.card.search import figure, search_story, seed_spread
from olhar.i18n import Text, _
from olhar.training.modes import MODES

FEW_IMAGES = 30
MOST_NAMES = 100
MOST_FEW_NAMED = 10


def model_details(facts: Facts) -> list[Block]:
    """What was built, how, by whom, with what."""
    machine, spec = facts.config["machine"], facts.network
    rows: list[Sequence[Block]] = [
        (_("network"), _network(facts)),
        *_origin_rows(facts),
        *_training_rows(facts),
    ]
    rows += [
        (
            _("input"),
            _(
                "{size}×{size} pixels, {colour}; {resize}",
                size=spec.size,
                colour=_("grey") if spec.channels == 1 else _("colour"),
                resize=_resize(str(facts.config["preprocess"].get("resize", ""))),
            ),
        ),
        (_("output"), _("a probability for each of {k} classes", k=spec.num_classes)),
        (_("training time"), duration(facts.seconds)),
        (_("hardware"), _hardware(machine)),
        (_("system"), plain(machine.get("system", "?"), VALUE_LENGTH)),
        (
            _("versions"),
            plain(
                f"olhar {facts.config['olhar']}, Python {machine.get('python', '?')}, "
                f"torch {machine.get('torch', '?')}",
                VALUE_LENGTH,
            ),
        ),
    ]
    for key, title in (
        ("authors", _("authors")),
        ("contact", _("contact")),
        ("licence", _("licence")),
        ("citation", _("citation")),
    ):
        unstated = _("not stated (`--{key}`)", key=key)
        given = facts.details.get(key)
        rows.append((title, plain(given, len(given) + 1) if given else unstated))
    return [
        table((_("property"), _("value")), rows, numbers_from=2),
        _("The command that repeats this run, with the same version of olhar and the same data:"),
        code_block(facts.config["command"]),
        *(search_story(facts.search) if facts.search else []),
        *_how_to_use(facts),
    ]


def _network(facts: Facts) -> Text | str:
    name = plain(facts.network.name)
    if not facts.trainable_parameters:
        return name
    return _(
        "{name}, {count} trainable parameters; {source}",
        name=name,
        count=number(facts.trainable_parameters),
        source=plain(facts.network_source, VALUE_LENGTH),
    )


def _origin_rows(facts: Facts) -> list[Sequence[Block]]:
    """Which weights the training started from, and what was done with them."""
    given = facts.transfer
    rows: list[Sequence[Block]] = []
    if given:
        name = plain(given["backbone"], VALUE_LENGTH)
        mode = MODES.get(given["mode"])
        what = mode.done if mode else plain(given["mode"])
        rows.append((_("backbone"), _("{name}; {what}", name=name, what=what)))
    if facts.tried:
        tried = ", ".join(
            f"{plain(one)} {percent(share)} ({count})" for one, share, count in facts.tried
        )
        rows.append(
            (
                _("how this was chosen"),
                _("cross-validation on training images: {tried}", tried=tried),
            )
        )
    if not given or not given["sha256"]:
        return rows
    return [
        *rows,
        (
            _("weights it started from"),
            _(
                "`{file}`, sha256 {digest}…",
                file=plain(given["weights"], VALUE_LENGTH),
                digest=plain(given["sha256"][:16]),
            ),
        ),
    ]


def _resize(rule: str) -> Text | str:
    known = {
        "crop": _("the shorter side is scaled, then the centre is cut out"),
        "squash": _("scaled to a square, whatever its shape"),
        "pad": _("scaled as a whole, and filled up to a square with its mean colour"),
    }
    return known.get(rule) or plain(rule)


def _hardware(machine: dict[str, str]) -> Text:
    return _(
        "{processor}; computed on {device} with {threads} threads, {precision}",
        processor=plain(machine.get("processor", "?"), VALUE_LENGTH),
        device=plain(machine.get("device", "?"), VALUE_LENGTH),
        threads=plain(machine.get("threads", "?"), VALUE_LENGTH),
        precision=plain(machine.get("precision", "?"), VALUE_LENGTH),
    )


def _training_rows(facts: Facts) -> list[Sequence[Block]]:
    recipe, best = facts.config["recipe"], facts.best
    settings = _(
        "{optimizer}, highest learning rate {lr}, schedule {schedule}, weight decay {decay}, "
        "batches of {batch}, seed {seed}",
        optimizer=plain(recipe.get("optimizer", "?")),
        lr=setting(recipe.get("lr", "?")),
        schedule=plain(recipe.get("schedule", "?")),
        decay=setting(recipe.get("weight_decay", "?")),
        batch=recipe["batch_size"],
        seed=plain(recipe.get("seed", "?")),
    )
    done = _("{done} of {planned}", done=len(facts.history), planned=facts.epochs)
    rows: list[Sequence[Block]] = [(_("training"), settings), (_("epochs"), done)]
    if best:
        kept = _(
            "of epoch {epoch}: the highest validation accuracy, {accuracy}",
            epoch=int(best["epoch"]),
            accuracy=percent(best["val_accuracy"]),
        )
        rows.append((_("weights kept"), kept))
    return rows


def _how_to_use(facts: Facts) -> list[Block]:
    if facts.model is None:
        return []
    return [_("To use it, in this folder:"), code_block("olhar predict . photo.jpg")]


def intended_use(facts: Facts) -> list[Block]:
    """What it is for, and what it cannot do."""
    names = [plain(name) for name in facts.class_names[:MOST_NAMES]]
    said, keys = facts.details, ("purpose", "users", "out_of_scope")
    blocks = [*stated(said, "purpose"), *stated(said, "users", _("Users"))]
    blocks += stated(said, "out_of_scope", _("Out of scope"))
    if names:
        more = len(facts.class_names) - len(names)
        rest = [str(_("and {n} more, in model/labels.txt", n=number(more)))] if more else []
        blocks.append(_("It knows these classes: {names}.", names=", ".join([*names, *rest])))
    if facts.model:
        blocks.append(
            _(
                "It gives every image one of them, whatever the image shows. It says nothing of "
                "where a thing is in the image, nor how many there are."
            )
        )
        if facts.model.threshold > 0:
            doubt = _(
                "Where its highest probability is below {threshold}, it says that it is not sure.",
                threshold=percent(facts.model.threshold, 1),
            )
        else:
            doubt = _("It never says that it is not sure: its threshold is 0.")
        blocks.append(doubt)
        if not facts.model.outlier:
            blocks.append(
                _(
                    "It does not tell images that show none of its classes from others: for a model "
                    "such as this no score did so well enough, or there were too few images to choose a "
                    "threshold."
                )
            )
        else:
            blocks.append(
                _(
                    "It warns of images that may show none of its classes: those less like its "
                    "training images than 95 % of held-out images of its classes are (distance to "
                    "the {k}th nearest by its last features, Sun et al. 2022).",
                    k=int(facts.model.outlier["neighbour"]),
                )
            )
    return [*blocks, *not_stated(said, *keys)]


def factors(facts: Facts) -> list[Block]:
    """What results are broken down by, and what else may change them."""
    blocks = stated(facts.details, "factors")
    blocks.append(
        _(
            "Results are broken down by class. The run records nothing else of the images, neither "
            "light, place and camera nor groups of people, so nothing is known of how results differ "
            "by those."
        )
    )
    if facts.measured:
        counts = [one["support"] for one in facts.measured.per_class]
        same = min(counts) == max(counts)
        amount = _("from {fewest} to {most}", fewest=number(min(counts)), most=number(max(counts)))
        blocks.append(
            _(
                "Images of each class in the {split}: {amount}.",
                split=split_title(facts.measured.split),
                amount=number(counts[0]) if same else amount,
            )
        )
    return [*blocks, *not_stated(facts.details, "factors")]


def metrics(facts: Facts) -> list[Block]:
    """What is measured, and how sure it is."""
    del facts
    return [
        bullets(
            [
                _("accuracy: share of all images that are labelled rightly"),
                _("precision of a class: share of the images so labelled that are of it"),
                _("recall of a class: share of its images that are so labelled"),
                _("F1: harmonic mean of precision and recall"),
                _("macro: mean over classes, each counts the same; weighted: by their images"),
                _("loss: mean negative log likelihood of the true class, in nats"),
                _(
                    "expected calibration error: mean distance between how sure the model is and "
                    "how often it is right, in 15 bins (Guo et al. 2017)"
                ),
            ]
        ),
        _(
            "Intervals hold with 95% confidence: for shares those of Wilson (1927), for macro "
            "averages a bootstrap of 2,000 resamples, drawn by class. They tell what another draw "
            "of test images would change, not what another training would. The answer is the class "
            "of the highest probability."
        ),
    ]


def ethical_considerations(facts: Facts) -> list[Block]:
    """What people have said, and whom errors fall on."""
    blocks = stated(facts.details, "ethics")
    blocks.append(
        _(
            "olhar does not look at what photos show: whether there are people in them, and whether "
            "they agreed, only those who collected them know. The class names and the weights in "
            "model/ go wherever the model goes; the training images do not, save 16 small ones in "
            "golden.safetensors."
        )
    )
    report = facts.measured
    with_images = [k for k, one in enumerate(report.per_class) if one["support"]] if report else []
    if report and with_images:
        scores = report.per_class
        worst = min(with_images, key=lambda k: scores[k]["recall"])
        best = max(with_images, key=lambda k: scores[k]["recall"])
        if scores[worst]["recall"] < scores[best]["recall"]:
            blocks.append(
                _(
                    "Errors do not fall on all classes alike: recall is {low} for “{worst}” and "
                    "{high} for “{best}”. Where an error costs something, some classes "
                    "pay more.",
                    low=percent(scores[worst]["recall"]),
                    worst=plain(facts.class_names[worst]),
                    high=percent(scores[best]["recall"]),
                    best=plain(facts.class_names[best]),
                )
            )
    return [*blocks, *not_stated(facts.details, "ethics")]


def caveats(facts: Facts) -> list[Block]:
    """What the numbers do not say, and what to do about it."""
    blocks, items = stated(facts.details, "limits"), []
    if facts.measured:
        items = _measured_caveats(facts)
    advice = {
        "improving": _("Training was still improving: more epochs will probably help."),
        "diverged": _("Training diverged: a lower learning rate will probably help."),
        "overfitting": _(
            "The network overfits: more images, augmentation or a smaller network will probably help."
        ),
    }
    items += [advice[one.state] for one in verdicts(facts) if one.state in advice]
    items.append(_other_seeds(facts))
    return [*blocks, bullets(items), *not_stated(facts.details, "limits")]


def _other_seeds(facts: Facts) -> Text:
    seed, search = plain(facts.config["recipe"].get("seed", "?")), facts.search
    spread = seed_spread(search) if search else None
    if search is None or spread is None:
        return _(
            "This is one training, with seed {seed}. Another seed gives other weights and somewhat "
            "other figures; by how much was not measured.",
            seed=seed,
        )
    low, high, seeds = spread
    return _(
        "This is one training, with seed {seed}. Another seed gives other weights and somewhat other "
        "figures: over {seeds} seeds the validation figure was from {low} to {high}. It was chosen by "
        "that figure among several trials, so that one flatters; the test figure does not.",
        seed=seed,
        seeds=seeds,
        low=figure(search.metric, low),
        high=figure(search.metric, high),
    )


def _measured_caveats(facts: Facts) -> list[Block]:
    report = facts.measured
    if report is None:
        return []
    low, high = report.intervals["accuracy"]
    items: list[Block] = [
        _(
            "The figures hold for images like those of {data}. Measure your own before you rely on "
            "it: `olhar evaluate . --data FOLDER`.",
            data=plain(facts.data_name),
        ),
        _(
            "With {n} images the accuracy is known to about ±{half} points. To tell whether another "
            "model is better, compare both on the same images: `olhar compare RUN RUN`.",
            n=number(report.n),
            half=number(50 * (high - low), 2),
        ),
    ]
    few = [k for k, one in enumerate(report.per_class) if one["support"] < FEW_IMAGES]
    if few:
        shown = ", ".join(plain(facts.class_names[k]) for k in few[:MOST_FEW_NAMED])
        items.append(
            _(
                "Classes measured on fewer than {few} images: {count} ({names}{rest}). Their own "
                "scores are uncertain.",
                few=FEW_IMAGES,
                count=number(len(few)),
                names=shown,
                rest="…" if len(few) > MOST_FEW_NAMED else "",
            )
        )
    return items


SECTIONS: Sequence[tuple[Text, Callable[[Facts], list[Block]]]] = (
    (_("Model details"), model_details),
    (_("Intended use"), intended_use),
    (_("Factors"), factors),
    (_("Metrics"), metrics),
    (_("Evaluation data"), evaluation_data),
    (_("Training data"), training_data),
    (_("Quantitative analyses"), quantitative_analyses),
    (_("Ethical considerations"), ethical_considerations),
    (_("Caveats and recommendations"), caveats),
)
