"""On what a benchmark was measured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from olhar.training.recipe import Recipe


def describe_here() -> dict[str, Any]:
    """Hardware, versions, and how busy the machine was before anything started."""
    from olhar._version import __version__
    from olhar.networks.specs import NetworkSpec
    from olhar.training.machine import choose_machine, describe_machine

    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    machine = choose_machine(NetworkSpec("cnn-32-64-64", {}, 32, 3, 10))
    return {**describe_machine(machine), "olhar": __version__, "load_average": load}


def machine_text(machine: dict[str, Any]) -> str:
    """The same in a sentence."""
    return (
        f"{machine['processor']}, {machine['threads']} cores, {machine['precision']}, "
        f"{machine['system']}, Python {machine['python']}, torch {machine['torch']}, "
        f"olhar {machine['olhar']}; load average before {machine['load_average']}."
    )


def kept_for(network: str, data: str) -> Recipe:
    """The kept recipe of a network on a data set, without class weights; the network stays as named."""
    from olhar.networks.specs import resolve_network
    from olhar.training.recipe import build_recipe, divide_settings, kept_recipe

    own = resolve_network(network)[1]
    settings = divide_settings(kept_recipe(network, data), own, network)[0]
    return build_recipe({**settings, "balance": "none"})
