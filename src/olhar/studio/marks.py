"""What a look at photos has found, as the page marks photos and classes with it.

Does not know: how photos are looked at.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from olhar.check.finding import NOTE
from olhar.studio.grouping import NEAR

Findings = tuple[dict[str, list[dict[str, str]]], dict[str, list[dict[str, Any]]]]  # marks, notes

# Findings that are about single photos, by the word that the page marks them with.
_MARKS = {
    "unreadable": "unreadable",
    "truncated": "unreadable",
    "too_large": "unreadable",
    "exact_duplicate": "duplicate",
    "two_classes": "two_classes",
    "near_duplicate": "near",
    "label_error": "doubtful",
    "blank": "blank",
    "blurred": "blurred",
    "extreme_size": "small",
}


def sort_findings(
    findings: Sequence[Mapping[str, Any]], classes: Sequence[str], groups: Mapping[str, str]
) -> Findings:
    """Findings as marks of photos and as notes of classes.

    Args:
        findings: as `Finding.to_dict` gives them.
        classes: their names.
        groups: the group of each photo that has one (see `GroupFile.read`).
    """
    marks: dict[str, list[dict[str, str]]] = defaultdict(list)
    notes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for finding in findings:
        if finding["severity"] == NOTE or _is_expected(finding, groups):
            continue
        kind = _MARKS.get(finding["kind"])
        by_class: dict[str, list[str]] = defaultdict(list)
        for file in finding["files"]:
            if kind:
                marks[file].append({"kind": kind, "text": finding["sentence"]})
            by_class[file.partition("/")[0]].append(file)
        if not kind:
            named = [name for name in classes if f"'{name}'" in finding["sentence"]]
            by_class = by_class or {name: [] for name in named or classes[:1]}
        for name, files in by_class.items():
            same = next((n for n in notes[name] if n["kind"] == (kind or finding["kind"])), None)
            if same is None:
                text = finding["title"] if kind else finding["sentence"]
                note = {"kind": kind or finding["kind"], "text": text, "files": []}
                notes[name].append(note | {"suggestion": finding["suggestion"]})
                same = notes[name][-1]
            same["files"] += files
    return dict(marks), dict(notes)


def _is_expected(finding: Mapping[str, Any], groups: Mapping[str, str]) -> bool:
    """Whether nobody has to look: the page says it itself, or photos of one recording look alike."""
    recordings = {groups.get(file, NEAR) for file in finding["files"]}
    alike = finding["kind"] == "near_duplicate" and len(recordings) == 1
    return finding["kind"] == "cannot_train" or (
        alike and not next(iter(recordings)).startswith(NEAR)
    )


def version_of(files: Sequence[str], said: Mapping[str, Any]) -> int:
    """A number that is another one when the photos or what is said of them are."""
    text = "\0".join(f"{file}{said.get(file, '')}" for file in files)
    return zlib.crc32(text.encode("utf-8", "surrogateescape"))
