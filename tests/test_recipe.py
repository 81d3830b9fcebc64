"""Recipes: every setting is checked, misspelt ones are refused, the command line beats the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import olhar
from olhar.data_settings import DataSettings
from olhar.datasets import ALL_NAMES
from olhar.errors import ConfigError, UnknownNameError
from olhar.networks.specs import resolve_network
from olhar.pipeline.plan import plan_training, repeating_command
from olhar.progress import Progress
from olhar.settings import parse_assignments
from olhar.training.recipe import (
    SETTINGS,
    Recipe,
    build_recipe,
    divide_settings,
    kept_recipe,
    suited_recipe,
)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", -3),
        ("epochs", "2.5"),
        ("epochs", "many"),
        ("epochs", True),
        ("lr", "nan"),
        ("lr", float("inf")),
        ("lr", 0),
        ("lr", -1),
        ("batch_size", 0),
        ("momentum", 1),
        ("warmup", 1.5),
        ("flip", "perhaps"),
        ("optimizer", "adma"),
        ("schedule", "onecycle"),
        ("seed", -1),
        ("patience", -1),
    ],
)
def test_values_that_cannot_be_are_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        build_recipe({key: value})


def test_a_misspelt_setting_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="epochs"):
        build_recipe({"epoch": 100})


def test_text_becomes_its_own_type() -> None:
    recipe = build_recipe({"epochs": "7", "lr": "1e-2", "flip": "true", "optimizer": "sgd"})
    assert recipe == Recipe(epochs=7, lr=0.01, flip=True, optimizer="sgd")


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12) | st.floats() | st.none()))
def test_nonsense_is_a_config_error_or_a_recipe(settings: dict[str, object]) -> None:
    try:
        build_recipe(settings)
    except ConfigError as error:
        assert str(error)


@given(st.sampled_from(sorted(SETTINGS)), st.text(max_size=8) | st.floats() | st.integers())
def test_any_value_is_a_config_error_or_a_recipe(key: str, value: object) -> None:
    try:
        assert isinstance(build_recipe({key: value}), Recipe)
    except ConfigError as error:
        assert key in str(error)


def test_assignments() -> None:
    assert parse_assignments(["lr=0.1", "batch-size=8"], SETTINGS) == {
        "lr": "0.1",
        "batch_size": "8",
    }
    assert parse_assignments(["lr=0.1", "lr=1e-1"], SETTINGS) == {"lr": "0.1"}
    for wrong in (["lr"], ["=3"], ["lr="], ["lr=0.1", "lr=0.2"]):
        with pytest.raises(ConfigError):
            parse_assignments(wrong, SETTINGS)


def test_every_kept_recipe_is_a_recipe() -> None:
    folder = Path(__file__).parents[1] / "src" / "olhar" / "training" / "recipes"
    stems = [path.stem for path in folder.glob("*.toml")]
    assert "default" in stems
    for stem in stems:
        network, _dot, data = stem.partition(".")
        own = () if stem in {"default", "photos", *ALL_NAMES} else resolve_network(network)[1]
        build_recipe(divide_settings(kept_recipe(network, data), own, network)[0])


def test_networks_of_as_many_blocks_share_a_recipe_unless_one_has_its_own() -> None:
    published = kept_recipe("3cnn+512_50dropout", "cifar10")
    assert kept_recipe("3cnn+100_0dropout", "cifar10") == published
    assert kept_recipe("3cnn+128+128+128_50dropout_sigmoid", "cifar10") != published
    assert kept_recipe("3cnn+512_50dropout", "mnist") == kept_recipe("4cnn+64_0dropout", "mnist")


@given(images=st.integers(1, 10**8), epochs=st.integers(1, 100), most=st.integers(0, 10**9))
def test_a_large_set_gets_fewer_epochs_unless_epochs_were_asked_for(
    images: int, epochs: int, most: int
) -> None:
    recipe = Recipe(epochs=epochs, most_images=most)
    suited = suited_recipe(recipe, (), images, 3).epochs
    assert suited <= epochs
    assert suited == epochs or most
    assert suited * images <= most or suited == min(epochs, 5) or suited == epochs
    assert suited_recipe(recipe, ("epochs",), images, 3).epochs == epochs


def test_a_kept_recipe_may_set_the_network_too(tmp_path: Path) -> None:
    small = plan_training(DataSettings("mnist"), "olhar-small", None, {}, Progress())
    assert small.network_settings["width"] == 16
    asked = plan_training(DataSettings("mnist"), "olhar-small", None, {"width": 8}, Progress())
    assert asked.network_settings["width"] == 8
    other = plan_training(DataSettings("fashion_mnist"), "olhar-small", None, {}, Progress())
    assert other.network_settings["width"] == 32
    assert "width" not in repeating_command(small, small.recipe, tmp_path)
    assert "width=8" in repeating_command(asked, asked.recipe, tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--epochs", "0"], "epochs"),
        (["--epochs", "-1"], "epochs"),
        (["--lr", "nan"], "lr"),
        (["--set", "epoch=3"], "epochs"),
        (["--set", "learning_rate=3"], "unknown"),
        (["--set", "epochs=3", "--epochs", "4"], "twice"),
        (["--set", "width=3"], "width"),
        (["--network", "lenet6"], "lenet5"),
        (["--data", "cifar11"], "cifar10"),
        (["--val", "nan"], "--val"),
        (["--val", "x"], "--val"),
        (["--test", "5000"], "--test"),
        (["--channels", "2"], "channels"),
        (["--size", "4"], "smallest"),
        (["--recipe", "nowhere.toml"], "nowhere.toml"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--set", "network=gmnet"], "--network"),
        (["--set", "size=28"], "--size"),
        (["--set", "run=x"], "--run"),
        (["--size", "0"], "size"),
        (["--channels", "0"], "channels"),
        (["--split-seed", "-1"], "split-seed"),
        (["--resize", "stretch"], "squash"),
        (["--recipe", "."], "'.'"),
        (["--network", "2cnn+64", "--set", "dense=512.5"], "dense"),
    ],
)
def test_wrong_settings_end_with_2_and_leave_nothing(
    words: list[str], says: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = olhar("train", "--data", "digits", "--network", "lenet5", "--run", run, *words)
    assert done.status == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_file_is_beaten_by_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text('[about]\nsource = "mine"\n', encoding="utf-8")
    file.write_text('epochs = 9\nlr = 0.01\nnetwork = "gmnet"\nwidth = 20\n', encoding="utf-8")
    words = ["train", "--data", "digits", "--recipe", file, "--run", tmp_path / "run"]
    done = olhar(*words, "--epochs", "1", "--json")
    assert done.status == 0, done.err
    assert done.json["epochs"] == 1
    config = (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
    assert "lr = 0.01" in config
    assert "width = 20" in config
    assert "--set epochs=1" in config


def test_a_broken_recipe_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_bytes(b"epochs = = 3\xff")
    done = olhar("train", "--data", "digits", "--recipe", file, "--run", tmp_path / "run")
    assert done.status == 2
    assert "r.toml" in done.err
