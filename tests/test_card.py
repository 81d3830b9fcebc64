"""The model card: true, whole, unbreakable, and checked against the run it names."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import yaml
from huggingface_hub import ModelCard, metadata_load
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from conftest import olhar
from olhar import i18n
from olhar.card import check_card, write_card
from olhar.card.facts import Facts, read_facts
from olhar.card.markdown import NAME_LENGTH
from olhar.card.verdicts import judge_convergence, judge_overfitting
from olhar.card.write import render_cards
from olhar.errors import ConfigError, MissingFileError, ModelError, UnknownNameError
from olhar.i18n import using
from olhar.run import RunFolder
from olhar.run.answers import Answer
from olhar.run.report import short_name

NINE = (
    *("Model details", "Intended use", "Factors", "Metrics", "Evaluation data"),
    *("Training data", "Quantitative analyses", "Ethical considerations"),
    "Caveats and recommendations",
)
NASTY = (
    *(
        "<script>alert(1)</script>",
        "a|b",
        "a\\|b",
        "two\nlines",
        "😀👩‍👩‍👧",
        "w" * 200,
        "](http://x)",
    ),
    *(
        "`code`",
        "```",
        "---",
        "***",
        "_x_",
        "&lt;",
        "$a$",
        "#1",
        "![i](x.png)",
        "<!--",
        "\u202eabc",
    ),
    *(
        "1. one",
        "- dash",
        "\x00\x1b",
        "~~~",
        "=",
        "'\"",
        "{name}",
        "%s",
        "\\",
        "&#124;",
        ": x",
        " ",
    ),
)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.fixture
def folder(digits_run: Path, tmp_path: Path) -> RunFolder:
    """A copy of the finished run, without a card."""
    path = tmp_path / "d"
    shutil.copytree(digits_run, path)
    for card in (*path.glob("README*.md"), *path.glob("card.toml")):
        card.unlink()
    return RunFolder(path)


@pytest.fixture
def card(folder: RunFolder) -> RunFolder:
    write_card(folder)
    return folder


def english(folder: RunFolder) -> str:
    return (folder.path / "README.md").read_text(encoding="utf-8")


def portuguese(folder: RunFolder) -> str:
    return (folder.path / "README.pt-BR.md").read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """The text of a card under each of its headings of the second order."""
    _head, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


def body(text: str) -> str:
    return text.split("\n---\n", 1)[1]


def shape(text: str) -> list[str]:
    """What a card's Markdown is made of, but for its words."""
    return [
        kind
        for token in MARKDOWN.parse(body(text))
        for kind in (token.type, *(child.type for child in token.children or ()))
        if kind != "text"
    ]


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each table, as a reader sees them."""
    found: list[list[list[str]]] = []
    for token in MARKDOWN.parse(body(text)):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level > 3:
            found[-1][-1].append("".join(child.content for child in token.children or ()))
    return found


def class_names_of(text: str) -> list[str]:
    """The second column of the table of classes."""
    (rows,) = [rows for rows in tables(text) if len(rows[0]) == 7]
    return [row[1] for row in rows[1:]]


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def change_metrics(folder: RunFolder, **values: Any) -> None:
    folder.write_metrics({**folder.read_metrics(), **values})


def messages(folder: RunFolder) -> str:
    return "\n".join(map(str, check_card(folder)))


# What a card says


def test_all_nine_sections_say_something(card: RunFolder) -> None:
    found = sections(english(card))
    assert tuple(found) == NINE
    assert all(len(text) > 100 for text in found.values())
    assert len(sections(portuguese(card))) == 9
    assert shape(english(card)) == shape(portuguese(card))


def test_numbers_and_pictures_are_those_of_the_run(card: RunFolder) -> None:
    report, text = card.read_metrics(), english(card)
    low, high = report["intervals"]["accuracy"]
    assert f"| accuracy | {report['accuracy']:.2%} | {low:.2%} to {high:.2%} |" in text
    assert class_names_of(text) == report["class_names"]
    for one in report["per_class"]:
        assert f"| {one['support']} | {one['precision']:.2%} | {one['recall']:.2%} |" in text
    assert card.read_config()["command"] in text
    for picture in re.findall(r"!\[[^]]*\]\(([^)]*)\)", text):
        assert (card.path / picture).is_file()
    assert "61,706 trainable parameters" in text
    assert "not stated (`--authors`)" in text


def test_pictures_that_are_not_there_are_not_linked(folder: RunFolder) -> None:
    folder.worst_errors.unlink()
    write_card(folder)
    assert "worst_errors.png" not in english(folder)
    assert "learning_curve.png" in english(folder)


def test_the_ten_worst_errors_are_in_order(folder: RunFolder) -> None:
    rows = [("index", "label", "predicted", "probability")]
    rows += [(str(i), "1", "2", f"0.{i:03}") for i in range(500, 520)]
    folder.write_predictions(rows)
    write_card(folder)
    (table,) = [rows for rows in tables(english(folder)) if rows[0][0] == "image"]
    assert [row[0] for row in table[1:]] == [str(i) for i in range(519, 509, -1)]


def test_errors_are_ranked_by_both_probabilities_where_they_are_known(folder: RunFolder) -> None:
    rows = [("index", "label", "predicted", "probability", "true_probability")]
    rows += [("a", "1", "2", "0.5", "0.49"), ("b", "1", "2", "0.4", "0.1")]
    folder.write_predictions(rows)
    write_card(folder)
    (table,) = [rows for rows in tables(english(folder)) if rows[0][0] == "image"]
    assert [row[0] for row in table[1:]] == ["b", "a"]


def test_hugging_face_reads_the_front_matter(card: RunFolder) -> None:
    report = card.read_metrics()
    for name, language in (("README.md", ["en"]), ("README.pt-BR.md", ["pt"])):
        path = card.path / name
        data = metadata_load(path)
        assert data
        assert data["language"] == language
        assert (data["license"], data["library_name"]) == ("unknown", "olhar")
        found = ModelCard.load(path)
        assert found.data.pipeline_tag == "image-classification"
        values = {one.metric_type: one.metric_value for one in found.data.eval_results or ()}
        assert values == pytest.approx({key: report[key] for key in data["metrics"]}, abs=1e-6)
        assert {one.dataset_split for one in found.data.eval_results or ()} == {"test"}
        assert yaml.safe_load(found.data.to_yaml()) == data


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("CC BY 4.0", {"license": "cc-by-4.0"}),
        ("Só para aulas: ok", {"license": "other", "license_name": "s-para-aulas-ok"}),
    ],
)
def test_licences_are_those_of_the_hub(
    folder: RunFolder, licence: str, expected: dict[str, str]
) -> None:
    write_card(folder, details={"licence": licence})
    data = metadata_load(folder.path / "README.md")
    assert data
    assert {key: data[key] for key in data if key.startswith("license")} == expected


def test_validation_figures_are_never_called_test_figures(folder: RunFolder) -> None:
    change_metrics(folder, split="val")
    write_card(folder)
    text = english(folder)
    assert "of the validation split (95% interval" in text
    assert "These are validation figures, not test figures" in text
    assert "test split" not in text
    found = ModelCard.load(folder.path / "README.md").data.eval_results
    assert found
    assert found[0].dataset_split == "val"


def test_energy_and_calibration_are_shown(folder: RunFolder) -> None:
    energy = {"kwh": 0.00123, "co2_kg": 0.000121, "country": "BRA", "method": "codecarbon | <b>"}
    calibration = {"temperature": 1.25, "ece_before": 0.1, "ece_after": 0.0123}
    change_metrics(folder, energy=energy, calibration=calibration)
    write_card(folder)
    text = english(folder)
    assert "electricity: 1.23 Wh" in text
    assert "CO2 equivalent: 0.121 g" in text
    assert "| temperature | 1.250 |" in text
    assert "| expected calibration error after | 1.23% |" in text
    data = metadata_load(folder.path / "README.md")
    assert data
    assert data["co2_eq_emissions"]["emissions"] == 0.121
    assert data["co2_eq_emissions"]["source"] == "codecarbon | <b>"


def test_many_classes_are_cut_to_the_weakest(folder: RunFolder) -> None:
    facts = with_names(read_facts(folder), tuple(f"class {k}" for k in range(150)))
    english_card, _portuguese = render_cards(facts).values()
    assert len(class_names_of(english_card)) == 100
    assert "class 149" not in english_card.split("## Quantitative")[0]


# A run that was cut off


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_a_run_cut_off_gets_a_card_that_says_so(folder: RunFolder, epochs: int) -> None:
    folder.write_history(folder.read_history()[:epochs])
    folder.metrics.unlink()
    folder.predictions.unlink()
    shutil.rmtree(folder.model)
    if epochs == 0:
        folder.history.unlink()
    write_card(folder)
    planned = folder.read_config()["recipe"]["epochs"]
    text = english(folder)
    assert f"cut off after {epochs} of {planned} epochs" in text
    assert "olhar resume ." in text
    assert tuple(sections(text)) == NINE
    data = metadata_load(folder.path / "README.md")
    assert data
    assert "model-index" not in data
    assert "interrompida" in portuguese(folder)
    assert check_card(folder) == []


def test_a_run_cut_off_while_measuring_says_that(folder: RunFolder) -> None:
    folder.metrics.unlink()
    write_card(folder)
    assert "cut off before it was measured" in english(folder)
    assert "It knows these classes: 0, 1, 2" in english(folder)


# Languages


def test_each_card_has_its_language_whatever_is_in_force(folder: RunFolder) -> None:
    with using("pt"):
        write_card(folder)
        assert check_card(folder) == []
    assert "## Model details" in english(folder)
    assert "Modelo" not in english(folder)
    text = portuguese(folder)
    assert "## Detalhes do modelo" in text
    assert "61.706 parâmetros treináveis" in text
    assert "taxa de aprendizado máxima 0,00" in text
    accuracy = f"{folder.read_metrics()['accuracy']:.2%}"
    assert f"**{accuracy.replace('.', ',')}**" in text
    assert accuracy not in body(text)


def test_the_portuguese_card_has_portuguese_class_names(folder: RunFolder) -> None:
    facts = read_facts(folder)
    assert facts.model
    names = ("zero", "um", "dois", "três", "quatro", "cinco", "seis", "sete", "oito", "nove")
    model = dataclasses.replace(facts.model, translated_names={"pt_BR": names})
    english_card, portuguese_card = render_cards(changed(facts, model=model)).values()
    assert class_names_of(portuguese_card) == list(names)
    assert class_names_of(english_card) == list(facts.model.class_names)
    (errors,) = [rows for rows in tables(portuguese_card) if rows[0][0] == "imagem"]
    assert {name for row in errors[1:] for name in row[1:3]} <= set(names)


def test_using_holds_in_its_block_and_thread_alone() -> None:
    seen = []
    with using("pt_BR"):
        thread = threading.Thread(target=lambda: seen.append(i18n.language()))
        thread.start()
        thread.join()
        with using("en"):
            seen.append(i18n.language())
        seen.append(i18n.language())
    assert [*seen, i18n.language()] == ["en", "en", "pt_BR", "en"]
    with pytest.raises(ValueError, match="tlh"), using("tlh"):
        pass


# Checking


def test_check_finds_a_changed_digit(card: RunFolder) -> None:
    assert check_card(card) == []
    accuracy = f"{card.read_metrics()['accuracy']:.2%}"
    rewrite(card.path / "README.md", f"| accuracy | {accuracy}", "| accuracy | 12.34%")
    (text,) = check_card(card)
    line = english(card).splitlines()[text.values["line"] - 1]
    assert "12.34%" in line
    assert (text.values["found"], text.values["expected"]) == ("12.34%", accuracy)


def test_check_finds_what_is_missing_and_what_is_too_much(card: RunFolder) -> None:
    (card.path / "README.pt-BR.md").unlink()
    with (card.path / "README.md").open("a", encoding="utf-8") as file:
        file.write("\nAccuracy: 100%\n")
    found = messages(card)
    assert "README.pt-BR.md is missing" in found
    assert "Accuracy: 100%" in found


def test_check_is_not_misled_by_line_endings(card: RunFolder) -> None:
    path = card.path / "README.md"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert check_card(card) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("accuracy", lambda m: m.update(accuracy=0.999)),
        ("f1", lambda m: m.update(f1=float("nan"))),
        ("n", lambda m: m.update(n=3)),
        ("ece", lambda m: m.update(ece=0.5)),
        ("weighted.recall", lambda m: m["weighted"].update(recall=0.5)),
        ("intervals.f1[0]", lambda m: m["intervals"].update(f1=[0.1, 1.0])),
        ("per_class[3].precision", lambda m: m["per_class"][3].update(precision=0.7)),
        (
            "per_class[3].recall_interval[1]",
            lambda m: m["per_class"][3]["recall_interval"].reverse(),
        ),
        ("confusion_matrix", lambda m: m["confusion_matrix"][0].reverse()),
        ("data.fingerprint", lambda m: m["data"].update(fingerprint="0" * 64)),
        (
            "calibration.coverage",
            lambda m: m.update(calibration={"threshold": 0.5, "coverage": 0.1}),
        ),
        ("calibration.temperature", lambda m: m.update(calibration={"temperature": 9.0})),
    ],
)
def test_tampered_metrics_are_noticed_though_the_card_is_made_anew(
    folder: RunFolder, name: str, change: Any
) -> None:
    values = folder.read_metrics()
    change(values)
    folder.write_metrics(values)
    write_card(folder)
    assert name in messages(folder)


def test_tampered_predictions_and_models_are_noticed(card: RunFolder) -> None:
    rewrite(card.predictions, "2,2,0.9", "2,3,0.9")
    with (card.model / "labels.txt").open("a") as file:
        file.write("10\n")
    found = messages(card)
    assert "confusion_matrix" in found
    assert "labels.txt" in found
    assert "sha256" in found


def test_predictions_of_unknown_classes_are_named(card: RunFolder) -> None:
    rewrite(card.predictions, "2,2,0.9", "2,<b>,0.9")
    assert "<b>" in messages(card)
    card.predictions.unlink()
    assert "predictions.csv is missing" in messages(card)


def test_check_writes_nothing(card: RunFolder) -> None:
    before = {path: path.stat().st_mtime_ns for path in card.path.rglob("*")}
    rewrite(card.path / "README.md", "Image classifier", "Picture classifier")
    before[card.path / "README.md"] = (card.path / "README.md").stat().st_mtime_ns
    assert check_card(card)
    assert {path: path.stat().st_mtime_ns for path in card.path.rglob("*")} == before


# Bad input


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.json", "{"),
        ("metrics.json", "[1]"),
        ("metrics.json", '{"format": 1}'),
        ("history.csv", "epoch,step\n1,x\n"),
        ("history.csv", "epoch,step\n1,2\n"),
        ("predictions.csv", ""),
        ("predictions.csv", "index,label\n1,2\n"),
        ("predictions.csv", "index,label,predicted,probability\n1,2\n"),
        ("model/config.json", "{}"),
        ("model/config.json", "null"),
    ],
)
def test_damaged_files_are_named(card: RunFolder, file: str, content: str) -> None:
    (card.path / file).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError):
        write_card(card)
    assert check_card(card)


@pytest.mark.parametrize("key", ["n", "accuracy", "per_class", "confusion_matrix", "intervals"])
@pytest.mark.parametrize("value", [None, "x", [], [[1]], {}, float("inf")])
def test_values_of_wrong_types_are_damage_or_shown(folder: RunFolder, key: str, value: Any) -> None:
    change_metrics(folder, **{key: value})
    try:
        write_card(folder)
    except ModelError as error:
        assert "metrics.json" in str(error)
    else:
        assert key in messages(folder)


def test_a_config_that_lacks_tables_is_damaged(folder: RunFolder) -> None:
    config = folder.read_config()
    del config["format"]
    for key in ("data", "network", "recipe", "machine", "command"):
        folder.write_config({name: value for name, value in config.items() if name != key})
        with pytest.raises(ModelError, match=r"config\.toml"):
            write_card(folder)
    with pytest.raises(MissingFileError, match="no run folder"):
        write_card(RunFolder(folder.path / "nothing"))


def test_card_toml_refuses_what_it_does_not_know(folder: RunFolder) -> None:
    path = folder.path / "card.toml"
    for content, message in (
        ('purpos = "x"', "did you mean purpose"),
        ('license = "mit"', "did you mean licence"),
        ("purpose = 3", "a text"),
        ("purpose = ", "not valid TOML"),
        ("format = 2", "newer format"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match=message):
            write_card(folder)
        assert messages(folder)
    path.unlink()
    with pytest.raises(UnknownNameError):
        write_card(folder, details={"limit": "x"})
    with pytest.raises(ConfigError, match="text"):
        write_card(folder, details={"limits": "\udcff"})
    assert not path.exists()
    assert not (folder.path / "README.md").exists()


def test_card_toml_survives_and_may_be_written_by_hand(folder: RunFolder) -> None:
    path = folder.path / "card.toml"
    path.write_text('authors = ["Ana", "Zé"]\nlimits = """\nOne.\n\n- Two."""\n', encoding="utf-8")
    write_card(folder, details={"purpose": "Sort <digits>."})
    write_card(folder)
    assert "| authors | Ana, Zé |" in english(folder)
    assert "Sort &#60;digits&#62;." in english(folder)
    assert "\nOne.\n\n&#45; Two.\n" in english(folder)
    write_card(folder, details={"purpose": ""})
    assert "Sort" not in english(folder)
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {
        "format": 1,
        "authors": "Ana, Zé",
        "limits": "One.\n\n- Two.",
    }


# Nothing breaks a card


def changed(facts: Facts, **parts: Any) -> Facts:
    """The facts of a run with some parts other than its files say."""
    other = copy.copy(facts)
    vars(other).update(parts)
    return other


def with_names(facts: Facts, names: tuple[str, ...], data: str = "pets") -> Facts:
    """The facts of a run with other classes: each has five images, and one error."""
    assert facts.model
    count = len(names)
    matrix = [
        [4 if k == j else int(j == (k + 1) % count) for j in range(count)] for k in range(count)
    ]
    scores = [{**facts.report.per_class[0], "name": name, "support": 5} for name in names]
    return changed(
        facts,
        measured=dataclasses.replace(
            facts.report, class_names=list(names), per_class=scores, confusion_matrix=matrix
        ),
        model=dataclasses.replace(facts.model, class_names=names),
        answers=[Answer(name, name, names[0], 0.9) for name in names],
        config={**facts.config, "data": {**facts.config["data"], "name": data}},
    )


@pytest.fixture(scope="module")
def facts(digits_run: Path) -> Facts:
    return read_facts(RunFolder(digits_run))


names_strategy = st.lists(
    st.sampled_from(NASTY) | st.text(min_size=1, max_size=40), min_size=3, max_size=3, unique=True
)


@settings(max_examples=50)
@given(names=names_strategy)
def test_no_class_name_can_break_a_card(facts: Facts, names: list[str]) -> None:
    rendered = render_cards(with_names(facts, tuple(names))).values()
    plain = render_cards(with_names(facts, ("a", "b", "c"))).values()
    for text, expected in zip(rendered, plain, strict=True):
        assert class_names_of(text) == [short_name(name, NAME_LENGTH) for name in names]
        assert shape(text) == shape(expected)
        assert text.encode()


@settings(max_examples=50)
@given(
    name=st.sampled_from(NASTY) | st.text(st.characters(codec="utf-8"), min_size=1),
    said=st.sampled_from(NASTY) | st.text(st.characters(codec="utf-8"), min_size=1),
)
def test_no_data_name_command_or_free_text_can_break_a_card(
    facts: Facts, name: str, said: str
) -> None:
    def render(name: str, said: str) -> list[str]:
        config = {**facts.config, "command": said, "machine": {"processor": said, "torch": said}}
        details = dict.fromkeys(("purpose", "factors", "licence", "authors"), said.strip() or "x")
        other = changed(facts, config=config, details=details)
        return list(render_cards(with_names(other, ("a", "b", "c"), name)).values())

    def marks(text: str) -> dict[str, int]:
        kinds = [kind for kind in shape(text) if "paragraph" not in kind and kind != "inline"]
        return {kind: kinds.count(kind) for kind in set(kinds)}

    for text, expected in zip(render(name, said), render("pets", "x"), strict=True):
        assert marks(text) == marks(expected)
        data = yaml.safe_load(text.split("\n---\n", 1)[0].removeprefix("---\n"))
        last = name.replace("\\", "/").rstrip("/").rpartition("/")[2] or name
        assert data["model-index"][0]["results"][0]["dataset"]["name"] == last


def test_free_text_is_whole_and_on_the_card(folder: RunFolder) -> None:
    said = "x" * 500 + " | <b>"
    write_card(folder, details={"limits": said, "authors": said})
    assert "x" * 500 + " &#124; &#60;b&#62;" in sections(english(folder))[NINE[-1]]
    (row,) = [row for row in tables(english(folder))[0] if row[0] == "authors"]
    assert row[1] == said


# Verdicts


def rows(*figures: tuple[float, float, float, float]) -> list[dict[str, float]]:
    """A history of (train_loss, train_accuracy, val_loss, val_accuracy)."""
    names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return [
        {"epoch": float(k), **dict(zip(names, one, strict=True))}
        for k, one in enumerate(figures, 1)
    ]


def falling(last_val_accuracy: float) -> list[dict[str, float]]:
    epochs = [(2 - k / 10, 0.5, 1.0, 0.8) for k in range(9)]
    return rows(*epochs, (1.0, 0.5, 1.0, last_val_accuracy))


@pytest.mark.parametrize(
    ("history", "state"),
    [
        ([], "unknown"),
        (rows((1.0, 0.5, 1.0, 0.5)), "unknown"),
        (falling(0.80), "converged"),
        (falling(0.81), "converged"),  # one standard error of 0.8 with 1,000 images is 0.0126
        (falling(0.82), "improving"),
        (rows((1.0, 0.5, 1.0, 0.5), (1.1, 0.5, 1.0, 0.9)), "diverged"),
        (rows((1.0, 0.5, float("nan"), 0.5), (0.9, 0.5, 1.0, 0.9)), "diverged"),
        (rows((1.0, 0.5, 1.0, 1.0), (0.9, 0.5, 1.0, 1.0)), "converged"),
    ],
)
def test_convergence(history: list[dict[str, float]], state: str) -> None:
    verdict = judge_convergence(history, 1000)
    assert verdict.state == state
    assert str(verdict.evidence)
    assert str(verdict.rule)


@pytest.mark.parametrize(
    ("history", "val_count", "state"),
    [
        ([], 100, "unknown"),
        (rows((float("inf"), 0.9, 1.0, 0.9)), 100, "unknown"),
        (rows((0.1, 0.90, 0.3, 0.89)), 1000, "fitting"),
        (rows((0.1, 0.99, 0.3, 0.89)), 1000, "overfitting"),
        (rows((0.1, 0.99, 0.3, 0.89)), 20, "fitting"),  # twenty images cannot tell
        (rows((0.5, 0.8, 0.5, 0.8), (0.4, 0.8, 0.6, 0.8)), 1000, "overfitting"),
        (rows((0.5, 0.8, 0.02, 0.8), (0.4, 0.8, 0.03, 0.8)), 1000, "fitting"),
    ],
)
def test_overfitting(history: list[dict[str, float]], val_count: int, state: str) -> None:
    best = max(history, key=lambda row: row["val_accuracy"], default=None)
    assert judge_overfitting(history, best, val_count).state == state


# The command line


def test_the_command_writes_and_checks(folder: RunFolder) -> None:
    run = folder.path
    done = olhar("card", run, "--purpose", "Ler dígitos.", "--json")
    assert done.status == 0, done.err
    assert done.json["written"] == [str(run / "README.md"), str(run / "README.pt-BR.md")]
    done = olhar("card", "--check", run)
    assert (done.status, done.err) == (0, "")
    assert "matches" in done.out
    rewrite(run / "README.md", "Ler dígitos.", "Ler letras.")
    done = olhar("card", "--check", run, "--json")
    assert done.status == 1
    assert not done.json["ok"]
    (difference,) = done.json["differences"]
    assert (difference["file"], difference["found"]) == ("README.md", "letras.")
    assert "olhar card" in olhar("card", "--check", run).out


def test_bad_use_of_the_command_is_explained(folder: RunFolder, tmp_path: Path) -> None:
    for words, message in (
        (("card", tmp_path / "nothing"), "no run folder"),
        (("card", "--check", tmp_path / "nothing"), "no run folder"),
        (("card", "--check", folder.path, "--limits", "x"), "--check writes nothing"),
    ):
        done = olhar(*words)
        assert done.status == 2
        assert message in done.err
        assert "Traceback" not in done.err
    done = olhar("card", "--check", folder.path)
    assert done.status == 1
    assert "README.md is missing" in done.out


def test_help_loads_no_numpy_for_this_command() -> None:
    code = "import sys, olhar.cli.card; print([m for m in ('numpy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_config_energy_is_taken_where_metrics_have_none(folder: RunFolder) -> None:
    config = tomllib.loads(folder.config.read_text(encoding="utf-8"))
    config["energy"] = {"kwh": 1.5, "co2_kg": 0.15, "country": "BRA", "method": "m"}
    folder.config.write_text(tomli_w.dumps(config), encoding="utf-8")
    write_card(folder)
    assert "electricity: 1.50 kWh" in english(folder)
    assert "CO2 equivalent: 0.150 kg" in english(folder)
    assert "energy" not in json.loads(folder.metrics.read_text(encoding="utf-8"))
