"""Every string of the page. The browser gets them as JSON, in its own language.

A word in braces, such as {n}, is filled in by the page.
"""

from __future__ import annotations

from olhar.i18n import Text, _
from olhar.looks.texts import told

_FRAME: dict[str, Text] = {
    "title": _("Studio · olhar"),
    "skip": _("Skip to the content"),
    "language": _("Language"),
    "steps": _("Steps"),
    "tab_photos": _("Photos"),
    "tab_train": _("Train"),
    "tab_try": _("Try"),
    "tab_share": _("Share"),
    "one_class": _("1 class"),
    "some_classes": _("{n} classes"),
    "one_photo": _("1 photo"),
    "some_photos": _("{n} photos"),
    "seconds": _("{n} s"),
    "minutes_n": _("{n} min"),
    "progress": _("Progress"),
    "close": _("Close"),
    "cancel": _("Cancel"),
    "done": _("Done"),
    "undo": _("Undo"),
    "undo_what": _("Undo: {text}"),
    "undone": _("Undone: {text}"),
    "stopped": _(
        "The studio does not answer. Nothing is lost; start it again with: olhar studio. This page "
        "goes on by itself."
    ),
    "no_server": _("The studio does not answer. Is it still running? Then try again."),
    "strange_answer": _("The studio answered with an error ({status}) and no explanation."),
    "older": _("The photos have changed since the last training."),
    "older_hint": _("One press learns from them as they are now."),
    "busy": _("Model {n} is being trained."),
    "busy_left": _("Model {n} is being trained; {time} left."),
}

_PHOTOS: dict[str, Text] = {
    "welcome": _("Teach your computer to tell things apart"),
    "welcome_lead": _(
        "No account, no command line, and no photo leaves this computer. Begin with a class for each "
        "thing that it should know."
    ),
    "step_photos": _("Show it photos"),
    "step_photos_hint": _("20 or more of each class, from the camera, a phone or a folder."),
    "step_train": _("Press Train"),
    "step_train_hint": _("A few photos take seconds."),
    "step_try": _("Try it"),
    "step_try_hint": _("See what it says, how sure it is, and where it is wrong."),
    "add_class": _("Add class"),
    "add_hint": _("A class is a name for photos that show the same kind of thing."),
    "drop_hint": _("Or drop a folder that has a folder for each class, or a zip of it."),
    "drop_here": _("Drop photos here, or paste them"),
    "drop_now": _("Let go: folders become classes, other photos go to the tray"),
    "class_n": _("Class {n}"),
    "class_name": _("Name of the class"),
    "delete_class": _("Delete the class {name}"),
    "class_deleted": _("The class {name} is in the bin."),
    "renamed": _("{old} is called {name} now."),
    "record": _("Record"),
    "choose": _("Choose photos"),
    "hold": _("Hold Record down: it takes five photos a second. A short press takes one."),
    "countdown": _("Count down from {n}, then record for {seconds} seconds"),
    "camera": _("Camera"),
    "turn_camera": _("Other camera"),
    "close_camera": _("Close the camera"),
    "camera_refused": _(
        "The browser was not allowed to use the camera. Allow it beside the address, or choose photos."
    ),
    "camera_taken": _("Another program uses the camera. Close that program, then try again."),
    "camera_none": _("There is no camera here. Choose photos, or let a phone in."),
    "no_camera_here": _(
        "Browsers give the camera only to pages of this computer or of an https address. Take single "
        "photos instead, or start the studio with --tls."
    ),
    "look": _("Look"),
    "look_at": _("Look at these photos: {text}"),
    "all": _("All"),
    "show_all": _("Show all photos of {name}"),
    "looking": _("Looking at the photos: {done} of {total}"),
    "arrivals": _("Photos on their way"),
    "coming": _("{done} of {total} photos are there"),
    "came": _("{n} photos have come."),
    "came_one": _("1 photo has come."),
    "came_none": _("No photo was taken."),
    "already": _("Already there, and not taken twice: {n}"),
    "refused": _("Not taken: {n}"),
    "and_more": _("and {n} more"),
    "no_photos": _("There was no photo in that. Give JPEG, PNG or WebP files, folders or zips."),
    "move_to": _("Move to the class"),
    "move": _("Move"),
    "delete": _("Delete"),
    "select_all": _("Select all"),
    "select_none": _("Select none"),
    "selected": _("{n} of {total} selected"),
    "deleted": _("{n} photos are in the bin."),
    "deleted_one": _("1 photo is in the bin."),
    "moved": _("{n} photos are in {name} now."),
    "moved_one": _("1 photo is in {name} now."),
    "tray": _("Photos without a class"),
    "tray_no_classes": _("Add classes first; then say here which photo belongs where."),
    "which_class": _("What is this?"),
    "perhaps": _("Is it {name}? The model gives it {share}."),
    "later": _("Later"),
    "leave_out": _("Leave it out"),
    "tray_keys": _("Keys: 1 to 9 for the classes."),
    "tray_keys_proposed": _("Keys: 1 to 9 for the classes, Enter for what is proposed."),
    "worth": _("Answers that are likely still worth giving: {n}."),
    "worth_none": _("The model is sure of all of these; more answers would hardly teach it."),
    "take_sure_one": _("Take the sure one as proposed"),
    "take_sure": _("Take the {n} sure ones as proposed"),
    "phones": _("Let phones in"),
    "to_class": _("The class"),
    "phones_title": _("Let phones in"),
    "phones_hint": _(
        "Point a phone's camera at this code. The phone must be in the same network as this computer."
    ),
    "qr": _("Code with the address of the page for phones"),
    "phones_address": _("Network"),
    "phones_safe": _(
        "Who has this address can add photos to this project, and nothing else, until the studio ends."
    ),
    "phones_stop": _("Let no more in"),
}

