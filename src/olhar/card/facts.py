"""A run as its card sees it: every value of the right type, and what people say of it.

After `read_facts` what renders it needs no second look.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from olhar.card.details import read_details
from olhar.errors import OlharError
from olhar.i18n import Text
from olhar.networks.specs import network_source
from olhar.run import Run, RunFolder
from olhar.run.folder import damaged, is_file


class Facts(Run):
    """A run as its card sees it."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The tables of config.toml that a card needs, there and of the right types."""
        config = self.folder.read_config()
        with damaged(self.folder.config):
            return _typed_config(config)

    @cached_property
    def details(self) -> Mapping[str, str]:
        """What people say of it: card.toml."""
        return read_details(self.folder)

    @property
    def data_name(self) -> str:
        """The data set, or the last name of a folder of photos: the rest of a path is private."""
        return _last_name(str(self.config["data"]["name"]))

    @property
    def transfer(self) -> dict[str, str]:
        """Backbone, mode, weights (a file's name alone) and sha256; empty where it has none."""
        given = self.config["transfer"]
        names = {key: _last_name(given[key]) for key in ("backbone", "weights") if key in given}
        return {**given, **names}

    @property
    def network_source(self) -> Text | str:
        """Where the network comes from; "" where this olhar does not know it."""
        try:
            return network_source(self.network.name)
        except (OlharError, LookupError):  # made by another olhar
            return ""

    @property
    def tried(self) -> list[tuple[str, float, int]]:
        """(mode, accuracy in cross-validation, images) of each mode that was tried, if it was chosen so."""
        tried: list[tuple[str, float, int]] = self.config["tried"]
        return [one for one in tried if one[2]]

    @property
    def epochs(self) -> int:
        """How many epochs the recipe asks for."""
        return int(self.config["recipe"]["epochs"])

    def shown_name(self, name: str) -> str:
        """A class name of predictions.csv in the language in force."""
        names = self.model.class_names if self.model else ()
        return self.class_names[names.index(name)] if name in names else name

    def has(self, picture: Path) -> bool:
        """Whether a picture of the run folder is there."""
        return is_file(picture)


def read_facts(folder: RunFolder) -> Facts:
    """Read a run folder, finished or cut off.

    Raises:
        MissingFileError: this is no run folder.
        ModelError: a file of it is damaged or of a newer olhar.
        ConfigError, UnknownNameError: card.toml holds what it may not.
    """
    facts = Facts(folder.path)
    _read = facts.config, facts.network, facts.measured, facts.energy, facts.history, facts.model
    _read_too = facts.answers, facts.details, facts.search
    _estimated = facts.cross_validation, facts.photo_curve
    return facts


def _last_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path


def _typed_config(config: Mapping[str, Any]) -> dict[str, Any]:
    data, network, recipe = dict(config["data"]), dict(config["network"]), dict(config["recipe"])
    data["sizes"] = {part: int(data["sizes"][part]) for part in ("train", "val", "test")}
    data["fingerprint"] = str(data["fingerprint"])
    data["set_aside"] = int(data.get("set_aside", {}).get("count", 0))
    for key in ("leaks", "divided"):
        data[key] = {k: int(n) for k, n in data.get("grouped", {}).get(key, {}).items()}
    data["conflicts"] = int(data.get("grouped", {}).get("conflicts", 0))
    recipe["epochs"], recipe["batch_size"] = int(recipe["epochs"]), int(recipe["batch_size"])
    for key in ("size", "channels", "num_classes"):
        network[key] = int(network[key])
    network["settings"] = dict(network["settings"])
    return {
        **config,
        "olhar": str(config["olhar"]),
        "command": str(config["command"]),
        "data": {"name": str(data.pop("name")), **data},
        "network": network,
        "preprocess": dict(config["preprocess"]),
        "transfer": _typed_transfer(config.get("transfer") or {}),
        "tried": [
            (str(one["mode"]), float(one["accuracy"]), int(one["images"]))
            for one in dict(config.get("choice") or {}).get("tried", [])
        ],
        "recipe": recipe,
        "machine": {key: str(value) for key, value in config["machine"].items()},
    }


def _typed_transfer(values: Mapping[str, Any]) -> dict[str, str]:
    if not values:
        return {}
    text = {key: str(values.get(key, "")) for key in ("weights", "sha256")}
    return {"backbone": str(values["backbone"]), "mode": str(values["mode"]), **text}
