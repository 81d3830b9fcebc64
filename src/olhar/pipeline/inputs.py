"""What a training is made of: data divided and prepared, a network that fits it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from olhar.data_settings import DataSettings, SourceSettings, source_settings
from olhar.datasets import (
    NAMED_SHAPES,
    Dataset,
    Source,
    Splits,
    divide,
    match_class_names,
    open_source,
    prepare_dataset,
    split_dataset,
)
from olhar.errors import ConfigError, DataError, MissingExtraError
from olhar.i18n import _
from olhar.networks.backbones import BACKBONES
from olhar.networks.specs import (
    LISTED,
    NetworkSpec,
    check_size,
    count_parameters,
    native_size,
    network_source,
    resolve_network,
)
from olhar.pipeline.backbone import Transfer, mode_of
from olhar.preprocess import Framing, Preprocess, border_range, channel_statistics
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.shown import hide_secrets
from olhar.training.modes import Mode
from olhar.training.recipe import Recipe, Resources

if TYPE_CHECKING:
    from olhar.training.machine import Machine

_SET_ASIDE_NAMED = 100  # in config.toml; the count is of all


GivenPreprocess = Callable[[int], Preprocess]


@dataclass(frozen=True)
class Teacher:
    """A model whose answers about the training images are learnt from.

    Attributes:
        model: a run folder, or a `model/` folder.
        sha256: of its config.json, which has those of its other files.
        data: the images, which it sees in its own size.
    """

    model: str
    sha256: str
    data: DataSettings


@dataclass(frozen=True)
class Job:
    """All that a training is made of, accepted and ready; `transfer` where it has a backbone."""

    folder: RunFolder
    dataset: Dataset
    splits: Splits
    spec: NetworkSpec
    preprocess: Preprocess
    recipe: Recipe
    resources: Resources
    machine: Machine
    transfer: Transfer | None = None
    teacher: Teacher | None = None

    @property
    def mode(self) -> Mode:
        """How it is trained."""
        return mode_of(self.transfer)


class Inputs(NamedTuple):
    """Data divided and prepared for a network: what it was opened as, and all that follows from it."""

    source: Source
    dataset: Dataset
    splits: Splits
    spec: NetworkSpec
    preprocess: Preprocess


def open_inputs(
    source: Source,
    wanted: DataSettings,
    network: str,
    network_settings: Mapping[str, Any],
    progress: Progress,
    workers: int,
    given: GivenPreprocess | None = None,
    *,
    lazily: bool = False,
) -> Inputs:
    """Divide and prepare data for a network; everything but torch can refuse here.

    Args:
        source: the data, as `datasets.open_source` gives it.
        wanted: how it is divided and prepared.
        network: canonical name.
        network_settings: every setting of it.
        progress: hears of the progress.
        workers: processes that decode photos; 0 means one a core.
        given: the side of an image → the preprocess that a backbone expects; by default it follows
            from the training images.
        lazily: see datasets.prepare_dataset.
    """
    channels, height, width = source.image_shape
    side = min(height, width)
    if given is not None:
        framing: Framing = given(side)
        _check_channels(network, wanted.channels, framing.channels)
    else:
        channels = channels if wanted.channels is None else wanted.channels
        channels = 3 if network in BACKBONES else channels
        size = native_size(network, side) if wanted.size is None else wanted.size
        framing = Framing(size, channels, resize=wanted.resize)
    spec = NetworkSpec(
        network, network_settings, framing.size, framing.channels, source.num_classes
    )
    check_size(spec)
    # Refuses before photos are decoded.
    split_dataset(source, val=wanted.val, test=wanted.test, split_seed=wanted.split_seed)
    dataset = prepare_dataset(source, framing, progress, workers, lazily=lazily)
    splits = divide(source, dataset, wanted, progress, workers)
    if dataset.files:
        counts = splits.sizes()
        progress.note(_("photos: {train} to train, {val} to validate, {test} to test", **counts))
    if isinstance(framing, Preprocess):
        return Inputs(source, dataset, splits, spec, framing)
    mean, std = channel_statistics(dataset.images, splits.train)
    border = border_range(dataset.images, splits.train)
    preprocess = Preprocess(
        framing.size, framing.channels, mean, std, resize=framing.resize, border=border
    )
    return Inputs(source, dataset, splits, spec, preprocess)


def _check_channels(network: str, asked: int | None, channels: int) -> None:
    if asked not in {None, channels}:
        raise ConfigError(
            _(
                "channels is {given}, but this backbone ({network}) takes {channels}; leave "
                "--channels out: images are converted",
                given=asked,
                network=network,
                channels=channels,
            )
        )


def source_of(table: Mapping[str, Any], data: str | None = None, **reading: Any) -> SourceSettings:
    """Where the data of a [data] table is, and how it is read; or other data, named instead.

    Args:
        table: of the model or run.
        data: other data; its classes are distinct where the model's are.
        **reading: how it is read.
    """
    own = dict(table)
    if data is not None and data != table["name"]:
        own = {"name": data}
        if "distinct_classes" in table:
            own["distinct_classes"] = table["distinct_classes"]
    return SourceSettings.pick({**own, **source_settings(reading)})


def splits_of(
    source: Source, dataset: Dataset, table: Mapping[str, Any], progress: Progress
) -> Splits:
    """The splits of the model's own run where this is its data, else the data's own.

    Args:
        source: as open_source gives it.
        dataset: the same, prepared.
        table: the [data] table of the run.
        progress: hears of the progress.

    Raises:
        DataError: its groups are not what they were.
    """
    if dataset.fingerprint == table["fingerprint"]:
        splits = divide(source, dataset, DataSettings.recorded(table), progress)
        check_groups(splits, table)
        return splits
    progress.note(
        _(
            "this is other data than the model was trained on ({name}); its own splits are used; "
            "--split all measures on all of it",
            name=table["name"],
        )
    )
    return split_dataset(dataset)


def class_order(source: Source, class_names: tuple[str, ...]) -> NDArray[np.int64]:
    """The model's index of each class of the data, (K,) int64; the model may know more."""
    order = match_class_names(source.class_names, class_names)
    if None in order:
        raise DataError(
            _(
                "the classes differ: '{name}' has {given}; the model knows {known}",
                name=source.name,
                given=", ".join(source.class_names),
                known=", ".join(class_names),
            )
        )
    return np.array(order, np.int64)


