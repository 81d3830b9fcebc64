"""Every string of the page. The browser gets them as JSON, in its own language.

A word in braces, such as {n}, is filled in by the page.
"""

from __future__ import annotations

from olhar import i18n
from olhar.i18n import LANGUAGES, Text, _, normalise_language

_PAGE: dict[str, Text] = {
    "title": _("Runs · olhar"),
    "runs": _("Runs"),
    "skip": _("Skip to the table of runs"),
    "language": _("Language"),
    "loading": _("Looking for runs…"),
    "live": _("live"),
    "live_hint": _("The page follows the runs while they train."),
    "stopped": _("The board has stopped. Start it again with: olhar board"),
    "empty_title": _("No runs yet"),
    "empty_text": _("This folder has no runs. Make a first one in less than a minute with:"),
    "empty_next": _("A run in this folder appears here by itself, as soon as it starts."),
    "none_match": _("No run matches. Change the search or the state."),
    "clear": _("Clear the filters"),
    "search": _("Search"),
    "search_hint": _("Search runs"),
    "state": _("State"),
    "all_states": _("All states"),
    "training": _("training"),
    "finished": _("finished"),
    "cut_off": _("cut off"),
    "damaged": _("damaged"),
    "one_run": _("1 run"),
    "some_runs": _("{n} runs"),
    "some_of_runs": _("{n} of {total} runs"),
    "table_caption": _("Runs: choose some to compare them; press a column's name to sort by it"),
    "choose": _("Choose"),
    "choose_run": _("Compare {name}"),
    "open_run": _("Open the card and the pictures of {name}"),
    "run": _("Run"),
    "data": _("Data"),
    "network": _("Network"),
    "split": _("Split"),
    "accuracy": _("Accuracy"),
    "f1": _("Macro F1"),
    "parameters": _("Parameters"),
    "epochs": _("Epochs"),
    "seconds": _("Time"),
    "modified": _("Changed"),
    "interval": _("95 % interval: {low} to {high}"),
    "n_images": _("{n} images"),
    "epochs_of": _("{n} of {total}"),
    "compare": _("Comparison"),
    "compare_hint": _("Choose one or more runs in the table to see them side by side."),
    "most_chosen": _("At most {n} runs are compared at once; take one out first."),
    "chosen": _("{name} is chosen as {letter}"),
    "not_chosen": _("{name} is no longer chosen"),
    "gone": _("{name} is no longer there"),
    "now_state": _("{name} is now: {state}"),
    "take_out": _("Take {name} out"),
    "curves": _("Learning curves"),
    "measure": _("Measure"),
    "loss": _("Loss"),
    "with_train": _("training too"),
    "curve_help": _("Move over the chart, or use the arrow keys, to read an epoch."),
    "curve_label": _("{measure} by epoch of {names}"),
    "no_epochs": _("No epoch has ended yet."),
    "epoch": _("epoch"),
    "validation": _("Validation"),
    "train": _("Training"),
    "best": _("Best"),
    "at_epoch": _("Epoch {n}"),
    "latest": _("Latest epoch"),
    "best_at": _("{value} at epoch {n}"),
    "matrices": _("Confusion matrices"),
    "matrix_help": _(
        "Rows are the true class, columns the predicted one; shades are shares of a row."
    ),
    "left": _("Left"),
    "right": _("Right"),
    "matrix_of": _("Confusion matrix of {name}: true classes by predicted classes"),
    "no_matrix": _("None of the chosen runs has been measured yet."),
    "true_class": _("true"),
    "predicted": _("predicted"),
    "top_errors": _("Most frequent confusions"),
    "no_errors": _("No errors at all."),
    "confused": _("{true} taken for {predicted}"),
    "times": _("{n} times"),
    "once": _("once"),
    "settings": _("Settings that differ"),
    "show_equal": _("equal ones too"),
    "setting": _("Setting"),
    "no_difference": _("The chosen runs have the same settings."),
    "one_for_settings": _("Choose a second run to see what differs."),
    "not_set": _("not set"),
    "card": _("Card"),
    "plots": _("Pictures"),
    "close": _("Close"),
    "no_card": _("This run has no card yet. Write one with:"),
    "no_plots": _("This run has no pictures yet; they are drawn when training has ended."),
    "command": _("The command that repeats it"),
    "damaged_title": _("This run cannot be read as it is"),
    "cut_off_title": _("This run was cut off. Go on with:"),
    "failed": _("It could not be read: {reason}"),
}


def page_texts(language: str) -> dict[str, str]:
    """The page's strings by name, in one of `olhar.i18n.LANGUAGES`; `tag` is for `<html lang>`."""
    with i18n.using(language):
        return {
            "tag": language.replace("_", "-"),
            **{key: str(text) for key, text in _PAGE.items()},
        }


def choose_language(asked: str, accepted: str) -> str:
    """The language of a request: `?lang=`, else the browser's wishes in their order, else English.

    Args:
        asked: the value of `?lang=`, or "".
        accepted: the Accept-Language header (RFC 9110, section 12.5.4), or "".
    """
    wishes: list[tuple[float, str]] = [(2.0, asked)]
    for part in accepted.split(","):
        tag, _semicolon, quality = part.partition(";q=")
        try:
            wishes.append((float(quality or 1), tag.strip()))
        except ValueError:
            continue
    for weight, tag in sorted(wishes, key=lambda wish: -wish[0]):
        found = normalise_language(tag) if weight > 0 else None
        if found:
            return found
    return LANGUAGES[0]
