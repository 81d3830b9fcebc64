"""The YAML at the head of a card, in the form that the Hugging Face Hub reads.

Written by hand, so that a card is the same byte for byte whatever libraries are installed, and so
that checking one needs none; the tests hold it to huggingface_hub's own reading. The fields are
those of https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from olhar.card.facts import Facts

HUB_DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "mnist": "ylecun/mnist",
}
METRICS = ("accuracy", "precision", "recall", "f1")
# Identifiers of the Hub; any other licence is "other" with a name.
LICENCES = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0"}
    | {"mpl-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"}
    | {"openrail", "unlicense", "unknown"}
)
_PLAIN = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_NOT_PLAIN = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def front_matter(facts: Facts, language: str) -> str:
    """The block between the two lines of `---`, those included."""
    values: dict[str, Any] = {
        "language": [language],
        **_licence(facts.details.get("licence", "unknown")),
        "library_name": "olhar",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "olhar", "onnx", facts.network.name],
    }
    if facts.data_name in HUB_DATASETS:
        values["datasets"] = [HUB_DATASETS[facts.data_name]]
    if facts.measured:
        values["metrics"] = list(METRICS)
        values["model-index"] = [{"name": model_name(facts), "results": [_result(facts)]}]
    if facts.energy:
        values["co2_eq_emissions"] = {
            "emissions": round(1000 * facts.energy["co2_kg"], 6),  # grams
            "source": facts.energy["method"],
            "geographical_location": facts.energy["country"],
            "training_type": "fine-tuning" if facts.transfer else "pre-training",
        }
    return "\n".join(["---", *_lines(values), "---"])


def model_name(facts: Facts) -> str:
    """What the model is called where it needs a name: data and network."""
    return f"{facts.data_name}-{facts.network.name}"


def _licence(licence: str) -> dict[str, str]:
    name = re.sub(r"\s+", "-", licence.strip().lower())
    if name in LICENCES:
        return {"license": name}
    slug = re.sub(r"[^a-z0-9.]+", "-", name).strip("-.") or "see-card"
    return {"license": "other", "license_name": slug[:80]}


def _result(facts: Facts) -> dict[str, Any]:
    report, name = facts.measured, facts.data_name
    numbers = {key: float(getattr(report, key)) for key in METRICS}
    return {
        "task": {"type": "image-classification"},
        "dataset": {
            "name": name,
            "type": HUB_DATASETS.get(name, name),
            "split": report.split if report else "",
        },
        "metrics": [
            {"type": key, "value": value} for key, value in numbers.items() if math.isfinite(value)
        ],
    }


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    """Block YAML of dicts and lists; every text that is not a plain word is quoted."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, Mapping | list):
                yield f"{indent}{key}:"
                yield from _lines(inner, indent + "  ")
            else:
                yield f"{indent}{key}: {_scalar(inner)}"
        return
    for item in value:
        if isinstance(item, Mapping):
            first, *others = _lines(item, indent + "  ")
            yield f"{indent}- {first.lstrip()}"
            yield from others
        else:
            yield f"{indent}- {_scalar(item)}"


def _scalar(value: float | str) -> str:
    if isinstance(value, float):
        whole, decimals = f"{value:.6f}".split(".")
        return f"{whole}.{decimals.rstrip('0') or '0'}"
    if _PLAIN.fullmatch(value) and value not in _NOT_PLAIN:
        return value
    return '"' + "".join(map(_quoted, value)) + '"'


def _quoted(character: str) -> str:
    """A character of a double-quoted text (YAML 1.1, section 5.6)."""
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