def data_table(wanted: DataSettings, dataset: Dataset, splits: Splits) -> dict[str, Any]:
    """The [data] table of config.toml."""
    settings = {**wanted.to_dict(), "name": hide_secrets(wanted.name)}
    table = {**settings, "fingerprint": dataset.fingerprint, "sizes": splits.sizes()}
    if splits.facts:
        table["grouped"] = dict(splits.facts)
    if dataset.set_aside:
        files = [file for file, _reason in dataset.set_aside[:_SET_ASIDE_NAMED]]
        table["set_aside"] = {"count": len(dataset.set_aside), "files": files}
    return table


def check_fingerprint(dataset: Dataset, expected: str) -> None:
    """Raise DataError if the data is not what it was when a run began."""
    if dataset.fingerprint != expected:
        raise DataError(
            _(
                "data set '{name}' is not what it was when the run began (fingerprint {found}…, "
                "then {expected}…); bring the old data back or start a new run",
                name=dataset.name,
                found=dataset.fingerprint[:12],
                expected=expected[:12],
            )
        )


def check_groups(splits: Splits, table: Mapping[str, Any]) -> None:
    """Raise DataError if the groups of the data are not what they were when a run began."""
    expected = table.get("grouped", {}).get("digest", "")
    if splits.facts.get("digest", "") != expected:
        raise DataError(
            _(
                "the groups of photos in '{name}' are not what they were when the run began, so the same "
                "split cannot be made; bring the old groups (groups.csv, or the table) back, or start "
                "a new run",
                name=table["name"],
            )
        )


def require_training() -> None:
    """Raise MissingExtraError, naming them, if libraries of olhar[train] are not installed."""
    modules = {"scikit-learn": "sklearn"}
    missing = [
        name
        for name in ("torch", "onnx", "matplotlib", "scikit-learn")
        if importlib.util.find_spec(modules.get(name, name)) is None
    ]
    if missing:
        raise MissingExtraError(
            _(
                "training needs {libraries}, which this installation does not have: "
                'pip install "olhar[train]"',
                libraries=", ".join(missing),
            )
        )


def list_networks(data: str, **reading: Any) -> list[dict[str, Any]]:
    """The listed networks with their parameter counts for a data set's images and classes.

    A named set need not be there: what its images are like is known.

    Args:
        data: name of a data set, or path of a folder of photos.
        **reading: how a table is read (see data_settings.SourceSettings).

    Returns:
        name, input [C, H, W], parameters (running statistics included), trainable_parameters,
        source (a text); one dict a network.
    """
    if data in NAMED_SHAPES:
        (channels, height, width), num_classes = NAMED_SHAPES[data]
    else:
        source = open_source(SourceSettings(data, **source_settings(reading)))
        (channels, height, width), num_classes = source.image_shape, source.num_classes
    rows = []
    for name in (*LISTED, *BACKBONES):
        canonical, settings, _typed = resolve_network(name)
        size = native_size(canonical, min(height, width))
        taken = 3 if canonical in BACKBONES else channels
        spec = NetworkSpec(canonical, settings, size, taken, num_classes)
        parameters, trainable = count_parameters(spec)
        rows.append(
            {
                "name": canonical,
                "input": list(spec.input_shape()),
                "parameters": parameters,
                "trainable_parameters": trainable,
                "source": network_source(canonical),
            }
        )
    return rows
