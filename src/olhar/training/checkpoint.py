"""A checkpoint: one safetensors file that holds all that a training needs to go on."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from olhar.errors import ModelError, explain_os_errors
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.training.fit import FitState, Weights


def save_checkpoint(path: Path, state: FitState) -> None:
    """Write `state` to `path`, aside first."""
    tensors: Weights = {}
    for room in ("network", "optimizer", "best"):
        if room == "best" and state.best_epoch == state.epoch:
            continue  # the same as "network"
        for name, value in getattr(state, room).items():
            tensors[f"{room}.{name}"] = value.contiguous().cpu()
    facts = {
        "format": 1,
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "history": state.history,
    }
    write_atomic(path, save(tensors, metadata={"olhar": json.dumps(facts)}))


def load_checkpoint(path: Path) -> FitState:
    """The state that `save_checkpoint` wrote.

    Raises:
        MissingFileError: no checkpoint there.
        ModelError: it is damaged or made by a newer olhar.
    """
    rooms: dict[str, Weights] = {"network": {}, "optimizer": {}, "best": {}}
    try:
        with explain_os_errors(path), safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["olhar"])
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                room, _dot, name = key.partition(".")
                rooms[room][name] = file.get_tensor(key)
        if facts["format"] != 1:
            raise KeyError(facts["format"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            _(
                "checkpoint '{path}' cannot be read ({reason}); delete it to start from the beginning",
                path=path,
                reason=error,
            )
        ) from error
    return FitState(
        epoch=facts["epoch"],
        network=rooms["network"],
        optimizer=rooms["optimizer"],
        best=rooms["best"] or rooms["network"],
        best_epoch=facts["best_epoch"],
        history=facts["history"],
    )
