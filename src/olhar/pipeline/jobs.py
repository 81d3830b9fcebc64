"""From what was asked for to a job: settings first, then data, then the machine.

Settings are checked before data is read, and data before torch is loaded.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from olhar._version import __version__
from olhar.data_settings import DATA, DataSettings
from olhar.datasets import NAMED, Dataset, Splits
from olhar.errors import ConfigError, ModelError
from olhar.i18n import _, number, significant
from olhar.networks.backbones import split_adapter
from olhar.networks.specs import SETTINGS as NETWORK
from olhar.networks.specs import NetworkSpec, resolve_network, takes_any_size
from olhar.pipeline.backbone import Origin, Transfer, mode_of
from olhar.pipeline.continuing import check_classes
from olhar.pipeline.estimating import check_folds, check_pool
from olhar.pipeline.fitting import build_training
from olhar.pipeline.inputs import Job, check_fingerprint, check_groups, data_table, open_inputs
from olhar.pipeline.launch import check_shareable, describe_group, note_other_size, own_machine
from olhar.pipeline.suited import balanced_recipe, windowed_recipe
from olhar.pipeline.where import BEGUN_IN, from_there, locate_data, present_folder, record_data
from olhar.preprocess import Preprocess
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.settings import YesNo
from olhar.shown import hide_secrets
from olhar.training.recipe import (
    SETTINGS,
    Recipe,
    Resources,
    build_recipe,
    build_settings,
    divide_settings,
    kept_recipe,
    load_recipe_file,
    read_settings,
    suited_recipe,
)

if TYPE_CHECKING:
    from olhar.training.fit import FitState

DEFAULT_NETWORK = "olhar-small"
_AFTER_TRAINING_S = 15.0  # saving, measuring and drawing
_MOST_EPOCHS = 300  # more of them teach a small network nothing

Inputs = tuple[Dataset, Splits, NetworkSpec, Preprocess]


@dataclass(frozen=True)
class Plan:
    """What was asked for, checked, before any data was read.

    Attributes:
        data: which data, and how it is divided.
        network: canonical name.
        network_settings: every setting of the network with its value.
        recipe: what it does, with what was asked for.
        resources: how it runs.
        asked: settings of recipe and resources that were asked for.
        own: settings of the network that were asked for.
        origin: the backbone, where there is one.
        choice: how the mode was chosen, for config.toml; empty where it was named.
    """

    data: DataSettings
    network: str
    network_settings: Mapping[str, Any]
    recipe: Recipe
    resources: Resources
    asked: Mapping[str, Any]
    own: Mapping[str, Any]
    origin: Origin | None = None
    choice: Mapping[str, Any] = field(default_factory=dict)

    @property
    def transfer(self) -> Transfer | None:
        """What config.toml says of the backbone."""
        return self.origin.transfer if self.origin else None


def plan_training(
    data: DataSettings,
    network: str | None,
    recipe: Path | str | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    progress: Progress,
    origin: Origin | None = None,
) -> Plan:
    """Check what was asked for.

    Args:
        data: which data; it is not looked at.
        network: a name as typed; None takes the recipe's, else the usual one.
        recipe: a recipe file or its settings, instead of the kept ones for this network and data.
        settings: of recipe and network; they beat those of `recipe`.
        progress: hears of what was chosen.
        origin: a backbone, instead of a network.

    Raises:
        ConfigError: a setting that does not exist or cannot be used.
    """
    chosen, asked = _asked(network, recipe, settings, progress, origin)
    if origin is None:
        canonical, network_settings = _resolve(chosen, asked, progress)
    else:
        canonical, network_settings = origin.network, dict(origin.settings)
    wanted, own = divide_settings(asked, () if origin else network_settings, canonical)
    kept: dict[str, Any] = {}
    if origin is not None:
        kept = _kept_for(canonical, data.name, origin.transfer)
        origin.transfer.mode.check_settings(wanted)
    elif recipe is None:
        kept, kept_own = _kept(canonical, data.name)
        network_settings = resolve_network(canonical, {**kept_own, **own})[1]
    check_folds(data.folds or 1, mode_of(origin.transfer if origin else None))
    final, resources = build_settings({**kept, **wanted})
    if resources.minutes and "epochs" in wanted:
        raise ConfigError(
            _("epochs and minutes cannot both be given: minutes chooses the epochs that fit")
        )
    return Plan(data, canonical, network_settings, final, resources, wanted, own, origin)


def open_plan(plan: Plan, progress: Progress) -> Inputs:
    """The plan's data, divided and prepared for its network; its recipe suits the network.

    Raises:
        DataError: data that cannot be used.
        ConfigError: a recipe that the network cannot follow.
    """
    given, data = None, plan.data
    if plan.origin is not None:
        given = partial(plan.origin.preprocess_for, data.size, data.resize)
    inputs = open_inputs(
        data,
        plan.network,
        plan.network_settings,
        progress,
        plan.resources.workers,
        given,
        lazily=mode_of(plan.transfer).reads_once,
    )
    _check_suits(plan.recipe, inputs[2])
    return inputs


def prepare_job(
    plan: Plan, inputs: Inputs, path: Path, progress: Progress, *, threads: int | None = None
) -> Job:
    """A job with all that its recipe leaves to the data and to the machine decided.

    Args:
        plan: what was asked for.
        inputs: of `open_plan`.
        path: the run folder that it is to have; it is not made.
        progress: hears of what was chosen.
        threads: of torch, on the CPU; None is one a core.
    """
    from olhar.training.machine import choose_machine

    dataset, splits, spec, preprocess = inputs
    mode = mode_of(plan.transfer)
    precision = plan.recipe.precision if mode.has_steps else "fp32"
    machine = own_machine(choose_machine(spec, plan.resources.device, precision))
    if threads is not None:
        machine = dataclasses.replace(machine, threads=threads)
    # Without steps a batch size and a learning rate suit nothing.
    fixed = plan.asked if mode.has_steps else {*plan.asked, "batch_size", "lr"}
    recipe = mode.suited_recipe(plan.recipe, plan.asked, len(dataset))
    recipe = suited_recipe(recipe, fixed, len(splits.train), spec.channels)
    recipe = balanced_recipe(recipe, dataset.labels[splits.train], progress)
    if mode.has_steps and not mode.keeps_front:
        recipe = windowed_recipe(recipe, dataset, progress)
    check_shareable(recipe, plan.resources, len(splits.train))
    folder = RunFolder(path)
    job = Job(
        folder, dataset, splits, spec, preprocess, recipe, plan.resources, machine, plan.transfer
    )
    if plan.transfer is not None:
        from olhar.pipeline.transfer import check_backbone

        check_classes(job)
        check_backbone(job)
    check_pool(job, plan.data.folds or 1)
    return _timed(job, progress) if plan.resources.minutes else job


def describe_job(plan: Plan, job: Job) -> dict[str, Any]:
    """The content of config.toml."""
    from olhar.training.machine import describe_machine

    return {
        "olhar": __version__,
        BEGUN_IN: present_folder(),
        "command": repeating_command(plan, job.recipe, job.folder.path),
        "data": data_table(plan.data, job.dataset, job.splits),
        "network": job.spec.to_dict(),
        "preprocess": job.preprocess.to_dict(),
        **({"transfer": job.transfer.to_dict()} if job.transfer else {}),
        **({"choice": dict(plan.choice)} if plan.choice else {}),
        "recipe": job.recipe.to_dict(),
        "resources": job.resources.to_dict(),
        "machine": {**describe_machine(job.machine), **describe_group()},
    }


def load_job(
    folder: RunFolder, progress: Progress, data: str | None = None
) -> tuple[Job, FitState | None]:
    """The job of a run folder, and where its training was cut off; None before its first epoch.

    Args:
        folder: of the run.
        progress: hears of the progress.
        data: where the data of the run is now; by default where it was.

    Raises:
        MissingFileError: this is no run folder.
        ModelError: it is damaged.
        DataError: the data is not what it was.
    """
    from olhar.training.checkpoint import load_checkpoint
    from olhar.training.machine import Machine, check_device

    config = folder.read_config()
    try:
        table, network = config["data"], config["network"]
        place = str(config.get(BEGUN_IN, ""))
        recipe, resources = read_settings(config)
        keys = [field.name for field in dataclasses.fields(Machine)]
        machine = Machine(**{key: config["machine"][key] for key in keys})
        fingerprint = table["fingerprint"]
        transfer = Transfer.from_dict(config["transfer"]) if "transfer" in config else None
        preprocess = Preprocess.from_dict(config["preprocess"]) if transfer else None
        data_settings = DataSettings.recorded(
            locate_data(table, place) if data is None else {**table, "name": data}
        )
    except (KeyError, TypeError) as error:
        raise ModelError(
            _("'{path}' is damaged: {reason}", path=folder.config, reason=repr(error))
        ) from error
    check_device(machine.device)
    machine = own_machine(machine)
    note_other_size(config["machine"], progress)
    folder.remove_asides()
    dataset, splits, spec, prepared = open_inputs(
        data_settings,
        network["name"],
        network["settings"],
        progress,
        resources.workers,
        (lambda _side: preprocess) if preprocess else None,
        lazily=mode_of(transfer).reads_once,
    )
    check_fingerprint(dataset, fingerprint)
    check_groups(splits, table)
    if data is None:
        dataset = dataclasses.replace(dataset, name=table["name"])
    else:
        record_data(folder, config, data)
    if transfer and transfer.weights:
        transfer = dataclasses.replace(transfer, weights=from_there(transfer.weights, place))
    state = load_checkpoint(folder.checkpoint) if folder.checkpoint.is_file() else None
    job = Job(folder, dataset, splits, spec, prepared, recipe, resources, machine, transfer)
    return job, state


def _asked(
    network: str | None,
    recipe: Path | str | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    progress: Progress,
    origin: Origin | None,
) -> tuple[str, dict[str, Any]]:
    """The network's name, and all settings that were asked for."""
    given = load_recipe_file(Path(recipe)) if isinstance(recipe, str | Path) else dict(recipe or {})
    named = network or given.pop("network", None)
    given.pop("network", None)
    if origin is not None and named:
        raise ConfigError(
            _(
                "--network {network} and --backbone {backbone} are both given, and a backbone is a "
                "network; give one of them",
                network=named,
                backbone=origin.transfer.backbone,
            )
        )
    if origin is None and not named:
        progress.note(_("no network named; taking {name}", name=DEFAULT_NETWORK))
    asked = {**given, **settings}
    return str(named or DEFAULT_NETWORK), asked


