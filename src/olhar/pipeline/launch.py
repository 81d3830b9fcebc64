"""How many processes a training was launched with, what each may use, and what they cannot share.

Does not know: how they train together (see group).
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar.errors import ConfigError
from olhar.i18n import _
from olhar.progress import Progress
from olhar.run import NEW, RunFolder
from olhar.training.recipe import Recipe

if TYPE_CHECKING:
    from olhar.training.machine import Machine


def own_machine(machine: Machine) -> Machine:
    """The machine for this process: of several on one machine, each has its share of it."""
    from olhar.training.distributed import current_group

    group = current_group()
    return machine if group is None else group.own_machine(machine)


def describe_group() -> dict[str, Any]:
    """What config.toml says of the processes of a run; nothing where there is one."""
    from olhar.training.distributed import current_group

    group = current_group()
    if group is None:
        return {}
    return {"world_size": group.place.size, "launch": _launch()}


def note_other_size(recorded: Mapping[str, Any], progress: Progress) -> None:
    """Say so where a run is resumed by another number of processes than it began with."""
    before, now = recorded.get("world_size", 1), describe_group().get("world_size", 1)
    if before != now:
        progress.note(
            _(
                "this run began with {before} processes and goes on with {now}: it ends in other "
                "weights, as with another seed",
                before=before,
                now=now,
            )
        )


def check_shareable(recipe: Recipe, images: int) -> None:
    """Raise ConfigError for a training that several processes cannot share, where there are several.

    Args:
        recipe: of the training.
        images: how many train.
    """
    size = describe_group().get("world_size", 1)
    if min(recipe.batch_size, images) < size:
        raise ConfigError(
            _(
                "a batch of {batch} images cannot be shared by {size} processes; "
                "use a larger --batch-size or fewer processes",
                batch=min(recipe.batch_size, images),
                size=size,
            )
        )


def run_to_go_on_with(run: Path | str | None) -> Path | None:
    """The run folder that torchrun's earlier attempt at this command has begun.

    Raises:
        ConfigError: torchrun may start again, and would not know which run to go on with.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None
    if run is None and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0:
        raise ConfigError(
            _("with --max-restarts olhar must know which run to go on with: give --run FOLDER")
        )
    if run is None or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0:
        return None
    for path in (Path(f"{run}{NEW}"), Path(run)):  # the first where it is to replace the second
        folder = RunFolder(path)
        if folder.config.is_file() and _is_of_this_launch(folder):
            return path
    return None


def _is_of_this_launch(folder: RunFolder) -> bool:
    return bool(folder.read_config().get("machine", {}).get("launch") == _launch())


def _launch() -> str:
    """Names one call of torchrun, over all its restarts; it is the parent of this process."""
    run_id = os.environ.get("TORCHELASTIC_RUN_ID", "")
    name = f"{run_id}/{socket.gethostname()}/{os.getppid()}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]
