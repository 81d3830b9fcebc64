"""A setting is declared once: flags, --set, TOML, hyperparameters and Python agree on what it takes."""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from olhar.cli.options import add_flags, collect
from olhar.data_settings import DATA, DataSettings, Share
from olhar.errors import ConfigError, UnknownNameError
from olhar.i18n import Text, _, using
from olhar.networks.cnn_names import Dense
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.run import RunFolder
from olhar.serving.settings import SERVE, ServeSettings
from olhar.settings import (
    Kind,
    Name,
    Number,
    OneOf,
    Setting,
    Settings,
    Whole,
    YesNo,
    check_names,
    parse_assignments,
    setting,
    table,
)
from olhar.sweep.settings import PLACE, SWEEP, SweepSettings, load_sweep_file
from olhar.sweep.study import differing
from olhar.training.recipe import RECIPE, RESOURCES, build_recipe, build_settings, read_settings

ASKED = {**RECIPE, **RESOURCES, **DATA, **NETWORK}  # by flag, --set, file or hyperparameter
TABLES = (RECIPE, RESOURCES, DATA, NETWORK, SWEEP, PLACE, SERVE)
EVERY = [one for declared in TABLES for one in declared.values()]


def values_of(kind: Kind) -> st.SearchStrategy[Any]:
    """Values that a setting of this kind takes."""
    if isinstance(kind, YesNo):
        return st.booleans()
    if isinstance(kind, OneOf):
        return st.sampled_from(kind.values)
    if isinstance(kind, Whole):
        return st.integers(int(kind.low), int(min(kind.high, 2**62)))
    if isinstance(kind, Number):
        return st.floats(kind.low, min(kind.high, 1e300), exclude_min=kind.above)
    if isinstance(kind, Share):
        return st.floats(0, 1, exclude_min=True, exclude_max=True) | st.integers(1, 10**6)
    if isinstance(kind, Dense):
        return st.lists(st.integers(1, 65_536), min_size=1, max_size=4).map(tuple)
    return st.text("abcXYZ019_:/.-", min_size=1).filter(lambda text: text[0] != "-")


@st.composite
def given_settings(draw: st.DrawFn) -> tuple[Setting, Any]:
    one = ASKED[draw(st.sampled_from(sorted(ASKED)))]
    return one, draw(values_of(one.kind))


@given(given_settings())
def test_every_way_of_giving_a_value_gives_the_same(case: tuple[Setting, Any]) -> None:
    one, value = case
    assert one.check(value) == value
    text = one.write(value)
    assert one.write(text) == text
    plain = list(value) if isinstance(value, tuple) else value
    in_toml = tomllib.loads(tomli_w.dumps({one.name: plain}))[one.name]
    in_json = json.loads(json.dumps({one.name: text}))[one.name]  # as hyperparameters come
    assigned = parse_assignments([f"{one.name}={text}"], ASKED)[one.name]
    ways = [one.check(way) for way in (text, in_toml, in_json, assigned)]
    if not isinstance(one.kind, YesNo):  # whose flag has no value
        parser = argparse.ArgumentParser()
        add_flags(parser, "all", {one.name: one})
        args = parser.parse_args([one.flag, text])
        ways.append(collect(args, {one.name: one})[one.name])
    assert all(way == value and type(way) is type(value) for way in ways)


@given(
    st.sampled_from(EVERY),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.text()),
)
def test_any_value_is_of_the_kind_or_refused_in_one_sentence(one: Setting, value: Any) -> None:
    try:
        found = one.check(value)
    except ConfigError as error:
        for language in ("en", "pt_BR"):
            with using(language):
                assert one.name in str(error)
        assert error.exit_status == 2
    else:
        assert found == one.check(found)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
def test_defaults_are_allowed(one: Setting) -> None:
    assert one.check(one.default) == one.default
    assert str(one.text)
    assert str(one.kind.allowed())


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Whole(1, 20), 2.5, "x is 2.5; allowed: a whole number from 1 to 20"),
        (Whole(1, 20), "many", "x is 'many'; allowed: a whole number from 1 to 20"),
        (Whole(1), True, "x is True; allowed: a whole number, 1 or more"),
        (Number(0, 100, above=True), 0, "x is 0; allowed: a number above 0 to 100"),
        (Number(0), float("nan"), "x is nan; allowed: a number, 0 or more"),
        (Number(0), "inf", "x is 'inf'; allowed"),
        (YesNo(), "perhaps", "x is 'perhaps'; allowed: true or false"),
        (OneOf(1, 3), 2, "x is 2; allowed: 1, 3"),
        (Name("adamw", "sgd"), "adma", "unknown x 'adma'; did you mean adamw?"),
        (Share(), 1.5, "x is 1.5; allowed: a share between 0 and 1, or a whole number"),
        (Dense(), [], "x is []; allowed: one or more layers"),
        (Dense(), "512+0", "x is '512+0'; allowed: one or more layers"),
    ],
)
def test_a_refusal_says_what_was_given_and_what_is_allowed(
    kind: Kind, value: Any, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Setting("x", kind, 1, _("a setting")).check(value)
    assert said in str(caught.value)
    assert isinstance(caught.value, UnknownNameError) == isinstance(kind, Name)


def test_a_flag_is_called_by_its_name() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, "data", DATA)
    args = parser.parse_args(["--split-seed", "-1"])
    with pytest.raises(ConfigError, match="--split-seed is '-1'; allowed: a whole number, 0 or"):
        collect(args, DATA)


