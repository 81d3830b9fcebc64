"""Labels as texts: numbers that are spelt in two ways are one class, or refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from olhar.errors import DataError
from olhar.i18n import Text, _

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_PADDED = re.compile(r"[+-]?0[0-9]")


def unify_numbers(name: str, labels: Iterable[str]) -> tuple[dict[str, str], list[Text]]:
    """What each spelling of a label is called, and notes.

    Where all labels are numbers, those that are equal are one class: 0 and 0.0. Numbers with zeros before
    them, 007, are names, and keep them.

    Args:
        name: of the data, for messages.
        labels: as they are spelt.

    Raises:
        DataError: labels are the same number but not the same text, among words, or with zeros before;
            or there is "nan" among numbers.
    """
    spellings = dict.fromkeys(labels)
    numbers: dict[Decimal, list[str]] = {}
    for label in spellings:
        if _NUMBER.fullmatch(label):
            numbers.setdefault(Decimal(label), []).append(label)
    missing = [label for label in spellings if label.lower() == "nan"]
    if missing and numbers and len(numbers) >= len(spellings) - len(missing):
        raise DataError(
            _(
                "'{path}' has the label '{label}' among numbers, as programs write where there is none; "
                "give these rows a label, or remove them",
                path=name,
                label=missing[0],
            )
        )
    twice = [same for same in numbers.values() if len(same) > 1]
    padded = [label for label in spellings if _PADDED.match(label)]
    all_numbers = sum(map(len, numbers.values())) == len(spellings)
    for same in twice:
        if not all_numbers or any(label in padded for label in same):
            raise DataError(
                _(
                    "'{path}' has the labels '{first}' and '{second}', which are the same number; write "
                    "it in one way, or give the two classes different names",
                    path=name,
                    first=same[0],
                    second=same[1],
                )
            )
    if padded or not all_numbers:
        return {label: label for label in spellings}, []
    notes = [
        _(
            "the labels {spellings} are one class, for they are the same number",
            spellings=" = ".join(same),
        )
        for same in twice
    ]
    return {label: _plain(number) for number, same in numbers.items() for label in same}, notes


def _plain(number: Decimal) -> str:
    """Without a fraction that is zero."""
    return str(int(number)) if number == number.to_integral_value() else str(number.normalize())
