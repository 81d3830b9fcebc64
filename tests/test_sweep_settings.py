"""What a sweep searches: every text is a distribution that the recipe accepts, or is refused."""

from __future__ import annotations

import argparse
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from olhar.cli import sweep as sweep_command
from olhar.errors import ConfigError, MissingFileError, OlharError, UnknownNameError
from olhar.i18n import Text
from olhar.networks.specs import resolve_network
from olhar.progress import Progress
from olhar.sweep.settings import (
    Choice,
    FloatRange,
    IntRange,
    SweepSettings,
    draw_trials,
    load_sweep_file,
    merge_values,
    parse_param,
    parse_params,
)
from olhar.training.recipe import SETTINGS, build_recipe

NETWORKS = ("gmnet", "lenet5", "3cnn+512_50dropout", "olhar-small")
PUBLISHED = (
    *("activation=relu,tanh", "dropout=0.2,0.3,0.4,0.5"),
    *("width=120,180,240,300", "lr=0.1,0.01,0.001"),
)
# The two whole examples of W&B's documentation, "Define a sweep configuration" and "Tutorial".
WANDB_BAYES = """
program: train.py
method: bayes
metric:
  name: validation_loss
  goal: minimize
parameters:
  learning_rate:
    min: 0.0001
    max: 0.1
  optimizer:
    values: ["adam", "sgd"]
"""
WANDB_RANDOM = """
program: train.py
project: first-sweep
method: random
run_cap: 6
metric:
  goal: minimize
  name: loss
parameters:
  batch_size:
    distribution: q_log_uniform_values
    max: 256
    min: 32
    q: 8
  dropout:
    values: [0.3, 0.4, 0.5]
  epochs:
    value: 1
  fc_layer_size:
    values: [128, 256, 512]
  learning_rate:
    distribution: uniform
    max: 0.1
    min: 0
  optimizer:
    values: ["adam", "sgd"]
early_terminate:
  type: hyperband
  min_iter: 3
"""


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: Text) -> None:
        self.texts.append(str(text))


def build(*params: str, network: str = "gmnet", **values: Any) -> SweepSettings:
    space = parse_params(params)
    return SweepSettings.from_dict({"data": "digits", "network": network, "param": space, **values})


def check_accepted(sweep: SweepSettings, params: dict[str, Any]) -> None:
    """Every value is inside its distribution, and the recipe and the network take it as it is."""
    own = resolve_network(sweep.network)[1]
    for name, value in params.items():
        one = sweep.space[name]
        if isinstance(one, Choice):
            assert value in one.values
        else:
            assert one.low <= value <= one.high
        if name in SETTINGS:
            assert getattr(build_recipe({name: value}), name) == value
    resolve_network(sweep.network, {k: v for k, v in params.items() if k in own})


# --- parameters ---------------------------------------------------------------------------------

_number = st.one_of(
    st.floats().map(repr),
    st.integers(-5, 1000).map(str),
    st.sampled_from(["1e-4", "1e-1", "0.5", "0", "1", "", "x", "1e999"]),
)
_range = st.builds(
    lambda kind, ends: ":".join([kind, *ends]),
    st.sampled_from(["log", "float", "int", "intlog", "uniform", ""]),
    st.lists(_number, min_size=1, max_size=4),
)
_list = st.lists(
    _number | st.sampled_from(["relu", "tanh", "sgd", "muon", "true", "false", "512+256", "none"]),
    min_size=1,
    max_size=4,
).map(",".join)
_name = st.sampled_from([*SETTINGS, "width", "dropout", "blocks", "dense", "activation", "lrr"])
_param = st.builds("{}={}".format, _name, _range | _list) | st.text(max_size=20)


@settings(max_examples=400)
@given(_param, st.sampled_from(NETWORKS), st.integers(0, 9))
def test_a_text_is_a_space_whose_draws_are_accepted_or_is_refused(
    param: str, network: str, seed: int
) -> None:
    try:
        sweep = build(param, network=network, trials=4, seed=seed)
    except ConfigError as error:
        assert str(error)
        return
    drawn = draw_trials(sweep)
    assert drawn
    for params in drawn:
        check_accepted(sweep, params)
    assert draw_trials(sweep) == drawn
    again = SweepSettings.from_dict(sweep.to_dict())
    assert again == sweep
    assert again.to_dict() == sweep.to_dict()


