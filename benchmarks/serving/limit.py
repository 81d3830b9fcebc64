"""How many photos a second one core could classify if there were no server.

Runs of the network on a ready batch, then the same with decoding. One such process a core, all with
the same --at, gives what the machine can.

    python limit.py MODEL FOLDER COUNT --batch 8 --seconds 2 --at UNIX-TIME
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from olhar.classifier import load_classifier


def rate(work: Callable[[], int], at: float, seconds: float) -> float:
    """Photos a second of `work`, which says how many it did, for so long from `at` on."""
    time.sleep(max(0.0, at - time.time()))
    begun, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begun) < seconds:
        done += work()
    return done / elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--at", type=float, required=True)
    args = parser.parse_args()
    classifier = load_classifier(args.model, threads=1)
    read = classifier.preprocess.read
    photos = [(args.folder / f"{i % args.count}.body").read_bytes() for i in range(args.batch)]
    inputs = np.stack([read(photo) for photo in photos])  # (N, C, H, W) uint8

    def run() -> int:
        return len(classifier.predict_probs(inputs))

    def decode_and_run() -> int:
        return len(classifier.predict_probs(np.stack([read(photo) for photo in photos])))

    run()
    session = rate(run, args.at, args.seconds)
    decoded = rate(decode_and_run, args.at + args.seconds + 0.2, args.seconds)
    print(json.dumps({"session": session, "decode_and_session": decoded}))


if __name__ == "__main__":
    main()
