"""Portuguese as a reader meets it, and what programs read: the same in both languages."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Done, olhar
from olhar import i18n
from olhar.cli import build_parser, main
from olhar.cli.usage import translated_usage
from olhar.i18n import Text, date, localise, number, percent, using

PORTUGUESE = (
    "pt",
    "PT",
    "pt_BR",
    "pt-BR",
    "pt-br",
    "pt_BR.UTF-8",
    "pt_PT@euro",
    "Portuguese_Brazil.1252",
)
ENGLISH = ("en", "en_US.UTF-8", "EN-gb", "C", "C.UTF-8", "POSIX", "English_United States.1252")


def english_lines(portuguese: str, english: str) -> list[str]:
    """The lines of four words or more that are the same in both texts."""
    lines = {line.strip() for line in english.splitlines()}
    return [
        line
        for line in map(str.strip, portuguese.splitlines())
        if line in lines and len(re.findall(r"(?<![\w./|-])[a-z]{2,}(?![\w./=|-])", line)) >= 4
    ]


@pytest.mark.parametrize("tag", PORTUGUESE)
def test_portuguese_by_any_of_its_names(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLHAR_LANG", tag)
    assert i18n.language() == "pt_BR"


@pytest.mark.parametrize("tag", ENGLISH)
def test_english_by_any_of_its_names(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLHAR_LANG", tag)
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    assert i18n.language() == "en"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LC_ALL": "pt_BR.UTF-8", "LANG": "en_US.UTF-8"}, "pt_BR"),
        ({"LC_MESSAGES": "pt_BR.UTF-8", "LANG": "en_US.UTF-8"}, "pt_BR"),
        ({"LANG": "pt_PT"}, "pt_BR"),
        ({"LC_ALL": "C", "LANG": "pt_BR.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"OLHAR_LANG": "en", "LANG": "pt_BR.UTF-8"}, "en"),
    ],
)
def test_the_locale_of_the_system(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OLHAR_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert i18n.language() == language


@pytest.mark.parametrize(
    "words",
    [
        ("--lang", "pt-BR", "networks", "--nope"),
        ("networks", "--nope", "--lang=PT"),
        ("networks", "--lang", "pt", "--nope"),
    ],
)
def test_lang_stands_before_or_after_the_command(words: tuple[str, ...]) -> None:
    done = olhar(*words)
    assert done.status == 2
    assert "erro: argumentos desconhecidos: --nope" in done.err


def test_lang_without_a_language() -> None:
    done = olhar("--lang")
    assert done.status == 2
    assert "expected one argument" in done.err


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _parsers(command)


def _helps(tag: str) -> dict[str, str]:
    with using(tag), translated_usage():
        return {parser.prog: parser.format_help() for parser in _parsers(build_parser())}


def test_the_help_of_every_command_is_in_portuguese() -> None:
    english, portuguese = _helps("en"), _helps("pt_BR")
    assert len(english) > 20
    assert list(english) == list(portuguese)
    for prog, text in portuguese.items():
        assert text.startswith("uso: olhar"), prog
        assert not english_lines(text, english[prog]), prog
        listed = [one.partition("\n\n")[2] for one in (text, english[prog])]  # without usage
        flags = [re.findall(r"^  (--?[\w-]+(?:, --?[\w-]+)*)", one, re.M) for one in listed]
        assert flags[0] == flags[1]


Both = Callable[..., tuple[Done, Done]]


@pytest.fixture
def both(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Both:
    """A command in English, then in Portuguese; in this process, where libraries are loaded once."""

    def run(*words: object) -> tuple[Done, Done]:
        found = []
        for tag in i18n.LANGUAGES:
            monkeypatch.setenv("OLHAR_LANG", tag)
            capsys.readouterr()
            try:
                status = main([*map(str, words)])
            except SystemExit as leaving:  # argparse's
                status = int(leaving.code or 0)
            shown = capsys.readouterr()
            found.append(Done(status, shown.out, shown.err))
        return found[0], found[1]

    return run


# A command that fails, for each kind of error that needs no network and no training.
FAILING = [
    ["train"],
    ["predict", "nowhere", "x.png"],
    ["data", "nowhere"],
    ["data", "push", "a"],
    ["networks", "--data", "cifar11"],
    ["train", "--data", "digits", "--network", "lenet6"],
    ["train", "--data", "digits", "--set", "epoch=3"],
    ["train", "--data", "digits", "--epochs", "many"],
    ["train", "--data", "digits", "--val", "2"],
    ["train", "--data", "digits", "--energy", "Brazil"],
    ["sweep", "--data", "digits", "--network", "lenet5"],
    ["sweep", "--data", "digits", "--network", "lenet5", "--param", "lr"],
    ["sweep", "--data", "digits", "--network", "lenet5", "--param", "lr=log:0:1"],
    ["serve", "nowhere", "--port", "high"],
    ["board", "--runs", "nowhere"],
    ["compare", "nowhere"],
    ["list", "ftp://nowhere"],
    ["list", "nowhere"],
    ["pull", "nowhere"],
    ["verify", "nowhere"],
    ["export", "nowhere", "--out", "x", "--max-drop", "2"],
    ["card", "nowhere"],
    ["reproduce", "nothing"],
    ["wash"],
]


@pytest.mark.parametrize("words", FAILING, ids=" ".join)
def test_errors_are_portuguese_and_have_the_same_status(words: list[str], both: Both) -> None:
    english, portuguese = both(*words)
    assert english.status == portuguese.status == 2
    assert "Traceback" not in portuguese.err
    assert re.search(r"\berro: ", portuguese.err)
    assert not english_lines(portuguese.err, english.err)


def test_an_error_has_its_code_in_any_language() -> None:
    from olhar.datasets import open_source
    from olhar.errors import OlharError

    with pytest.raises(OlharError) as caught:
        open_source("nowhere")
    with using("en"):
        english = str(caught.value), caught.value.code
    with using("pt_BR"):
        portuguese = str(caught.value), caught.value.code
    assert english[1] == portuguese[1]
    assert "não há" in portuguese[0]
    assert "there is no" in english[0]


@pytest.fixture(scope="module")
def photo(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    path = tmp_path_factory.mktemp("photo") / "a.png"
    Image.new("L", (8, 8), 255).save(path)
    (path.parent / "bad.png").write_bytes(b"<html>")
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["data", "--json"],
        ["data", "digits", "--json"],
        ["networks", "--data", "digits", "--json"],
        ["evaluate", "RUN", "--json"],
        ["predict", "RUN", "PHOTOS", "--json"],
        ["explain", "RUN", "PHOTO", "--json", "--out", "x.png", "--overwrite"],
        ["compare", "RUN", "RUN", "--json"],
        ["card", "RUN", "--check", "--json"],
        ["push", "RUN", "STORE", "--dry-run", "--json"],
    ],
    ids=" ".join,
)
def test_json_is_the_same_in_both_languages(
    words: list[str], digits_run: Path, photo: Path, tmp_path: Path, both: Both
) -> None:
    places = {
        "RUN": digits_run,
        "PHOTO": photo,
        "PHOTOS": photo.parent,
        "STORE": tmp_path / "store",
    }
    places["x.png"] = tmp_path / "x.png"
    english, portuguese = both(*(places.get(word, word) for word in words))
    assert english.status == portuguese.status
    assert len(english.json)
    assert english.out == portuguese.out


def test_a_run_is_the_same_but_for_its_pictures(digits_run: Path, tmp_path: Path) -> None:
    words = ["train", "--data", "digits", "--network", "lenet5", "--run", tmp_path / "d"]
    done = olhar(*words, OLHAR_LANG="pt_BR")
    assert done.status == 0, done.err
    for name in ("metrics.json", "predictions.csv", "model/model.safetensors", "model/config.json"):
        assert (digits_run / name).read_bytes() == (tmp_path / "d" / name).read_bytes(), name
    heads = [
        (run / "history.csv").read_text().splitlines()[0] for run in (digits_run, tmp_path / "d")
    ]
    assert heads[0] == heads[1]
    assert re.search(r"época 1/\d+  treino: perda \d,\d{4}", done.err)
    assert re.search(r"acurácia \d+,\d\d%", done.out)
    assert not english_lines(done.out, olhar("evaluate", digits_run).out)


def test_a_wrong_photo_is_told_in_portuguese_beside_json(digits_run: Path, photo: Path) -> None:
    done = olhar("predict", digits_run, photo.parent / "bad.png", "--json", OLHAR_LANG="pt")
    assert done.status == 2
    assert "uma página HTML" in done.err
    assert "an HTML page" in done.json[0]["error"]


@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_numbers_differ_by_their_separators_alone(value: float, digits: int) -> None:
    with using("en"):
        english = str(number(value, digits))
    with using("pt_BR"):
        portuguese = str(number(value, digits))
    assert english == f"{value:,.{digits}f}"
    assert portuguese == english.replace(",", " ").replace(".", ",").replace(" ", ".")


def test_numbers_and_dates_as_portuguese_writes_them() -> None:
    text = Text("{share:.1%} {n:,} {as_it_is} {name:>4}",
                {"share": 0.972, "n": 1797, "as_it_is": 0.5, "name": "a.b"})  # fmt: skip
    with using("pt_BR"):
        assert str(text) == "97,2% 1.797 0.5  a.b"
        assert str(percent(0.5, 0)) == "50%"
        assert localise("1.2e-05") == "1,2e-05"
        assert date("2026-11-21T10:05:09Z") == "21/11/2026 10:05 UTC"
        assert date("2026-11-21T10:05:09-03:00") == "21/11/2026 10:05"
    with using("en"):
        assert str(text) == "97.2% 1,797 0.5  a.b"
        assert date("2026-11-21T10:05:09Z") == "2026-11-21T10:05:09Z"


def test_pictures_have_portuguese_ticks() -> None:
    from olhar.evaluation.plots import plot_learning_curve

    rows = [
        {"epoch": n, "train_loss": 1 / n, "val_loss": 1.2 / n, "train_accuracy": 0.975 + n / 1000,
         "val_accuracy": 0.97 + n / 1000}
        for n in range(1, 5)
    ]  # fmt: skip
    with using("pt_BR"):
        figure = plot_learning_curve(rows, 3)
        figure.canvas.draw()  # type: ignore[no-untyped-call,unused-ignore]
        loss, accuracy = figure.axes
        shown = [label.get_text() for axes in (loss, accuracy) for label in axes.get_yticklabels()]
        assert loss.get_title(loc="left") == "perda (nats)"
    assert any("," in text for text in shown)
    assert not any("." in text for text in shown)


def test_importing_olhar_needs_no_catalogue_library() -> None:
    import subprocess
    import sys

    code = "import sys, olhar.cli; print(olhar.cli.build_parser().prog, 'babel' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OLHAR_LANG": "pt_BR"},
    )
    assert done.stdout.split() == ["olhar", "False"]