@settings(max_examples=60)
@given(st.floats(1e-6, 1.0), st.floats(1.0, 100.0), st.booleans(), st.integers(0, 2**31 - 1))
def test_draws_are_inside_and_known_to_optuna(
    low: float, high: float, log: bool, seed: int
) -> None:
    rng = random.Random(seed)
    one = FloatRange(low, high, log)
    whole = IntRange(max(1, int(low)), int(high), log, 1 if log else 3)
    for distribution in (one, whole):
        for _ in range(5):
            value = distribution.draw(rng)
            assert distribution.low <= value <= distribution.high
            assert distribution.to_optuna()._contains(value)
    assert parse_param(f"lr={one}") == ("lr", one)
    assert parse_param(f"width={whole}") == ("width", whole)


def test_a_stepped_range_is_a_list() -> None:
    assert build("dropout=float:0.1:0.45:0.1").space["dropout"] == Choice((0.1, 0.2, 0.3, 0.4))


def test_a_logarithmic_range_is_even_in_its_decades() -> None:
    rng = random.Random(1)
    drawn = [FloatRange(1e-4, 1e-1, log=True).draw(rng) for _ in range(3000)]
    for low in (1e-4, 1e-3, 1e-2):
        assert sum(low <= value < 10 * low for value in drawn) / 3000 == pytest.approx(
            1 / 3, abs=0.05
        )


