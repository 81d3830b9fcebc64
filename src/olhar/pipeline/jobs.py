"""From a plan to a job: its data is opened, then the machine chosen; and the job of a run that there is.

Data is checked before torch is loaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar._version import __version__
from olhar.data_settings import DataSettings
from olhar.datasets import Source, open_source
from olhar.errors import ConfigError, ModelError
from olhar.i18n import _
from olhar.networks.specs import NetworkSpec, takes_any_size
from olhar.pipeline.backbone import Transfer, mode_of
from olhar.pipeline.continuing import check_classes
from olhar.pipeline.estimating import check_pool
from olhar.pipeline.inputs import (
    Inputs,
    Job,
    check_fingerprint,
    check_groups,
    data_table,
    open_inputs,
)
from olhar.pipeline.launch import check_shareable, describe_group, note_other_size, own_machine
from olhar.pipeline.plan import Plan, repeating_command
from olhar.pipeline.suited import balanced_recipe, windowed_recipe
from olhar.pipeline.teaching import find_teacher, open_teacher
from olhar.pipeline.where import BEGUN_IN, from_there, locate_data, present_folder, record_data
from olhar.preprocess import Preprocess
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.training.recipe import (
    Recipe,
    read_settings,
    suited_recipe,
)

if TYPE_CHECKING:
    from olhar.training.fit import FitState


def open_plan(plan: Plan, source: Source, progress: Progress) -> Inputs:
    """The plan's data, divided and prepared for its network; its recipe suits the network.

    Args:
        plan: what was asked for.
        source: its data, opened.
        progress: hears of the progress.

    Raises:
        DataError: data that cannot be used.
        ConfigError: a recipe that the network cannot follow.
    """
    given, data = None, plan.data
    if plan.origin is not None:
        given = partial(plan.origin.preprocess_for, data.size, data.resize)
    inputs = open_inputs(
        source,
        data,
        plan.network,
        plan.network_settings,
        progress,
        plan.resources.workers,
        given,
        lazily=mode_of(plan.transfer).reads_once,
    )
    _check_suits(plan.recipe, inputs.spec)
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

    _source, dataset, splits, opened, preprocess = inputs
    spec = dataclasses.replace(opened, settings=plan.network_settings)  # another mode has others
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
    check_shareable(recipe, len(splits.train))
    teacher = find_teacher(recipe.teacher, mode, plan.data, dataset.class_names)
    job = Job(
        RunFolder(path),
        dataset,
        splits,
        spec,
        preprocess,
        recipe,
        plan.resources,
        machine,
        plan.transfer,
        teacher,
    )
    if plan.transfer is not None:
        from olhar.pipeline.transfer import check_backbone

        check_classes(job)
        check_backbone(job)
    check_pool(job, plan.data.folds or 1)
    return job


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
        **({"teacher": {"sha256": job.teacher.sha256}} if job.teacher else {}),
        "recipe": job.recipe.to_dict(),
        "resources": job.resources.to_dict(),
        "machine": {**describe_machine(job.machine), **describe_group()},
    }


def _with_teacher(job: Job, config: Mapping[str, Any], data: DataSettings) -> Job:
    """The job with the teacher that its config.toml names, found from here; as it is without one."""
    if not job.recipe.teacher:
        return job
    path = from_there(job.recipe.teacher, str(config.get(BEGUN_IN, "")))
    return dataclasses.replace(job, teacher=open_teacher(path, data, config["teacher"]["sha256"]))


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
    _source, dataset, splits, spec, prepared = open_inputs(
        open_source(data_settings, progress),
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
    return _with_teacher(job, config, data_settings), state


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
