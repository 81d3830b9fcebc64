"""How fast this computer is, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from olhar.classroom.results import NOTE, OK, PROBLEM, Check
from olhar.classroom.speed import NAME, TRAIN_IMAGES, estimate_minutes, measure
from olhar.i18n import _, number


def check_speed(*, training: bool, predicting: bool) -> Iterator[Check]:
    """Measure what can be: training where PyTorch works, predicting where ONNX Runtime does."""
    if predicting:
        yield _predicting(measure("predict"))
    if training:
        found = measure("train")
        yield from _training(found)


def _predicting(found: dict[str, Any]) -> Check:
    if "error" in found:
        text = _("ONNX Runtime does not run: {error}", error=found["error"])
        step = _("install it anew: pip install --force-reinstall onnxruntime")
        return Check("speed", "predicting", PROBLEM, text, step, found)
    text = _(
        "predicting: {rate} images/s with {network} in ONNX Runtime, in batches of 64",
        rate=number(found["images_per_s"]),
        network=NAME,
    )
    return Check("speed", "predicting", OK, text, None, found)


def _training(found: dict[str, Any]) -> Iterator[Check]:
    if "error" in found:
        text = _("PyTorch does not train: {error}", error=found["error"])
        step = _("install it anew: pip install --force-reinstall torch")
        yield Check("speed", "training", PROBLEM, text, step, found)
        return
    yield _processor(found)
    minutes = estimate_minutes(found["images_per_s"], found["epochs"])
    text = _(
        "training: {rate} images/s with {network}, so CIFAR-10 takes about {minutes} minutes here "
        "({epochs} epochs of {images} images, measured for two seconds with nothing else to do)",
        rate=number(found["images_per_s"]),
        network=NAME,
        minutes=number(minutes, 1 if minutes < 10 else 0),
        epochs=found["epochs"],
        images=number(TRAIN_IMAGES),
    )
    facts = {
        "images_per_s": found["images_per_s"],
        "network": NAME,
        "epochs": found["epochs"],
        "cifar10_minutes": round(minutes, 2),
    }
    yield Check("speed", "training", OK, text, None, facts)


def _processor(found: dict[str, Any]) -> Check:
    text = _(
        "{processor}: {threads} threads, {instructions}, computes in {precision}, on {device}",
        processor=found["processor"],
        threads=found["threads"],
        instructions=found["instructions"],
        precision=found["precision"],
        device=", ".join(found["cuda"]) or found["device"],
    )
    facts = {key: value for key, value in found.items() if key not in {"images_per_s", "epochs"}}
    if found["instructions"] == "DEFAULT":
        step = _(
            "this processor, or its virtual machine, lacks AVX2: training is several times slower"
        )
        return Check("speed", "processor", NOTE, text, step, facts)
    if found["mps"]:
        step = _("PyTorch could use this Mac's graphics processor (MPS); olhar does not yet")
        return Check("speed", "processor", NOTE, text, step, facts)
    return Check("speed", "processor", OK, text, None, facts)
