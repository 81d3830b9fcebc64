"""LitServe: one photo a run of the network, or with --batched its own batching."""

import argparse
from typing import Annotated, Any

import litserve
import numpy as np
from fastapi import Body
from numpy.typing import NDArray
from peer_model import BATCH, LATENCY_S, WORKERS, describe, open_session, read_photo, run_network


class PhotoAPI(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        self.session = open_session()

    # The raw body, which is less work than the base64 or the form of LitServe's own examples.
    def decode_request(
        self, request: Annotated[bytes, Body(media_type="image/jpeg")]
    ) -> NDArray[np.uint8]:
        return read_photo(request)

    def predict(self, x: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.max_batch_size > 1:
            return run_network(self.session, x)
        return run_network(self.session, x[None])[0]

    def encode_response(self, output: NDArray[np.float32]) -> dict[str, Any]:
        return describe(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batched", action="store_true")
    args = parser.parse_args()
    api = PhotoAPI(max_batch_size=BATCH, batch_timeout=LATENCY_S) if args.batched else PhotoAPI()
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=WORKERS)
    server.run(
        host="127.0.0.1",
        port=args.port,
        num_api_servers=WORKERS,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
