"""Data checked before training: what is wrong with it, a page that shows it, a quarantine."""

from olhar.check.check import CheckReport, Features, check_source
from olhar.check.finding import FIXES, KINDS, Finding
from olhar.check.page import check_page
from olhar.check.quarantine import (
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