@pytest.mark.parametrize(
    ("param", "said"),
    [
        ("lr", "name=values"),
        ("lr=", "name=values"),
        ("lr=0.1,,0.2", "empty value"),
        ("lr=log:0:1", "above 0"),
        ("lr=log:-1:1", "above 0"),
        ("lr=log:0.1:0.01", "empty"),
        ("width=int:512:64", "empty"),
        ("lr=0.1,0.10", "twice"),
        ("lr=float:0:0.1", "above 0"),
        ("lr=log:1e-4:1e3", "100"),
        ("lr=normal:0:1", "log:LOW:HIGH"),
        ("width=int:1.5:3", "whole numbers"),
        ("width=float:64:512", "int:LOW:HIGH"),
        ("learning=0.1", "unknown setting"),
        ("lrr=0.1", "did you mean lr"),
        ("activation=relu,gelu", "activation"),
        ("dropout=0.2,0.99", "0.95"),
        ("epochs=int:0:5", "epochs"),
        ("seed=1,2,3", "cannot be searched"),
        ("dropout=float:0.1:0.5:0", "step"),
        ("dropout=float:0.5:0.1:0.1", "empty"),
        ("dropout=float:0.1:0.5:1e-9", "1000"),
        ("lr=log:0.1:0.5:2", "log:LOW:HIGH"),
    ],
)
def test_bad_parameters_say_what_is_wrong(param: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(param)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"set": {"lr": 0.1}}, "both fixed"),
        ({"set": {"epocs": 3}}, "did you mean epochs"),
        ({"set": {"epochs": 0}}, "epochs"),
        ({"set": {"seed": 3}}, "--seed"),
        ({"set": 3}, "table"),
        ({"param": {}}, "nothing to search"),
        ({"param": {"lr": {"min": 1}}}, "list of values"),
        ({"param": {"lr": []}}, "no value"),
        ({"method": "bayes"}, "tpe"),
        ({"metric": "test_accuracy"}, "accuracy"),
        ({"pruner": "hyperband"}, "asha"),
        ({"trials": -1}, "trials"),
        ({"trials": "many"}, "trials"),
        ({"minutes": math.nan}, "minutes"),
        ({"finalists": 0}, "finalists"),
        ({"network": "gmnt"}, "did you mean gmnet"),
        ({"network": ""}, "--network"),
        ({"data": ""}, "--data"),
        ({"data": {"name": "digits", "vall": 3}}, "val"),
        ({"data": {"name": "digits", "val": "half"}}, "a share"),
        ({"trails": 8}, "did you mean trials"),
    ],
)
def test_bad_settings_say_what_is_wrong(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SweepSettings.from_dict(
            {"data": "digits", "network": "gmnet", "param": {"lr": [0.1, 0.01]}, **values}
        )


# --- what is drawn ------------------------------------------------------------------------------


def test_a_random_sweep_repeats_nothing_and_goes_on_with_the_same_list() -> None:
    few, many = build(*PUBLISHED, trials=8, seed=1), build(*PUBLISHED, trials=96, seed=1)
    drawn = draw_trials(many)
    assert draw_trials(few) == drawn[:8]
    assert len({tuple(one.values()) for one in drawn}) == 96  # every combination, each once
    assert draw_trials(build(*PUBLISHED, trials=8, seed=2)) != drawn[:8]
    assert len(draw_trials(build("lr=0.1,0.01", trials=8))) == 2


def test_a_grid_is_every_combination_or_a_choice_of_them() -> None:
    whole = build(*PUBLISHED, method="grid")
    every = draw_trials(whole)
    assert whole.trials == len(every) == 96
    assert every[0] == {"activation": "relu", "dropout": 0.2, "width": 120, "lr": 0.1}
    part = draw_trials(build(*PUBLISHED, method="grid", trials=10, seed=3))
    assert len({tuple(one.values()) for one in part}) == 10
    assert all(one in every for one in part)
    assert draw_trials(build("width=int:64:128:32", method="grid")) == [
        {"width": 64},
        {"width": 96},
        {"width": 128},
    ]
    with pytest.raises(ConfigError, match="random"):
        build("lr=log:1e-4:1e-1", method="grid")
    with pytest.raises(ConfigError, match="combinations"):
        build("width=int:1:60000", "batch_size=int:1:60000", method="grid")


# --- files --------------------------------------------------------------------------------------


def test_a_toml_file_is_what_to_dict_writes(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    sweep = build(*PUBLISHED, "translate=float:0:0.1", trials=8, seed=1, set={"epochs": "10"})
    path.write_text(tomli_w.dumps({"format": 1, **sweep.to_dict()}), encoding="utf-8")
    assert SweepSettings.from_dict(load_sweep_file(path)) == sweep


def test_flags_beat_the_file_entry_by_entry() -> None:
    file = {
        "data": "mnist",
        "network": "lenet5",
        "trials": 4,
        "set": {"epochs": 3, "flip": True},
        "param": {"lr": [0.1, 0.2]},
    }
    flags = {
        "data": {"val": 500},
        "network": "gmnet",
        "trials": None,
        "set": {"epochs": "5"},
        "param": parse_params(["width=64,128"]),
    }
    sweep = SweepSettings.from_dict(merge_values(file, flags))
    assert (sweep.data.name, sweep.data.val, sweep.network, sweep.trials) == (
        "mnist",
        500,
        "gmnet",
        4,
    )
    assert sweep.fixed == {"epochs": 5, "flip": True}
    assert list(sweep.space) == ["lr", "width"]


def test_a_recipe_file_fixes_everything_that_is_not_searched(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('network = "gmnet"\nepochs = 4\nlr = 0.5\nwidth = 64\n', encoding="utf-8")
    sweep = SweepSettings.from_dict(
        {"data": "digits", "recipe": str(path), "param": {"lr": [0.1, 0.01]}, "set": {"width": 80}}
    )
    assert sweep.network == "gmnet"
    assert (sweep.fixed["epochs"], sweep.fixed["width"]) == (4, 80)
    assert sweep.fixed["optimizer"] == "adamw"  # the default, not the kept recipe's muon
    assert not {"lr", "seed", "minutes", "device", "workers"} & set(sweep.fixed)


def read_wandb(tmp_path: Path, text: str) -> tuple[dict[str, Any], list[str]]:
    path, notes = tmp_path / "sweep.yaml", Notes()
    path.write_text(text, encoding="utf-8")
    return load_sweep_file(path, notes), notes.texts


def test_wandb_bayes_is_tpe(tmp_path: Path) -> None:
    values, notes = read_wandb(tmp_path, WANDB_BAYES)
    sweep = SweepSettings.from_dict({**values, "data": "digits", "network": "lenet5"})
    assert (sweep.method, sweep.metric, sweep.direction) == ("tpe", "loss", "minimize")
    assert sweep.space == {"lr": FloatRange(1e-4, 0.1), "optimizer": Choice(("adamw", "sgd"))}
    assert any("program" in note for note in notes)
    assert any("learning_rate" in note and "lr" in note for note in notes)
    assert any("adamw" in note for note in notes)


def test_wandb_random_with_quanta_and_hyperband(tmp_path: Path) -> None:
    values, notes = read_wandb(tmp_path, WANDB_RANDOM)
    sweep = SweepSettings.from_dict({**values, "data": "digits", "network": "gmnet"})
    assert (sweep.method, sweep.trials, sweep.pruner) == ("random", 6, "asha")
    assert sweep.fixed == {"epochs": 1}
    assert sweep.space["batch_size"] == IntRange(32, 256, log=True)
    assert sweep.space["width"] == Choice((128, 256, 512))
    assert sweep.space["lr"] == FloatRange(1e-7, 0.1)
    assert any("hyperband" in note for note in notes)
    for params in draw_trials(sweep):
        check_accepted(sweep, params)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (
            "lr: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}",
            FloatRange(1e-4, 0.1, True),
        ),
        ("lr: {distribution: log_uniform, min: -4, max: -1}", (math.exp(-4), math.exp(-1))),
        ("batch-size: {min: 16, max: 64}", IntRange(16, 64)),
        (
            "batch_size: {distribution: q_uniform, q: 16, min: 16, max: 70}",
            IntRange(16, 64, step=16),
        ),
        (
            "dropout: {distribution: q_uniform, q: 0.1, min: 0.1, max: 0.5}",
            Choice((0.1, 0.2, 0.3, 0.4, 0.5)),
        ),
        ("flip: {values: [true, false]}", Choice((True, False))),
        ("activation: {distribution: categorical, values: [ReLU, tanh]}", Choice(("relu", "tanh"))),
    ],
)
def test_wandb_distributions(tmp_path: Path, parameter: str, expected: Any) -> None:
    values, _notes = read_wandb(tmp_path, f"method: random\nparameters:\n  {parameter}\n")
    sweep = SweepSettings.from_dict({**values, "data": "digits", "network": "gmnet"})
    (one,) = sweep.space.values()
    if isinstance(expected, tuple):
        assert isinstance(one, FloatRange)
        assert one.log
        assert (one.low, one.high) == pytest.approx(expected)
    else:
        assert one == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parameters: [lr]", "parameters"),
        ("method: random", "no 'parameters'"),
        ("a: [", "not valid YAML"),
        ("- 1", "no 'parameters'"),
        ("method: sobol\nparameters: {lr: {value: 1}}", "sobol"),
        ("methods: grid\nparameters: {lr: {value: 1}}", "did you mean method"),
        ("metric: {name: test_accuracy}\nparameters: {lr: {value: 1}}", "validation"),
        ("metric: {name: val_acc, goal: minimize}\nparameters: {lr: {value: 1}}", "maximize"),
        ("metric: {name: val_acc, target: 0.9}\nparameters: {lr: {value: 1}}", "metric.target"),
        ("early_terminate: {type: envelope}\nparameters: {lr: {value: 1}}", "hyperband"),
        ("parameters: {lr: {distribution: normal, mu: 0, sigma: 1}}", "normal"),
        ("parameters: {lr: {min: 0.1}}", "no 'max'"),
        ("parameters: {lr: {min: a, max: b}}", "no number"),
        ("parameters: {lr: {values: []}}", "no list"),
        ("parameters: {lr: {values: [1], probabilities: [1]}}", "lr.probabilities"),
        ("parameters: {lr: {value: 1}, learning_rate: {value: 2}}", "twice"),
        ("parameters: {opts: {parameters: {lr: {value: 1}}}}", "side by side"),
        ("parameters: {lr: 3}", "a mapping"),
        ("parameters: {lr: {distribution: log_uniform, min: 1, max: 1e6}}", "exponents"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_wandb(tmp_path, text)


@settings(max_examples=60)
@given(content=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("files")
    for suffix in (".toml", ".yaml"):
        path = folder / f"s{suffix}"
        path.write_bytes(content)
        try:
            SweepSettings.from_dict(load_sweep_file(path))
        except OlharError as error:
            assert str(error)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="nowhere"):
        load_sweep_file(tmp_path / "nowhere.toml")


# --- the command --------------------------------------------------------------------------------


def test_the_command_refuses_before_anything_starts(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    sweep_command.add_command(parser.add_subparsers())
    for words, kind, said in (
        (["--param", "lrr=1,2"], UnknownNameError, "did you mean lr"),
        (["--param", "lr=log:0:1"], ConfigError, "above 0"),
        (["--param", "lr=0.1,0.2", "--set", "lr=0.3"], ConfigError, "both fixed"),
        (["--param", "lr=0.1,0.2", "--trials", "some"], ConfigError, "--trials"),
        (["--param", "lr=0.1,0.2", "--workers", "0"], ConfigError, "--workers"),
        (["--param", "lr=0.1,0.2", "--engine", "rai"], UnknownNameError, "did you mean ray"),
        (["--param", "lr=0.1", "--param", "lr=0.2"], ConfigError, "given twice"),
        (["--param", "lr=0.1,0.2", "--set", "minutes=3"], ConfigError, "whole sweep"),
    ):
        out = tmp_path / "out"
        asked = ["sweep", "--data", "digits", "--network", "lenet5", "--out", str(out), *words]
        args = parser.parse_args(asked)
        with pytest.raises(kind, match=said):
            args.run_command(args)
        assert not out.exists()


def test_settings_need_neither_torch_nor_optuna() -> None:
    code = (
        "import sys; import olhar.sweep.settings, olhar.cli.sweep; "
        "assert not {'torch', 'optuna', 'yaml', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