def _check_suits(recipe: Recipe, spec: NetworkSpec) -> None:
    """Refuse a recipe that the network cannot follow."""
    if recipe.early_share and not takes_any_size(spec):
        raise ConfigError(
            _(
                "early_share is {given}, but network {name} takes images of {size} pixels only; "
                "use --set early_share=0 or a network that takes any size, such as olhar-small",
                given=recipe.early_share,
                name=spec.name,
                size=spec.size,
            )
        )


def _timed(job: Job, progress: Progress) -> Job:
    """The job with as many epochs as fit into its minutes, measured on this machine."""
    from olhar.training.fit import measure_epoch_s

    epoch_s = measure_epoch_s(build_training(job))
    available_s = 60 * job.resources.minutes - _AFTER_TRAINING_S
    epochs = int(np.clip(available_s / epoch_s, 1, _MOST_EPOCHS))
    progress.note(
        _(
            "epochs that fit into {minutes} min: {epochs}; one takes about {seconds} s here",
            epochs=epochs,
            minutes=significant(job.resources.minutes, 6),
            seconds=number(epoch_s, 2),
        )
    )
    return dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, epochs=epochs))


def _resolve(
    name: str, settings: Mapping[str, Any], progress: Progress
) -> tuple[str, dict[str, Any]]:
    """The canonical network of a name as typed, with the network settings among `settings`."""
    canonical, defaults, typed = resolve_network(name)
    if typed is not None:
        progress.note(_("'{typed}' is read as {name}", typed=typed, name=canonical))
    own = divide_settings(settings, defaults, canonical)[1]
    canonical, values, _typed = resolve_network(name, own)
    return canonical, values


