"""A run that has ended is trained further: its weights, network, classes, preprocess, data and recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar.classifier import load_classifier
from olhar.data_settings import DATA, DataSettings
from olhar.errors import ConfigError, DataError
from olhar.i18n import _
from olhar.pipeline.backbone import Origin, open_backbone
from olhar.pipeline.where import BEGUN_IN, locate_data
from olhar.progress import Progress
from olhar.run import RunFolder
from olhar.training.modes import CONTINUE, FINETUNE, MODES
from olhar.training.recipe import read_settings

if TYPE_CHECKING:
    from olhar.pipeline.inputs import Job


def plan_continuing(
    run: Path | str, data: str | None, settings: Mapping[str, Any], progress: Progress
) -> tuple[DataSettings, Origin, dict[str, Any]]:
    """What is trained where a run is gone on with.

    Args:
        run: the folder of a run that has ended.
        data: other data with the same classes; by default the run's own.
        settings: of data and recipe, that beat the run's.
        progress: hears of what was chosen.

    Returns:
        Which data, whose weights, and all settings of the recipe.

    Raises:
        MissingFileError: it is no run folder, or has not ended, or its data is not where it was.
        ConfigError: a setting that cannot be used.
    """
    folder = RunFolder(Path(run).expanduser())
    config = folder.read_config()
    origin = open_backbone(str(folder.path.absolute()), None, CONTINUE.name, progress)
    kept = {**config["data"], "name": data}
    if data is None:
        kept = locate_data(config["data"], str(config.get(BEGUN_IN, "")))
    given = {key: value for key, value in settings.items() if key in DATA}
    if "size" in given and int(given["size"]) != origin.preprocess.size:
        raise ConfigError(
            _(
                "--size is {given}, but the run that is gone on with has {size}; leave it out",
                given=given["size"],
                size=origin.preprocess.size,
            )
        )
    wanted = DataSettings.recorded({**kept, **given})
    before = MODES.get(config.get("transfer", {}).get("mode", ""))
    if before is not None and (before.keeps_front or not before.has_steps):
        recipe = dict(FINETUNE.recipe or {})  # its own is of the last layers alone
    else:
        recipe = {**read_settings(config)[0].to_dict()}
    if settings.get("minutes"):
        recipe.pop("epochs", None)
    own = {key: value for key, value in settings.items() if key not in DATA}
    return wanted, origin, {**recipe, **own}


def check_classes(job: Job) -> None:
    """Refuse data whose classes are not those of the run that is gone on with.

    Raises:
        DataError: they differ, if only in their order.
    """
    if job.transfer is None or not job.mode.continues:
        return
    known = load_classifier(Path(job.transfer.weights).parent).class_names
    if job.dataset.class_names != known:
        raise DataError(
            _(
                "the classes differ: '{name}' has {given}; the run that is gone on with knows {known}; "
                "for other classes use --backbone RUN --mode finetune",
                name=job.dataset.name,
                given=", ".join(job.dataset.class_names),
                known=", ".join(known),
            )
        )


def warns_of_outliers(job: Job) -> bool:
    """Whether the run that is gone on with does."""
    assert job.transfer is not None
    folder = Path(job.transfer.weights).parent
    return load_classifier(folder).neighbours is not None
