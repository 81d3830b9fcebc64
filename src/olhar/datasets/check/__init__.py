"""Data checked before training: what is wrong with it, a page that shows it, a quarantine."""

from olhar.datasets.check.check import CheckReport, Features, check_source
from olhar.datasets.check.finding import FIXES, KINDS, Finding
from olhar.datasets.check.page import check_page
from olhar.datasets.check.quarantine import (
    Undone,
    parse_fixes,
    quarantine_folder,
    set_aside,
    taken_sentence,
    undo,
)

__all__ = [
    "FIXES",
    "KINDS",
    "CheckReport",
    "Features",
    "Finding",
    "Undone",
    "check_page",
    "check_source",
    "parse_fixes",
    "quarantine_folder",
    "set_aside",
    "taken_sentence",
    "undo",
]