_TRAIN: dict[str, Text] = {
    "train": _("Train"),
    "stop": _("Stop"),
    "train_title": _("Ready to learn?"),
    "train_lead": _(
        "It learns from most of the photos, and is tested on the rest, which it has never seen."
    ),
    "learnt_title": _("It has learnt"),
    "learnt_lead": _(
        "{name} is up to date with the photos. Try it, or train again with other settings."
    ),
    "more": _("More"),
    "auto": _("by itself"),
    "yes": _("yes"),
    "no": _("no"),
    "network": _("Network"),
    "network_hint": _("What suits these photos is found by itself."),
    "minutes": _("Minutes"),
    "minutes_hint": _("How long it may look for something better."),
    "augment": _("Vary the photos"),
    "augment_hint": _("Mirrored and shifted copies help where photos are few."),
    "seed": _("Seed"),
    "seed_hint": _("The same number gives the same model again."),
    "stage_waiting": _("Waiting for its turn"),
    "stage_training": _("Learning"),
    "stage_measuring": _("Testing on photos it has never seen"),
    "stage_trying": _("There is a first model; looking for a better one"),
    "left": _("about {time} left"),
    "of_total": _("{done} of {total}"),
    "trained": _("{name} is ready."),
    "stopped_training": _("The training has stopped."),
    "curve": _("Learning curve: {value} rightly named after {n} rounds"),
    "rounds": _("{n} rounds"),
    "curve_val": _("photos it does not learn from"),
    "curve_train": _("photos it learns from"),
    "same_command": _("The same from the command line:"),
    "models": _("Models"),
    "model_n": _("Model {n}"),
    "better": _("tuned to these photos"),
    "unfinished": _("stopped half-way"),
    "older_tag": _("older than its photos"),
    "not_measured": _("not tested yet"),
    "interval": _("between {low} and {high}"),
    "go_on": _("Go on"),
    "try_it": _("Try it"),
    "try_name": _("Try {name}"),
    "delete_model": _("Delete {name}"),
    "model_deleted": _("{name} is in the bin."),
}

