"""BentoML: one photo a run of the network, and its adaptive batching.

bentoml serve serve_bentoml:Photos
"""

from typing import Any

import bentoml
import numpy as np
from peer_model import BATCH, WORKERS, describe, open_session, run_network, to_input
from PIL.Image import Image

# How late an answer may be before it is refused; the batching itself decides how long it waits.
LATEST_MS = 1000


@bentoml.service(workers=WORKERS, logging={"access": {"enabled": False}})
class Photos:
    def __init__(self) -> None:
        self.session = open_session()

    @bentoml.api(route="/predict")
    def predict(self, photo: Image, /) -> dict[str, Any]:
        return describe(run_network(self.session, to_input(photo)[None])[0])

    # A batched route takes a list, which for images means a form; each request has one.
    @bentoml.api(
        route="/predict-batched", batchable=True, max_batch_size=BATCH, max_latency_ms=LATEST_MS
    )
    def predict_batched(self, photos: list[Image]) -> list[dict[str, Any]]:
        inputs = np.stack([to_input(photo) for photo in photos])
        return [describe(probs) for probs in run_network(self.session, inputs)]
