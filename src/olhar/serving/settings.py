"""What a server may do and how much of it, and what it holds while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.errors import unknown_name
from olhar.i18n import _

if TYPE_CHECKING:
    from olhar.serving.batching import Batcher
    from olhar.serving.served import ServedModel


@dataclass(frozen=True)
class ServeSettings:
    """How a server answers.

    Attributes:
        max_bytes: largest body of a request.
        max_pixels: width × height of one photo.
        max_images: photos in one request.
        concurrency: requests being answered at once; more are told to come again (503).
        rate: requests a second for one client address; more are refused (429). 0 means no limit.
        timeout_s: from the request's headers to its answer.
        batch_size: most photos in one run of the network.
        batch_latency_ms: how long a decoded photo may wait for others to join its batch. Nothing
            waits for photos that have not arrived.
        reload_s: how often each model's folder is looked at for a new version; 0 never.
        token: what "Authorization: Bearer …" must carry; None lets everybody in.
        cors: origins of web pages that may call this server from a browser; "*" for all.
        corrections: the folder that keeps corrected photos; None where corrections are off.
        log_requests: a line in the log for every request, not only for those that fail.
    """

    max_bytes: int = 16 * 2**20
    max_pixels: int = 50_000_000
    max_images: int = 64
    concurrency: int = 128
    rate: float = 0.0
    timeout_s: float = 30.0
    batch_size: int = 32
    batch_latency_ms: float = 5.0
    reload_s: float = 2.0
    token: str | None = field(default=None, repr=False)
    cors: tuple[str, ...] = ()
    corrections: Path | None = None
    log_requests: bool = False


@dataclass
class ServeState:
    """What every route needs. A reloaded model replaces its entry in `models`."""

    models: dict[str, ServedModel]
    settings: ServeSettings
    batcher: Batcher

    def model(self, name: str | None = None) -> ServedModel:
        """A model by name; the first one where none is named.

        Raises:
            UnknownNameError: there is no such model.
        """
        if not name:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise unknown_name(_("model"), name, self.models)
        return self.models[name]
