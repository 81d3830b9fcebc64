"""How fast this computer is: a short, fixed measurement in a process of its own.

Training: olhar's own loop, augmentation and optimiser included, with `cnn-32-64-64` and its kept
recipe for CIFAR-10 on random images. Predicting: ONNX Runtime on that network with constant weights,
`NETWORK` below, whose 0.6 kB test_classroom.py makes anew and compares.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

NAME, DATA = "cnn-32-64-64", "cifar10"
TRAIN_IMAGES, VAL_IMAGES = 45_000, 5_000  # of CIFAR-10, as olhar divides it
_SECONDS = 2.0
_LIMIT_S = 180
_PREDICT_BATCH = 64
NETWORK = (
    "CAg6kwYKNgoEdzBfcxICdzAiD0NvbnN0YW50T2ZTaGFwZSoZCgV2YWx1ZSoNCAEQASIECtcjPEIBdqABBAoWCgZp"
    "bWFnZXMKAncwEgJjMCIEQ29udgoOCgJjMBICcjAiBFJlbHUKOgoCcjASAnAwIgdNYXhQb29sKhUKDGtlcm5lbF9z"
    "aGFwZUACQAKgAQcqEAoHc3RyaWRlc0ACQAKgAQcKNgoEdzFfcxICdzEiD0NvbnN0YW50T2ZTaGFwZSoZCgV2YWx1"
    "ZSoNCAEQASIECtcjPEIBdqABBAoSCgJwMAoCdzESAmMxIgRDb252Cg4KAmMxEgJyMSIEUmVsdQo6CgJyMRICcDEi"
    "B01heFBvb2wqFQoMa2VybmVsX3NoYXBlQAJAAqABByoQCgdzdHJpZGVzQAJAAqABBwo2CgR3Ml9zEgJ3MiIPQ29u"
    "c3RhbnRPZlNoYXBlKhkKBXZhbHVlKg0IARABIgQK1yM8QgF2oAEEChIKAnAxCgJ3MhICYzIiBENvbnYKDgoCYzIS"
    "AnIyIgRSZWx1ChAKAnIyEgFmIgdGbGF0dGVuCjYKBGQwX3MSAmQwIg9Db25zdGFudE9mU2hhcGUqGQoFdmFsdWUq"
    "DQgBEAEiBArXIzxCAXagAQQKEwoBZgoCZDASAm0wIgZNYXRNdWwKDQoCbTASAWgiBFJlbHUKNgoEZDFfcxICZDEi"
    "D0NvbnN0YW50T2ZTaGFwZSoZCgV2YWx1ZSoNCAEQASIECtcjPEIBdqABBAoTCgFoCgJkMRICbTEiBk1hdE11bAoc"
    "CgJtMRINcHJvYmFiaWxpdGllcyIHU29mdG1heBIMY25uLTMyLTY0LTY0KhAIBBAHOgQgAwMDQgR3MF9zKhAIBBAH"
    "OgRAIAMDQgR3MV9zKhAIBBAHOgRAQAMDQgR3Ml9zKg8IAhAHOgOACEBCBGQwX3MqDggCEAc6AkAKQgRkMV9zWiEK"
    "BmltYWdlcxIXChUIARIRCgMSAU4KAggDCgIIIAoCCCBiIAoNcHJvYmFiaWxpdGllcxIPCg0IARIJCgMSAU4KAggK"
    "QgQKABAR"
)


def measure(what: str) -> dict[str, Any]:
    """What this module prints for "train" or "predict"; {"error": …} where it ends otherwise."""
    command = [sys.executable, "-P", "-m", "olhar.classroom.speed", what]
    try:
        done = subprocess.run(  # noqa: S603  this Python itself
            command, capture_output=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"more than {_LIMIT_S} s"}
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode == 0 and lines:
        return dict(json.loads(lines[-1]))
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return {"error": (said or [f"exit status {done.returncode}"])[-1]}


def estimate_minutes(images_per_s: float, epochs: int) -> float:
    """Minutes of training CIFAR-10 with `cnn-32-64-64`, from images a second that train.

    An image of the validation split costs a third of one that trains: it goes forward only.
    """
    images = epochs * (TRAIN_IMAGES + VAL_IMAGES / 3)
    return images / images_per_s / 60


def measure_training(seconds: float = _SECONDS) -> dict[str, Any]:
    """Images a second of olhar's training step, and what torch says of this computer."""
    import torch

    from olhar.networks.build import Normalise, build_network
    from olhar.networks.specs import NetworkSpec, resolve_network
    from olhar.training.fit import Training
    from olhar.training.machine import choose_machine, describe_machine
    from olhar.training.recipe import Recipe, kept_recipe

    canonical, settings, _typed = resolve_network(NAME)
    spec = NetworkSpec(canonical, settings, 32, 3, 10)
    recipe = Recipe(**{**kept_recipe(canonical, DATA), "balance": "none"})
    machine = choose_machine(spec)
    torch.set_num_threads(machine.threads)
    images = torch.randint(0, 256, (5_000, 32, 32, 3), dtype=torch.uint8)
    labels = torch.randint(0, 10, (5_000,))
    normalise = Normalise((0.5,) * 3, (0.25,) * 3)
    network = build_network(spec)
    indices = torch.arange(5_000)
    training = Training(network, images, labels, indices, recipe, machine, normalise)
    network.train()
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        with training.shards.alone():
            training.step(torch.randint(0, 5_000, (training.batch,)), generator)

    return {
        "images_per_s": round(_rate(step, seconds) * training.batch, 1),
        "epochs": recipe.epochs,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cuda": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        **describe_machine(machine),
    }


def measure_predicting(seconds: float = _SECONDS) -> dict[str, Any]:
    """Images a second of ONNX Runtime, in batches of 64."""
    import onnxruntime

    from olhar.classifier import open_session

    session = open_session(base64.b64decode(NETWORK))
    images = np.zeros((_PREDICT_BATCH, 3, 32, 32), np.float32)

    def step() -> None:
        session.run(None, {"images": images})

    return {
        "images_per_s": round(_rate(step, seconds) * _PREDICT_BATCH, 1),
        "onnxruntime": onnxruntime.__version__,
    }


def _rate(step: Callable[[], None], seconds: float) -> float:
    """Steps a second, after one that does not count."""
    step()
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        step()
        steps += 1
    return steps / (time.perf_counter() - begun)


if __name__ == "__main__":
    found = measure_training() if sys.argv[1] == "train" else measure_predicting()
    print(json.dumps(found), flush=True)
    os._exit(0)  # taking apart what torch has loaded takes a second or more