_TRY: dict[str, Text] = {
    "try_title": _("What does it say?"),
    "model": _("Model"),
    "no_model": _("There is no model yet"),
    "no_model_hint": _("Give it photos of two classes or more, then train."),
    "to_train": _("Go to Train"),
    "way": _("How to give a picture"),
    "draw": _("Draw"),
    "start_camera": _("Start the camera"),
    "camera_again": _("Back to the camera"),
    "your_photo": _("The picture that it looks at"),
    "try_drop": _("Drop or paste photos. What you try here is not added to the project."),
    "new_drawing": _("New drawing"),
    "swap_inks": _("Swap black and white"),
    "pad": _("A pad to draw on"),
    "pad_keys": _(
        "By keyboard: arrow keys move the pen, Space puts it down or lifts it, Backspace takes the "
        "last stroke back."
    ),
    "pen_down": _("pen down"),
    "pen_up": _("pen up"),
    "nothing_yet": _("Show it something."),
    "bars": _("Classes and how probable they are"),
    "not_sure": _("not sure"),
    "unsure_hint": _("No class is probable enough to rely on."),
    "outlier": _("perhaps none of these"),
    "outlier_hint": _("It is unlike the photos that the model has learnt from."),
    "said": _("{label}, {share}"),
    "said_unsure": _("not sure; perhaps {label}, {share}"),
    "said_outlier": _("perhaps none of these; most like {label}, {share}"),
    "rate": _("{n} answers a second"),
    "look_where": _("Where does it look?"),
    "looking_where": _("Covering it part by part…"),
    "heat_alt": _("The parts that the answer depends on are orange"),
    "how_good": _("How good is it?"),
    "held_back": _(
        "It was tested on {n} photos that were held back; photos of one recording stay together."
    ),
    "flatters": _(
        "This flatters. It was tested on {n} photos that were held back, but they are of recordings that "
        "it has learnt from, since there are too few. Record each class again, elsewhere or from another "
        "side."
    ),
    "matrix": _("What it takes for what"),
    "matrix_hint": _(
        "Rows are what the photos show, columns what the model said. Press a number to see its photos."
    ),
    "predicted": _("said"),
    "true_class": _("shown"),
    "cell": _("{true}, said to be {predicted}: {n}"),
    "no_errors": _("It made no error on these photos."),
    "confused": _("{true} taken for {predicted}: {n}"),
    "rightly": _("{name}, rightly named"),
    "taken_for": _("{true}, taken for {predicted}"),
    "worst": _("Its worst errors"),
    "worst_hint": _(
        "It was most sure of these, and wrong. Is the photo in the right class? Does it show the thing?"
    ),
    "said_instead": _("It said {predicted}, {share}."),
    "it_is": _("The photo is in {label}."),
    "wrong_label": _("The label is wrong"),
    "now_in": _("It is in {name} now."),
    "gone": _("It has been moved or deleted since."),
    "left_out": _("It is in the bin now."),
    "more_like": _("More like this"),
    "more_like_hint": _("Add photos like that one to {name}; they teach the most."),
    "facts": _("More about this model"),
    "repeats": _("The command that makes it again:"),
}

_SHARE: dict[str, Text] = {
    "share_title": _("Take it with you"),
    "share_lead": _("The model is yours, and so are the photos: these are ordinary files."),
    "what_file": _("What to export"),
    "web": _("Web page"),
    "web_hint": _("One file that opens in any browser and tries the model, without a network."),
    "onnx": _("ONNX"),
    "onnx_hint": _("For programs in Python, C++, Java and others."),
    "c": _("C code"),
    "c_hint": _("For small boards such as an ESP32 or an Arduino."),
    "card": _("Model card"),
    "card_hint": _("What it is for, how good it is, where it fails: a page to hand on with it."),
    "model_zip": _("Whole model"),
    "model_zip_hint": _("The folder of this training, as every olhar command reads it."),
    "project_zip": _("Whole project"),
    "project_zip_hint": _("All photos in folders by class, and all models."),
    "export": _("Export"),
    "exporting": _("It is being made…"),
    "exported": _("{name} is among your downloads."),
    "no_model_share": _("There is no model yet; the project can be exported all the same."),
    "push_title": _("Put it in a store"),
    "push_hint": _(
        "A store keeps versions of models for others: a folder, S3 or MongoDB, as in olhar push."
    ),
    "push_address": _("Address in a store"),
    "push": _("Push"),
    "pushed": _("It is at {address} now."),
    "commands": _("The same by commands"),
    "commands_hint": _("All that the studio does, these do too, with the same files."),
}

PAGE: dict[str, Text] = {**_FRAME, **_PHOTOS, **_TRAIN, **_TRY, **_SHARE}


def page_texts(language: str) -> dict[str, str]:
    """The page's strings by name, in one of `olhar.i18n.LANGUAGES`; `tag` is for `<html lang>`."""
    return told(PAGE, language)