def repeating_command(plan: Plan, recipe: Recipe, run: Path) -> str:
    """The command that repeats a run, with this version of olhar and this data.

    Every setting is in it that was asked for, or that is not what the kept recipe says; of the
    minutes the epochs that they have come to.
    """
    data, network = plan.data, plan.network
    words = ["olhar", "train", "--data", hide_secrets(data.name)]
    words += plan.transfer.words() if plan.transfer else ["--network", network]
    words += ["--run", run.as_posix()]
    for one in DATA.values():
        value = getattr(data, one.name)
        if value != one.default:
            words += [one.flag, *([] if isinstance(one.kind, YesNo) else [one.write(value)])]
    kept = build_recipe(_kept_for(network, data.name, plan.transfer)).to_dict()
    used = {**recipe.to_dict(), **plan.resources.to_dict()}
    changed = {key for key in kept if used[key] != kept[key]}
    asked = [key for key in used if key in {*plan.asked, *changed} - {"minutes"}]
    for key, value in {**{key: used[key] for key in asked}, **plan.own}.items():
        words += ["--set", f"{key}={(SETTINGS | NETWORK)[key].write(value)}"]
    return shlex.join(words)


def _kept(network: str, data: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is kept for a network on a named data set or on photos: of recipe, and of network."""
    settings = kept_recipe(network, data if data in NAMED else "photos")
    own = () if split_adapter(network)[0] else resolve_network(network)[1]
    return divide_settings(settings, own, network)


def _kept_for(network: str, data: str, transfer: Transfer | None) -> dict[str, Any]:
    """What is kept of the recipe for a network on this data, or for what is done with a backbone."""
    recipe = mode_of(transfer).recipe
    return _kept(network, data)[0] if recipe is None else dict(recipe)