def test_a_declaration_is_all_that_a_setting_needs() -> None:
    @dataclass(frozen=True)
    class More(Settings):
        folds: int = setting(1, Whole(1, 20), Text("parts that validate once"))
        group_by: str | None = setting(None, Kind("COLUMN"), Text("what belongs together"))

    parser = argparse.ArgumentParser()
    add_flags(parser, "more", table(More))
    shown = io.StringIO()
    parser.print_help(shown)
    assert "--group-by COLUMN" in shown.getvalue()
    assert "parts that validate once; default 1" in shown.getvalue()
    given_flags = collect(parser.parse_args(["--folds", "5"]), table(More))
    assert More(**given_flags) == More(folds=5) == More.pick({"folds": "5", "lr": 3})
    assert More(folds=5).to_dict() == {"folds": 5}
    with pytest.raises(ConfigError, match="folds is 21"):
        More(folds=21)


def test_a_name_that_does_not_exist_gets_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match="unknown entry 'splitseed'; did you mean split_seed"
    ):
        check_names(["val", "splitseed"], DATA, Text("entry"))


def test_large_whole_numbers_stay_exact() -> None:
    for value in (2**53 + 1, 2**62 + 3):
        assert DATA["split_seed"].check(value) == DATA["split_seed"].check(str(value)) == value


def test_how_a_training_runs_is_apart_from_what_it_does() -> None:
    recipe, resources = build_settings({"lr": "0.1", "device": "cpu", "minutes": 3})
    assert (recipe.lr, resources.device, resources.minutes) == (0.1, "cpu", 3.0)
    assert not RECIPE.keys() & RESOURCES.keys()
    with pytest.raises(UnknownNameError):
        build_recipe({"device": "cpu"})
    apart = {"recipe": recipe.to_dict(), "resources": resources.to_dict()}
    together = {"recipe": {**recipe.to_dict(), **resources.to_dict()}}  # as older runs have it
    assert read_settings(apart) == read_settings(together) == (recipe, resources)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("workers", 0),
        ("workers", 1.5),
        ("port", 70_000),
        ("batch_latency", -1),
        ("timeout", -1),
        ("timeout", float("nan")),
        ("reload", -0.5),
        ("rate", -1),
        ("max_mb", 0),
        ("max_images", 0),
        ("max_pixels", "many"),
        ("concurrency", 0),
        ("host", None),
        ("cors", ("example.org",)),
        ("cors", ("http://[",)),
    ],
)
def test_a_server_refuses_from_python_as_from_flags(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as from_python:
        ServeSettings(**{name: value})
    with pytest.raises(ConfigError) as from_flag:
        SERVE[name].check(value, SERVE[name].flag)
    assert str(from_flag.value) == str(from_python.value).replace(name, SERVE[name].flag, 1)
    assert from_python.value.code == "config"


def test_a_token_is_in_no_message() -> None:
    assert "secret" not in repr(ServeSettings(token="secret"))
    with pytest.raises(ConfigError) as caught:
        ServeSettings(token="secretç")
    assert "secret" not in str(caught.value)


def test_python_takes_numbers_as_text_and_folders_as_text() -> None:
    served = ServeSettings(batch_size="8", corrections="kept", max_mb=0.5)  # type: ignore[arg-type]
    assert (served.batch_size, served.corrections, served.max_bytes) == (8, Path("kept"), 2**19)
    assert DataSettings("digits", val=500.0).to_dict()["val"] == 500


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Runs made before config.toml had [resources]."""
    copy = tmp_path / "older"
    shutil.copytree(Path(__file__).parent / "data" / "older_runs", copy)
    return copy


def test_an_older_run_goes_on(older: Path) -> None:
    from olhar import load_run, resume

    before = load_run(older / "done")
    done = resume(older / "cut")
    assert [row["epoch"] for row in done.history] == [1, 2]
    assert done.history[0]["val_loss"] == before.history[0]["val_loss"]
    assert done.history[1]["val_loss"] == pytest.approx(before.history[1]["val_loss"], rel=0.05)


def test_an_older_run_is_measured_compared_and_described(older: Path, tmp_path: Path) -> None:
    from olhar import compare, evaluate, load_run
    from olhar.card import write_card

    before = load_run(older / "done").report
    assert evaluate(older / "done").accuracy == before.accuracy
    shutil.copytree(older / "done", tmp_path / "newer")
    folder = RunFolder(tmp_path / "newer")
    recipe, resources = read_settings(folder.read_config())
    newer = {**folder.read_config(), "recipe": recipe.to_dict(), "resources": resources.to_dict()}
    del newer["format"]
    folder.write_config(newer)
    compared = compare([older / "done", folder.path])
    assert not compared.settings
    write_card(folder)
    assert folder.card.is_file()


def test_an_older_sweep_is_the_same_sweep(older: Path) -> None:
    found = load_sweep_file(older / "sweep.toml")
    sweep = SweepSettings.from_dict(found)
    assert {"format": 1, **sweep.to_dict()} == found
    assert differing(found, {"format": 1, **sweep.to_dict()}) == ""
