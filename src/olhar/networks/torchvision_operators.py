"""What timm and transformers need of torchvision beside a build of torch for which it has no operators.

torchvision registers its compiled operators at import, and cannot be imported where they do not fit
the installed torch. There, and only there, the two that it asks for are declared, never defined: no
classifier calls them.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

import torch

_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def declare_missing_operators() -> Any:
    """Keeps the declarations alive; None where torchvision is not installed, or has its own."""
    if importlib.util.find_spec("torchvision") is None:
        return None
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(operator + _NMS)
        return library
    return None
