"""Which class names mean the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olhar.datasets import NAMED, match_class_names
from olhar.datasets.class_names import class_key, same_class
from olhar.datasets.named import CLASS_NAMES, TRANSLATED_NAMES


@pytest.mark.parametrize(
    "names",
    [
        ("veado", "cervo", "Deer"),
        ("car", "automobile", "Automóvel", "automovel", "carro"),
        ("plane", "airplane", "aeroplane", "avião"),
        ("zero", "0", "ZERO"),
        ("três", "three", "tres", "3"),
        ("ants", "ant", "formigas"),
        ("T-shirt/top", "tshirt", "T-shirt_top", "camiseta"),
        ("Ankle boot", "ankle-boot", "ankle_boot", "Bota de cano curto"),
        ("golden retriever", "Golden_Retriever", "golden-retriever", " golden retriever "),
        ("cafe\u0301", "café"),  # composed and decomposed
    ],
)
def test_these_mean_the_same(names: tuple[str, ...]) -> None:
    assert len({class_key(name) for name in names}) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("avô", "avó"),
        ("ship", "boat"),
        ("-1", "1", "+1", "10", "1-0"),
        ("frog", "rã"),
        ("🐱", "🐶", "", " "),
        ("_", "-"),
        ("c++", "c#", "c"),
    ],
)
def test_these_do_not(names: tuple[str, ...]) -> None:
    assert len({class_key(name) for name in names}) == len(names)
    assert same_class(names) is None


@pytest.mark.parametrize("name", NAMED)
def test_the_named_sets_match_in_both_languages(name: str) -> None:
    known = CLASS_NAMES[name]
    for given_names in (known, *TRANSLATED_NAMES.get(name, {}).values()):
        assert match_class_names(given_names, known) == list(range(len(known)))
        assert match_class_names(known, given_names) == list(range(len(known)))


def test_the_same_spelling_comes_first() -> None:
    assert match_class_names(["cervo", "veado"], ["veado", "cervo"]) == [1, 0]
    assert match_class_names(["wasp", "Bees"], ["ants", "bees"]) == [None, 1]


@given(st.text())
def test_any_text_has_a_key_that_case_does_not_change(name: str) -> None:
    assert class_key(name) == class_key(name)
    assert same_class([name, f"{name}x"]) is None or class_key(name) == class_key(f"{name}x")
