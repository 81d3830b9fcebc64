"""What the environment says of a process that torchrun has started.

Does not know: what the processes do together.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from olhar.errors import ConfigError
from olhar.i18n import _

_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Place:
    """Which of the processes this one is.

    Attributes:
        rank: from 0; rank 0 leads.
        size: of the group.
        local_rank: from 0 on this machine.
        local_size: processes on this machine.
        node: of the machine, from 0.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    node: int


def read_place() -> Place:
    """This process's place, as torchrun's environment says."""
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    local = int(os.environ.get("LOCAL_RANK", rank))
    return Place(
        rank,
        size,
        local,
        int(os.environ.get("LOCAL_WORLD_SIZE", size)),
        int(os.environ.get("GROUP_RANK", "0")),
    )


def read_timeout() -> float:
    """How long one process waits for another inside a training, in seconds."""
    given = os.environ.get("OLHAR_GROUP_TIMEOUT_S", "")
    try:
        seconds = float(given or _TIMEOUT_S)
        if not 1 <= seconds <= 86_400:
            raise ValueError
    except ValueError:
        raise ConfigError(
            _("OLHAR_GROUP_TIMEOUT_S is '{given}'; allowed: seconds, from 1 to 86400", given=given)
        ) from None
    return seconds
